"""Perceptual hashes of faces, and which pairs are close: exact, fast, without n² Python.

The 64-bit pHash everybody uses cannot tell aligned faces apart: at its popular threshold of 10 a
third of 17,476 distinct photos pass for copies of another. So the hash here has 256 bits. Copies
that were cut out a little differently are further apart in it than some strangers are, but agree in
their coarse colours, which is the second signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from pipeline import parallel, tables

SIDE = 16  # of the hash: 256 bits
BITS = SIDE * SIDE
COARSE = 8  # pixels a side of the coarse colours
COARSE_ALIKE = 0.8  # correlation of copies' coarse colours: of 91 planted copies 98 % have more
BLOCK = 2048  # rows compared at once: 16 MB a block


@dataclass(frozen=True)
class Signatures:
    """Of N images and their mirror images, in that order along the second axis."""

    bits: np.ndarray  # bool [N, 2, 256]: pHash (`imagehash.phash`), the signs of low DCT terms
    colours: np.ndarray  # float32 [N, 2, 192]: 8×8 RGB, of mean 0 per channel and of norm 1


def sign(images: Sequence[dict[str, Any]], workers: int, label: str) -> Signatures:
    """The signatures of encoded images, ``{"bytes": …}`` each."""
    chunks = list(parallel.chunks(images, 256))
    results = parallel.over(_sign_chunk, chunks, workers=workers, label=label, total=len(chunks))
    empty = Signatures(np.zeros((0, 2, BITS), bool), np.zeros((0, 2, 3 * COARSE**2), np.float32))
    return Signatures(
        np.concatenate([part.bits for part in [empty, *results]]),
        np.concatenate([part.colours for part in [empty, *results]]),
    )


def near_pairs(signatures: Signatures, same_bits: int, judge_bits: int = 0) -> pd.DataFrame:
    """All pairs whose hashes are close, one of the two mirrored or not.

    Close is a Hamming distance of at most ``same_bits``, or of at most ``judge_bits`` where the
    coarse colours correlate, too. With bits as ±1 the distance is (256 − a·b) / 2: a matrix
    product, exact in float32, which is the fastest all-pairs search up to some 10⁵ faces.

    Returns:
        Columns ``first`` < ``second`` (row numbers), ``bits`` (the smaller distance) and ``mirror``
        (whether that is to the mirror image), sorted.
    """
    signs = np.where(signatures.bits, np.float32(1), np.float32(-1))
    colours = signatures.colours
    found = [np.zeros((4, 0), np.int64)]
    for start in range(0, len(signs), BLOCK):
        block = slice(start, start + BLOCK)
        for other in range(start, len(signs), BLOCK):
            against = slice(other, other + BLOCK)
            straight = signs[block, 0] @ signs[against, 0].T
            turned = np.maximum(  # mirroring moves the hash's median: the two differ by some bits
                signs[block, 0] @ signs[against, 1].T, signs[block, 1] @ signs[against, 0].T
            )
            closest = np.maximum(straight, turned)
            near = closest >= BITS - 2 * same_bits
            if judge_bits > same_bits:
                alike = np.maximum(
                    colours[block, 0] @ colours[against, 0].T,
                    colours[block, 0] @ colours[against, 1].T,
                )
                near |= (closest >= BITS - 2 * judge_bits) & (alike >= COARSE_ALIKE)
            first, second = np.nonzero(near)
            bits = (BITS - closest[first, second]) / 2
            mirror = turned[first, second] > straight[first, second]
            pairs = np.stack([first + start, second + other, bits, mirror]).astype(np.int64)
            found.append(pairs[:, pairs[0] < pairs[1]])
    first, second, bits, mirror = np.concatenate(found, axis=1)
    columns = {"first": first, "second": second, "bits": bits, "mirror": mirror.astype(bool)}
    return pd.DataFrame(columns).sort_values(["first", "second"], ignore_index=True)


def groups_of(count: int, pairs: np.ndarray) -> np.ndarray:
    """Connected components: for each of ``count`` rows the smallest row it is linked to.

    Args:
        pairs: int [P, 2], row numbers that belong together.
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in pairs.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(row) for row in range(count)], np.int64)


def _sign_chunk(chunk: Sequence[dict[str, Any]]) -> Signatures:
    bits, colours = [], []
    for image in chunk:
        rgb = tables.decode(image["bytes"])
        for turned in (rgb, np.ascontiguousarray(rgb[:, ::-1])):
            bits.append(imagehash.phash(Image.fromarray(turned), hash_size=SIDE).hash.ravel())
            small = cv2.resize(turned, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
            values = (small - small.mean(axis=(0, 1))).ravel()
            colours.append(values / max(float(np.linalg.norm(values)), 1e-6))
    return Signatures(
        np.array(bits, bool).reshape(-1, 2, BITS),
        np.array(colours, np.float32).reshape(-1, 2, 3 * COARSE**2),
    )
