"""HTTP connections that go only where they may."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from crawl.settings import CrawlSettings
from crawl.web.addresses import AddressGuard


class Transport:
    """Sends GET requests over kept-alive connections. For one event loop, which must run.

    No proxy, cookie or ``~/.netrc`` is ever used: a proxy would connect to addresses that were
    not checked, and the other two would make answers depend on what was asked before.

    Args:
        guard: refuses forbidden addresses.
        connect_to: host → (address, port) to connect to in its place, as curl's ``--connect-to``: a
            local server on a free port can then serve stable, made-up URLs.
        connected: told the host and port of a URL when a new connection for it is there, just
            before the request goes out.
        settings: ``timeout``, and ``deadline``: a server that sends a byte now and then never runs
            into ``timeout``, and would be waited for for days.
    """

    def __init__(
        self,
        guard: AddressGuard,
        connect_to: dict[str, tuple[str, int]],
        connected: Callable[[str], None],
        settings: CrawlSettings,
    ) -> None:
        resolver = _Resolver(guard, connect_to)
        self._resolver = resolver
        trace = aiohttp.TraceConfig()

        async def tell(_: object, context: SimpleNamespace, params: object) -> None:
            connected(context.trace_request_ctx)

        trace.on_connection_create_end.append(tell)
        self._http = aiohttp.ClientSession(
            trace_configs=[trace],
            # No limits of its own: the throttle has them.
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=0, resolver=resolver, use_dns_cache=False
            ),
            timeout=aiohttp.ClientTimeout(
                total=settings.deadline, sock_connect=settings.timeout, sock_read=settings.timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # It would ask again by itself when a kept-alive connection breaks, past the throttle.
        self._http._retry_connection = False

    async def get(
        self, url: str, host: str, headers: dict[str, str], decompress: bool
    ) -> aiohttp.ClientResponse:
        """The answer, its body unread; redirects are not followed. To be released by the caller.

        Args:
            host: what ``connected`` is to be told.

        Raises what the guard raises, ValueError when ``url`` is none, aiohttp's ClientError and
        TimeoutError.
        """
        # What is a URL already is sent as it stands: some sites sign theirs.
        target = URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        if target.port == 0:
            raise ValueError(f"{url} has no usable port")
        # aiohttp resolves no host that is an address in itself, so the guard is asked here, too.
        await self._resolver.resolve(target.host or "", target.port or 0)
        return await self._http.get(
            target,
            headers=headers,
            allow_redirects=False,
            auto_decompress=decompress,
            trace_request_ctx=host,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.close()


class _Resolver(AbstractResolver):
    """Gives aiohttp the checked addresses, so that it connects to these and to no other: a name
    that were resolved twice could have another address the second time (DNS rebinding). Host
    header and certificate stay with the name.
    """

    def __init__(self, guard: AddressGuard, connect_to: dict[str, tuple[str, int]]) -> None:
        self._guard = guard
        self._connect_to = connect_to

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        host = host.lower()
        target, port = self._connect_to.get(host, (host, port))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._guard.addresses(host, target)
        ]

    async def close(self) -> None:
        """Nothing to close."""
