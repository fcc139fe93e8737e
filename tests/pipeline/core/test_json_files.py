"""A JSON file that is not what it claims ends in one line: which file, why, what to do."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.errors import ModelError
from models.recognizer.network import Recognizer
from models.recognizer.training import load_recognizer, save_recognizer
from models.runtime.files import read_config
from models.training.run_file import read_plan
from pipeline.compare import facts, measured, ranking, report
from pipeline.core.errors import StageError
from pipeline.core.exclude import Exclusions
from pipeline.demo import server
from pipeline.split import cards
from pipeline.use import model, verify
from tests.models.helpers import variant
from tests.pipeline.compare.made_up import metrics
from tests.project import ROOT

OURS = (StageError, ModelError)
KIDS = {"photos2anime": {}, "anime2photos": {}}
EDGES: list[Any] = [None, "x", [], {}, [[]], -1, 0.5, 10**400, True, {"a": {"b": ["c"]}}]


@dataclass(frozen=True)
class Reader:
    """Something that reads a JSON file of the folder it is given."""

    file: str
    read: Callable[[Path], Any]
    holds: Callable[[Path], Any]  # writes what belongs beside it; what the file has


def _card(_: Path) -> Any:
    return {"images": 3, "pixels": 64, "attributes": {"hair": {"black": 0.5, "blonde": 0.5}}}


def _checkpoint(folder: Path) -> Any:
    origin = {"template": {"eye_distance": 0.4, "eye_line": 0.4}, "whole": []}
    network = untrained_translator(variant("cyclegan", labels={"hair": ["a", "b"]}), 32, 0)
    save_translator(folder, network, "k", 0, origin)
    return json.loads((folder / "config.json").read_text("utf-8"))


def _recognizer(folder: Path) -> Any:
    save_recognizer(folder, Recognizer({"smile": ["yes", "no"]}, 4, 16))
    return json.loads((folder / "config.json").read_text("utf-8"))


def _row(name: str) -> dict[str, Any]:
    of_gallery = {"width": 3, "height": 3, "artist": name, "licence": "CC0-1.0", "tags": ["x"]}
    return {"id": 1, "file_url": "/a", "path": "/a", "tag_string": "x", "rating": "g", **of_gallery}


def _listing(folder: Path) -> Any:
    return [{"relpath": "a.png", "md5": "0" * 32}]


def _site(folder: Path) -> None:
    posts = server.json_files.read(folder / "posts.json", server._Posts, "dvc repro demo")
    for row in posts["gallery"]:
        server._item(row, "/a")
    for words in ("rating:g", "x"):
        server._booru_page(server._search(posts["booru"], words), "b5", 3)


def _leaderboard(folder: Path) -> None:
    names = ranking.read_metrics(["one"], folder)
    board = ranking.leaderboard(names, "photos2anime")
    report.page(board, {"checks": {}, "winner": {"one": names["one"]["test"]}}, "photos2anime", {})


def _cards(folder: Path) -> None:
    blocks = metrics(0.1)["val"]
    for domain in ("photos", "anime"):
        (folder / domain).mkdir(exist_ok=True)
        (folder / domain / "card.json").write_bytes((folder / "card.json").read_bytes())
    (folder / "datasets").unlink(missing_ok=True)
    (folder / "datasets").symlink_to(folder)
    try:
        facts.data(blocks, folder)
        report._attributes(folder)
    except StageError as error:  # for the test the file is called by its own name
        text = str(error).replace(f"{folder}/datasets/photos/", f"{folder}/photos/")
        raise StageError(text.replace(f"{folder}/photos/", f"{folder}/")) from None


def _overview(folder: Path) -> None:
    sizes = {"train": 1, "val": 1, "test": 1}
    (folder / "dedupe.json").write_text('{"dropped": 3}', "utf-8")
    split, dropped = measured.sizes(folder)
    assert dropped == 3 and {domain: set(split[domain]) >= set(sizes) for domain in split}


READERS = {
    "a translator": Reader("config.json", load_translator, _checkpoint),
    "its key": Reader("config.json", read_config, _checkpoint),
    "a model to use": Reader("config.json", lambda f: model.choose(str(f)), _checkpoint),
    "a recognizer": Reader("config.json", load_recognizer, _recognizer),
    "a training's plan": Reader(
        "run.json",
        lambda folder: read_plan(folder / "run.json"),
        lambda _: {"variant": variant("cyclegan").to_dict(), "settings": {"batch_size": 2}},
    ),
    "a data set's card": Reader("card.json", _cards, _card),
    "a site's posts": Reader(
        "posts.json", _site, lambda _: {"booru": [_row("a")], "gallery": [_row("b")]}
    ),
    "a variant's metrics": Reader("one.json", _leaderboard, lambda _: metrics(0.2)),
    "sizes": Reader(
        "split.json", _overview, lambda _: dict.fromkeys(("photos", "anime"), _counts())
    ),
    "a step of the funnel": Reader(
        "celeba.json",
        lambda folder: cards._funnel("photos", folder, {"images": 3}),
        lambda _: {"listed": 9, "after_male": 4, "after_young": 3, "kept": 2},
    ),
    "a stage on the page": Reader(
        "recognizer.json",
        lambda folder: report._stage(_reports(folder), "recognizer"),
        lambda _: {"evaluation": {"photos": {"smile": {"balanced": 0.9, "chance": 0.5}}}},
    ),
    "what was taken down": Reader(
        "faces.json",
        lambda folder: Exclusions().check_new(folder, folder / "dvc.lock"),
        lambda _: {"exclude_found": ["a"], "faces": 3},
    ),
    "DVC's list of a folder": Reader(
        "x.dir",
        lambda folder: list(verify.listed(folder / "x.dir", Path("data"))),
        _listing,
    ),
}


def _counts() -> dict[str, int]:
    return {"train": 4, "val": 1, "test": 1}


def _reports(folder: Path) -> Path:
    (folder / "metrics").unlink(missing_ok=True)
    (folder / "metrics").symlink_to(folder)
    return folder


KINDS = {
    "cut off": b'{"a": ',
    "nothing": b"",
    "no JSON": b"<html>not found</html>",
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "a text": b'"x"',
    "null": b"null",
    "a number": b"3",
    "a list": b"[1, 2]",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 200 + b"1" + b"}" * 200,
    "a number without end": b'{"a": ' + b"9" * 10_000 + b"}",
    "zeros, as of a crash": bytes(4096),
}


def refusal(reader: Reader, folder: Path) -> str:
    """What it said, empty where it took the file; any other error than ours is raised."""
    try:
        reader.read(folder)
    except OURS as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_such_file_is_told_in_a_line(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    whole = json.dumps(reader.holds(tmp_path))
    path = tmp_path / reader.file
    path.write_text(whole, "utf-8")
    assert refusal(reader, tmp_path) == ""
    for kind, data in KINDS.items():
        path.write_bytes(data)
        said = refusal(reader, tmp_path)
        assert reader.file in said and "\n" not in said and len(said) < 600, (kind, said)
        assert any(word in said for word in ("dvc repro", "train", "delete", "config")), said


@pytest.mark.parametrize("name", READERS)
def test_a_value_of_another_type_never_gets_past_its_reader(name: str, tmp_path: Path) -> None:
    """Each value of the file in turn becomes something else: it is taken, or refused in a line."""
    reader = READERS[name]
    whole = reader.holds(tmp_path)
    refused = 0
    for changed in edited(whole):
        (tmp_path / reader.file).write_text(json.dumps(changed), "utf-8")
        said = refusal(reader, tmp_path)
        refused += bool(said)
        assert "\n" not in said and len(said) < 900
    assert refused


def edited(whole: Any) -> Iterator[Any]:
    """Copies of a JSON value with one part each left out or replaced, at most some of a kind."""
    seen: set[tuple[Any, ...]] = set()
    for path in list(places(whole)):
        kind = tuple("…" if isinstance(key, int) else key for key in path[-3:])
        if kind in seen:
            continue
        seen.add(kind)
        for value in [..., *EDGES]:
            changed = copy.deepcopy(whole)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield changed


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ModelError, match=r"cannot read .*config\.json \(Is a directory\): train"):
        read_config(tmp_path)


# The one reader; texts that are no file of ours; values turned into plain data.
READ_JSON = {
    "models/runtime/files.py", "crawl/sources/rows.py", "crawl/sources/listing.py",
    "crawl/web/answers.py", "pipeline/use/translate/manifest.py", "pipeline/core/stage.py",
    "pipeline/train/runs.py",
}  # fmt: skip


def test_there_is_one_reader_of_json_files() -> None:
    for path in (p for room in ("models", "crawl", "pipeline", "face2anime")
                 for p in (ROOT / room).rglob("*.py")):  # fmt: skip
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8")))
                  if isinstance(node, ast.Call)}  # fmt: skip
        if {"json.load", "json.loads"} & called:
            assert path.relative_to(ROOT).as_posix() in READ_JSON, path
