"""Valid bytes, broken in the ways that disks, networks and strangers break them."""

from __future__ import annotations

import random

EDGES = (b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"-1", b"9" * 400, b"nan",
         b"1e999", b"\n", b"\r", b'"', b"[", b"{", b"\xed\xa0\x80", b"../", b"%", b"<script>",
         b"&a", b"*a", b"!!python/object", b": ", b"- ", b"\t", b"null", b"true")  # fmt: skip


def mutated(seeds: tuple[bytes, ...], draw: random.Random) -> bytes:
    """One of ``seeds`` after one to six changes."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(9):
            case 0:  # cut off
                del data[at:]
            case 1:  # its beginning is missing
                del data[: at // 4]
            case 2 if data:  # a bit
                data[at % len(data)] ^= 1 << draw.randrange(8)
            case 3 if data:  # a byte
                data[at % len(data)] = draw.randrange(256)
            case 4:  # something put in
                data[at:at] = draw.choice(EDGES)
            case 5:  # something put over it
                edge = draw.choice(EDGES)
                data[at : at + len(edge)] = edge
            case 6:  # a part twice, or often
                part = data[at : at + draw.randrange(1, 64)]
                data[at:at] = part * draw.choice((1, 2, 1000))
            case 7:  # a part is missing
                del data[at : at + draw.randrange(1, 64)]
            case 8:  # of another of them
                other = draw.choice(seeds)
                data[at:] = other[draw.randrange(len(other) + 1) :]
    return bytes(data)
