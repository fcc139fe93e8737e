"""`python -m tests.models.training.train_once NAME STATE_DIR OUT`: one tiny run, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from models.training.engine import train
from tests.models.helpers import domain, settings, variant, write_result

VARIANTS = {
    "cyclegan": variant("cyclegan"),
    "xgan": variant("xgan"),
    "pretrained": variant("cyclegan", pretraining=0.5),
    "projected": variant(
        "cyclegan",
        discriminator="projected",
        discriminator_channels=8,
        discriminator_blur=0.5,
        diff_augment=("translation", "cutout"),
        match_light=True,
        losses={"adversarial": 1.0, "cycle": 3.0, "identity": 2.0, "colour": 3.0},
    ),
}
# Images; a save every 16. The first has to outlast five kills.
BUDGETS = {"cyclegan": 400, "xgan": 240, "pretrained": 240, "projected": 80}


def main(name: str, state_dir: str, out: str) -> None:
    torch.set_num_threads(1)
    data = domain("photos"), domain("anime"), (domain("photo val", 2), domain("anime val", 2))
    plan = settings(
        budget_images=BUDGETS[name], batch_size=4, state_every=16, log_every=12, precision="bf16"
    )
    result = train(VARIANTS[name], plan, *data, state_dir=state_dir)
    write_result(Path(out), result)


if __name__ == "__main__":
    main(*sys.argv[1:])
