"""`torchrun … -m tests.models.training.train_shared STATE OUT JSON [STOP]`: one tiny run.

JSON: {"variant": …, "settings": …}, and perhaps "shards": a folder of splits, whose training images
are held in memory where "resident" is true, else streamed by a worker process. STOP: the last
process dies once it is past so many images.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from models.data.streaming import load_training
from models.runtime.distributed import processes, rank, world_size
from models.training import engine
from tests.models.helpers import domain, settings, variant, write_result


def training_images(asked: dict[str, Any]) -> tuple[Any, Any]:
    """Photos and anime faces that the plan asks for."""
    if "shards" not in asked:
        return domain("photos"), domain("anime")
    device = torch.device("cpu")
    return load_training(asked["shards"], "train", 32, device, asked["resident"], workers=1)


def main(state: str, out: str, plan: str, stop: str = "") -> None:
    torch.set_num_threads(1)
    asked = json.loads(plan)
    held_out = domain("photo val", 2), domain("anime val", 2)
    reseed = engine.reseed

    def dies(seed: int, of_rank: int, seen: int) -> None:
        if rank() == world_size() - 1 and seen > int(stop):
            os.kill(os.getpid(), signal.SIGKILL)
        reseed(seed, of_rank, seen)

    if stop:
        engine.reseed = dies
    with processes():
        spec, few = variant("cyclegan", **asked["variant"]), settings(**asked["settings"])
        result = engine.train(spec, few, *training_images(asked), held_out, state_dir=state)
        if rank() == 0:
            write_result(Path(out), result)


if __name__ == "__main__":
    main(*sys.argv[1:])
