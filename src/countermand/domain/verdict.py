"""Whether a device may read mail now: shut for one family of cases only, open for all others.

A verdict is a function of the entries of one person's device, the states of the orders, and now.
So taking an order back changes one state and never a million entries. The gate, the plan and a
person's own page call the same function.

    no fact missing, none stale, none doubtful, nobody excused  ->  shut
    everything else                                             ->  open, with the first reason

The door is our own gate's. An order whose doors are a cloud's, somebody else's or nobody's shuts
none of them here.

The rule itself reads whole numbers, microseconds since 1970, as they lie in a gate's table: a gate
asks it for every request, and a number costs a tenth of what an instant costs.

Pure: no clock, no database. To change when a door shuts, change `_first_reason_to_stay_open`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

MINIMUM_NOTICE: Final = timedelta(hours=72)
LOCK_NOTICE_LEAD: Final = timedelta(minutes=30)

# Plain words, not enumerations: they come out of a signed message, and a word that this version
# does not know must fall to the open side instead of being an error.
_ENFORCING: Final = "enforcing"
_OUR_GATE: Final = "gate"
# By their number in a record. A presence that is none of these is unknown, which never shuts.
_PRESENCES: Final = ("unknown", "present", "absent", "unobservable")
_PRESENT: Final = 1
_MAY_CLOSE: Final = 1
ORDER_BYTES: Final = 12
NEVER: Final = -(2**63)  # an instant that is not there
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LOCK_NOTICE_LEAD: Final = LOCK_NOTICE_LEAD // _MICROSECOND


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

    __hash__ = str.__hash__  # that of an enumeration is worked out anew each time


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


class EntryNumbers(NamedTuple):
    """The same as `EntryFacts`, as numbers: instants in microseconds since 1970, or NEVER."""

    order: bytes
    presence: int
    flags: int
    evidence_at: int
    fresh_until: int
    closes_at: int
    noticed_at: int
    lock_accepted_at: int
    attested_at: int
    override_until: int


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
class OrderRule:
    """What an order's state says about every door: open for a reason, or shut where all is proven.

    `minimum_notice` is in microseconds.
    """

    open_because: Reason | None
    minimum_notice: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer; `order_number` names the order that shuts, or the one that came nearest to."""

    closed: bool
    order_number: str | None
    reason: Reason


NO_RULE: Final = OrderRule(Reason.STATE_NOT_VALID, 0)
# Looked up in an enumeration, a reason costs more than the check that gives it.
_PAUSED_ON_DEVICE: Final = Reason.PAUSED_ON_DEVICE
_NOT_PRESENT: Final = Reason.NOT_PRESENT


def decide(
    entries: Iterable[EntryFacts], states: Mapping[str, OrderStateFacts], now: datetime
) -> Verdict:
    """Answer for one person's device; the least order number speaks where several shut."""
    rules = {order_bytes(number): rule_of(state) for number, state in states.items()}
    order, reason = judge([numbers_of(entry) for entry in entries], rules, microseconds(now))
    return Verdict(
        closed=reason is Reason.PAUSED_ON_DEVICE,
        order_number=order_text(order) or None,
        reason=reason,
    )


def judge(
    entries: Sequence[EntryNumbers], rules: Mapping[bytes, OrderRule], now: int
) -> tuple[bytes, Reason]:
    """Return the order that speaks, and its reason; `decide` asks this, and so does every gate.

    `now` is in microseconds since 1970. It is shut where the reason is PAUSED_ON_DEVICE.
    """
    if len(entries) == 1:  # nearly always
        [entry] = entries
        reason = _first_reason_to_stay_open(entry, rules.get(entry.order, NO_RULE), now)
        return entry.order, reason or _PAUSED_ON_DEVICE
    nearest = (b"", Reason.NO_ENTRY)
    for entry in sorted(entries):
        reason = _first_reason_to_stay_open(entry, rules.get(entry.order, NO_RULE), now)
        if reason is None:
            return entry.order, _PAUSED_ON_DEVICE
        if _RANK[reason] > _RANK[nearest[1]]:
            nearest = (entry.order, reason)
    return nearest


def rule_of(state: OrderStateFacts) -> OrderRule:
    """Return what an order's state says about every door alike, until it changes."""
    return OrderRule(_from_order(state), state.minimum_notice // _MICROSECOND)


def numbers_of(facts: EntryFacts) -> EntryNumbers:
    """Return the same facts as numbers; a presence that is not known here is "unknown"."""
    return EntryNumbers(
        order=order_bytes(facts.order_number),
        presence=presence_number(facts.presence),
        flags=_MAY_CLOSE if facts.may_close else 0,
        evidence_at=_number(facts.evidence_at),
        fresh_until=_number(facts.fresh_until),
        closes_at=_number(facts.closes_at),
        noticed_at=_number(facts.noticed_at),
        lock_accepted_at=_number(facts.lock_accepted_at),
        attested_at=_number(facts.attested_at),
        override_until=_number(facts.override_until),
    )


def presence_number(presence: str) -> int:
    """Return a presence as it stands in `EntryNumbers`."""
    return _PRESENCES.index(presence) if presence in _PRESENCES else 0


def facts_of(numbers: EntryNumbers) -> EntryFacts:
    """Return what `numbers_of` was given; an instant that no calendar holds is none."""
    known = numbers.presence < len(_PRESENCES)
    return EntryFacts(
        order_number=order_text(numbers.order),
        presence=_PRESENCES[numbers.presence] if known else _PRESENCES[0],
        evidence_at=_instant(numbers.evidence_at),
        fresh_until=_instant(numbers.fresh_until),
        may_close=bool(numbers.flags & _MAY_CLOSE),
        closes_at=_instant(numbers.closes_at) or datetime.max.replace(tzinfo=UTC),
        noticed_at=_instant(numbers.noticed_at),
        lock_accepted_at=_instant(numbers.lock_accepted_at),
        attested_at=_instant(numbers.attested_at),
        override_until=_instant(numbers.override_until),
    )


def order_bytes(number: str) -> bytes:
    """Return an order's number as it stands in `EntryNumbers`, ORDER_BYTES long."""
    return number.encode().ljust(ORDER_BYTES, b"\x00")


def order_text(order: bytes) -> str:
    """Return what `order_bytes` was given."""
    return order.rstrip(b"\x00").decode(errors="replace")


def microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def open_at_any_time(presence: int, rule: OrderRule) -> Reason | None:
    """Return why a door under this rule is open whatever the time is, None if time decides.

    These are the first checks of all; a gate asks for them alone before it reads an entry's times.
    """
    if rule.open_because is not None:
        return rule.open_because
    return None if presence == _PRESENT else _NOT_PRESENT


def _first_reason_to_stay_open(entry: EntryNumbers, rule: OrderRule, now: int) -> Reason | None:
    return (
        open_at_any_time(entry.presence, rule)
        or _from_evidence(entry, now)
        or _from_notice(entry, rule, now)
    )


def _from_order(state: OrderStateFacts) -> Reason | None:
    checks = (
        (not state.valid, Reason.STATE_NOT_VALID),
        (state.exercise, Reason.EXERCISE),
        (state.enforcement != _OUR_GATE, Reason.NOT_OUR_DOOR),
        (state.withdrawn, Reason.TAKEN_BACK),
        (state.epoch <= state.stopped_epoch, Reason.STOPPED),
        (state.phase != _ENFORCING, Reason.NOT_ENFORCING),
    )
    return next((reason for holds, reason in checks if holds), None)


def _from_evidence(entry: EntryNumbers, now: int) -> Reason | None:
    evidence_at = entry.evidence_at
    if not entry.flags & _MAY_CLOSE:
        return Reason.IDENTIFIER_UNSURE
    if evidence_at == NEVER or not evidence_at <= now < entry.fresh_until:
        return Reason.EVIDENCE_STALE
    if entry.attested_at >= evidence_at:
        return Reason.SAID_REMOVED
    if now < entry.override_until:
        return Reason.LET_THROUGH
    return None


def _from_notice(entry: EntryNumbers, rule: OrderRule, now: int) -> Reason | None:
    if entry.noticed_at == NEVER:
        return Reason.NOT_TOLD
    if now < entry.closes_at or entry.closes_at == NEVER:
        return Reason.DEADLINE_AHEAD
    if now < entry.noticed_at + rule.minimum_notice:
        return Reason.TOLD_TOO_LATE
    if entry.lock_accepted_at == NEVER:
        return Reason.NO_LOCK_NOTICE
    if now < entry.lock_accepted_at + _LOCK_NOTICE_LEAD:
        return Reason.LOCK_NOTICE_TOO_LATE
    return None


def _number(instant: datetime | None) -> int:
    return NEVER if instant is None else microseconds(instant)


def _instant(number: int) -> datetime | None:
    if number == NEVER:
        return None
    try:
        return _EPOCH + timedelta(microseconds=number)
    except OverflowError:
        return None
