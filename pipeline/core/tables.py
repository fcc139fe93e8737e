"""Images in Parquet shards, written by one helper so that equal input gives equal bytes.

An image column is a struct ``{"bytes", "path"}`` of the encoded file: pandas, DuckDB and Hugging
Face ``datasets`` open it as it is.
"""

from __future__ import annotations

import glob
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.runtime.files import write_bytes
from pipeline.core import locks, names
from pipeline.core.errors import StageError
from pipeline.core.paths import DATA, check_output, remove_folder

if TYPE_CHECKING:  # pandas takes a second: who only encodes a picture need not wait for it
    import pandas as pd

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_NO_PICTURE = "{} bytes that are no readable image"
_PART = ".part"  # ends the name of a folder that is being written
_GROUP_ROWS = 512  # a small row group keeps one image cheap to reach …
_GROUP_BYTES = 32_000_000  # … and a shard need not be in memory twice to be written


def encode_png(rgb: np.ndarray) -> bytes:
    """Lossless PNG bytes of an RGB uint8 image [H, W, 3]."""
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def encode_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """JPEG bytes of an RGB uint8 image [H, W, 3]; ``quality`` 0–100."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode(data: bytes) -> np.ndarray:
    """RGB uint8 [H, W, 3] of encoded image bytes. Raises StageError, which names the shard and the
    row of a table below data/ that has them, when they do not decode."""
    try:
        return decode_bytes(data)
    except StageError:
        raise StageError(_broken(data)) from None


def decode_bytes(data: bytes) -> np.ndarray:
    """As `decode`; its StageError names no shard."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise StageError(_NO_PICTURE.format(len(data)))
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _broken(data: bytes) -> str:
    """Whose bytes these are, and what to do. Looked for only now: a frame forgets its files."""
    for path in sorted(DATA.rglob("*.parquet")):
        with suppress(StageError), opened(path) as table:
            if not {"id", "image"} <= set(table.schema_arrow.names):
                continue
            for batch in table.iter_batches(columns=["id", "image"], batch_size=_GROUP_ROWS):
                for row in batch.to_pylist():
                    if row["image"] and row["image"]["bytes"] == data:
                        return f"image {row['id']} in {path} is no readable picture: {_anew(path)}"
    return _NO_PICTURE.format(len(data))


def _anew(path: Path) -> str:
    return f"delete {path} and run `dvc repro`; `face2anime verify` looks for others"


def _at(path: Path, error: OSError) -> OSError:
    """An error of the file system, with the file's name, which Arrow leaves out."""
    return OSError(error.errno, os.strerror(error.errno or 0), str(path))


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read. Raises StageError, which names it, where it is cut off or damaged."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the file system, not of the content
            raise _at(path, error) from error
        raise StageError(
            f"{path} is damaged or cut off ({' '.join(str(error).split())[:120]}): {_anew(path)}"
        ) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to write into; it takes the place of ``path`` only on success.

    Raises StageError when ``path`` does not lie where outputs do, or another process writes it.
    """
    base = check_output(path)
    with locks.held(path.resolve().relative_to(base.resolve()).as_posix(), base):
        # Nobody else writes here now, so what there is was left by the killed.
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{_PART}"):
            remove_folder(left)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
        try:
            beside.mkdir(parents=True)
            yield beside
            _take_the_place(beside, path)
        finally:
            with suppress(OSError):  # the error that led here is the one to tell
                remove_folder(beside)


def _take_the_place(new: Path, path: Path) -> None:
    """Move ``new`` to ``path``; what was there goes aside first, so that nothing is half."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
    if path.exists():
        path.rename(aside)
    new.rename(path)
    remove_folder(aside)


def numbered(name: str) -> Iterator[str]:
    """``name-00000``, ``name-00001`` …: the shards of one table."""
    return (f"{name}-{number:05d}" for number in count())


def continued(name: str) -> Iterator[str]:
    """``name``, ``name_01``, ``name_02`` …: a shard that may outgrow one file, in sorting order."""
    yield name
    yield from (f"{name}_{part:02d}" for part in count(1))


def write_shards(
    folder: Path,
    names: Iterator[str],
    rows: Iterable[dict[str, Any]],
    schema: pa.Schema,
    shard_mb: int = 256,
) -> int:
    """Write ``rows`` to files of about ``shard_mb`` MB, named by ``names``; returns rows.

    Rows are sorted by ``id`` within a shard where there is such a column. An empty iterable still
    writes one empty shard, so that readers find the columns. At most one shard is in memory.
    """
    rows, written = iter(rows), 0
    for name in names:
        shard = _take(rows, shard_mb * 1_000_000)
        if shard or not written:
            _write(folder / f"{name}.parquet", shard, schema)
        if not shard:
            break
        written += len(shard)
        del shard  # before the next is gathered
    return written


def write_file(path: Path, frame: pd.DataFrame) -> None:
    """Write a table without images as one Parquet file, in one move."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file, compression="zstd")
    write_bytes(path, file.getvalue())


def write_frame(
    folder: Path,
    name: str,
    frame: pd.DataFrame,
    shard_mb: int = 256,
    by: Sequence[str] = (),
    schema: pa.Schema | None = None,
) -> int:
    """`write_shards` for a DataFrame; without a ``schema`` it follows from the columns.

    Rows that agree in the columns ``by`` are in one shard, named by their values (whole numbers
    with five digits), so that rows with new values leave the shards of the others as they were.
    Columns of ``schema`` that the frame lacks are null, and those that it has beside are left out.
    """
    fields = [
        pa.field(column, IMAGE if column == "image" else pa.array(frame[column]).type)
        for column in (frame.columns if schema is None else ())
    ]
    schema = pa.schema(fields) if schema is None else schema
    if not by or frame.empty:
        return write_shards(folder, numbered(name), _rows(frame), schema, shard_mb)
    written = 0
    for key, part in frame.groupby(list(by), dropna=False):
        # Text comes from a table, perhaps of others, and becomes the name of a file.
        names.check("a shard's name,", [value for value in key if isinstance(value, str)])
        values = [value if isinstance(value, str) else f"{value:05d}" for value in key]
        shards = continued("-".join([name, *values]))
        written += write_shards(folder, shards, _rows(part), schema, shard_mb)
    return written


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    columns = frame.columns
    return (dict(zip(columns, row, strict=True)) for row in frame.itertuples(index=False))


def read_frame(path: Path, columns: Sequence[str] | None = None, name: str = "*") -> pd.DataFrame:
    """All shards ``name-*.parquet`` of a folder (or one file), in name order.

    Raises StageError when there is none, or one is damaged.
    """
    shards = sorted(path.glob(f"{name}-*.parquet")) if path.is_dir() else [path]
    if not shards or not all(shard.is_file() for shard in shards):
        raise StageError(f"{path} holds no table: run `dvc repro` for the stage that writes it")
    import pandas as pd

    wanted = list(columns) if columns is not None else None
    frames = []
    for shard in shards:
        with opened(shard) as file:
            frames.append(file.read(columns=wanted).to_pandas())
    return pd.concat(frames, ignore_index=True)


def _take(
    rows: Iterator[dict[str, Any]], most_bytes: int, most_rows: int | None = None
) -> list[dict[str, Any]]:
    """The next rows, up to and with the one that reaches a limit."""
    taken, size = [], 0
    for row in rows:
        taken.append(row)
        size += len(row["image"]["bytes"]) if "image" in row else 200
        if size >= most_bytes or len(taken) == most_rows:
            break
    return taken


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    if "id" in schema.names:
        rows = sorted(rows, key=lambda row: row["id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = iter(rows)
    # Encoded images do not get smaller, and no two are equal: to compress them, look for
    # repetitions or keep their smallest and largest would take longer than all the rest.
    plain = ["image.path" if name == "image" else name for name in schema.names]
    compression = dict.fromkeys(plain, "zstd") | {"image.bytes": "none"}
    try:
        with pq.ParquetWriter(
            path, schema, compression=compression, use_dictionary=plain, write_statistics=plain
        ) as writer:
            while group := _take(waiting, _GROUP_BYTES, _GROUP_ROWS):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
    except OSError as error:
        if error.errno:
            raise _at(path, error) from error
        raise
