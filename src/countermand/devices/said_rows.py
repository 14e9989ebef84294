"""What the reports of one run say, laid out in tables that live as long as the transaction.

The promise: nothing about an app that no order names gets into these tables either; and rows keep
the order in which they were said. A report is one row. What it says of apps that it does not list
depends on a few facts alone, so that is written once for all devices alike: a `sight`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.db import connection

from countermand.domain.app_id import WantedApp
from countermand.domain.inventory import Alias, AliasKind, DeviceReport

CHUNK: Final = 4_000  # devices copied at once; between two copies a source may ask the database
_TABLES: Final = """
    DROP TABLE IF EXISTS devices_said, devices_found, devices_sight, devices_next;
    CREATE TEMPORARY TABLE devices_said (
        place bigint, turn integer, source_device_id text, owner_id bigint, platform text,
        os_version text, ownership text, name text, short_id text, last_contact_at timestamptz,
        reads_mail boolean, is_gone boolean, unsaid text[], inventory_at timestamptz, sight integer,
        alias_kinds text[], alias_values text[]
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE devices_found (
        place bigint, app_id text, presence text, identifier text, identifier_kind text,
        publisher text, may_close boolean, inventory_at timestamptz
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE devices_sight (
        sight integer, app_id text, presence text, coverage text
    ) ON COMMIT DROP
"""
_AWAY: Final = "DROP TABLE IF EXISTS devices_said, devices_found, devices_sight, devices_next"
_ANALYZE: Final = "ANALYZE devices_said (source_device_id), devices_found (place), devices_sight"
# What COPY takes for something else: its own separators and escapes, and control characters.
_ODD: Final = re.compile(r'[\\"\x00-\x1f]').search
_NULL: Final = r"\N"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


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
        """Begin with empty tables; `owners` maps folded addresses to people."""
        self._apps = tuple(apps)
        self._owners = owners
        self._source = source
        self._collected_at = collected_at
        self._sights: dict[tuple[Any, ...], int] = {}
        self._sight_lines: list[str] = []
        self._seen: set[str] = set()
        self._again: dict[str, int] = {}
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)

    @property
    def devices(self) -> int:
        """How many devices were spoken of so far."""
        return len(self._seen)

    @property
    def turns(self) -> int:
        """How often the device was spoken of that was spoken of most often."""
        return 1 + max(self._again.values(), default=0)

    def lay_out(self, reports: Iterable[DeviceReport]) -> Iterator[int]:
        """Copy all reports; yield how many devices are done after each chunk."""
        said: list[str] = []
        found: list[str] = []
        for place, report in enumerate(reports):
            said.append(self._said(place, report))
            if report.matched and not report.is_gone:
                found += self._found(place, report)
            if len(said) == CHUNK:
                _copy_lines("devices_said", said)
                _copy_lines("devices_found", found)
                yield self.devices
        if said:
            _copy_lines("devices_said", said)
            _copy_lines("devices_found", found)
            yield self.devices
        _copy_lines("devices_sight", self._sight_lines)
        with connection.cursor() as cursor:
            cursor.execute(_ANALYZE)

    def clear_away(self) -> None:
        """Take the tables away at once, for whoever goes on in the same transaction."""
        with connection.cursor() as cursor:
            cursor.execute(_AWAY)

    def _said(self, place: int, report: DeviceReport) -> str:
        texts = [report.source_device_id, report.os_version, report.name, _short_id(report)]
        if _ODD("".join(texts)):
            texts = [text.translate(_ESCAPES) for text in texts]
        device, os_version, name, short_id = texts
        kinds, values = _arrays(report.aliases)
        sight = _NULL if report.is_gone else self._sight(report)
        unsaid = "{" + ",".join(report.unsaid) + "}"
        return (
            f"{place}\t{self._turn(report.source_device_id)}\t{device}\t{self._owner(report)}\t"
            f"{report.platform}\t{os_version}\t{report.ownership}\t{name}\t{short_id}\t"
            f"{report.last_contact_at or _NULL}\t{report.reads_mail}\t{report.is_gone}\t{unsaid}\t"
            f"{report.inventory_at or _NULL}\t{sight}\t{kinds}\t{values}\n"
        )

    def _owner(self, report: DeviceReport) -> int | str:
        """Return the first owner who is known."""
        for address in report.owners:
            if (known := self._owners.get(address)) is not None:
                return known
        return _NULL

    def _turn(self, device: str) -> int:
        """Return how often the device was spoken of before in this run."""
        if device not in self._seen:
            self._seen.add(device)
            return 0
        self._again[device] = self._again.get(device, 0) + 1
        return self._again[device]

    def _sight(self, report: DeviceReport) -> int:
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
            number = self._sights[key] = len(self._sights)
            silent = replace(report, matched=())
            self._sight_lines += [
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
    texts = (_NULL if each is None else str(each).translate(_ESCAPES) for each in fields)
    return "\t".join(texts) + "\n"


def _arrays(aliases: Sequence[Alias]) -> tuple[str, str]:
    """Return the kinds and the values of aliases, sorted, each once, as two arrays."""
    if not aliases:
        return "{}", "{}"
    pairs = sorted({(alias.kind, alias.value) for alias in aliases})
    values = [_quoted(value) if _ODD(value) else value for _, value in pairs]
    return "{" + ",".join([kind for kind, _ in pairs]) + "}", '{"' + '","'.join(values) + '"}'


def _quoted(text: str) -> str:
    r"""Return a text as it stands between the quotation marks of an element: `\` first."""
    return text.replace("\\", "\\\\").replace('"', '\\"').translate(_ESCAPES)


def _copy_lines(table: str, lines: list[str]) -> None:
    """Copy what is in `lines`, and empty them."""
    if not lines:
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(lines))
    lines.clear()


def _short_id(report: DeviceReport) -> str:
    """Return the last characters of a number that the owner can find on the device."""
    serial = eas = ""
    for alias in report.aliases:
        if alias.kind is AliasKind.SERIAL:
            serial = alias.value
        elif alias.kind is AliasKind.EAS_DEVICE_ID:
            eas = alias.value
    return (serial or eas or report.source_device_id)[-4:]
