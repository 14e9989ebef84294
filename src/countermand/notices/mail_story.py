"""What became of mails, line by line: for one order, for one person, and whom to call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from countermand.domain.delivery import FAULT, NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import MOST_ATTEMPTS
from countermand.notices.models import Notice, NoticeEvidence

CAME_BACK: Final = (NoticeState.REFUSED.value, NoticeState.BOUNCED.value)
# All tries went, and none was answered: nobody knows whether it arrived, until evidence comes.
IN_DOUBT: Final = Q(state=NoticeState.MAYBE.value, attempts__gte=MOST_ATTEMPTS)
# Put off for so long: it is tried on, and nobody waits for it. Told by instants, not by tries: a
# server may put a mail off before any dot of it is written.
_PUT_OFF: Final = Q(state=NoticeState.PENDING.value) & ~Q(last_reply="")
_CALLED_AFTER: Final = timedelta(hours=24)
_CORRECTED_AFTER: Final = timedelta(hours=1)
_NOT_KNOWN_TO_ARRIVE: Final = (
    Q(state__in=CAME_BACK) | IN_DOUBT | _PUT_OFF & Q(due_at__gte=F("dated_at") + _CALLED_AFTER)
)
_LEAVES_FOR_THEM: Final = Notice.objects.filter(
    order_number=OuterRef("order_number"),
    person_id=OuterRef("person_id"),
    kind=NoticeKind.CORRECTION.value,
).exclude(state=NoticeState.SKIPPED.value)
# One that never leaves, since its address is somebody else's by now, matters if there is no other.
UNHEARD_CORRECTION: Final = Q(kind=NoticeKind.CORRECTION.value) & (
    _NOT_KNOWN_TO_ARRIVE
    | Q(state=NoticeState.PENDING.value, attempts__gte=MOST_ATTEMPTS)
    | _PUT_OFF & Q(due_at__gte=F("dated_at") + _CORRECTED_AFTER)
    | Q(state=NoticeState.PENDING.value, last_reply=FAULT)
    | Q(state=NoticeState.SKIPPED.value) & ~Exists(_LEAVES_FOR_THEM)
)
_SLICE: Final = 2000


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that was heard of a mail later; `kind` is a `domain.delivery.EvidenceKind`."""

    kind: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class MailStory:
    """One mail, from being written down to the last that was heard of it."""

    order_number: str
    kind: str
    person_id: int
    address: str
    language: str
    state: str
    exposure: Exposure
    due_at: datetime
    accepted_at: datetime | None
    bounced_at: datetime | None
    proven_at: datetime | None
    attempts: int
    last_reply: str
    queue_id: str
    message_id: str
    heard: tuple[Heard, ...]


def as_far_as_known(row: Notice) -> Exposure:
    """Return how sure it is that a mail was got: one that came back may have been read on its way.

    Who is owed a correction stays with the ledger, which keeps that a server took the mail.
    """
    exposure = Exposure(row.exposure)
    if row.state == NoticeState.BOUNCED:
        return min(exposure, Exposure.POSSIBLE)
    return exposure


def of_order(order_number: str) -> Iterator[MailStory]:
    """Yield every mail of an order, person by person, a slice at a time."""
    rows = Notice.objects.filter(order_number=order_number)
    yield from _told(rows.order_by("person_id", "due_at", "pk"))


def of_person(person_id: int) -> list[MailStory]:
    """Return every mail to one person, whatever the order, oldest first."""
    return list(_told(Notice.objects.filter(person_id=person_id).order_by("due_at", "pk")))


def unreached(order_number: str) -> tuple[int, ...]:
    """Return people of whom no mail of an order is known to have arrived: somebody calls them.

    Each was refused, came back, had all its tries without an answer, or is put off for a day.
    Whoever was fetched back, or never sent anything, knows of nothing and is not called. A mail
    that was given up unsent has reached nobody, so it keeps nobody from being called.
    """
    rows = Notice.objects.filter(order_number=order_number)
    rows = rows.exclude(state=NoticeState.SKIPPED.value, exposure=Exposure.NONE)
    other = rows.filter(person_id=OuterRef("person_id")).exclude(_NOT_KNOWN_TO_ARRIVE)
    found = rows.filter(_NOT_KNOWN_TO_ARRIVE).exclude(Exists(other))
    return tuple(found.order_by("person_id").values_list("person_id", flat=True).distinct())


def last_undelivered(order_number: str, people: Collection[int]) -> dict[int, MailStory]:
    """Return the last mail of an order to each of these people not known to have got through."""
    rows = Notice.objects.filter(
        _NOT_KNOWN_TO_ARRIVE | UNHEARD_CORRECTION,
        order_number=order_number,
        person_id__in=people,
    )
    return {mail.person_id: mail for mail in _told(rows.order_by("due_at", "pk"))}


def _told(rows: QuerySet[Notice]) -> Iterator[MailStory]:
    some: list[Notice] = []
    for row in rows.iterator(chunk_size=_SLICE):
        some.append(row)
        if len(some) == _SLICE:
            yield from _with_evidence(some)
            some = []
    yield from _with_evidence(some)


def _with_evidence(rows: Iterable[Notice]) -> Iterator[MailStory]:
    mails = list(rows)
    heard: dict[int, list[Heard]] = {}
    evidence = NoticeEvidence.objects.filter(notice_id__in=[row.pk for row in mails])
    for notice_id, kind, at, detail in evidence.order_by("at", "pk").values_list(
        "notice_id", "kind", "at", "detail"
    ):
        heard.setdefault(notice_id, []).append(Heard(kind, at, detail))
    for row in mails:
        yield MailStory(
            order_number=row.order_number,
            kind=row.kind,
            person_id=row.person_id,
            address=row.address,
            language=row.language,
            state=row.state,
            exposure=as_far_as_known(row),
            due_at=row.due_at,
            accepted_at=row.accepted_at,
            bounced_at=row.bounced_at,
            proven_at=row.proven_at,
            attempts=row.attempts,
            last_reply=row.last_reply,
            queue_id=row.queue_id,
            message_id=row.message_id,
            heard=tuple(heard.get(row.pk, ())),
        )
