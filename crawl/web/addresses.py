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
# Of IPv6 only what is given out as global unicast is public (RFC 4291 section 2.4), and what stands
# for an IPv4 address where that one is.
_UNICAST = ipaddress.ip_network("2000::/3")
_LAST_32_BITS = (  # that are an IPv4 address
    ipaddress.ip_network("::ffff:0:0/96"),  # mapped, RFC 4291 section 2.5.5.2
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64, RFC 6052
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214: before an IPv4 address, in any prefix
# What Python's tables, some of them older, call global.
_NOT_PUBLIC = (
    ipaddress.ip_network("192.0.0.0/24"),  # RFC 6890
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
    ipaddress.ip_network("240.0.0.0/4"),  # reserved
    ipaddress.ip_network("2001::/23"),  # of the IETF: Teredo, ORCHID, …
    ipaddress.ip_network("3fff::/20"),  # documentation, RFC 9637
)


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
    """Whether ``address`` is public, and so is every IPv4 address that it stands for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip in network for network in _LAST_32_BITS):
        return _is_public(str(last))
    inner = [ip.sixtofour] if ip.sixtofour else []
    inner += [last] if int(ip) >> 32 & 0xFFFFFFFF in _ISATAP else []
    return ip in _UNICAST and ip.is_global and all(_is_public(str(four)) for four in inner)
