"""Every image of every table leads back to where it came from, and a take-down reaches them all.

One small run of the stages on the demo's data, over real HTTP on loopback.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline import cli
from pipeline.celeba import __main__ as celeba
from pipeline.core import tables, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.paths import ANIME, DEMO, DROPPED, FACES, FAILURES, PHOTOS, POSTS, RAW, SPLITS
from pipeline.crawl import __main__ as crawl
from pipeline.dedupe import __main__ as dedupe
from pipeline.demo import build_demo
from pipeline.discover import __main__ as discover
from pipeline.faces import __main__ as faces
from pipeline.provenance import origin as provenance
from pipeline.split import __main__ as split
from pipeline.split import assign
from tests.pipeline.conftest import log_into_fake, write_params

STAGES = [discover, crawl, faces, dedupe, celeba, split]
CHANGES = {
    "compute": {"workers": 1},
    "crawl": {"max_failure_fraction": 0.5},  # the demo's planted faults are many among so few
    "split": {"val": 0.25, "test": 0.25},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which all data stages have run."""
    folder = tmp_path_factory.mktemp("provenance")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        log_into_fake(patch)
        build_demo(DEMO, faces=70, photos=120, seed=1, workers=1)
        write_params(CHANGES)
        for stage in STAGES:
            stage.main()
        yield folder


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def trace(name: str) -> dict[str, list[str]]:
    """What each label says, in order."""
    answer: dict[str, list[str]] = {}
    for label, value in provenance.trace(name):
        answer.setdefault(label, []).append(value)
    return answer


def first(table: Path, **values: object) -> pd.Series:
    frame = tables.read_frame(table)
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame.iloc[0]


def test_every_anime_face_of_the_splits_leads_to_its_post() -> None:
    posts = tables.read_frame(POSTS).set_index(["source", "post_id"])
    for name in assign.SPLITS:
        for row in tables.read_frame(SPLITS / name, name="anime")[:3].to_dict("records"):
            answer, post = trace(row["id"]), posts.loc[(row["source"], row["post_id"])]
            assert answer["post"] == [f"{row['source']}/{row['post_id']}"]
            assert answer["url"] == [post["url"]] and answer["face"] == [row["id"]]
            assert answer["split"] == [name] and answer["raw id"] == [row["raw_id"]]
            assert answer["artist"] == [post["artist"]] and answer["tags"] == [post["tags"]]
            assert answer["source link"] == [post["source_link"]]
            assert answer["licence"] == [post["licence"] or "not stated"]
            assert answer["face box"][0].startswith(f"{round(row['box_w'])}×")
            shards = [Path(shard).parent.as_posix() for shard in answer["in"]]
            folders = [RAW, POSTS.parent, SPLITS / name, ANIME, FACES]
            assert shards == [folder.as_posix() for folder in folders]
            assert "note" not in answer


def test_every_photo_of_the_splits_leads_to_its_file() -> None:
    row = tables.read_frame(SPLITS / "val", name="photos").iloc[0]
    labels = first(PHOTOS, id=row["id"])
    for name in (row["id"], row["id"][:12], row["file"]):
        answer = trace(name)
        assert answer["photo"] == [row["id"]] and answer["split"] == ["val"]
        assert answer["CelebA file"] == [row["file"]]
        assert answer["identity"] == [str(row["identity"])]
        assert ("Smiling" in answer["labels"][0]) == labels["Smiling"]
        assert f"hair: {row['hair']}" in answer["attributes"][0]


def test_all_names_of_a_post_give_one_answer_with_all_its_faces() -> None:
    page = tables.read_frame(FACES).groupby(["source", "post_id"]).filter(lambda f: len(f) > 1)
    row = first(RAW / "raw-booru-00000.parquet", post_id=page.iloc[0]["post_id"])
    expected = trace(row["id"])
    mine = page[page["raw_id"] == row["id"]]
    assert sorted(expected["face"]) == sorted(mine["id"])
    assert expected["size"] == [f"{row['width']}×{row['height']}"]
    assert expected["created"] == [str(row["created_at"])]
    for name in (row["id"][:10], row["md5"], row["url"], f"booru/{row['post_id']}"):
        assert trace(name) == expected


def test_a_copy_that_was_dropped_leads_to_the_kept_face_and_back() -> None:
    dropped = tables.read_frame(DROPPED / "anime.parquet")
    copy = dropped[~dropped["id"].isin(dropped["kept_id"])].iloc[0]
    answer = trace(copy["id"])
    assert answer["post"] == [f"{copy['source']}/{copy['post_id']}"]
    assert answer["dropped"][0].startswith(f"a copy of {copy['kept_id']}: {copy['verdict']}")
    assert "split" not in answer
    kept = trace(copy["kept_id"])
    assert any(line.startswith(copy["id"]) for line in kept["copy"])
    assert copy["raw_id"] in kept["take down"][0]


def test_the_command_prints_lines_and_exits_1_on_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(name: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["face2anime", "provenance", name])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]

    face = first(SPLITS / "test" / "anime-booru-00000.parquet")["id"]
    code, out, err = run(face)
    assert code == 0 and not err and f"face         {face}" in out.splitlines()
    code, out, err = run("booru/absent")
    assert code == 1 and not out and err.count("\n") == 1
    assert err.startswith("face2anime: no image 'booru/absent' in any table")


def test_a_prefix_of_several_ids_lists_them_and_a_short_one_is_none(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"id": [f"abcdef{n}" for n in range(7)], "file": list("abcdefg")})
    tables.write_file(PHOTOS / "photos-00000.parquet", rows)
    with pytest.raises(StageError, match=r"'abcdef' may be 7 images.*: abcdef0, .*abcdef4, …$"):
        provenance.trace("abcdef")
    with pytest.raises(StageError, match="no image 'abcde' in the tables that are here"):
        provenance.trace("abcde")


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_name_that_is_none_is_refused(tmp_path, monkeypatch, name: str) -> None:
    """No md5 is what many posts have."""
    monkeypatch.chdir(tmp_path)
    row = dict.fromkeys(["source", "post_id", "url", "md5"], "")
    tables.write_file(POSTS, pd.DataFrame([row, row]))
    with pytest.raises(StageError, match=f"no image '{name}' in the tables that are here"):
        provenance.trace(name)


def test_bytes_that_two_sources_have_are_shown_at_either(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for source in ("a", "b"):
        row = {
            "id": "abcdef",
            "source": source,
            "post_id": "1",
            "url": f"http://{source}.example/1",
        }
        tables.write_file(RAW / f"raw-{source}-00000.parquet", pd.DataFrame([row]))
    assert trace("a/1")["same bytes"] == ["b/1  http://b.example/1"]
    assert trace("http://b.example/1")["same bytes"] == ["a/1  http://a.example/1"]
    assert trace("abcdef")["take down"] == ["in params.yaml, exclude.images: [a/1, abcdef]"]


def test_missing_tables_are_named_with_what_gets_them(tmp_path, project, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError) as error:
        provenance.trace("abcdef")
    message = str(error.value)
    assert "`dvc pull data/splits data/anime" in message and "data/photos`" in message
    assert message.endswith("`dvc repro celeba discover crawl faces dedupe split`")
    # Who pulled the splits only still learns the post.
    shutil.copytree(project / SPLITS, SPLITS)
    row = first(SPLITS / "test" / "anime-booru-00000.parquet")
    answer = trace(row["id"])
    assert answer["url"] == [row["url"]] and answer["raw id"] == [row["raw_id"]]
    assert "dvc pull data/anime" in answer["note"][0]


@pytest.mark.parametrize("table", [ANIME, PHOTOS, FACES])
def test_the_folders_of_images_are_read_whole(table: Path) -> None:
    rows = pd.read_parquet(table)
    assert len(rows) > 40 and rows["id"].notna().all()
    assert {path.suffix for path in table.iterdir()} == {".parquet"}


def test_what_provenance_says_to_exclude_takes_an_image_out_of_all_tables(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in params: the face, its post, its copies and a photo are in no table any more."""
    copied = tables.read_frame(DROPPED / "anime.parquet")["kept_id"].iloc[0]
    photo = first(SPLITS / "train" / "photos-00000.parquet")
    images = [
        name
        for asked in (copied, photo["file"])
        for name in yaml_files.loads(trace(asked)["take down"][0].partition("images: ")[2])
    ]
    urls = {
        row["url"]
        for row in tables.read_frame(RAW, name="raw").to_dict("records")
        if row["id"] in images
    }
    assert len(urls) >= 2

    shutil.copytree(project, tmp_path / "again", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "again")
    log_into_fake(monkeypatch)
    write_params({**CHANGES, "exclude": {"images": images}})
    for stage in STAGES:
        stage.main()
    gone = {copied, photo["id"], photo["file"], *urls}
    assert trace_fails(copied) and trace_fails(photo["file"])
    for path in Path("data").rglob("*.parquet"):
        # A copy that is known by its bytes alone is still a post, and a failure, of its source.
        if path not in (POSTS, FAILURES) and not path.is_relative_to(DEMO):
            assert not tables.read_frame(path).astype("str").isin(gone).any(axis=None), path
    assert len(set(tables.read_frame(POSTS)["url"]) & urls) == len(urls) - 1
    assert (tables.read_frame(FAILURES)["outcome"] == "excluded").sum() == len(urls) - 1


def trace_fails(name: str) -> bool:
    with pytest.raises(StageError, match="no image"):
        provenance.trace(name)
    return True
