"""What is due, found in stored times: every sweep looks at every order and takes what steps it may.

Nothing here remembers anything. Each step is one transaction that locks the order and decides
anew, so a sweep that is cut off, doubled or run by two workers harms nothing. What fences ask for
comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from countermand.devices import sightings
from countermand.domain import causes
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP, Phase
from countermand.enforcement import queries as enforced
from countermand.notices import queries as ledger
from countermand.orders import (
    corrections,
    doors,
    followups,
    health,
    kept_followups,
    late,
    pressing,
    publishing,
    renewing,
    restored,
    running,
)
from countermand.orders.desk import Desk
from countermand.orders.late import Surge
from countermand.orders.models import Order
from countermand.orders.planning import PlanContext
from countermand.people import queries as people
from countermand.stop.fence import Fence

_ALIVE: Final = (
    Phase.HOLD,
    Phase.CANARY,
    Phase.SENDING,
    Phase.NOTIFIED,
    Phase.ENFORCING,
    Phase.COLLECTING,
    Phase.HANDED_OVER,
    Phase.CORRECTING,
    Phase.CORRECTED,
    Phase.CLOSED,
)
# Entries of an order that is over are taken away at leisure; its state opened all doors at once.
_OVER: Final = (Phase.CORRECTED, Phase.CLOSED)


def advance(desk: Desk, order: Order, *, learned: str, now: datetime) -> list[str]:
    """Take every step of one order that is due; returns the names of those taken.

    `learned` is the stamp of all that sources and directories have said so far.
    """
    taken = []
    for step in _STEPS:
        if order.phase not in step.phases or not step.is_due(order, now):
            continue
        if step.take(_Turn(desk, order.number, learned, now)):
            taken.append(step.name)
            order.refresh_from_db()
    return taken


@dataclass(frozen=True, slots=True)
class _Turn:
    """One order's turn in one sweep."""

    desk: Desk
    number: str
    learned: str
    now: datetime

    @property
    def context(self) -> PlanContext:
        return self.desk.context

    @property
    def fence(self) -> Fence | None:
        return self.desk.fence(self.number)


def _at_any_time(_order: Order, _now: datetime) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that a sweep may take for an order, and in which phases.

    `is_due` looks at the order's row alone and spares the lock; each step decides anew under it.
    """

    name: str
    phases: frozenset[str]
    take: Callable[[_Turn], object]
    is_due: Callable[[Order, datetime], bool] = _at_any_time


def _is_over(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and now >= instant


def sweep(desk: Desk, *, now: datetime) -> list[str]:
    """Look at every order once. A fault in one keeps no other from its steps; all are raised."""
    taken: list[str] = []
    faults: list[Exception] = []
    rows = list(Order.objects.filter(phase__in=_ALIVE).order_by("number"))
    # Taken before anything is read: what is learned meanwhile is looked at by the next sweep.
    learned = f"{sightings.stamp()} {people.stamp()}" if rows else ""
    for order in rows:
        try:
            done = advance(desk, order, learned=learned, now=now)
            taken += [f"{order.number} {name}" for name in done]
        except Exception as fault:  # noqa: BLE001  (gathered, and raised below)
            faults.append(fault)
    if taken:
        publishing.publish(desk.settings, now=now)
    if faults:
        raise ExceptionGroup("orders that could not be moved on", faults)
    return taken


def _phase(number: str) -> str:
    return Order.objects.values_list("phase", flat=True).get(number=number)


def _tell_late_joiners(turn: _Turn) -> bool:
    told = late.tell_late_joiners(
        turn.number, learned=turn.learned, context=turn.context, now=turn.now
    )
    if isinstance(told, Surge):
        because = causes.line("cause.surge", joined=told.joined, people=told.people)
        pressing.pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
        return True
    return told > 0


def _stop_if_replaced(turn: _Turn) -> bool:
    """Let nothing more leave or close for an order that another one in force replaces.

    By the rules it has ended. One past its deadline was closed with the new one; this is one whose
    mails or doors were still to come, and a person decides whether it is taken back.
    """
    newer = running.replacement_in_force(turn.number)
    if newer is None:
        return False
    because = causes.line("cause.replaced", newer=newer)
    if _phase(turn.number) == Phase.HOLD:
        running.end_hold(turn.number, because=because, now=turn.now)
    else:
        pressing.pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
    return True


def _pause_if_unwell(turn: _Turn) -> bool:
    because = health.cause_to_pause(turn.number)
    if because:
        pressing.pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
    return bool(because)


def _compile_doors(turn: _Turn) -> bool:
    """Tell doors what changed; costs little while nothing that they know of has changed."""
    desk, number, now = turn.desk, turn.number, turn.now
    order = Order.objects.get(number=number)
    if not doors.wants_entries(order):
        if order.compiled_from and order.phase in _OVER:
            doors.take_away(number, publisher=desk.publisher, now=now)
            Order.objects.filter(pk=number).update(compiled_from="")
        return False
    known = _what_doors_follow_from(order, turn.learned, now)
    if order.compiled_from == known:
        return False
    compiled = doors.compile_entries(number, publisher=desk.publisher, now=now)
    opened = doors.opened_by_evidence(number, compiled, now=now)
    restored.tell_opened(number, opened, context=desk.context, now=now)
    Order.objects.filter(pk=number).update(compiled_from=known)
    return compiled.written + compiled.removed > 0


def _what_doors_follow_from(order: Order, learned: str, now: datetime) -> str:
    proven = ledger.proof_stamp(order.number, now=now)
    amended = ",".join(
        sorted(
            f"{number}{phase[:2]}"
            for number, phase in Order.objects.filter(amends=order.number).values_list(
                "number", "phase"
            )
        )
    )
    stamp = f"{order.phase} {proven} {learned} {enforced.passwords_stamp()} {amended}"
    return hashlib.sha256(stamp.encode()).hexdigest()


def _write_owed(turn: _Turn) -> int:
    desk = turn.desk
    return corrections.write_owed(
        turn.number, owing=desk.ledger, context=desk.context, now=turn.now
    )


# In this order: what ends an order before what lets it go on, doors after what they follow from.
_STEPS: Final = (
    _Step(
        "stop_if_replaced",
        frozenset({Phase.HOLD, Phase.CANARY, Phase.SENDING, Phase.NOTIFIED}),
        _stop_if_replaced,
    ),
    _Step(
        "start_first_group",
        frozenset({Phase.HOLD}),
        lambda turn: running.start_first_group(
            turn.number,
            now=turn.now,
            context=turn.context,
            fence=turn.fence,
            register=turn.desk.register,
        ),
        lambda order, now: _is_over(order.hold_until, now),
    ),
    _Step("look_at_health", frozenset({Phase.CANARY, Phase.SENDING}), _pause_if_unwell),
    _Step(
        "start_waves",
        frozenset({Phase.CANARY}),
        lambda turn: running.start_waves(
            turn.number, now=turn.now, context=turn.context, fence=turn.fence
        ),
        lambda order, now: _is_over(order.soak_until, now),
    ),
    _Step("tell_late_joiners", TOLD_BEYOND_FIRST_GROUP, _tell_late_joiners),
    _Step(
        "renew_what_was_kept",
        frozenset(renewing.MAY_BE_LATE),
        lambda turn: renewing.renew_what_was_kept(turn.number, context=turn.context, now=turn.now),
        renewing.is_near,
    ),
    _Step(
        "all_sent",
        frozenset({Phase.SENDING}),
        lambda turn: running.all_sent(turn.number, now=turn.now),
    ),
    _Step(
        "write_due",
        TOLD_BEYOND_FIRST_GROUP,
        lambda turn: followups.write_due(
            turn.number, learned=turn.learned, context=turn.context, now=turn.now
        ),
    ),
    _Step(
        "renew_follow_ups",
        TOLD_BEYOND_FIRST_GROUP,
        lambda turn: kept_followups.renew_what_was_kept(
            turn.number, context=turn.context, now=turn.now
        ),
        kept_followups.may_be_kept,
    ),
    _Step(
        "reach_deadline",
        frozenset({Phase.NOTIFIED}),
        lambda turn: running.reach_deadline(turn.number, now=turn.now),
        lambda order, now: _is_over(order.first_deadline_at, now),
    ),
    _Step(
        "compile_doors",
        frozenset(_ALIVE),
        _compile_doors,
        lambda order, _: bool(order.compiled_from) or doors.wants_entries(order),
    ),
    _Step(
        "tell_closing_late",
        frozenset({Phase.CLOSED}),
        lambda turn: corrections.tell_closing_late(turn.number, context=turn.context, now=turn.now),
    ),
    _Step("write_owed", frozenset({Phase.CORRECTING, Phase.CORRECTED}), _write_owed),
    _Step(
        "finish_corrections",
        frozenset({Phase.CORRECTING}),
        lambda turn: corrections.finish(turn.number, owing=turn.desk.ledger, now=turn.now),
    ),
)
