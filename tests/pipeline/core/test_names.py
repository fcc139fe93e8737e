"""A name leads into no other folder and no shell, whoever reads it; what we empty is ours."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from crawl.errors import CrawlError
from crawl.names import NAME
from crawl.sources.base import parse_source
from models import variants
from models.errors import ModelError
from pipeline.core import names, params, paths, tables, yaml_files
from pipeline.core.errors import StageError
from tests.project import ROOT, environment

BAD = [
    "../../victim", "/tmp/victim", "a/b", "x; touch y", "$(touch y)", "`touch y`", "a'b", "-x",
    "<script>alert(1)</script>", "a\ntouch y", "a'\ntouch y\n'", "a b", "a.b", "${variants}", "a@b",
    "", "é", "1", "a" * 65, 1, None, True,
]  # fmt: skip
PACKAGES = ("crawl", "face2anime", "models", "pipeline")
CLEAN = ["a", "Z-9_", "xgan_all", "a" * 64]


@pytest.mark.parametrize("name", [*BAD, *names.STAGES], ids=repr)
def test_a_name_that_is_none_is_refused_when_params_are_read(tmp_path: Path, name) -> None:
    path = tmp_path / "params.yaml"
    content = yaml_files.read(ROOT / "params.yaml")
    path.write_text(yaml_files.dumps(content | {"variants": {name: {}}}), encoding="utf-8")
    with pytest.raises(StageError, match="variant .*name") as caught:
        params.load(params.Demo, path)
    assert "\n" not in str(caught.value)
    content["discover"]["sources"][0]["name"] = name
    path.write_text(yaml_files.dumps(content), encoding="utf-8")
    with pytest.raises(StageError, match="sources.*name") as caught:
        params.load(params.Discover, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in BAD if isinstance(name, str) and name])
def test_crawl_and_models_refuse_it_too(name: str) -> None:
    with pytest.raises(CrawlError, match="name"):
        parse_source({"name": name, "type": "gallery", "url": "http://a.example/"})
    with pytest.raises(ModelError, match="a name is"):
        variants.variant_from_dict({}, name)


EVERY = ["a.b", "a b", "a/b", "../x", "recognizer", "celeba", "on", "No", "2", 2, "ä", True]


@pytest.mark.parametrize("name", EVERY, ids=repr)
@pytest.mark.parametrize("stage", names.STAGES)
def test_every_stage_refuses_it_before_it_writes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, name: object
) -> None:
    monkeypatch.chdir(tmp_path)
    content = yaml_files.read(ROOT / "params.yaml") | {"variants": {"fine": {}, name: {}}}
    Path("params.yaml").write_text(yaml_files.dumps(content), encoding="utf-8")
    main = importlib.import_module(f"pipeline.{stage}.__main__").main
    with pytest.raises(StageError, match="variant .*name") as caught:
        main(*(["fine"] if stage in ("train", "evaluate") else []))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["params.yaml"]


def test_clean_names_pass_and_the_pattern_is_one() -> None:
    names.check("variant", CLEAN)
    assert variants.NAME == NAME
    assert set(names.STAGES) == set(yaml_files.read(ROOT / "dvc.yaml")["stages"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A DVC repository with the stage `train` of dvc.yaml, less what it reads, and a victim."""
    root = tmp_path / "a project"
    root.mkdir()
    train = yaml_files.read(ROOT / "dvc.yaml")["stages"]["train"] | {"params": ["variants"]}
    del train["deps"]
    (root / "dvc.yaml").write_text(yaml_files.dumps({"stages": {"train": train}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=root, check=True)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("precious")
    return root


# A name that climbs gives two of the stage's outputs one path, and DVC refuses that by itself;
# any other one reaches our command, quoted.
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../victim", "already specified"),
        ("../../../victim", "already specified"),
        ("a/../../../victim", "already specified"),
        ("x; touch y", "a name is a letter"),
        ("a'\ntouch y\n'", "failed to run"),
    ],
)
def test_dvc_reaches_no_shell_and_no_other_folder(repository: Path, name: str, said: str) -> None:
    content = yaml_files.read(ROOT / "params.yaml") | {"variants": {name: {}}}
    (repository / "params.yaml").write_text(yaml_files.dumps(content))
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=repository, env=environment(PYTHONPATH=str(ROOT)), text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode and said in done.stdout + done.stderr, done.stdout + done.stderr
    assert (repository.parent / "victim/file").read_text() == "precious"
    assert not list(repository.parent.rglob("y"))


def test_only_folders_of_outputs_are_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, victim = tmp_path / "project", tmp_path / "victim"
    for folder in (project / "data/faces", project / "models", victim / "data"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (project / "data/link").symlink_to(victim / "data")
    monkeypatch.chdir(project)
    outside = ["../victim/data", "reports/../../victim/data", str(victim / "data"), "data/link"]
    for path in ["data", "models", ".", "..", "data/../models", "data/link/deeper", *outside]:
        with pytest.raises(StageError, match="is left alone"):
            paths.remove_folder(Path(path))
        with pytest.raises(StageError, match="is left alone"), tables.new_folder(Path(path)):
            pass
    assert len([path for path in tmp_path.rglob("file") if path.is_file()]) == 3
    assert not list(tmp_path.rglob("*.part"))
    paths.remove_folder(Path("data/faces"))
    assert not Path("data/faces").exists()
    # A whole folder of outputs may be a link to a larger disk.
    (project / "checkpoints").symlink_to(victim)
    paths.remove_folder(Path("checkpoints/data"))
    assert not (victim / "data").exists()


def test_nothing_else_removes_folders() -> None:
    spared = {"pipeline/core/paths.py", "pipeline/celeba/download.py"}  # this what it unpacked
    for path in [file for room in PACKAGES for file in (ROOT / room).rglob("*.py")]:
        name = path.relative_to(ROOT).as_posix()
        assert "rmtree" not in path.read_text(encoding="utf-8") or name in spared, name
