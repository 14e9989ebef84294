"""What the configuration of a mail server says about a gate in trouble, read without running it.

Each reader takes the text that the server itself prints (`doveconf -n`, `nginx -T`) or a file, and
names what would keep people out, slow them down, or lead past the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from countermand.i18n import gettext as _
from countermand.project.dovecot_file import dovecot_faults
from countermand.project.front_faults import Around, Fault
from countermand.project.nginx_file import nginx_faults


class Kind(StrEnum):
    """Whose configuration a text is."""

    DOVECOT = "dovecot"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    ENVOY = "envoy"
    CADDY = "caddy"
    UNKNOWN = "unknown"


def kind_of(text: str) -> Kind:
    """Tell whose configuration a text is."""
    signs = (
        (Kind.ENVOY, "static_resources:"),
        (Kind.TRAEFIK, "forwardAuth:"),
        (Kind.TRAEFIK, "entryPoints:\n"),
        (Kind.CADDY, "reverse_proxy"),
        (Kind.NGINX, "server {"),
        (Kind.DOVECOT, "passdb"),
        (Kind.DOVECOT, "auth_policy_server_url"),
    )
    return next((kind for kind, sign in signs if sign in text), Kind.UNKNOWN)


def faults(text: str, around: Around) -> list[Fault]:
    """Return what is wrong in a configuration of any kind."""
    match kind_of(text):
        case Kind.DOVECOT:
            return list(dovecot_faults(text, around))
        case Kind.NGINX:
            return list(nginx_faults(text))
        case Kind.TRAEFIK | Kind.ENVOY | Kind.CADDY as kind:
            return list(_proxy(kind, text))
        case Kind.UNKNOWN:
            return [
                Fault(
                    _("This is no configuration of a mail server or proxy that is known here."),
                    _("Name the output of doveconf -n or of nginx -T, or the proxy's own file."),
                )
            ]


_NEEDED: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.TRAEFIK: ("statusRewrites:", "responseHeaderTimeout:"),
    Kind.ENVOY: ("failure_mode_allow: true", "envoy_on_response"),
    Kind.CADDY: ("handle_errors", "response_header_timeout"),
}


def _proxy(kind: Kind, text: str) -> Iterator[Fault]:
    written = "\n".join(line.partition("#")[0] for line in text.splitlines())
    take_over = _("Take over the file of deploy/{proxy}.").format(proxy=kind.value)
    if kind is Kind.TRAEFIK and "entryPoints:\n" in written and "trustedIPs:" not in written:
        said = _("The gate never learns what a phone asks for, so nobody is refused ({proxy}).")
        yield Fault(said.format(proxy=kind.value), take_over)
    if kind is Kind.TRAEFIK and "forwardAuth:" not in written:
        return  # the other of its two files, which says where it listens
    missing = [words for words in _NEEDED[kind] if words not in written]
    if kind is Kind.TRAEFIK and not missing and not _is_used(written):
        missing.append("middlewares")
    if kind is Kind.CADDY and re.search(r"^\s*forward_auth\b", written, re.MULTILINE):
        missing.append("reverse_proxy")
    if missing:
        yield Fault(
            _("Without an answer of the gate {proxy} refuses phones: it lacks {words}.").format(
                proxy=kind.value, words=", ".join(missing)
            ),
            take_over,
        )


def _is_used(written: str) -> bool:
    """Tell whether a router goes through the middleware that turns every odd answer into yes."""
    opens = re.findall(r"^\s*([\w-]+):\n\s*errors:", written, re.MULTILINE)
    used = " ".join(re.findall(r"middlewares:\s*\[([^\]]*)\]", written))
    used += " ".join(re.findall(r"^\s*-\s*([\w@-]+)\s*$", written, re.MULTILINE))
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", used) for name in opens)
