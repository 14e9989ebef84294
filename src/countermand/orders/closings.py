"""Closing a door also ends the sessions behind it, as long as the door is really shut.

Each sweep asks the very function by which gates answer. A stop that is durable is looked at first:
what it opened is never ended, and opening a door ends nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from countermand.domain.phases import Enforcement, Phase
from countermand.domain.verdict import decide
from countermand.enforcement import endings
from countermand.enforcement.endings import Endings
from countermand.orders import doors
from countermand.orders.models import Order
from countermand.ports import SessionEnder
from countermand.stop.fence import Fence

# Gate and worker may differ by this much before the gate lets everybody in.
CLOCKS_DIFFER: Final = timedelta(seconds=60)


def end_sessions(
    ender: SessionEnder | None, fences: Mapping[str, Fence], *, now: datetime
) -> dict[str, int]:
    """End the sessions behind every door that is shut; returns by order how many are done with.

    Without a mail server to ask, nothing is written down either.
    """
    if ender is None:
        return {}
    done = {}
    orders = Order.objects.filter(enforcement=Enforcement.GATE.value).exclude(released_at=None)
    for order in orders.order_by("number"):
        states = {order.number: doors.published(order, fences.get(order.number)).facts(valid=True)}
        if order.phase == Phase.ENFORCING:
            likely = endings.likely_shut(order.number, now=now)
            shut = [row for row in likely if decide([row.entry], states, now).closed]
            endings.note_shut(order.number, shut, now=now)
        # Decided once more right before anybody is asked: an opening may have come meanwhile.
        lines = endings.lines_due(order.number, now=now)
        still = [each for each in lines if each.entry and decide([each.entry], states, now).closed]
        ids = {each.id for each in still}
        endings.note_open([each for each in lines if each.id not in ids], now=now)
        if still:
            done[order.number] = endings.end(still, ender, now=now)
    return done


def standing(number: str) -> Endings:
    """Return how matters stand with open sessions behind the doors of an order."""
    return endings.standing(number)


@dataclass(frozen=True, slots=True)
class Stopping:
    """By when mail has stopped on the devices on which it is to stop, as they are known now.

    `requests_by` is for whoever asks anew, over ActiveSync or with a new login. `by` is for open
    IMAP sessions, too; None where nobody ends them. Neither is said of the `waiting` devices, whose
    last notice is not accepted yet.
    """

    by: datetime | None
    requests_by: datetime | None
    waiting: int


def stopping(
    number: str, *, sweep_every_s: float, longest_sync_s: int, ends_sessions: bool
) -> Stopping:
    """Return by when mail has stopped; no time at all where we close no door.

    On top of the last deadline, or of the last door that shuts later, come two clocks that differ,
    the sweeps that the worker needs, and a request for new mail that was already waiting.
    """
    order = Order.objects.get(number=number)
    if order.last_deadline_at is None or order.enforcement != Enforcement.GATE:
        return Stopping(None, None, 0)
    least = timedelta(seconds=doors.published(order, None).minimum_notice_s)
    last = endings.last_shut(number, minimum_notice=least)
    shut_at = max(filter(None, (order.last_deadline_at, last.at))) + CLOCKS_DIFFER
    sync = timedelta(seconds=longest_sync_s)
    sweeps = timedelta(seconds=sweep_every_s * (1 + last.doors // endings.MOST_AT_ONCE))
    return Stopping(
        by=shut_at + max(sync, sweeps) if ends_sessions else None,
        requests_by=shut_at + sync,
        waiting=last.waiting,
    )
