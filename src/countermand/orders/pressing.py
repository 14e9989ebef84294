"""Stops, from the press to the corrections: those of people, and of the worker by itself.

All of it may be done again: whoever pressed does it, and the sweep for whoever was cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from countermand.domain.delivery import StopKind
from countermand.domain.phases import PAUSABLE, Phase
from countermand.notices import queries as ledger
from countermand.orders import corrections, publishing, reach, relay_queue, running, stops
from countermand.orders.desk import Desk
from countermand.orders.models import Order
from countermand.stop import fence as fences
from countermand.stop import press as stopping
from countermand.stop import senders
from countermand.stop.fence import Fence
from countermand.stop.gates import Telling, proven_places, with_token
from countermand.stop.press import Pressed

_STOPPED_BY_A_PAUSE: Final = PAUSABLE | {Phase.PAUSED}


def complete_stops(desk: Desk, *, now: datetime) -> list[str]:
    """Finish what fences ask for and the database does not say yet; returns the numbers.

    So is a take-back that the database alone knows, whether or not the disk has room by now.
    """
    standing = _standing(desk)
    rows = Order.objects.filter(number__in=list(standing)).values_list("number", "phase", "epoch")
    owed = [n for n, phase, epoch in rows if stops.is_owed(phase, epoch, standing[n])]
    for number in sorted(owed):
        if stops.is_begun(number) and _is_held_elsewhere(desk, standing[number]):
            continue  # all that can be proven here is proven; killing again would gain nothing
        pressed = _press(desk, standing[number])  # proves once more who is dead
        finish_stop(desk, standing[number], pressed=pressed, now=now)
    return owed


def _standing(desk: Desk) -> dict[str, Fence]:
    """Return every stop that the disk or the database knows, by number.

    What the disk has not, or not legibly, is written there first: until a spoiled one is written
    anew no mail of any order leaves, and nobody can press it again when the order is over. Raises
    FenceUnreadable.
    """
    folder = desk.settings.folder.fences
    missing = [f for f in stops.known_to_the_database() if not fences.stands(folder, f)]
    for fence in missing:
        with contextlib.suppress(OSError):  # the next sweep tries again
            fences.write(folder, fence)
    standing = fences.read_all(folder)
    for fence in missing:
        known = standing.get(fence.number)
        standing[fence.number] = fence if known is None else fence.merged(known)
    return standing


def _press(desk: Desk, fence: Fence) -> Pressed:
    """Stop what `fence` says, and prove that every sender is dead which had not read it."""
    return stopping.press(
        desk.settings.folder,
        fence.number,
        StopKind.TAKE_BACK if fence.withdrawn else StopKind.PAUSE,
        by=fence.by,
        because=fence.because,
        now=fence.at,
        epoch=fence.stopped_epoch,
        gates=desk.settings.gates,
        sender_hosts=desk.settings.sender_hosts,
        token=desk.settings.gate_token,
    )


def _is_held_elsewhere(desk: Desk, fence: Fence) -> bool:
    """Tell whether a sender of another place may still end a mail; such places are told again."""
    told = Telling(desk.settings.sender_hosts, [with_token(fence, desk.settings.gate_token)])
    proven = {_here(desk), *proven_places(told.answers())}
    return bool(ledger.held_elsewhere(fence.number, proven=proven))


def _here(desk: Desk) -> str:
    """Return the place whose locks this process can look at."""
    try:
        return senders.place(desk.settings.folder.senders)
    except OSError:  # a full disk that never had a sender: then none is of this place
        return ""


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a stop: `counts` is what people read of it.

    `pressed` is the last press: the disk may have taken the one that a person gave, and refused the
    one that reached an epoch which the list here did not name yet.
    """

    pressed: Pressed
    counts: dict[str, Any]


def finish_stop(desk: Desk, fence: Fence, *, pressed: Pressed, now: datetime) -> Finished:
    """Book a stop, and begin the corrections.

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
        proven_places={_here(desk), *pressed.proven_places},
        now=now,
    )
    if booked is None:
        return Finished(pressed, {"known": False})
    if booked.phase == Phase.CORRECTING:
        corrections.write_owed(fence.number, owing=desk.ledger, context=desk.context, now=now)
    try:
        publishing.publish(desk.settings, now=now)
    except OSError:
        if not pressed.refused:
            raise  # else it is the same disk, and the next sweep writes its files
    found = reach.of(fence.number, ledger.reach(fence.number))
    counts = {
        "phase": booked.phase,
        "got_it": found.got_it,
        "may_have": found.may_have,
        "not_sent": found.not_sent,
        "corrections": ledger.corrections(fence.number).people,
        "held_elsewhere": [
            {"sender": each.sender, "place": each.place, "until": each.until.isoformat()}
            for each in booked.held_elsewhere
        ],
        "fetched_back": booked.fetched.fetched,
        "queue": "none" if desk.queue is None else booked.fetched.why or "reached",
    }
    return Finished(pressed, counts)


def _reaching(desk: Desk, fence: Fence, pressed: Pressed) -> tuple[Fence, Pressed]:
    """Press once more when the list that the press had read was older than the order's epoch.

    Whoever pressed was told that the order is paused, so it has to be: on this disk, too, though
    the database alone may say so since an earlier press.
    """
    row = Order.objects.filter(number=fence.number).values_list("phase", "epoch").first()
    if row is None or fence.withdrawn or row[0] not in _STOPPED_BY_A_PAUSE or fence.covers(row[1]):
        return fence, pressed
    again = _press(desk, dataclasses.replace(fence, stopped_epoch=row[1]))
    return again.fence, again


def _stopped_in_the_database(desk: Desk, fence: Fence, pressed: Pressed) -> Pressed:
    """Let the database alone say what the disk does not, and prove the senders dead once more.

    One that started after the press has read no fence. From this row on it gets no permit, and what
    it was permitted before ends with it: only such a death proves anything.
    """
    stops.stop_in_ledger(fence, ledger=desk.ledger)
    proofs = senders.kill_all(desk.settings.folder.senders)
    return dataclasses.replace(pressed, senders=proofs)


def pause_by_itself(desk: Desk, number: str, *, because: str, now: datetime) -> None:
    """Pause an order without a person, with the cause in words."""
    epoch = Order.objects.values_list("epoch", flat=True).get(number=number)
    pressed = _press(desk, Fence(number, epoch, withdrawn=False, at=now, by=None, because=because))
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
