"""``face2anime``: what one does by hand; the stages themselves are ``dvc repro``."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import profiles
from pipeline.core import params
from pipeline.core.commands import command_line, mistakes_in_one_line
from pipeline.core.errors import StageError

app = command_line(no_args_is_help=True)


class To(StrEnum):
    """What faces become."""

    anime = "anime"
    photo = "photo"


@app.callback()
def _commands() -> None:
    """What is asked of face2anime's data and runs by hand; run it in the project's folder."""


@app.command()
def profile(
    name: Annotated[str | None, typer.Argument(help="one of `profiles/`; none: lists them")] = None,
    force: Annotated[bool, typer.Option(help="Lose the changes of params.yaml.")] = False,
) -> None:
    """Write params.yaml by a profile: the demo's knobs, and what NAME changes of them."""
    if name:
        profiles.use(name, force=force)
        print(f"{params.PATH} is profile {name} now: `dvc repro` runs it")
        return
    known = profiles.names()
    width = max(map(len, known))
    for each in known:
        print(f"{each:<{width}}  {profiles.about(each)}")


@app.command()
def provenance(
    image_id: str = typer.Argument(
        help="an id or its first digits, an md5, source/post-id, a URL, a photo's file name"
    ),
) -> None:
    """Where an image comes from: its post or photo, and which tables hold it."""
    from pipeline.provenance import origin  # pandas: a second

    lines = list(origin.trace(image_id))
    width = max(len(label) for label, _ in lines)
    for label, value in lines:
        print(f"{label:<{width}}  {value}")


@app.command()
def translate(
    pictures: Annotated[list[str], typer.Argument(help="files, folders, http addresses")],
    out: Annotated[Path, typer.Option(help="Folder for what is drawn.")],
    to: Annotated[To, typer.Option(help="Of photos anime faces; of drawings photos.")] = To.anime,
    model: Annotated[
        str, typer.Option(help="shipped, champion (wins here), a variant, or a model's folder.")
    ] = "shipped",
    size: Annotated[int, typer.Option(min=16, max=4096, help="Pixels of a face's side.")] = 512,
    grid: Annotated[bool, typer.Option("--grid", help="Also a sheet, before and after.")] = False,
    paste: Annotated[
        bool, typer.Option("--paste", help="Also the picture with them in it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a face.")] = False,
) -> None:
    """Faces of your photos as anime faces, or of drawings as photos; several a picture."""
    from pipeline.use.translate.run import Wishes, translate

    wishes = Wishes(out, to.value, size, grid, paste, as_json)
    raise typer.Exit(translate(pictures, model, wishes))


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    model: Annotated[
        str, typer.Option(help="As of translate; the page offers the others, too.")
    ] = "shipped",
) -> None:
    """A page on this machine alone: drop, paste or shoot a photo, see it drawn, and back."""
    from pipeline.use.serve.run import serve

    serve(port, model)


@app.command()
def config(
    variant: str = typer.Argument(help="a row of `variants` in params.yaml"),
) -> None:
    """What `train@VARIANT` trains, as JSON for `python -m models.train --config`."""
    from models.training.run_file import plan  # torch: seconds, and only here and in sync
    from models.training.settings import TrainSettings
    from pipeline.train.inputs import load_variant

    section = params.load(params.Train)
    print(json.dumps(plan(load_variant(variant), TrainSettings(**section.model_dump())), indent=2))


@app.command()
def sync(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="what `python -m models.train` wrote")
    ] = None,
) -> None:
    """Trainings of another machine into MLflow; without folders, what a server did not take."""
    if not folders:
        from pipeline.core import backlog  # pandas and MLflow: seconds

        print("\n".join(backlog.send()) or "nothing waits: MLflow has every run")
        return
    from pipeline.train.sync import sync as take_over

    for folder in folders:
        print(take_over(folder))


@app.command()
def ship(
    folders: Annotated[
        list[Path],
        typer.Argument(help="a trained model, such as checkpoints/projected; of several the mean"),
    ],
    to: Annotated[To | None, typer.Option(help="Change but this direction.")] = None,
) -> None:
    """Make a model the one that comes along: half precision, in models/pretrained/."""
    from pipeline.use.ship import PRETRAINED, ship  # torch: seconds

    print(f"{PRETRAINED}: {ship(folders, to or ''):,} bytes; say in its README.md what it can do")


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(help="As of translate: shipped, champion, a variant, a folder."),
    ],
    onnx: Annotated[Path, typer.Option(help="The file to write.")],
    to: Annotated[To, typer.Option(help="Of photos anime faces; of drawings photos.")] = To.anime,
) -> None:
    """A model as one ONNX file: aligned faces in, drawn faces out."""
    from pipeline.use.model import choose

    chosen, line = choose(model)
    if line:
        print(f"export: {line}", file=sys.stderr)
    from pipeline.use.export import export  # torch: seconds

    print(export(chosen, to.value, onnx))


@app.command()
def champion(
    version: Annotated[int | None, typer.Argument(help="its number; none: lists them")] = None,
) -> None:
    """The versions of the model in MLflow's registry; or make one of them the champion."""
    from pipeline.core import registry  # pandas: a second

    if version is not None:
        registry.crown(str(version))
    known = registry.versions()
    for each in known:
        print(" ".join([f"{each.number:>3} {each.variant}", *each.aliases]))
    if not known:
        print("none is registered: dvc repro trains, compares and registers the winner")


@app.command()
def verify() -> None:
    """Whether data, weights and DVC's copies are what was written, to the bit."""
    from pipeline.use import verify

    problems, seen = verify.verify()
    for line in problems:
        print(line)
    told = ", ".join(f"{count:,} {what}" for what, count in seen.items()) or "nothing is here"
    print(f"{told}: {len(problems) or 'no'} problems")
    raise typer.Exit(bool(problems))


@app.command()
def doctor(
    fetch: Annotated[bool, typer.Option("--fetch", help="Get the files that are missing.")] = False,
) -> None:
    """What is here and works, and the command that mends what does not."""
    from pipeline.use import doctor, weights

    failed = False
    if fetch:
        try:
            weights.fetch()
        except StageError as error:
            print(f"face2anime: {error}", file=sys.stderr)
            failed = True
    for finding in doctor.examine():
        print(finding.line, flush=True)
        failed = failed or finding.fails
    raise typer.Exit(failed)


def main() -> None:
    """Run a command; a user's mistake ends in one line and exit 1."""
    with mistakes_in_one_line("face2anime"):
        app()
