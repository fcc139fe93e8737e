"""The search for close hashes against imagededup, faiss and numpy: random and face-like ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.bench.hash_search import METHODS
from tests.bench.markdown import markdown
from tests.bench.process_tree import measure_tree
from tests.project import ROOT, environment

# Beside this project's pins they would move others; imagededup also brings a network it never uses.
PEERS = ["imagededup==0.3.3.post2", "faiss-cpu==1.15.1"]
PEERS_FOLDER = Path(os.environ.get("BENCH_HASH_PEERS", ROOT / ".cache/hash-peers"))
MOST = 40  # bits: a duplicate
LIMIT = 120.0  # seconds a search may take
GOAL = 100  # times faster than imagededup: it may take a little longer than that
OURS, FAISS, NUMPY, IMAGEDEDUP = METHODS
SIZES = {10**4: list(METHODS), 10**5: list(METHODS), 10**6: [OURS, FAISS]}


@dataclass(frozen=True)
class Search:
    """What one cost; no pairs: it was stopped."""

    seconds: float
    peak: float  # MiB, of the whole process
    pairs: int | None


def install_peers() -> None:
    """Make the peers' environment when it is missing."""
    if not (PEERS_FOLDER / ".installed").exists():
        print(f"installing {' and '.join(PEERS)} in {PEERS_FOLDER}", flush=True)
        venv.create(PEERS_FOLDER, with_pip=True)
        python = str(PEERS_FOLDER / "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
        (PEERS_FOLDER / ".installed").touch()


def random_hashes(count: int) -> np.ndarray:
    """uint64 [count, 4], every bit by chance."""
    return np.random.default_rng(1).integers(0, 2**64, (count, 4), dtype=np.uint64)


def face_like_hashes(count: int) -> np.ndarray:
    """uint64 [count, 4], as alike as those of 5,783 real photos, a twentieth of them copies.

    Bits are signs of normal values with a mean of their own (all faces share it) and six common
    factors (pose, light): the photos' hashes differ in 116 ± 10.5 bits, 1.1 ‰ of pairs in at most
    80, and these in 116 ± 12 and 0.7 ‰. Copies come in sets of up to 20 and differ in up to a
    quarter of the bits.
    """
    rng = np.random.default_rng(2)
    mean, factors = 0.48 * rng.standard_normal(256), 0.29 * rng.standard_normal((6, 256))
    parts = []
    for start in range(0, count, 2**16):
        size = min(2**16, count - start)
        values = rng.standard_normal((size, 6)) @ factors + rng.standard_normal((size, 256)) + mean
        bits = values > 0
        copied = size // 20
        flipped = rng.random((copied, 256)) < rng.uniform(0, 0.25, (copied, 1))
        bits[:copied] = bits[copied + np.arange(copied) // 20] ^ flipped
        parts.append(np.packbits(bits, axis=1).view(np.uint64))
    return np.concatenate(parts)[rng.permutation(count)]


def search(method: str, hashes: Path, limit: float) -> Search:
    """Run one in a process of its own, with all cores. Raises RuntimeError when it fails."""
    python = sys.executable if method == OURS else str(PEERS_FOLDER / "bin/python")
    script = str(Path(__file__).with_name("hash_search.py"))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        env = environment(PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        command = [python, script, method, str(hashes), str(MOST)]
        try:
            usage = measure_tree(command, ROOT, env, log, limit)
        except RuntimeError as error:
            if "ended with -9" in str(error):
                return Search(limit, float("nan"), None)
            raise
        result = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return Search(result["seconds"], usage.peak, result["pairs"])


def hashing_table(limit: float = LIMIT) -> pd.DataFrame:
    """A row a size and kind of hashes. Raises ValueError where exact searches disagree."""
    rows = []
    for count, methods in SIZES.items():
        for kind, make in (("random", random_hashes), ("face-like", face_like_hashes)):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "hashes.npy"
                np.save(path, make(count))
                done = {OURS: search(OURS, path, limit)}
                for method in methods[1:]:
                    enough = 1.2 * GOAL * done[OURS].seconds if method == IMAGEDEDUP else 0.0
                    done[method] = search(method, path, max(limit, enough))
            pairs = {done[name].pairs for name in done if name != IMAGEDEDUP} - {None}
            if len(pairs) > 1:
                raise ValueError(f"{count} {kind} hashes: {done} do not agree on the pairs")
            cells = [_cell(done[name]) if name in done else "" for name in METHODS]
            rows.append([f"{count:,}", kind, f"{pairs.pop():,}" if pairs else "", *cells])
            print(*rows[-1], sep="\t", flush=True)
    return pd.DataFrame(rows, columns=["hashes", "kind", "pairs", *METHODS])


def _cell(done: Search) -> str:
    if done.pairs is None:
        return f"> {done.seconds:.0f} s"
    return f"{done.seconds:.2f} s, {done.peak:.0f} MiB"


def hashing_section() -> str:
    """What the report says of the search, less its heading."""
    install_peers()
    return f"""All pairs of 256-bit hashes that differ in at most {MOST} bits: seconds of the search
on all cores, compiling left out, and peak memory of its whole process. A process is stopped after
{LIMIT:.0f} s, imagededup's not before {1.2 * GOAL:.0f} times ours. All but imagededup found the
same pairs (checked). imagededup searches in its default way, on 64-bit hashes that differ in at
most 10 bits. Face-like hashes have the distances
that real photos have.

{markdown(hashing_table())}
"""


if __name__ == "__main__":
    print(hashing_section())
