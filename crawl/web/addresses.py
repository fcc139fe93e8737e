"""Which network addresses may be contacted: public ones, and hosts that the settings list.

Without this guard a page on the web could make the crawler fetch http://169.254.169.254/ or a
router's menu (server-side request forgery, CWE-918).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time

from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.web.retry import UnreachableError

_REMEMBER = 300.0  # seconds that an answer is reused: keeps connections on one address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


class AddressGuard:
    """Resolves host names and refuses what must not be contacted. For one event loop.

    Args:
        allow_private_hosts: host names that may resolve to private or loopback addresses.
        contact: e-mail or URL; a public host is refused without one.
    """

    def __init__(self, allow_private_hosts: tuple[str, ...], contact: str) -> None:
        self._private = {host.lower() for host in allow_private_hosts}
        self._contact = contact
        self._known: dict[str, tuple[float, list[str]]] = {}

    def require_contact(self, host: str, target: str) -> None:
        """Raises CrawlError when ``target``, the machine that serves ``host``, may be public and
        there is no contact. Public is, before anything is looked up, what is neither a private
        address nor listed.
        """
        if not (self._contact or host.lower() in self._private or _is_private(target)):
            raise _no_contact(host)

    async def addresses(self, host: str, target: str) -> list[str]:
        """The addresses of ``target``, the machine that serves ``host``; all may be contacted.

        Raises FetchError (forbidden_address), UnreachableError when the name does not resolve,
        and CrawlError for a public host when there is no contact.
        """
        self.require_contact(host, target)
        now = time.monotonic()
        expires, known = self._known.get(host, (0.0, []))
        if now < expires:
            return known
        resolved = await _resolve(target)
        self._check(host, resolved)
        self._known[host] = (now + _REMEMBER, resolved)
        return resolved

    def _check(self, host: str, addresses: list[str]) -> None:
        hidden = [address for address in addresses if not _is_public(address)]
        if hidden and host.lower() not in self._private:
            raise FetchError(
                Outcome.FORBIDDEN_ADDRESS,
                f"{host} is at {hidden[0]}, which is not public: add it to "
                "web.allow_private_hosts if you mean it",
            )
        if len(hidden) < len(addresses) and not self._contact:
            raise _no_contact(host)


def _no_contact(host: str) -> CrawlError:
    return CrawlError(
        f"web.contact is empty and {host} may be a public host: set web.contact to an e-mail or "
        "URL where its owner can reach you (or list a host of your own network in "
        "web.allow_private_hosts)"
    )


async def _resolve(host: str) -> list[str]:
    """All addresses of ``host``, IPv4 first: many machines have no IPv6 route."""
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"cannot resolve {host}: {error}") from None
    return [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0])]


def _is_private(host: str) -> bool:
    """Whether ``host`` is an address, not a name, and no public one."""
    try:
        return not _is_public(host)
    except ValueError:
        return False


def _is_public(address: str) -> bool:
    """Whether ``address`` is public, and the IPv4 address that a tunnel would take from it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.teredo or ip.ipv4_mapped:
            return False
        inner = ip.sixtofour or (ip in _NAT64 and ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if inner:
            return _is_public(str(inner))
    return ip.is_global and not ip.is_multicast
