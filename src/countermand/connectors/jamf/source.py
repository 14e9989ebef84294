"""Reads what Jamf Pro answers; of apps that no order names, nothing leaves this module.

Detail pages are asked for as LENIENT: a section that Jamf could not read is null, and null means
unknown, never empty. Webhooks carry no signature, so they are hints: look at these devices again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.inventory import (
    AliasKind,
    DeviceReport,
    Fact,
    Ownership,
    aliases_of,
)
from countermand.domain.presence import Coverage
from countermand.row_faults import fault_at
from countermand.wire.json_documents import Faulty, Record, refuse_error
from countermand.wire.paged import Page, app_list

KIND: Final = "jamf"
_OWNERSHIP: Final = MappingProxyType(
    {
        "Institutional": Ownership.CORPORATE,
        "AccountDrivenDeviceEnrollment": Ownership.CORPORATE,
        "PersonalDeviceProfile": Ownership.PERSONAL,
        "UserEnrollment": Ownership.PERSONAL,
        "AccountDrivenUserEnrollment": Ownership.PERSONAL,
    }
)
# Which webhooks name devices, and where their id stands; nowhere: a list of group members.
_HINTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "SmartGroupMobileDeviceMembershipChange": ("mobile", ()),
        "SmartGroupComputerMembershipChange": ("computer", ()),
        "MobileDeviceCheckIn": ("mobile", ("jssID",)),
        "MobileDeviceInventoryCompleted": ("mobile", ("jssID",)),
        "ComputerCheckIn": ("computer", ("computer", "jssID")),
        "ComputerInventoryCompleted": ("computer", ("jssID",)),
    }
)


class JamfReader:
    """Tells the documents of Jamf Pro apart, and reads their devices."""

    kind: Final = KIND

    def page(self, document: Record) -> Page:
        """Read a page of mobile devices or computers, or a webhook."""
        if document.has("webhook"):
            return Page(is_message=True, look_again=hints(document))
        refuse_error(document, list_key="results")
        records = document.records("results") or ()
        kinds = ("mobile", "computer")  # Jamf lists them apart
        listed, beside = (
            kinds if any(each.has("mobileDeviceId") for each in records) else kinds[::-1]
        )
        total = document.value.get("totalCount")
        return Page(
            records=records,
            list_name=listed if records else "",
            beside=(beside,) if records else (),
            # Which page is the last one only the number of all devices tells.
            is_last=isinstance(total, int),
            total=total if isinstance(total, int) else None,
        )

    def device_id(self, record: Record) -> str:
        """Return the id of a device with its kind, since both kinds count from one."""
        mobile = record.text("mobileDeviceId", longest=100)
        if mobile:
            return f"mobile:{mobile}"
        number = record.text("id", longest=100)
        if not number:
            raise record.faulty("row.bad_device_id", "id")
        return f"computer:{number}"

    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        """Yield the report of one device."""
        if record.has("mobileDeviceId"):
            yield self._mobile(record, matcher, as_of)
        else:
            yield self._computer(record, matcher, as_of)

    def _mobile(self, record: Record, matcher: Matcher, as_of: datetime) -> DeviceReport:
        platform = _mobile_platform(record)
        declared = record.text("general", "deviceOwnershipType")
        ownership = _OWNERSHIP.get(declared, Ownership.UNKNOWN)
        coverage = _mobile_coverage(declared, ownership)
        listed = record.records("applications")
        apps = app_list(
            listed,
            matcher=matcher,
            platform=platform,
            id_keys=("identifier",),
            version_key="version",
        )
        taken_at = record.time("general", "lastInventoryUpdateDate", as_of=as_of, clamp=True)
        return DeviceReport(
            source_device_id=self.device_id(record),
            platform=platform,
            owners=_owners(record, "emailAddress"),
            aliases=aliases_of(
                (
                    (AliasKind.EAS_DEVICE_ID, record.text("general", "exchangeDeviceId")),
                    (AliasKind.UDID, record.text("general", "udid")),
                    (AliasKind.SERIAL, record.text("hardware", "serialNumber")),
                )
            ),
            os_version=record.text("general", "osVersion")[:50],
            ownership=ownership,
            name=record.text("general", "displayName")[:200],
            last_contact_at=taken_at,
            inventory_at=taken_at,
            coverage=coverage if listed is not None else Coverage.UNKNOWN,
            complete=apps.is_whole and record.has("general"),
            observable=coverage is not Coverage.MANAGED_ONLY,
            matched=apps.matched,
            unsaid=_unsaid(record),
        )

    def _computer(self, record: Record, matcher: Matcher, as_of: datetime) -> DeviceReport:
        windows = "win" in record.text("operatingSystem", "name").lower()
        platform = Platform.WINDOWS if windows else Platform.MACOS
        listed = record.records("applications")
        apps = app_list(
            listed,
            matcher=matcher,
            platform=platform,
            id_keys=("bundleId",),
            version_key="version",
        )
        return DeviceReport(
            source_device_id=self.device_id(record),
            platform=platform,
            owners=_owners(record, "email"),
            aliases=aliases_of(
                (
                    (AliasKind.UDID, record.text("udid")),
                    (AliasKind.SERIAL, record.text("hardware", "serialNumber")),
                )
            ),
            os_version=record.text("operatingSystem", "version")[:50],
            ownership=Ownership.CORPORATE,
            name=record.text("general", "name")[:200],
            last_contact_at=record.time("general", "lastContactTime", as_of=as_of, clamp=True),
            inventory_at=record.time("general", "reportDate", as_of=as_of, clamp=True),
            coverage=Coverage.FULL if listed is not None else Coverage.UNKNOWN,
            complete=apps.is_whole and record.has("general"),
            matched=apps.matched,
            unsaid=_unsaid(record),
        )


def hints(webhook: Record) -> tuple[str, ...]:
    """Return the devices that a webhook names. Raises Faulty when it is none that is known."""
    event = webhook.text("webhook", "webhookEvent", longest=200)
    if event not in _HINTS:
        raise Faulty(fault_at("file.not_known", webhook.file, source=KIND))
    prefix, path = _HINTS[event]
    if path:
        ids = [webhook.text("event", *path, longest=100)]
    else:
        ids = [
            str(number)
            for name in ("groupAddedDevicesIds", "groupRemovedDevicesIds")
            for number in _numbers(webhook, name)
        ]
    return tuple(f"{prefix}:{number}" for number in ids if number)


def _numbers(webhook: Record, name: str) -> list[int]:
    event = webhook.value.get("event")
    found = event.get(name) if isinstance(event, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, int) for each in found):
        raise webhook.faulty("row.bad_shape", "event", name)
    return found


def _mobile_platform(record: Record) -> Platform:
    model = record.text("hardware", "modelIdentifier") or record.text("hardware", "model")
    if model.startswith("iPad"):
        return Platform.IPADOS
    kind = record.text("deviceType").lower()
    if kind == "ios" or model.startswith(("iPhone", "iPod")):
        return Platform.IOS
    return Platform.ANDROID if kind == "android" else Platform.OTHER


def _mobile_coverage(declared: str, ownership: Ownership) -> Coverage:
    """Personal devices show managed apps alone; only what is the house's own shows all."""
    if ownership is Ownership.PERSONAL:
        return Coverage.MANAGED_ONLY
    return Coverage.FULL if declared == "Institutional" else Coverage.UNKNOWN


def _owners(record: Record, address_key: str) -> tuple[str, ...]:
    texts = (
        record.text("userAndLocation", address_key),
        record.text("userAndLocation", "username"),
    )
    folded = (folded_address(text) for text in texts)
    return tuple(dict.fromkeys(owner for owner in folded if owner))


def _unsaid(record: Record) -> frozenset[Fact]:
    """Return what a section that is null leaves unsaid."""
    unsaid: set[Fact] = set()
    if not record.has("userAndLocation"):
        unsaid.add(Fact.OWNERS)
    if not record.has("general"):
        unsaid |= {Fact.NAME, Fact.OWNERSHIP, Fact.LAST_CONTACT, Fact.ALIASES}
    if not record.has("hardware"):
        unsaid |= {Fact.ALIASES, Fact.PLATFORM}
    if not record.has("general") and not record.has("operatingSystem"):
        unsaid.add(Fact.OS_VERSION)
    return frozenset(unsaid)
