"""Perceptual hashes of faces, and which pairs are close: exact, fast, without n² Python.

The 64-bit pHash everybody uses cannot tell aligned faces apart: at its popular threshold of 10 a
third of 17,476 distinct photos pass for copies of another. So the hash here has 256 bits. Copies
that were cut out a little differently are further apart in it than some strangers are, but agree in
their coarse colours, which is the second signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.core import tables
from pipeline.core import workers as parallel
from pipeline.duplicates.borders import trim

SIDE = 16  # of the hash: 256 bits
BITS = SIDE * SIDE
COARSE = 8  # pixels a side of the coarse colours
COARSE_ALIKE = 0.8  # correlation of copies' coarse colours: of 91 planted copies 98 % have more
BLOCK = 2048  # rows compared at once: 16 MB a block
SMALL = 8192  # faces among which a matrix product takes a few seconds


@dataclass(frozen=True)
class Signatures:
    """Of N views and their mirror images, in that order along the second axis.

    The first views are the images as they are, in their order; further ones are without borders.
    """

    bits: np.ndarray  # bool [N, 2, 256]: pHash (`imagehash.phash`), the signs of low DCT terms
    colours: np.ndarray  # float32 [N, 2, 192]: 8×8 RGB, of mean 0 per channel and of norm 1
    image: np.ndarray  # int64 [N], which image each is a view of


def sign(
    images: Sequence[dict[str, Any]], workers: int, label: str, *, trimmed: bool = False
) -> Signatures:
    """The signatures of encoded images, ``{"bytes": …}`` each.

    ``trimmed``: after them those of the images that have a border, without it (see `borders`).
    """
    chunks = list(parallel.chunks(images, 256))
    task = partial(_sign_chunk, trimmed)
    results = parallel.over(task, chunks, workers=workers, label=label, total=len(chunks))
    bits, colours = [np.zeros((0, 2, BITS), bool)], [np.zeros((0, 2, 3 * COARSE**2), np.float32)]
    rows = [np.zeros(0, np.int64)]
    for kind in range(2):
        start = 0
        for chunk, parts in zip(chunks, results, strict=True):
            bits.append(parts[kind].bits)
            colours.append(parts[kind].colours)
            rows.append(parts[kind].image + start)
            start += len(chunk)
    return Signatures(np.concatenate(bits), np.concatenate(colours), np.concatenate(rows))


def near_pairs(signatures: Signatures, same_bits: int, unsure_bits: int = 0) -> pd.DataFrame:
    """All pairs whose hashes are close, one of the two mirrored or not: none is missed.

    Close is a Hamming distance of at most ``same_bits``, or of at most ``unsure_bits`` where the
    coarse colours correlate, too. Up to `SMALL` faces a matrix product is fast enough; beyond,
    `neighbours` is worth the seconds that compiling it takes. There the time grows about linearly
    with the faces without ``unsure_bits``, but with their square (and little memory) with it.

    Returns:
        Columns ``first`` < ``second`` (row numbers of the signatures), ``bits`` (the smaller
        distance) and ``mirror`` (whether that is to the mirror image), sorted.
    """
    if len(signatures.bits) <= SMALL:
        return _measured(_pack(signatures.bits), _multiplied(signatures, same_bits, unsure_bits))
    from pipeline.duplicates import neighbours

    words, rows = _pack(signatures.bits), len(signatures.bits)
    if unsure_bits > same_bits:
        colours = signatures.colours
        found = neighbours.scan(words, colours, same_bits, unsure_bits, COARSE_ALIKE)
    else:
        straight = neighbours.close(words[:, 0], None, same_bits)
        turned = np.sort(neighbours.close(words[:, 0], words[:, 1], same_bits), axis=1)
        both = np.concatenate([straight, turned[turned[:, 0] < turned[:, 1]]]).astype(np.int64)
        found = np.stack(np.divmod(np.unique(both[:, 0] * rows + both[:, 1]), rows), axis=1)
    return _measured(words, found)


def distinct(signatures: Signatures) -> tuple[Signatures, np.ndarray]:
    """One view of each hash, and int64 [N], which of them each view has.

    Of many copies of one picture all pairs are too many to be listed.
    """
    words = _pack(signatures.bits).reshape(len(signatures.bits), -1)
    _, first, which = np.unique(words, axis=0, return_index=True, return_inverse=True)
    only = Signatures(signatures.bits[first], signatures.colours[first], signatures.image[first])
    return only, which.reshape(-1)


def _pack(bits: np.ndarray) -> np.ndarray:
    """Bool [N, 2, 256] → uint64 [N, 2, 4]."""
    return np.packbits(bits, axis=-1).view(np.uint64)


def _multiplied(signatures: Signatures, same_bits: int, unsure_bits: int) -> np.ndarray:
    """The close pairs, int64 [P, 2]. With bits as ±1 their distance is (256 − a·b) / 2."""
    signs = np.where(signatures.bits, np.float32(1), np.float32(-1))
    colours = signatures.colours
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(signs), BLOCK):
        block = slice(start, start + BLOCK)
        for other in range(start, len(signs), BLOCK):
            against = slice(other, other + BLOCK)
            closest = signs[block, 0] @ signs[against, 0].T
            for mine, theirs in ((0, 1), (1, 0)):  # mirrored: not quite the same either way
                product = signs[block, mine] @ signs[against, theirs].T
                closest = np.maximum(closest, product)
            near = closest >= BITS - 2 * same_bits
            if unsure_bits > same_bits:
                alike = np.maximum(
                    colours[block, 0] @ colours[against, 0].T,
                    colours[block, 0] @ colours[against, 1].T,
                )
                near |= (closest >= BITS - 2 * unsure_bits) & (alike >= COARSE_ALIKE)
            pairs = np.argwhere(near) + np.array([start, other])
            found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def _measured(words: np.ndarray, pairs: np.ndarray) -> pd.DataFrame:
    """The table of ``pairs``, int [P, 2], with the distances of their hashes."""
    first, second = pairs[np.lexsort(pairs.T[::-1])].astype(np.int64).T

    def distance(one: int, other: int) -> np.ndarray:
        bits = np.zeros(len(first), np.int64)
        for word in range(words.shape[2]):  # one after another, to save memory
            bits += np.bitwise_count(words[first, one, word] ^ words[second, other, word])
        return bits

    straight = distance(0, 0)
    turned = np.minimum(  # mirroring moves the hash's median: the two differ by some bits
        distance(0, 1), distance(1, 0)
    )
    columns = {"first": first, "second": second, "bits": np.minimum(straight, turned)}
    return pd.DataFrame(columns | {"mirror": turned < straight})


def _sign_chunk(trimmed: bool, chunk: Sequence[dict[str, Any]]) -> tuple[Signatures, Signatures]:
    """Of the images, and of those that have a border, without it."""
    whole = [tables.decode(image["bytes"]) for image in chunk]
    less = {row: trim(rgb) for row, rgb in enumerate(whole)} if trimmed else {}
    bordered = [row for row, rgb in less.items() if rgb is not whole[row]]
    every = np.arange(len(whole))
    return _signed(whole, every), _signed([less[row] for row in bordered], np.array(bordered))


def _signed(views: Sequence[np.ndarray], rows: np.ndarray) -> Signatures:
    bits, colours = [], []
    for rgb in views:
        for turned in (rgb, np.ascontiguousarray(rgb[:, ::-1])):
            bits.append(imagehash.phash(Image.fromarray(turned), hash_size=SIDE).hash.ravel())
            small = cv2.resize(turned, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
            values = (small - small.mean(axis=(0, 1))).ravel()
            colours.append(values / max(float(np.linalg.norm(values)), 1e-6))
    return Signatures(
        np.array(bits, bool).reshape(-1, 2, BITS),
        np.array(colours, np.float32).reshape(-1, 2, 3 * COARSE**2),
        np.array(rows, np.int64),
    )
