"""Reads what the Android Management API says; of other apps, nothing leaves this module.

A missing list of apps means that reporting is off, not that there are none. Messages come at least
once and in any order: each carries the time of its own report, and that time decides.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.errors import Fault
from countermand.domain.inventory import (
    LONGEST_DEVICE_KEY,
    AliasKind,
    DeviceReport,
    Ownership,
    aliases_of,
)
from countermand.domain.presence import Coverage
from countermand.row_faults import fault_at
from countermand.wire.json_documents import (
    MOST_BYTES,
    Faulty,
    Record,
    document,
    refuse_error,
)
from countermand.wire.paged import Page, app_list

KIND: Final = "android_management"
_OWNERSHIP: Final = MappingProxyType(
    {
        "COMPANY_OWNED": Ownership.CORPORATE,
        "PERSONALLY_OWNED": Ownership.PERSONAL,
    }
)
_TELL_OF_DEVICES: Final = frozenset({"ENROLLMENT", "STATUS_REPORT", "COMPLIANCE_REPORT"})
_TELL_OF_OTHER_THINGS: Final = frozenset({"COMMAND", "USAGE_LOGS", "ENTERPRISE_UPGRADE", "test"})


class AndroidManagementReader:
    """Tells pages and messages apart, and reads their devices."""

    kind: Final = KIND

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def page(self, document: Record) -> Page:
        """Read a page of devices, a pushed message, or the answer to a pull."""
        if document.has("message"):
            message = Record(document.file, "message", _object(document, "message"))
            return Page(records=tuple(self._device_of(message)), is_message=True)
        pulled = document.records("receivedMessages")
        if pulled is not None:
            return self._pulled(pulled)
        if document.value == {}:  # Google leaves out a list that is empty
            return Page(list_name="devices")
        refuse_error(document, list_key="devices")
        records = document.records("devices") or ()
        more = bool(document.text("nextPageToken"))
        return Page(records=records, list_name="devices", is_last=not more)

    def device_id(self, record: Record) -> str:
        """Return the resource name of a device."""
        name = record.text("name", longest=LONGEST_DEVICE_KEY)
        if not name.startswith("enterprises/") or "/devices/" not in name:
            raise record.faulty("row.bad_device_id", "name")
        return name

    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        """Yield the report of one device."""
        apps = record.records("applicationReports")
        installed = app_list(
            None if apps is None else [each for each in apps if each.text("state") != "REMOVED"],
            matcher=matcher,
            platform=Platform.ANDROID,
            id_keys=("packageName",),
            version_key="versionName",
            name_key="displayName",
        )
        coverage, observable = _sight(record, lists_apps=apps is not None)
        reported_at = record.time("lastStatusReportTime", as_of=as_of, clamp=True)
        yield DeviceReport(
            source_device_id=self.device_id(record),
            platform=Platform.ANDROID,
            owners=_owners(record),
            aliases=aliases_of(_names(record)),
            os_version=record.text("softwareInfo", "androidVersion")[:50],
            ownership=_OWNERSHIP.get(record.text("ownership"), Ownership.UNKNOWN),
            name=record.text("hardwareInfo", "model")[:200],
            last_contact_at=record.time("lastPolicySyncTime", as_of=as_of, clamp=True)
            or reported_at,
            inventory_at=reported_at,
            coverage=coverage,
            complete=installed.is_whole,
            observable=observable,
            matched=installed.matched,
            is_gone=record.text("state") == "DELETED",
        )

    def _pulled(self, received: Sequence[Record]) -> Page:
        """Read messages that waited together; one that cannot be read keeps no other back."""
        devices: list[Record] = []
        unread: list[Fault] = []
        for each in received:
            try:
                message = Record(each.file, f"{each.place}.message", _object(each, "message"))
                devices += self._device_of(message)
            except Faulty as faulty:
                unread.append(faulty.fault)
        return Page(records=devices, is_message=True, unread=tuple(unread))

    def _device_of(self, message: Record) -> Iterator[Record]:
        """Yield the device in a message; one that was read already is passed over."""
        kind = message.text("attributes", "notificationType")
        number = message.text("messageId", longest=200)
        if kind in _TELL_OF_OTHER_THINGS or (number and number in self._seen):
            return
        if kind not in _TELL_OF_DEVICES:
            raise Faulty(fault_at("file.not_known", message.file, source=KIND))
        if number:
            self._seen.add(number)
        data = message.value.get("data")
        if not isinstance(data, str) or len(data) > MOST_BYTES:
            raise message.faulty("row.bad_payload", "data")
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise message.faulty("row.bad_payload", "data") from None
        yield Record(message.file, message.place, document(message.file, raw).value)


def _object(record: Record, key: str) -> dict[str, object]:
    found = record.value.get(key)
    if not isinstance(found, dict):
        raise record.faulty("row.bad_shape", key)
    return found


def _sight(record: Record, *, lists_apps: bool) -> tuple[Coverage, bool]:
    """Return which apps are listed, and whether personal ones can ever be seen."""
    if record.text("managementMode") == "PROFILE_OWNER":
        return Coverage.WORK_PROFILE_ONLY, False
    if not lists_apps:
        return Coverage.NONE, True
    owned = record.text("managementMode") == "DEVICE_OWNER"
    return (Coverage.FULL if owned else Coverage.UNKNOWN), True


def _owners(record: Record) -> tuple[str, ...]:
    """Return the address in the data of the enrolment token: an address, or JSON with `owner`."""
    text = record.text("enrollmentTokenData")
    if text.startswith("{"):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return ()
        found = told.get("owner") if isinstance(told, dict) else None
        text = found if isinstance(found, str) else ""
    owner = folded_address(text)
    return (owner,) if owner else ()


def _names(record: Record) -> Iterator[tuple[AliasKind, str]]:
    serial = record.text("hardwareInfo", "serialNumber")
    # On personal devices the field holds an id that the work profile made up.
    if serial != record.text("hardwareInfo", "enterpriseSpecificId"):
        yield AliasKind.SERIAL, serial
