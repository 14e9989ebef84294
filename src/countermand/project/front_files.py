"""What the configuration of a mail server says about a gate in trouble, read without running it.

Each reader takes the text that the server itself prints (`doveconf -n`, `nginx -T`) or a file, and
names what would keep people out, slow them down, or lead past the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from countermand.i18n import gettext as _
from countermand.project.dovecot_file import dovecot_faults
from countermand.project.front_faults import Around, Fault
from countermand.project.nginx_file import nginx_faults
from countermand.project.proxy_file import (
    caddy_faults,
    envoy_faults,
    postfix_faults,
    traefik_faults,
)


class Kind(StrEnum):
    """Whose configuration a text is."""

    DOVECOT = "dovecot"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    ENVOY = "envoy"
    CADDY = "caddy"
    POSTFIX = "postfix"
    UNKNOWN = "unknown"


_OF_TEXT: Final[Mapping[Kind, Callable[[str], Iterator[Fault]]]] = MappingProxyType(
    {
        Kind.NGINX: nginx_faults,
        Kind.TRAEFIK: traefik_faults,
        Kind.ENVOY: envoy_faults,
        Kind.CADDY: caddy_faults,
        Kind.POSTFIX: postfix_faults,
    }
)


def kind_of(text: str) -> Kind:
    """Tell whose configuration a text is."""
    signs = (
        (Kind.ENVOY, "static_resources:"),
        (Kind.TRAEFIK, "forwardAuth:"),
        (Kind.TRAEFIK, "entryPoints:\n"),
        (Kind.CADDY, "reverse_proxy"),
        (Kind.NGINX, "server {"),
        (Kind.POSTFIX, "smtpd_"),
        (Kind.DOVECOT, "passdb"),
        (Kind.DOVECOT, "auth_policy_server_url"),
    )
    return next((kind for kind, sign in signs if sign in text), Kind.UNKNOWN)


def faults(text: str, around: Around) -> list[Fault]:
    """Return what is wrong in a configuration of any kind."""
    kind = kind_of(text)
    if kind in _OF_TEXT:
        return list(_OF_TEXT[kind](text))
    if kind is Kind.DOVECOT:
        return list(dovecot_faults(text, around))
    return [
        Fault(
            _("This is no configuration of a mail server or proxy that is known here."),
            _("Name the output of doveconf -n or of nginx -T, or the proxy's own file."),
        )
    ]
