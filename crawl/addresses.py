"""Which network addresses may be contacted: public ones, and hosts that the settings list.

Without this guard a page on the web could make the crawler fetch http://169.254.169.254/ or a
router's menu (server-side request forgery, CWE-918).
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import requests

from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome

_REMEMBER = 300.0  # seconds that an answer is reused: keeps connections on one address


class AddressGuard:
    """Resolves host names and refuses what must not be contacted. Safe to share by threads.

    :param allow_private_hosts: host names that may resolve to private or loopback addresses.
    :param contact: e-mail or URL; a public host is refused without one.
    """

    def __init__(self, allow_private_hosts: tuple[str, ...], contact: str) -> None:
        self._private = {host.lower() for host in allow_private_hosts}
        self._contact = contact
        self._known: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def address(self, host: str, target: str) -> str:
        """An address of ``target``, the machine that serves ``host``, that may be contacted.

        The caller must connect to this very address: were the name resolved again, a second
        answer could differ from the one that was checked (DNS rebinding).

        Raises FetchError (forbidden_address), requests.ConnectionError when the name does not
        resolve, and CrawlError for a public host when there is no contact.
        """
        now = time.monotonic()
        with self._lock:
            expires, address = self._known.get(host, (0.0, ""))
        if now < expires:
            return address
        address = self._checked(host, _resolve(target))
        with self._lock:
            self._known[host] = (now + _REMEMBER, address)
        return address

    def _checked(self, host: str, addresses: list[str]) -> str:
        public = [_is_public(address) for address in addresses]
        if not all(public) and host.lower() not in self._private:
            hidden = addresses[public.index(False)]
            raise FetchError(
                Outcome.FORBIDDEN_ADDRESS,
                f"{host} is at {hidden}, which is not public: add it to crawl.allow_private_hosts "
                "if you mean it",
            )
        if any(public) and not self._contact:
            raise CrawlError(
                f"{host} is a public host and crawl.contact is empty: set it to an e-mail or URL "
                "where the site's owner can reach you"
            )
        return addresses[0]


def _resolve(host: str) -> list[str]:
    """All addresses of ``host``, IPv4 first: many machines have no IPv6 route."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise requests.ConnectionError(f"cannot resolve {host}: {error}") from None
    return [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0])]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast
