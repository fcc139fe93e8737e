"""Whether a JPEG has the data that its header announces: libjpeg draws what is missing in grey."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2  # frames coded by Huffman's method
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # in the same range of codes
_SCAN, _END = 0xDA, b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # what ends a scan's data
_AHEAD = bytes(16)  # the decoder looks a few bytes beyond the last block


@dataclass(frozen=True)
class _Frame:
    kind: int  # the second byte of its marker
    width: int  # pixels
    height: int
    alone: bool  # whether one scan has all components
    begin: int  # where the first scan's data is
    scan: int  # its bytes


def checked(data: bytes) -> bytes:
    """``data``; of a JPEG so that a decoder cannot take its end for the end of the picture.

    Without the mark of its end a decoder that runs out of data says so, as Pillow does, and a whole
    picture is decoded all the same, also where the file has no such mark. In one of several scans
    the mark is needed; there what is too little for the size is told by the fewest bits that can
    be: one for each block of 8×8 pixels in the first scan.

    Raises ValueError when data is missing.
    """
    frame = _frame(data) if data.startswith(b"\xff\xd8\xff") else None
    if frame is None or frame.kind not in (*_SEQUENTIAL, _PROGRESSIVE):
        return data
    # Where a scan has one component, that may have a quarter of the others' blocks, or less.
    blocks = (frame.width // 8) * (frame.height // 8) // (1 if frame.alone else 16)
    if frame.scan * 8 < blocks:
        size = f"{frame.width}×{frame.height}"
        raise ValueError(f"{size} pixels are announced, and most of their data is missing")
    if frame.kind not in _SEQUENTIAL or not frame.alone:
        return data
    end = data.rfind(_END, frame.begin)  # a picture within the header has one, too
    return (data[:end] if end > 0 else data.removesuffix(_END[:1])) + _AHEAD


def _frame(data: bytes) -> _Frame | None:
    """What a JPEG's header states of its frame and its first scan; None where it has none."""
    start, found = 2, b""
    while start + 9 <= len(data) and data[start] == 0xFF:
        kind, body = data[start + 1], data[start + 4 : start + 10]
        if kind == 0xFF:  # a fill byte
            start += 1
            continue
        if kind == _SCAN:
            if not found:
                return None
            height, width = int.from_bytes(found[2:4]), int.from_bytes(found[4:6])
            begin = start + 2 + int.from_bytes(data[start + 2 : start + 4])
            after = _MARKER.search(data, begin)
            scan = (after.start() if after else len(data)) - begin
            return _Frame(found[0], width, height, body[0] == found[6], begin, scan)
        if kind in range(0xC0, 0xD0) and kind not in _NO_FRAME:
            found = bytes([kind]) + data[start + 4 : start + 10]
        start += 2 + int.from_bytes(data[start + 2 : start + 4])
    return None
