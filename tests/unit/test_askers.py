"""Whose network a request comes from: believed from our own proxies alone."""

import pytest
from django.http import HttpRequest

from countermand.project.askers import network_of

OURS = ("127.0.0.0/8", "::1/128", "10.9.0.0/16")


@pytest.mark.parametrize(
    ("remote", "forwarded", "network"),
    [
        ("203.0.113.77", "", "203.0.113.0/24"),
        ("203.0.113.77", "198.51.100.1", "203.0.113.0/24"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.0/24"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.9.3.3", "198.51.100.0/24"),
        ("127.0.0.1", "", ""),
        ("127.0.0.1", "unknown", ""),
        ("", "198.51.100.1", ""),
        ("2001:db8:1:2::9", "", "2001:db8:1::/48"),
        ("::1", "::ffff:198.51.100.7", "198.51.100.0/24"),
        ("::1", "10.9.0.1, " * 500, ""),
    ],
)
def test_the_network_of_an_asker_is_what_our_own_proxies_say(
    remote: str, forwarded: str, network: str
) -> None:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}

    assert network_of(request, OURS) == network
