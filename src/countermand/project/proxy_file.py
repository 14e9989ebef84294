"""What the file of Traefik, Envoy or Caddy says about the gate, and Postfix's about its policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from countermand.i18n import gettext as _
from countermand.project.front_faults import (
    ODD_STATUSES,
    Fault,
    milliseconds,
    odd_answers,
    refuses_nobody,
    too_long,
)

_RANGE: Final = re.compile(r"(\d{3})(?:-(\d{3}))?")
# What a phone could say about itself, and Caddy hands on unless it is told not to.
_OF_A_PHONE: Final = ("-X-Original-Uri", "-X-Original-Method", "-X-Remote-User", "-Remote-User")
# Of something else, which names no order.
_A_PLAIN_NO: Final = str(HTTPStatus.FORBIDDEN.value)
_LETS_IN: Final = frozenset({"dunno", "ok", "permit"})


def traefik_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong in one of Traefik's two files, or in both together."""
    written = _without_comments(text)
    if "entryPoints:\n" in written and "trustedIPs:" not in written:
        said = _("The gate never learns what a phone asks for, so nobody is refused ({proxy}).")
        yield Fault(said.format(proxy="traefik"), _take_over("traefik"))
    if "forwardAuth:" not in written:
        return  # the other of its two files, which says where it listens
    missing = [
        each for each in ("statusRewrites:", "responseHeaderTimeout:") if each not in written
    ]
    if not missing and not _is_used(written):
        missing.append("middlewares")
    yield from _lacking("traefik", missing)
    if "true" in _values(written, "trustForwardHeader"):
        yield _believed("traefik", "X-Forwarded-Uri")
    for name in ("dialTimeout", "responseHeaderTimeout"):
        # The groupware may have limits of its own, which are longer.
        yield from too_long(min(_waits(written, name), default=0), _take_over("traefik"))
    if not missing:
        yield from _rewritten(written)


def _rewritten(written: str) -> Iterator[Fault]:
    listed = re.findall(r"\bstatus:\s*\[([^\]]*)\]", written)
    listed += re.findall(r"\bstatus:\s*\n((?:\s*-\s*\S+\n)+)", written)
    yes = re.findall(r"^\s*[\"']?(\d{3}(?:-\d{3})?)[\"']?:\s*[\"']?2\d\d", written, re.MULTILINE)
    caught = _statuses(" ".join(listed)) & _statuses(" ".join(yes))
    if missed := sorted(ODD_STATUSES - caught):
        yield odd_answers(f"{missed[0]}–{missed[-1]}", _take_over("traefik"))
    if HTTPStatus.FORBIDDEN in caught:
        yield refuses_nobody(_take_over("traefik"))


def envoy_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong in Envoy's file."""
    written = _without_comments(text)
    needed = ("failure_mode_allow: true", "envoy_on_response")
    yield from _lacking("envoy", [each for each in needed if each not in written])
    if "envoy_on_response" in written and "x-countermand-order" not in written.lower():
        yield odd_answers(_A_PLAIN_NO, _take_over("envoy"))
    asked = re.search(r"\bserver_uri:.*?\btimeout:\s*([\d.]+\w*)", written, re.DOTALL)
    if asked:
        yield from too_long(milliseconds(asked[1]), _take_over("envoy"))


def caddy_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong in Caddy's file."""
    written = _without_comments(text)
    needed = ("handle_errors", "response_header_timeout")
    missing = [each for each in needed if each not in written]
    if re.search(r"^\s*forward_auth\b", written, re.MULTILINE):
        missing.append("reverse_proxy")
    yield from _lacking("caddy", missing)
    before, token, after = written.partition("X-Countermand-Token")
    if not token:
        return
    if not re.search(r"\bheader\s+X-Countermand-Order\b", written, re.IGNORECASE):
        yield odd_answers(_A_PLAIN_NO, _take_over("caddy"))
    question = before.rpartition("reverse_proxy")[2] + after.partition("handle_response")[0]
    for name in ("dial_timeout", "response_header_timeout"):
        yield from too_long(max(_waits(question, name), default=0), _take_over("caddy"))
    dropped = {each.lower() for each in re.findall(r"header_up\s+(-\S+)", question)}
    if kept := [each[1:] for each in _OF_A_PHONE if each.lower() not in dropped]:
        yield _believed("caddy", ", ".join(kept))


def postfix_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong in Postfix's main.cf, or in what `postconf -n` printed."""
    written = _without_comments(text)
    default = "451 4.3.5 Server configuration problem"
    said = re.findall(r"smtpd_policy_service_default_action\s*=\s*([^\n]+)", written)
    action = said[-1].strip() if said else default
    if "check_policy_service" in written and action.split()[0].lower() not in _LETS_IN:
        yield Fault(
            _("A policy service that does not answer stops everybody's mail ({action}).").format(
                action=action
            ),
            _("Set {name} to {value}.").format(
                name="smtpd_policy_service_default_action", value="DUNNO"
            ),
        )


def _without_comments(text: str) -> str:
    return "\n".join(line.partition("#")[0] for line in text.splitlines())


def _values(written: str, name: str) -> list[str]:
    return re.findall(rf"(?<![\w-]){name}:?[ \t]+[\"']?([^\s,}}\"']+)", written)


def _waits(written: str, name: str) -> list[int]:
    return [milliseconds(each) or 0 for each in _values(written, name)]


def _statuses(text: str) -> set[int]:
    return {
        status
        for begin, end in _RANGE.findall(text)
        for status in range(int(begin), int(end or begin) + 1)
    }


def _take_over(proxy: str) -> str:
    return _("Take over the file of deploy/{proxy}.").format(proxy=proxy)


def _lacking(proxy: str, missing: Sequence[str]) -> Iterator[Fault]:
    if missing:
        yield Fault(
            _("Without an answer of the gate {proxy} refuses phones: it lacks {words}.").format(
                proxy=proxy, words=", ".join(missing)
            ),
            _take_over(proxy),
        )


def _believed(proxy: str, headers: str) -> Fault:
    return Fault(
        _("A phone can pass for another: what it says in {headers} is believed ({proxy}).").format(
            headers=headers, proxy=proxy
        ),
        _take_over(proxy),
    )


def _is_used(written: str) -> bool:
    """Tell whether a router goes through the middleware that turns every odd answer into yes."""
    opens = re.findall(r"^\s*([\w-]+):\n\s*errors:", written, re.MULTILINE)
    used = " ".join(re.findall(r"middlewares:\s*\[([^\]]*)\]", written))
    used += " ".join(re.findall(r"^\s*-\s*([\w@-]+)\s*$", written, re.MULTILINE))
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", used) for name in opens)
