"""Where an image comes from: from any of the pipeline's tables back to its post or its photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.core.paths import SPLITS
from pipeline.imaging.attributes import ATTRIBUTES
from pipeline.provenance.lookup import (
    DRAWINGS,
    DUPLICATES,
    FAILURES,
    ORIGINALS,
    PHOTOGRAPHS,
    SHARD,
    Row,
    Table,
    absent,
    find,
    post_name,
)

SAME_BYTES = "same bytes as "  # begins the reason of a duplicate in data/dropped/posts.parquet
Lines = Iterator[tuple[str, str]]  # what a line of the answer is about, and what it says


def trace(name: str) -> Lines:
    """Lines that say where the image ``name`` comes from and which tables hold it.

    ``name`` is an id or the first six or more of its digits, an md5, ``<source>/<post id>``, a URL
    or the file name of a photo. Raises StageError when no image, or more than one, has that name.
    """
    row = find(name)
    return _photo(row["id"]) if "file" in row else _post(row)


def _photo(photo_id: str) -> Lines:
    rows = [row for table in PHOTOGRAPHS for row in table.where(id=photo_id)]
    facts = _merge(rows)
    yield "photo", photo_id
    yield from _held(rows)
    yield "CelebA file" if "Male" in facts else "file", facts["file"]
    yield "identity", str(facts["identity"])
    yield "labels", ", ".join(sorted(name for name, value in facts.items() if value is True))
    yield from _attributes(facts)
    yield from _closing(PHOTOGRAPHS, [facts["file"]])


def _post(named: Row) -> Lines:
    """A post and its faces; only the named one when ``named`` is the row of a face."""
    key = {"source": named["source"], "post_id": named["post_id"]}
    rows = [row for table in DRAWINGS for row in table.where(**key)]
    faces = [row for row in rows if "raw_id" in row]
    if "raw_id" in named:
        faces = [row for row in faces if row["id"] == named["id"]]
    others = [row for row in rows if "raw_id" not in row]
    facts = _merge([*faces, *others])
    yield "post", post_name(named)
    yield "site", urlsplit(facts["url"]).hostname or "a local file"
    yield "url", facts["url"]
    yield from _held(others)
    for name, value in _statements(facts):
        yield name, str(value) if value not in (None, "") else "not stated"
    raw_id = next((row["id"] for row in others if "id" in row), facts.get("raw_id", ""))
    yield "raw id", raw_id or "none: it is not in data/raw"
    # The post, so that it is not asked for again, and the bytes, whoever else posts them.
    excludable = [name for name in (post_name(named), raw_id) if name]
    if "outcome" in facts:
        yield "outcome", f"{facts['outcome']}: {facts['reason']}"
    if facts.get("reason", "").startswith(SAME_BYTES):
        yield "see", f"face2anime provenance {facts['reason'].removeprefix(SAME_BYTES)}"
    for row in [*ORIGINALS.where(id=raw_id), *FAILURES.where(reason=SAME_BYTES + facts["url"])]:
        if post_name(row) != post_name(named):
            yield "same bytes", f"{post_name(row)}  {row['url']}"
    for face_id in dict.fromkeys(row["id"] for row in faces):
        yield from _face([row for row in faces if row["id"] == face_id])
        copies = DUPLICATES.where(kept_id=face_id)
        for row in copies:
            yield "copy", f"{row['id']} of {post_name(row)}: {_evidence(row)}"
        excludable += [row["raw_id"] for row in copies]
    yield from _closing(DRAWINGS, excludable)


def _statements(facts: Row) -> Iterator[tuple[str, Any]]:
    """What the source says of its post, by the name that the answer shows."""
    yield "source link", facts.get("source_link")
    yield from ((name, facts.get(name)) for name in ("artist", "licence", "tags"))
    yield "created", facts.get("created_at")
    yield "rating", facts.get("rating")
    sides = [facts.get("width"), facts.get("height")]
    yield "size", "×".join(map(str, sides)) if all(sides) else None


def _face(rows: list[Row]) -> Lines:
    facts = _merge(rows)
    yield "face", facts["id"]
    yield from _held(rows)
    if "kept_id" in facts:
        kind = "variant" if facts["verdict"] == "variant" else "copy"
        yield "dropped", f"a {kind} of {facts['kept_id']}: {_evidence(facts)}"
    if "box_x" in facts:
        x, y, width, height = (round(facts[f"box_{side}"]) for side in "xywh")
        yield "face box", f"{width}×{height} pixels at ({x}, {y}) of the picture"
    yield from _attributes(facts)


def _held(rows: Iterable[Row]) -> Lines:
    shards = [row[SHARD] for row in rows]
    yield from (("in", shard) for shard in dict.fromkeys(shards))
    if splits := [Path(shard) for shard in shards if Path(shard).is_relative_to(SPLITS)]:
        yield "split", splits[0].parent.name


def _attributes(facts: Row) -> Lines:
    known = {name: facts[name] for name in ATTRIBUTES if name in facts}
    yield "attributes", ", ".join(f"{name}: {value}" for name, value in known.items())


def _closing(tables: Iterable[Table], names: list[str]) -> Lines:
    if missing := absent(tables):
        yield "note", missing
    yield "take down", f"in params.yaml, exclude.images: [{', '.join(dict.fromkeys(names))}]"


def _evidence(row: Row) -> str:
    return f"{row['verdict']}, {row['bits']} bits apart" + ", mirrored" * bool(row["mirror"])


def _merge(rows: Iterable[Row]) -> Row:
    """What the rows say together; of two statements that of the later row, the earlier stage's."""
    return {name: value for row in rows for name, value in row.items() if value not in (None, "")}
