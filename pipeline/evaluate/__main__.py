"""Stage ``evaluate@VARIANT``: how good a variant's translations are, beside controls.

Reads the splits, the evaluator (a recognizer that no loss ever saw) and the variant's weights.
Writes ``reports/metrics/VARIANT.json`` and one sheet of held-out translations per direction, and
logs both into the MLflow run of the variant's training.
"""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from models.checkpoint import load_translator, untrained_translator
from models.domains import DIRECTIONS, DOMAINS
from models.runtime.files import read_config
from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import CHECKPOINTS, EVALUATOR, SPLITS
from pipeline.evaluate.evaluator import Evaluator
from pipeline.evaluate.measure import evaluate, headline, load_held_out, load_some
from pipeline.evaluate.sheet import draw
from pipeline.evaluate.truth import read_truth
from pipeline.imaging.align import template_places


def main(variant: Annotated[str, typer.Option(help="A row of `variants`.")]) -> None:
    """Evaluate a variant of params.yaml."""
    params.variant_row(variant)  # a name that is none ends here
    settings, compute = params.load(params.Evaluate), params.load(params.Compute)
    if compute.threads:
        torch.set_num_threads(compute.threads)
    translator = load_translator(CHECKPOINTS / variant, device=compute.device)
    size = translator.image_size
    untrained = untrained_translator(translator.variant, size, settings.seed).to(translator.device)
    train = {name: load_some(SPLITS, "train", name, size, settings.max_images) for name in DOMAINS}
    held = load_held_out(SPLITS, size, settings.max_images)
    eyes = template_places(params.load(params.Align))
    evaluator = Evaluator.load(EVALUATOR, train, settings, compute.device, eyes)
    key = read_config(CHECKPOINTS / variant).get("key", "")

    with tracking.stage_run(
        f"train@{variant}",
        params.plain(settings),
        inputs=[SPLITS],
        resume_key=key,
    ) as run:
        result = evaluate(translator, untrained, evaluator, held, read_truth())
        folder = stage.SHEETS / "evaluate" / variant
        with tables.new_folder(folder) as out:
            for direction, (source, _) in DIRECTIONS.items():
                path = out / f"{direction}.png"
                draw(path, translator, held["test"][source], direction, settings.sheet_rows)
        stage.write_json(stage.METRICS / f"{variant}.json", result)
        run.metrics(headline(result, tracking.newest_metric(key, "seconds")))
        run.tag(**result["comparable"])
        run.artifact(stage.METRICS / f"{variant}.json", "evaluation")
        run.artifact(folder, "evaluation")
        for direction in DIRECTIONS:
            run.picture(folder / f"{direction}-strip.png", direction)


if __name__ == "__main__":
    stage.run(main)
