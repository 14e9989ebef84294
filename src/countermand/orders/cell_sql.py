"""The cells of an order as one statement: whom and what it is about, and what is known.

What `cells` says of one person, said of all of them where they lie. `domain.scope`, `sightings` and
`domain.verdict` hold the rule; a test holds this form of it equal to theirs, value by value.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from countermand.devices import door_names, sighting_sql
from countermand.devices.sighting_sql import Statement
from countermand.domain.app_id import Platform
from countermand.domain.order_parts import OrderDocument, Ownership
from countermand.domain.phases import Enforcement
from countermand.domain.scope import EVERYTHING, names_meant
from countermand.enforcement import queries as enforced
from countermand.orders.cells import signed_by_name
from countermand.people import queries as people

# Everybody ever known.
EVERYBODY: Final = people.EVERYBODY
# As `door_outlook.would_lose_mail`: what `domain.verdict` looks at besides notices and instants.
_LOSES_MAIL: Final = """
    coalesce(%(our_gate_closes)s AND known.presence = 'present' AND known.may_close
        AND known.evidence_at <= %(now)s AND %(now)s < known.fresh_until
        AND NOT coalesce(known.attested_at >= known.evidence_at, false), false)
"""
# Whether a door would know the device, in a statement with `cell`.
HAS_DOOR_NAME: Final = f"""
    cell.device_id IN (SELECT named.device_id FROM ({door_names.DOOR_NAMES}) AS named
                       UNION ALL SELECT device_id FROM ({enforced.DOOR_NAMES}) AS password)
"""  # noqa: S608  (constants of ours)


def people_in_scope(document: OrderDocument, *, now: datetime) -> Statement:
    """Return everybody whom the scope names and who has not left: all columns of the people."""
    return Statement(
        f"SELECT person.* FROM ({EVERYBODY}) AS person WHERE {_person_in_scope(document)}",  # noqa: S608
        _parameters(document, now),
    )


def in_scope(document: OrderDocument, *, now: datetime) -> Statement:
    """Return the devices in scope of the people in scope, with what is known of each.

    Columns: those of `known_devices`, and country.
    """
    known = known_devices(document, now=now)
    # The people lie beside their devices, and no list of either is built.
    return Statement(
        f"""
        SELECT known.*, person.country FROM ({known.sql}) AS known
        JOIN ({EVERYBODY}) AS person ON person.person_id = known.person_id
        WHERE known.in_scope AND {_person_in_scope(document)}
        """,  # noqa: S608
        known.parameters,
    )


def known_devices(document: OrderDocument, *, now: datetime) -> Statement:
    """Return every device that somebody uses, with what is known of the ordered apps on it.

    Columns: those of `sighting_sql.of_used_devices`, in_scope (by the devices' part of the scope
    alone) and loses_mail.
    """
    seen = sighting_sql.of_used_devices(document.apps, signed_by_name(document))
    return Statement(
        f"""
        SELECT known.*, {_device_in_scope(document)} AS in_scope, {_LOSES_MAIL} AS loses_mail
        FROM ({seen.sql}) AS known
        """,  # noqa: S608
        {**seen.parameters, **_parameters(document, now)},
    )


def _person_in_scope(document: OrderDocument) -> str:
    """Return `domain.scope.person_in_scope` as SQL; what says nothing is left out.

    The fewer tests there are, the better the database guesses how many people there will be.
    """
    meant = document.scope.people
    lives_there = EVERYTHING in meant.countries or "person.country = ANY(%(countries)s)"
    in_group = EVERYTHING in meant.groups or "person.groups && %(groups)s::varchar[]"
    tests = ["(person.left_on IS NULL OR person.left_on > %(today)s)"]
    if meant.except_groups:
        tests.append("NOT person.groups && %(except_groups)s::varchar[]")
    usual = [test for test in (lives_there, in_group) if test is not True]
    named = (
        "person.uid = ANY(%(people)s) OR person.address = ANY(%(people)s)"
        " OR person.other_addresses && %(people)s::varchar[]"
    )
    if usual and meant.people:
        tests.append(f"(({' AND '.join(map(str, usual))}) OR {named})")
    elif usual:
        tests += map(str, usual)
    return " AND ".join(tests)


def _device_in_scope(document: OrderDocument) -> str:
    """Return `domain.scope.device_in_scope` as SQL; what a source invents counts as other."""
    devices = document.scope.devices
    tests = [_is_one_of("ownership", devices.ownership, Ownership.UNKNOWN)]
    if devices.platforms:
        tests.append(_is_one_of("platform", devices.platforms, Platform.OTHER))
    if devices.reads_mail:
        tests.append("known.reads_mail")
    return "(" + " AND ".join(test for test in tests if test) + ")" if any(tests) else "true"


def _is_one_of(column: str, allowed: frozenset[StrEnum], other: StrEnum) -> str:
    """Return a test of a column; empty where it always holds."""
    if other not in allowed:
        return f"known.{column} = ANY(%({column}s)s)"
    return f"known.{column} <> ALL(%(no_{column}s)s)" if set(type(other)) - allowed else ""


def _parameters(document: OrderDocument, now: datetime) -> dict[str, Any]:
    meant, devices = document.scope.people, document.scope.devices
    return {
        "now": now,
        "today": now.date(),
        "countries": sorted(meant.countries),
        "groups": sorted(meant.groups),
        "people": sorted(names_meant(meant)),
        "except_groups": sorted(meant.except_groups),
        "ownerships": sorted(each.value for each in devices.ownership),
        "no_ownerships": sorted(each.value for each in set(Ownership) - devices.ownership),
        "platforms": sorted(each.value for each in devices.platforms),
        "no_platforms": sorted(each.value for each in set(Platform) - devices.platforms),
        "our_gate_closes": document.enforcement is Enforcement.GATE,
    }
