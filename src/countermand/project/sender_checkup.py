"""What the doctor says of machines that only send: whether a take-back would reach them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any, Final

from countermand.config import Settings
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.project.own_services import answer_to, text_at

_PATIENCE_S: Final = 3.0
_NAME: Final = "sender-hosts"
_FORBIDDEN: Final = 403


def examine_sender_hosts(settings: Settings) -> Finding:
    """Ask every machine that only sends; return the worst of what is found."""
    if not settings.sender_hosts:
        return Finding(_NAME, State.GOOD, _("No machine only sends."))
    found = [each for url in settings.sender_hosts for each in _examine(url, settings)]
    worst = (each for state in (State.BAD, State.NOTE) for each in found if each.state is state)
    urls = " ".join(settings.sender_hosts)
    return next(worst, Finding(_NAME, State.GOOD, _("All answer: {urls}").format(urls=urls)))


def _examine(url: str, settings: Settings) -> Iterator[Finding]:
    try:
        ready: dict[str, Any] = json.loads(text_at(f"{url}/ready", longest_s=_PATIENCE_S))
        instance, senders = str(ready["instance"]), list(ready["senders"])
        takes_token = _takes_token(url, settings.gate_token)
        is_readable = bool(ready["stops_readable"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        line = _("The machine at {url}, which only sends, does not answer.")
        remedy = _("Look whether countermand sender runs there, and at COUNTERMAND_SENDER_HOSTS.")
        yield Finding(_NAME, State.BAD, line.format(url=url), remedy)
        return
    if not takes_token:
        line = _("{url} answers and does not take our token: compare its keys/gate-token.")
        yield Finding(_NAME, State.BAD, line.format(url=url))
    if instance != settings.folder.instance_id:
        line = _("{url} sends for another installation than this one.")
        remedy = _("Copy instance.json to it from this machine.")
        yield Finding(_NAME, State.BAD, line.format(url=url), remedy)
    if not is_readable:
        line = _("{url} cannot read what is stopped, so nothing is sent from there.")
        remedy = _("Its own terminal or log names the file; mend it, or stop the order again.")
        yield Finding(_NAME, State.BAD, line.format(url=url), remedy)
    elif not senders:
        line = _("No mail sender runs at {url}.")
        yield Finding(_NAME, State.BAD, line.format(url=url), _("Its log there says why."))


def _takes_token(url: str, token: str) -> bool:
    """Tell whether a stop would be heard: one that is none is refused for that alone."""
    status = answer_to(f"{url}/stop", b"{}", {"Authorization": f"Bearer {token}"}, _PATIENCE_S)
    return status != _FORBIDDEN
