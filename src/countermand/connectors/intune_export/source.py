"""Reads Intune's bulk export; of apps that no order names, nothing leaves this module.

Intune gives bare names and no identifiers: a match by name closes a door only if the order signs
it. What Intune can see depends on who owns a device and on what it runs, and its list carries no
time of its own. A row without a match proves nothing unless Intune lists all apps of such a
device, and was in touch with it while a list is fresh: of others it repeats what it once heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from countermand.byte_source import ByteSource
from countermand.connectors.intune_export.managed_devices import GraphPages
from countermand.delimited import Column, Row, Wanted, header_key, read_headers, read_rows
from countermand.domain.address import folded_address
from countermand.domain.app_id import IdentifierKind, Matcher, Platform, WantedApp
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
)
from countermand.domain.presence import Coverage, rhythm_of
from countermand.fault_list import FaultList
from countermand.field_texts import clean, instant
from countermand.row_faults import file_fault, row_fault, unnamed, why, without_device
from countermand.wire.json_documents import Faulty, Record

APPS: Final = (
    Column("device_id", ("DeviceId", "Device ID"), required=True),
    Column("name", ("ApplicationName", "Application name", "App name"), required=True),
    Column("publisher", ("ApplicationPublisher", "Application publisher")),
    Column("version", ("ApplicationVersion", "ApplicationShortVersion", "Application version")),
)
DEVICES: Final = (
    Column("device_id", ("DeviceId", "Device ID"), required=True),
    Column("platform", ("OS", "Operating system", "Platform"), required=True),
    Column("ownership", ("Ownership", "OwnerType", "Device ownership"), required=True),
    Column("device_name", ("DeviceName", "Device name")),
    Column("os_version", ("OSVersion", "OS version")),
    Column("last_contact", ("LastContact", "Last check-in", "LastCheckIn")),
    Column("eas_id", ("EasID", "EAS activation ID", "EasDeviceId")),
    Column("serial", ("SerialNumber", "Serial number")),
    Column("email", ("UserEmail", "Primary user email address", "EmailAddress")),
    Column("upn", ("UPN", "Primary user UPN", "UserPrincipalName")),
    Column("entra_id", ("ReferenceId", "Azure AD Device ID", "Microsoft Entra Device ID")),
)
_APP_NAME: Final = header_key("ApplicationName")
_LISTS_ALL_APPS: Final = frozenset(
    {Platform.IOS, Platform.IPADOS, Platform.MACOS, Platform.WINDOWS}
)


@dataclass(frozen=True, slots=True)
class _AppRow:
    """A row of AppInvRawData with the name of an ordered app."""

    row: Row
    name: str
    publisher: str
    version: str


class IntuneExport:
    """One load of an Intune export. After `reports()` is used up, the rest is complete."""

    def __init__(
        self,
        files: Sequence[ByteSource],
        *,
        apps: Sequence[WantedApp],
        as_of: datetime,
        documents: Iterable[Record | Fault] = (),
        source: str = "intune",
        goes_on: bool = False,
    ) -> None:
        """Look for `apps` alone; no time in the files may lie after `as_of` (aware).

        Where the world goes on since (`goes_on`: the reports were asked for then, and take a
        while), such a time counts as `as_of`. `documents` are pages of managed devices, in place
        of the report of devices, and of violations of a list of restricted apps.
        """
        self.kind = source  # the name under which is kept what it says
        headers = [(file, read_headers(file)) for file in files]
        self._unreadable = [file for file, names in headers if not names]
        self._apps_files = [file for file, names in headers if _APP_NAME in names]
        self._device_files = [file for file, names in headers if names and _APP_NAME not in names]
        self._matcher = Matcher(tuple(apps))
        self._pages = GraphPages(documents, matcher=self._matcher)
        self._as_of = as_of
        self._goes_on = goes_on
        self._found: dict[str, list[_AppRow]] = {}
        self._lines: dict[str, str] = {}
        self._lost_apps = False
        self.faults = FaultList()
        self.rejected: list[RejectedRow] = []

    @property
    def is_whole(self) -> bool:
        """Whether all devices were listed: by the report of devices, or by all of its pages."""
        return bool(self._device_files) or self._pages.is_whole

    @property
    def tells_its_beginning(self) -> bool:
        """Whether pages before those that are here could not be missing unnoticed."""
        return bool(self._device_files) or self._pages.tells_its_beginning

    def reports(self) -> Iterator[DeviceReport]:
        """Yield one report a device; rows that cannot be read are kept in `rejected`."""
        self._check_files()
        if self.faults:
            return
        found = FaultList()
        ordered = Wanted("name", lambda name: self._matcher.mentions("", clean(name)[:200]))
        for row in self._rows(self._apps_files, APPS, found, only=ordered):
            self._keep_app(row)
        self._lost_apps = bool(found)
        for row in self._device_rows(found):
            report = self._device(row)
            if report is not None:
                yield report
        for left in self._found.values():
            self.rejected += [without_device(each.row) for each in left]
        self.faults.extend(found.of_whole_files())
        self.rejected += unnamed(found.of_rows())

    def _device_rows(self, found: FaultList) -> Iterator[Row]:
        yield from self._rows(self._device_files, DEVICES, found)
        try:
            yield from self._pages.rows()
        except Faulty as faulty:
            self.faults.add(faulty.fault)

    def _check_files(self) -> None:
        """Both reports are needed: one says which devices there are, the other what is on them."""
        for _ in self._rows(self._unreadable, DEVICES, self.faults):
            pass
        self.faults.extend(self._pages.faults)
        if self.faults:
            return
        if not self._device_files and not self._pages.lists_devices:
            self.faults.add(file_fault("file.no_devices", "Devices.csv"))
        if not self._apps_files and not self._pages.tells_apps:
            self.faults.add(file_fault("file.no_apps", "AppInvRawData.zip"))

    @staticmethod
    def _rows(
        files: Sequence[ByteSource],
        columns: Sequence[Column],
        faults: FaultList,
        *,
        only: Wanted | None = None,
    ) -> Iterator[Row]:
        for file in files:
            yield from read_rows(file, columns, faults, only=only)

    def _keep_app(self, row: Row) -> None:
        name = clean(row["name"])[:200]
        found = _AppRow(row, name, clean(row["publisher"])[:200], row["version"][:50])
        self._found.setdefault(row["device_id"].lower(), []).append(found)

    def _device(self, row: Row) -> DeviceReport | None:
        device = row["device_id"].lower()
        faults: list[Fault] = []
        if not device or len(device) > LONGEST_DEVICE_KEY:
            faults.append(row_fault(row, "row.bad_device_id", "device_id"))
        elif device in self._lines:
            first = self._lines[device]
            faults.append(row_fault(row, "row.duplicate_device", "device_id", first=first))
        else:
            self._lines[device] = f"{row.file}:{row.line}"
        # Its words are Intune's own, and nobody can mend them.
        platform = platform_of(row["platform"]) or Platform.OTHER
        last_contact_at = self._last_contact(row, faults)
        matched = self._matched(device)
        if faults:
            self.rejected.append(RejectedRow(device, why(faults), tuple(faults)))
            return None
        ownership = ownership_of(row["ownership"])
        coverage, observable = _sight(ownership, platform)
        owners = (folded_address(row["email"]), folded_address(row["upn"]))
        return DeviceReport(
            source_device_id=device,
            platform=platform,
            owners=tuple(dict.fromkeys(owner for owner in owners if owner)),
            aliases=aliases_of(
                (
                    (AliasKind.EAS_DEVICE_ID, row["eas_id"]),
                    (AliasKind.UDID, row["udid"]),
                    (AliasKind.SERIAL, row["serial"]),
                    (AliasKind.ENTRA_DEVICE_ID, row["entra_id"]),
                )
            ),
            os_version=row["os_version"][:50],
            ownership=ownership,
            name=clean(row["device_name"])[:200],
            last_contact_at=last_contact_at,
            inventory_at=None,
            coverage=coverage,
            # Violations alone prove no absence; nor does a list of which a row could not be read.
            complete=bool(self._apps_files)
            and not self._lost_apps
            and self._is_in_touch(last_contact_at),
            observable=observable,
            matched=(*matched, *self._pages.violations.get(device, ())),
        )

    def _is_in_touch(self, last_contact_at: datetime | None) -> bool:
        fresh_for = rhythm_of(self.kind).fresh_for
        return last_contact_at is not None and last_contact_at >= self._as_of - fresh_for

    def _matched(self, device: str) -> tuple[MatchedApp, ...]:
        matched = (
            MatchedApp(match, found.name, found.version, publisher=found.publisher)
            for found in self._found.pop(device, ())
            for match in self._matcher.by_name(
                found.name, found.publisher, kind=IdentifierKind.INTUNE_NAME
            )
        )
        return tuple(dict.fromkeys(matched))

    def _last_contact(self, row: Row, faults: list[Fault]) -> datetime | None:
        text = row["last_contact"]
        if not text:
            return None
        read = instant(text, zone_if_none=UTC)  # Intune writes UTC and no zone
        if read is not None and read.year == 1:  # what Microsoft writes for “never”
            return None
        if read is None:
            faults.append(row_fault(row, "row.bad_time", "last_contact", text=text[:40]))
        elif read > self._as_of and self._goes_on:
            return self._as_of
        elif read > self._as_of:
            as_of = self._as_of.isoformat()
            facts = {"text": text[:40], "as_of": as_of}
            faults.append(row_fault(row, "row.time_ahead", "last_contact", **facts))
        return read


def _sight(ownership: Ownership, platform: Platform) -> tuple[Coverage, bool]:
    """Return which apps Intune lists for such a device, and whether it can ever see personal ones.

    Personal devices show managed apps only; fully managed Android reports no discovered apps.
    """
    if ownership is Ownership.PERSONAL:
        return Coverage.MANAGED_ONLY, False
    if ownership is Ownership.CORPORATE and platform in _LISTS_ALL_APPS:
        return Coverage.FULL, True
    return Coverage.UNKNOWN, platform is not Platform.ANDROID
