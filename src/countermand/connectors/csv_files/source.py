"""Reads devices.csv and apps.csv; of apps that no order names, nothing leaves this module.

Rows are streamed. A row that cannot be read is left out with all its faults, by file and line;
whether the rest is loaded is for the caller to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from countermand.byte_source import ByteSource
from countermand.connectors.csv_files.columns import APPS, DEVICES, lists_apps, names_identifiers
from countermand.delimited import Row, Wanted, read_headers, read_rows
from countermand.domain.address import folded_address
from countermand.domain.app_id import AppMatch, Matcher, Platform, WantedApp
from countermand.domain.errors import Fault
from countermand.domain.inventory import (
    LONGEST_DEVICE_KEY,
    AliasKind,
    DeviceReport,
    MatchedApp,
    Ownership,
    RejectedRow,
    aliases_of,
    ownership_of,
    platform_of,
    platform_words,
)
from countermand.domain.nearest import nearest_word
from countermand.domain.presence import Coverage
from countermand.fault_list import FaultList
from countermand.field_texts import clean, has_control_characters, instant
from countermand.row_faults import file_fault, row_fault, unnamed, why, without_device

_COVERAGES: Final = MappingProxyType({coverage.value: coverage for coverage in Coverage})
_NO: Final = frozenset({"no", "false", "0", "n", "नहीं"})


@dataclass(frozen=True, slots=True)
class _AppRow:
    """A row of apps.csv that could be an ordered app on some platform."""

    row: Row
    identifier: str
    name: str
    publisher: str
    version: str
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Traits:
    """What is the same of many devices: it is read once for all that write it alike."""

    platform: Platform
    os_version: str
    ownership: Ownership
    coverage: Coverage
    asked: frozenset[str] | None
    reads_mail: bool


_texts_of_traits: Final = itemgetter(
    "platform", "os_version", "ownership", "coverage", "asked", "reads_mail"
)
_MOST_TRAITS: Final = 1_000
_LONGEST_TRAITS: Final = 200  # characters in all; longer ones are read each time
_NAMES: Final = (
    (AliasKind.EAS_DEVICE_ID, "eas_device_id"),
    (AliasKind.DEVICE_PASSWORD, "device_password_id"),
    (AliasKind.SERIAL, "serial"),
)


class CsvFiles:
    """One load of plain files. After `reports()` is used up, the other members are complete."""

    kind: Final = "csv"
    is_whole: Final = True  # a load of plain files replaces the one before

    def __init__(
        self, files: Sequence[ByteSource], *, apps: Sequence[WantedApp], as_of: datetime
    ) -> None:
        """Look for `apps` alone; no time in the files may lie after `as_of` (aware)."""
        headers = [(file, read_headers(file)) for file in files]
        self._apps_files = [(file, names) for file, names in headers if lists_apps(names)]
        self._device_files = [file for file, names in headers if not lists_apps(names)]
        self._matcher = Matcher(tuple(apps))
        self._as_of = as_of
        self._found: dict[str, list[_AppRow]] = {}
        self._lines: dict[str, tuple[str, int]] = {}
        self._traits_known: dict[tuple[str, ...], _Traits] = {}
        self._lost_apps = False
        self._with_lost_apps: set[str] = set()
        self.faults = FaultList()  # of files as a whole: nothing can be loaded
        self.rejected: list[RejectedRow] = []

    def reports(self) -> Iterator[DeviceReport]:
        """Yield one report a device; rows that cannot be read are kept in `rejected`."""
        found = FaultList()
        if not self._device_files:
            self.faults.add(file_fault("file.no_devices", "devices.csv"))
            return
        for file, headers in self._apps_files:
            for row in read_rows(file, APPS, found, only=self._ordered(headers)):
                self._keep_app(row)
        self._lost_apps = bool(found)
        for file in self._device_files:
            for row in read_rows(file, DEVICES, found):
                report = self._device(row)
                if report is not None:
                    yield report
        for left in self._found.values():
            self.rejected += [without_device(each.row) for each in left]
        self.faults.extend(found.of_whole_files())
        self.rejected += unnamed(found.of_rows())

    def _ordered(self, headers: frozenset[str]) -> Wanted:
        """Return which rows of a file of apps matter; of all others only one field is looked at."""
        if names_identifiers(headers):
            return Wanted("app_id", self._may_be_ordered, if_missing=True)
        return Wanted("app_name", lambda name: self._matcher.mentions("", clean(name)))

    def _may_be_ordered(self, identifier: str) -> bool:
        # Without an identifier the name decides, which stands in another field.
        return not identifier or self._matcher.mentions(identifier)

    def _keep_app(self, row: Row) -> None:
        identifier, name = row["app_id"], clean(row["app_name"])
        # An identifier says what a program is; its name counts only where there is none.
        if not self._matcher.mentions(identifier, "" if identifier else name):
            return
        device = row["device_id"]
        faults: list[Fault] = []
        seen_at = self._time(row, "seen_at", faults)
        if faults:
            self.rejected.append(RejectedRow(device, why(faults), tuple(faults)))
            self._with_lost_apps.add(device)
            return
        found = _AppRow(
            row=row,
            identifier=identifier,
            name=name[:200],
            publisher=clean(row["publisher"]),
            version=row["version"][:50],
            seen_at=seen_at,
        )
        self._found.setdefault(device, []).append(found)

    def _device(self, row: Row) -> DeviceReport | None:
        device = row["device_id"]
        faults: list[Fault] = []
        if not device or has_control_characters(device) or len(device) > LONGEST_DEVICE_KEY:
            faults.append(row_fault(row, "row.bad_device_id", "device_id"))
        elif device in self._lines:
            file, line = self._lines[device]
            fault = row_fault(row, "row.duplicate_device", "device_id", first=f"{file}:{line}")
            faults.append(fault)
        else:
            self._lines[device] = (row.file, row.line)
        owners = self._owners(row, faults)
        last_seen = self._time(row, "last_seen", faults)
        inventory_at = self._time(row, "inventory_at", faults)
        traits = self._traits(row, faults)
        if faults:
            self._found.pop(device, None)
            self.rejected.append(RejectedRow(device, why(faults), tuple(faults)))
            return None
        return DeviceReport(
            source_device_id=device,
            platform=traits.platform,
            owners=owners,
            aliases=aliases_of([(kind, row[column]) for kind, column in _NAMES]),
            os_version=traits.os_version,
            ownership=traits.ownership,
            name=clean(row["device_name"])[:200],
            last_contact_at=last_seen,
            inventory_at=inventory_at,
            coverage=traits.coverage,
            asked=traits.asked,
            # Without a file of apps nothing was said about apps, whatever the column says.
            # A row that could not be read may have been about any device, or about this one.
            complete=bool(self._apps_files)
            and not self._lost_apps
            and device not in self._with_lost_apps,
            reads_mail=traits.reads_mail,
            matched=self._matched(device, traits.platform),
        )

    def _traits(self, row: Row, faults: list[Fault]) -> _Traits:
        texts = _texts_of_traits(row)
        known = self._traits_known.get(texts)
        if known is not None:
            return known
        before = len(faults)
        traits = _Traits(
            platform=self._platform(row, faults),
            os_version=row["os_version"][:50],
            ownership=ownership_of(row["ownership"]),
            coverage=self._coverage(row, faults),
            asked=frozenset(row["asked"].replace(",", " ").split()) or None,
            reads_mail=row["reads_mail"].lower() not in _NO,
        )
        is_short = len("".join(texts)) < _LONGEST_TRAITS
        if len(faults) == before and is_short and len(self._traits_known) < _MOST_TRAITS:
            self._traits_known[texts] = traits
        return traits

    def _matched(self, device: str, platform: Platform) -> tuple[MatchedApp, ...]:
        all_found = self._found.pop(device, None)
        if all_found is None:
            return ()
        matched = (
            MatchedApp(match, found.name, found.version, found.seen_at, found.publisher[:200])
            for found in all_found
            for match in self._matches(found, platform)
        )
        return tuple(dict.fromkeys(matched))

    def _matches(self, found: _AppRow, platform: Platform) -> tuple[AppMatch, ...]:
        if found.identifier:
            return self._matcher.by_identifier(platform, found.identifier)
        return self._matcher.by_name(found.name, found.publisher)

    def _owners(self, row: Row, faults: list[Fault]) -> tuple[str, ...]:
        texts = row["owner_email"].replace(";", " ").split()
        known = tuple([owner for owner in map(folded_address, texts) if owner])
        if len(known) < len(texts):
            faults.append(row_fault(row, "row.bad_address", "owner_email"))
        return known

    def _time(self, row: Row, column: str, faults: list[Fault]) -> datetime | None:
        text = row[column]
        if not text:
            return None
        read = instant(text)
        if read is None:
            faults.append(row_fault(row, "row.bad_time", column, text=text[:40]))
        elif read > self._as_of:
            as_of = self._as_of.isoformat()
            faults.append(row_fault(row, "row.time_ahead", column, text=text[:40], as_of=as_of))
        return read

    def _platform(self, row: Row, faults: list[Fault]) -> Platform:
        platform = platform_of(row["platform"])
        if platform is None:
            near = nearest_word(row["platform"].lower(), platform_words())
            fault = row_fault(
                row, "row.bad_platform", "platform", text=row["platform"][:40], near=near or "other"
            )
            faults.append(fault)
        return platform or Platform.OTHER

    def _coverage(self, row: Row, faults: list[Fault]) -> Coverage:
        if (known_word := _COVERAGES.get(row["coverage"])) is not None:
            return known_word
        text = row["coverage"].lower().replace(" ", "_").replace("-", "_")
        if text and text not in _COVERAGES:
            known = ", ".join(_COVERAGES)
            fault = row_fault(row, "row.bad_coverage", "coverage", text=text[:40], known=known)
            faults.append(fault)
        return _COVERAGES.get(text, Coverage.UNKNOWN)
