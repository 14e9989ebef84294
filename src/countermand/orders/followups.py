"""What follows a notice, each person at their own instant: reminders, and the last word.

Rows are made when they are due and not before, so that whoever has done what was asked in the
meantime is left alone. Nothing is due for somebody who was not told. What a relay kept past its
time is the matter of `kept_followups`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Count, Max

from countermand.domain import schedule
from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument, Send
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP
from countermand.domain.presence import Presence
from countermand.domain.schedule import DueStep
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.notices import wording
from countermand.notices.wording import MailFacts
from countermand.orders import door_outlook, due_people, shared_use, stepping, telling
from countermand.orders.cells import Cell, PersonCells, cells_of
from countermand.orders.documents import document_of
from countermand.orders.doors import STEPS_A_NOTICE
from countermand.orders.models import Order, ToldDevice
from countermand.orders.planning import PlanContext
from countermand.orders.shared_use import Beside
from countermand.people import queries as people

# A reminder may come so much before its instant, when that instant lies in the night.
_AT_MOST_EARLIER: Final = timedelta(hours=11)
_KINDS: Final = {Send.REMINDER: NoticeKind.REMINDER, Send.LOCK_NOTICE: NoticeKind.LOCK}


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due for the devices that one notice of one person named."""

    person_id: int
    step: int
    device_ids: frozenset[int]
    own_deadline_at: datetime
    told_at: datetime
    due: DueStep

    @property
    def kind(self) -> NoticeKind:
        return _KINDS[self.due.step.send]


def write_due(number: str, *, learned: str, context: PlanContext, now: datetime) -> int:
    """Write down the reminders and last notices that are due now; returns how many.

    Costs next to nothing, and locks nothing, while nothing is due by its time and nobody was told
    and nothing was learned since it was looked at last: `learned` is the stamp of all that sources
    and the directory have said.
    """
    order = Order.objects.get(number=number)
    if order.phase not in TOLD_BEYOND_FIRST_GROUP or order.first_deadline_at is None:
        return 0
    steps = document_of(stepping.current(order)).steps
    earliest = max((step.before for step in steps), default=timedelta(0))
    if now < order.first_deadline_at - earliest - _AT_MOST_EARLIER:
        return 0
    known = _what_is_known(order, learned, now)
    is_early = order.follow_up_at is None or now < order.follow_up_at
    if order.followed_from == known and is_early:
        return 0
    return _write_due(number, known, context=context, now=now)


def _what_is_known(order: Order, learned: str, now: datetime) -> str:
    named = ToldDevice.objects.filter(order=order).aggregate(
        devices=Count("pk"), latest=Max("own_deadline_at")
    )
    told = f"{order.phase} {ledger.told_stamp(order.number)} {named['devices']}.{named['latest']}"
    stamp = f"{told} {learned} {now.date().isoformat()}"
    return hashlib.sha256(stamp.encode()).hexdigest()


@transaction.atomic(durable=True)
def _write_due(number: str, known: str, *, context: PlanContext, now: datetime) -> int:
    order = stepping.locked(number)
    if order.phase not in TOLD_BEYOND_FIRST_GROUP or order.first_deadline_at is None:
        return 0
    document = document_of(stepping.current(order))
    deadlines = due_people.deadlines(order, now=now)
    written = 0
    for some in telling.sliced(list(_due(order, document, deadlines, now))):
        written += write(order, document, list(some), context=context, now=now)
    instants = (
        schedule.next_step_at(document.steps, own=deadline, zone=zone, now=now)
        for deadline, zone in deadlines
    )
    order.follow_up_at = min(filter(None, instants), default=None)
    order.followed_from = known
    order.save(update_fields=["follow_up_at", "followed_from"])
    return written


def _due(
    order: Order,
    document: OrderDocument,
    deadlines: Collection[tuple[datetime, str]],
    now: datetime,
) -> Iterator[Due]:
    for each in due_people.whom_to_look_at(order, document, deadlines, now=now):
        steps = schedule.due_steps(
            document.steps,
            own=each.own_deadline_at,
            zone=each.zone,
            told_at=each.told_at,
            now=now,
            done=each.done,
        )
        for kind in _KINDS:
            of_kind = [step for step in steps if step.step.send is kind]
            # Looking late, only the last of several reminders is worth sending.
            if of_kind and not _said_later(of_kind[-1], each.done):
                yield Due(
                    each.person_id,
                    each.step,
                    each.device_ids,
                    each.own_deadline_at,
                    each.told_at,
                    of_kind[-1],
                )


def _not_at_night(each: Due, zone: str, now: datetime) -> datetime:
    """Return when a mail may leave: a reminder found late, by night, waits for the morning.

    One that no morning comes for before the deadline leaves at once, and so do last notices.
    """
    if each.kind is not NoticeKind.REMINDER:
        return now
    return max(now, schedule.outside_quiet_hours(now, zone, before=each.own_deadline_at))


def _said_later(due: DueStep, done: Iterable[int]) -> bool:
    return due.step.send is Send.REMINDER and any(place > due.place for place in done)


def write(
    order: Order,
    document: OrderDocument,
    due: list[Due],
    *,
    context: PlanContext,
    now: datetime,
) -> int:
    """Write these mails down for whoever they are still worth something; returns how many."""
    voice = telling.voice_of(order, document)
    cells = {
        whole.person.id: whole for whole in cells_of(document, {each.person_id for each in due})
    }
    answered = ledger.first_message_ids(order.number)
    also = shared_use.beside(document, list(cells.values()), people.mail_readers())
    fresh = []
    for each in due:
        whole = cells[each.person_id]
        concerned = _concerned(order, document, whole, each, now)
        if concerned:
            answers = answered.get(each.person_id, "")
            fresh.append(
                _row(voice, whole, concerned, each, beside=also, in_reply_to=answers, now=now)
            )
    return notices.add_notices(fresh, ids=context.ids)


def _concerned(
    order: Order, document: OrderDocument, whole: PersonCells, each: Due, now: datetime
) -> list[Cell]:
    """Return the devices for which this mail is still worth something."""
    named = [cell for cell in whole.cells if cell.device.id in each.device_ids and cell.in_scope]
    if each.kind is NoticeKind.LOCK:
        states = door_outlook.states_at_deadline(order.number, document.enforcement)
        return [
            cell for cell in named if door_outlook.would_lose_mail(cell, order.number, states, now)
        ]
    return [cell for cell in named if not _is_done_with(cell)]


def _is_done_with(cell: Cell) -> bool:
    decides = cell.weightiest
    return decides is not None and (decides.presence is Presence.ABSENT or decides.is_excused)


def _row(
    voice: telling.Voice,
    whole: PersonCells,
    concerned: list[Cell],
    each: Due,
    *,
    beside: Beside,
    in_reply_to: str,
    now: datetime,
) -> notices.NewNotice:
    language = voice.language(whole.person)
    facts = MailFacts(
        issued_by=voice.issued_by,
        approved_by=voice.approved_by,
        told_at=each.told_at,
        own_deadline_at=each.own_deadline_at,
    )
    devices = telling.known_devices(concerned, voice.document, beside)
    return telling.new_notice(
        voice,
        whole.person,
        each.kind,
        values=wording.notice_values(
            telling.addressee(whole.person), devices, facts, language, each.kind
        ),
        step=each.step * STEPS_A_NOTICE + each.due.place,
        due=_not_at_night(each, whole.person.zone, now),
        now=now,
        in_reply_to=in_reply_to,
    )
