"""The one reader of CelebA's tables: what a file is, is told by what is in it, not by its name.

Known are the official text (a count of rows, names of columns, rows), Kaggle's CSV, and what
becomes of them on the way: without the count, without a header, another separator, a byte order
mark.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.errors import StageError

_FORM = (
    "a header of column names (before it a count of rows, or none), and rows of a file name and "
)
_FORM += "numbers"
_FILE = re.compile(r"(?i)\.(jpe?g|png|webp)$")


def read(path: Path, *, header: bool = True) -> pd.DataFrame:
    """Numbers by file name, int32, or float64 where some are no whole ones.

    Folders before a name are left out. Columns are called as the header says, or 0, 1, ….

    Args:
        path: the file.
        header: whether it must have one.

    Raises StageError that names the file and what it should hold.
    """
    lines = _lines(path)
    count = int(lines.pop(0)) if lines and re.fullmatch(r"\d+", lines[0]) else None
    if not lines:
        raise _malformed(path, "it is empty")
    comma = "," in lines[0] or (len(lines) > 1 and "," in lines[1])
    names = _cells(lines[0], comma)
    headed = not (_is_number(names[-1]) or _FILE.search(names[0]))
    if headed:
        lines.pop(0)
    elif header:
        raise _malformed(path, f"its first line is {lines[0][:60]!r}, no header")
    width = len(_cells(lines[0], comma)) if lines else len(names) + 1
    columns: list[str | int] = [*range(width - 1)]
    if headed:
        columns = [*names[len(names) - width + 1 :]]
    if headed and len(names) not in (width, width - 1):
        raise _malformed(path, f"{len(names)} column names, '{names[0]}' …, head rows of {width}")
    if count is not None and len(lines) != count:
        raise _malformed(path, f"it announces {count} images, has {len(lines)} rows")
    return _numbers(path, lines, comma, columns)


def _lines(path: Path) -> list[str]:
    """Lines with something on them. Raises StageError for what is no text."""
    try:
        data = path.read_bytes()
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise _malformed(path, f"it is no text: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _cells(line: str, comma: bool) -> list[str]:
    return [cell.strip().strip('"') for cell in (line.split(",") if comma else line.split())]


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+(\.\d*)?", cell))


def _numbers(path: Path, lines: list[str], comma: bool, columns: list[str | int]) -> pd.DataFrame:
    text = io.StringIO("\n".join(lines))
    try:
        table = pd.read_csv(
            text,
            sep="," if comma else r"\s+",
            header=None,
            names=["", *map(str, columns)],
            index_col=0,
            dtype={0: str},
            skipinitialspace=True,
        ).astype(float)
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
