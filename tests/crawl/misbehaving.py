"""A real HTTP server on loopback that misbehaves on purpose, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


def image_bytes(seed: int, size: int = 48, kind: str = "PNG") -> bytes:
    """An encoded noise image of its own for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def png_bomb(side: int = 30_000) -> bytes:
    """A PNG of a few dozen bytes whose header announces side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass
class Seen:
    """One request as the server saw it."""

    path: str
    at: float  # time.monotonic()
    headers: dict[str, str]


Fault = Callable[[BaseHTTPRequestHandler, int], None]  # (handler, how often asked before)


@dataclass
class Site:
    """Paths and how they answer; everything else is 404."""

    faults: dict[str, Fault] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    widest: int = 0  # most requests answered at once
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def enter(self, handler: BaseHTTPRequestHandler) -> int:
        with self._lock:
            before = len(self.requests(handler.path))
            self.seen.append(Seen(handler.path, time.monotonic(), dict(handler.headers.items())))
            self._open += 1
            self.widest = max(self.widest, self._open)
            return before

    def leave(self) -> None:
        with self._lock:
            self._open -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for headers and body: two would wait for a delayed acknowledgement (40 ms).
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    site: Site

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        before = self.site.enter(self)
        try:
            self.site.faults.get(self.path, status(404))(self, before)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True
        finally:
            self.site.leave()

    def log_message(self, *args: object) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client hung up, as it should
            super().handle_error(request, client_address)


class Server:
    """Serves ``site`` on a free loopback port within a ``with`` block."""

    def __init__(self, site: Site) -> None:
        handler = type("Handler", (_Handler,), {"site": site})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self.address: tuple[str, int] = ("127.0.0.1", self._server.server_address[1])

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _send(handler: BaseHTTPRequestHandler, code: int, body: bytes, **headers: str) -> None:
    handler.send_response(code)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def body(data: bytes, **headers: str) -> Fault:
    """Answers with ``data``, at once and whole."""
    return lambda handler, _: _send(handler, 200, data, **headers)


def status(code: int, **headers: str) -> Fault:
    """Answers with a status and no body, e.g. ``status(302, Location="/elsewhere")``."""
    return lambda handler, _: _send(handler, code, b"", **headers)


def first(times: int, fault: Fault, then: Fault) -> Fault:
    """``fault`` for the first ``times`` requests, ``then`` after them."""
    return lambda handler, before: (fault if before < times else then)(handler, before)


def drop() -> Fault:
    """Closes the connection without an answer."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.close_connection = True

    return answer


def truncate(data: bytes, times: int, *, ranges: bool = True) -> Fault:
    """Sends half of what is left and closes, ``times`` times; with or without range support."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        wanted = handler.headers.get("Range") if ranges else None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        rest = data[start:]
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Length", str(len(rest)))
        handler.send_header("ETag", '"v1"')
        if wanted:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.send_header("Content-Range", span)
        handler.end_headers()
        handler.wfile.write(rest if before >= times else rest[: len(rest) // 2])
        handler.close_connection = before < times

    return answer


def bad_range(data: bytes) -> Fault:
    """Breaks off, then answers the range request with the wrong range, then behaves."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        if before == 0:
            truncate(data, 1)(handler, 0)
        elif before == 1:
            _send(handler, 206, data[:10], Content_Range=f"bytes 0-9/{len(data)}")
        else:
            _send(handler, 200, data)

    return answer


def endless(start: bytes) -> Fault:
    """A body without Content-Length that never ends."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b"\0" * 65536)

    return answer


def slow(data: bytes, seconds: float) -> Fault:
    """Answers with ``data`` after a while."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        time.sleep(seconds)
        _send(handler, 200, data)

    return answer


def slow_loris(data: bytes, seconds: float, *, headers: bool = False) -> Fault:
    """Sends the first half of ``data``, or nothing, and then a byte now and then."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.close_connection = True
        start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(data)
        handler.wfile.write(
            start + b"X-Pad: " if headers else start + b"\r\n" + data[: len(data) // 2]
        )
        for _ in range(200):
            handler.wfile.flush()
            time.sleep(seconds)
            handler.wfile.write(b"\0")

    return answer


def retry_at(seconds: float) -> Fault:
    """429 with a Retry-After that is an HTTP date, ``seconds`` from now, in whole seconds."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        date = formatdate(time.time() + seconds, usegmt=True)
        status(429, Retry_After=date)(handler, before)

    return answer
