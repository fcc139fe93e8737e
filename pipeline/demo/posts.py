"""What the two demo sites say of their pictures: posts as a booru and an HTML gallery list them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import tables
from pipeline.demo.attributes import FaceAttributes, booru_tags
from pipeline.demo.copies import PNG, Picture

FIRST_ID = {"booru": 7_000_000, "gallery": 1000}
_ARTISTS = ("aoi_sumi", "kumo_pen", "hanabira", "ink_fox", "mizu_iro", "natsu_note", "yoru_hi")
_LICENCES = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0")
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Upload:
    """One post with its file: `row` is what the site's list shows of it."""

    source: str
    path: str
    status: int
    picture: Picture
    row: dict[str, Any]


def post_name(source: str, number: int) -> str:
    """The post id as the crawler knows it: the gallery's is its HTML element's id."""
    return str(number) if source == "booru" else f"art-{number}"


def describe(
    source: str,
    number: int,
    kind: str,
    picture: Picture,
    faces: Sequence[FaceAttributes],
    *,
    artist_seed: Sequence[int],
    tag_seed: int,
) -> Upload:
    """The post `number` of `source` ("booru" or "gallery") for a picture of `faces`.

    Copies share `artist_seed` with their original but not `tag_seed`: each uploader tags anew, so
    that a copy may lack a tag that the original has.
    """
    md5 = hashlib.md5(picture.data or str(number).encode(), usedforsecurity=False).hexdigest()
    ext = "png" if picture.content_type == PNG else "jpg"
    tags = booru_tags(faces, tag_seed) if faces else ["no_humans"]
    rng = np.random.default_rng(artist_seed)
    artist = _ARTISTS[int(rng.integers(len(_ARTISTS)))]
    explicit = kind == "explicit"
    if source == "booru":
        path = f"/original/{md5[:2]}/{md5[2:4]}/{md5}.{ext}"
        row = _booru_row(number, picture, md5, ext, tags, artist)
        row |= {"rating": "e" if explicit else "g", "file_url": path}
    else:
        path = f"/art/{number}.{ext}"
        row = {
            "id": number,
            "path": path,
            "width": picture.width,
            "height": picture.height,
            "tags": tags,
            "artist": artist,
            "licence": _LICENCES[int(rng.integers(len(_LICENCES)))],
            "rating": "explicit" if explicit else "general",
        }
    return Upload(source, path, 404 if kind == "missing" else 200, picture, row)


def _booru_row(
    number: int, picture: Picture, md5: str, ext: str, tags: list[str], artist: str
) -> dict[str, Any]:
    """A row of danbooru's /posts.json, all but rating and address."""
    age = timedelta(minutes=number - FIRST_ID["booru"])
    created = (_EPOCH + age).isoformat(timespec="milliseconds")
    return {
        "id": number,
        "created_at": created,
        "uploader_id": 1,
        "score": 0,
        "source": f"https://art.example/{artist}/{md5[:8]}",
        "md5": md5,
        "image_width": picture.width,
        "image_height": picture.height,
        "tag_string": " ".join(sorted([*tags, artist, "original"])),
        "file_ext": ext,
        "parent_id": None,
        "has_children": False,
        "tag_count_general": len(tags),
        "tag_count_artist": 1,
        "tag_count_character": 0,
        "tag_count_copyright": 1,
        "file_size": len(picture.data),
        "is_pending": False,
        "is_flagged": False,
        "is_deleted": False,
        "is_banned": False,
        "tag_count": len(tags) + 2,
        "updated_at": created,
        "pixiv_id": None,
        "tag_string_general": " ".join(tags),
        "tag_string_character": "",
        "tag_string_copyright": "original",
        "tag_string_artist": artist,
        "tag_string_meta": "",
    }


def write_site(out_dir: Path, uploads: Sequence[Upload]) -> None:
    """Write `out_dir/pages.parquet` (path, content_type, status, bytes) and `posts.json`.

    `posts.json` is {"booru": [...], "gallery": [...]}, newest first; addresses in it are paths,
    which the server makes absolute.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    files = {
        "path": [upload.path for upload in uploads],
        "content_type": [upload.picture.content_type for upload in uploads],
        "status": [upload.status for upload in uploads],
        "bytes": [upload.picture.data for upload in uploads],
    }
    tables.write_file(out_dir / "pages.parquet", pd.DataFrame(files))
    posts: dict[str, list[dict[str, Any]]] = {source: [] for source in FIRST_ID}
    for upload in uploads:
        posts[upload.source].append(upload.row)
    for rows in posts.values():
        rows.sort(key=lambda row: -row["id"])
    beside = out_dir / "posts.json.part"
    beside.write_text(json.dumps(posts, indent=1) + "\n", encoding="utf-8")
    beside.replace(out_dir / "posts.json")
