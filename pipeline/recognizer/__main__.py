"""Stage ``recognizer``: two attribute networks, trained apart, on both domains at once.

Reads the splits. ``checkpoints/recognizer/training`` may serve losses (a perceptual loss, XGAN's
teacher); ``checkpoints/recognizer/evaluation``, the evaluator, never does. Each learns from its own
half of the training images with its own seed, so that a translator which learns to please one has
no reason to please the other. Their confidence is then calibrated on the validation images. Also
writes loss curves, confusion matrices, a reliability diagram and a metrics file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from models.data.domain import Domain, load_domain
from models.domains import DOMAINS
from models.recognizer.calibration import calibrate, reliabilities
from models.recognizer.training import save_recognizer
from models.runtime.files import write_bytes
from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import CHECKPOINTS, SPLITS
from pipeline.recognizer.measures import calibration_errors, curves, draw, scores
from pipeline.recognizer.pair import train_pair

OUT = CHECKPOINTS / "recognizer"
CURVES = stage.PLOTS / "recognizer.csv"
SHEETS = stage.SHEETS / "recognizer"


def load(split: str, name: str, image_size: int) -> Domain:
    """One split of a domain. Where a picture is from is a label, too: the one that a head can
    learn where nothing else is known."""
    loaded = load_domain(SPLITS, split, name, image_size)
    return replace(loaded, labels=loaded.labels.assign(domain=name))


def main() -> None:
    """Run the stage."""
    settings, compute = params.load(params.Recognizer), params.load(params.Compute)
    if compute.threads:
        torch.set_num_threads(compute.threads)
    train, held_out, test = (
        {name: load(split, name, settings.image_size) for name in DOMAINS}
        for split in ("train", "val", "test")
    )
    with tracking.stage_run("recognizer", params.plain(settings), inputs=[SPLITS]) as run:
        trained = train_pair(train, settings, compute.device)
        for recognizer, _ in trained.values():
            calibrate(recognizer, list(held_out.values()))
        with tables.new_folder(OUT) as out:
            for role, (recognizer, _) in trained.items():
                save_recognizer(out / role, recognizer)
        losses = curves(trained)
        write_bytes(CURVES, losses.to_csv(index=False, float_format="%.6g").encode())
        # Measured on images that no temperature was fitted to.
        measured = {
            role: {name: reliabilities(network, domain) for name, domain in test.items()}
            for role, (network, _) in trained.items()
        }
        with tables.new_folder(SHEETS) as sheets:
            draw(sheets, trained["evaluation"][0], held_out, measured["evaluation"])
        metrics: dict[str, Any] = {
            role: {
                **scores(network, held_out),
                "temperature": network.temperatures,
                "calibration_error": calibration_errors(measured[role]),
            }
            for role, (network, _) in trained.items()
        }
        stage.write_json(stage.METRICS / "recognizer.json", metrics)
        run.metrics(metrics)
        run.curves(losses)
        run.artifact(SHEETS, "sheets")


if __name__ == "__main__":
    stage.run(main)
