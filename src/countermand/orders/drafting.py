"""From a file to an approved order: planned, submitted, opened, approved, returned, abandoned.

Any edit makes a new revision and voids every approval; an approval names exactly one digest.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import connection, transaction

from countermand.domain import approvals as policy
from countermand.domain.approvals import GivenApproval, Part, Role
from countermand.domain.lifecycle import EDITABLE, StepNotAllowed
from countermand.domain.order_number import LONGEST, SHORTEST, generate
from countermand.domain.order_parts import OrderDocument
from countermand.domain.phases import Phase, Step
from countermand.domain.plan import AffectedBy
from countermand.orders import documents, stepping
from countermand.orders.models import Affected, Approval, NamedApp, Opening, Order, Revision
from countermand.orders.planning import PlanContext, Planned, plan_of
from countermand.orders.refusals import ModeIsFixed, OutsideYourUnits
from countermand.people import queries as people
from countermand.people.queries import Actor

_TRIES_A_LENGTH = 40


@transaction.atomic(durable=True)
def plan(
    text: str,
    *,
    actor: Actor,
    now: datetime,
    context: PlanContext,
    number: str | None = None,
    file: str | None = None,
) -> str:
    """Plan an order out of its file and return its number; nothing leaves by this.

    A number (given here or in the file) means an edit of that order: a new revision, and every
    approval is void unless the content is the very same. Raises FaultsFound with all faults, and
    StepNotAllowed for an order that is released or over.
    """
    stepping.require(actor, Step.PLAN)
    document = documents.read(text, file=file, now=now)
    order = _order_for(document, number, actor, now)
    if Phase(order.phase) not in EDITABLE:
        raise StepNotAllowed(phase=Phase(order.phase), step=Step.PLAN)
    if order.mode != document.mode.value:
        raise ModeIsFixed(number=order.number, mode=order.mode)
    planned = plan_of(document, order=order, now=now, context=context)
    _check_units(planned, actor)
    if order.revision_number and stepping.current(order).digest == planned.digest:
        _plan_again(order, planned, actor=actor, now=now)
    else:
        _new_revision(order, text, planned, actor=actor, now=now)
    return order.number


def _check_units(planned: Planned, actor: Actor) -> None:
    """Refuse an order about people of other units. Raises OutsideYourUnits.

    The author and one approver, who get what everybody gets, are not ordered anything by it.
    """
    may = people.units_of(actor.person_id, Role.AUTHOR)
    if not may:
        return
    meant = [line.person_id for line in planned.people if line.reason == AffectedBy.DEVICE]
    beyond = people.units_among(meant) - may
    if beyond:
        raise OutsideYourUnits(units=", ".join(sorted(unit or "-" for unit in beyond)[:10]))


def _order_for(document: OrderDocument, number: str | None, actor: Actor, now: datetime) -> Order:
    """Return the order that is meant; a number in the file that nobody has yet makes a new one."""
    if number is not None:
        return stepping.locked(number)
    in_file = document.number.text if document.number else None
    if in_file is not None and Order.objects.filter(number=in_file).exists():
        return stepping.locked(in_file)
    return _new_order(in_file or _free_number(), document.mode.value, actor, now)


def _new_order(number: str, mode: str, actor: Actor, now: datetime) -> Order:
    return Order.objects.create(
        number=number,
        mode=mode,
        phase=Phase.DRAFT.value,
        author_id=actor.person_id,
        created_at=now,
    )


def _free_number() -> str:
    for length in range(SHORTEST, LONGEST + 1):
        for _ in range(_TRIES_A_LENGTH):
            number = generate(secrets.token_bytes(16), length=length).text
            if not Order.objects.filter(number=number).exists():
                return number
    raise LookupError("every number that was tried is taken")


def _plan_again(order: Order, planned: Planned, *, actor: Actor, now: datetime) -> None:
    """The content is the very same: its figures and its age are fresh, approvals still hold."""
    revision = stepping.current(order)
    revision.plan = planned.figures
    revision.planned_at = now
    revision.save(update_fields=["plan", "planned_at"])
    if order.phase in {Phase.DRAFT, Phase.PLANNED}:
        facts = {"people": len(planned.people), "affected_root": planned.affected_root}
        stepping.take(order, Step.PLAN, actor_id=actor.person_id, now=now, facts=facts)
    else:
        stepping.note(order, "order.planned_again", actor_id=actor.person_id, now=now)


def _new_revision(
    order: Order, text: str, planned: Planned, *, actor: Actor, now: datetime
) -> None:
    if order.phase != Phase.DRAFT:
        stepping.require(actor, Step.EDIT)
        stepping.take(order, Step.EDIT, actor_id=actor.person_id, now=now)
    document = planned.document
    order.revision_number += 1
    order.enforcement = document.enforcement.value
    order.amends = document.amends.text if document.amends else ""
    order.replaces = document.replaces.text if document.replaces else ""
    order.submitted_by = None
    order.first_deadline_at = planned.first_deadline_at
    order.last_deadline_at = planned.last_deadline_at
    freeze(order, text, planned, editor_id=actor.person_id, now=now)
    NamedApp.objects.filter(order=order).delete()
    NamedApp.objects.bulk_create([NamedApp(order=order, app_id=app) for app in document.apps])
    stepping.take(
        order,
        Step.PLAN,
        actor_id=actor.person_id,
        now=now,
        facts={"people": len(planned.people), "affected_root": planned.affected_root},
    )


def freeze(order: Order, text: str, planned: Planned, *, editor_id: int, now: datetime) -> None:
    """Store a revision with its frozen list; of older revisions the digest and figures stay."""
    Affected.objects.filter(order=order).delete()
    Revision.objects.create(
        order=order,
        number=order.revision_number,
        source_text=text,
        content=planned.content,
        digest=planned.digest,
        plan=planned.figures,
        planned_at=now,
        edited_by=editor_id,
        affected_root=planned.affected_root,
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY orders_affected (order_id, revision_number, person_id, wave, reason,"
            " own_deadline_at, notices) FROM STDIN"
        ) as copy,
    ):
        for line in planned.people:
            copy.write_row(
                (
                    order.number,
                    order.revision_number,
                    line.person_id,
                    line.wave,
                    line.reason,
                    line.own_deadline_at,
                    0,
                )
            )


@transaction.atomic(durable=True)
def submit(number: str, *, actor: Actor, now: datetime) -> None:
    """Hand a planned order to those who approve."""
    stepping.require(actor, Step.SUBMIT)
    order = stepping.locked(number)
    order.submitted_by = actor.person_id
    order.submitted_at = now
    stepping.take(order, Step.SUBMIT, actor_id=actor.person_id, now=now)


@transaction.atomic(durable=True)
def opened(
    number: str, part: Part, *, actor: Actor, now: datetime, digest: str | None = None
) -> None:
    """Record that somebody opened a part; the ground of an approval.

    `digest` is that of the text which was shown, read before any of it; without it the newest is
    meant. Raises DigestChanged when there is a newer one by now, which nobody has seen.
    """
    order = stepping.locked(number)
    revision = stepping.current(order)
    if digest is not None and digest != revision.digest:
        raise policy.DigestChanged(given=digest, current=revision.digest)
    _, is_first = Opening.objects.get_or_create(
        revision=revision, person_id=actor.person_id, part=part.value, defaults={"at": now}
    )
    if is_first:
        facts = {"part": part.value, "revision": revision.number, "digest": revision.digest}
        stepping.note(order, "order.opened", actor_id=actor.person_id, now=now, facts=facts)


@transaction.atomic(durable=True)
def approve(number: str, *, actor: Actor, now: datetime, digest: str | None = None) -> bool:
    """Approve exactly one digest; return whether enough people have approved now.

    `digest` may be its beginning, as pages show it. Without it the newest text is meant: the one
    that this person opened last, or they are refused. Raises OwnApproval, NotOpened,
    FingerprintNotUnderstood, DigestChanged, AlreadyApproved or StepNotAllowed.
    """
    order = stepping.locked(number)
    revision = stepping.current(order)
    # Whose own order it is hears that first, whatever their roles.
    if actor.person_id not in {order.author_id, revision.edited_by, order.submitted_by}:
        stepping.require(actor, Step.APPROVE)
    given = _given(order)
    policy.check_approver(
        person_id=actor.person_id,
        author_id=order.author_id,
        editors=frozenset({revision.edited_by}),
        submitter_id=order.submitted_by,
        opened=frozenset(
            Opening.objects.filter(revision=revision, person_id=actor.person_id).values_list(
                "part", flat=True
            )
        ),
        digest=revision.digest if digest is None else policy.named_digest(digest, revision.digest),
        revision_digest=revision.digest,
        already=frozenset(
            one.person_id for one in given if one.digest == revision.digest and not one.is_void
        ),
    )
    facts = {"approver_outside_it": actor.outside_it}
    stepping.take(order, Step.APPROVE, actor_id=actor.person_id, now=now, facts=facts)
    Approval.objects.create(
        revision=revision,
        person_id=actor.person_id,
        digest=revision.digest,
        outside_it=actor.outside_it,
        at=now,
    )
    need = need_of(order, revision, now)
    if not policy.is_met(_given(order), need, digest=revision.digest):
        return False
    order.approved_at = now
    needed = {"needed": need.count, "needed_outside_it": need.outside_it}
    stepping.take(order, Step.POLICY_MET, actor_id=None, now=now, facts=needed)
    return True


@transaction.atomic(durable=True)
def send_back(number: str, *, actor: Actor, now: datetime, because: str) -> None:
    """Return an order to its author for changes, with the reason; approvals are void."""
    _with_reason(number, Step.RETURN_FOR_CHANGES, actor=actor, now=now, because=because)


@transaction.atomic(durable=True)
def abandon(number: str, *, actor: Actor, now: datetime, because: str) -> None:
    """Give an order up before it was released; nothing of it ever leaves."""
    _with_reason(number, Step.ABANDON, actor=actor, now=now, because=because)


def _with_reason(number: str, step: Step, *, actor: Actor, now: datetime, because: str) -> None:
    stepping.require(actor, step)
    order = stepping.locked(number)
    if step is Step.ABANDON:
        order.ended_at = now
    words = {"because": because}
    stepping.take(order, step, actor_id=actor.person_id, now=now, words=words)


def _given(order: Order) -> list[GivenApproval]:
    rows = Approval.objects.filter(revision__order=order)
    return [
        GivenApproval(row.person_id, row.digest, row.outside_it, is_void=row.void_at is not None)
        for row in rows
    ]


def given(order: Order) -> list[GivenApproval]:
    """Return every approval of an order, void ones included, for checking them again."""
    return _given(order)


def need_of(order: Order, revision: Revision, now: datetime) -> policy.Need:
    """Return how many must approve, by the plan as it stands and the time that is left."""
    deadline = order.first_deadline_at or now
    return policy.needed(
        int(revision.plan["people"]),
        deadline - now,
        refuse_until_answered=bool(revision.plan["asks_strictly"]),
    )
