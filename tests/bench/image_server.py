"""Thousands of distinct JPEGs over HTTP on loopback, from a process of its own.

Answers are built before the first request, so that one costs the server a fraction of what it
costs a client. ``/report`` tells what was asked since the last report.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 160  # pixels; noise of this size at this quality is a JPEG of about 30 KB
QUALITY = 94


def jpeg(number: int) -> bytes:
    """Noise as a JPEG of about 30 KB, of its own for each number: nothing compresses it further."""
    noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


@dataclass(frozen=True)
class Report:
    """What the server saw since the last report."""

    arrivals: list[float]  # of all requests, in seconds of time.monotonic()
    connections: int
    cpu_seconds: float  # user and system, of the server's process


class _Connection(asyncio.Protocol):
    """One client. Requests have no body, so a blank line ends each."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._server.connections += 1

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._server.answer(request.split(b" ", 2)[1]))
            if b"\r\nconnection: close" in request.lower():
                self._transport.close()


class _Server:
    def __init__(self, count: int) -> None:
        self._answers = {f"/{number:05d}.jpg".encode(): _image(number) for number in range(count)}
        self._clear()

    def answer(self, path: bytes) -> bytes:
        if path == b"/report":
            return self._report()
        self._arrivals.append(time.monotonic())
        return self._answers.get(path, _NOT_FOUND)

    def _report(self) -> bytes:
        cpu = time.process_time() - self._cpu_before
        body = json.dumps([self._arrivals, self.connections, cpu]).encode()
        self._clear()
        return _answer("200 OK", body)

    def _clear(self) -> None:
        self._arrivals: list[float] = []
        self.connections = 0
        self._cpu_before = time.process_time()


def _image(number: int) -> bytes:
    body = jpeg(number)
    etag = hashlib.sha256(body).hexdigest()[:16]
    return _answer("200 OK", body, "Content-Type: image/jpeg", f'ETag: "{etag}"')


def _answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


_NOT_FOUND = _answer("404 Not Found", b"")


async def _serve(count: int) -> None:
    state = _Server(count)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started it goes away


class ImageServer:
    """The server seen from outside: its address, the URLs of its images, its reports."""

    def __init__(self, port: int, count: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.urls = [f"http://{self.host}/{number:05d}.jpg" for number in range(count)]

    def report(self) -> Report:
        """What was asked since the last report."""
        with urllib.request.urlopen(f"http://{self.host}/report") as answer:
            return Report(*json.load(answer))


@contextmanager
def image_server(count: int) -> Iterator[ImageServer]:
    """Serves ``count`` images from a process of its own within the ``with`` block."""
    command = [sys.executable, __file__, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield ImageServer(int(process.stdout.readline()), count)
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
