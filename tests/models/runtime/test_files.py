"""One way to write a file: whole or not at all, also by two at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.runtime.files import remove, replacing, write_bytes


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "weights"
    write_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path):
    path = tmp_path / "new" / "weights"
    with replacing(path) as one, replacing(path) as other:
        one.write(b"one")
        other.write(b"other")
        assert one.name != other.name
    assert path.read_bytes() == b"one"  # whose block ended last


def test_what_a_killed_writer_left_goes_with_its_file(tmp_path: Path):
    path, beside = tmp_path / "state.pt", tmp_path / ".state.pt.1-ab.tmp"
    for file in (path, beside, tmp_path / "state.pt2"):
        file.write_bytes(b"")
    remove(path)
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt2"]
