"""Who is told what, and when: rows of the ledger, made out of the frozen list and approved words.

Every mail of an order begins here. A row is complete at birth (address, language, words, instant);
from then on it belongs to the ledger and to the senders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from countermand.domain import schedule, scope
from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument
from countermand.domain.presence import Presence
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.notices import wording
from countermand.notices.wording import Addressee, KnownDevice, MailFacts, Signatory, Values
from countermand.orders import documents, rule_log, shared_use, told_rows
from countermand.orders.cells import Cell, PersonCells, cells_of, person_facts
from countermand.orders.models import Affected, Approval, Order, Revision
from countermand.orders.pace import Pace
from countermand.orders.planning import (
    PlanContext,
    own_deadline,
    promised_deadline,
)
from countermand.orders.shared_use import Beside
from countermand.orders.told_rows import Named
from countermand.people import queries as people
from countermand.people.queries import MailReader, PersonView

NOTHING_BESIDE: Final = Beside()
_SLICE: Final = 1000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Voice:
    """In whose name an order speaks, in which languages, and out of which templates."""

    order: Order
    document: OrderDocument
    issued_by: Signatory
    approved_by: tuple[Signatory, ...]
    templates: Mapping[tuple[str, str, str], int]

    def language(self, person: PersonView) -> str:
        """Return the language in which a person is written to."""
        return wording.language_for(
            person.language, self.document.languages, self.document.fallback_language
        )

    def template(self, kind: NoticeKind, language: str, variant: str = "") -> int:
        """Return the id of the approved words."""
        return self.templates[kind.value, variant, language]


def voice_of(order: Order, document: OrderDocument) -> Voice:
    """Return the voice of an order, as it was approved."""
    approvers = Approval.objects.filter(revision__order=order, void_at__isnull=True)
    ids = list(approvers.order_by("at").values_list("person_id", flat=True))
    known = people.by_ids([order.author_id, *ids])
    return Voice(
        order=order,
        document=document,
        issued_by=signatory(known.get(order.author_id)),
        approved_by=tuple(signatory(known.get(each)) for each in dict.fromkeys(ids)),
        templates=ledger.template_ids(order.number, order.revision_number),
    )


def signatory(person: PersonView | None) -> Signatory:
    """Return somebody as the words name them."""
    if person is None:
        return Signatory(name="-")
    return Signatory(name=person.name, local_name=person.local_name, role=person.unit)


def addressee(person: PersonView) -> Addressee:
    """Return a person as the words need them."""
    return Addressee(
        name=person.name,
        zone=person.zone,
        local_name=person.local_name,
        unit=person.unit,
        number=person.uid,
    )


def known_devices(
    cells: Iterable[Cell],
    document: OrderDocument,
    beside: Beside = NOTHING_BESIDE,
) -> list[KnownDevice]:
    """Return what a mail may say of a person's devices, app by app."""
    names = documents.app_names(document)
    first, *further = names.values()
    return [
        KnownDevice(
            name=cell.device.name,
            short_id=cell.device.short_id,
            app_name=names[seen.app_id] if seen else first,
            further_apps=() if seen else tuple(further),
            presence=seen.presence if seen else Presence.UNKNOWN,
            seen_at=seen.shown_at if seen else None,
            said_removed_at=seen.attested_at if seen and seen.is_excused else None,
            in_custody=cell.device.id in beside.in_custody,
            reads_mail_of=beside.reads_mail_of.get(cell.device.person_id, ()),
        )
        for cell in cells
        for seen in (cell.worth_telling() or (None,))
    ]


def start_mailing(
    order: Order,
    revision: Revision,
    document: OrderDocument,
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    """Make the mailing known to the ledger with its approved words; nothing is due yet."""
    del now
    notices.start_mailing(
        order_number=order.number,
        mode=order.mode,
        phase=order.phase,
        epoch=order.epoch,
        not_after=schedule.end_of_day(document.review_on),
        digest=revision.digest,
        revision_number=revision.number,
        stop_hash=order.stop_hash,
        templates=wording.prepare_templates(
            revision.content["order"],
            order.number,
            house=context.house,
            app_names=list(documents.app_names(document).values()),
        ),
    )


def has_settled(number: str) -> bool:
    """Tell whether no notice of an order is still to leave or in a sender's hands."""
    return not ledger.unsettled(number, kind=NoticeKind.NOTICE)


def is_mostly_out(number: str) -> bool:
    """Tell whether nine of ten notices have settled, or all but one: a slow server holds nobody."""
    waiting = ledger.unsettled(number, kind=NoticeKind.NOTICE)
    return waiting <= max(1, ledger.health(number).mails // 10)


def tell_group(
    order: Order,
    document: OrderDocument,
    waves: Sequence[int],
    *,
    first_due_at: datetime,
    context: PlanContext,
    now: datetime,
) -> None:
    """Create the notices of some waves; each wave is due `wave_every` after the one before."""
    voice = voice_of(order, document)
    rows = Affected.objects.filter(
        order=order, revision_number=order.revision_number, wave__in=waves
    )
    due = {
        wave: first_due_at + place * document.rollout.wave_every
        for place, wave in enumerate(sorted(waves))
    }
    pace = Pace(context.limits)
    for some in sliced(list(rows.order_by("wave", "person_id"))):
        _tell(
            voice,
            some,
            lambda row, address: pace.due(address, due[row.wave]),
            context=context,
            now=now,
        )


def _tell(
    voice: Voice,
    rows: Sequence[Affected],
    due_at: Callable[[Affected, str], datetime],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    known = {row.person_id: row for row in rows}
    fresh: list[notices.NewNotice] = []
    named: list[Named] = []
    left: list[int] = []
    moved: dict[int, datetime | None] = {}
    wholes = list(cells_of(voice.document, known))
    also = shared_use.beside(voice.document, wholes, people.mail_readers())
    for whole in wholes:
        row = known[whole.person.id]
        if whole.person.has_left(now.date()):
            left.append(whole.person.id)
            continue
        due = due_at(row, whole.person.address)
        deadline = promised_deadline(
            voice.document, whole.person, told_at=due, is_late=row.joined_at is not None
        )
        if deadline != row.own_deadline_at:
            moved[row.person_id] = row.own_deadline_at = deadline
        cells = [cell for cell in whole.cells if cell.in_scope]
        notice = notice_row(
            voice, whole, cells, row, due=due, deadline=deadline, now=now, beside=also
        )
        fresh.append(notice)
        named += _named(row, cells, deadline)
        row.notices += 1
    rule_log.people_left(voice.order.number, left, now=now)
    deadlines_moved(voice.order, moved, now=now)
    notices.add_notices(fresh, ids=context.ids)
    told_rows.name_devices(voice.order.number, named)
    told_rows.keep_counts(rows)


def deadlines_moved(
    order: Order,
    moved: Mapping[int, datetime | None],
    *,
    latest: Iterable[datetime] = (),
    now: datetime,
) -> None:
    """Enter in the log that people have more time, and remember when the last of all is over.

    `latest` are deadlines of single devices, which change nothing for their people.
    """
    rule_log.people_came(order.number, moved, now=now)
    last = max(filter(None, [order.last_deadline_at, *moved.values(), *latest]), default=None)
    if last != order.last_deadline_at:
        order.last_deadline_at = last
        Order.objects.filter(pk=order.pk).update(last_deadline_at=last)


def tell_one(
    order: Order,
    document: OrderDocument,
    whole: PersonCells,
    device_ids: Collection[int],
    *,
    readers: Collection[MailReader],
    context: PlanContext,
    now: datetime,
) -> None:
    """Tell one late joiner of these devices, now, with a deadline counted from now.

    `readers` are all who read the mail of others.
    """
    voice = voice_of(order, document)
    row = Affected.objects.get(
        order=order, revision_number=order.revision_number, person_id=whole.person.id
    )
    deadline = own_deadline(document, whole.person, told_at=now)
    cells = [cell for cell in whole.cells if cell.device.id in device_ids]
    also = shared_use.beside(document, [whole], readers)
    fresh = notice_row(voice, whole, cells, row, due=now, deadline=deadline, now=now, beside=also)
    notices.add_notices([fresh], ids=context.ids)
    told_rows.name_devices(order.number, _named(row, cells, deadline))
    row.notices += 1
    row.save(update_fields=["notices"])


def _named(row: Affected, cells: Iterable[Cell], deadline: datetime) -> list[Named]:
    return [
        Named(row.person_id, cell.device.id, row.notices, deadline)
        for cell in cells
        if cell.presence is not Presence.ABSENT
    ]


def notice_row(
    voice: Voice,
    whole: PersonCells,
    cells: Sequence[Cell],
    row: Affected,
    *,
    due: datetime,
    deadline: datetime,
    now: datetime,
    beside: Beside = NOTHING_BESIDE,
) -> notices.NewNotice:
    """Return the next notice of a person, about these devices, with this deadline."""
    language = voice.language(whole.person)
    facts = MailFacts(
        issued_by=voice.issued_by,
        approved_by=voice.approved_by,
        told_at=due,
        own_deadline_at=deadline,
    )
    devices = known_devices(cells, voice.document, beside)
    devices += beside.read_on.get(whole.person.id, ())
    return new_notice(
        voice,
        whole.person,
        NoticeKind.NOTICE,
        values=wording.notice_values(addressee(whole.person), devices, facts, language),
        step=row.notices,
        wave=row.wave,
        due=due,
        now=now,
    )


def new_notice(
    voice: Voice,
    person: PersonView,
    kind: NoticeKind,
    *,
    values: Values,
    step: int,
    due: datetime,
    now: datetime,
    wave: int = 0,
    variant: str = "",
    in_reply_to: str = "",
    address: str | None = None,
    language: str | None = None,
    never_leaves: bool = False,
) -> notices.NewNotice:
    """Return one row of the ledger, complete."""
    language = language or voice.language(person)
    return notices.NewNotice(
        order_number=voice.order.number,
        revision_number=voice.order.revision_number,
        kind=kind,
        step=step,
        person_id=person.id,
        address=address or person.address,
        language=language,
        wave=wave,
        template_id=voice.template(kind, language, variant),
        values=values,
        in_reply_to=in_reply_to,
        dated_at=max(due, now),
        due_at=due,
        never_leaves=never_leaves,
    )


def go_on(order: Order, *, lost: timedelta, now: datetime) -> None:
    """Let waiting waves keep their distance after a pause of `lost`."""
    notices.postpone(order.number, lost, now=now)


def except_people(order: Order, document: OrderDocument, *, now: datetime) -> None:
    """Enter the exceptions that the order itself grants in the log of rules."""
    until = exceptions_of(order, document)
    if until:
        rule_log.people_excepted(order.number, until, now=now)


def exceptions_of(order: Order, document: OrderDocument) -> dict[int, datetime | None]:
    """Return until when each excepted person of the list is left alone."""
    if not document.exceptions:
        return {}
    listed = Affected.objects.filter(order=order, revision_number=order.revision_number)
    found: dict[int, datetime | None] = {}
    for person in people.by_ids(listed.values_list("person_id", flat=True)).values():
        until = [
            exception.until
            for exception in document.exceptions
            if scope.is_excepted((exception,), person_facts(person), on=exception.until)
        ]
        if until:
            found[person.id] = schedule.end_of_day(max(until))
    return found


def sliced(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Cut rows into parts that one statement carries well."""
    for begin in range(0, len(rows), _SLICE):
        yield rows[begin : begin + _SLICE]
