"""What is due, found in stored times: every sweep looks at every order and takes what steps it may.

Nothing here remembers anything. Each step is one transaction that locks the order and decides
anew, so a sweep that is cut off, doubled or run by two workers harms nothing. What fences ask for
comes first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from countermand.config import Settings
from countermand.devices import sightings
from countermand.domain import causes
from countermand.domain.delivery import StopKind
from countermand.domain.lifecycle import PAUSABLE, TOLD_BEYOND_FIRST_GROUP, Phase
from countermand.enforcement import queries as enforced
from countermand.enforcement.actions import Publisher
from countermand.notices import queries as ledger
from countermand.orders import (
    corrections,
    doors,
    followups,
    health,
    kept_followups,
    late,
    publishing,
    relay_queue,
    renewing,
    restored,
    running,
    stops,
)
from countermand.orders.late import Surge
from countermand.orders.models import Order
from countermand.orders.planning import PlanContext, context_of
from countermand.people import queries as people
from countermand.ports import NoticeLedger, RelayQueue
from countermand.project import register
from countermand.stop import fence as fences
from countermand.stop import press as stopping
from countermand.stop import senders
from countermand.stop.fence import Fence
from countermand.stop.press import Pressed

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


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step of a sweep works with, opened once."""

    settings: Settings
    ledger: NoticeLedger
    context: PlanContext
    publisher: Publisher
    queue: RelayQueue | None = None  # of the relay, if anybody lets us into it

    def fence(self, number: str) -> Fence | None:
        """Return the fence of one order as it stands on the disk now."""
        return fences.read(self.settings.folder.fences, number)

    def register(self, number: str, epoch: int, phase: str) -> None:
        """Make a coming epoch known to the stop."""
        register.ahead(self.settings, number, epoch, phase)


def open_desk(settings: Settings, *, owing: NoticeLedger, queue: RelayQueue | None = None) -> Desk:
    """Return the desk of an installation."""
    return Desk(
        settings=settings,
        ledger=owing,
        context=context_of(settings),
        publisher=Publisher.load(settings.folder),
        queue=queue,
    )


def complete_stops(desk: Desk, *, now: datetime) -> list[str]:
    """Finish what fences ask for and the database does not say yet; returns the numbers."""
    standing = fences.read_all(desk.settings.folder.fences)
    rows = Order.objects.filter(number__in=list(standing)).values_list("number", "phase", "epoch")
    owed = [n for n, phase, epoch in rows if stops.is_owed(phase, epoch, standing[n])]
    for number in sorted(owed):
        if stops.is_begun(number) and stops.is_held_elsewhere(number):
            continue  # all that can be proven here is proven; killing again would gain nothing
        pressed = _press_again(desk, standing[number])
        finish_stop(desk, standing[number], pressed=pressed, now=now)
    _write_what_a_disk_refused(desk, standing)
    return owed


def _write_what_a_disk_refused(desk: Desk, standing: Mapping[str, Fence]) -> None:
    """Put a take-back on the disk which only the database knows, once there is room for it."""
    for fence in stops.taken_back_in_the_database():
        known = standing.get(fence.number)
        if known is None or not known.withdrawn:
            with contextlib.suppress(OSError):  # the next sweep tries again
                fences.write(desk.settings.folder.fences, fence)


def _press_again(desk: Desk, fence: Fence) -> Pressed:
    """Prove once more that every sender is dead which had not read this fence."""
    return stopping.press(
        desk.settings.folder,
        fence.number,
        StopKind.TAKE_BACK if fence.withdrawn else StopKind.PAUSE,
        by=fence.by,
        because=fence.because,
        now=fence.at,
        epoch=fence.stopped_epoch,
        gates=desk.settings.gates,
        token=desk.settings.gate_token,
    )


def finish_stop(desk: Desk, fence: Fence, *, pressed: Pressed, now: datetime) -> dict[str, Any]:
    """Book a stop, and begin the corrections; returns what people read.

    Idempotent: called by whoever pressed, and by the sweep for whoever was cut off.
    """
    fence, pressed = _reaching(desk, fence, pressed)
    if pressed.refused:
        pressed = _stopped_in_the_database(desk, fence, pressed)
    if fence.withdrawn:
        relay_queue.hold(fence.number, queue=desk.queue)
    booked = stops.book(
        fence,
        ledger=desk.ledger,
        queue=desk.queue,
        lock=desk.settings.folder.stop / "relay-queue.lock",
        senders_proven_dead=pressed.senders_proven_dead,
        now=now,
    )
    if booked is None:
        return {"known": False}
    if booked.phase == Phase.CORRECTING:
        corrections.write_owed(fence.number, owing=desk.ledger, context=desk.context, now=now)
    try:
        publishing.publish(desk.settings, now=now)
    except OSError:
        if not pressed.refused:
            raise  # else it is the same disk, and the next sweep writes its files
    reach = ledger.reach(fence.number)
    return {
        "phase": booked.phase,
        "got_it": reach.got_it,
        "may_have": reach.may_have,
        "not_sent": reach.not_sent,
        "corrections": ledger.corrections(fence.number).people,
        "fetched_back": booked.fetched.fetched,
        "queue": "none" if desk.queue is None else booked.fetched.why or "reached",
    }


def _reaching(desk: Desk, fence: Fence, pressed: Pressed) -> tuple[Fence, Pressed]:
    """Press once more when the list that the press had read was older than the order's epoch.

    Whoever pressed was told that the order is paused, so it has to be.
    """
    row = Order.objects.filter(number=fence.number).values_list("phase", "epoch").first()
    if row is None or fence.withdrawn or row[0] not in PAUSABLE or fence.covers(row[1]):
        return fence, pressed
    again = stopping.press(
        desk.settings.folder,
        fence.number,
        StopKind.PAUSE,
        by=fence.by,
        because=fence.because,
        now=fence.at,
        epoch=row[1],
        gates=desk.settings.gates,
        token=desk.settings.gate_token,
    )
    return again.fence, again


def _stopped_in_the_database(desk: Desk, fence: Fence, pressed: Pressed) -> Pressed:
    """Let the database alone say what the disk does not, and prove the senders dead once more.

    One that started after the press has read no fence. From this row on it gets no permit, and what
    it was permitted before ends with it: only such a death proves anything.
    """
    stops.stop_in_ledger(fence, ledger=desk.ledger)
    proofs = senders.kill_all(desk.settings.folder.senders)
    return dataclasses.replace(pressed, senders=proofs)


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


def after_import(settings: Settings, *, now: datetime) -> None:
    """People or devices have changed: the worker looks at every order by its next sweep."""
    del now
    register.refresh(settings)


def _phase(number: str) -> str:
    return Order.objects.values_list("phase", flat=True).get(number=number)


def _tell_late_joiners(turn: _Turn) -> bool:
    told = late.tell_late_joiners(
        turn.number, learned=turn.learned, context=turn.context, now=turn.now
    )
    if isinstance(told, Surge):
        because = causes.line("cause.surge", joined=told.joined, people=told.people)
        pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
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
        pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
    return True


def _pause_if_unwell(turn: _Turn) -> bool:
    because = health.cause_to_pause(turn.number)
    if because:
        pause_by_itself(turn.desk, turn.number, because=because, now=turn.now)
    return bool(because)


def pause_by_itself(desk: Desk, number: str, *, because: str, now: datetime) -> None:
    """Pause an order without a person, with the cause in words."""
    epoch = Order.objects.values_list("epoch", flat=True).get(number=number)
    pressed = stopping.press(
        desk.settings.folder,
        number,
        StopKind.PAUSE,
        by=None,
        because=because,
        now=now,
        epoch=epoch,
        gates=desk.settings.gates,
        token=desk.settings.gate_token,
    )
    finish_stop(desk, pressed.fence, pressed=pressed, now=now)


def pause_everything(desk: Desk, *, because: str, now: datetime) -> list[str]:
    """Pause every order of which something may leave, without a person; returns the numbers.

    What is still held goes back to those who approve it.
    """
    rows = Order.objects.filter(phase__in=[*PAUSABLE, Phase.HOLD]).order_by("number")
    found = list(rows.values_list("number", "phase"))
    for number, phase in found:
        if phase == Phase.HOLD:
            running.end_hold(number, because=because, now=now)
        else:
            pause_by_itself(desk, number, because=because, now=now)
    return [number for number, _ in found]


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
    _Step("write_owed", frozenset({Phase.CORRECTING, Phase.CORRECTED}), _write_owed),
    _Step(
        "finish_corrections",
        frozenset({Phase.CORRECTING}),
        lambda turn: corrections.finish(turn.number, owing=turn.desk.ledger, now=turn.now),
    ),
)
