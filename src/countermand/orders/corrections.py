"""When an order is over: exactly those it reached are told, each with what is true for them.

Who is owed a correction is the ledger's answer; what it says is chosen from the rules in force,
person by person, so that nobody is told that an app is free while an older order stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from countermand.audit import queries as log
from countermand.domain import schedule
from countermand.domain.delivery import NoticeKind, OwedCorrection
from countermand.domain.exposure import Exposure
from countermand.domain.order_parts import OrderDocument, Variant
from countermand.domain.phases import Enforcement, Phase, Step
from countermand.domain.rules_in_force import rules_before, rules_for_apps
from countermand.domain.truth import Correction, PersonRules, TakenBackOrder, correct
from countermand.notices import actions as notices
from countermand.notices import late_deliveries, wording
from countermand.notices import queries as ledger
from countermand.notices.late_deliveries import LateDelivery
from countermand.notices.queries import ReachedAddress
from countermand.notices.wording import Signatory
from countermand.orders import documents, stepping, telling, withdrawing
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Order
from countermand.orders.planning import PlanContext
from countermand.orders.rule_log import RuleBook
from countermand.orders.whose_mailbox import Mailbox, Mailboxes
from countermand.people import queries as people
from countermand.ports import NoticeLedger

# The first corrections leave while the rest is still being written down.
_AT_ONCE: Final = 500
# One transaction within a sweep: no take-back waits for more.
_MOST_TOLD_AT_ONCE: Final = 20_000
_FIRST_LOOK_AFTER: Final = timedelta(seconds=10)
_A_LOOK_EVERY: Final = timedelta(hours=1)
_ANSWERS_COME_WITHIN: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Truths:
    """What is true now that an order is over, for anybody whom it reached."""

    order: TakenBackOrder
    book: RuleBook
    deadlines: Mapping[int, datetime | None]

    @classmethod
    def about(cls, order: Order, document: OrderDocument, *, now: datetime) -> Truths:
        """Read the log once, for all who are to be told."""
        rows = Affected.objects.filter(order=order, revision_number=order.revision_number)
        return cls(
            order=TakenBackOrder(
                number=order.number,
                apps=document.apps,
                enforcement=document.enforcement,
                variant=Variant(order.variant or Variant.REASON_GONE.value),
                taken_back_at=order.ended_at or now,
                replacement=replacement_of(order),
            ),
            book=RuleBook.from_log(),
            deadlines=dict(rows.values_list("person_id", "own_deadline_at")),
        )

    def for_person(self, person_id: int, ref: str, *, now: datetime) -> Correction:
        """Choose the sentences for one person."""
        apps = self.order.apps
        events = self.book.events_of(person_id, ref)
        rules = PersonRules(
            now=rules_for_apps(events, apps=apps, person_id=person_id, at=now),
            before=rules_before(events, number=self.order.number, apps=apps, person_id=person_id),
            own_deadline_at=self.deadlines.get(person_id),
        )
        return correct(self.order, rules)


def successors(number: str) -> QuerySet[Order]:
    """Return the orders that were put in force in place of this one, those that ended among them.

    An exercise takes the place of nothing that is real.
    """
    mode = Order.objects.filter(number=number).values("mode")
    return Order.objects.filter(replaces=number, mode__in=mode, in_force_at__isnull=False)


def replacement_of(order: Order) -> str | None:
    """Return the order that stands in place of this one, as every word about it names it."""
    standing = successors(order.number).filter(ended_at__isnull=True)
    return standing.values_list("number", flat=True).first()


@dataclass(frozen=True, slots=True)
class _Owed:
    """Who is owed a correction; `step` is 0 for the first, and for more the place of what came."""

    to: OwedCorrection
    step: int = 0


def write_owed(number: str, *, owing: NoticeLedger, context: PlanContext, now: datetime) -> int:
    """Write down the corrections that are owed and not there yet; returns how many.

    In slices, each a transaction of its own: the first leave at once, and being cut off loses
    nothing. Whoever turns out later to have been reached is found by a later call, and so is whom
    a notice reached after the correction: they are corrected once more.

    Once all are corrected, all mails are looked at again when something was heard of one, and else
    ever more seldom, at least every hour: a look goes through a million mails.
    """
    heard = late_deliveries.heard_so_far()
    order = Order.objects.get(number=number)
    if not _is_worth_a_look(order, heard, now):
        return 0
    owed = [_Owed(each) for each in owing.corrections(order_number=number)]
    owed += [_once_more(each) for each in late_deliveries.late(number, after=order.late_heard)]
    if owed and not _write_all(order, owed, context=context, now=now):
        return 0
    if owed and order.phase == Phase.CORRECTED:
        withdrawing.take_up_late(number, now=now)
    if heard != order.late_heard or order.phase == Phase.CORRECTED:
        Order.objects.filter(pk=number).update(late_heard=heard, end_looked_at=now)
    return len(owed)


def _is_worth_a_look(order: Order, heard: int, now: datetime) -> bool:
    if order.phase != Phase.CORRECTED or order.corrected_at is None:
        return True
    looked_at = max(order.end_looked_at or order.corrected_at, order.corrected_at)
    waits = min(max(looked_at - order.corrected_at, _FIRST_LOOK_AFTER), _A_LOOK_EVERY)
    if not timedelta() <= now - looked_at < waits:  # also where a clock was put back
        return True
    if heard == order.late_heard:
        return False
    if late_deliveries.is_heard_of(order.number, after=order.late_heard):
        return True
    Order.objects.filter(pk=order.number).update(late_heard=heard)
    return False


def _once_more(late: LateDelivery) -> _Owed:
    again = OwedCorrection(
        person_id=late.person_id,
        address=late.address,
        language=late.language,
        exposure=Exposure.CERTAIN,
        notice_message_id=late.message_id,
    )
    return _Owed(again, step=late.place)


def _write_all(order: Order, owed: Sequence[_Owed], *, context: PlanContext, now: datetime) -> bool:
    """Write corrections, a slice at a time; False when the order has moved on meanwhile."""
    document = document_of(stepping.current(order))
    voice = telling.voice_of(order, document)
    # Read once for all: it reads the log, whose length grows with the people whom it is about.
    truths = Truths.about(order, document, now=now)
    for begin in range(0, len(owed), _AT_ONCE):
        some = owed[begin : begin + _AT_ONCE]
        if not _write(voice, truths, some, context=context, now=now):
            return False
    return True


@transaction.atomic(durable=True)
def _write(
    voice: telling.Voice,
    truths: Truths,
    owed: Sequence[_Owed],
    *,
    context: PlanContext,
    now: datetime,
) -> bool:
    order = stepping.locked(voice.order.number)
    if order.phase not in {Phase.CORRECTING, Phase.CORRECTED}:
        return False
    responsible = _responsible(order, voice)
    known = people.by_ids({each.to.person_id for each in owed})
    mailboxes = Mailboxes.of((each.to.address, known[each.to.person_id]) for each in owed)
    refs = log.person_refs(known)
    fresh = []
    content = stepping.current(order).content
    for one in owed:
        each = one.to
        person = known[each.person_id]
        values = wording.correction_values(
            telling.addressee(person),
            truths.for_person(person.id, refs[person.id], now=now),
            truths.order,
            content=content,
            responsible=responsible,
            app_names=documents.app_names(voice.document),
            language=each.language,
        )
        fresh += [
            telling.new_notice(
                voice,
                person,
                NoticeKind.CORRECTION,
                values=values,
                step=one.step,
                due=now,
                now=now,
                variant=order.variant,
                in_reply_to=each.notice_message_id,
                address=mailbox.address,
                never_leaves=not mailbox.is_theirs,
                language=each.language,
            )
            for mailbox in _told_at(one, mailboxes.of_person(each.address, person))
        ]
    notices.add_notices(fresh, ids=context.ids)
    return True


def _told_at(one: _Owed, mailboxes: Sequence[Mailbox]) -> Sequence[Mailbox]:
    """Whoever is corrected once more is so where the late mail came, while that is theirs."""
    return mailboxes[:1] if one.step and mailboxes[0].is_theirs else mailboxes


def _responsible(order: Order, voice: telling.Voice) -> Signatory:
    known = people.by_ids([order.taken_back_by] if order.taken_back_by else [])
    person = next(iter(known.values()), None)
    return telling.signatory(person) if person else voice.issued_by


@transaction.atomic(durable=True)
def finish(number: str, *, owing: NoticeLedger, now: datetime) -> bool:
    """Notice that everybody was corrected, or stands on the list to call; False before that."""
    order = stepping.locked(number)
    if order.phase != Phase.CORRECTING:
        return False
    if order.enforcement == Enforcement.HANDED_OVER and order.undone_at is None:
        return False
    if any(True for _ in owing.corrections(order_number=number)):
        return False
    come = ledger.corrections(number)
    if come.waiting:
        return False
    order.corrected_at = now
    facts = {"corrected": come.sent, "to_call": len(come.to_call)}
    stepping.take(order, Step.ALL_CORRECTED, actor_id=None, now=now, facts=facts)
    return True


def tell_closing(
    order: Order, document: OrderDocument, *, context: PlanContext, now: datetime
) -> None:
    """Tell everybody who got an order that it has ended in its own time.

    A sender may hear or note this very instant that somebody got it: `tell_closing_late` follows.
    """
    _tell_closing(order, document, ledger.reached(order.number), context=context, now=now)


@transaction.atomic(durable=True)
def tell_closing_late(number: str, *, context: PlanContext, now: datetime) -> bool:
    """Tell those of its end who got an order and were not told yet; False if there is nobody.

    They turned out after it to have got it, or another order took its place: that one tells all who
    are on its list. Whom it does not name, or did not reach before it ended itself, is told here.

    All mails are looked at ten seconds after the last of these ends, and again whenever that time
    has doubled, for two days: a look goes through a million mails. In between it is those of which
    a report, a log or a check code told something.
    """
    order = Order.objects.get(number=number)
    if order.ended_at is None:
        return False
    newer = list(successors(number))
    last_end = max([order.ended_at, *(each.ended_at for each in newer if each.ended_at)])
    heard = late_deliveries.heard_so_far()
    looks_at_all = is_time_to_look(last_end, looked_at=order.end_looked_at, now=now)
    if not looks_at_all and heard == order.late_heard:
        return False
    document = document_of(stepping.current(order))
    late: list[ReachedAddress] = []
    if now < schedule.end_of_day(document.review_on):  # after its last day nothing may leave
        late = late_deliveries.not_told_of_end(
            number,
            *(_not_on_list(each) for each in newer if each.ended_at is None),
            nor_reached_by=[each.number for each in newer],
            after=None if looks_at_all else order.late_heard,
        )
    seen = {"late_heard": heard, **({"end_looked_at": now} if looks_at_all else {})}
    if len(late) <= _MOST_TOLD_AT_ONCE:  # else the next sweep looks again, and finds the rest
        Order.objects.filter(pk=number).update(**seen)
    if not late:
        return False
    order = stepping.locked(number)
    if order.phase != Phase.CLOSED:
        return False
    _tell_closing(order, document, late[:_MOST_TOLD_AT_ONCE], context=context, now=now)
    return True


def is_time_to_look(ended_at: datetime, *, looked_at: datetime | None, now: datetime) -> bool:
    """Say whether all mails of an order that has ended are to be looked at once more."""
    waited = max(looked_at or ended_at, ended_at) - ended_at
    after = max(_FIRST_LOOK_AFTER, 2 * waited)
    return after <= min(now - ended_at, _ANSWERS_COME_WITHIN)


def _not_on_list(order: Order) -> Q:
    listed = Affected.objects.filter(
        order=order, revision_number=order.revision_number, person_id=OuterRef("person_id")
    )
    return ~Q(Exists(listed))


def _tell_closing(
    order: Order,
    document: OrderDocument,
    reached: Sequence[ReachedAddress],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    voice = telling.voice_of(order, document)
    truths = Truths.about(order, document, now=now)
    for some in telling.sliced(reached):
        known = people.by_ids({each.person_id for each in some})
        here = [each for each in some if each.person_id in known]
        mailboxes = Mailboxes.of((each.address, known[each.person_id]) for each in here)
        refs = log.person_refs(known)
        fresh = [
            telling.new_notice(
                voice,
                known[each.person_id],
                NoticeKind.CLOSING,
                values=wording.closing_values(
                    telling.addressee(known[each.person_id]),
                    truths.for_person(each.person_id, refs[each.person_id], now=now),
                    ended_at=order.ended_at or now,
                    issued_by=voice.issued_by,
                    app_names=documents.app_names(document),
                    language=each.language,
                ),
                step=0,
                due=now,
                now=now,
                in_reply_to=each.message_id,
                address=mailbox.address,
                never_leaves=not mailbox.is_theirs,
                language=each.language,
            )
            for each in here
            for mailbox in mailboxes.of_person(each.address, known[each.person_id])
        ]
        notices.add_notices(fresh, ids=context.ids)
