"""`torchrun … -m tests.models.train_shared STATE OUT JSON [STOP]`: one tiny run, perhaps shared.

JSON: {"variant": …, "settings": …}. STOP: the last process dies once it is past so many images.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from models import engine
from models.parallel import processes, rank, world_size
from tests.models.helpers import domain, settings, variant, write_result


def main(state: str, out: str, plan: str, stop: str = "") -> None:
    torch.set_num_threads(1)
    asked = json.loads(plan)
    data = domain("photos"), domain("anime"), (domain("photo val", 2), domain("anime val", 2))
    reseed = engine.reseed

    def dies(seed: int, of_rank: int, seen: int) -> None:
        if rank() == world_size() - 1 and seen > int(stop):
            os.kill(os.getpid(), signal.SIGKILL)
        reseed(seed, of_rank, seen)

    if stop:
        engine.reseed = dies
    with processes():
        spec, few = variant("cyclegan", **asked["variant"]), settings(**asked["settings"])
        result = engine.train(spec, few, *data, state_dir=state)
        if rank() == 0:
            write_result(Path(out), result)


if __name__ == "__main__":
    main(*sys.argv[1:])
