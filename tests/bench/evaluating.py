"""``python -m tests.bench.evaluating``: what evaluation costs on a core, part by part and whole.

It needs a project in which the demo was run: its splits, recognizer and variants are measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.checkpoint import load_translator, untrained_translator
from models.data.augment import channels_last, fit_size
from models.domains import DOMAINS
from models.metrics.features import ranking_space
from pipeline.core import params
from pipeline.core.paths import CHECKPOINTS, EVALUATOR, SPLITS
from pipeline.evaluate import found, remember
from pipeline.evaluate.evaluator import Evaluator, mesh_if_here
from pipeline.evaluate.measure import evaluate, load_held_out, load_some
from pipeline.evaluate.truth import read_truth
from pipeline.imaging import drawn_face
from pipeline.imaging.align import template_places
from pipeline.imaging.mesh import FaceMesh
from tests.bench.markdown import markdown
from tests.project import ROOT, environment

IMAGES = 48  # of a part


def processor_seconds(call: Callable[[], object]) -> float:
    """Of this process and its ended children; ``call`` is run once before, uncounted."""
    call()
    start = time.process_time()
    call()
    return time.process_time() - start


def parts(project: Path) -> dict[str, Callable[[], object]]:
    """What is measured of `IMAGES` held-out images."""
    align = params.load(params.Align, project / params.PATH)
    eyes, size = template_places(align), align.size

    def some(domain: str) -> Tensor:
        return load_some(project / SPLITS, "val", domain, size, IMAGES).images

    photos, anime = some("photos"), some("anime")
    drawings, faces = channels_last(anime), channels_last(photos)
    space, large = ranking_space("cpu"), fit_size(anime, 256)
    measured: dict[str, Callable[[], object]] = {
        f"features that rank, of {size} px": lambda: space(anime),
        "features that rank, of 256 px": lambda: space(large),
        "faces in photos (cascade)": lambda: found.in_photos(faces),
    }
    if weights := mesh_if_here():
        mesh = FaceMesh(weights)
        measured["face mesh"] = lambda: mesh.find(faces, eyes * size - 0.5)
    distance = float(np.linalg.norm(eyes[1] - eyes[0]))
    measured["faces in drawings (animeface, in a process of its own)"] = lambda: drawn_face.find(
        drawings, distance
    )
    return measured


def rates(project: Path) -> pd.DataFrame:
    """A row a part: images a second. animeface's process is counted by the clock on the wall."""
    rows = []
    for name, call in parts(project).items():
        if "animeface" in name:
            call()
            start = time.monotonic()
            call()
            seconds = time.monotonic() - start
        else:
            seconds = processor_seconds(call)
        rows.append([name, f"{IMAGES / seconds:.0f}"])
    return pd.DataFrame(rows, columns=["part", "images/s"])


def whole(project: Path) -> pd.DataFrame:
    """A row a variant: processor seconds, of the first with nothing remembered."""
    rows = []
    names = list(params.load_variants(project / params.PATH))
    with tempfile.TemporaryDirectory() as memory:
        for place, name in enumerate(names):
            command = [sys.executable, "-m", "tests.bench.evaluating", name, memory]
            told = subprocess.run(
                command, cwd=project, env=environment(), check=True, capture_output=True, text=True
            )
            remembered = "nothing" if not place else "what real images show"
            rows.append([name, remembered, f"{float(told.stdout.split()[-1]):.0f}"])
    return pd.DataFrame(rows, columns=["variant", "remembered", "processor seconds"])


def once(variant: str, memory: Path) -> None:
    """All numbers of a variant, as the stage has them; prints the seconds of this process."""
    remember.stage.cache_dir = lambda _: memory  # type: ignore[assignment]
    torch.set_num_threads(1)
    settings = params.load(params.Evaluate)
    translator = load_translator(CHECKPOINTS / variant, device="cpu")
    size = translator.image_size
    train = {d: load_some(SPLITS, "train", d, size, settings.max_images) for d in DOMAINS}
    eyes = template_places(params.load(params.Align))
    evaluator = Evaluator.load(EVALUATOR, train, settings, "cpu", eyes)
    held = load_held_out(SPLITS, size, settings.max_images)
    untrained = untrained_translator(translator.variant, size, settings.seed)
    evaluate(translator, untrained, evaluator, held, read_truth())
    print(time.process_time())


def evaluating_section(project: Path) -> str:
    """Both tables."""
    if not (project / SPLITS).is_dir():
        raise SystemExit(f"bench: no splits in {project}: make demo first, or name stages too")
    torch.set_num_threads(1)
    return f"""{IMAGES} held-out images of the demo, one thread, in processor time.

{markdown(rates(project))}

`evaluate` of the demo's variants one after the other, each a process with its start-up; animeface's
own process is not counted.

{markdown(whole(project))}
"""


if __name__ == "__main__":
    if len(sys.argv) > 2:
        once(sys.argv[1], Path(sys.argv[2]))
    else:
        print(evaluating_section(ROOT))
