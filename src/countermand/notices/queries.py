"""What the ledger says of an order's mails, as plain values for other rooms."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    SmallIntegerField,
    When,
)
from django.db.models.functions import Now

from countermand.domain.delivery import FAULT, NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import MOST_ATTEMPTS
from countermand.notices import hearing
from countermand.notices.mail_story import (
    CAME_BACK,
    IN_DOUBT,
    UNHEARD_CORRECTION,
    as_far_as_known,
)
from countermand.notices.models import Mailing, Notice, SenderLease, Template

# RFC 5321, 4.5.3.2.7: a server waits at least 5 minutes for the next command; Postfix just so long.
RELAY_GIVES_UP_AFTER: Final = timedelta(minutes=5)
ACCEPTED: Final = (NoticeState.SENT.value, NoticeState.DELIVERED.value)


@dataclass(frozen=True, slots=True)
class Reach:
    """How many people an order reached: got it, may have got it, and has not left for them."""

    got_it: int
    may_have: int
    not_sent: int


@dataclass(frozen=True, slots=True)
class Health:
    """What came back of one kind of mail; `uncertain` had all their tries and no clear answer.

    `refused` are those, too, that wait since a server said no for ever, though not of the mailbox.
    `undelivered` are refused or came back: to people it is the same. Of them, and of the uncertain,
    only those count that nobody let pass so far.
    """

    mails: int
    accepted: int
    refused: int
    undelivered: int
    uncertain: int

    @property
    def answered(self) -> int:
        """How many a server has said yes or no to."""
        return self.accepted + self.refused


@dataclass(frozen=True, slots=True)
class Corrections:
    """How far the corrections of an order have come; `to_call` lists people for a telephone.

    `people` counts everybody for whom one is written down, whoever wrote it.
    """

    people: int
    sent: int
    waiting: int
    to_call: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One mail as a list shows it."""

    kind: str
    person_id: int
    address: str
    language: str
    wave: int
    state: str
    exposure: Exposure
    due_at: datetime
    accepted_at: datetime | None
    message_id: str
    last_reply: str


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """A sender of another place that may still end a mail, and until when at the latest."""

    sender: str
    place: str
    until: datetime


def held_elsewhere(order_number: str, *, proven: Collection[str]) -> tuple[HeldElsewhere, ...]:
    """Return the senders that may still be ending a mail of this order.

    `proven` are the places whose senders are known to be dead, or to have read the stop. Of the
    others, one whose lease holds is asked for by the mails in its hands. One whose lease ran out
    may sleep, and whatever it held others have called doubtful since: it is given the time after
    which every relay has given up on a silent connection.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_catch_up(%s)", [order_number])
    rows = Notice.objects.filter(order_number=order_number, state=NoticeState.PERMITTED.value)
    names = rows.exclude(kind=NoticeKind.CORRECTION.value).values_list("claimed_by", flat=True)
    # Judged by the database's own clock: a lease is real time.
    leases = SenderLease.objects.filter(
        Q(name__in=list(names.distinct())) | Q(lease_until__lte=Now()),
        lease_until__gt=Now() - RELAY_GIVES_UP_AFTER,
        mode__in=Mailing.objects.filter(order_number=order_number).values("mode"),
    )
    found = leases.exclude(host__in=proven).order_by("name")
    return tuple(
        HeldElsewhere(name, host, until + RELAY_GIVES_UP_AFTER)
        for name, host, until in found.values_list("name", "host", "lease_until")
    )


def is_sent_here(mode: str) -> bool:
    """Tell whether a living sender sends mails of this mode; others pass them over."""
    return SenderLease.objects.filter(mode=mode, lease_until__gt=Now()).exists()


def by_kind(order_number: str) -> dict[str, int]:
    """Return how many mails of each kind were accepted."""
    rows = Notice.objects.filter(order_number=order_number, accepted_at__isnull=False)
    found = rows.values("kind").annotate(mails=Count("pk"))
    return {row["kind"]: row["mails"] for row in found}


def first_accepted_at(order_number: str, *, kind: NoticeKind | None = None) -> datetime | None:
    """Return when the first mail of an order was accepted; of one kind, if that is given."""
    rows = Notice.objects.filter(order_number=order_number)
    if kind is not None:
        rows = rows.filter(kind=kind.value)
    found: datetime | None = rows.aggregate(at=Min("accepted_at"))["at"]
    return found


def at_fault(order_number: str) -> int:
    """Count the mails that have not left because something failed here that nobody expected."""
    rows = Notice.objects.filter(order_number=order_number, last_reply=FAULT)
    return rows.filter(state__in=[NoticeState.PENDING.value, NoticeState.REFUSED.value]).count()


def is_known(order_number: str) -> bool:
    """Tell whether an order was ever released to the ledger."""
    return Mailing.objects.filter(order_number=order_number).exists()


def template_ids(order_number: str, revision_number: int) -> dict[tuple[str, str, str], int]:
    """Return the ids of the approved words, by kind, variant and language."""
    rows = Template.objects.filter(order_number=order_number, revision_number=revision_number)
    return {
        (kind, variant, language): pk
        for kind, variant, language, pk in rows.values_list("kind", "variant", "language", "pk")
    }


def unsettled(order_number: str, *, kind: NoticeKind) -> int:
    """Count the mails of a kind that will still be tried or are in a sender's hands."""
    rows = Notice.objects.filter(order_number=order_number, kind=kind.value)
    return rows.filter(_UNSETTLED).count()


_UNSETTLED: Final = Q(
    state__in=[
        NoticeState.PENDING.value,
        NoticeState.CLAIMED.value,
        NoticeState.PERMITTED.value,
    ]
) | Q(state=NoticeState.MAYBE.value, attempts__lt=MOST_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class SentCopy:
    """A mail that lies, or may lie, in somebody's mailbox."""

    notice_id: int
    person_id: int
    address: str
    message_id: str


def copies(order_number: str) -> list[SentCopy]:
    """Return every mail of an order that reached, or may have reached, a mailbox.

    Corrections are none of them: they stay.
    """
    rows = Notice.objects.filter(order_number=order_number, exposure__gt=Exposure.NONE)
    rows = rows.exclude(kind=NoticeKind.CORRECTION.value).order_by("pk")
    return [SentCopy(*row) for row in rows.values_list("pk", "person_id", "address", "message_id")]


_SAID_NO: Final = Q(state=NoticeState.REFUSED.value) | Q(
    state=NoticeState.PENDING.value, last_reply__startswith="5"
)


_UNDELIVERED: Final = Q(state=NoticeState.BOUNCED.value) | _SAID_NO
# One that was let pass while nobody knew whether it arrived is new once it comes back.
_NOT_PASSED_AS_SUCH: Final = ("", NoticeState.MAYBE.value)
TROUBLED: Final = _UNDELIVERED | IN_DOUBT


def health(order_number: str, *, kind: NoticeKind = NoticeKind.NOTICE) -> Health:
    """Return what came back so far."""
    found = Notice.objects.filter(order_number=order_number, kind=kind.value).aggregate(
        mails=Count("pk"),
        accepted=Count("pk", filter=Q(accepted_at__isnull=False)),
        refused=Count("pk", filter=_SAID_NO),
        undelivered=Count("pk", filter=_UNDELIVERED & Q(passed_as__in=_NOT_PASSED_AS_SUCH)),
        uncertain=Count("pk", filter=IN_DOUBT & Q(passed_as="")),
    )
    return Health(**found)


# As `mail_story.as_far_as_known`, in the database.
_AS_FAR_AS_KNOWN: Final = Case(
    When(state=NoticeState.BOUNCED.value, exposure__gt=Exposure.POSSIBLE, then=Exposure.POSSIBLE),
    default=F("exposure"),
    output_field=SmallIntegerField(),
)


def has_notice(order_number: str, person_id: OuterRef) -> Exists:
    """Say, within a query over people, of whom a notice of an order is written down."""
    rows = Notice.objects.filter(order_number=order_number, person_id=person_id)
    return Exists(rows.filter(kind=NoticeKind.NOTICE.value))


def reach(order_number: str) -> Reach:
    """Return how many people got an order, may have got it, or have not been sent their mail."""
    people = (
        Notice.objects.filter(order_number=order_number)
        .exclude(kind=NoticeKind.CORRECTION.value)
        .values("person_id")
        .annotate(most=Max(_AS_FAR_AS_KNOWN))
    )
    counts = dict.fromkeys(Exposure, 0)
    for row in people:
        counts[Exposure(row["most"])] += 1
    return Reach(
        got_it=counts[Exposure.CERTAIN],
        may_have=counts[Exposure.POSSIBLE],
        not_sent=counts[Exposure.NONE],
    )


def corrections(order_number: str) -> Corrections:
    """Return how far the corrections have come.

    Whoever was refused or bounced by their server is to be called by a person, and so is whose only
    address is somebody else's by now, and whom a server puts off again and again: the mail is tried
    on, and nobody waits for it to be told.
    """
    rows = Notice.objects.filter(order_number=order_number, kind=NoticeKind.CORRECTION.value)
    sent = rows.filter(state__in=ACCEPTED)
    to_call = set(rows.filter(UNHEARD_CORRECTION).values_list("person_id", flat=True))
    told = sent.filter(person_id__in=to_call)  # of a million, those few alone are read
    to_call -= set(told.values_list("person_id", flat=True))
    return Corrections(
        people=rows.values("person_id").distinct().count(),
        sent=sent.values("person_id").distinct().count(),
        waiting=rows.exclude(state__in=[*ACCEPTED, *CAME_BACK, NoticeState.SKIPPED.value]).count(),
        to_call=tuple(sorted(to_call)),
    )


@dataclass(frozen=True, slots=True)
class ReachedAddress:
    """An address at which an order was accepted, with the Message-ID that later mails answer."""

    person_id: int
    address: str
    language: str
    message_id: str


def reached(order_number: str, *conditions: Q) -> list[ReachedAddress]:
    """Return every address at which an order was accepted, once each, where `conditions` hold.

    What senders note at this very moment is not among them; `late_deliveries` finds it afterwards.
    """
    rows = Notice.objects.filter(
        *conditions,
        order_number=order_number,
        kind=NoticeKind.NOTICE.value,
        exposure=Exposure.CERTAIN,
    )
    found: dict[tuple[int, str], ReachedAddress] = {}
    for row in rows.order_by("person_id", "step", "pk"):
        one = ReachedAddress(row.person_id, row.address, row.language, row.message_id)
        found.setdefault((row.person_id, row.address), one)
    return list(found.values())


def proof_stamp(order_number: str, *, now: datetime) -> str:
    """Return a text that changes whenever `proof_sql.PROOFS` or its `ACCEPTED_LOCKS` would."""
    rows = Notice.objects.filter(order_number=order_number, state__in=ACCEPTED)
    notice = Q(kind=NoticeKind.NOTICE.value)
    proven = Q(proven_at__isnull=False) | hearing.told_by_silence(now)
    found = rows.aggregate(
        proven=Count("pk", filter=notice & proven),
        locks=Count("pk", filter=Q(kind=NoticeKind.LOCK.value)),
    )
    return f"{found['proven']}.{found['locks']}"


def told_stamp(order_number: str) -> str:
    """Return a text that changes whenever `proof_sql.TOLD_AT` would."""
    rows = Notice.objects.filter(order_number=order_number, kind=NoticeKind.NOTICE.value)
    found = rows.aggregate(people=Count("accepted_at"), newest=Max("accepted_at"))
    return f"{found['people']}.{found['newest']}"


def steps_done(order_number: str, kinds: Iterable[NoticeKind]) -> list[tuple[NoticeKind, int, int]]:
    """Return which mails of some kinds exist already, as kind, step and person."""
    rows = Notice.objects.filter(order_number=order_number, kind__in=[kind.value for kind in kinds])
    return [
        (NoticeKind(kind), step, person_id)
        for kind, step, person_id in rows.values_list("kind", "step", "person_id")
    ]


def follow_ups(
    order_number: str, kind: NoticeKind, person_ids: Collection[int]
) -> list[tuple[int, int, datetime]]:
    """Return the mails of a kind that these people have had, or were to have: who, step, dated."""
    rows = Notice.objects.filter(
        order_number=order_number, kind=kind.value, person_id__in=list(person_ids)
    )
    return list(rows.values_list("person_id", "step", "dated_at"))


def told_at(order_number: str, person_ids: Collection[int]) -> dict[tuple[int, int], datetime]:
    """Return when each notice of these people was accepted first, by person and step."""
    rows = Notice.objects.filter(
        order_number=order_number, kind=NoticeKind.NOTICE.value, person_id__in=list(person_ids)
    )
    accepted = rows.order_by("-accepted_at").values_list("person_id", "step", "accepted_at")
    return {(person_id, step): at for person_id, step, at in accepted if at is not None}


def first_message_ids(order_number: str) -> dict[int, str]:
    """Return the Message-ID of each person's first notice, which later mails answer.

    One that was given up unsent is in nobody's mailbox: its place has the one written anew.
    """
    rows = Notice.objects.filter(order_number=order_number, kind=NoticeKind.NOTICE.value)
    rows = rows.exclude(state=NoticeState.SKIPPED.value)
    return dict(rows.order_by("-step").values_list("person_id", "message_id"))


def lines(
    order_number: str, *, kind: NoticeKind | None = None, person_id: int | None = None
) -> list[NoticeLine]:
    """Return the mails of an order, in the order in which they are due."""
    rows = Notice.objects.filter(order_number=order_number)
    if kind is not None:
        rows = rows.filter(kind=kind.value)
    if person_id is not None:
        rows = rows.filter(person_id=person_id)
    return [
        NoticeLine(
            kind=row.kind,
            person_id=row.person_id,
            address=row.address,
            language=row.language,
            wave=row.wave,
            state=row.state,
            exposure=as_far_as_known(row),
            due_at=row.due_at,
            accepted_at=row.accepted_at,
            message_id=row.message_id,
            last_reply=row.last_reply,
        )
        for row in rows.order_by("due_at", "pk")
    ]
