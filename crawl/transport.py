"""HTTP connections that go only where they may and do not wait for ever."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from functools import partial
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from crawl.addresses import AddressGuard

# Its debug lines show whole URLs, API keys among them.
logging.getLogger("urllib3").setLevel(logging.INFO)

_HOSTS = 64  # hosts whose connections are kept open at once
_BUFFER = 1 << 16  # bytes read from a socket at once


class Transport:
    """Sends GET requests over kept-alive connections. Safe to share by threads.

    No proxy, cookie or ``~/.netrc`` is ever used: a proxy would connect to addresses that were
    not checked, and the other two would make answers depend on what was asked before.

    :param guard: refuses forbidden addresses.
    :param connect_to: host → (address, port) to connect to in its place, as curl's
        ``--connect-to``: a local server on a free port can then serve stable, made-up URLs.
    :param connections: kept open per host.
    :param timeout: seconds to connect, and between two reads.
    :param deadline: seconds for one whole answer. A server that sends a byte now and then never
        runs into ``timeout``, and would hold a thread for days.
    """

    def __init__(
        self,
        guard: AddressGuard,
        connect_to: dict[str, tuple[str, int]],
        *,
        connections: int,
        timeout: float,
        deadline: float,
    ) -> None:
        dial = _Dial(guard, connect_to)
        self._pools = _Pools(dial, deadline, maxsize=connections, timeout=timeout)

    def get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer, its body unread; redirects are not followed. To be closed by the caller.

        Raises what the guard raises, ValueError when ``url`` is none, urllib3's HTTPError.
        """
        return self._pools.urlopen(
            "GET", url, headers=headers, redirect=False, retries=False, preload_content=False
        )

    def close(self) -> None:
        """Closes idle connections."""
        self._pools.clear()


class _Dial:
    """Opens sockets to checked addresses."""

    def __init__(self, guard: AddressGuard, connect_to: dict[str, tuple[str, int]]) -> None:
        self._guard = guard
        self._connect_to = connect_to

    def __call__(self, connection: HTTPConnection) -> socket.socket:
        """Tries the addresses of the host in turn. Each was checked, and the name is not resolved
        again: a second answer could differ from the checked one (DNS rebinding).
        """
        host, port = connection.host, connection.port
        target, port = self._connect_to.get(host, (host, port))
        failure: OSError | None = None
        for address in self._guard.addresses(host, target):
            try:
                opened = socket.create_connection((address, port), connection.timeout)
            except OSError as error:
                failure = error
            else:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return opened
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(connection, f"connecting to {host} timed out")
        raise NewConnectionError(connection, f"cannot connect to {host}: {failure}")


class _Pools(urllib3.PoolManager):
    """Keeps the connections of many hosts; they are opened by ``dial``."""

    def __init__(self, dial: _Dial, deadline: float, *, maxsize: int, timeout: float) -> None:
        super().__init__(_HOSTS, maxsize=maxsize, timeout=timeout, ca_certs=certifi.where())
        self._dial = dial
        self._deadline = deadline

    def _new_pool(self, scheme: str, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(scheme, *args, **kwargs)
        kind = _Https if scheme == "https" else _Http
        pool.ConnectionCls = partial(kind, self._dial, self._deadline)  # type: ignore[assignment]
        return pool


class _Http(HTTPConnection):
    def __init__(self, dial: _Dial, deadline: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial
        self.response_class = partial(_TimedResponse, deadline)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        return self._dial(self)


class _Https(_Http, HTTPSConnection):
    """As _Http; certificate and SNI stay with the name, whatever address is dialled."""


class _TimedResponse(http.client.HTTPResponse):
    """An answer, headers and body, that has to be complete ``deadline`` seconds from now."""

    def __init__(self, deadline: float, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, time.monotonic() + deadline), _BUFFER)


class _TimedReader(io.RawIOBase):
    """Reads from ``sock``, each read within its timeout and all of them until ``end``."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until we close
        self._timeout = sock.gettimeout() or float("inf")
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(min(self._timeout, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
