"""Reads what Fleet answers; of apps that no order names, nothing leaves this module.

Which apps Fleet can see follows from how a host was enrolled. Its webhooks are unsigned and never
tell recovery, so they are hints: look at these hosts again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.inventory import (
    AliasKind,
    DeviceReport,
    Fact,
    Ownership,
    aliases_of,
    platform_of,
)
from countermand.domain.presence import Coverage
from countermand.row_faults import fault_at
from countermand.wire.json_documents import Faulty, Record, refuse_error
from countermand.wire.paged import Page, app_list

KIND: Final = "fleet"
ASKED: Final = "_asked"  # written by our own fetch: the identifiers that were asked for
_PHONES: Final = frozenset({Platform.IOS, Platform.IPADOS})
_LINUX_FAMILY: Final = frozenset(
    {"linux", "ubuntu", "debian", "rhel", "centos", "fedora", "amzn", "arch", "opensuse", "sles"}
)


class FleetReader:
    """Tells the documents of Fleet apart, and reads their hosts."""

    kind: Final = KIND

    def page(self, document: Record) -> Page:
        """Read a page of hosts, or a webhook."""
        if document.has("policy") or document.has("type"):
            return Page(is_message=True, look_again=hints(document))
        refuse_error(document, list_key="hosts")
        meta = document.value.get("meta")
        before = meta.get("has_previous_results") if isinstance(meta, dict) else None
        return Page(
            records=document.records("hosts") or (),
            list_name="hosts",
            is_first=not before if isinstance(before, bool) else None,
            is_last=not document.is_true("meta", "has_next_results"),
        )

    def device_id(self, record: Record) -> str:
        """Return Fleet's number of a host."""
        number = record.text("id", longest=100)
        if not number:
            raise record.faulty("row.bad_device_id", "id")
        return number

    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterator[DeviceReport]:
        """Yield the report of one host."""
        platform = _platform(record.text("platform"))
        status = record.text("mdm", "enrollment_status")
        coverage, observable = _sight(platform, status)
        software = record.records("software")
        apps = app_list(
            software,
            matcher=matcher,
            platform=platform,
            id_keys=("bundle_identifier", "application_id"),
            version_key="version",
        )
        owners = _owners(record)
        asked = frozenset(record.texts(ASKED)) or None
        if coverage is Coverage.FULL and asked is not None:
            coverage = Coverage.ASKED
        yield DeviceReport(
            source_device_id=self.device_id(record),
            platform=platform,
            owners=owners or (),
            aliases=aliases_of(
                (
                    (AliasKind.HOST_UUID, record.text("uuid")),
                    (AliasKind.SERIAL, record.text("hardware_serial")),
                )
            ),
            os_version=_version(record.text("os_version")),
            ownership=_ownership(status),
            name=(record.text("display_name") or record.text("hostname"))[:200],
            last_contact_at=record.time("seen_time", as_of=as_of, clamp=True),
            inventory_at=record.time("software_updated_at", as_of=as_of, clamp=True),
            coverage=coverage if software is not None or not observable else Coverage.UNKNOWN,
            asked=asked,
            complete=apps.is_whole,
            observable=observable,
            matched=apps.matched,
            unsaid=frozenset({Fact.OWNERS} if owners is None else ()),
        )


def hints(webhook: Record) -> tuple[str, ...]:
    """Return the hosts that a webhook names by number; an activity names none."""
    hosts = webhook.records("hosts")
    if hosts is None and not webhook.has("details"):
        raise Faulty(fault_at("file.not_known", webhook.file, source=KIND))
    return tuple(number for host in hosts or () if (number := host.text("id", longest=100)))


def _platform(text: str) -> Platform:
    if text.lower() in _LINUX_FAMILY:
        return Platform.LINUX
    return platform_of(text) or Platform.OTHER


def _ownership(status: str) -> Ownership:
    if "personal" in status.lower():
        return Ownership.PERSONAL
    return Ownership.CORPORATE if "automatic" in status.lower() else Ownership.UNKNOWN


def _sight(platform: Platform, status: str) -> tuple[Coverage, bool]:
    """Return which apps Fleet lists for such a host, and whether it can ever see personal ones."""
    automatic = "automatic" in status.lower()
    if platform in _PHONES:
        return (Coverage.FULL, True) if automatic else (Coverage.MANAGED_ONLY, False)
    if platform is Platform.ANDROID:
        return (Coverage.FULL, True) if automatic else (Coverage.WORK_PROFILE_ONLY, False)
    return Coverage.FULL, True


def _owners(record: Record) -> tuple[str, ...] | None:
    """Return the addresses of a host, the one from the sign-in service first; None: not said.

    A list of hosts has them as `device_mapping`, null for a host that is nobody's; a single host as
    `end_users`.
    """
    mapped, users = record.records("device_mapping"), record.records("end_users")
    if users is None and "device_mapping" not in record.value:
        return None
    texts = [user.text("idp_username") for user in users or ()]
    others = [row for user in users or () for row in user.records("other_emails") or ()]
    ranked = sorted(
        (*(mapped or ()), *others), key=lambda row: row.text("source") != "mdm_idp_accounts"
    )
    folded = (folded_address(text) for text in (*texts, *(row.text("email") for row in ranked)))
    return tuple(dict.fromkeys(owner for owner in folded if owner))


def _version(text: str) -> str:
    words = [word for word in text.split() if word[:1].isdigit()]
    return (words[0] if words else text)[:50]
