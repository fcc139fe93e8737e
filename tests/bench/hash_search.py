"""One search for close hashes, with nothing of this project imported unless it is the one measured.

``python hash_search.py METHOD HASHES.npy MOST``: the hashes are uint64 [N, 4], or the first word of
each where a method knows no others. Prints JSON: seconds of the search and the number of pairs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np


def ours(hashes: np.ndarray, most: int) -> int:
    """The search that is measured, without compiling: numba keeps what it has compiled."""
    from pipeline.duplicates.neighbours import close

    return len(close(hashes, None, most))


def faiss_brute_force(hashes: np.ndarray, most: int) -> int:
    """faiss.IndexBinaryFlat; its radius is exclusive, and it finds each pair twice."""
    import faiss

    index = faiss.IndexBinaryFlat(256)
    index.add(hashes.view(np.uint8))
    count = 0
    for start in range(0, len(hashes), 65536):  # its results, one for each hash itself included
        limits, _, _ = index.range_search(hashes[start : start + 65536].view(np.uint8), most + 1)
        count += int(limits[-1])
    return (count - len(hashes)) // 2


def numpy_all_pairs(hashes: np.ndarray, most: int) -> int:
    """Each hash with all that follow."""
    count = 0
    for row in range(len(hashes) - 1):
        bits = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).sum(axis=1, dtype=np.uint16)
        count += int((bits <= most).sum())
    return count


def imagededup_default(hashes: np.ndarray, most: int) -> int:
    """imagededup's own way from hashes to duplicates, on all cores, of the 64 bits it can compare.

    ``most`` is scaled with the bits: 40 of 256 becomes 10, which is also its default. So is the
    search, compiled brute force: its other one, a BK-tree in Python, took 150 s for 4,000 hashes
    where this took 5.
    """
    from imagededup.methods import PHash

    named = {str(row): f"{value:016x}" for row, value in enumerate(hashes[:, 0].tolist())}
    found = PHash(verbose=False).find_duplicates(
        encoding_map=named,
        max_distance_threshold=most // 4,
        num_dist_workers=os.cpu_count(),
    )
    return sum(map(len, found.values())) // 2


METHODS: dict[str, Callable[[np.ndarray, int], int]] = {
    "face2anime": ours,
    "faiss, brute force": faiss_brute_force,
    "numpy, all pairs": numpy_all_pairs,
    "imagededup (64 bits)": imagededup_default,
}


def main() -> None:
    """Warm up on a few hashes, then search all."""
    method, path, most = sys.argv[1:]
    hashes = np.load(path)
    search = METHODS[method]
    search(hashes[:50], int(most))
    start = time.perf_counter()
    pairs = search(hashes, int(most))
    print(json.dumps({"seconds": time.perf_counter() - start, "pairs": pairs}))


if __name__ == "__main__":
    main()
