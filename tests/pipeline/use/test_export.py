"""The ONNX file draws what the model draws, says how to align, and is never half there."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner, Result

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.data.augment import channels_last
from models.variants import variant_from_dict
from pipeline import cli
from pipeline.core.errors import StageError
from pipeline.core.paths import DRAWN
from pipeline.use import export as exporting
from tests.project import PATIENCE, ROOT

SIZE = 32
TEMPLATE = {"size": SIZE, "eye_distance": 0.34, "eye_line": 0.44}
# Every kind of layer that a generator may have.
KINDS: dict[str, dict[str, Any]] = {
    "light": {"norm": "layer", "upsampling": "bilinear", "match_light": True},
    "residual": {"norm": "layer", "upsampling": "nearest", "residual": True, "antialias": True},
    "labels": {"norm": "instance", "labels": {"hair": ["black", "red"], "smile": ["no", "yes"]}},
    "adalin": {"norm": "adalin", "attention": "cam", "blocks": 2},
    "self": {"norm": "instance", "attention": "self"},
    "xgan": {"architecture": "xgan", "norm": "layer"},
    "vector": {"architecture": "xgan_published", "norm": "layer", "embedding": 16},
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_model(kind: str, **origin: Any) -> Path:
    """An untrained model with weights large enough that its pictures differ."""
    row = {"channels": 8, "blocks": 1, **KINDS[kind]}
    translator = untrained_translator(variant_from_dict(row, name=kind), SIZE, seed=1)
    for weights in translator.network.parameters():
        weights.data.mul_(3)
    folder = Path(kind)
    save_translator(folder, translator, "abc", 8, {"template": TEMPLATE, **origin})
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["export", *map(str, arguments)])


def pictures(count: int) -> torch.Tensor:
    """uint8 [N, 3, S, S], the first ones dark and the last ones bright."""
    random = torch.Generator().manual_seed(3)
    noise = torch.randint(0, 100, (count, 3, SIZE, SIZE), generator=random)
    return (noise + torch.linspace(0, 150, count).int()[:, None, None, None]).to(torch.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_the_model_draws_in_batches_of_any_size(kind: str) -> None:
    folder = write_model(kind)
    to, way = ("photo", "anime2photos") if kind == "self" else ("anime", "photos2anime")
    done = run(folder, "--onnx", "models/it.onnx", "--to", to)
    assert done.exit_code == 0, done.exception
    session = onnxruntime.InferenceSession("models/it.onnx")
    for count in (1, 5):
        given = pictures(count)
        expected = load_translator(folder, "cpu").translate(given, way)
        images = (given.float() / 127.5 - 1).numpy()
        (drawn,) = session.run(None, {"images": images})
        levels = np.round((drawn + 1) * 127.5).clip(0, 255)
        assert np.abs(levels - expected.numpy()).max() <= 1
        assert expected.float().std() > 10  # something is drawn
    assert [path.name for path in Path("models").iterdir()] == ["it.onnx"]
    onnx.checker.check_model("models/it.onnx")


def test_metadata_say_how_to_align_and_what_may_be_done_with_it() -> None:
    run(write_model("light"), "--onnx", "it.onnx")
    run(write_model("light", data=DRAWN), "--onnx", "drawn.onnx", "--to", "photo")
    told, drawn = (
        onnxruntime.InferenceSession(name).get_modelmeta().custom_metadata_map
        for name in ("it.onnx", "drawn.onnx")
    )
    assert json.loads(told["eyes"]) == [[0.33, 0.44], [0.67, 0.44]]
    assert (told["image_size"], told["range"], told["layout"]) == ("32", "[-1, 1]", "NCHW, RGB")
    assert (told["direction"], drawn["direction"]) == ("photos2anime", "anime2photos")
    assert (told["source"], told["target"], told["key"]) == ("photos", "anime", "abc")
    run(write_model("light", whole=["photos"]), "--onnx", "whole.onnx")
    whole = onnxruntime.InferenceSession("whole.onnx").get_modelmeta().custom_metadata_map
    assert (told["crop"], whole["crop"]) == ("face", "middle square") and "eyes" not in whole
    assert "commit" in told and len(told["weights_sha256"]) == 16
    assert "research" in told["licence"] and "demo alone" in drawn["licence"]


def refused(*arguments: object, words: str) -> None:
    with pytest.raises(StageError, match=words) as told:
        raise run(*arguments).exception  # type: ignore[misc]
    assert "\n" not in str(told.value)


def test_a_file_that_draws_otherwise_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model("light")
    Path("it.onnx").write_bytes(b"an older one")
    monkeypatch.setattr(exporting, "TOLERANCE", 0.0)
    refused(folder, "--onnx", "it.onnx", words="it.onnx is not written")
    assert Path("it.onnx").read_bytes() == b"an older one"
    assert sorted(path.name for path in Path().iterdir()) == ["it.onnx", "light"]


def test_without_its_libraries_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, find = write_model("light"), importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else find(name, *a)
    )
    refused(folder, "--onnx", "it.onnx", words="^onnx missing: pip install onnx onnxruntime")


def test_what_cannot_be_exported_is_told() -> None:
    style = untrained_translator(variant_from_dict({"architecture": "gatys"}, name="g"), SIZE, 1)
    save_translator("style", style, "abc", 0, {"template": TEMPLATE})
    refused("style", "--onnx", "it.onnx", words="there is no network to export")
    refused("nowhere", "--onnx", "it.onnx", words="nowhere is neither a folder")
    Path("taken").write_bytes(b"")
    refused(
        write_model("light"), "--onnx", "taken/it.onnx", words="taken/it.onnx cannot be written"
    )


def test_the_snippet_of_the_page_runs_it(place: Path) -> None:
    page = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(import json\n.*?)```", page, re.S)
    assert set(re.findall(r"import (\w+)", snippet)) == {"json", "numpy", "onnxruntime"}
    folder = write_model("light")
    assert run(folder, "--onnx", "anime.onnx").exit_code == 0
    given = pictures(2)
    np.save(place / "crops.npy", channels_last(given))
    subprocess.run([sys.executable, "-c", snippet], check=True, timeout=PATIENCE)
    expected = channels_last(load_translator(folder, "cpu").translate(given, "photos2anime"))
    assert np.abs(np.load("drawn.npy").astype(int) - expected.astype(int)).max() <= 1
