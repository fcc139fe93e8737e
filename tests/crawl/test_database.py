"""What a crawl remembers is only a cache: damage costs asking again, and stops no crawl."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crawl.database import open_database
from crawl.parts import write_whole
from crawl.run import crawl
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site
from tests.crawl.test_run import outcomes, serve_images


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 300)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(255 - byte for byte in data[4096:])
    path.write_bytes(bytes(data))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_table(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE outcomes (one TEXT)")


@pytest.mark.parametrize("damage", [garbage, cut, flipped, folder, other_table])
def test_a_damaged_one_is_set_aside_once_and_the_crawl_gives_the_same(
    damage: Any, site: Site, connect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posts, settings = serve_images(site, 30), quick()
    first = list(crawl(posts, settings, tmp_path, connect(settings)))
    damage(tmp_path / "crawl.sqlite")
    capsys.readouterr()
    again = list(crawl(posts, settings, tmp_path, connect(settings)))
    assert again == first
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "sqlite" in line]
    assert "begun anew" in line
    assert list(crawl(posts, settings, tmp_path, connect(settings))) == first
    assert "begun anew" not in capsys.readouterr().err
    assert len(list(tmp_path.glob("crawl.sqlite.damaged-*"))) == 1


def test_what_is_not_the_files_fault_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "crawl.sqlite"
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_database(path)


@pytest.mark.parametrize("limit", ["max_bytes", "max_pixels"])
def test_limits_are_judged_again_on_what_is_kept(
    limit: str, site: Site, connect: Any, tmp_path: Path
) -> None:
    """The same params give the same results with a full and with an empty cache."""
    posts, wide = serve_images(site, 12), quick()
    assert outcomes(list(crawl(posts, wide, tmp_path / "full", connect(wide)))) == {"ok": 12}
    small = {"max_bytes": 100, "max_pixels": 255}[limit]
    narrow = quick(**{limit: small}, max_failure_fraction=1)
    full = list(crawl(posts, narrow, tmp_path / "full", connect(narrow)))
    empty = list(crawl(posts, narrow, tmp_path / "empty", connect(narrow)))
    assert full == empty
    assert "too_large" in outcomes(full)


def test_a_write_that_takes_a_part_goes_on() -> None:
    class Almost:
        """A disk with room for a little at a time."""

        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += bytes(data[:3])
            return min(3, len(data))

    file: Any = Almost()
    write_whole(file, b"0123456789")
    assert file.data == b"0123456789"
