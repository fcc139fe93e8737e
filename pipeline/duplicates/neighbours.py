"""All pairs of close 256-bit hashes among 10⁵ or 10⁶, exactly, compiled with numba.

`close` is multi-index hashing (Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with
multi-index hashing", section 3) as a join: the bits are dealt into parts, and by the pigeonhole
principle two hashes that differ in at most r bits differ in few bits of some part. So for each part
the hashes are sorted by it, and only those in buckets that few bits apart are compared in full.
`scan` compares all with all, for a limit at which every bucket would meet every other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import intrinsic

WORDS = 4  # uint64 of a hash
BITS = 64 * WORDS
PARTS = 14  # of 18 or 19 bits: for ≤ 40 bits the number whose tables and joins cost least
BLOCKS = 64  # of work, so that no thread waits long for another
TILE = 1024  # hashes that stay in the processor's cache while others are compared with them


def close(left: np.ndarray, right: np.ndarray | None, most: int) -> np.ndarray:
    """All pairs of hashes that differ in at most ``most`` bits, each once, in no order.

    Args:
        left, right: uint64 [N, 4] and [M, 4]; without ``right`` pairs within ``left``, one < other.
        most: the largest distance, in bits. Beyond some 55 the time grows quickly.

    Returns:
        int32 [P, 2]: row numbers in ``left`` and ``right``.
    """
    keys = _parts(left)
    other_keys = keys if right is None else _parts(right)
    found = [np.zeros((0, 2), np.int32)]
    radii = np.array([(most + PARTS - part) // PARTS - 1 for part in range(PARTS)])
    for part in np.flatnonzero(radii >= 0).tolist():
        masks = _masks(_width(part), radii[part])
        one = _buckets(left, keys, part)
        other = one if right is None else _buckets(right, other_keys, part)
        join = partial(_join, one, other, masks, radii[:part], most, right is None)
        found += _in_threads(join, _shares(one))
    return np.concatenate(found)


def scan(hashes: np.ndarray, colours: np.ndarray, sure: int, most: int, alike: float) -> np.ndarray:
    """Pairs one < other that are close, one of the two mirrored or not, by comparing all.

    Args:
        hashes: uint64 [N, 2, 4], of images and their mirror images.
        colours: float32 [N, 2, C], of norm 1.
        sure: bits that may differ whatever the colours are.
        most: bits that may differ where ``colours`` have a scalar product of ``alike`` or more.

    Returns:
        int32 [P, 2], in no order.
    """
    words = np.ascontiguousarray(hashes.transpose(1, 2, 0))
    edges = _triangle(len(hashes), BLOCKS)

    def block(low: int, high: int) -> np.ndarray:
        return _scan(words, colours, low, high, sure, most, alike)

    return np.concatenate([np.zeros((0, 2), np.int32), *_in_threads(block, edges)])


class _Buckets(NamedTuple):
    """Hashes sorted by one part: bucket k is ``hashes[starts[k]:starts[k + 1]]``."""

    hashes: np.ndarray  # uint64 [N, 4]
    order: np.ndarray  # [N], their row numbers before they were sorted
    starts: np.ndarray
    keys: np.ndarray  # [PARTS, N] in the order before


def _buckets(hashes: np.ndarray, keys: np.ndarray, part: int) -> _Buckets:
    order = np.argsort(keys[part], kind="stable").astype(np.int32)
    sizes = np.bincount(keys[part], minlength=2 ** _width(part))
    starts = np.concatenate([[0], sizes.cumsum()]).astype(np.int32)
    return _Buckets(hashes[order], order, starts, keys)


def _shares(buckets: _Buckets) -> np.ndarray:
    """Bucket numbers that cut the rows into about equal blocks."""
    middle = np.linspace(0, len(buckets.hashes), BLOCKS + 1)[1:-1]
    inner = np.searchsorted(buckets.starts, middle)
    return np.concatenate([[0], inner, [len(buckets.starts) - 1]])


def _width(part: int) -> int:
    """How many bits a part has."""
    return len(range(part, BITS, PARTS))


def _parts(hashes: np.ndarray) -> np.ndarray:
    """int32 [PARTS, N]. Bits are dealt in turns: those of one frequency say much the same."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    keys = np.zeros((PARTS, len(hashes)), np.int32)
    for bit in range(BITS):
        keys[bit % PARTS] = keys[bit % PARTS] * 2 + bits[:, bit]
    return keys


def _masks(width: int, radius: int) -> np.ndarray:
    """All numbers of ``width`` bits with at most ``radius`` ones."""
    flips = [bits for ones in range(radius + 1) for bits in combinations(range(width), ones)]
    return np.array([sum(1 << bit for bit in bits) for bits in flips], np.int32)


def _triangle(count: int, blocks: int) -> np.ndarray:
    """Row numbers that cut the pairs one < other into about equal blocks."""
    shares = 1 - np.sqrt(1 - np.linspace(0, 1, blocks + 1))
    return np.round(shares * count).astype(np.int64)


def _in_threads(work: Callable[[int, int], np.ndarray], edges: np.ndarray) -> list[np.ndarray]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiled loops hold no lock
        return list(pool.map(work, edges[:-1].tolist(), edges[1:].tolist()))


def _count_ones(typing: Any, word: Any) -> Any:
    """Number of ones in an integer: one instruction."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return word(word), generate


_ones: Any = intrinsic(_count_ones)
_compiled: Any = njit(nogil=True, cache=True)
_fast_compiled: Any = njit(nogil=True, cache=True, fastmath=True)  # sums in any order


@_compiled
def _add(found, count, one, other):
    if count == len(found):
        larger = np.empty((2 * count, 2), np.int32)
        larger[:count] = found
        found = larger
    found[count, 0], found[count, 1] = one, other
    return found


@_compiled
def _distance(one, other):
    bits = _ones(one[0] ^ other[0]) + _ones(one[1] ^ other[1])
    return bits + _ones(one[2] ^ other[2]) + _ones(one[3] ^ other[3])


@_compiled
def _seen(left, right, radii, one, other):
    """Whether an earlier part, whose ``radii`` these are, has found this pair already."""
    for part in range(len(radii)):
        if _ones(left.keys[part, one] ^ right.keys[part, other]) <= radii[part]:
            return True
    return False


@_compiled
def _join(left, right, masks, radii, most, same, low, high):
    """The close pairs of the buckets ``low`` … ``high`` of ``left`` with those a mask apart."""
    found = np.empty((256, 2), np.int32)
    count = 0
    for bucket in range(low, high):
        if left.starts[bucket] == left.starts[bucket + 1]:
            continue
        for mask in masks:
            across = bucket ^ mask
            if same and across < bucket:
                continue
            for one in range(left.starts[bucket], left.starts[bucket + 1]):
                first = one + 1 if same and mask == 0 else right.starts[across]
                for other in range(first, right.starts[across + 1]):
                    if _distance(left.hashes[one], right.hashes[other]) > most:
                        continue
                    a, b = left.order[one], right.order[other]
                    if _seen(left, right, radii, a, b):
                        continue
                    if same and a > b:
                        a, b = b, a
                    found = _add(found, count, a, b)
                    count += 1
    return found[:count]


@_fast_compiled
def _dot(one, other):
    total = np.float32(0)
    for index in range(len(one)):
        total += one[index] * other[index]
    return total


@_compiled
def _scan(words, colours, low, high, sure, most, alike):
    found = np.empty((256, 2), np.int32)
    count = 0
    size = words.shape[2]
    closest = np.empty(TILE, np.uint64)
    for tile in range(low + 1, size, TILE):
        stop = min(tile + TILE, size)
        for one in range(low, min(high, stop - 1)):
            begin = max(tile, one + 1)
            a, b, c, d = words[0, 0, one], words[0, 1, one], words[0, 2, one], words[0, 3, one]
            e, f, g, h = words[1, 0, one], words[1, 1, one], words[1, 2, one], words[1, 3, one]
            for other in range(begin, stop):
                w, x = words[0, 0, other], words[0, 1, other]
                y, z = words[0, 2, other], words[0, 3, other]
                straight = _ones(a ^ w) + _ones(b ^ x) + _ones(c ^ y) + _ones(d ^ z)
                turned = _ones(e ^ w) + _ones(f ^ x) + _ones(g ^ y) + _ones(h ^ z)
                w, x = words[1, 0, other], words[1, 1, other]
                y, z = words[1, 2, other], words[1, 3, other]
                back = _ones(a ^ w) + _ones(b ^ x) + _ones(c ^ y) + _ones(d ^ z)
                closest[other - begin] = min(straight, turned, back)
            for other in range(begin, stop):
                bits = closest[other - begin]
                if bits > most:
                    continue
                if (
                    bits <= sure
                    or _dot(colours[one, 0], colours[other, 0]) >= alike
                    or _dot(colours[one, 0], colours[other, 1]) >= alike
                ):
                    found = _add(found, count, one, other)
                    count += 1
    return found[:count]
