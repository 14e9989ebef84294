"""Closing a door also ends the sessions behind it, as long as the door is really shut.

Each sweep asks the very function by which gates answer. A stop that is durable is looked at first:
what it opened is never ended, and opening a door ends nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def closes_truly_by(number: str, *, sweep_every_s: float, longest_sync_s: int) -> datetime | None:
    """Return by when mail has stopped on every device on which it is to stop.

    Three things come on top of the last deadline: two clocks that differ, the time until the worker
    looks, and a request for new mail that was already waiting. None where we close no door.
    """
    order = Order.objects.get(number=number)
    if order.last_deadline_at is None or order.enforcement != Enforcement.GATE:
        return None
    late_s = max(sweep_every_s, float(longest_sync_s))
    return order.last_deadline_at + CLOCKS_DIFFER + timedelta(seconds=late_s)
