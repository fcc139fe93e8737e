"""One truth for every knob: the demo has all of them, a profile only what differs."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides  # what `dvc exp run -S` writes with
from typer.testing import CliRunner

from models.variants import variant_from_dict
from pipeline import cli, profiles
from pipeline.core import params, yaml_files
from pipeline.core.errors import StageError
from tests.project import ROOT, environment

FOLDER = ROOT / "profiles"
NAMES = profiles.names(FOLDER)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the profiles, and ``params.yaml`` in git."""
    (tmp_path / "profiles").mkdir()
    for path in FOLDER.glob("*.yaml"):
        (tmp_path / "profiles" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    profiles.use("demo")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], env=environment(), check=True)
    return tmp_path


def changed_lines(before: str, after: str) -> list[str]:
    """The new or gone lines."""
    return [line[2:] for line in difflib.ndiff(before.splitlines(), after.splitlines())
            if line.startswith(("+ ", "- "))]  # fmt: skip


def test_params_are_the_demo_profile() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (FOLDER / "demo.yaml").read_bytes()


# Sections that are defined by the settings of crawl and models: those have defaults of their own.
DERIVED = {"web", "crawl", "recognizer", "train"}


def test_the_demo_names_every_knob_and_no_default_differs() -> None:
    demo = yaml_files.read(FOLDER / "demo.yaml")
    assert list(demo) == [*params.SECTIONS, params.VARIANTS]
    for section, model in params.SECTIONS.items():
        assert set(demo[section]) == set(model.model_fields), section
        shown = params.load(model, FOLDER / "demo.yaml")
        for key, field in model.model_fields.items():
            if not field.is_required() and section not in DERIVED:
                assert getattr(shown, key) == field.default, f"{section}.{key}"


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_valid(tmp_path: Path, name: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(profiles.merged(name, FOLDER), encoding="utf-8")
    for model in params.SECTIONS.values():
        params.load(model, path)
    for variant, row in params.load_variants(path).items():
        variant_from_dict(row, variant)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_profile_has_only_what_differs_and_the_rest_is_the_demos(name: str) -> None:
    demo, profile = (yaml_files.read(FOLDER / f"{each}.yaml") for each in ("demo", name))
    merged = yaml_files.loads(profiles.merged(name, FOLDER))
    assert merged.pop("variants") == profile.pop("variants") != demo.pop("variants")
    for section, values in profile.items():
        for key, value in values.items():
            assert value != demo[section][key], f"{name}: {section}.{key} is the demo's"
    assert merged == {name: values | profile.get(name, {}) for name, values in demo.items()}


def scalars(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every number, by its dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= scalars(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = value
    return found


@pytest.mark.parametrize("name", NAMES)
def test_dvc_changes_one_line_for_one_value(tmp_path: Path, name: str) -> None:
    before, path = profiles.merged(name, FOLDER), tmp_path / "params.yaml"

    def after(*changes: str) -> str:
        path.write_text(before, encoding="utf-8")
        apply_overrides(path, list(changes))
        return path.read_text(encoding="utf-8")

    seed = yaml_files.loads(before)["train"]["seed"]
    assert after(f"train.seed={seed}") == before
    assert len(changed_lines(before, after("train.seed=1234567"))) == 2  # one gone, one new
    assert len(changed_lines(before, after("compute.resident=true"))) == 2
    assert len(changed_lines(before, after("discover.inputs=elsewhere"))) == 2
    numbers = {key: value for key, value in scalars(yaml_files.loads(before)).items()
               if not key.startswith("variants.")}  # fmt: skip
    changes = [f"{key}={value + 3}" for key, value in numbers.items()]
    assert len(changed_lines(before, after(*changes))) == 2 * len(numbers)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_written_as_dvc_dumps(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert yaml_files.dumps(yaml_files.loads_commented(text)) == text


def test_comments_are_kept_and_a_profiles_own_win() -> None:
    text = profiles.merged("local", FOLDER)
    assert text.startswith((FOLDER / "local.yaml").read_text(encoding="utf-8").partition("\n")[0])
    assert "web: # files need no politeness\n" in text
    assert "  rate: 1 # requests a second and host; a real site gets 1 or 2\n" in text
    assert "  eye_distance: 0.34 # of the side\n" in text
    assert "\n\n\n" not in text and text.count("\n\n") == len(params.SECTIONS) + 1


def test_the_story_is_the_demos_data_with_the_rows_of_the_full_profile() -> None:
    story, full = (yaml_files.read(FOLDER / f"{name}.yaml") for name in ("story", "full"))
    assert list(story) == ["train", "variants"]
    assert list(story["variants"]) == list(full["variants"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trian: {seed: 1}", "mine.yaml: unknown section 'trian' — did you mean 'train'?"),
        ("train: {sed: 1}", "mine.yaml: section 'train': unknown key 'sed' — did you mean 'seed'?"),
        ("train: 3", "mine.yaml: section 'train' is no list of keys"),
        ("- 1", "mine.yaml holds no sections"),
        ("train: {", "mine.yaml is not valid YAML"),
    ],
)
def test_a_mistake_in_a_profile_is_one_line(project: Path, text: str, said: str) -> None:
    before = Path("params.yaml").read_bytes()
    Path("profiles/mine.yaml").write_text(text)
    with pytest.raises(StageError) as caught:
        profiles.use("mine")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert Path("params.yaml").read_bytes() == before


def test_nobodys_edits_are_lost(project: Path) -> None:
    profiles.use("full")  # the demo's are in git
    profiles.use("local")  # the full profile's are in profiles/
    assert Path("params.yaml").read_text(encoding="utf-8") == profiles.merged("local")
    edited = profiles.merged("local").replace("seed: 1", "seed: 2")
    Path("params.yaml").write_text(edited, encoding="utf-8")
    with pytest.raises(StageError, match="changes that no commit and no profile has.*--force"):
        profiles.use("full")
    assert Path("params.yaml").read_text(encoding="utf-8") == edited
    subprocess.run(["git", "commit", "-qam", "mine"], env=environment(), check=True)
    profiles.use("full")
    Path("params.yaml").write_bytes(b"\xff")
    profiles.use("demo", force=True)


@pytest.mark.parametrize("git", [True, False])
def test_a_missing_file_is_written_also_without_git(project: Path, git: bool, monkeypatch) -> None:
    Path("params.yaml").unlink()
    if not git:
        monkeypatch.setenv("PATH", "")
    profiles.use("story")
    profiles.use("demo")
    assert Path("params.yaml").read_bytes() == (FOLDER / "demo.yaml").read_bytes()


def test_the_command_lists_and_writes(project: Path) -> None:
    said = CliRunner().invoke(cli.app, ["profile"]).output.splitlines()
    assert [line.split()[0] for line in said] == NAMES
    assert said[0] == "demo     The embedded data, sized for two CPU cores."
    assert CliRunner().invoke(cli.app, ["profile", "full"]).exit_code == 0
    assert Path("params.yaml").read_text(encoding="utf-8") == profiles.merged("full")
    with pytest.raises(StageError, match="no profile 'ful' — did you mean 'full'"):
        profiles.use("ful")
