"""What follows a notice, each person at their own instant: reminders, and the last word.

Rows are made when they are due and not before, so that whoever has done what was asked in the
meantime is left alone. Nothing is due for somebody who was not told. What a relay kept past its
time never names the old one: a reminder stops at the deadline, a last notice is written anew, with
a later time at which the door then closes.
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
from countermand.domain.lifecycle import TOLD_BEYOND_FIRST_GROUP
from countermand.domain.order_parts import OrderDocument, Send
from countermand.domain.presence import Presence
from countermand.domain.schedule import DueStep
from countermand.domain.verdict import LOCK_NOTICE_LEAD
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.notices import wording
from countermand.notices.queries import Waiting
from countermand.notices.wording import Because, MailFacts
from countermand.orders import due_people, planning, stepping, telling
from countermand.orders.cells import Cell, PersonCells, cells_of
from countermand.orders.documents import document_of
from countermand.orders.doors import STEPS_A_NOTICE
from countermand.orders.models import Order, ToldDevice
from countermand.orders.planning import PlanContext

# A reminder may come so much before its instant, when that instant lies in the night.
_AT_MOST_EARLIER: Final = timedelta(hours=11)
# Whether a mail that waits was kept is looked at after a while, and before its turn comes again.
_A_WHILE: Final = timedelta(minutes=5)
_AHEAD: Final = timedelta(minutes=2)
_TO_ARRIVE: Final = timedelta(minutes=15)  # between a last notice and the last instant for it
_KINDS: Final = {Send.REMINDER: NoticeKind.REMINDER, Send.LOCK_NOTICE: NoticeKind.LOCK}


@dataclass(frozen=True, slots=True)
class _Due:
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
        written += _write(order, document, list(some), context=context, now=now)
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
) -> Iterator[_Due]:
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
                yield _Due(
                    each.person_id,
                    each.step,
                    each.device_ids,
                    each.own_deadline_at,
                    each.told_at,
                    of_kind[-1],
                )


def _said_later(due: DueStep, done: Iterable[int]) -> bool:
    return due.step.send is Send.REMINDER and any(place > due.place for place in done)


def _write(
    order: Order,
    document: OrderDocument,
    due: list[_Due],
    *,
    context: PlanContext,
    now: datetime,
) -> int:
    voice = telling.voice_of(order, document)
    cells = {
        whole.person.id: whole for whole in cells_of(document, {each.person_id for each in due})
    }
    answered = ledger.first_message_ids(order.number)
    fresh = []
    for each in due:
        whole = cells[each.person_id]
        concerned = _concerned(order, document, whole, each, now)
        if concerned:
            answers = answered.get(each.person_id, "")
            fresh.append(_row(voice, whole, concerned, each, in_reply_to=answers, now=now))
    return notices.add_notices(fresh, ids=context.ids)


def _concerned(
    order: Order, document: OrderDocument, whole: PersonCells, each: _Due, now: datetime
) -> list[Cell]:
    """Return the devices for which this mail is still worth something."""
    named = [cell for cell in whole.cells if cell.device.id in each.device_ids and cell.in_scope]
    if each.kind is NoticeKind.LOCK:
        states = planning.states_at_deadline(order.number, document.enforcement)
        return [cell for cell in named if planning.would_lose_mail(cell, order.number, states, now)]
    return [cell for cell in named if not _is_done_with(cell)]


def _is_done_with(cell: Cell) -> bool:
    decides = cell.weightiest
    return decides is not None and (decides.presence is Presence.ABSENT or decides.is_excused)


def _row(
    voice: telling.Voice,
    whole: PersonCells,
    concerned: list[Cell],
    each: _Due,
    *,
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
    devices = telling.known_devices(concerned, voice.document, language)
    return telling.new_notice(
        voice,
        whole.person,
        each.kind,
        values=wording.notice_values(telling.addressee(whole.person), devices, facts, language),
        step=each.step * STEPS_A_NOTICE + each.due.place,
        due=now,
        now=now,
        in_reply_to=in_reply_to,
    )


def may_be_kept(order: Order, now: datetime) -> bool:
    """Tell whether a reminder or a last notice that waits may name a time that is over."""
    at = order.first_deadline_at
    return at is not None and now > at - LOCK_NOTICE_LEAD - _AHEAD


def renew_what_was_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    """Stop reminders kept past the deadline, write last notices anew; returns how many of both."""
    if not (_kept(number, NoticeKind.REMINDER, now) or _kept(number, NoticeKind.LOCK, now)):
        return 0
    return _renew_kept(number, context=context, now=now)


def _kept(number: str, kind: NoticeKind, now: datetime) -> list[Waiting]:
    return ledger.waiting(number, kind=kind, due_by=now + _AHEAD, dated_by=now - _A_WHILE)


@transaction.atomic(durable=True)
def _renew_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    order = stepping.locked(number)
    if order.phase not in TOLD_BEYOND_FIRST_GROUP:
        return 0
    document = document_of(stepping.current(order))
    soon = now + _AHEAD
    reminders = _named_by(order, _kept(number, NoticeKind.REMINDER, now), until=soon)
    found = len(notices.give_up([row.notice_id for row, _ in reminders]))
    last_words = _named_by(
        order, _kept(number, NoticeKind.LOCK, now), until=soon + LOCK_NOTICE_LEAD
    )
    for some in telling.sliced(last_words):
        given_up = set(notices.give_up([row.notice_id for row, _ in some]))
        kept = [each for each in some if each[0].notice_id in given_up]
        _say_anew(order, document, kept, context=context, now=now)
        found += len(kept)
    return found


def _named_by(
    order: Order, waiting: Collection[Waiting], *, until: datetime
) -> list[tuple[Waiting, list[ToldDevice]]]:
    """Return the mails that name a deadline not after `until`, with the devices concerned."""
    told: dict[tuple[int, int], list[ToldDevice]] = {}
    people = {row.person_id for row in waiting}
    for device in ToldDevice.objects.filter(order=order, person_id__in=people).order_by("pk"):
        told.setdefault((device.person_id, device.step), []).append(device)
    named = ((row, told.get((row.person_id, row.step // STEPS_A_NOTICE), [])) for row in waiting)
    return [
        (row, devices)
        for row, devices in named
        if devices and max(device.own_deadline_at for device in devices) <= until
    ]


def _say_anew(
    order: Order,
    document: OrderDocument,
    kept: Collection[tuple[Waiting, list[ToldDevice]]],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    """Write last notices with the time at which the door closes now; the records say so, too."""
    people = {row.person_id for row, _ in kept}
    told_at = ledger.told_at(order.number, people)
    said: dict[tuple[int, int], list[tuple[int, datetime]]] = {}
    for person_id, step, dated_at in ledger.follow_ups(order.number, NoticeKind.LOCK, people):
        notice, place = divmod(step, STEPS_A_NOTICE)
        said.setdefault((person_id, notice), []).append((place, dated_at))
    last_word = next(each for each in document.steps if each.send is Send.LOCK_NOTICE)
    due = []
    moved: dict[int, datetime | None] = {}
    for row, devices in kept:
        notice = row.step // STEPS_A_NOTICE
        before = said[row.person_id, notice]
        # Each time twice as far ahead: a relay that is away for days costs a handful of rows.
        waited = now - min(dated_at for _, dated_at in before)
        closes_at = _whole_minute(now + LOCK_NOTICE_LEAD + max(_TO_ARRIVE, waited))
        next_place = max(len(document.steps), *(place for place, _ in before)) + 1
        if next_place >= STEPS_A_NOTICE or (row.person_id, notice) not in told_at:
            continue
        ids = frozenset(device.device_id for device in devices)
        due.append(
            _Due(
                row.person_id,
                notice,
                ids,
                closes_at,
                told_at[row.person_id, notice],
                DueStep(next_place, last_word, now),
            )
        )
        for device in devices:
            device.own_deadline_at = closes_at
        ToldDevice.objects.bulk_update(devices, ["own_deadline_at"])
        moved[row.person_id] = max(moved.get(row.person_id) or closes_at, closes_at)
    _write(order, document, due, context=context, now=now)
    telling.deadlines_moved(order, moved, now=now)


def _whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)


@transaction.atomic(durable=True)
def tell_opened(
    number: str, device_ids: frozenset[int], *, context: PlanContext, now: datetime
) -> int:
    """Tell the owners of devices whose door opened because a list showed that the app is gone."""
    if not device_ids:
        return 0
    order = stepping.locked(number)
    return tell_restored(order, device_ids, Because.SEEN_GONE, context=context, now=now)


def tell_restored(
    order: Order,
    device_ids: frozenset[int],
    because: Because,
    *,
    context: PlanContext,
    now: datetime,
) -> int:
    """Tell the owners of devices whose mail was paused that it is not any more."""
    if order.phase not in TOLD_BEYOND_FIRST_GROUP or not device_ids:
        return 0
    document = document_of(stepping.current(order))
    voice = telling.voice_of(order, document)
    told = list(ToldDevice.objects.filter(order=order, device_id__in=device_ids))
    answered = ledger.first_message_ids(order.number)
    written = ledger.steps_done(order.number, [NoticeKind.RESTORED])
    fresh = []
    for whole in cells_of(document, {row.person_id for row in told}):
        cells = [cell for cell in whole.cells if cell.device.id in device_ids]
        language = voice.language(whole.person)
        fresh.append(
            telling.new_notice(
                voice,
                whole.person,
                NoticeKind.RESTORED,
                values=wording.restored_values(
                    telling.addressee(whole.person),
                    telling.known_devices(cells, document, language),
                    because=because,
                    at=now,
                    issued_by=voice.issued_by,
                    language=language,
                ),
                step=sum(person == whole.person.id for _, _, person in written),
                due=now,
                now=now,
                in_reply_to=answered.get(whole.person.id, ""),
            )
        )
    return notices.add_notices(fresh, ids=context.ids)
