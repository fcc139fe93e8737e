"""``make bench``: what each stage and a training step cost here, into ``reports/benchmarks.md``.

Stages run as users run them, one ``dvc repro`` each, in a fresh copy of the project at the demo's
scale; crawling is measured against its peers and training against the published recipe, always in
turn, so that their ratios hold on a noisy machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import torch

from tests.bench.crawling import crawl_section
from tests.bench.dedupe_quality import quality_section
from tests.bench.equal import equal_section
from tests.bench.hashing import hashing_section
from tests.bench.inference import inference_section
from tests.bench.markdown import markdown
from tests.bench.memory import memory_line, peak_of_largest
from tests.bench.profile_step import cases, profile_section
from tests.bench.sharing import sharing_section
from tests.bench.training import training_section
from tests.project import ROOT, copy_project, environment

REPORT = ROOT / "reports/benchmarks.md"
LOOK_EVERY = 0.1  # seconds between two looks at memory
# Stage → what its throughput counts: a number in its metrics file, or rows of a table.
COUNTS = {
    "demo": "data/demo/truth.parquet",
    "discover": "discover.json:posts",
    "crawl": "crawl.json:posts",
    "faces": "crawl.json:outcomes.ok",
    "dedupe": "data/faces",
    "celeba": "data/photos",
    "split": "data/anime+data/photos",
}


@dataclass
class Usage:
    """Wall time in seconds and the largest process's peak memory in MiB."""

    seconds: float
    peak: float


def measure(project: Path, *command: str) -> Usage:
    """Run a command in the project. Raises CalledProcessError when it fails."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=sys.stderr
    )
    peak = 0.0
    while process.poll() is None:  # wait4 would tell no less than what this process itself holds
        peak = max(peak, peak_of_largest(process.pid))
        time.sleep(LOOK_EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(time.monotonic() - start, peak)


def count(project: Path, what: str) -> int:
    """The number that ``what`` names, see `COUNTS`."""
    if ".json:" in what:
        name, _, key = what.partition(":")
        value = json.loads((project / "reports/metrics" / name).read_text(encoding="utf-8"))
        for part in key.split("."):
            value = value[part]
        return int(value)
    return sum(rows(project / part) for part in what.split("+"))


def rows(table: Path) -> int:
    """Rows of a Parquet file, or of all shards of a folder, read off their footers."""
    shards = table.glob("*-*.parquet") if table.is_dir() else [table]
    return sum(pq.read_metadata(shard).num_rows for shard in shards)


def stage_table(project: Path) -> pd.DataFrame:
    """One row a stage of the demo: seconds, images per second, peak memory."""
    listed = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    names = subprocess.run(
        listed, cwd=project, env=environment(), check=True, capture_output=True, text=True
    ).stdout.split()
    rows = []
    for name in names:
        used = measure(project, sys.executable, "-m", "dvc", "repro", "-s", name)
        images = count(project, COUNTS[name]) if name in COUNTS else None
        rate = f"{images / used.seconds:.1f}" if images else ""
        rows.append([name, f"{used.seconds:.1f}", images or "", rate, f"{used.peak:.0f}"])
        print(*rows[-1], sep="\t", flush=True)
    nothing = measure(project, sys.executable, "-m", "dvc", "repro")
    rows.append(["nothing to do", f"{nothing.seconds:.1f}", "", "", f"{nothing.peak:.0f}"])
    columns = ["`dvc repro`", "seconds", "images", "images/s", "peak MiB"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    """Measure, print and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "bench", git=True)
        stages = stage_table(project)
        quality = equal_section(project)
    crawling = crawl_section()
    copies = f"{hashing_section()}\n{quality_section()}"
    sharing = sharing_section()
    training = training_section()
    where = profile_section(list(cases()))
    inference = inference_section()
    flat = memory_line()  # last: it leaves torch one thread
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    text = f"""# Benchmarks

`make bench` on {date.today()}: {os.cpu_count()} cores ({platform.machine()}), {device},
Python {platform.python_version()}, torch {torch.__version__}. Absolute times vary with the
machine's load; ratios within a table are comparable. Peak memory is that of the largest process.

## Stages, demo profile

Each row is one `dvc repro -s STAGE` with start-up and tracking.

{markdown(stages)}

## Crawling

{crawling}
## Copies

{copies}
## Sharing

{sharing}
## Training

{training}
{flat}

### Quality at equal images and at equal seconds

{quality}
### Where a step's time goes

{where}
## Inference

{inference}"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
