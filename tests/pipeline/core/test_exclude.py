"""A take-down that names nothing is no take-down, and whoever asked for it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import params, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.exclude import FOUND, Exclusions

POSTS = pd.DataFrame(
    {
        "url": ["http://a.example/1.png", "http://a.example/2.png"],
        "source": "booru",
        "post_id": ["1", "2"],
        "md5": ["aa", "bb"],
        "tags": ["1girl smile", "sky"],
    }
)
FACES = pd.DataFrame({"id": ["f1", "f2"], "raw_id": ["r1", "r2"]})


@pytest.mark.parametrize(
    ("images", "tags"),
    [(["http://a.example/1.png"], []), (["booru/2"], []), (["bb"], []), ([], ["sky"]), ([], [])],
)
def test_what_names_something_passes(images: list[str], tags: list[str], tmp_path: Path) -> None:
    exclusions = Exclusions(images, tags)
    exclusions.mask(POSTS)
    exclusions.check_new(tmp_path, tmp_path / "dvc.lock")


@pytest.mark.parametrize(
    ("images", "tags", "told"),
    [
        (["http://a.example/3.png"], [], "exclude.images: http://a.example/3.png"),
        (["booru/1", "boru/2"], [], "1 in params.yaml name nothing .*boru/2"),
        (["f1", "f" * 64], [], "exclude.images: f{64}"),
        ([], ["skyy"], "exclude.tags: skyy"),
    ],
)
def test_a_slip_of_the_pen_is_an_error(
    images: list[str], tags: list[str], told: str, tmp_path: Path
) -> None:
    exclusions = Exclusions(images, tags)
    exclusions.mask(POSTS)
    exclusions.mask(FACES)
    with pytest.raises(StageError, match=told) as caught:
        exclusions.check_new(tmp_path, tmp_path / "dvc.lock")
    assert "took nothing down" in str(caught.value) and "\n" not in str(caught.value)


def test_each_stage_tells_the_last_one(tmp_path: Path) -> None:
    discover, faces = Exclusions(["booru/1", "r2"]), Exclusions(["booru/1", "r2"])
    discover.mask(POSTS)
    faces.mask(FACES)
    assert (discover.told(), faces.told()) == ({FOUND: ["booru/1"]}, {FOUND: ["r2"]})
    for name, each in (("discover", discover), ("faces", faces)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"posts": 2, **each.told()}))
    Exclusions(["booru/1", "r2"]).check_new(tmp_path, tmp_path / "dvc.lock")
    assert Exclusions().told() == {}  # metrics of a project without take-downs are as they were


def test_the_second_name_of_an_image_counts_by_the_tables_of_before(tmp_path: Path) -> None:
    FACES.to_parquet(tmp_path / "faces.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    exclusions = Exclusions(["booru/1", "r1", "r9"])
    exclusions.look_in(tmp_path)
    assert exclusions.told() == {FOUND: ["r1"]}


def test_what_was_accepted_once_stays_accepted(tmp_path: Path) -> None:
    """A site that lost the image since must not stop every later run."""
    lock = tmp_path / "dvc.lock"
    known = {"params.yaml": {"exclude": {"images": ["booru/77"], "tags": ["gone"]}}}
    lock.write_text(yaml_files.dumps({"stages": {"split": {"params": known}}}))
    Exclusions(["booru/77"], ["gone"]).check_new(tmp_path, lock)
    with pytest.raises(StageError, match="booru/78"):
        Exclusions(["booru/77", "booru/78"]).check_new(tmp_path, lock)


def test_a_stage_asks_one_object() -> None:
    exclude = params.Exclude(images=("booru/1",))
    exclude.exclusions().mask(POSTS)
    assert exclude.exclusions().told() == {FOUND: ["booru/1"]}
