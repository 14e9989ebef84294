"""Reads Intune's own JSON: managed devices, and violations of a list of restricted apps.

Violations carry identifiers, which the bulk report of apps does not: they are the better evidence
that an app is there. That there is none proves nothing, since only devices under such a policy are
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from countermand.delimited import Row
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.errors import Fault
from countermand.domain.inventory import LONGEST_DEVICE_KEY, MatchedApp, platform_of
from countermand.row_faults import fault_at
from countermand.wire.json_documents import Faulty, Record, refuse_error
from countermand.wire.paged import Listing

_VIOLATIONS: Final = "restrictedAppsViolations"
_FIELDS: Final = (
    ("device_id", "id"),
    ("platform", "operatingSystem"),
    ("ownership", "managedDeviceOwnerType"),
    ("device_name", "deviceName"),
    ("os_version", "osVersion"),
    ("last_contact", "lastSyncDateTime"),
    ("eas_id", "easDeviceId"),
    ("serial", "serialNumber"),
    ("udid", "udid"),
    ("email", "emailAddress"),
    ("upn", "userPrincipalName"),
    ("entra_id", "azureADDeviceId"),
)


class GraphPages:
    """Pages of one load. After `rows()` is used up, the other members are complete."""

    def __init__(self, documents: Iterable[Record | Fault], *, matcher: Matcher) -> None:
        self._matcher = matcher
        self._devices: list[Record] = []
        self._listing = Listing()
        self._tells_apps = False
        self.faults: list[Fault] = []
        self.violations: dict[str, list[MatchedApp]] = {}
        for document in documents:
            if isinstance(document, Fault):
                self.faults.append(document)
                continue
            try:
                self._take(document)
            except Faulty as faulty:
                self.faults.append(faulty.fault)

    @property
    def lists_devices(self) -> bool:
        """Whether any page lists devices."""
        return bool(self._devices)

    @property
    def is_whole(self) -> bool:
        """Whether the last page of the devices is there, and as many of them as the first says."""
        return self._listing.is_whole

    @property
    def tells_its_beginning(self) -> bool:
        """Whether pages before those that are here could not be missing unnoticed."""
        return self._listing.tells_its_beginning or not self.lists_devices

    @property
    def tells_apps(self) -> bool:
        """Whether any page says something about apps, if only that there is no violation."""
        return self._tells_apps

    def rows(self) -> Iterator[Row]:
        """Yield the devices in the form of the bulk report. Raises Faulty."""
        for page in self._devices:
            for number, record in enumerate(page.records("value") or (), 1):
                values = ((name, record.text(key)) for name, key in _FIELDS)
                yield Row.of(page.file, number, values)

    def _take(self, document: Record) -> None:
        refuse_error(document, list_key="value")
        context = document.text("@odata.context")
        if "RestrictedAppsViolations" in context or _VIOLATIONS in context:
            self._tells_apps = True
            for record in document.records("value") or ():
                self._violation(record)
        elif context.split("?")[0].split("(")[0].endswith("deviceManagement/managedDevices"):
            self._devices.append(document)
            total = document.value.get("@odata.count")
            self._listing.took(
                (
                    each.text("id", longest=LONGEST_DEVICE_KEY)
                    for each in document.records("value") or ()
                ),
                is_last=not document.has("@odata.nextLink"),
                total=total if isinstance(total, int) else None,
            )
        else:
            raise Faulty(fault_at("file.not_known", document.file, source="intune"))

    def _violation(self, record: Record) -> None:
        """Keep the ordered apps that a device is reported for; the others leave no trace."""
        device = record.text("managedDeviceId", longest=LONGEST_DEVICE_KEY).lower()
        platform = _platform(record.text("platformType"))
        for app in record.records("restrictedApps") or ():
            identifier = app.value.get("appId")
            if not isinstance(identifier, str) or not self._matcher.mentions(identifier):
                continue
            found = self.violations.setdefault(device, [])
            matches = self._matcher.by_identifier(platform, identifier)
            found += [MatchedApp(match=match) for match in matches]


def _platform(text: str) -> Platform:
    if text.lower().startswith("android"):
        return Platform.ANDROID
    return platform_of(text) or Platform.OTHER
