"""A look at how a notice arrives: who may send it as a test, of which order, and to whom not.

A test is no notice: the record of mails knows nothing of it. What is noted is that it was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

from django.db import transaction

from countermand.domain.address import folded_name
from countermand.domain.approvals import Role
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.phases import PAUSABLE, Phase
from countermand.orders.models import Affected, Order
from countermand.orders.stepping import locked, note
from countermand.people import queries as people
from countermand.people.queries import Actor
from countermand.stop import fence as fences

_WHO: Final = frozenset({Role.OPERATOR, Role.MAIL_ADMIN})
_WHEN: Final = PAUSABLE | {Phase.PLANNED, Phase.REVIEW, Phase.APPROVED, Phase.HOLD}


@dataclass(eq=False)
class ProbeNotYours(CountermandError):
    """Somebody without a role that looks after mail."""

    code: ClassVar[str] = "probe.not_allowed"
    sentence: ClassVar[str] = gettext_noop(
        "Sending test mails needs the role of an operator or of a mail administrator."
    )
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one: countermand staff list.")


@dataclass(eq=False)
class NoProbeNow(CountermandError):
    """Nothing of this order may leave, a test neither."""

    number: str

    code: ClassVar[str] = "probe.not_now"
    sentence: ClassVar[str] = gettext_noop(
        "{number} is not planned, is paused, or is over; nothing of it is sent, not even as a test."
    )
    remedy: ClassVar[str] = gettext_noop("Look where it stands: countermand order show {number}.")


@dataclass(eq=False)
class ProbeToSomebodyAffected(CountermandError):
    """The address is that of a person who is to get, or has got, the real notice."""

    number: str
    mailbox: str

    code: ClassVar[str] = "probe.somebody_affected"
    sentence: ClassVar[str] = gettext_noop(
        "{mailbox} belongs to somebody whom {number} affects; nothing was sent."
    )
    remedy: ClassVar[str] = gettext_noop("Name a mailbox that is there for tests alone.")


@transaction.atomic(durable=True)
def begin(
    number: str, addresses: Collection[str], *, stops: Path, actor: Actor, now: datetime
) -> None:
    """Note that the notice goes to these addresses as a test; to be called before it does.

    `stops` is the folder of what is stopped. Raises what `check` does.
    """
    order = locked(number)
    _check(order, addresses, stops, actor)
    facts = {"mailboxes": len(addresses), "revision": order.revision_number}
    note(order, "order.probed", actor_id=actor.person_id, now=now, facts=facts)


@transaction.atomic(durable=True)
def check(number: str, addresses: Collection[str], *, stops: Path, actor: Actor) -> None:
    """Refuse a test that may not be sent.

    Raises ProbeNotYours, NoProbeNow, ProbeToSomebodyAffected, OrderNotKnown or
    FenceUnreadable.
    """
    _check(locked(number), addresses, stops, actor)


def _check(order: Order, addresses: Collection[str], stops: Path, actor: Actor) -> None:
    if not actor.roles & _WHO:
        raise ProbeNotYours
    fence = fences.read(stops, order.number)
    is_stopped = fence is not None and (fence.withdrawn or fence.covers(order.epoch))
    if order.phase not in _WHEN or is_stopped:
        raise NoProbeNow(number=order.number)
    owners = people.ids_at_addresses([folded_name(each) for each in addresses])
    on_list = Affected.objects.filter(order=order, revision_number=order.revision_number)
    affected = frozenset(
        on_list.filter(person_id__in=owners.values()).values_list("person_id", flat=True)
    )
    for mailbox in addresses:
        if owners.get(folded_name(mailbox)) in affected:
            raise ProbeToSomebodyAffected(number=order.number, mailbox=mailbox)
