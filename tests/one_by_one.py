"""What an order knows and what doors are told of it, read person by person: an oracle.

The program reads all of this set by set, in the database; here the domain's own rules are asked
about each person and device. Whoever compares the two finds where they part.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from countermand.domain import scope
from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument
from countermand.domain.phases import PAUSABLE, Phase
from countermand.enforcement.door_facts import DoorFacts
from countermand.notices.models import Notice
from countermand.notices.queries import ACCEPTED
from countermand.orders import doors, telling
from countermand.orders.cells import PersonCells, cells_of, person_facts
from countermand.orders.models import Order, ToldDevice
from countermand.people import queries as people
from countermand.people.models import Person

PROVEN_AFTER = timedelta(hours=24)  # accepted, and not bounced

# By person, and step of the notice that named the devices.
Instants = Mapping[tuple[int, int], datetime]


def cells_in_scope(document: OrderDocument, *, now: datetime) -> Iterator[PersonCells]:
    """Yield everybody whom the scope names, with their devices, by id."""
    everybody = people.everyone(now.date())
    return cells_of(
        document,
        [
            person.id
            for person in everybody
            if scope.person_in_scope(document.scope, person_facts(person))
        ],
    )


def door_facts(order: Order, document: OrderDocument, *, now: datetime) -> Iterator[DoorFacts]:
    """Yield every door of every device that a notice named and no amendment covers."""
    told = {row.device_id: row for row in ToldDevice.objects.filter(order=order)}
    covered = _covered_by_amendments(order)
    proofs, locks = _proofs(order.number, now=now), _accepted_locks(order.number)
    excepted = telling.exceptions_of(order, document)
    for whole in cells_of(document, {row.person_id for row in told.values()}):
        for cell in whole.cells:
            row = told.get(cell.device.id)
            if row is None or cell.device.id in covered or not cell.in_scope:
                continue
            if row.person_id != whole.person.id:  # handed on since: nobody told its holder
                continue
            step = (whole.person.id, row.step)
            entry = cell.entry(
                order.number,
                closes_at=row.own_deadline_at,
                noticed_at=proofs.get(step),
                lock_accepted_at=locks.get(step),
                override_until=excepted.get(whole.person.id),
            )
            for door in cell.device.doors:
                for login in (whole.person.address, *_logins(whole.person.id)):
                    yield DoorFacts(
                        login=login,
                        device=door,
                        device_id=cell.device.id,
                        person_id=whole.person.id,
                        entry=entry,
                    )


def _logins(person_id: int) -> list[str]:
    """Return the logins of a person that nobody else has, in their order."""
    rows = dict(Person.objects.values_list("pk", "logins"))
    others = {name for pk, names in rows.items() if pk != person_id for name in names}
    return sorted(set(rows[person_id]) - others)


def _covered_by_amendments(order: Order) -> frozenset[int]:
    standing = PAUSABLE | {Phase.PAUSED}
    amendments = Order.objects.filter(amends=order.number, mode=order.mode, phase__in=standing)
    rows = ToldDevice.objects.filter(order__in=amendments.values("number"))
    return frozenset(rows.values_list("device_id", flat=True))


def _proofs(order_number: str, *, now: datetime) -> Instants:
    """Return when each person was provably told.

    Delivered, or the check code was entered, or accepted and not bounced for 24 hours.
    """
    found: dict[tuple[int, int], datetime] = {}
    for mail in Notice.objects.filter(
        order_number=order_number, kind=NoticeKind.NOTICE.value, state__in=ACCEPTED
    ):
        waited = mail.accepted_at is not None and mail.accepted_at <= now - PROVEN_AFTER
        at = mail.accepted_at or mail.proven_at
        if at is not None and (waited or mail.proven_at is not None):
            key = (mail.person_id, mail.step)
            found[key] = min(found.get(key, at), at)
    return found


def _accepted_locks(order_number: str) -> Instants:
    """Return when the last notice before a pause was accepted, the newest one."""
    found: dict[tuple[int, int], datetime] = {}
    for mail in Notice.objects.filter(
        order_number=order_number, kind=NoticeKind.LOCK.value, state__in=ACCEPTED
    ):
        if mail.accepted_at is not None:
            key = (mail.person_id, mail.step // doors.STEPS_A_NOTICE)
            found[key] = max(found.get(key, mail.accepted_at), mail.accepted_at)
    return found
