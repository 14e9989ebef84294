"""Whom we talk to: named hosts alone, over TLS, and never into our own network by surprise.

An answer of a source may name an address: the next page, the link of an export, a redirect. It is
followed only to a host on the list, and the list is checked against the address that is really
connected to, so a name that suddenly points inside is refused as well.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import urlsplit

import httpcore

from countermand.domain.errors import CountermandError, gettext_noop

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)
_MOST_ADDRESSES: Final = 16
_IPV6_INTERNET: Final = ipaddress.IPv6Network("2000::/3")  # all that is given out (RFC 4291)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


@dataclass(eq=False)
class HostNotAllowed(CountermandError):
    """An address leads where this source has no business."""

    host: str

    code: ClassVar[str] = "source.host_not_allowed"
    sentence: ClassVar[str] = gettext_noop("The address of {host} was not called.")
    remedy: ClassVar[str] = gettext_noop(
        "Name the host with “countermand sources add … --host”, if it belongs to the source; a "
        "host in your own network needs --private-network as well."
    )


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts of one source: whole names, or `*.example.org` for all below it.

    `private` allows addresses that are not of the public internet, for servers of one's own.
    """

    names: frozenset[str]
    private: bool = False

    @classmethod
    def of(cls, names: Iterable[str], *, private: bool = False) -> AllowedHosts:
        """Collect host names, in any case."""
        return cls(frozenset(name.lower() for name in names), private)

    def check(self, url: str) -> None:
        """Raise HostNotAllowed unless the address is https on a host of the list."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
            has_login = parts.username is not None or parts.password is not None
        except ValueError:
            raise HostNotAllowed(host="?") from None
        if parts.scheme != "https" or has_login or not self.has(host):
            raise HostNotAllowed(host=host[:100] or "?")

    def has(self, host: str) -> bool:
        """Whether a host is on the list."""
        if host in self.names:
            return True
        _, dot, above = host.partition(".")
        while dot:
            if f"*.{above}" in self.names:
                return True
            _, dot, above = above.partition(".")
        return False


class GuardedNetwork(httpcore.SyncBackend):
    """Connects to addresses that were looked at, and to no other."""

    def __init__(self, hosts: AllowedHosts) -> None:
        self._hosts = hosts

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve a name once, refuse what is private, and connect to what was resolved."""
        addresses = self._addresses(host, port)
        for number, address in enumerate(addresses, 1):
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(  # (the signature is httpcore's)
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """No source lives behind a socket file."""
        raise HostNotAllowed(host="?")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        if not self._hosts.has(host.lower()):
            raise HostNotAllowed(host=host[:100])
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is not known") from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))[:_MOST_ADDRESSES]
        if not self._hosts.private and not all(_is_public(each) for each in addresses):
            raise HostNotAllowed(host=host[:100])
        return addresses


def _is_public(address: str) -> bool:
    read = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(read, ipaddress.IPv4Address):
        return read.is_global and not read.is_multicast
    if (inner := _ipv4_within(read)) is not None:
        return inner.is_global and not inner.is_multicast
    return read in _IPV6_INTERNET and read.is_global


def _ipv4_within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the older address that is reached by this one, through a translator or a tunnel."""
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def tls(ca_file: str = "") -> ssl.SSLContext:
    """Return how TLS is spoken: trusting the machine's certificates, or one file in their place."""
    return ssl.create_default_context(cafile=ca_file or None)
