"""``python -m tests.bench.inference``: faces a second and latency of translators, uint8 to uint8.

Each number is a whole `Translator.translate`: copies to and from the device, float32 networks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache

import pandas as pd
import torch

from models.checkpoint import Translator, untrained_translator
from models.networks.translator import TranslationNetwork
from models.runtime.device import pick_device
from models.variants import BUILT_IN, Variant
from pipeline.train.inputs import load_variant
from tests.bench.markdown import markdown

BATCHES = (1, 8, 64)
SIZE = 64
SECONDS, CALLS = 1.0, 3  # a number is the median of at least so many calls, or of so long
COLUMNS = ["translator", "device", "how", "batch", "faces/s", "latency, ms"]


def variants() -> dict[str, Variant]:
    """The demo's size and the published one."""
    return {"demo cyclegan": load_variant("cyclegan"), "published size": BUILT_IN["cyclegan"]}


def devices() -> list[str]:
    """Where to measure."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@cache
def no_compiler(device: str) -> str:
    """Why `torch.compile` does not work on `device`; empty where it does."""
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
    except Exception as error:  # each backend raises its own
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""


def compiled(translator: Translator) -> Translator:
    """The translator with its network's passes compiled, anew for every batch size."""
    network = translator.network
    assert isinstance(network, TranslationNetwork)
    network.translate = torch.compile(network.translate, dynamic=False)  # type: ignore[method-assign]
    return translator


def latency(call: Callable[[], object], seconds: float = SECONDS, calls: int = CALLS) -> float:
    """Median seconds of a call, after one that is not counted."""
    call()
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < calls:
        start = time.perf_counter()
        call()  # ends on the CPU, so it has waited for the device
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def rows_of(name: str, variant: Variant, device: str, how: str, size: int) -> list[list[str]]:
    """A row a batch size; one with the reason where nothing can be measured."""
    reason = no_compiler(device) if how == "compiled" else ""
    if reason:
        return [[name, device, how, "", "", reason.replace("|", "/")]]
    translator = untrained_translator(variant, size, seed=0).to(pick_device(device))
    if how == "compiled":
        translator = compiled(translator)
    rows = []
    for batch in BATCHES:
        images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
        seconds = latency(lambda images=images: translator.translate(images, "photos2anime"))  # type: ignore[misc]
        rows.append(
            [name, device, how, str(batch), f"{batch / seconds:.0f}", f"{seconds * 1e3:.1f}"]
        )
        print(*rows[-1], sep="\t", flush=True)
    return rows


def inference_table(size: int = SIZE) -> pd.DataFrame:
    """Every variant on every device, eager and compiled."""
    rows = [
        row
        for name, variant in variants().items()
        for device in devices()
        for how in ("eager", "compiled")
        for row in rows_of(name, variant, device, how, size)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def inference_section() -> str:
    """The table with what it measures."""
    return f"""`Translator.translate` of {SIZE}×{SIZE} faces, uint8 in and out, float32 networks,
copies to and from the device included; medians of at least {CALLS} calls and {SECONDS:.0f} s.

{markdown(inference_table())}
"""


if __name__ == "__main__":
    print(inference_section())
