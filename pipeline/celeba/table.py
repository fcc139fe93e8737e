"""The one reader of CelebA's tables: what a file is, is told by what is in it, not by its name.

Known are the official text (a count of rows, names of columns, rows), Kaggle's CSV, and what
becomes of them on the way: without the count, without a header, another separator, order or
encoding, rows that a spreadsheet numbered or filled up.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from crawl import texts
from pipeline.core.errors import StageError

_FORM = (
    "a header of column names (before it a count of rows, or none), and rows of a file name and "
)
_FORM += "numbers"
_FILE = re.compile(r"(?i)\.(jpe?g|png|webp)$")
_SEPARATORS = ",;|"
_NUMBERING = texts.NUMBERING | {"0"}  # no label is called so


def read(path: Path, *, header: bool = True) -> pd.DataFrame:
    """Numbers by file name, int32, or float64 where some are no whole ones.

    Folders before a name are left out. Columns are called as the header says, or 0, 1, …. The names
    stand first unless another column has them, as in an exported table whose rows are numbered.

    Args:
        path: the file.
        header: whether it must have one.

    Raises StageError that names the file and what it should hold.
    """
    lines = _lines(path)
    separator = _separator(lines)
    lines = [_tidy(line, separator) for line in lines]
    count = int(lines.pop(0)) if lines and re.fullmatch(r"\d+", lines[0]) else None
    if not lines:
        raise _malformed(path, "it is empty")
    names = _cells(lines[0], separator)
    headed = not (_is_number(names[-1]) or any(map(_FILE.search, names)))
    if headed:
        lines.pop(0)
    elif header:
        raise _malformed(path, f"its first line is {lines[0][:60]!r}, no header")
    if not lines:
        raise _malformed(path, "it has no rows")
    first = _cells(lines[0], separator)
    place = next((n for n, cell in enumerate(first) if _FILE.search(cell)), 0)
    columns: list[str | int] = [*range(len(first) - 1)]
    if headed and len(names) not in (len(first), len(first) - 1):
        width = len(first)
        raise _malformed(path, f"{len(names)} column names, '{names[0]}' …, head rows of {width}")
    if headed:
        columns = [*names] if len(names) < len(first) else [*names[:place], *names[place + 1 :]]
    if count is not None and len(lines) != count:
        raise _malformed(path, f"it announces {count} images, has {len(lines)} rows")
    return _numbers(path, lines, separator, columns, place)


def _lines(path: Path) -> list[str]:
    """Lines with something on them. Raises StageError for what is no text."""
    try:
        text = texts.decoded(path.read_bytes()).replace("\x1a", "")  # DOS's end of a file
    except (OSError, UnicodeError) as error:
        raise _malformed(path, f"it is no text: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _separator(lines: list[str]) -> str:
    """What stands between cells; one blank where it is blanks or tabs."""
    start = "".join(lines[:2])
    return next((mark for mark in _SEPARATORS if mark in start), " ")


def _tidy(line: str, separator: str) -> str:
    """``line`` with one separator between cells, and none at its end."""
    return " ".join(line.split()) if separator == " " else line.rstrip(f" \t{separator}")


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip().strip("\"'") for cell in line.split(separator)]


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+(\.\d*)?", cell))


def _numbers(
    path: Path, lines: list[str], separator: str, columns: list[str | int], place: int
) -> pd.DataFrame:
    """The rows; ``place``: the column of names, one of numbers alone before it being left out."""
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=separator,
            header=None,
            names=range(len(columns) + 1),
            index_col=place,
            dtype={place: str},
            skipinitialspace=True,
            quotechar="'" if "'" in lines[0] else '"',
        )
        if 0 < place < len(columns) and str(columns[0]).lower() in _NUMBERING:
            table, columns = table.iloc[:, 1:], columns[1:]
        table = table.astype(float)
    except (ValueError, IndexError, OverflowError) as error:  # the last: of hundreds of digits
        raise _malformed(path, " ".join(str(error).split())) from None
    table.columns, table.index.name = pd.Index(columns), None
    if table.isna().to_numpy().any() or table.index.nlevels != 1:
        raise _malformed(path, "a row has too few cells or too many")
    table.index = table.index.astype(str).str.replace("\\", "/").str.rsplit("/", n=1).str[-1]
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise _malformed(path, f"it lists {twice} twice")
    whole = np.array_equal(table, table.round()) and table.abs().to_numpy().max(initial=0) < 2**31
    return table.astype(np.int32) if whole else table


def _malformed(path: Path, why: str) -> StageError:
    return StageError(f"{path} is malformed ({why}): it must hold {_FORM}; fetch it again")
