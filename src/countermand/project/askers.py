"""From which network somebody asks: counted by it, never kept as it is.

Only what a proxy of ours says about others is believed; anybody can write such a header.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_network
from typing import Final

from django.http import HttpRequest

_MOST_HOPS: Final = 20
_BITS: Final = {4: 24, 6: 48}  # what one subscriber, or one house, holds at least


def network_of(request: HttpRequest, proxies: Collection[str]) -> str:
    """Return the network that a request comes from, empty where it is not known.

    `proxies` are the networks of our own proxies: of what came through them the last address
    counts that is none of theirs.
    """
    ours = [ip_network(each, strict=False) for each in proxies]
    told = request.headers.get("X-Forwarded-For", "").split(",")[-_MOST_HOPS:]
    for hop in [request.META.get("REMOTE_ADDR", ""), *reversed(told)]:
        try:
            address = ip_address(hop.strip())
        except ValueError:
            return ""
        if address.version == 6 and address.ipv4_mapped:  # noqa: PLR2004
            address = address.ipv4_mapped
        if not any(address in network for network in ours):
            return str(ip_network(f"{address}/{_BITS[address.version]}", strict=False))
    return ""
