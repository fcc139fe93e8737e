"""Images in a column of Parquet files, as data sets on the Hugging Face Hub have them."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from crawl.archives.containers import check_size
from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome

SUFFIX = ".parquet"
_MAX_GROUP = 1 << 30  # bytes of one row group's images, which are read at once
_KEPT = 2  # row groups: threads that read rows in order straddle two at most
_ROWS = 1000  # rows of tags read at once


class Parquet:
    """One Parquet file, or a folder of them. A row's name is ``<file>/<column>/<row number>``,
    without ``<file>`` when there is one file, numbers padded so that names sort as rows do.

    Safe to share by threads. Rows are cheap to read in order and dear at random: a row group is
    read at once, and the last ones are kept.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            files = sorted(path.rglob(f"*{SUFFIX}"))
            self._files = {f"{quote(file.relative_to(path).as_posix())}/": file for file in files}
        else:
            self._files = {"": path}
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}
        self._groups: OrderedDict[tuple[str, str, int], pa.Array] = OrderedDict()

    def rows(self, image: str, tags: str = "") -> Iterator[tuple[str, str]]:
        """(name, tags) of every row, in order.

        Args:
            image: the column of the images: ``struct{bytes, path}`` or binary.
            tags: a column of strings or lists of strings; empty: no tags.

        Raises CrawlError when a column is absent or of another type, ArrowException and OSError
        when a file is damaged.
        """
        for within, file in self._files.items():
            with pq.ParquetFile(file) as table:
                _check_column(file, table.schema_arrow, image, _is_image)
                if tags:
                    _check_column(file, table.schema_arrow, tags, _is_tags)
                words = _tags(table, tags) if tags else iter([""] * table.metadata.num_rows)
                for number, row_tags in enumerate(words):
                    yield f"{within}{quote(image, safe='')}/{number:09}", row_tags

    def read(self, name: str, max_bytes: int) -> bytes:
        """The bytes of a row's image. Raises KeyError when there is none, FetchError (too_large),
        ArrowException and OSError when the file is damaged.
        """
        before, _, number = name.rpartition("/")
        part, slash, column = before.rpartition("/")
        if not number.isdecimal():
            raise KeyError(name)
        with self._lock:
            values, row = self._find(part + slash, unquote(column), int(number))
        if pa.types.is_struct(values.type):
            values = values.field("bytes")
        value = values[row]
        if not value.is_valid:
            raise KeyError(name)
        check_size(len(value.as_buffer()), max_bytes)
        return value.as_py()

    def _find(self, name: str, column: str, row: int) -> tuple[pa.Array, int]:
        """The images of the row group that holds ``row``, and the row's place among them."""
        if name not in self._parts:
            self._parts[name] = _Part(self._files[name])
        part = self._parts[name]
        group = bisect.bisect_right(part.starts, row) - 1
        key = (name, column, group)
        if key not in self._groups:
            self._groups[key] = part.images(column, group)
            while len(self._groups) > _KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key], row - part.starts[group]


class _Part:
    """An open Parquet file. ``starts``: the number of each row group's first row, and of all."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._table = pq.ParquetFile(file)
        meta = self._table.metadata
        rows = (meta.row_group(group).num_rows for group in range(meta.num_row_groups))
        self.starts = list(accumulate(rows, initial=0))

    def images(self, column: str, group: int) -> pa.Array:
        """A column of a row group. Raises KeyError when there is none, FetchError (too_large)."""
        if group >= len(self.starts) - 1 or column not in self._table.schema_arrow.names:
            raise KeyError(column)
        size = _group_bytes(self._table, column, group)
        if size > _MAX_GROUP:
            raise FetchError(
                Outcome.TOO_LARGE,
                f"row group {group} of {self._file} holds {size:,} bytes of images: write the "
                "file with smaller row groups",
            )
        read = self._table.read_row_group(group, columns=[column], use_threads=False)
        return read[column].combine_chunks()


def _group_bytes(table: pq.ParquetFile, column: str, group: int) -> int:
    meta = table.metadata.row_group(group)
    columns = (meta.column(index) for index in range(meta.num_columns))
    return sum(
        part.total_uncompressed_size
        for part in columns
        if part.path_in_schema.partition(".")[0] == column
    )


def _tags(table: pq.ParquetFile, column: str) -> Iterator[str]:
    """Of each row: a list's words, or a string's, which are between commas if it has any."""
    for batch in table.iter_batches(_ROWS, columns=[column], use_threads=False):
        for value in batch.column(0).to_pylist():
            if isinstance(value, str):
                value = value.split("," if "," in value else None)
            yield " ".join("_".join(word.split()) for word in value or [] if word and word.strip())


def _check_column(
    file: Path, schema: pa.Schema, name: str, fits: Callable[[pa.DataType], bool]
) -> None:
    index = schema.get_field_index(name)  # -1 also when two columns have the name
    if index < 0:
        raise CrawlError(f"{file} has no column '{name}' (its columns: {', '.join(schema.names)})")
    kind = schema.field(index).type
    if not fits(kind):
        raise CrawlError(f"{file}: column '{name}' is of type {kind}, which is not what it takes")


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_image(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_tags(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
