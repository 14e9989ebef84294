"""Loading by sets is what loading row by row would be: the same random runs through both.

The plain model below keeps dictionaries and asks `domain.presence.merge`; whatever a run writes,
counts or holds has to be the same, row by row and number by number.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from countermand.devices import said_rows
from countermand.devices.loading import Loader
from countermand.devices.models import Device, DeviceAlias, ImportRun, Observation
from countermand.domain.app_id import AppMatch, IdentifierKey, IdentifierKind, Platform, WantedApp
from countermand.domain.inventory import (
    Alias,
    AliasKind,
    DeviceReport,
    Fact,
    MatchedApp,
    Ownership,
)
from countermand.domain.presence import Coverage, Evidence, Presence, heard_at, merge, rhythm_of

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 1, 6, tzinfo=UTC)
APPS = (WantedApp("clips"), WantedApp("chess"))
ADDRESSES = ("asha@example.org", "ravi@example.org", "unknown@example.org")
OWNERS = {"asha@example.org": 11, "ravi@example.org": 12}
CUSTODIAN, HELPER = 13, 14
KNOWING = {"present", "absent"}
FIELDS = (
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
SAYS = (
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

# -- runs that may happen -------------------------------------------------------------------------

# Few, and half a refresh cycle apart: ties are what the rule is about.
moments = st.integers(0, 5).map(lambda half: START + timedelta(hours=84 * half))
texts = st.sampled_from(
    ["", "phone", "आशा का फ़ोन", 'a"b\\c', "two\tlines\nhere", r"\N", "NULL", "{}"]
)
aliases = st.lists(
    st.builds(
        Alias,
        st.sampled_from([AliasKind.SERIAL, AliasKind.EAS_DEVICE_ID, AliasKind.UDID]),
        st.sampled_from(["A1", "b,2", 'c"3', "d\\4", "null", "e 5", "f\t6"]),
    ),
    max_size=3,
).map(tuple)
matches = st.builds(
    AppMatch,
    st.sampled_from(["clips", "chess", "another"]),
    st.builds(
        IdentifierKey, st.sampled_from(IdentifierKind), st.sampled_from(["a.b", "A\\b", "क"])
    ),
    may_close=st.booleans(),
    by_signature=st.booleans(),
)
found = st.lists(
    st.builds(
        MatchedApp,
        matches,
        seen_at=st.none() | moments,
        publisher=st.sampled_from(["", "Maker", "x" * 250]),
    ),
    max_size=2,
).map(tuple)
reports = st.builds(
    DeviceReport,
    source_device_id=st.sampled_from(["d1", "d2", "d\\3", "फ़ोन"]),
    platform=st.sampled_from(Platform),
    owners=st.lists(st.sampled_from(ADDRESSES), max_size=2).map(tuple),
    aliases=aliases,
    os_version=st.sampled_from(["", "19.1"]),
    ownership=st.sampled_from(Ownership),
    name=texts,
    last_contact_at=st.none() | moments,
    inventory_at=st.none() | moments,
    coverage=st.sampled_from([Coverage.FULL, Coverage.UNKNOWN, Coverage.MANAGED_ONLY]),
    asked=st.none() | st.just(frozenset({"a.b"})),
    complete=st.booleans(),
    observable=st.booleans(),
    reads_mail=st.booleans(),
    matched=found,
    unsaid=st.just(frozenset[Fact]()) | st.frozensets(st.sampled_from(Fact)),
    is_gone=st.sampled_from([False, False, False, True]),
)


@dataclass(frozen=True)
class Run:
    """One run, and what people did before it."""

    reports: tuple[DeviceReport, ...]
    as_of: datetime
    is_whole: bool
    left: tuple[str, ...]
    confirmed: tuple[str, Alias] | None
    shared: str


runs = st.builds(
    Run,
    st.lists(reports, max_size=6).map(tuple),
    moments,
    st.booleans(),
    st.sampled_from([(), ("d1",)]),
    st.none()
    | st.tuples(st.sampled_from(["d1", "d2"]), st.just(Alias(AliasKind.EAS_DEVICE_ID, "A1"))),
    st.sampled_from(["", "", "d1"]),
)

# -- the plain model ------------------------------------------------------------------------------


@dataclass
class Model:
    """What is known, in dictionaries."""

    source: str
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    custodians: dict[str, int] = field(default_factory=dict)
    names: dict[tuple[str, str, str], tuple[datetime, int | None]] = field(default_factory=dict)
    seen: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    turned: set[tuple[str, str]] = field(default_factory=set)

    def load(self, run: Run, number: int) -> dict[str, Any]:
        tally: dict[str, Any] = dict.fromkeys(
            ("known_before", "new", "changed", "unchanged", "gone", "without_owner"), 0
        )
        tally |= {"judged_before": Counter[str](), "turned": Counter[str]()}
        tally |= {"newly_turned": Counter[str](), "arrived": 0}
        tally["presence"] = {app.app_id: Counter[str]() for app in APPS}
        listed: set[str] = set()
        for report in run.reports:
            self.take_device(
                report, run.as_of, tally, is_first=report.source_device_id not in listed
            )
            listed.add(report.source_device_id)
            self.take_names(report, run.as_of)
            if not report.is_gone:
                for app in APPS:
                    self.take_app(report, app, run.as_of, number, tally)
        if run.is_whole:
            for device, row in self.devices.items():
                if device not in {*listed, *run.left} and row["gone_at"] is None:
                    row["gone_at"] = run.as_of
                    tally["gone"] += 1
                    tally["known_before"] += 1
        return tally

    def take_device(
        self, report: DeviceReport, as_of: datetime, tally: dict[str, Any], *, is_first: bool
    ) -> None:
        device = report.source_device_id
        row = self.devices.get(device)
        owner = next((OWNERS[a] for a in report.owners if a in OWNERS), None)
        numbers = {alias.kind: alias.value for alias in report.aliases}
        shown = numbers.get(AliasKind.SERIAL) or numbers.get(AliasKind.EAS_DEVICE_ID) or device
        values = {
            "person_id": self.custodians.get(device) or owner,
            "platform": report.platform.value,
            "os_version": report.os_version,
            "ownership": report.ownership.value,
            "name": report.name,
            "short_id": shown[-4:],
            "last_contact_at": report.last_contact_at,
            "reads_mail": report.reads_mail,
            "gone_at": ((row and row["gone_at"]) or as_of) if report.is_gone else None,
        }
        facts = {"person_id": Fact.OWNERS, "short_id": Fact.ALIASES} | {
            name: Fact(name) for name in FIELDS if name in set(Fact)
        }
        if row is not None:
            values |= {name: row[name] for name, fact in facts.items() if fact in report.unsaid}
        was_here = row is not None and row["gone_at"] is None
        tally["gone"] += report.is_gone and was_here
        tally["arrived"] += not report.is_gone and not was_here
        if is_first:
            tally["without_owner"] += values["person_id"] is None
            tally["known_before"] += was_here
            tally["new" if row is None else "unchanged" if row == values else "changed"] += 1
        self.devices[device] = values

    def take_names(self, report: DeviceReport, as_of: datetime) -> None:
        device = report.source_device_id
        told = {(device, alias.kind.value, alias.value) for alias in report.aliases}
        for key, (_, confirmed_by) in list(self.names.items()):
            is_ours = key[0] == device and Fact.ALIASES not in report.unsaid
            if is_ours and key not in told and confirmed_by is None:
                del self.names[key]
        for key in told:
            self.names.setdefault(key, (as_of, None))

    def take_app(
        self,
        report: DeviceReport,
        app: WantedApp,
        as_of: datetime,
        number: int,
        tally: dict[str, Any],
    ) -> None:
        key = (report.source_device_id, app.app_id)
        new, old = self.said(report, app, as_of, number), self.seen.get(key)
        before = old["presence"] if old else "unknown"
        if self.stands(old, new):
            self.seen[key] = new
        now = self.seen[key]["presence"] if key in self.seen else "unknown"
        tally["presence"][app.app_id][now] += 1
        if before in KNOWING:
            tally["judged_before"][app.app_id] += 1
            tally["turned"][app.app_id] += now != before
            tally["newly_turned"][app.app_id] += now != before and key not in self.turned
            if now != before:
                self.turned.add(key)

    def said(
        self, report: DeviceReport, app: WantedApp, as_of: datetime, number: int
    ) -> dict[str, Any]:
        row = report.found(app.app_id)
        taken_at = (row.seen_at if row else None) or report.inventory_at
        contact_at = self.devices[report.source_device_id]["last_contact_at"]
        return {
            "presence": report.presence(app).value,
            "coverage": report.coverage.value,
            "identifier": row.match.key.value if row else "",
            "identifier_kind": row.match.key.kind.value if row else "",
            "publisher": row.publisher[:200] if row else "",
            "may_close": bool(row and row.match.may_close and not row.match.by_signature),
            "inventory_at": taken_at,
            "collected_at": as_of if taken_at else heard_at(as_of, contact_at),
            "run_id": number,
        }

    def stands(self, old: dict[str, Any] | None, new: dict[str, Any]) -> bool:
        if old is None:
            return bool(new["presence"] != "unknown")
        ours, theirs = self.evidence(new), self.evidence(old)
        if merge(ours, theirs) is not ours:
            return False
        words = SAYS[:6]
        if [old[name] for name in words] != [new[name] for name in words]:
            return True
        if old["presence"] == "unobservable":
            return False
        if old["inventory_at"] is None and new["inventory_at"] is None:
            return bool(old["collected_at"] != new["collected_at"])
        return bool(old["inventory_at"] != new["inventory_at"])

    def evidence(self, row: dict[str, Any]) -> Evidence:
        return Evidence(
            Presence(row["presence"]),
            row["inventory_at"],
            row["collected_at"],
            rhythm_of(self.source).refresh_cycle,
        )


# -- the same through the database ----------------------------------------------------------------


def loaded(source: str, run: Run, batch: int) -> tuple[int, dict[str, Any]]:
    row = ImportRun.objects.create(source=source, as_of=run.as_of, started_at=START, state="loaded")
    loader = Loader(row, apps=APPS, owners=OWNERS, counted_from=START)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(said_rows, "BATCH", batch)
        done = list(loader.load(run.reports))
    assert done[-1:] == [len({report.source_device_id for report in run.reports})]
    if run.is_whole:
        loader.close(left_as_they_are=run.left)
    tally = loader.tally
    names = ("known_before", "new", "changed", "unchanged", "gone", "without_owner", "arrived")
    counted: dict[str, Any] = {name: getattr(tally, name) for name in names}
    counted |= {
        "presence": tally.presence,
        "judged_before": tally.judged_before,
        "turned": tally.turned,
        "newly_turned": tally.newly_turned,
    }
    return row.pk, counted


def stored(source: str) -> tuple[object, object, object]:
    mine = Device.objects.filter(source=source)
    seen = Observation.objects.filter(device__source=source).select_related("device")
    names = DeviceAlias.objects.filter(device__source=source).select_related("device")
    return (
        {row.source_device_id: {name: getattr(row, name) for name in FIELDS} for row in mine},
        {
            (row.device.source_device_id, row.kind, row.value): (
                row.first_seen_at,
                row.confirmed_by_id,
            )
            for row in names
        },
        {
            (row.device.source_device_id, row.app_id): {name: getattr(row, name) for name in SAYS}
            for row in seen
        },
    )


def people_acted(model: Model, run: Run) -> None:
    """Confirm a name, and make a device a shared one, here and there."""
    if run.confirmed and run.confirmed[0] in model.devices:
        device, alias = run.confirmed
        key = (device, alias.kind.value, alias.value)
        row = Device.objects.get(source=model.source, source_device_id=device)
        if key not in model.names:
            model.names[key] = (run.as_of, HELPER)
            DeviceAlias.objects.create(
                device=row,
                kind=alias.kind,
                value=alias.value,
                first_seen_at=run.as_of,
                confirmed_by_id=HELPER,
            )
    if run.shared and run.shared in model.devices:
        model.custodians[run.shared] = CUSTODIAN
        model.devices[run.shared]["person_id"] = CUSTODIAN
        Device.objects.filter(source=model.source, source_device_id=run.shared).update(
            custodian_id=CUSTODIAN, person_id=CUSTODIAN
        )


@pytest.mark.timeout(240)  # hundreds of runs: a minute is short on a busy machine
@given(
    source=st.sampled_from(["csv", "intune", "fleet:berlin"]),
    told=st.lists(runs, max_size=5),
    batch=st.sampled_from([1, 2, 1_000]),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # runs of runs take minutes to shrink
    max_examples=settings().max_examples // 2,  # each is up to five loads, twice
)
def test_sets_write_and_count_what_rows_one_by_one_would(
    source: str, told: Sequence[Run], batch: int
) -> None:
    with transaction.atomic():
        model = Model(source)
        for run in told:
            people_acted(model, run)
            number, counted = loaded(source, run, batch)
            assert counted == model.load(run, number)
            assert stored(source) == (model.devices, model.names, model.seen)
        transaction.set_rollback(True)
