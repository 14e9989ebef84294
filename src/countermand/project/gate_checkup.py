"""What the doctor says about gates: whether each answers, may refuse at all, and what it doubted.

Every doubt of a gate opens a door, so nobody is kept out by one, and nobody would notice either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, Final

from countermand.config import Settings
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.project.own_services import readiness_at, text_at

_PATIENCE_S: Final = 3.0
_LONGEST_SILENCE_S: Final = 120.0  # orders are told every half minute
_NAME: Final = "gates"
_DOUBTS: Final = re.compile(
    r'^countermand_gate_doubts_total\{kind="(\w+)"\} ([1-9]\d*)$', re.MULTILINE
)
_COUNTED: Final = r"^countermand_gate_{0}_total\{{{1}\}} [1-9]\d*$"
_CLOCKS: Final = re.compile(
    _COUNTED.format("states_received", 'outcome="clocks_disagree"'), re.MULTILINE
)
_NOT_TAKEN: Final = re.compile(
    _COUNTED.format("states_received", 'outcome="(?:not_signed|other_instance|not_understood)"'),
    re.MULTILINE,
)
_LOST: Final = re.compile(_COUNTED.format("feed", 'follower="states",outcome="lost"'), re.MULTILINE)
_MISSED: Final = re.compile(_COUNTED.format("gate_down_missed", 'log="[^"]*"'), re.MULTILINE)
_UPSTREAM: Final = re.compile(
    r'^countermand_gate_upstream_total\{outcome="(\w+)"\} ([1-9]\d*)$', re.MULTILINE
)
_SILENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_address": gettext_noop("its address is none"),
        "unreachable": gettext_noop("nobody was there"),
        "too_slow": gettext_noop("it took longer than a second"),
        "left_alone": gettext_noop("it was left alone after several silences"),
        "not_understood": gettext_noop("it said something that is no answer"),
    }
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too_many_connections": gettext_noop("more connections than it takes"),
        "stop_unreadable": gettext_noop("what says that an order is stopped could not be read"),
        "entries_too_old": gettext_noop("what it knew of devices was too far behind"),
        "table_unreadable": gettext_noop("what it had kept of doors could not be read"),
        "table_other_form": gettext_noop("what it had kept of doors was of another version"),
        "table_damaged": gettext_noop("what it had kept of doors was damaged"),
        "seal_broken": gettext_noop("somebody else had changed what is known of a door"),
        "entry_not_understood": gettext_noop("the database holds an entry that nobody understands"),
        "fault": gettext_noop("a fault of the gate itself"),
        "stranger": gettext_noop("questions without the right token"),
        "question_not_understood": gettext_noop("questions that are none"),
        "question_too_long": gettext_noop("questions that are too long"),
        "too_many_names": gettext_noop("questions with more names than are read"),
    }
)


def examine_gates(settings: Settings) -> Finding:
    """Ask every gate; return the worst of what is found."""
    if not settings.gates:
        return Finding(_NAME, State.NOTE, _("No mail gate is known."))
    found = [each for url in settings.gates for each in _examine(url)]
    worst = (each for state in (State.BAD, State.NOTE) for each in found if each.state is state)
    urls = " ".join(settings.gates)
    return next(worst, Finding(_NAME, State.GOOD, _("All answer: {urls}").format(urls=urls)))


def _examine(url: str) -> Iterator[Finding]:
    try:
        ready = json.loads(readiness_at(f"{url}/ready", longest_s=_PATIENCE_S))
        metrics = text_at(f"{url}/metrics", longest_s=_PATIENCE_S)
        yield from _situation(url, ready, metrics)
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        yield Finding(
            _NAME,
            State.BAD,
            _("The mail gate at {url} does not answer.").format(url=url),
            _("Look whether it runs; its log says why it ended."),
        )
        return
    yield from _other_server(url, metrics)
    yield from _rights(url, ready)
    yield from _down_logs(url, ready, metrics)
    doubts = [
        f"{_(_WORDS[kind]) if kind in _WORDS else kind} ({count})"
        for kind, count in _DOUBTS.findall(metrics)
    ]
    if doubts:
        sentence = _("The mail gate at {url} has let people in because of doubts: {doubts}.")
        yield Finding(
            _NAME,
            State.NOTE,
            sentence.format(url=url, doubts="; ".join(doubts)),
            _("docs/reference/gate.md says what each of them means; its log says when."),
        )


def _other_server(url: str, metrics: str) -> Iterator[Finding]:
    """Yield what is wrong with the policy server behind a gate: its refusals do not count then."""
    found = [
        f"{_(_SILENCES[outcome])} ({count})"
        for outcome, count in _UPSTREAM.findall(metrics)
        if outcome in _SILENCES
    ]
    if found:
        yield Finding(
            _NAME,
            State.BAD if "no_address" in metrics else State.NOTE,
            _("The policy server behind the mail gate at {url} was passed over: {why}.").format(
                url=url, why="; ".join(found)
            ),
            _("Look whether it runs, and at the setting COUNTERMAND_POLICY_UPSTREAM."),
        )


def _situation(url: str, ready: Mapping[str, Any], metrics: str) -> Iterator[Finding]:
    yield from _what_it_learns(url, ready)
    yield from _doors(url, ready)
    if not ready["states_sequence"]:
        yield _without_orders(url, ready, metrics)
    elif ready["states_good_for_s"] <= 0 and _CLOCKS.search(metrics):
        yield Finding(
            _NAME,
            State.BAD,
            _(
                "The clocks of the mail gate at {url} and of the worker differ: nobody is refused."
            ).format(url=url),
            _("Let both machines take their time from the same source (NTP)."),
        )
    elif ready["states_good_for_s"] <= 0:
        yield Finding(
            _NAME,
            State.BAD,
            _("What the mail gate at {url} knows of orders is too old: it refuses nobody.").format(
                url=url
            ),
            _("Look whether the worker runs, and whether the gate reaches the database."),
        )
    elif ready["states_age_s"] > _LONGEST_SILENCE_S:
        yield Finding(
            _NAME,
            State.BAD,
            _("The mail gate at {url} has heard nothing of orders for {seconds} s.").format(
                url=url, seconds=round(ready["states_age_s"])
            ),
            _("Look whether the worker runs, and whether the gate reaches the database."),
        )


def _rights(url: str, ready: Mapping[str, Any]) -> Iterator[Finding]:
    if ready.get("has_more_rights"):
        sentence = _("The mail gate at {url} may do more in the database than it needs.")
        yield Finding(
            _NAME,
            State.NOTE,
            sentence.format(url=url),
            _(
                "Give it the role countermand_gate, with COUNTERMAND_GATE_DATABASE_URL:"
                " docs/howto/own-database.md."
            ),
        )


def _doors(url: str, ready: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield why a gate that has orders refuses nobody all the same."""
    if ready.get("why") == "no_doors":
        sentence = _(
            "The mail gate at {url} has not read what is known of devices: it refuses nobody."
        )
        remedy = _("Ask again in a minute; its log says what keeps it.")
        yield Finding(_NAME, State.NOTE, sentence.format(url=url), remedy)
    if ready.get("why") == "doors_too_old":
        sentence = _("What the mail gate at {url} knows of devices is too old: it refuses nobody.")
        remedy = _("Look whether it reaches the database; its log says what keeps it.")
        yield Finding(_NAME, State.BAD, sentence.format(url=url), remedy)


def _down_logs(url: str, ready: Mapping[str, Any], metrics: str) -> Iterator[Finding]:
    """Yield what keeps a gate from counting the lines of questions that no gate answered."""
    if ready.get("down_logs_unreadable"):
        yield Finding(
            _NAME,
            State.NOTE,
            _("The mail gate at {url} cannot read a log of COUNTERMAND_GATE_DOWN_LOGS.").format(
                url=url
            ),
            _("Let it read the log, also the one that is begun after a log is turned over."),
        )
    if _MISSED.search(metrics):
        sentence = _(
            "A log of COUNTERMAND_GATE_DOWN_LOGS was emptied or packed before the mail gate at"
            " {url} had counted it: more people may have been let in than it says."
        )
        yield Finding(
            _NAME,
            State.NOTE,
            sentence.format(url=url),
            _("Let a log be moved away and packed a turn later (delaycompress, no copytruncate)."),
        )


def _without_orders(url: str, ready: Mapping[str, Any], metrics: str) -> Finding:
    """Tell one that has just begun from one that will never refuse anybody."""
    if _NOT_TAKEN.search(metrics):
        return Finding(
            _NAME,
            State.BAD,
            _(
                "The mail gate at {url} takes no list of orders from here: it refuses nobody."
            ).format(url=url),
            _("Copy keys/pinned-keys.json, keys/entry-key and instance.json from the worker."),
        )
    if not ready.get("follows_states") and _LOST.search(metrics):
        return Finding(
            _NAME,
            State.BAD,
            _("The mail gate at {url} never reached the database: it refuses nobody.").format(
                url=url
            ),
            _(
                "Look at COUNTERMAND_GATE_DATABASE_URL or DATABASE_URL on its machine; its log says"
                " what went wrong."
            ),
        )
    sentence = _("The mail gate at {url} has no list of orders yet: it refuses nobody.")
    return Finding(_NAME, State.NOTE, sentence.format(url=url), _("Ask again in a minute."))


def _what_it_learns(url: str, ready: Mapping[str, Any]) -> Iterator[Finding]:
    if ready.get("disk_refuses"):
        yield Finding(
            _NAME,
            State.BAD,
            _("The disk of the mail gate at {url} takes nothing.").format(url=url),
            _("Make room on it: what it is told meanwhile, it forgets when it ends."),
        )
    if ready.get("stops_unreadable"):
        yield Finding(
            _NAME,
            State.BAD,
            _("The mail gate at {url} cannot read its stops: what they may be of is open.").format(
                url=url
            ),
            _("Look at its disk, and at the rights of its data folder."),
        )
    if ready.get("entries_behind_s", 0) > _LONGEST_SILENCE_S:
        yield Finding(
            _NAME,
            State.BAD,
            _("What the mail gate at {url} knows of devices is {seconds} s behind.").format(
                url=url, seconds=round(ready["entries_behind_s"])
            ),
            _("Its log says what keeps it; after a quarter of an hour it refuses nobody."),
        )
