"""``docs/tour.ipynb`` runs from its first cell to its last, with the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from models.errors import ModelError
from pipeline.imaging import photo_faces
from tests.pipeline.imaging.test_photo_faces import EYES
from tests.project import ROOT

TOUR = ROOT / "docs/tour.ipynb"
NOTEBOOK = json.loads(TOUR.read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_no_output_is_stored() -> None:
    assert CODE and all(cell["outputs"] == [] and not cell["execution_count"] for cell in CODE)
    assert NOTEBOOK["nbformat"] == 4 and len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(
        NOTEBOOK["cells"]
    )


def test_every_cell_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(TOUR.parent)  # where Jupyter starts
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    try:
        photo_faces.weights()
    except ModelError as error:
        pytest.skip(str(error))
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(CODE):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        assert len(plt.get_fignums()) == 2
    finally:
        plt.close("all")
    assert Path.cwd() == ROOT
    np.testing.assert_allclose(names["face"].eyes, EYES["grace_hopper"], atol=6)
    left, right = names["drawn"].faces
    np.testing.assert_allclose(left.eyes, EYES["grace_hopper"], atol=6)
    width = names["pair"].shape[1]
    np.testing.assert_allclose((width - 1, 0) + right.eyes[::-1] * (-1, 1), left.eyes, atol=6)
    said = capsys.readouterr().out
    assert "<face2anime.Model shipped, " in said and "0 faces" in said
    assert "no face was found" in said and "missing.jpg: " in said
