"""What a dry run saw on devices, in the form that connectors are tested in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from countermand.connectors.wrapped import Wrapped

if TYPE_CHECKING:
    from countermand.domain.app_id import WantedApp
    from countermand.domain.inventory import DeviceReport
    from countermand.ports import InventorySource


def observed(
    reports: Sequence[DeviceReport], *, apps: Sequence[WantedApp], source: str
) -> dict[str, Any]:
    """Return what a dry run saw: one row for each device and app, and the presences by device."""
    rows = [
        observation(report, app, source=source) for report in reports for app in (apps or (None,))
    ]
    presence: dict[str, Any] = {}
    for row in rows:
        if row["app"] is None:
            continue
        if len(apps) == 1:
            presence[row["source_device_id"]] = row["presence"]
        else:
            presence.setdefault(row["source_device_id"], {})[row["app"]] = row["presence"]
    return {"observations": rows, "presence": presence}


def observation(report: DeviceReport, app: WantedApp | None, *, source: str) -> dict[str, Any]:
    """Return what one report says about one app, in the form that connectors are tested in."""
    rows = [row for row in report.matched if app is not None and row.match.app_id == app.app_id]
    found = sorted(rows, key=lambda row: row.version, reverse=True)
    return {
        "source": source,
        "source_device_id": report.source_device_id,
        "app": app.app_id if app is not None else None,
        "aliases": [{"kind": a.kind.value, "value": a.value} for a in report.aliases],
        "owners": list(report.owners),
        "platform": report.platform.value,
        "os_version": report.os_version,
        "ownership": report.ownership.value,
        "last_contact_at": _moment(report.last_contact_at),
        "inventory_at": _moment(report.inventory_at),
        "coverage": report.coverage.value,
        "asked": sorted(report.asked) if report.asked is not None else None,
        "matched_apps": [
            {
                "ident_kind": row.match.key.kind.value,
                "ident": row.match.key.value,
                "version": row.version,
                "name": row.name,
            }
            for row in found
        ],
        "presence": report.presence(app).value if app is not None else None,
    }


def _moment(at: datetime | None) -> str | None:
    """Write an instant as programming interfaces do: in UTC, with no more digits than it has."""
    if at is None:
        return None
    digits = "seconds" if not at.microsecond else "milliseconds"
    if at.microsecond % 1000:
        digits = "microseconds"
    return at.isoformat(timespec=digits).replace("+00:00", "Z")


class Witness(Wrapped):
    """A source whose reports are kept while they pass by, for a dry run to show them."""

    def __init__(self, source: InventorySource, *, keep: bool) -> None:
        super().__init__(source)
        self._keep = keep
        self.kept: list[DeviceReport] = []

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what the source says."""
        for report in super().reports():
            if self._keep:
                self.kept.append(report)
            yield report
