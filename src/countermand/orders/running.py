"""From release to the end, as people and the clock move an order: hold, first group, waves, doors.

Every instant is stored and every step looks at stored instants alone, so it does not matter how
often, how late or by how many workers these are called. A stop that is durable always wins: what
would let mail leave looks at the fence first.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from countermand.domain import approvals as policy
from countermand.domain import plan
from countermand.domain.order_parts import Go, OrderDocument
from countermand.domain.order_sections import EMERGENCY_NOTICE, MINIMUM_NOTICE
from countermand.domain.phases import Phase, Step
from countermand.orders import (
    corrections,
    drafting,
    health,
    recipients,
    renewing,
    rule_log,
    stepping,
    telling,
)
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Order, Revision
from countermand.orders.planning import PlanContext, plan_of
from countermand.orders.refusals import (
    FencedMeanwhile,
    LookupPageNotLive,
    NothingToUndo,
    PlanHasDrifted,
    PlanTooOld,
    RelayNotHealthy,
    TooLittleNotice,
)
from countermand.people.queries import Actor
from countermand.stop.fence import Fence

# Below this a hold is no hold: nobody could read the plan once more.
SHORTEST_HOLD = timedelta(minutes=10)
_CODE_BYTES = 16
A_DAY = timedelta(days=1)
# So late a first group may leave without a second thought: a machine that was restarted.
_HOLD_ENDS_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What release needs alive; an empty text is well, anything else names what is not."""

    lookup_missing_at: str = ""
    relay_missing_at: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """`emergency_code` stops this order without any key; it is shown once and kept nowhere."""

    number: str
    hold_until: datetime
    emergency_code: str


def release(
    number: str,
    *,
    actor: Actor,
    now: datetime,
    context: PlanContext,
    surroundings: Surroundings,
) -> Released:
    """Begin the hold of an approved order; nothing leaves before it is over.

    The plan is made again: when too many people came or went, or it is too old, the order goes
    back to review and nothing is released. Raises PlanHasDrifted, PlanTooOld, TooLittleNotice,
    NotEnoughApprovals, LookupPageNotLive or RelayNotHealthy.
    """
    released, refusal = _release(
        number, actor=actor, now=now, context=context, surroundings=surroundings
    )
    if refusal is not None:
        raise refusal
    assert released is not None  # noqa: S101  (one of the two is always there)
    return released


@transaction.atomic(durable=True)
def _release(
    number: str,
    *,
    actor: Actor,
    now: datetime,
    context: PlanContext,
    surroundings: Surroundings,
) -> tuple[Released | None, Exception | None]:
    stepping.require(actor, Step.RELEASE)
    order = stepping.locked(number)
    revision = stepping.current(order)
    document = document_of(revision)
    if order.phase == Phase.APPROVED:  # of any other, what stands in its way is said below
        _check_surroundings(surroundings)
        _check_notice_is_left(order, document, now)
        refusal = _drifted(order, revision, document, now=now, context=context)
        if refusal is not None:
            return None, refusal
    need = drafting.need_of(order, revision, now)
    policy.check_met(drafting.given(order), need, digest=revision.digest)
    code = secrets.token_hex(_CODE_BYTES)
    order.stop_hash = hashlib.sha256(code.encode()).hexdigest()
    order.released_by, order.released_at = actor.person_id, now
    order.hold_until = now + max(SHORTEST_HOLD, document.rollout.hold)
    facts = {
        "stop_hash": order.stop_hash,
        "needed": need.count,
        "needed_outside_it": need.outside_it,
    }
    stepping.take(order, Step.RELEASE, actor_id=actor.person_id, now=now, facts=facts)
    telling.start_mailing(order, revision, document, context=context, now=now)
    return Released(order.number, order.hold_until, code), None


def _check_surroundings(surroundings: Surroundings) -> None:
    if surroundings.lookup_missing_at:
        raise LookupPageNotLive(place=surroundings.lookup_missing_at)
    if surroundings.relay_missing_at:
        raise RelayNotHealthy(place=surroundings.relay_missing_at)


def _drifted(
    order: Order,
    revision: Revision,
    document: OrderDocument,
    *,
    now: datetime,
    context: PlanContext,
) -> Exception | None:
    """Plan again; send the order back to review when the plan no longer holds."""
    planned = plan_of(document, order=order, now=now, context=context)
    drift = plan.Drift.between(_frozen(order), [person.person_id for person in planned.people])
    too_old = plan.is_too_old(revision.planned_at, now)
    if not too_old and not drift.is_too_much():
        return None
    if planned.digest == revision.digest:
        revision.plan, revision.planned_at = planned.figures, now
        revision.save(update_fields=["plan", "planned_at"])
        return None
    order.revision_number += 1
    drafting.freeze(order, revision.source_text, planned, editor_id=revision.edited_by, now=now)
    facts = {"came": len(drift.came), "went": len(drift.went)}
    stepping.take(order, Step.DRIFT_FOUND, actor_id=None, now=now, facts=facts)
    if too_old:
        return PlanTooOld(number=order.number)
    return PlanHasDrifted(number=order.number, **facts)


def _frozen(order: Order) -> list[int]:
    rows = Affected.objects.filter(order=order, revision_number=order.revision_number)
    return list(rows.values_list("person_id", flat=True))


def _check_notice_is_left(order: Order, document: OrderDocument, now: datetime) -> None:
    needed = MINIMUM_NOTICE if document.emergency is None else EMERGENCY_NOTICE
    left = (order.first_deadline_at or now) - now
    if left < needed:
        hour = timedelta(hours=1)
        raise TooLittleNotice(
            number=order.number, hours=max(left // hour, 0), needed_hours=needed // hour
        )


@transaction.atomic(durable=True)
def start_first_group(
    number: str,
    *,
    now: datetime,
    context: PlanContext,
    fence: Fence | None,
    register: Callable[[str, int, str], None],
) -> bool:
    """Let the hold end: create the notices of the first small group; False when it is not time.

    `register` makes the new epoch known to the stop before this transaction commits: whoever
    presses right afterwards stops the right one.
    """
    order = stepping.locked(number)
    if order.phase != Phase.HOLD or order.hold_until is None or now < order.hold_until:
        return False
    epoch = order.epoch + 1
    if fence is not None and fence.covers(epoch):
        return False
    revision = stepping.current(order)
    document = document_of(revision)
    if _is_overdue(order, document, now):
        facts = {"came": 0, "went": 0, "overdue": True}
        stepping.take(order, Step.DRIFT_FOUND, actor_id=None, now=now, facts=facts)
        return True
    order.epoch = epoch
    order.first_group_at = order.in_force_at = now
    order.soak_until = now + document.rollout.soak
    stepping.take(
        order,
        Step.HOLD_OVER,
        actor_id=None,
        now=now,
        facts={
            "apps": sorted(document.apps),
            "amends": order.amends,
            "replaces": order.replaces,
            "mode": order.mode,
        },
    )
    _end_replaced(order, now)
    people = Affected.objects.filter(order=order, revision_number=order.revision_number)
    rule_log.people_came(
        order.number, dict(people.values_list("person_id", "own_deadline_at")), now=now
    )
    telling.except_people(order, document, now=now)
    telling.tell_group(order, document, [0], first_due_at=now, context=context, now=now)
    register(order.number, order.epoch, order.phase)
    return True


def replacement_in_force(number: str) -> str | None:
    """Return the order that was put in force in place of this one, None if there is none."""
    newer = corrections.successors(number).order_by("in_force_at")
    return newer.values_list("number", flat=True).first()


@transaction.atomic(durable=True)
def end_hold(number: str, *, because: str, now: datetime) -> None:
    """Send a held order back to those who approve it, with the cause in words."""
    order = stepping.locked(number)
    if order.phase != Phase.HOLD:
        return
    facts = {"came": 0, "went": 0}
    words = {"because": because}
    stepping.take(order, Step.DRIFT_FOUND, actor_id=None, now=now, facts=facts, words=words)


def _is_overdue(order: Order, document: OrderDocument, now: datetime) -> bool:
    """Tell whether the hold ended so long ago that what was approved then is not what is meant now.

    Nothing was running for a while, or an older state was restored: a person looks at it again.
    """
    late_by = now - (order.hold_until or now)
    if late_by <= _HOLD_ENDS_WITHIN:
        return False
    needed = MINIMUM_NOTICE if document.emergency is None else EMERGENCY_NOTICE
    left = (order.first_deadline_at or now) - (order.released_at or now) - late_by
    return late_by > plan.PLAN_AGE or left < needed


def _end_replaced(order: Order, now: datetime) -> None:
    """An order that is replaced ends at the instant at which the new one is put in force."""
    if not order.replaces:
        return
    # An exercise ends nothing that is real.
    rows = Order.objects.select_for_update().filter(number=order.replaces, mode=order.mode)
    older = rows.first()
    if older is None or older.phase not in {Phase.ENFORCING, Phase.COLLECTING, Phase.HANDED_OVER}:
        return
    older.ended_at = now
    facts = {"replaced_by": order.number}
    stepping.take(older, Step.CLOSE, actor_id=None, now=now, facts=facts)


@transaction.atomic(durable=True)
def go(number: str, *, actor: Actor, now: datetime) -> None:
    """Say that the waves may follow the first small group, as soon as its soak is over."""
    stepping.require(actor, Step.GO)
    order = stepping.locked(number)
    if order.phase != Phase.CANARY:
        stepping.take(order, Step.GO, actor_id=actor.person_id, now=now)  # raises
    policy.check_go(person_id=actor.person_id, released_by=order.released_by or 0)
    order.go_by = actor.person_id
    order.save(update_fields=["go_by"])
    stepping.note(order, "order.go_said", actor_id=actor.person_id, now=now)


@transaction.atomic(durable=True)
def start_waves(number: str, *, now: datetime, context: PlanContext, fence: Fence | None) -> bool:
    """Let the waves begin when the soak is over and somebody said go; False when it is not time."""
    order = stepping.locked(number)
    if order.phase != Phase.CANARY or order.soak_until is None or now < order.soak_until:
        return False
    document = document_of(stepping.current(order))
    if document.rollout.go is Go.BY_PERSON and order.go_by is None:
        return False
    if fence is not None and fence.covers(order.epoch):
        return False
    if not telling.is_mostly_out(order.number):
        return False
    order.sending_at = now
    stepping.take(order, Step.GO, actor_id=order.go_by, now=now)
    people = Affected.objects.filter(order=order, revision_number=order.revision_number)
    waves = sorted(set(people.filter(wave__gt=0).values_list("wave", flat=True)))
    telling.tell_group(order, document, waves, first_due_at=now, context=context, now=now)
    return True


@transaction.atomic(durable=True)
def all_sent(number: str, *, now: datetime) -> bool:
    """Notice that every notice has settled; False when some have not.

    At the first deadline this no longer waits for servers that keep putting a mail off: whoever
    was not told keeps their mail anyway.
    """
    order = stepping.locked(number)
    if order.phase != Phase.SENDING:
        return False
    is_deadline = order.first_deadline_at is not None and now >= order.first_deadline_at
    if not telling.has_settled(order.number) and not is_deadline:
        return False
    order.notified_at = now
    stepping.take(order, Step.ALL_SENT, actor_id=None, now=now)
    return True


@transaction.atomic(durable=True)
def reach_deadline(number: str, *, now: datetime) -> bool:
    """Let what follows the first deadline begin; each person still has an own instant."""
    order = stepping.locked(number)
    if order.phase != Phase.NOTIFIED or order.first_deadline_at is None:
        return False
    if now < order.first_deadline_at:
        return False
    stepping.take(order, Step.DEADLINE_REACHED, actor_id=None, now=now)
    return True


@transaction.atomic(durable=True)
def close(number: str, *, actor: Actor, now: datetime, context: PlanContext) -> None:
    """End an order: doors open, and those it reached are told that it is over."""
    stepping.require(actor, Step.CLOSE)
    order = stepping.locked(number)
    order.ended_at = now
    stepping.take(order, Step.CLOSE, actor_id=actor.person_id, now=now)
    document = document_of(stepping.current(order))
    corrections.tell_closing(order, document, context=context, now=now)


@transaction.atomic(durable=True)
def resume(
    number: str,
    *,
    actor: Actor,
    now: datetime,
    because: str,
    context: PlanContext,
    fence: Fence | None,
    register: Callable[[str, int, str], None],
) -> None:
    """Let a paused order go on where it was paused, under a higher epoch; by another person.

    Notices that wait keep their distance, and none names a time that has come too near meanwhile.
    `register` makes the new epoch known to the stop before this transaction commits. Raises
    SameHand, CauseMissing, FencedMeanwhile or StepNotAllowed.
    """
    stepping.require(actor, Step.RESUME)
    order = stepping.locked(number)
    if fence is not None and fence.withdrawn and order.phase == Phase.PAUSED:
        raise FencedMeanwhile(number=number)  # the database does not know of it yet
    policy.check_resume(person_id=actor.person_id, paused_by=order.paused_by, cause=because)
    lost = now - (order.paused_at or now)
    order.epoch = max(order.epoch, fence.stopped_epoch if fence else 0) + 1
    if order.soak_until is not None and order.paused_from == Phase.CANARY:
        order.soak_until += lost
    if order.paused_by is None:
        health.let_pass(order)
        order.surge_allowed_until = now + A_DAY
    order.paused_at = order.paused_by = None
    order.pause_cause = ""
    words = {"because": because}
    stepping.take(order, Step.RESUME, actor_id=actor.person_id, now=now, words=words)
    register(order.number, order.epoch, order.phase)
    telling.go_on(order, lost=lost, now=now)
    document = document_of(stepping.current(order))
    recipients.give_up_what_goes_astray(order, document, context=context, now=now)
    renewing.renew_deadlines(order, document, context=context, now=now)


@transaction.atomic(durable=True)
def confirm_undone(number: str, *, actor: Actor, now: datetime) -> None:
    """Confirm that somebody else's policy no longer keeps people from their mail."""
    stepping.require(actor, Step.UNDO_CONFIRMED)
    order = stepping.locked(number)
    if order.undone_at is not None:
        raise NothingToUndo(number=number)
    order.undone_at = now
    stepping.take(order, Step.UNDO_CONFIRMED, actor_id=actor.person_id, now=now)
