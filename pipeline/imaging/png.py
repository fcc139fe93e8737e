"""Whether a PNG has the rows that its header announces: Pillow leaves what is missing black."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_START = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Adam7: where each pass begins, and in which steps it goes, across and down.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)),
    *((1, 0, 2, 2), (0, 1, 1, 2)),
)
_AT_ONCE = 1 << 20  # bytes


def check(data: bytes) -> None:
    """Raises ValueError when ``data`` is a PNG that lacks rows; what else is wrong with it is left
    to who decodes it.
    """
    if not data.startswith(_START) or data[12:16] != b"IHDR" or len(data) < 33:
        return
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    bits = data[24] * _CHANNELS.get(data[25], 0)
    passes = _PASSES if data[28] else ((0, 0, 1, 1),)
    wanted = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        wanted += max(0, rows) * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    inflater, found = zlib.decompressobj(), 0
    try:
        for part in _pixels(data):
            while part and found < wanted:
                found += len(inflater.decompress(part, _AT_ONCE))
                part = inflater.unconsumed_tail
    except zlib.error:
        return
    if found < wanted and inflater.eof:
        raise ValueError(
            f"{width}×{height} pixels are announced, and some of their data is missing"
        )


def _pixels(data: bytes) -> Iterator[bytes]:
    start = 8
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4])
        if data[start + 4 : start + 8] == b"IDAT":
            yield data[start + 8 : start + 8 + size]
        start += 12 + size
