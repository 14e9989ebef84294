"""Reads what Google Workspace answers; of other apps, nothing leaves this module.

Apps are listed for Android alone, and wholly only where the managed account is the owner's own.
The activity feed tells of one package at a time, late and out of order: an installation is taken
as seen, a removal is a hint to look at the device again, since it proves nothing about the other
packages of the same app.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.inventory import (
    LONGEST_DEVICE_KEY,
    AliasKind,
    DeviceReport,
    Fact,
    MatchedApp,
    Ownership,
    aliases_of,
)
from countermand.domain.presence import Coverage
from countermand.wire.json_documents import Record, refuse_error
from countermand.wire.paged import Page, app_list

KIND: Final = "workspace"


class WorkspaceReader:
    """Tells the device list and the activity feed apart, and reads their devices."""

    kind: Final = KIND

    def page(self, document: Record) -> Page:
        """Read a page of devices, or of activities (applied in the order of their times)."""
        if document.text("kind") == "admin#reports#activities":
            listed = document.records("items") or ()
            items = sorted(listed, key=lambda each: each.text("id", "time"))
            about = [each for each in items if _is_about_an_app(each)]
            named = [each for each in about if _device_of(each)]
            return Page(
                records=named,
                is_message=True,
                look_again=tuple(dict.fromkeys(self.device_id(each) for each in named)),
                unread=tuple(
                    each.faulty("row.bad_device_id", "RESOURCE_ID").fault
                    for each in about
                    if not _device_of(each)
                ),
            )
        if document.text("kind") == "admin#directory#mobiledevices" and not document.has(
            "mobiledevices"
        ):
            return Page(list_name="devices")  # Google leaves out a list that is empty
        refuse_error(document, list_key="mobiledevices")
        records = document.records("mobiledevices") or ()
        more = bool(document.text("nextPageToken"))
        return Page(records=records, list_name="devices", is_last=not more)

    def device_id(self, record: Record) -> str:
        """Return the resource id of a device."""
        found = _device_of(record)
        if not found:
            raise record.faulty("row.bad_device_id", "resourceId")
        return found

    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        """Yield the report of one device, or of one activity."""
        if record.has("events"):
            yield from self._activity(record, matcher, as_of)
            return
        platform, version = _system(record)
        listed = record.records("applications")
        apps = app_list(
            listed,
            matcher=matcher,
            platform=platform,
            id_keys=("packageName",),
            version_key="versionName",
            name_key="displayName",
        )
        coverage, observable = _sight(record, platform, lists_apps=listed is not None)
        synced_at = record.time("lastSync", as_of=as_of, clamp=True)
        folded = (folded_address(text) for text in record.texts("email"))
        mail_id = record.text("deviceId") if record.text("type") == "GOOGLE_SYNC" else ""
        yield DeviceReport(
            source_device_id=self.device_id(record),
            platform=platform,
            owners=tuple(dict.fromkeys(owner for owner in folded if owner)),
            aliases=aliases_of(
                (
                    (AliasKind.EAS_DEVICE_ID, mail_id),
                    (AliasKind.SERIAL, record.text("serialNumber")),
                )
            ),
            os_version=version,
            ownership=Ownership.UNKNOWN,
            name=record.text("model")[:200],
            last_contact_at=synced_at,
            inventory_at=synced_at,
            coverage=coverage,
            complete=apps.is_whole,
            observable=observable,
            matched=apps.matched,
        )

    def _activity(
        self, record: Record, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        told = _parameters(record)
        package = told.get("APPLICATION_ID", "")
        if not _is_about_an_app(record) or not matcher.mentions(package):
            return
        at = record.time("id", "time", as_of=as_of, clamp=True)
        is_there = told.get("APPLICATION_STATE") == "INSTALLED"
        matches = matcher.by_identifier(Platform.ANDROID, package) if is_there else ()
        owner = folded_address(told.get("USER_EMAIL", ""))
        yield DeviceReport(
            source_device_id=self.device_id(record),
            platform=Platform.ANDROID,
            owners=(owner,) if owner else (),
            inventory_at=at,
            coverage=Coverage.ASKED,
            asked=frozenset({package}),
            complete=False,
            matched=tuple(MatchedApp(match=match) for match in matches),
            unsaid=frozenset(Fact),
        )


def hints(activity: Record, matcher: Matcher) -> tuple[str, ...]:
    """Return the device of one activity, if it is about an ordered app."""
    told = _parameters(activity)
    if not _is_about_an_app(activity) or not matcher.mentions(told.get("APPLICATION_ID", "")):
        return ()
    found = told.get("RESOURCE_ID", "")
    return (found,) if found else ()


def _device_of(record: Record) -> str:
    """Return the resource id; Google promises none in an activity."""
    found = record.text("resourceId", longest=LONGEST_DEVICE_KEY)
    found = found or _parameters(record).get("RESOURCE_ID", "")
    return found if len(found) <= LONGEST_DEVICE_KEY else ""


def _is_about_an_app(record: Record) -> bool:
    events = record.records("events") or ()
    return any(each.text("name") == "APPLICATION_EVENT" for each in events)


def _parameters(record: Record) -> dict[str, str]:
    """Return the parameters of an activity by name; values that are no text are left out."""
    found: dict[str, str] = {}
    for event in record.records("events") or ():
        for each in event.records("parameters") or ():
            value: Any = each.value.get("value")
            if isinstance(value, str) and len(value) <= 400:  # noqa: PLR2004
                found[each.text("name")] = value
    return found


def _system(record: Record) -> tuple[Platform, str]:
    """Return platform and version out of texts such as `Android 14` or `iOS 16.7.8`."""
    name, _, version = record.text("os").partition(" ")
    version = version.strip()[:50]
    if name.lower() == "android" or record.text("type") == "ANDROID":
        return Platform.ANDROID, version
    if name.lower() in {"ios", "ipados", "iphone"}:
        tablet = "ipad" in record.text("model").lower()
        return (Platform.IPADOS if tablet else Platform.IOS), version
    return Platform.OTHER, version


def _sight(record: Record, platform: Platform, *, lists_apps: bool) -> tuple[Coverage, bool]:
    """Return which apps are listed, and whether personal ones can ever be seen."""
    listing = record.text("type") not in {"GOOGLE_SYNC", "IOS_SYNC"}
    if platform is not Platform.ANDROID or not listing:
        return Coverage.NONE, False
    if not record.is_true("managedAccountIsOnOwnerProfile"):
        return Coverage.WORK_PROFILE_ONLY, False
    return (Coverage.FULL if lists_apps else Coverage.NONE), True
