"""The cells of an order: each person on the list, each of their devices, and what is known.

Plan, mails and doors are computed from the same cells, so they cannot say different things.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from countermand.devices import calling, sightings
from countermand.devices.sightings import SeenDevice, Sighting
from countermand.domain import scope
from countermand.domain.app_id import Platform, SignedIdentifier
from countermand.domain.order_parts import OrderDocument, Ownership
from countermand.domain.presence import Presence
from countermand.domain.scope import DeviceFacts, PersonFacts
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import queries as enforced
from countermand.people import queries as people
from countermand.people.queries import PersonView

# What counts for a device when an order names several apps: the app that weighs most.
_WEIGHT: Final = {
    Presence.PRESENT: 3,
    Presence.UNKNOWN: 2,
    Presence.UNOBSERVABLE: 1,
    Presence.ABSENT: 0,
}
_PLATFORMS: Final = {platform.value: platform for platform in Platform}
_OWNERSHIPS: Final = {ownership.value: ownership for ownership in Ownership}


@dataclass(frozen=True, slots=True)
class Cell:
    """One device of one person under one order."""

    device: SeenDevice
    apps: tuple[str, ...]
    in_scope: bool

    @property
    def weightiest(self) -> Sighting | None:
        """The sighting that decides about this device; None when nothing was ever said."""
        found = [self.device.apps[app] for app in self.apps if app in self.device.apps]
        if len(found) < len(self.apps) and not any(s.presence is Presence.PRESENT for s in found):
            return None
        return max(found, key=_rank, default=None)

    @property
    def presence(self) -> Presence:
        """Whether an ordered app is on the device."""
        decides = self.weightiest
        return Presence.UNKNOWN if decides is None else decides.presence

    def worth_telling(self) -> tuple[Sighting, ...]:
        """Return what a mail names: the apps that are there, else the one that decides."""
        present = tuple(
            self.device.apps[app]
            for app in self.apps
            if app in self.device.apps and self.device.apps[app].presence is Presence.PRESENT
        )
        decides = self.weightiest
        return present or ((decides,) if decides else ())

    def entry(
        self,
        number: str,
        *,
        closes_at: datetime,
        noticed_at: datetime | None,
        lock_accepted_at: datetime | None,
        override_until: datetime | None = None,
    ) -> EntryFacts:
        """Return what a door is told of this device."""
        decides = self.weightiest
        return EntryFacts(
            order_number=number,
            presence=self.presence.value,
            evidence_at=decides.evidence_at if decides else None,
            fresh_until=decides.fresh_until if decides else None,
            may_close=bool(decides and decides.may_close),
            closes_at=closes_at,
            noticed_at=noticed_at,
            lock_accepted_at=lock_accepted_at,
            attested_at=decides.attested_at if decides else None,
            override_until=override_until,
        )


def _rank(seen: Sighting) -> tuple[int, bool, bool]:
    return _WEIGHT[seen.presence], not seen.is_excused, seen.may_close


@dataclass(frozen=True, slots=True)
class PersonCells:
    """One person with all their devices, out of scope or not.

    `is_meant` is false for somebody who is told for the sake of the order alone: its author, and
    one approver.
    """

    person: PersonView
    cells: tuple[Cell, ...]
    is_meant: bool = True

    @property
    def concerned(self) -> tuple[Cell, ...]:
        """The devices in scope that are not proven to be without the app."""
        return tuple(
            cell for cell in self.cells if cell.in_scope and cell.presence is not Presence.ABSENT
        )


def cells_of(document: OrderDocument, person_ids: Collection[int]) -> Iterator[PersonCells]:
    """Yield these people with their devices, by id."""
    known = people.by_ids(person_ids)
    by_person: dict[int, list[Cell]] = {}
    devices = sightings.of_people(sorted(known), document.apps, signed=signed_by_name(document))
    names = enforced.door_names([device.id for device in devices])
    for device in devices:
        cell = Cell(
            device=replace(device, doors=(*device.doors, *names.get(device.id, ()))),
            apps=document.apps,
            in_scope=scope.device_in_scope(document.scope, device_facts(device)),
        )
        by_person.setdefault(device.person_id, []).append(cell)
    for person_id in sorted(known):
        yield PersonCells(person=known[person_id], cells=tuple(by_person.get(person_id, ())))


def signed_by_name(document: OrderDocument) -> tuple[SignedIdentifier, ...]:
    """Return what this order's own signatures cover; those of another order count nothing here."""
    return tuple(
        SignedIdentifier(each.app_id, each.key, each.publisher)
        for each in document.signed_identifiers
    )


def find_device(text: str) -> SeenDevice | None:
    """Find one device by its id in the inventory, or by any name under which a door knows it."""
    found = calling.find(text)
    password = None if found else enforced.password_named(text.strip())
    if password is None or password.device_id is None:
        return found
    return sightings.one(password.device_id, ())


def person_facts(person: PersonView) -> PersonFacts:
    """Return a person as the scope of an order sees them."""
    return PersonFacts(
        person_id=person.id,
        uid=person.uid,
        address=person.address,
        groups=person.groups,
        country=person.country,
        other_addresses=frozenset(person.other_addresses),
    )


def device_facts(device: SeenDevice) -> DeviceFacts:
    """Return a device as the scope of an order sees it; what a source invents counts as other."""
    return DeviceFacts(
        platform=_PLATFORMS.get(device.platform, Platform.OTHER),
        ownership=_OWNERSHIPS.get(device.ownership, Ownership.UNKNOWN),
        reads_mail=device.reads_mail,
    )
