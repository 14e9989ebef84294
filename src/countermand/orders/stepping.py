"""One step of an order: the row is locked, the law decides, what happened is recorded.

Every action of this app goes through `take`; it is always called inside a transaction that holds
the row lock of `locked`. What cannot be a row (stopping senders, writing pages) is not done here:
the stop path has done it before, and `publishing` does the rest after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, assert_never

from countermand.audit import actions as audit
from countermand.domain import effects, lifecycle
from countermand.domain.approvals import Role
from countermand.domain.lifecycle import Move
from countermand.domain.phases import Enforcement, Phase, Step
from countermand.notices import actions as notices
from countermand.orders.models import Approval, Order, Revision, Timeline
from countermand.orders.refusals import NotYours, not_known
from countermand.people.queries import Actor


def locked(number: str) -> Order:
    """Return the order's row, locked until the transaction ends; say if there is none."""
    order = Order.objects.select_for_update().filter(number=number).first()
    if order is None:
        raise not_known(number, Order.objects.values_list("number", flat=True))
    return order


def require(actor: Actor, step: Step) -> None:
    """Refuse unless one of the actor's roles may take this step."""
    if not any(lifecycle.may(Role(role), step) for role in actor.roles):
        may = [role for role in Role if lifecycle.may(role, step)]
        raise NotYours(step=step, roles=_listed(actor.roles) or "-", may=_listed(may))


def _listed(roles: Iterable[str]) -> str:
    """Return roles as the command line spells them."""
    return ", ".join(sorted(roles)).replace("_", "-")


def current(order: Order) -> Revision:
    """Return the newest revision of an order."""
    return Revision.objects.get(order=order, number=order.revision_number)


def take(
    order: Order,
    step: Step,
    *,
    actor_id: int | None,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
    words: Mapping[str, Any] | None = None,
) -> Move:
    """Move the order and record it. Raises StepNotAllowed.

    `facts` go to the log as well and must name no person; `words` (what somebody wrote) stay in
    the order's own story.
    """
    moved = lifecycle.move(
        Phase(order.phase),
        step,
        enforcement=Enforcement(order.enforcement),
        paused_from=Phase(order.paused_from) if order.paused_from else None,
        is_undone=order.undone_at is not None,
    )
    order.phase = moved.after.value
    order.paused_from = moved.paused_from_after.value if moved.paused_from_after else ""
    order.save()
    if moved.after is not moved.before:
        notices.set_phase(order.number, order.phase, order.epoch)
    for effect in moved.effects:
        _carry_out(order, effect, now)
    note(
        order,
        f"order.{step.value}",
        actor_id=actor_id,
        now=now,
        facts={
            "before": moved.before.value,
            "after": moved.after.value,
            "enforcement": order.enforcement,
            "epoch": order.epoch,
            "revision": order.revision_number,
            "digest": _digest(order),
            **(facts or {}),
        },
        words=words,
    )
    return moved


def note(
    order: Order,
    event: str,
    *,
    actor_id: int | None,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
    words: Mapping[str, Any] | None = None,
) -> None:
    """Record something about an order: in the log, and in the story that people read."""
    audit.record(event, order_number=order.number, actor_id=actor_id, facts=facts or {}, now=now)
    Timeline.objects.create(
        order=order,
        at=now,
        event=event,
        facts={"actor_id": actor_id, **(facts or {}), **(words or {})},
    )


def _digest(order: Order) -> str:
    revision = Revision.objects.filter(order=order, number=order.revision_number).only("digest")
    return next((row.digest for row in revision), "")


def _carry_out(order: Order, effect: effects.Effect, now: datetime) -> None:
    match effect:
        case effects.VoidApprovals(keep_same_digest=keep):
            live = Approval.objects.filter(revision__order=order, void_at__isnull=True)
            (live.exclude(digest=_digest(order)) if keep else live).update(void_at=now)
        case effects.ReleaseStatement():
            Order.objects.filter(pk=order.pk).update(statement_at=now)
            order.statement_at = now
        case effects.RaiseFence() | effects.KillSenders() | effects.HoldQueue():
            pass  # done by the stop path, before any row was touched
        case effects.SettleLedger() | effects.CorrectEveryoneReached():
            pass  # a transaction of the ledger's own, after the proof that senders are dead
        case effects.OpenDoor() | effects.UpdateLookup() | effects.WriteLog():
            pass  # the state that gates and pages read is the row itself; `note` writes the log
        case (
            effects.FreezeAffected()
            | effects.StartHold()
            | effects.StartFirstGroup()
            | effects.StartWaves()
            | effects.ResumeWaves()
            | effects.TellClosing()
        ):
            pass  # the action that takes the step does it in the same transaction
        case (
            effects.BeginEnforcing()
            | effects.BeginCollecting()
            | effects.HandOver()
            | effects.AskForUndo()
            | effects.AskForReview()
            | effects.PageOnCall()
            | effects.Purge()
        ):
            pass  # derived from the phase and from stored times by the sweep and the lists
        case _:
            assert_never(effect)
