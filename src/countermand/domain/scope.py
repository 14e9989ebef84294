"""Whom and what an order is about, decided for one person and one device at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from countermand.domain.address import folded_name
from countermand.domain.app_id import Platform
from countermand.domain.order_parts import (
    DeviceScope,
    ExceptionGranted,
    Ownership,
    PeopleScope,
    Scope,
)

EVERYTHING: Final = "*"
_GROUP_MARK: Final = "group:"


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """A person as the directory knows them; `uid` is its own key, `address` is folded."""

    person_id: int
    uid: str
    address: str
    groups: frozenset[str]
    country: str
    other_addresses: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Everything by which a file can name this person."""
        return frozenset({self.uid, self.address}) | self.other_addresses


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device as its source knows it."""

    platform: Platform
    ownership: Ownership
    reads_mail: bool
    is_gone: bool = False


def person_in_scope(scope: Scope, person: PersonFacts) -> bool:
    """Tell whether an order is about this person; an excepted group always wins."""
    return _is_meant(scope.people, person) and not person.groups & scope.people.except_groups


def _is_meant(people: PeopleScope, person: PersonFacts) -> bool:
    lives_there = EVERYTHING in people.countries or person.country in people.countries
    in_group = EVERYTHING in people.groups or bool(person.groups & people.groups)
    return (lives_there and in_group) or bool(names_meant(people) & person.names)


def names_meant(people: PeopleScope) -> frozenset[str]:
    """Return by which keys and addresses people are meant one by one, as these are kept."""
    return people.people | frozenset(map(folded_name, people.people))


def device_in_scope(scope: Scope, device: DeviceFacts) -> bool:
    """Tell whether an order is about such a device."""
    return not device.is_gone and _device_is_meant(scope.devices, device)


def _device_is_meant(devices: DeviceScope, device: DeviceFacts) -> bool:
    return (
        device.ownership in devices.ownership
        and (not devices.platforms or device.platform in devices.platforms)
        and (device.reads_mail or not devices.reads_mail)
    )


def in_scope(scope: Scope, person: PersonFacts, device: DeviceFacts) -> bool:
    """Tell whether an order is about this device of this person."""
    return person_in_scope(scope, person) and device_in_scope(scope, device)


def is_excepted(exceptions: tuple[ExceptionGranted, ...], person: PersonFacts, *, on: date) -> bool:
    """Tell whether somebody granted this person an exception that still holds on this day.

    `who` of an exception is a directory key, an address, or a group written `group:NAME`.
    """
    names = {each for name in person.names for each in (name.lower(), folded_name(name))}
    return any(
        on <= exception.until
        and (
            folded_name(exception.who) in names
            or exception.who.removeprefix(_GROUP_MARK) in _groups_named(exception, person)
        )
        for exception in exceptions
    )


def _groups_named(exception: ExceptionGranted, person: PersonFacts) -> frozenset[str]:
    return person.groups if exception.who.startswith(_GROUP_MARK) else frozenset()
