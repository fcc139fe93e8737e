"""We read YAML as DVC does: what it writes into params.yaml, we read back."""

from __future__ import annotations

import ast
import datetime
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides  # what `dvc exp run -S` writes with
from dvc.utils.serialize import load_yaml

from pipeline import profiles
from pipeline.core import params, yaml_files
from pipeline.core.errors import StageError

ROOT = Path(__file__).resolve().parents[3]
READERS = ("yaml_files.py", "profiles.py")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no", "no"), ("a: on", "on"), ("a: Yes", "Yes"), ("a: true", True), ("a: 1_000", 1000),
        ("a: 1e-3", 0.001), ("a: 0o17", 15), ("a: 017", 17), ("a: 0x1F", 31), ("a: 1:30", "1:30"),
        ("a: null", None), ("a: ~", None), ("a:", None), ("a: .inf", float("inf")),
        ("a: 2020-01-01", datetime.date(2020, 1, 1)), ("b: &x 1\na: *x", 1),
        ("b: &x {c: 1}\na:\n  <<: *x", {"c": 1}), ("\ufeffa: 1", 1), ("a: 1\r\nb: 2\r\n", 1),
        ("%YAML 1.1\n---\na: no", False), ("1: 2\na: 3", 3), ("a: ${b}", "${b}"),
    ],
)  # fmt: skip
def test_values_are_those_that_dvc_reads(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode())
    assert yaml_files.read(path)["a"] == value
    assert yaml_files.read(path) == load_yaml(path)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null", "- 1\n- 2", "word"])
def test_what_has_no_sections_is_read_as_dvc_reads_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert yaml_files.read(path) == load_yaml(path)
    with pytest.raises(StageError, match=r"params\.yaml holds no sections"):
        params.read_yaml(path)


@pytest.mark.parametrize(
    "text",
    [
        b"a: 1\na: 2", b"a:\n\tb: 1", b"a: [1", b"a: *nothing", b"a: 2020-13-45", b"a: !!int x",
        b"a: 1\n---\nb: 2", b"a: !ours 1", b"!!python/object:os.x {}", b"? {a: 1}\n: 1",
        b"<<: 1", b"a: \x00", b"a: \xff", b"a: - b", b"a: =", b"[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(StageError, match=r"params\.yaml is not (valid YAML|UTF-8)") as caught:
        yaml_files.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["train: {1: 2}", "train: [1]", "train: {seed: 2020-01-01}"])
def test_keys_that_are_no_words_and_values_of_another_kind(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(StageError, match=r"params\.yaml: section 'train'") as caught:
        params.load(params.Train, path)
    assert "\n" not in str(caught.value)


def values_of(path: Path) -> dict[str, object]:
    sections = {name: params.load(model, path) for name, model in params.SECTIONS.items()}
    return {**sections, "variants": params.load_variants(path)}


@pytest.mark.parametrize("profile", profiles.names(ROOT / "profiles"))
def test_every_value_is_the_same_after_dvc_has_written(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(profiles.merged(profile, ROOT / "profiles"), encoding="utf-8")
    before = values_of(path)
    apply_overrides(path, ["recognizer.images=6400"])
    after = values_of(path)
    assert after["recognizer"].images == 6400
    same = {"recognizer": before["recognizer"].model_copy(update={"images": 6400})}
    assert after == before | same


def test_no_other_module_reads_yaml() -> None:
    for path in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("tests/**/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        reads = {name.split(".")[0] for name in names} & {"yaml", "ruamel"}
        assert not reads or path.name in READERS, path
