"""What a plan needs to know of people and devices, counted where they lie.

Devices are counted in one pass, and of people only those are read whom the order would concern.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from countermand.domain.order_parts import OrderDocument
from countermand.domain.plan import Candidate
from countermand.domain.presence import Presence
from countermand.orders import cell_sql

# How a plan calls what is known of a device.
WORDS: Final = {
    Presence.PRESENT: "present",
    Presence.ABSENT: "absent",
    Presence.UNOBSERVABLE: "unobservable",
    Presence.UNKNOWN: "not_checked_yet",
}
# One pass over the cells: whoever loses mail is gathered beside the counts.
_COUNTS: Final = """
    SELECT cell.platform, cell.ownership, cell.country, cell.presence, count(*),
           count(*) FILTER (WHERE cell.loses_mail),
           array_agg(cell.person_id) FILTER (WHERE cell.loses_mail)
    FROM ({cells}) AS cell GROUP BY 1, 2, 3, 4
"""
_WITHOUT_DOOR: Final = """
    SELECT count(*) FROM ({cells}) AS cell WHERE cell.presence = 'present' AND NOT {has_door_name}
"""
_PEOPLE: Final = """
    SELECT person.person_id, person.language, person.zone, person.country, person.unit,
           person.absent_until, person.groups && %(one_by_one)s::varchar[],
           meant.person_id IS NOT NULL,
           coalesce(theirs.platforms, '{{}}'), coalesce(theirs.presences, '{{}}')
    FROM ({everybody}) AS person
    LEFT JOIN ({meant}) AS meant ON meant.person_id = person.person_id
    LEFT JOIN (
        SELECT known.person_id, array_agg(DISTINCT known.platform::text) AS platforms,
               array_agg(DISTINCT known.presence::text) AS presences
        FROM ({devices}) AS known WHERE known.in_scope GROUP BY known.person_id
    ) AS theirs ON theirs.person_id = person.person_id
    WHERE person.person_id = ANY(%(always)s)
       OR (meant.person_id IS NOT NULL AND NOT theirs.presences <@ ARRAY['absent'])
    ORDER BY person.person_id
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody whom an order concerns, or who is told for its sake alone (`is_meant` false)."""

    person_id: int
    language: str
    zone: str
    country: str
    unit: str
    absent_until: date | None
    is_named: bool
    is_meant: bool
    platforms: frozenset[str]
    presences: tuple[Presence, ...]

    @property
    def candidate(self) -> Candidate:
        """Return the person as waves and the first group are drawn from."""
        return Candidate(self.person_id, self.language, self.platforms, self.presences)


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """Devices in scope by what is known: of all, by platform, ownership and country."""

    devices: dict[str, int]
    by_platform: dict[str, dict[str, int]]
    by_ownership: dict[str, dict[str, int]]
    by_country: dict[str, dict[str, int]]
    losing_people: int
    losing_devices: int


def people_concerned(
    document: OrderDocument,
    *,
    always: Collection[int],
    one_by_one: Collection[str],
    now: datetime,
) -> list[Listed]:
    """Return by id whoever has a device in scope not proven to be without the app, and `always`.

    `is_named` says that somebody is in one of the groups `one_by_one`.
    """
    meant = cell_sql.people_in_scope(document, now=now)
    devices = cell_sql.known_devices(document, now=now)
    sql = _PEOPLE.format(
        everybody=cell_sql.EVERYBODY,
        meant=meant.sql,
        devices=devices.sql,
    )
    given: dict[str, Any] = {"always": list(always), "one_by_one": list(one_by_one)}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**meant.parameters, **devices.parameters, **given})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [
        Listed(*row[:8], platforms=frozenset(row[8]), presences=tuple(map(Presence, row[9])))  # type: ignore[misc]
        for row in rows
    ]


def people_in_scope(document: OrderDocument, *, now: datetime) -> int:
    """Count everybody whom the scope names."""
    meant = cell_sql.people_in_scope(document, now=now)
    return _count(f"SELECT count(*) FROM ({meant.sql}) AS meant", meant.parameters)  # noqa: S608


def devices_in_scope(document: OrderDocument, *, now: datetime) -> DeviceCounts:
    """Count the devices in scope by what is known, and who would lose mail on how many of them."""
    cells = cell_sql.in_scope(document, now=now)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS.format(cells=cells.sql), cells.parameters)
        rows = cursor.fetchall()
    found = DeviceCounts(_no_device(), {}, {}, {}, 0, 0)
    losers: set[int] = set()
    losing = 0
    for platform, ownership, country, presence, devices, lost, of_people in rows:
        word = WORDS[Presence(presence)]
        found.devices[word] += devices
        found.by_platform.setdefault(platform, _no_device())[word] += devices
        found.by_ownership.setdefault(ownership, _no_device())[word] += devices
        found.by_country.setdefault(country or "-", _no_device())[word] += devices
        losing += lost
        losers.update(of_people or ())
    return DeviceCounts(
        devices={"all": sum(found.devices.values()), **found.devices},
        by_platform=_sorted(found.by_platform),
        by_ownership=_sorted(found.by_ownership),
        by_country=_sorted(found.by_country),
        losing_people=len(losers),
        losing_devices=losing,
    )


def present_without_door_name(document: OrderDocument, *, now: datetime) -> int:
    """Count the devices in scope with the app on them that no door could recognise."""
    cells = cell_sql.in_scope(document, now=now)
    sql = _WITHOUT_DOOR.format(cells=cells.sql, has_door_name=cell_sql.HAS_DOOR_NAME)
    return _count(sql, cells.parameters)


def _count(sql: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.fetchone()[0])


def _no_device() -> dict[str, int]:
    return dict.fromkeys(WORDS.values(), 0)


def _sorted(groups: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {name: groups[name] for name in sorted(groups)}
