"""The HTTP adapter: connects to the checked address and keeps the name in Host and in TLS."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from crawl.addresses import AddressGuard


class GuardedAdapter(HTTPAdapter):
    """Sends requests only to addresses that ``guard`` has checked.

    :param guard: refuses forbidden addresses.
    :param connect_to: host → (address, port) to connect to in its place, as curl's
        ``--connect-to``: a local server on a free port can then serve stable, made-up URLs.
    :param pool_size: connections kept open per host.
    """

    def __init__(
        self, guard: AddressGuard, connect_to: dict[str, tuple[str, int]], pool_size: int
    ) -> None:
        super().__init__(pool_connections=64, pool_maxsize=pool_size)
        self._guard = guard
        self._connect_to = connect_to

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Swaps the host of ``request`` for its checked address. Raises as ``guard`` does."""
        attributes: Any = super().build_connection_pool_key_attributes(request, verify, cert)
        host_params, pool_kwargs = attributes
        host = host_params["host"]
        target, port = self._connect_to.get(host, (host, host_params["port"]))
        if host_params["scheme"] == "https":
            pool_kwargs["server_hostname"] = host
        host_params |= {"host": self._guard.address(host, target), "port": port}
        return host_params, pool_kwargs

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """As HTTPAdapter.send, with the Host header of the URL and not of the address."""
        request.headers["Host"] = urlsplit(str(request.url)).netloc.rpartition("@")[2]
        return super().send(request, *args, **kwargs)
