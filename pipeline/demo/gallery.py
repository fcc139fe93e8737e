"""The anime side of the demo: what two web sites hold, with planted copies and broken files.

`pages.parquet` is the sites' image files (path, content_type, status, bytes), `posts.json` what
the sites say of them; `server.py` serves both. Everything planted is told in the truth tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import workers as parallel
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import FaceAttributes, sample_faces
from pipeline.demo.copies import COPY_KINDS, JPEG, PNG, Picture, encode, make_copy
from pipeline.demo.posts import FIRST_ID, describe, post_name, write_site

UNIT = 48.0  # pixels of half a face: the eyes are about 42 pixels apart
COPY_SHARE = 0.12  # of all readable pages
_CHARACTERS = (0.45, 0.27, 0.18, 0.10)  # share of pages with 1, 2, 3, 4 of them
_FAULTS = ("broken", "broken", "truncated", "truncated", "explicit", "missing")


@dataclass(frozen=True)
class _Post:
    """One post to be: which page it shows and how (`kind`), and where it was posted."""

    page: int
    kind: str  # "original", one of COPY_KINDS, or one of _FAULTS
    source: str
    seed: int


@dataclass
class _Plan:
    """All pages (indices into the faces) and all posts, in the order they were uploaded."""

    pages: list[list[int]] = field(default_factory=list)
    posts: list[_Post] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    page: int
    faces: tuple[FaceAttributes, ...]
    seed: int
    posts: tuple[tuple[int, _Post], ...]  # (place in the upload order, post)


def build_gallery(
    out_dir: Path, *, faces: int, seed: int, workers: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw `faces` anime faces on pages and write `out_dir/pages.parquet` and `posts.json`.

    Returns the truth (face_rows, post_rows). A face row is one visible drawn face of one readable
    post, copies included: source, post_id, face (its place on the page, left to right),
    character (number of the drawn face: copies share it), mirrored, copy_kind, of_source,
    of_post_id, x, y, width, height, left_eye_x ... right_eye_y (pixels of that post's file) and
    all `FaceAttributes` as drawn. A post row is source, post_id, copy_kind ("original", one of
    `copies.COPY_KINDS`, "broken", "truncated", "explicit" or "missing"), of_source, of_post_id
    (empty unless a copy), faces. The same arguments give the same bytes for any `workers`.
    """
    characters = sample_faces(faces, seed, "anime")
    plan = _plan(faces, seed)
    jobs = _jobs(plan, characters, seed)
    rendered = parallel.over_chunks(_render_all, jobs, 16, workers=workers, label="anime pages")
    pictures = dict(rendered)
    ids = _post_ids(plan, seed)
    uploads = []
    for place, (post, number) in enumerate(zip(plan.posts, ids, strict=True)):
        drawn = [characters[k] for k in plan.pages[post.page]]
        shown = [] if post.kind == "explicit" else drawn
        uploads.append(
            describe(
                post.source,
                number,
                post.kind,
                pictures[place],
                shown,
                artist_seed=[seed, 0xA7, post.page],
                tag_seed=seed + place,
            )
        )
    write_site(out_dir, uploads)
    return _truth(plan, ids, pictures, characters)


def _plan(faces: int, seed: int) -> _Plan:
    rng = np.random.default_rng([seed, 0xA11])
    plan = _Plan()
    start = 0
    while start < faces:
        n = min(1 + int(rng.choice(len(_CHARACTERS), p=_CHARACTERS)), faces - start)
        plan.pages.append(list(range(start, start + n)))
        start += n
    homes = ["booru" if rng.random() < 0.6 else "gallery" for _ in plan.pages]
    plan.posts = [_Post(i, "original", homes[i], 0) for i in range(len(homes))]
    copies = round(len(homes) * COPY_SHARE / (1 - COPY_SHARE))
    for k, page in enumerate(rng.choice(len(homes), copies, replace=False)):
        kind = COPY_KINDS[k % len(COPY_KINDS)]
        other = "gallery" if homes[page] == "booru" else "booru"
        home = other if kind != "exact" and rng.random() < 0.7 else homes[page]
        if kind == "exact":  # a booru refuses a file that it has already, a gallery does not
            home = "gallery"
        plan.posts.append(_Post(int(page), kind, home, k))
    for k, kind in enumerate(_FAULTS):
        source = "booru" if kind == "explicit" or k % 2 == 0 else "gallery"
        plan.posts.append(_Post(int(rng.integers(len(homes))), kind, source, k))
    plan.posts = [plan.posts[i] for i in rng.permutation(len(plan.posts))]
    return plan


def _jobs(plan: _Plan, characters: list[FaceAttributes], seed: int) -> list[_Job]:
    by_page: dict[int, list[tuple[int, _Post]]] = {i: [] for i in range(len(plan.pages))}
    for place, post in enumerate(plan.posts):
        by_page[post.page].append((place, post))
    return [
        _Job(i, tuple(characters[k] for k in page), seed, tuple(by_page[i]))
        for i, page in enumerate(plan.pages)
    ]


def _render_all(jobs: Sequence[_Job]) -> list[tuple[int, Picture]]:
    return [result for job in jobs for result in _render(job)]


def _render(job: _Job) -> list[tuple[int, Picture]]:
    """Draw a page once and make every post of it: (place in the upload order, picture)."""
    rng = np.random.default_rng([job.seed, 0xDA, job.page])
    unit = UNIT * float(rng.uniform(0.9, 1.15))
    width, height = page_size(len(job.faces), unit)
    rgb, faces = draw_page(list(job.faces), width, height, int(rng.integers(2**31)))
    kind = PNG if rng.random() < 0.2 else JPEG
    original = encode(rgb, faces, kind, int(rng.integers(88, 97)))
    results = []
    for place, post in job.posts:
        own = np.random.default_rng([job.seed, 0xC0, job.page, post.seed])
        if post.kind == "original":
            picture = original
        elif post.kind in COPY_KINDS:
            picture = make_copy(post.kind, original, rgb, own)
        else:
            picture = _faulty(post.kind, original, own)
        results.append((place, picture))
    return results


def _faulty(kind: str, original: Picture, rng: np.random.Generator) -> Picture:
    """A file that a crawl must survive or refuse: no face can be read from it."""
    if kind == "broken":
        return Picture(rng.bytes(3000), JPEG, 640, 640, ())
    if kind == "truncated":
        cut = original.data[: int(len(original.data) * 0.6)]
        return Picture(cut, original.content_type, original.width, original.height, ())
    if kind == "explicit":  # only its rating is: a crawl must leave it where it is
        square = np.full((256, 256, 3), rng.integers(60, 200, 3), np.uint8)
        return encode(square, [], PNG, 0)
    return Picture(b"", JPEG, original.width, original.height, ())  # "missing": a 404


def _post_ids(plan: _Plan, seed: int) -> list[int]:
    """Ids that grow with the upload order, with gaps, per source."""
    rng = np.random.default_rng([seed, 0x1D])
    next_id = dict(FIRST_ID)
    ids = []
    for post in plan.posts:
        next_id[post.source] += int(rng.integers(1, 4))
        ids.append(next_id[post.source])
    return ids


def _truth(
    plan: _Plan, ids: list[int], pictures: dict[int, Picture], characters: list[FaceAttributes]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [post_name(post.source, n) for post, n in zip(plan.posts, ids, strict=True)]
    originals = {
        p.page: (p.source, names[i]) for i, p in enumerate(plan.posts) if p.kind == "original"
    }
    face_rows, post_rows = [], []
    for place, post in enumerate(plan.posts):
        copied = post.kind in COPY_KINDS or post.kind == "truncated"
        of_source, of_post_id = originals[post.page] if copied else ("", "")
        row = {"source": post.source, "post_id": names[place], "copy_kind": post.kind}
        row |= {"of_source": of_source, "of_post_id": of_post_id}
        records = pictures[place].faces
        post_rows.append(row | {"faces": len(records)})
        for position, record in enumerate(records):
            character = plan.pages[post.page][position]
            mark = {"face": position, "character": character, "mirrored": post.kind == "mirrored"}
            face_rows.append({**row, **mark, **record, **asdict(characters[character])})
    return pd.DataFrame(face_rows), pd.DataFrame(post_rows)
