"""What the reports of one run say, laid out in tables that live as long as the transaction.

The promise: nothing about an app that no order names gets into these tables either; and rows keep
the order in which they were said. A report is one row. What it says of apps that it does not list
depends on a few facts alone, so that is written once for all devices alike: a `sight`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection

from countermand.copy_text import NULL, array, epoch, escaped, is_odd
from countermand.domain.app_id import WantedApp
from countermand.domain.inventory import Alias, AliasKind, DeviceReport

BATCH: Final = 10_000  # devices that are read while those before them are written
_AWAY: Final = """
    DROP TABLE IF EXISTS devices_said CASCADE;
    DROP TABLE IF EXISTS devices_found, devices_sight, devices_next, devices_listed
"""
_TABLES: Final = """
    CREATE TEMPORARY TABLE devices_said (
        place bigint, turn integer, is_first boolean, source_device_id text, owner_id bigint,
        platform text, os_version text, ownership text, name text, short_id text,
        last_contact double precision, reads_mail boolean, is_gone boolean, unsaid text[],
        inventory double precision, sight integer, alias_kinds text[], alias_values text[],
        id bigint
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE devices_found (
        place bigint, app_id text, presence text, identifier text, identifier_kind text,
        publisher text, may_close boolean, inventory_at timestamptz
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE devices_sight (
        sight integer, app_id text, presence text, coverage text
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE devices_listed (id bigint) ON COMMIT DROP
"""
_SAID: Final = """
    devices_said (place, turn, is_first, source_device_id, owner_id, platform, os_version,
        ownership, name, short_id, last_contact, reads_mail, is_gone, unsaid, inventory,
        sight, alias_kinds, alias_values)
"""
_EMPTY: Final = "TRUNCATE devices_said, devices_found"
_ANALYZE: Final = "ANALYZE devices_said (source_device_id), devices_found (place), devices_sight"


@dataclass(slots=True)
class Batch:
    """What some reports say, as text to copy; `turns`: how often one device is spoken of."""

    said: bytes
    found: bytes
    sights: bytes
    reports: int
    turns: int
    seen_before: bool
    devices: int  # of which the run has spoken so far


class SaidRows:
    """The tables of one run."""

    def __init__(
        self,
        apps: Sequence[WantedApp],
        owners: Mapping[str, int],
        *,
        source: str,
        collected_at: datetime,
    ) -> None:
        """Read what is said about `apps`; `owners` maps folded addresses to people."""
        self._apps = tuple(apps)
        self._owners = owners
        self._source = source
        self._collected_at = collected_at
        self._sights: dict[tuple[Any, ...], str] = {}
        self._new_sights: list[str] = []
        self._listed: set[str] = set()

    def take(self, reports: Iterator[DeviceReport]) -> Batch:
        """Read the next reports. Asks the database for nothing: others may use it meanwhile."""
        said: list[str] = []
        found: list[str] = []
        turns: dict[str, int] = {}
        for place, report in enumerate(islice(reports, BATCH)):
            device = report.source_device_id
            turn = turns[device] = turns.get(device, -1) + 1
            said.append(self._said(place, turn, report))
            if report.matched and not report.is_gone:
                found += self._found(place, report)
        seen_before = not self._listed.isdisjoint(turns)
        self._listed.update(turns)
        sights, self._new_sights = self._new_sights, []
        # Put together here, while the database works, not where it waits.
        return Batch(
            said="".join(said).encode(),
            found="".join(found).encode(),
            sights="".join(sights).encode(),
            reports=len(said),
            turns=max(turns.values(), default=0) + 1,
            seen_before=seen_before,
            devices=len(self._listed),
        )

    @staticmethod
    def open() -> None:
        """Begin with empty tables."""
        with connection.cursor() as cursor:
            cursor.execute(_AWAY)
            cursor.execute(_TABLES)

    @staticmethod
    def copy(batch: Batch) -> None:
        """Lay out a batch, in the place of the one before."""
        with connection.cursor() as cursor:
            cursor.execute(_EMPTY)
            for table, text in (
                (_SAID, batch.said),
                ("devices_found", batch.found),
                ("devices_sight", batch.sights),
            ):
                if text:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write(text)
            cursor.execute(_ANALYZE)

    @staticmethod
    def close() -> None:
        """Take the tables away at once, for whoever goes on in the same transaction."""
        with connection.cursor() as cursor:
            cursor.execute(_AWAY)

    def _said(self, place: int, turn: int, report: DeviceReport) -> str:
        is_first = not turn and report.source_device_id not in self._listed
        texts = [report.source_device_id, report.os_version, report.name, _short_id(report)]
        if is_odd("".join(texts)):
            texts = [escaped(text) for text in texts]
        device, os_version, name, short_id = texts
        kinds, values = _arrays(report.aliases) if report.aliases else ("{}", "{}")
        sight = NULL if report.is_gone else self._sight(report)
        unsaid = array(report.unsaid) if report.unsaid else "{}"
        # Joined, since a member of an enumeration takes longer to be formatted.
        fields = (
            f"{place}\t{turn}\t{is_first}",
            device,
            self._owner(report),
            report.platform,
            os_version,
            report.ownership,
            name,
            short_id,
            epoch(report.last_contact_at),
            "t" if report.reads_mail else "f",
            "t" if report.is_gone else "f",
            unsaid,
            epoch(report.inventory_at),
            sight,
            kinds,
            f"{values}\n",
        )
        return "\t".join(fields)

    def _owner(self, report: DeviceReport) -> str:
        """Return the first owner who is known."""
        for address in report.owners:
            if (known := self._owners.get(address)) is not None:
                return str(known)
        return NULL

    def _sight(self, report: DeviceReport) -> str:
        """Return the number of what such a report says about apps that it does not list."""
        key = (
            report.platform,
            report.coverage,
            report.asked,
            report.complete,
            report.observable,
        )
        number = self._sights.get(key)
        if number is None:
            number = self._sights[key] = str(len(self._sights))
            silent = replace(report, matched=())
            self._new_sights += [
                _line(number, app.app_id, silent.presence(app).value, report.coverage.value)
                for app in self._apps
            ]
        return number

    def _found(self, place: int, report: DeviceReport) -> Iterator[str]:
        for app in self._apps:
            row = report.found(app.app_id)
            if row is None:
                continue
            evidence = report.evidence(app, source=self._source, collected_at=self._collected_at)
            yield _line(
                place,
                app.app_id,
                evidence.presence.value,
                row.match.key.value[:200],
                row.match.key.kind.value,
                row.publisher[:200],
                # A signature counts in its own order alone: it is looked up there.
                row.match.may_close and not row.match.by_signature,
                evidence.inventory_at,
            )


def _line(*fields: object | None) -> str:
    texts = (NULL if each is None else escaped(str(each)) for each in fields)
    return "\t".join(texts) + "\n"


def _arrays(aliases: Sequence[Alias]) -> tuple[str, str]:
    """Return the kinds and the values of aliases, sorted, each once, as two arrays."""
    if len(aliases) == 1:
        [alias] = aliases
        return f"{{{alias.kind}}}", array((alias.value,))
    kinds, values = zip(*sorted(set(aliases)), strict=True)
    return f"{{{','.join(kinds)}}}", array(values)  # words need no quotation marks


_SERIAL: Final = AliasKind.SERIAL
_EAS_DEVICE_ID: Final = AliasKind.EAS_DEVICE_ID


def _short_id(report: DeviceReport) -> str:
    """Return the last characters of a number that the owner can find on the device."""
    serial = eas = ""
    for alias in report.aliases:
        if alias.kind is _SERIAL:
            serial = alias.value
        elif alias.kind is _EAS_DEVICE_ID:
            eas = alias.value
    return (serial or eas or report.source_device_id)[-4:]
