"""``python -m tests.bench.using``: what a user waits for, from start-up to the drawn face.

On the portrait of Grace Hopper that comes with matplotlib, and the model that is shipped.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
import onnxruntime
import pandas as pd
import torch
from matplotlib import cbook
from PIL import Image

from models.domains import DOMAINS
from pipeline.imaging import images
from pipeline.use import drawing, faces
from pipeline.use.export import export
from pipeline.use.model import Model, choose
from tests.bench.markdown import markdown
from tests.bench.upscaling import one_thread
from tests.project import ROOT, environment

ROUNDS = 7
PHOTOS, SIDE = 24, 1000  # of the folder, and pixels of each one's sides
COLUMNS = ["part", "ms of processor time"]


def portrait() -> bytes:
    """A JPEG of 512×600 pixels."""
    return Path(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))).read_bytes()


def median_ms(call: Callable[[], object]) -> float:
    """Processor time of a call, the first one not counted."""
    call()
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return float(np.median(taken)) * 1e3


def onnx_session(model: Model, folder: Path) -> onnxruntime.InferenceSession:
    """The exported model, on one thread."""
    file = folder / "anime.onnx"
    export(model, "anime", file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def parts(folder: Path) -> dict[str, Callable[[], object]]:
    """Every step between a file and its drawn face."""
    model, _ = choose("shipped")
    data, find = portrait(), faces.finder(DOMAINS[0])
    rgb = images.read_rgb(data)
    cut = drawing.cut_faces(rgb, find, model.align)
    network, session = drawing.Network(model), onnx_session(model, folder)
    plain = network.draw(cut.crops, "anime")
    batch = cut.crops.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    name = session.get_inputs()[0].name
    return {
        "read the file": lambda: images.read_rgb(data),
        "find the face and its eyes": lambda: find(rgb),
        "cut it out": lambda: drawing.cut(rgb, [f.eyes for f in cut.faces], model.align),
        "translate, PyTorch": lambda: network.draw(cut.crops, "anime"),
        "translate, the exported file in onnxruntime": lambda: session.run(None, {name: batch}),
        "enlarge to 512 px": lambda: network.enlarge(plain, 512, "anime"),
    }


def parts_table() -> pd.DataFrame:
    """A row a step."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        rows = [[name, f"{median_ms(call):.1f}"] for name, call in parts(Path(folder)).items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def command(*arguments: str) -> tuple[float, float]:
    """Seconds on the clock and of processor time of ``face2anime`` with ``arguments``."""
    before, start = getrusage(RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments],
        cwd=ROOT, env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, used


def commands_table() -> pd.DataFrame:
    """Start-up, one picture, the same again, and a folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "one.jpg").write_bytes(portrait())
        (folder / "many").mkdir()
        large = Image.open(folder / "one.jpg").resize((SIDE, SIDE))
        for i in range(PHOTOS):
            large.save(folder / "many" / f"{i}.jpg", quality=85 + i % 10)
        one = ("translate", str(folder / "one.jpg"), "--out", str(folder / "out"))
        many = ("translate", str(folder / "many"), "--out", str(folder / "drawn"))
        told = {
            "`face2anime --help`": command("--help"),
            "`translate` of one picture": command(*one),
            "`translate` of the same again": command(*one),
            f"`translate` of {PHOTOS} photos of {SIDE}×{SIDE}, 512 px": command(*many),
        }
    rows = [[name, f"{clock:.1f}", f"{used:.1f}"] for name, (clock, used) in told.items()]
    return pd.DataFrame(rows, columns=["command", "seconds", "of processor time"])


def using_section() -> str:
    """Both tables."""
    return f"""One portrait of 512×600 pixels with one face; one thread, medians of {ROUNDS} calls.

{markdown(parts_table())}

Whole commands, on all cores, with start-up.

{markdown(commands_table())}
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(using_section())
