"""``make bench [SECTIONS=…]``: what the stages and training cost here: ``reports/benchmarks.md``.

All sections, or those named, whose place in the report is then renewed. Stages run as users run
them, one ``dvc repro`` each, in a fresh copy of the project at the demo's scale; crawling is
measured against its peers and training against the published recipe, always in turn, so that their
ratios hold on a noisy machine.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import torch

from tests.bench.crawling import crawl_section
from tests.bench.dedupe_quality import quality_section
from tests.bench.equal import equal_section
from tests.bench.evaluating import evaluating_section
from tests.bench.hashing import hashing_section
from tests.bench.inference import inference_section
from tests.bench.markdown import markdown
from tests.bench.memory import memory_line, peak_of_largest
from tests.bench.profile_step import cases, profile_section
from tests.bench.sharing import sharing_section
from tests.bench.training import training_section
from tests.bench.upscaling import upscaling_section
from tests.bench.using import using_section
from tests.project import ROOT, copy_project, environment

REPORT = ROOT / "reports/benchmarks.md"
TRIED = Path(__file__).with_name("tried.md")
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


def stages_section(project: Path) -> str:
    """The table of all stages."""
    return f"""Each row is one `dvc repro -s STAGE` with start-up and tracking.

{markdown(stage_table(project))}
"""


def copies_section(_: Path) -> str:
    """Hashing and finding copies: speed, then quality."""
    return f"{hashing_section()}\n{quality_section()}"


def quality_at(project: Path) -> str:
    """`equal_section` of a project that `dvc repro` was run in."""
    if not (project / "data/splits").is_dir():
        raise SystemExit(f"bench: no splits in {project}: make demo first, or name stages too")
    return equal_section(project)


# Name → title, and what fills it from a project's folder. They run in this order: `memory` leaves
# torch one thread.
SECTIONS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "stages": ("Stages, demo profile", stages_section),
    "quality": ("Quality at equal images and at equal seconds", quality_at),
    "crawling": ("Crawling", lambda _: crawl_section()),
    "copies": ("Copies", copies_section),
    "sharing": ("Sharing", lambda _: sharing_section()),
    "training": ("Training", lambda _: training_section()),
    "profile": ("Where a step's time goes", lambda _: profile_section(list(cases()))),
    "inference": ("Inference", lambda _: inference_section()),
    "evaluation": ("Evaluation", evaluating_section),
    "use": ("Use: a photo in, a drawing out", lambda _: using_section()),
    "upscaling": ("Enlarging pictures", lambda _: upscaling_section()),
    "memory": ("Memory over a long training", lambda _: memory_line()),
    "tried": ("What was tried for speed", lambda _: TRIED.read_text(encoding="utf-8")),
}
HEAD = """# Benchmarks

`make bench` measures all of this anew, `make bench SECTIONS="training inference"` some of it.
Absolute times vary with the machine's load; ratios within a table are comparable. Peak memory is
that of the largest process.
"""


def measured_on() -> str:
    """When, where and with what."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{date.today()}: {os.cpu_count()} cores ({platform.machine()}), {device}, "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def read_sections() -> dict[str, str]:
    """Title → text of the sections that the report has."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.is_file() else ""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def write_report(texts: Mapping[str, str]) -> None:
    """``texts``, title → text, in the order of `SECTIONS`."""
    titles = [title for title, _ in SECTIONS.values() if title in texts]
    body = "".join(f"\n## {title}\n\n{texts[title]}\n" for title in titles)
    REPORT.write_text(HEAD + body, encoding="utf-8")


def main(names: list[str]) -> None:
    """Measure the named sections, or all, print them and renew them in the report."""
    for name in names:
        if name not in SECTIONS:
            raise SystemExit(f"bench: no section '{name}' (known: {', '.join(SECTIONS)})")
    wanted = [name for name in SECTIONS if not names or name in names]
    texts = read_sections()
    with tempfile.TemporaryDirectory() as folder:
        fresh = "stages" in wanted
        project = copy_project(Path(folder) / "bench", git=True) if fresh else ROOT
        for name in wanted:
            title, section = SECTIONS[name]
            when = "" if name == "tried" else f"{measured_on()}\n\n"
            texts[title] = f"{when}{section(project).strip()}"
            print(f"## {title}\n\n{texts[title]}\n", flush=True)
            write_report(texts)  # now: a later section may fail


if __name__ == "__main__":
    main(sys.argv[1:])
