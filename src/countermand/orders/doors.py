"""What doors are told of an order: its entries, and where it stands.

An entry is made for every device that a notice named, out of the same cells as the plan. Where an
amendment covers a device, the older order has no entry for it; take the amendment back, and the
older order's entry is there again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from countermand.domain.order_parts import OrderDocument, SendingWhilePaused
from countermand.domain.order_sections import EMERGENCY_NOTICE, MINIMUM_NOTICE
from countermand.domain.phases import DOORS_OF_OURS, PAUSABLE, Phase
from countermand.domain.presence import Presence
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import OrderStateFacts, decide
from countermand.enforcement import actions as enforcement
from countermand.enforcement import queries as doors
from countermand.enforcement.actions import Claims, Compiled, Publisher
from countermand.orders import entry_claims
from countermand.orders.documents import document_of
from countermand.orders.models import Order, Revision
from countermand.stop.fence import Fence

# From the first notice on, until nothing of the order holds any more.
_WITH_ENTRIES: Final = (Phase.NOTIFIED, Phase.ENFORCING, Phase.PAUSED)
_STANDS: Final = PAUSABLE | {Phase.PAUSED}
# A lock notice's step: which of a person's notices it belongs to, times this, plus its place.
STEPS_A_NOTICE: Final = 100


def wants_entries(order: Order) -> bool:
    """Tell whether doors need entries of this order."""
    return order.enforcement in DOORS_OF_OURS and order.phase in _WITH_ENTRIES


def compile_entries(number: str, *, publisher: Publisher, now: datetime) -> Compiled:
    """Bring the entries of an order to what is known now; only differences are written."""
    order = Order.objects.get(number=number)
    document = document_of(Revision.objects.get(order=order, number=order.revision_number))
    return compile_order(order, document, publisher=publisher, now=now)


def compile_order(
    order: Order, document: OrderDocument, *, publisher: Publisher, now: datetime
) -> Compiled:
    """Do what `compile_entries` does, for a document that is read already."""
    claims = claims_of(order, document, now=now)
    return enforcement.compile_entries(order.number, claims, publisher=publisher, now=now)


def claims_of(order: Order, document: OrderDocument, *, now: datetime) -> Claims:
    """Return what doors are to be told of an order, as a statement."""
    return entry_claims.claims(
        order,
        document,
        amendments=_amendments(order),
        steps_a_notice=STEPS_A_NOTICE,
        now=now,
    )


def take_away(number: str, *, publisher: Publisher, now: datetime) -> Compiled:
    """Take the entries of an order away that is over."""
    return enforcement.clear(number, publisher=publisher, now=now)


def _amendments(order: Order) -> list[str]:
    rows = Order.objects.filter(amends=order.number, mode=order.mode, phase__in=_STANDS)
    return list(rows.values_list("number", flat=True))


def closed_devices(number: str, *, now: datetime, device_id: int | None = None) -> frozenset[int]:
    """Return the devices whose doors this order keeps shut, decided as every gate decides.

    With `device_id` only that one is looked at.
    """
    order = Order.objects.get(number=number)
    states = {number: state_facts(order)}
    if device_id is None:
        rows = doors.entries_of_order(number)
    else:
        every = doors.entries_of_device(device_id)
        rows = tuple(row for row in every if row.entry.order_number == number)
    return frozenset(row.device_id for row in rows if decide([row.entry], states, now).closed)


def opened_by_evidence(number: str, compiled: Compiled, *, now: datetime) -> frozenset[int]:
    """Return the devices whose doors were shut until doors heard that no ordered app is there."""
    states = {number: state_facts(Order.objects.get(number=number))}
    shut = {
        row.device_id
        for row in compiled.no_longer_present
        if decide([row.entry], states, now).closed
    }
    return frozenset(
        row.device_id
        for device_id in shut
        for row in doors.entries_of_device(device_id)
        if row.entry.order_number == number and row.entry.presence == Presence.ABSENT.value
    )


def state_facts(order: Order) -> OrderStateFacts:
    """Return an order as a verdict sees it, as long as its signed state is valid."""
    return published(order, None).facts(valid=True)


def published(order: Order, fence: Fence | None) -> PublishedOrder:
    """Return an order as gates are told of it."""
    return PublishedOrder(
        number=order.number,
        phase=order.phase,
        enforcement=order.enforcement,
        exercise=order.mode == "exercise",
        epoch=order.epoch,
        stopped_epoch=fence.stopped_epoch if fence else 0,
        withdrawn=fence.withdrawn if fence else False,
        digest=_digest(order),
        stop_hash=order.stop_hash,
        minimum_notice_s=_least_notice(order) // timedelta(seconds=1),
        sending_while_paused=_may_send(order),
    )


def _digest(order: Order) -> str:
    row = Revision.objects.filter(order=order, number=order.revision_number)
    return row.values_list("digest", flat=True).first() or ""


def _least_notice(order: Order) -> timedelta:
    revision = Revision.objects.filter(order=order, number=order.revision_number).first()
    is_emergency = revision is not None and bool(revision.content["order"].get("emergency"))
    return EMERGENCY_NOTICE if is_emergency else MINIMUM_NOTICE


def _may_send(order: Order) -> bool:
    revision = Revision.objects.filter(order=order, number=order.revision_number).first()
    if revision is None:
        return True
    word = revision.content["order"].get("sending_while_paused")
    return bool(word != SendingWhilePaused.REFUSE.value)


def publish_states(fences: Mapping[str, Fence], *, publisher: Publisher) -> int:
    """Sign and publish where every released order stands; returns the sequence of the set."""
    rows = Order.objects.filter(released_at__isnull=False)
    orders = [published(order, fences.get(order.number)) for order in rows.order_by("number")]
    return enforcement.publish_states(orders, publisher=publisher)
