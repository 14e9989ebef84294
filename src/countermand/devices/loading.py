"""One run of one source, chunk by chunk: only what differs is written.

Called inside a transaction that the caller may still roll back. A device that the run does not
list is marked as gone, never deleted; what is known of an app changes only by stronger evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from countermand.devices.models import Device, DeviceAlias, ImportRun, Observation
from countermand.domain.app_id import WantedApp
from countermand.domain.inventory import AliasKind, DeviceReport, Fact
from countermand.domain.presence import Evidence, Presence, merge, rhythm_of

CHUNK: Final = 2_000
_KNOWING: Final = frozenset({Presence.PRESENT, Presence.ABSENT})
_DEVICE_FIELDS: Final = (
    "person_id",
    "platform",
    "os_version",
    "ownership",
    "name",
    "short_id",
    "last_contact_at",
    "reads_mail",
    "gone_at",
)
_OBSERVATION_FIELDS: Final = (
    "presence",
    "coverage",
    "identifier",
    "identifier_kind",
    "publisher",
    "may_close",
    "inventory_at",
    "collected_at",
    "run_id",
)
_FACTS: Final = {
    "person_id": Fact.OWNERS,
    "platform": Fact.PLATFORM,
    "os_version": Fact.OS_VERSION,
    "ownership": Fact.OWNERSHIP,
    "name": Fact.NAME,
    "short_id": Fact.ALIASES,
    "last_contact_at": Fact.LAST_CONTACT,
    "reads_mail": Fact.READS_MAIL,
}


@dataclass(slots=True)
class Tally:
    """What a run did, in numbers; per app: what is known now, and how much of it turned over."""

    known_before: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    without_owner: int = 0
    presence: dict[str, Counter[str]] = field(default_factory=dict)
    judged_before: Counter[str] = field(default_factory=Counter)
    turned: Counter[str] = field(default_factory=Counter)

    @property
    def devices(self) -> int:
        """How many devices the run lists."""
        return self.new + self.changed + self.unchanged


@dataclass(frozen=True, slots=True)
class _Said:
    """One observation as it would be written."""

    evidence: Evidence
    values: Mapping[str, Any]


class Loader:
    """Writes the reports of one run."""

    def __init__(
        self, run: ImportRun, *, apps: Sequence[WantedApp], owners: Mapping[str, int]
    ) -> None:
        """Load into `run`; `owners` maps folded addresses to people."""
        self._run = run
        self._apps = apps
        self._owners = owners
        self._rhythm = rhythm_of(run.source)
        self._listed: set[str] = set()
        self.tally = Tally(presence={app.app_id: Counter() for app in apps})

    def load(self, reports: Iterable[DeviceReport]) -> Iterator[int]:
        """Write all reports; yield how many are done after each chunk."""
        for chunk in _chunks(reports):
            devices = self._devices(chunk)
            self._aliases(chunk, devices)
            self._observations([each for each in chunk if not each.is_gone], devices)
            self._listed.update(report.source_device_id for report in chunk)
            yield len(self._listed)

    def close(self, *, left_as_they_are: Iterable[str]) -> None:
        """Mark as gone what the run does not list, except devices whose row was left out."""
        listed = self._listed.union(left_as_they_are)
        here = Device.objects.filter(source=self._run.source, gone_at__isnull=True)
        missing = [
            pk
            for pk, device in here.values_list("pk", "source_device_id").iterator(CHUNK)
            if device not in listed
        ]
        for start in range(0, len(missing), CHUNK):
            batch = missing[start : start + CHUNK]
            Device.objects.filter(pk__in=batch).update(gone_at=self._run.as_of)
        self.tally.gone += len(missing)
        self.tally.known_before += len(missing)

    def weigh_part(self) -> None:
        """Hold what a part turned over against all that is known, not against itself alone."""
        ours = Observation.objects.filter(
            device__source=self._run.source, presence__in=[each.value for each in _KNOWING]
        )
        for app_id in self.tally.judged_before:
            self.tally.judged_before[app_id] = max(
                self.tally.judged_before[app_id], ours.filter(app_id=app_id).count()
            )
        here = Device.objects.filter(source=self._run.source, gone_at__isnull=True).count()
        self.tally.known_before = max(self.tally.known_before, here + self.tally.gone)

    def _devices(self, chunk: Sequence[DeviceReport]) -> dict[str, int]:
        """Write devices that are new or differ; return the keys of all of them."""
        ids = [report.source_device_id for report in chunk]
        known = {
            row.source_device_id: row
            for row in Device.objects.filter(source=self._run.source, source_device_id__in=ids)
        }
        to_write = []
        for report in chunk:
            row = known.get(report.source_device_id)
            values = self._device_values(report, row)
            same = row is not None and all(getattr(row, n) == v for n, v in values.items())
            if report.source_device_id not in self._listed:
                self._tally_device(row, values, same=same)
            self.tally.gone += report.is_gone and row is not None and row.gone_at is None
            if same:
                continue
            to_write.append(
                Device(source=self._run.source, source_device_id=report.source_device_id, **values)
            )
        written = Device.objects.bulk_create(
            to_write,
            update_conflicts=True,
            unique_fields=["source", "source_device_id"],
            update_fields=list(_DEVICE_FIELDS),
        )
        keys = {name: row.pk for name, row in known.items()}
        return keys | {row.source_device_id: row.pk for row in written}

    def _tally_device(self, row: Device | None, values: Mapping[str, Any], *, same: bool) -> None:
        self.tally.without_owner += values["person_id"] is None
        self.tally.known_before += row is not None and row.gone_at is None
        self.tally.unchanged += same
        self.tally.new += row is None
        self.tally.changed += row is not None and not same

    def _device_values(self, report: DeviceReport, row: Device | None) -> dict[str, Any]:
        """Return the fields of a device; what the report leaves unsaid stays as it was known."""
        owners = (self._owners.get(address) for address in report.owners)
        owner = next((owner for owner in owners if owner is not None), None)
        custodian = row.custodian_id if row is not None else None
        values = {
            "person_id": custodian or owner,  # a shared device is its custodian's
            "platform": report.platform.value,
            "os_version": report.os_version,
            "ownership": report.ownership.value,
            "name": report.name,
            "short_id": _short_id(report),
            "last_contact_at": report.last_contact_at,
            "reads_mail": report.reads_mail,
            "gone_at": (row and row.gone_at) or self._run.as_of if report.is_gone else None,
        }
        if row is None:
            return values
        kept = {name for name, fact in _FACTS.items() if fact in report.unsaid}
        return values | {name: getattr(row, name) for name in kept}

    def _aliases(self, chunk: Sequence[DeviceReport], devices: Mapping[str, int]) -> None:
        wanted = {
            (devices[report.source_device_id], alias.kind.value, alias.value)
            for report in chunk
            for alias in report.aliases
        }
        only_adding = {
            devices[report.source_device_id] for report in chunk if Fact.ALIASES in report.unsaid
        }
        # What a person confirmed stands, whatever the source names.
        ours = DeviceAlias.objects.filter(device_id__in=list(devices.values()))
        known = {
            (row.device_id, row.kind, row.value): row
            for row in ours.only("pk", "device_id", "kind", "value", "confirmed_by_id")
        }
        surplus = [
            row.pk
            for key, row in known.items()
            if key not in wanted and row.device_id not in only_adding and not row.confirmed_by_id
        ]
        if surplus:
            DeviceAlias.objects.filter(pk__in=surplus).delete()
        DeviceAlias.objects.bulk_create(
            DeviceAlias(device_id=device, kind=kind, value=value, first_seen_at=self._run.as_of)
            for device, kind, value in sorted(wanted - known.keys())
        )

    def _observations(self, chunk: Sequence[DeviceReport], devices: Mapping[str, int]) -> None:
        apps = [app.app_id for app in self._apps]
        rows = Observation.objects.filter(device_id__in=list(devices.values()), app_id__in=apps)
        known = {(row.device_id, row.app_id): row for row in rows}
        to_write = []
        for report in chunk:
            device = devices[report.source_device_id]
            for app in self._apps:
                row = known.get((device, app.app_id))
                said = self._stronger(row, self._said(report, app))
                self._count(app.app_id, row, said)
                if said is not None:
                    to_write.append(Observation(device_id=device, app_id=app.app_id, **said.values))
        Observation.objects.bulk_create(
            to_write,
            update_conflicts=True,
            unique_fields=["device", "app_id"],
            update_fields=list(_OBSERVATION_FIELDS),
        )

    def _said(self, report: DeviceReport, app: WantedApp) -> _Said:
        evidence = report.evidence(app, source=self._run.source, collected_at=self._run.as_of)
        found = report.found(app.app_id)
        return _Said(
            evidence=evidence,
            values={
                "presence": evidence.presence.value,
                "coverage": report.coverage.value,
                "identifier": found.match.key.value[:200] if found else "",
                "identifier_kind": found.match.key.kind.value if found else "",
                "publisher": found.publisher[:200] if found else "",
                # A signature counts in its own order alone: it is looked up there.
                "may_close": bool(found and found.match.may_close and not found.match.by_signature),
                "inventory_at": evidence.inventory_at,
                "collected_at": evidence.collected_at,
                "run_id": self._run.pk,
            },
        )

    def _stronger(self, row: Observation | None, new: _Said) -> _Said | None:
        """Return the new word if it is to be written, None if what stands there stays."""
        if row is None:
            return None if new.evidence.presence is Presence.UNKNOWN else new
        old = Evidence(
            presence=Presence(row.presence),
            inventory_at=row.inventory_at,
            collected_at=row.collected_at,
            refresh_cycle=self._rhythm.refresh_cycle,
        )
        # The new word comes first: at equal strength it stands, since an order may by now have
        # signed what it was matched by.
        if merge(new.evidence, old) is not new.evidence:
            return None
        return None if _says_the_same(row, new) else new

    def _count(self, app_id: str, row: Observation | None, said: _Said | None) -> None:
        before = Presence(row.presence) if row is not None else Presence.UNKNOWN
        now = said.evidence.presence if said is not None else before
        self.tally.presence[app_id][now.value] += 1
        if before in _KNOWING:
            self.tally.judged_before[app_id] += 1
            self.tally.turned[app_id] += now is not before


def _says_the_same(row: Observation, new: _Said) -> bool:
    """Whether writing would change nothing that anybody could tell."""
    same = all(
        getattr(row, name) == new.values[name]
        for name in (
            "presence",
            "coverage",
            "identifier",
            "identifier_kind",
            "publisher",
            "may_close",
        )
    )
    timeless = row.presence == Presence.UNOBSERVABLE
    same_time = row.inventory_at == new.evidence.inventory_at and (
        row.inventory_at is not None or row.collected_at == new.evidence.collected_at
    )
    return same and (timeless or same_time)


def _chunks(reports: Iterable[DeviceReport]) -> Iterator[list[DeviceReport]]:
    """Cut a run into chunks; no chunk speaks of one device twice, so that order is kept."""
    chunk: dict[str, DeviceReport] = {}
    for report in reports:
        if report.source_device_id in chunk or len(chunk) >= CHUNK:
            yield list(chunk.values())
            chunk = {}
        chunk[report.source_device_id] = report
    if chunk:
        yield list(chunk.values())


def _short_id(report: DeviceReport) -> str:
    """Return the last characters of a number that the owner can find on the device."""
    numbers = {alias.kind: alias.value for alias in report.aliases}
    number = numbers.get(AliasKind.SERIAL) or numbers.get(AliasKind.EAS_DEVICE_ID) or ""
    return (number or report.source_device_id)[-4:]


def as_of_last_load(source: str) -> datetime | None:
    """Return the time of the newest export that was loaded from a source."""
    loaded = ImportRun.objects.filter(source=source, state="loaded", complete=True)
    return loaded.order_by("-as_of").values_list("as_of", flat=True).first()
