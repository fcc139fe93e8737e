"""A mistake in params.yaml ends in one line that names it and the nearest valid key."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core import params, yaml_files
from pipeline.core.errors import StageError

DEMO = Path(__file__).resolve().parents[3] / "profiles/demo.yaml"


def with_change(tmp_path: Path, change) -> Path:
    content = yaml_files.read(DEMO)
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml_files.dumps(content), encoding="utf-8")
    return path


def test_misspelt_key_names_file_section_and_nearest(tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["faces"]["detect_siz"] = content["faces"].pop("detect_size")

    path = with_change(tmp_path, change)
    with pytest.raises(StageError, match=r"params\.yaml.*'faces'.*'detect_siz'.*'detect_size'"):
        params.load(params.Faces, path)


def test_misspelt_section_names_the_nearest(tmp_path: Path) -> None:
    path = with_change(tmp_path, lambda content: content.update(spilt=content.pop("split")))
    with pytest.raises(StageError, match="unknown section 'spilt'.*'split'"):
        params.load(params.Split, path)


def test_missing_section_key_and_file(tmp_path: Path) -> None:
    path = with_change(tmp_path, lambda content: content.pop("dedupe"))
    with pytest.raises(StageError, match="no section 'dedupe'"):
        params.load(params.Dedupe, path)
    path = with_change(tmp_path, lambda content: content["train"].pop("budget_images"))
    with pytest.raises(StageError, match="'train'.*'budget_images' is missing"):
        params.load(params.Train, path)
    with pytest.raises(StageError, match="absent.yaml is missing: `face2anime profile demo`"):
        params.load(params.Train, tmp_path / "absent.yaml")


@pytest.mark.parametrize("value", ["many", -1, None])
def test_ill_typed_value_is_shown(tmp_path: Path, value: object) -> None:
    path = with_change(tmp_path, lambda content: content["train"].update(batch_size=value))
    with pytest.raises(StageError, match=rf"'train'.*'batch_size' is {value!r}"):
        params.load(params.Train, path)


def test_value_and_pattern_are_told_as_they_stand(tmp_path: Path) -> None:
    path = with_change(tmp_path, lambda content: content["celeba"].update(eyes="My.ONNX"))
    with pytest.raises(StageError) as caught:
        params.load(params.Celeba, path)
    line = str(caught.value)
    assert "key 'eyes' is 'My.ONNX': string" in line and r"|mesh|none|.+\.onnx)$'" in line


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(StageError, match=r"params\.yaml is unreadable .*Is a directory") as caught:
        params.load(params.Train, tmp_path / "params.yaml")
    assert "\n" not in str(caught.value) and "face2anime profile demo" in str(caught.value)


@pytest.mark.parametrize(("images", "shown"), [([""], "''"), ([123], "123"), ("a.jpg", "'a.jpg'")])
def test_an_exclusion_that_names_nothing_is_refused(tmp_path: Path, images, shown: str) -> None:
    path = with_change(tmp_path, lambda content: content["exclude"].update(images=images))
    with pytest.raises(StageError, match=f"'exclude.*{shown}") as caught:
        params.load(params.Exclude, path)
    assert "\n" not in str(caught.value)


def test_every_mistake_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "params.yaml"
    broken.write_text("train: [unclosed\nfaces: {", encoding="utf-8")
    with pytest.raises(StageError) as caught:
        params.load(params.Train, broken)
    assert "\n" not in str(caught.value)
