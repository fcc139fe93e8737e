"""Pictures for tests of translating: faces whose eyes are red squares, and a model for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.checkpoint import save_translator, untrained_translator
from models.domains import other
from models.errors import ModelError
from pipeline import cli
from pipeline.core import tables
from pipeline.imaging import photo_faces
from pipeline.use import faces
from pipeline.use.faces import Face
from tests.models.helpers import variant
from tests.project import ROOT

RED = (255, 0, 0)
SIZE = 32  # of the model's images
TEMPLATE = {"size": SIZE, "eye_distance": 0.3, "eye_line": 0.45}


def picture(*eyes: tuple[int, int, int], size: tuple[int, int] = (160, 240)) -> np.ndarray:
    """uint8 [H, W, 3], a smooth ground; each of ``eyes`` is a face: x and y of the image-left eye,
    and pixels to the other one."""
    y, x = np.mgrid[: size[0], : size[1]]
    rgb = np.stack([x * 90 / size[1], y * 200 / size[0], 80 + 0 * x], axis=2).astype(np.uint8)
    for left, top, distance in eyes:
        rgb[top, [left, left + distance]] = RED
    return rgb


def find_red(rgb: np.ndarray) -> list[Face]:
    """Each two red pixels of a row are the eyes of a face; its outline is a square."""
    found = []
    rows, columns = np.nonzero((rgb == RED).all(axis=2))
    for row in np.unique(rows):
        places = np.sort(columns[rows == row])
        for left, right in places.reshape(-1, 2):
            eyes = np.array([(left, row), (right, row)], float)
            across = right - left
            corners = np.array([(-0.4, -0.7), (1.4, -0.7), (1.4, 1.2), (-0.4, 1.2)])
            found.append(Face(eyes, eyes[0] + corners * across))
    return faces._in_order(found)


@pytest.fixture
def red_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of faces are found by `find_red`."""
    monkeypatch.setattr(faces, "finder", lambda domain, networks=None: other(domain) and find_red)


def real_portrait(monkeypatch: pytest.MonkeyPatch) -> Path:
    """matplotlib's portrait of Grace Hopper, with the public weights that find its face; without
    them the test is skipped."""
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    try:
        photo_faces.weights()
    except ModelError as error:
        pytest.skip(str(error))
    return Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"


def write_model(folder: Path, seed: int = 0, **origin: Any) -> Path:
    """A small untrained translator, as training leaves one."""
    translator = untrained_translator(variant("cyclegan"), SIZE, seed)
    told = {"template": TEMPLATE, **origin}
    save_translator(folder, translator, "k", 0, {k: v for k, v in told.items() if v is not None})
    return folder


def write(path: Path, rgb: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tables.encode_png(rgb))
    return path


def run(*arguments: object) -> Result:
    """``face2anime translate …``, in this process; a StageError is the result's exception."""
    return CliRunner().invoke(cli.app, ["translate", *map(str, arguments)])


def lines(result: Result) -> list[dict[str, Any]]:
    """What ``--json`` printed."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def contents(folder: Path, names: Sequence[str] | None = None) -> dict[str, bytes]:
    """Every file of a folder, or those of ``names``."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())
            if names is None or path.name in names}  # fmt: skip
