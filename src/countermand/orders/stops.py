"""What a stop still owes the database: the fence came first, this books what it says.

    fence (durable, already written) -> ledger stopped -> senders proven dead -> ledger settled
                                     -> what waits at the relay fetched back, after a take-back
                                     -> order paused, or taken back and correcting

Called by whoever pressed, at boot and by every sweep; each part is idempotent, so it may be cut
off anywhere and called again by anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction

from countermand.domain.delivery import Settled, StopKind
from countermand.domain.order_parts import Variant
from countermand.domain.phases import PAUSABLE, TOLD, Phase, Step
from countermand.notices import queries as mails
from countermand.notices.queries import HeldElsewhere
from countermand.orders import relay_queue, stepping
from countermand.orders.models import Order
from countermand.orders.relay_queue import FetchedBack
from countermand.ports import NoticeLedger, RelayQueue, StopRow
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

_CAN_STILL_BE_TAKEN_BACK = TOLD | {Phase.HOLD}


@dataclass(frozen=True, slots=True)
class Booked:
    """Where a stop brought an order; `settled` is None while senders are not proven dead."""

    number: str
    phase: str
    settled: Settled | None
    fetched: FetchedBack
    held_elsewhere: tuple[HeldElsewhere, ...] = ()


def is_owed(phase: str, epoch: int, fence: Fence) -> bool:
    """Tell whether the database does not yet say what this fence says."""
    if fence.withdrawn:
        return Phase(phase) in _CAN_STILL_BE_TAKEN_BACK or phase == Phase.STOPPING
    return Phase(phase) in PAUSABLE and fence.covers(epoch)


def book(
    fence: Fence,
    *,
    ledger: NoticeLedger,
    senders_proven_dead: bool,
    proven_places: Collection[str],
    now: datetime,
    queue: RelayQueue | None = None,
    lock: Path | None = None,
) -> Booked | None:
    """Bring the database to what the fence says; None when no order has this number.

    `now` is when this is done; what people read is the instant of the press, `fence.at`. Of
    `proven_places` all senders are dead or have read the stop; others are waited for.
    """
    if not Order.objects.filter(number=fence.number).exists():
        return None
    stop_in_ledger(fence, ledger=ledger)
    if fence.withdrawn:
        _begin_take_back(fence, now)
    else:
        _pause(fence, now)
    settled = None
    fetched = FetchedBack()
    held = mails.held_elsewhere(fence.number, proven=proven_places)
    if senders_proven_dead and not held:
        settled = ledger.settle(order_number=fence.number, now=now)
        if fence.withdrawn:
            # Before any correction is written: who never got it must not hear of it.
            fetched = relay_queue.fetch_back(
                fence.number, queue=queue, ledger=ledger, lock=lock, now=now
            )
            if fetched.fetched:
                settled = ledger.settle(order_number=fence.number, now=now)
            _barrier_proven(fence.number, settled, now)
    phase = Order.objects.values_list("phase", flat=True).get(number=fence.number)
    return Booked(fence.number, phase, settled, fetched, held)


def stop_in_ledger(fence: Fence, *, ledger: NoticeLedger) -> None:
    """Let the ledger permit nothing any more that this stop covers."""
    ledger.stop(
        StopRow(
            order_number=fence.number,
            kind=StopKind.TAKE_BACK if fence.withdrawn else StopKind.PAUSE,
            stopped_epoch=fence.stopped_epoch,
            at=fence.at,
        )
    )


def known_to_the_database() -> Iterator[Fence]:
    """Yield the stop of every order that the database calls taken back, or paused."""
    rows = Order.objects.values_list("number", "taken_back_at", "taken_back_by", "variant")
    for number, at, by, variant in rows.filter(taken_back_at__isnull=False):
        if at is not None:
            yield Fence(number, TAKEN_BACK_EPOCH, withdrawn=True, at=at, by=by, because=variant)
    paused = Order.objects.filter(phase=Phase.PAUSED, paused_at__isnull=False)
    pauses = paused.values_list("number", "epoch", "paused_at", "paused_by", "pause_cause")
    for number, epoch, at, by, because in pauses:
        if at is not None:
            yield Fence(number, epoch, withdrawn=False, at=at, by=by, because=because)


def is_begun(number: str) -> bool:
    """Tell whether a take-back is booked and waits for the proof alone."""
    return Order.objects.filter(number=number, phase=Phase.STOPPING.value).exists()


@transaction.atomic(durable=True)
def _pause(fence: Fence, now: datetime) -> None:
    order = stepping.locked(fence.number)
    if not is_owed(order.phase, order.epoch, fence):
        return
    order.paused_at = fence.at
    order.paused_by = fence.by
    order.pause_cause = fence.because
    facts = {"pressed_at": fence.at.isoformat(), "by_the_program": fence.by is None}
    stepping.take(
        order, Step.PAUSE, actor_id=fence.by, now=now, facts=facts, words={"because": fence.because}
    )


@transaction.atomic(durable=True)
def _begin_take_back(fence: Fence, now: datetime) -> None:
    order = stepping.locked(fence.number)
    if Phase(order.phase) not in _CAN_STILL_BE_TAKEN_BACK:
        return
    variant, note = variant_of(fence.because)
    order.ended_at = order.taken_back_at = fence.at
    order.taken_back_by = fence.by
    order.variant = variant.value
    step = Step.WITHDRAW if order.phase == Phase.HOLD else Step.TAKE_BACK
    facts = {"pressed_at": fence.at.isoformat(), "variant": variant.value}
    stepping.take(order, step, actor_id=fence.by, now=now, facts=facts, words={"because": note})


@transaction.atomic(durable=True)
def _barrier_proven(number: str, settled: Settled, now: datetime) -> None:
    order = stepping.locked(number)
    if order.phase != Phase.STOPPING:
        return
    order.correcting_at = now
    facts = {
        "certain": settled.certain,
        "possible": settled.maybe,
        "not_sent": settled.skipped,
    }
    stepping.take(order, Step.BARRIER_PROVEN, actor_id=None, now=now, facts=facts)


def variant_of(because: str) -> tuple[Variant, str]:
    """Read what a take-back wrote down: its variant, and a note after a colon.

    Whatever else stands there (an emergency code names no variant) counts as a mistake.
    """
    word, _, note = because.partition(":")
    known = {variant.value: variant for variant in Variant}
    if word.strip() in known:
        return known[word.strip()], note.strip()
    return Variant.MISTAKE, because.strip()
