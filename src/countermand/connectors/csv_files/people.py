"""Reads people as directories and HR programs export them; every row with all its faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from countermand import person_facts
from countermand.byte_source import ByteSource
from countermand.connectors.csv_files.people_columns import PEOPLE
from countermand.delimited import Row, header_key, read_headers, read_rows
from countermand.domain.address import folded_address, folded_name
from countermand.domain.directory import (
    EVERYBODY,
    LONG_AGO,
    LONGEST_KEY,
    PersonRecord,
    logins_beside,
)
from countermand.domain.errors import Fault
from countermand.domain.inventory import RejectedRow
from countermand.fault_list import FaultList
from countermand.field_texts import clean, has_control_characters
from countermand.row_faults import row_fault, unnamed, why

_BETWEEN: Final = re.compile(r"[;|,\s]+")
_SMTP: Final = re.compile("^smtp:", re.IGNORECASE).sub  # as Exchange writes addresses


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for people of whom the file does not say it."""

    language: str = "en"
    zone: str = "UTC"
    country: str = ""


class PeopleFiles:
    """One load of people. After `people()` is used up, the other members are complete."""

    kind: Final = "people"

    def __init__(self, files: Sequence[ByteSource], *, defaults: Defaults) -> None:
        """Read `files` one after the other as one list."""
        self._files = files
        self._defaults = defaults
        self._seen: dict[str, tuple[str, int]] = {}
        self.faults = FaultList()
        self.rejected: list[RejectedRow] = []

    def people(self) -> Iterator[PersonRecord]:
        """Yield one record a person; rows that cannot be read are kept in `rejected`."""
        found = FaultList()
        for file in self._files:
            in_groups = _group_reader(read_headers(file))
            for row in read_rows(file, PEOPLE, found):
                record = self._person(row, in_groups)
                if record is not None:
                    yield record
        self.faults.extend(found.of_whole_files())
        self.rejected += unnamed(found.of_rows())

    def _person(self, row: Row, in_groups: Callable[[str], tuple[str, ...]]) -> PersonRecord | None:
        faults: list[Fault] = []
        address = folded_address(row["email"])
        if address is None:
            faults.append(row_fault(row, "row.bad_person_address", "email", text=row["email"][:60]))
        uid = row["person_id"] or address or ""
        if len(uid) > LONGEST_KEY:
            column = "person_id" if row["person_id"] else "email"
            faults.append(row_fault(row, "row.text_too_long", column, limit=str(LONGEST_KEY)))
        self._once(row, (uid, address), faults)
        name = _name(row)
        if not name or has_control_characters(name):
            faults.append(row_fault(row, "row.bad_name", "name"))
        country = _country(row, faults) or self._defaults.country
        others = _addresses(row["other_addresses"])
        record = PersonRecord(
            uid=uid,
            name=name[:200],
            address=address or "",
            local_name=clean(row["local_name"])[:200],
            other_addresses=_without((*_addresses(row["upn"]), *others), address),
            # A name to log in with is no address: mail to it may be nobody's.
            second_mailboxes=_without(others, address),
            logins=_logins(row, address),
            language=_language(row, faults) or self._defaults.language,
            country=country,
            zone=_zone(row, faults) or person_facts.only_zone_of(country) or self._defaults.zone,
            groups=in_groups(row["groups"]),
            unit=clean(row["unit"])[:200],
            manager=_key_of_another(row["manager"]),
            delegates=_delegates(row["delegates"]),
            absent_until=_day(row, "absent_until", faults),
            knows_no_leave="absent_until" not in row,
            left_on=_day(row, "left_on", faults) or (LONG_AGO if _is_off(row) else None),
        )
        if faults:
            # Earlier versions kept a long key cut: nobody leaves for being refused now.
            self.rejected.append(RejectedRow(uid[:LONGEST_KEY], why(faults), tuple(faults)))
            return None
        return record

    def _once(self, row: Row, keys: Sequence[str | None], faults: list[Fault]) -> None:
        """Refuse a key or an address that another row has already."""
        here = (row.file, row.line)
        taken = [
            before
            for key in keys
            if key and (before := self._seen.setdefault(key, here)) is not here
        ]
        if taken:
            first = "{}:{}".format(*taken[0])
            faults.append(row_fault(row, "row.duplicate_person", "person_id", first=first))


def _group_reader(headers: frozenset[str]) -> Callable[[str], tuple[str, ...]]:
    """Return how groups are read: a file without such a column puts everybody into all-staff."""
    column = next(column for column in PEOPLE if column.name == "groups")
    names = {header_key(name) for name in (column.name, *column.aliases)}
    if headers.isdisjoint(names):
        return lambda _text: (EVERYBODY,)
    return _groups


@lru_cache(maxsize=1024)
def _groups(text: str) -> tuple[str, ...]:
    parts = (clean(part) for part in re.split(r"[;|,]", text))
    return tuple(sorted({part[:100] for part in parts if part}))


def _name(row: Row) -> str:
    whole = clean(row["name"])
    return whole or clean(f"{row['first_name']} {row['last_name']}")


def _addresses(text: str) -> Sequence[str]:
    """Return the addresses that stand in a field."""
    if not text:
        return ()
    found = [folded_address(_SMTP("", each)) for each in _BETWEEN.split(text) if each]
    return [each for each in found if each]


def _without(addresses: Sequence[str], main: str | None) -> tuple[str, ...]:
    """Return further addresses, each once."""
    if not addresses:
        return ()
    return tuple(dict.fromkeys([each for each in addresses if each != main]))


def _logins(row: Row, address: str | None) -> tuple[str, ...]:
    """Return the names to log in with that differ from the address."""
    upn, others = row["upn"], row["logins"]
    if not (upn or others):
        return ()
    return logins_beside(address or "", (upn.strip(), *_BETWEEN.split(others)))


def _language(row: Row, faults: list[Fault]) -> str:
    return _read(row, "language", person_facts.language_tag, "row.bad_language", faults)


def _country(row: Row, faults: list[Fault]) -> str:
    return _read(row, "country", person_facts.country_code, "row.bad_country", faults)


def _zone(row: Row, faults: list[Fault]) -> str:
    return _read(row, "zone", person_facts.zone_name, "row.bad_zone", faults)


def _read(
    row: Row, column: str, reading: Callable[[str], str | None], code: str, faults: list[Fault]
) -> str:
    text = row[column]
    if not text:
        return ""
    read = reading(text)
    if read is None:
        faults.append(row_fault(row, code, column, text=text[:40]))
    return read or ""


# As Entra, Google and HR programs say that an account is none any more.
_ENDED: Final = frozenset(
    {
        "archived",
        "blocked",
        "deactivated",
        "deleted",
        "disabled",
        "false",
        "inactive",
        "left",
        "suspended",
        "terminated",
    }
)
_OFF: Final = _ENDED | {"no", "0", "नहीं"}


def _is_off(row: Row) -> bool:
    """Whether an account is off. Of a status the number 0 says nothing: some begin to count at it.

    A status is asked only where the file has no yes and no.
    """
    if "active" in row:
        return row["active"].lower() in _OFF
    return row["status"].lower() in _ENDED


def _delegates(text: str) -> tuple[str, ...]:
    words = re.split(r"[;|,\s]+", text.strip()) if text else ()
    return tuple(dict.fromkeys(filter(None, map(_key_of_another, words))))


def _key_of_another(text: str) -> str:
    """Return a key as it is compared; empty where it is longer than any person's."""
    key = folded_name(text)
    return key if len(key) <= LONGEST_KEY else ""


def _day(row: Row, column: str, faults: list[Fault]) -> date | None:
    text = row[column]
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        faults.append(row_fault(row, "row.bad_day", column, text=text[:40]))
        return None
