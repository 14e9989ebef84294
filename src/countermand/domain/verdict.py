"""Whether a device may read mail now: shut for one family of cases only, open for all others.

A verdict is a function of the entries of one person's device, the states of the orders, and now.
So taking an order back changes one state and never a million entries. The gate, the plan and a
person's own page call the same function.

    no fact missing, none stale, none doubtful, nobody excused  ->  shut
    everything else                                             ->  open, with the first reason

Pure: no clock, no database. To change when a door shuts, change `_first_reason_to_stay_open`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MINIMUM_NOTICE: Final = timedelta(hours=72)
LOCK_NOTICE_LEAD: Final = timedelta(minutes=30)

# Plain words, not enumerations: they come out of a signed message, and a word that this version
# does not know must fall to the open side instead of being an error.
_ENFORCING: Final = "enforcing"
_DOORS_OF_OURS: Final = frozenset({"gate", "cloud"})
_PRESENT: Final = "present"


class Reason(StrEnum):
    """Why the door is as it is; in the order of the checks, and the label of every count."""

    NO_ENTRY = "no_entry"
    STATE_NOT_VALID = "state_not_valid"
    EXERCISE = "exercise"
    NOT_OUR_DOOR = "not_our_door"
    TAKEN_BACK = "taken_back"
    STOPPED = "stopped"
    NOT_ENFORCING = "not_enforcing"
    NOT_PRESENT = "not_present"
    IDENTIFIER_UNSURE = "identifier_unsure"
    EVIDENCE_STALE = "evidence_stale"
    SAID_REMOVED = "said_removed"
    LET_THROUGH = "let_through"
    NOT_TOLD = "not_told"
    DEADLINE_AHEAD = "deadline_ahead"
    TOLD_TOO_LATE = "told_too_late"
    NO_LOCK_NOTICE = "no_lock_notice"
    LOCK_NOTICE_TOO_LATE = "lock_notice_too_late"
    PAUSED_ON_DEVICE = "paused_on_device"


_RANK: Final = {reason: rank for rank, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What is known of one device under one order; every instant is aware.

    `evidence_at` is the earliest instant at which the evidence can have been taken: a source that
    gives no time of its own has it one refresh cycle before it was collected. `may_close` means a
    confirmed or signed identifier, and a second signal where the identifier is known to collide.
    `noticed_at` is when the notice reached the person; it is set only once that is proven.
    """

    order_number: str
    presence: str
    evidence_at: datetime | None
    fresh_until: datetime | None
    may_close: bool
    closes_at: datetime
    noticed_at: datetime | None
    lock_accepted_at: datetime | None
    attested_at: datetime | None
    override_until: datetime | None


@dataclass(frozen=True, slots=True)
class OrderStateFacts:
    """What is known of one order; `valid` means signed by a pinned key and not yet expired.

    `stopped_epoch` is the highest of the signed state and of all fences seen.
    """

    number: str
    phase: str
    enforcement: str
    epoch: int
    stopped_epoch: int
    withdrawn: bool
    valid: bool
    exercise: bool = False
    minimum_notice: timedelta = MINIMUM_NOTICE


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer; `order_number` names the order that shuts, or the one that came nearest to."""

    closed: bool
    order_number: str | None
    reason: Reason


OPEN_WITHOUT_ENTRY: Final = Verdict(closed=False, order_number=None, reason=Reason.NO_ENTRY)


def decide(
    entries: Iterable[EntryFacts], states: Mapping[str, OrderStateFacts], now: datetime
) -> Verdict:
    """Answer for one person's device; the least order number speaks where several shut."""
    nearest = OPEN_WITHOUT_ENTRY
    for entry in sorted(entries, key=lambda entry: entry.order_number):
        reason = _first_reason_to_stay_open(entry, states.get(entry.order_number), now)
        if reason is None:
            return Verdict(
                closed=True, order_number=entry.order_number, reason=Reason.PAUSED_ON_DEVICE
            )
        if _RANK[reason] > _RANK[nearest.reason]:
            nearest = Verdict(closed=False, order_number=entry.order_number, reason=reason)
    return nearest


def _first_reason_to_stay_open(
    entry: EntryFacts, state: OrderStateFacts | None, now: datetime
) -> Reason | None:
    return _from_order(state) or _from_evidence(entry, now) or _from_notice(entry, state, now)


def _from_order(state: OrderStateFacts | None) -> Reason | None:
    if state is None or not state.valid:
        return Reason.STATE_NOT_VALID
    checks = (
        (state.exercise, Reason.EXERCISE),
        (state.enforcement not in _DOORS_OF_OURS, Reason.NOT_OUR_DOOR),
        (state.withdrawn, Reason.TAKEN_BACK),
        (state.epoch <= state.stopped_epoch, Reason.STOPPED),
        (state.phase != _ENFORCING, Reason.NOT_ENFORCING),
    )
    return next((reason for holds, reason in checks if holds), None)


def _from_evidence(entry: EntryFacts, now: datetime) -> Reason | None:
    if entry.presence != _PRESENT:
        return Reason.NOT_PRESENT
    if not entry.may_close:
        return Reason.IDENTIFIER_UNSURE
    if entry.evidence_at is None or entry.fresh_until is None:
        return Reason.EVIDENCE_STALE
    checks = (
        (not entry.evidence_at <= now < entry.fresh_until, Reason.EVIDENCE_STALE),
        (_at_or_after(entry.attested_at, entry.evidence_at), Reason.SAID_REMOVED),
        (entry.override_until is not None and now < entry.override_until, Reason.LET_THROUGH),
    )
    return next((reason for holds, reason in checks if holds), None)


def _at_or_after(instant: datetime | None, other: datetime) -> bool:
    return instant is not None and instant >= other


def _from_notice(entry: EntryFacts, state: OrderStateFacts | None, now: datetime) -> Reason | None:
    if entry.noticed_at is None or state is None:
        return Reason.NOT_TOLD
    if now < entry.closes_at:
        return Reason.DEADLINE_AHEAD
    if now < entry.noticed_at + state.minimum_notice:
        return Reason.TOLD_TOO_LATE
    if entry.lock_accepted_at is None:
        return Reason.NO_LOCK_NOTICE
    if now < entry.lock_accepted_at + LOCK_NOTICE_LEAD:
        return Reason.LOCK_NOTICE_TOO_LATE
    return None
