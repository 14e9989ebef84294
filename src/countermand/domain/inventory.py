"""What every source of inventories is turned into: one device, and the ordered apps found on it.

Nothing about an app that no order names can be held in these values: a row that matches nothing
has no place here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from countermand.domain.app_id import AppMatch, Platform, WantedApp
from countermand.domain.errors import Fault
from countermand.domain.presence import Coverage, Evidence, Presence, judge, rhythm_of

# A longer key of a device is refused: cut, it could be that of another one.
LONGEST_DEVICE_KEY: Final = 200


class Ownership(StrEnum):
    """Who bought a device, as the source says."""

    CORPORATE = "corporate"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


class AliasKind(StrEnum):
    """Another name of a device; the first two are known at doors."""

    EAS_DEVICE_ID = "eas_device_id"
    DEVICE_PASSWORD = "device_password"  # noqa: S105 - the id of a password, not one
    UDID = "udid"
    ENROLLMENT_ID = "enrollment_id"
    SERIAL = "serial"
    ANDROID_ID = "android_id"
    ENTRA_DEVICE_ID = "entra_device_id"
    HOST_UUID = "host_uuid"
    GOOGLE_RESOURCE_ID = "google_resource_id"
    AMAPI_NAME = "amapi_name"
    CERT_SHA256 = "cert_sha256"
    CERT_SUBJECT = "cert_subject"


class Alias(NamedTuple):
    """One alias; build the aliases of a device with `aliases_of`."""

    kind: AliasKind
    value: str


def aliases_of(pairs: Iterable[tuple[AliasKind, str]]) -> tuple[Alias, ...]:
    """Return the aliases that name something: empty texts and all-zero ids are nobody's name."""
    kept = [Alias(kind, value.strip()) for kind, value in pairs if value and names_something(value)]
    if len(kept) == len({alias.value for alias in kept}):
        return tuple(kept)
    return tuple(dict.fromkeys(kept))


def names_something(value: str) -> bool:
    """Whether an id is one at all; sources write empty texts and zeros for “none”."""
    return bool(value.strip("0- {}")) and value.strip().lower() not in _NO_NAMES


_NO_NAMES = frozenset({"none", "null", "n/a", "na", "unknown", "-"})


class Fact(StrEnum):
    """What a report can leave unsaid about a device; it then stays as it was known."""

    OWNERS = "owners"
    ALIASES = "aliases"  # those that it names are added, none is dropped
    PLATFORM = "platform"
    OS_VERSION = "os_version"
    OWNERSHIP = "ownership"
    NAME = "name"
    LAST_CONTACT = "last_contact_at"
    READS_MAIL = "reads_mail"


@dataclass(frozen=True, slots=True)
class MatchedApp:
    """An ordered app that a source lists on a device; `seen_at` only if the row says so."""

    match: AppMatch
    name: str = ""
    version: str = ""
    seen_at: datetime | None = None
    publisher: str = ""


@dataclass(slots=True)  # not frozen: of a million devices that takes as long as reading one field
class DeviceReport:
    """What one run of one source says about one device.

    `inventory_at` is when the list of apps was taken (None: the source does not say);
    `complete` claims that no part of the app list is missing; `observable` is false where the
    source can never see personal apps of such a device; `unsaid` names the facts about which
    this report is silent, which is not the same as empty; `is_gone` says that the source let the
    device go.
    """

    source_device_id: str
    platform: Platform
    owners: tuple[str, ...] = ()  # addresses in lower case, the main one first
    aliases: tuple[Alias, ...] = ()
    os_version: str = ""
    ownership: Ownership = Ownership.UNKNOWN
    name: str = ""
    last_contact_at: datetime | None = None
    inventory_at: datetime | None = None
    coverage: Coverage = Coverage.UNKNOWN
    asked: frozenset[str] | None = None
    complete: bool = True
    observable: bool = True
    reads_mail: bool = True
    matched: tuple[MatchedApp, ...] = ()
    unsaid: frozenset[Fact] = frozenset()
    is_gone: bool = False

    def found(self, app_id: str) -> MatchedApp | None:
        """Return the row that says most about an app: one that may close, then the newest."""
        rows = [row for row in self.matched if row.match.app_id == app_id]
        return max(
            rows,
            key=lambda row: (row.match.may_close, row.seen_at is not None, row.seen_at or 0),
            default=None,
        )

    def presence(self, app: WantedApp) -> Presence:
        """Decide what this report says by itself about one ordered app."""
        return self._judged(app, matched=self.found(app.app_id) is not None)

    def _judged(self, app: WantedApp, *, matched: bool) -> Presence:
        return judge(
            matched=matched,
            coverage=self.coverage,
            asked=self.asked,
            wanted=app.must_be_asked(self.platform),
            complete=self.complete,
            observable=self.observable,
        )

    def evidence(self, app: WantedApp, *, source: str, collected_at: datetime) -> Evidence:
        """Return what this report says about one ordered app, with its times."""
        row = self.found(app.app_id)
        seen_at = row.seen_at if row is not None else None
        return Evidence(
            presence=self._judged(app, matched=row is not None),
            inventory_at=seen_at or self.inventory_at,
            collected_at=collected_at,
            refresh_cycle=rhythm_of(source).refresh_cycle,
        )


def told_late(report: DeviceReport, *, heard_at: datetime | None, is_gone: bool) -> DeviceReport:
    """Return what is left of a message when later ones were heard first.

    `heard_at` is when the device was heard of last, `is_gone` whether it has been let go. A late
    message tells which apps were there at its time, and nothing else that is not known better.
    """
    at = report.last_contact_at
    if at is None or heard_at is None or at >= heard_at:
        return report
    return replace(report, is_gone=is_gone, unsaid=frozenset(Fact))


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was left out: which record, why in a few words, and every fault of it."""

    device_id: str
    why: str
    faults: tuple[Fault, ...]

    @property
    def line(self) -> int | None:
        """The line on which the row begins."""
        return self.faults[0].line if self.faults else None

    @property
    def file(self) -> str | None:
        """The file that the row stands in."""
        return self.faults[0].file if self.faults else None


@lru_cache(maxsize=256)  # asked for every device of an inventory
def platform_of(text: str) -> Platform | None:
    """Read what sources write for a platform; None if it is no platform that we know.

    Management is often written along, as in “Android (personally-owned work profile)”.
    """
    word = "".join(c for c in text.lower() if c.isalnum())
    return _PLATFORM_WORDS.get(word, Platform.ANDROID if word.startswith("android") else None)


def platform_words() -> frozenset[str]:
    """Return every word that is read as a platform."""
    return frozenset(_PLATFORM_WORDS)


def ownership_of(text: str) -> Ownership:
    """Read what sources write for an owner; anything else is unknown."""
    return _OWNERSHIP_WORDS.get(text.strip().lower(), Ownership.UNKNOWN)


_PLATFORM_WORDS = {
    **{platform.value: platform for platform in Platform},
    "iphone": Platform.IOS,
    "iphoneos": Platform.IOS,
    "iosipados": Platform.IOS,
    "ipad": Platform.IPADOS,
    "mac": Platform.MACOS,
    "macosx": Platform.MACOS,
    "osx": Platform.MACOS,
    "darwin": Platform.MACOS,
    "win": Platform.WINDOWS,
    "windows10": Platform.WINDOWS,
    "windows11": Platform.WINDOWS,
    "windowsrt": Platform.WINDOWS,
    "ubuntu": Platform.LINUX,
    "debian": Platform.LINUX,
    "rhel": Platform.LINUX,
    "centos": Platform.LINUX,
    "fedora": Platform.LINUX,
    "chrome": Platform.CHROMEOS,
    "cros": Platform.CHROMEOS,
}
_OWNERSHIP_WORDS = {
    **dict.fromkeys(
        ("corporate", "company", "corporate-owned", "institutional", "work", "1"),
        Ownership.CORPORATE,
    ),
    **dict.fromkeys(
        ("personal", "byod", "personally-owned", "employee", "private", "2"),
        Ownership.PERSONAL,
    ),
}
