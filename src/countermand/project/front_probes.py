"""Questions that the doctor puts through a running front: does each of them come to the gate?

A phone of nobody asks over HTTP; it needs no password, for the gate is asked before the groupware.
Over IMAP, POP3 and where mail is sent somebody has to log in, for Dovecot asks after a right
password only. Whether a question arrived is read from what the gate counts: that phone has a count
of its own; of logins it is not certain whose they were while others log in, too, and then that is
said.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from countermand import i18n
from countermand.config import Settings
from countermand.gate.doors import PROBE
from countermand.gate.fronts.words import PAUSED
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.project.front_logins import FAILURES, PORTS, log_in
from countermand.project.own_services import text_at

_ASKED: Final = 3
_PATIENCE_S: Final = 15.0
_SCHEMES: Final = frozenset({"https", "http", *PORTS})
_PATH: Final = "/Microsoft-Server-ActiveSync"
_QUERY: Final = f"Cmd=Ping&User={PROBE.login}&DeviceId={PROBE.device}&DeviceType=doctor"
# Each process of a gate tells once a second what it counted.
_UNTIL_TOLD_S: Final = 3.0
_LOOK_EVERY_S: Final = 0.1
_ANSWERS: Final = re.compile(r"^countermand_gate_answers_total(?:\{.*\})? (\d+)", re.MULTILINE)
_PROBES: Final = re.compile(r"^countermand_gate_probes_total (\d+)", re.MULTILINE)
_STRANGERS: Final = re.compile(
    r'^countermand_gate_doubts_total\{.*kind="stranger".*\} (\d+)', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What all gates counted: answers, questions of the doctor, and those without the token."""

    answers: int
    probes: int
    strangers: int

    @classmethod
    def by_gates(cls, settings: Settings) -> Heard:
        """Ask every gate for its counts. Raises OSError."""
        texts = [text_at(f"{url}/metrics", longest_s=_PATIENCE_S) for url in settings.gates]
        return cls(_sum(_ANSWERS, texts), _sum(_PROBES, texts), _sum(_STRANGERS, texts))

    def since(self, before: Heard) -> Heard:
        """Return what was counted since then."""
        return Heard(
            self.answers - before.answers,
            self.probes - before.probes,
            self.strangers - before.strangers,
        )


def _sum(pattern: re.Pattern[str], texts: Iterable[str]) -> int:
    return sum(int(number) for text in texts for number in pattern.findall(text))


class _Paused(Exception):
    """The gate refuses this login, as an order has it."""

    def __init__(self, login: str) -> None:
        """Keep whose it is."""
        super().__init__(login)
        self.login = login


def probe(front: str, settings: Settings, password: str) -> Finding:
    """Ask through one front, given as a URL, and say what came of it."""
    if not _is_address(front):
        return Finding(
            "front",
            State.BAD,
            # What stands before @ may be a password.
            _("“{text}” is no address to ask through.").format(text=front.rpartition("@")[2]),
            _("Write it like {example}.").format(example="https://mail.example.org"),
        )
    name = f"front {urlsplit(front).hostname}"
    try:
        before = _counted(settings)
        # One wrong password is enough: more would slow down everybody who comes from here.
        bad = next((said for _each in range(_ASKED) if (said := _ask(front, password))), "")
        heard = None if bad or before is None else _heard_since(before, settings, front)
    except _Paused as paused:
        return Finding(
            name,
            State.GOOD,
            _(
                "{front} asks the gate and does what it says: mail is paused on the device that"
                " this password of {login} is for."
            ).format(front=_shown(front), login=paused.login),
        )
    except (*FAILURES, ValueError, http.client.HTTPException) as error:
        return Finding(
            name,
            State.BAD,
            _("The front {front} does not answer: {why}").format(
                front=_shown(front), why=i18n.reason(f"{type(error).__name__}: {error}")
            ),
            _("Look whether it runs, and whether the address is right."),
        )
    if bad:
        return Finding(
            name, State.BAD, bad, _("Compare its configuration with the file of deploy/.")
        )
    if heard is None:
        return Finding(
            name,
            State.BAD,
            _(
                "{front} lets people in; whether its questions come to the gate cannot be told:"
                " no gate is known here, or one does not answer."
            ).format(front=_shown(front)),
            _("Start the gate, or name it in COUNTERMAND_GATES; then ask again."),
        )
    return _arrived(name, front, heard)


def _counted(settings: Settings) -> Heard | None:
    """Return what all gates counted; None where there are none, or one does not answer."""
    if not settings.gates:
        return None
    try:
        return Heard.by_gates(settings)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def _heard_since(before: Heard, settings: Settings, front: str) -> Heard | None:
    """Return what was counted since then, once all of it is told or a while is over.

    None where a gate does not answer any more.
    """
    until_s = time.monotonic() + _UNTIL_TOLD_S
    while True:
        now = _counted(settings)
        if now is None:
            return None
        heard = now.since(before)
        came = heard.answers if _logs_in(front) else heard.probes
        if came >= _ASKED or heard.strangers >= _ASKED or time.monotonic() > until_s:
            return heard
        time.sleep(_LOOK_EVERY_S)


def _arrived(name: str, front: str, heard: Heard) -> Finding:
    if _logs_in(front) and heard.answers > _ASKED:
        return Finding(
            name,
            State.NOTE,
            _(
                "Questions came to the gate while {front} was asked, but others log in, too:"
                " it is not certain that these were among them."
            ).format(front=_shown(front)),
            _("Ask again when fewer people read mail."),
        )
    if (heard.answers if _logs_in(front) else heard.probes) >= _ASKED:
        return Finding(
            name,
            State.GOOD,
            _("Each question through {front} came to the gate.").format(front=_shown(front)),
        )
    if heard.strangers >= _ASKED:
        return Finding(
            name,
            State.BAD,
            _(
                "Questions through {front} come without the right token, so nobody is refused."
            ).format(front=_shown(front)),
            _("Put the token of keys/gate-token into its configuration."),
        )
    return Finding(
        name,
        State.BAD,
        _("Questions through {front} do not come to the gate.").format(front=_shown(front)),
        _("Look whether its configuration names the gate's address, and whether it was reloaded."),
    )


def _is_address(front: str) -> bool:
    try:
        parts = urlsplit(front)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        return False


def _logs_in(front: str) -> bool:
    return urlsplit(front).scheme in PORTS


def _shown(front: str) -> str:
    parts = urlsplit(front)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _ask(front: str, password: str) -> str:
    """Ask once; return what is wrong with the answer, or nothing. Raises _Paused."""
    if not _logs_in(front):
        return _ask_phone(front)
    said = log_in(front, password)
    login = unquote(urlsplit(front).username or "")
    if PAUSED in said:
        raise _Paused(login)
    return _("{login} cannot log in: {words}").format(login=login, words=said) if said else ""


def _ask_phone(front: str) -> str:
    parts = urlsplit(front)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", f"{_PATH}?{_QUERY}")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status == HTTPStatus.FORBIDDEN:
        return _("A phone that nobody knows is refused; the gate never does that.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _("A phone gets {status}; some phones throw their mail away then.").format(
            status=status
        )
    return ""
