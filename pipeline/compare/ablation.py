"""``make ablation``: all variants over several training seeds, and a table of mean ± interval.

One DVC experiment a seed, ``ablation-seed-N``, each in a copy of the repository and one after the
other: a queue's workers run in the background and may stop between two experiments
(treeverse/dvc#10398). What DVC's run cache has is not trained again, so that a second call ends
what an interrupted one began. Writes ``reports/ablation.md``.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from dvc.api import DVCFileSystem
from dvc.repo import Repo
from scipy import stats

from models.runtime.files import CONFIG, parse_json, write_bytes
from pipeline.compare import measured
from pipeline.compare.ranking import RULE, heads
from pipeline.core import params, stage, tracking
from pipeline.core.errors import StageError
from pipeline.core.origin import git
from pipeline.core.paths import CHECKPOINTS, LEADERBOARD, SPLITS
from pipeline.figures.markdown import grid

REPORT = Path("reports/ablation.md")
NEEDED = (SPLITS, CHECKPOINTS / "recognizer")  # what all trainings read
NAME = "ablation-seed-"  # of the experiments
CONFIDENCE = 0.95
AGAIN = "make ablation again"
FEW = (
    " Of two seeds an interval is 12.7 standard errors to each side and means little: take five "
    "or more to tell variants apart."
)
COMPARABLE = ["evaluator", "data"]  # only where they are equal, numbers compare
NAMED = ["seed", *COMPARABLE, "variant", "parameters"]  # columns that are no measurement


def interval(values: pd.Series) -> tuple[float, float, int]:
    """Mean, half the width of its Student-t 95 % interval, and how many values are numbers.

    half = t(0.975, n − 1) · s / √n with the sample deviation s; NaN for fewer than two values.
    """
    known = values.dropna()
    n = len(known)
    if n < 2:
        return float(known.mean()), math.nan, n
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return float(known.mean()), quantile * float(known.std(ddof=1)) / math.sqrt(n), n


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a variant, evaluator and data, from one row a seed of those.

    Rows that compare stand together, lowest mean KID first. Each column X but `NAMED` becomes X,
    X_half and X_n: see `interval`. ``seeds`` is the number of rows behind one.
    """
    measured = [name for name in map(str, frame) if name not in NAMED]
    rows: list[dict[str, Any]] = []
    for key, group in frame.groupby([*COMPARABLE, "variant"], sort=False):
        row = dict(zip([*COMPARABLE, "variant"], key, strict=True))
        row |= {"parameters": group["parameters"].iloc[0], "seeds": len(group)}
        for name in measured:
            row[name], row[f"{name}_half"], row[f"{name}_n"] = interval(group[name])
        rows.append(row)
    return pd.DataFrame(rows).sort_values([*COMPARABLE, "kid"], ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """`tabulate`'s result in Markdown: a table for each evaluator and data, under their names.

    A number that some seeds lack says how many have it.
    """
    halves = [name for name in map(str, table) if name.endswith("_half")]
    measured = [name.removesuffix("_half") for name in halves]
    named = ["variant", "parameters", "seeds"]
    parts = []
    for (evaluator, data), group in table.groupby(COMPARABLE, sort=False):
        rows = [
            [*(row[name] for name in named), *(_cell(row, name) for name in measured)]
            for row in group.to_dict("records")
        ]
        parts.append(f"Evaluator {evaluator}, held-out data {data}:")
        parts.append(grid([*named, *map(_title, measured)], rows))
    if len(parts) > 2:
        parts.append("Numbers of different tables do not compare.")
    return "\n\n".join(parts)


def collect(experiments: Mapping[str, str]) -> pd.DataFrame:
    """One row a (seed, variant) of experiments, name → revision: their leaderboards in short.

    Columns: `NAMED`, what ranks as far as it was measured (kid, found, kept), what is kept of each
    attribute (all of validation, in the direction that `pipeline.compare` ranks by), and seconds of
    training (NaN where unknown).
    """
    rows = []
    for name, revision in experiments.items():
        files = DVCFileSystem(rev=revision)
        data = files.read_bytes(LEADERBOARD.as_posix())
        board = measured.board(data, f"{LEADERBOARD} of {name}", AGAIN)
        shown = [column for column in [*NAMED, *RULE] if column in board]
        for row in board.to_dict("records"):
            path = f"{CHECKPOINTS.as_posix()}/{row['variant']}/{CONFIG}"
            config = parse_json(files.read_text(path), f"{path} of {name}", AGAIN)
            rows.append(
                {
                    "seed": int(name.removeprefix(NAME)),
                    **{column: row[column] for column in shown},
                    **{f"{head}_kept": row[head] for head in heads(board)},
                    "seconds": tracking.newest_metric(config.get("key", ""), "seconds"),
                }
            )
    return pd.DataFrame(rows)


def finished(seeds: Sequence[int]) -> dict[str, str]:
    """Name → revision of the experiments of this commit, one a seed. StageError when none is."""
    with Repo(".") as repo:
        listed = dict(repo.experiments.ls().get(repo.scm.get_rev(), []))
    found = {f"{NAME}{seed}": listed.get(f"{NAME}{seed}") for seed in seeds}
    here = {name: revision for name, revision in found.items() if revision}
    if not here:
        raise StageError(f"this commit has no experiments {', '.join(found)}: make ablation")
    return here


def experiment(seed: int) -> None:
    """Run the pipeline with ``train.seed`` as a DVC experiment apart. Raises StageError."""
    name = f"{NAME}{seed}"
    with Repo(".") as repo:
        if name in dict(repo.experiments.ls().get(repo.scm.get_rev(), [])):
            repo.experiments.remove(name)  # of other params, perhaps; its results are cached
    # What git does not carry, as CelebA's own files, is missing in the copy and taken as unchanged.
    options = ["--temp", "--allow-missing", "--name", name, "--set-param", f"train.seed={seed}"]
    code = subprocess.call([sys.executable, "-m", "dvc", "exp", "run", *options])
    if code:
        raise StageError(f"experiment {name} failed, see above; then make ablation goes on")


def check_needed() -> None:
    """Raise StageError when an experiment would lack the data that its trainings read."""
    missing = [str(path) for path in NEEDED if not path.exists()]
    if missing:
        raise StageError(
            f"{' and '.join(missing)} are not here: `make demo` first (or `dvc repro`, or after "
            "`make clean` `dvc checkout`), then make ablation"
        )


def changed_files() -> list[str]:
    """Tracked files that differ from the commit. Raises StageError without git or a commit."""
    if git("rev-parse", "--verify", "HEAD") is None:
        raise StageError(
            "experiments are commits and there is no git repository with one here: "
            "git init && git add -A && git commit -m start && make install"
        )
    listed = git("status", "--porcelain", "--untracked-files=no") or ""
    return [line[3:] for line in listed.splitlines()]


def parse_seeds(text: str) -> list[int]:
    """``1,2,3`` → [1, 2, 3], each once. Raises StageError for anything but whole numbers."""
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise StageError(f"seeds are whole numbers with commas, like 1,2,3; got '{text}'") from None


def summary(table: pd.DataFrame, seeds: Sequence[int], direction: str, changed: list[str]) -> str:
    """The report: what was run, the table, how to read it."""
    commit = (git("rev-parse", "--short", "HEAD") or "").strip()
    note = f", with uncommitted changes in {', '.join(changed)}" if changed else ""
    few = FEW if len(seeds) == 2 else ""
    return (
        f"# Ablation\n\nTraining seeds {', '.join(map(str, seeds))}; commit {commit}{note}. "
        f"Validation, {direction}.\n\n{markdown(table)}\n\n"
        "Mean over seeds ± half of its Student-t 95 % interval; none for one seed. KID: lower is "
        "better. Found: share of translations on which a face is found. Kept: share of sources "
        "whose translation has their label, each class weighing the same; their mean first. "
        "Seconds: of training alone, on whatever else the machine did. The data, its split and the "
        f"recognizers are the same for all seeds.{few}\n"
    )


def main(
    seeds: Annotated[str, typer.Option(help="Training seeds, with commas.")] = "1,2,3",
    show: Annotated[bool, typer.Option(help="Only tabulate what was run.")] = False,
) -> None:
    """Train and judge all variants with each seed, then tabulate."""
    numbers, changed = parse_seeds(seeds), changed_files()
    if changed and not show:
        print(f"ablation: not committed, but part of the experiments: {', '.join(changed)}")
    if not show:
        check_needed()
    for seed in [] if show else numbers:
        experiment(seed)
    frame = collect(finished(numbers))
    direction = params.load(params.Compare).direction
    text = summary(tabulate(frame), sorted(frame["seed"].unique()), direction, changed)
    write_bytes(REPORT, text.encode())
    print(f"{text}\nAlso in {REPORT}. One by one: dvc exp show; the runs: make ui")


def _title(name: str) -> str:
    return name.replace("_", " ").replace("kid", "KID")


def _cell(row: Mapping[Any, Any], name: str) -> str:
    mean, half, n = row[name], row[f"{name}_half"], row[f"{name}_n"]
    if not n:
        return "not measured"
    digits = 0 if name == "seconds" and mean >= 100 else 3
    text = f"{mean:.{digits}f}" + ("" if math.isnan(half) else f" ± {half:.{digits}f}")
    return text if n == row["seeds"] else f"{text} ({n} of {row['seeds']})"


if __name__ == "__main__":
    stage.run(main)
