"""Undoing the Content-Encoding of a body (RFC 9110 section 8.4) that was asked for without any."""

from __future__ import annotations

import zlib

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's word for each form


def decoded(data: bytes, encoding: str, most: int) -> bytes:
    """``data`` without the codings that the header ``encoding`` lists, the last of them first.

    Args:
        data: the body as it was sent.
        encoding: the value of Content-Encoding.
        most: bytes; what decodes to more ends after the next byte, which tells that there are more.

    Raises ValueError with the reason.
    """
    for coding in reversed([word.strip().lower() for word in encoding.split(",")]):
        if coding in ("gzip", "x-gzip"):
            data = _inflated(data, _GZIP, most)
        elif coding == "deflate":  # some servers leave out the frame that the standard asks for
            framed = data[:1] and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            data = _inflated(data, _ZLIB if framed else _RAW, most)
        elif coding not in ("", "identity"):
            raise ValueError(f"sent with Content-Encoding {coding[:40]!r}, which nobody asked for")
    return data


def _inflated(data: bytes, form: int, most: int) -> bytes:
    inflater = zlib.decompressobj(form)
    try:
        found = inflater.decompress(data, most + 1)
    except zlib.error:
        raise ValueError("sent compressed, and damaged") from None
    if len(found) <= most and not inflater.eof:
        raise ValueError("sent compressed, and cut short")
    return found
