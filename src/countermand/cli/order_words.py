"""How the command line calls where an order stands and what happened to it: outside words only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from countermand.domain import causes
from countermand.domain.approvals import PART_WORDS
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _

_PHASES: Final = MappingProxyType(
    {
        "draft": gettext_noop("being written"),
        "planned": gettext_noop("planned"),
        "review": gettext_noop("waiting for approvals"),
        "approved": gettext_noop("approved"),
        "hold": gettext_noop("released, waiting; can still be withdrawn unseen"),
        "canary": gettext_noop("first small group"),
        "sending": gettext_noop("going out, wave by wave"),
        "notified": gettext_noop("all mails are out"),
        "enforcing": gettext_noop("deadline reached; mail is paused where the app still is"),
        "collecting": gettext_noop("deadline reached; answers are collected"),
        "handed_over": gettext_noop("deadline reached; another system pauses mail"),
        "closed": gettext_noop("ended"),
        "paused": gettext_noop("paused"),
        "withdrawn": gettext_noop("withdrawn before anybody was told"),
        "stopping": gettext_noop("being taken back"),
        "correcting": gettext_noop("taken back; corrections are on their way"),
        "corrected": gettext_noop("taken back; everybody reached was corrected"),
        "abandoned": gettext_noop("given up"),
    }
)
_NEXT: Final = MappingProxyType(
    {
        "draft": gettext_noop("Next: plan it: countermand order plan FILE --number {number}"),
        "planned": gettext_noop("Next: the author hands it in: countermand order submit {number}"),
        "review": gettext_noop(
            "Next: others open and approve it: countermand order review {number}, "
            "then countermand order approve {number}"
        ),
        "approved": gettext_noop("Next: it is released: countermand order release {number}"),
        "hold": gettext_noop(
            "Next: the first small group is told at {hold_until}. Until then nobody hears of it: "
            "countermand take-back {number} --because mistake"
        ),
        "canary": gettext_noop(
            "Next: the waves begin at {soak_until} at the earliest. "
            "To stop it: countermand pause {number} --because '…'"
        ),
        "sending": gettext_noop(
            "Next: the other waves, then the first deadline at {first_deadline_at}. "
            "To stop it: countermand pause {number} --because '…'"
        ),
        "notified": gettext_noop(
            "Next: reminders, then the first deadline at {first_deadline_at}."
        ),
        "enforcing": gettext_noop(
            "Next: it is looked at again on {review_on}. "
            "To end it: countermand order close {number}"
        ),
        "paused": gettext_noop(
            "Next: another person lets it go on: countermand resume {number} --because '…', "
            "or takes it back: countermand take-back {number} --because mistake"
        ),
        "stopping": gettext_noop("Next: the corrections begin by themselves."),
        "correcting": gettext_noop("Next: the corrections leave by themselves."),
    }
)
_NEXT_LIKE: Final = MappingProxyType({"collecting": "enforcing", "handed_over": "enforcing"})
_EVENTS: Final = MappingProxyType(
    {
        "order.plan": gettext_noop("planned; people affected: {people}"),
        "order.planned_again": gettext_noop("planned again, nothing has changed"),
        "order.edit": gettext_noop("edited; every approval is void"),
        "order.submit": gettext_noop("handed in for approval"),
        "order.opened": gettext_noop("opened: {part}"),
        "order.approve": gettext_noop("approved"),
        "order.policy_met": gettext_noop("enough people have approved"),
        "order.return_for_changes": gettext_noop("returned for changes: {because}"),
        "order.abandon": gettext_noop("given up: {because}"),
        "order.release": gettext_noop("released; nothing leaves yet"),
        "order.drift_found": gettext_noop("back for approval: {came} people came, {went} went"),
        "order.hold_over": gettext_noop("in force; the first small group is told"),
        "order.go_said": gettext_noop("somebody said: go on with everybody"),
        "order.go": gettext_noop("the waves begin"),
        "order.all_sent": gettext_noop("all mails are out"),
        "order.deadline_reached": gettext_noop("the first deadline is reached"),
        "order.late_joiners_told": gettext_noop("people told later: {people}"),
        "order.let_through": gettext_noop("a device is let through until {until}: {because}"),
        "order.let_through_ended": gettext_noop("a device is no longer let through: {because}"),
        "order.probed": gettext_noop("sent as a test to mailboxes of ours: {mailboxes}"),
        "order.pause": gettext_noop("paused: {because}"),
        "order.resume": gettext_noop("goes on: {because}"),
        "order.close": gettext_noop("ended"),
        "order.withdraw": gettext_noop("withdrawn before anybody was told"),
        "order.take_back": gettext_noop("taken back ({variant})"),
        "order.barrier_proven": gettext_noop(
            "no notice leaves any more; mails that the mail server took: {certain}, "
            "may have taken: {possible}, never sent: {not_sent}"
        ),
        "order.undo_confirmed": gettext_noop("the other system's policy is undone"),
        "order.all_corrected": gettext_noop(
            "people corrected: {corrected}; to be called: {to_call}"
        ),
    }
)
_VARIANTS: Final = MappingProxyType(
    {
        "mistake": gettext_noop("sent by mistake"),
        "reason_gone": gettext_noop("the reason no longer holds"),
        "replaced": gettext_noop("replaced by another one"),
    }
)
DEVICE_STATES: Final = MappingProxyType(
    {
        "present": gettext_noop("app is there"),
        "absent": gettext_noop("app is not there"),
        "unobservable": gettext_noop("cannot be checked"),
        "not_checked_yet": gettext_noop("not checked yet"),
    }
)
EXPOSURES: Final = MappingProxyType(
    {
        2: gettext_noop("got it"),
        1: gettext_noop("may have got it"),
        0: gettext_noop("did not get it"),
    }
)
KINDS: Final = MappingProxyType(
    {
        "notice": gettext_noop("notice"),
        "reminder": gettext_noop("reminder"),
        "lock": gettext_noop("last notice"),
        "restored": gettext_noop("mail is back"),
        "closing": gettext_noop("end"),
        "correction": gettext_noop("correction"),
    }
)


def phase(word: str) -> str:
    """Return where an order stands, in the language in use."""
    return _(_PHASES[word])


def what_comes_next(phase: str, **facts: str) -> str:
    """Return what comes next for an order, in the language in use."""
    words = _NEXT.get(_NEXT_LIKE.get(phase, phase))
    return _("Nothing more is to be done.") if words is None else _(words).format(**facts)


def whom_to_call(number: str) -> str:
    """Return what is left to do when some people could not be reached by mail."""
    line = _("Next: somebody calls those on this list: countermand notice list {number}")
    return f"{line.format(number=number)} --to-call"


def event(name: str, facts: Mapping[str, Any]) -> str:
    """Return what happened, in the language in use; an event without words keeps its name."""
    words = _EVENTS.get(name)
    if words is None:
        return name
    told = {key: _shown(key, value) for key, value in facts.items()}
    return _(words).format_map(_Filled(told))


def _shown(key: str, value: Any) -> Any:
    if key == "variant":
        return _(_VARIANTS.get(str(value), str(value)))
    if key == "part":
        return _(PART_WORDS.get(value, str(value)))
    return causes.told(value, _) if key == "because" and isinstance(value, str) else value


def variant(value: str) -> str:
    """Return why an order was taken back, in words; nothing for a mail of another kind."""
    return _(_VARIANTS[value]) if value in _VARIANTS else value


class _Filled(dict[str, Any]):
    """A fact that an older entry lacks is shown as a dash."""

    def __missing__(self, key: str) -> str:
        return "–"
