"""Loading an inventory: whole or not at all, only what differs, and nothing about other apps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from countermand.audit.models import Entry
from countermand.catalogue.queries import catalogue
from countermand.devices import actions, evidence, given_answers, queries, sightings
from countermand.devices.actions import LoadOptions, LoadReport, LoadState
from countermand.devices.models import Device, DeviceAlias, ImportRun, Observation
from countermand.domain.app_id import AppMatch, IdentifierKey, IdentifierKind, Platform
from countermand.domain.errors import Fault, FaultsFound
from countermand.domain.inventory import (
    Alias,
    AliasKind,
    DeviceReport,
    MatchedApp,
    RejectedRow,
)
from countermand.domain.presence import Answer, Coverage, Presence
from countermand.fault_list import FaultList
from countermand.people.models import Person

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])
KEY = IdentifierKey(IdentifierKind.APPLE_BUNDLE_ID, "com.zhiliaoapp.musically")
FOUND = MatchedApp(AppMatch("tiktok", KEY, may_close=True), name="TikTok", version="34")


@dataclass
class Told:
    """A source that says what a test tells it."""

    devices: Sequence[DeviceReport]
    rejected: list[RejectedRow] = field(default_factory=list)
    faults: FaultList = field(default_factory=FaultList)
    kind: str = "csv"
    is_whole: bool = True

    def reports(self) -> Iterator[DeviceReport]:
        yield from self.devices


def phone(number: int, at: datetime = DAY, *, carries: bool = False) -> DeviceReport:
    return DeviceReport(
        source_device_id=f"d{number}",
        platform=Platform.IOS,
        owners=(f"p{number}@example.org",),
        aliases=(Alias(AliasKind.EAS_DEVICE_ID, f"ABCDEF{number:04d}"),),
        inventory_at=at,
        coverage=Coverage.FULL,
        matched=(FOUND,) if carries else (),
    )


def load(source: Told, as_of: datetime = DAY, **options: bool) -> LoadReport:
    return actions.load_inventory(
        source,
        apps=TIKTOK,
        owners={p.address: p.pk for p in Person.objects.all()},
        as_of=as_of,
        now=as_of,
        actor_id=None,
        options=LoadOptions(**options),
    )


def say_removed(device_id: int, owner: Person, now: datetime) -> None:
    given_answers.record(
        device_id=device_id,
        person_id=owner.pk,
        app_id="tiktok",
        answer=Answer.REMOVED,
        actor_id=owner.pk,
        now=now,
    )


def presence(number: int) -> str:
    seen = Observation.objects.get(device__source_device_id=f"d{number}", app_id="tiktok")
    return seen.presence


def gone() -> set[str]:
    rows = Device.objects.filter(gone_at__isnull=False)
    return set(rows.values_list("source_device_id", flat=True))


FAULT = Fault("row.bad_time", "no time", "mend it", line=3, file="devices.csv")


def test_a_first_run_writes_devices_with_their_names_at_doors() -> None:
    owner = Person.objects.create(uid="p1", name="Asha", address="p1@example.org")

    report = load(Told([phone(1, carries=True), phone(2)]))

    assert (report.state, report.rows_ok, report.new) == (LoadState.LOADED, 2, 2)
    assert report.apps == {"tiktok": {"present": 1, "absent": 1}}
    assert report.without_owner == 1
    seen = sightings.of_people([owner.pk], ["tiktok"])
    assert seen[0].doors == ("ABCDEF0001",)
    assert seen[0].apps["tiktok"].presence is Presence.PRESENT
    assert seen[0].apps["tiktok"].may_close


def written_rows() -> list[tuple[object, ...]]:
    """Every row that a load may write, with the transaction that wrote it and where it lies."""
    tables = ("devices_device", "devices_devicealias", "devices_observation")
    rows: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT id, xmin::text, cmin::text, ctid::text FROM {table}")
            rows += cursor.fetchall()
    return sorted(rows, key=repr)


def test_the_same_run_again_writes_nothing_about_devices() -> None:
    source = Told([phone(n, carries=n % 2 == 0) for n in range(50)])
    load(source)
    before = written_rows()

    report = load(source)

    assert (report.unchanged, report.new, report.changed) == (50, 0, 0)
    assert len(before) == 150
    assert written_rows() == before


def test_statements_do_not_grow_with_devices() -> None:
    def statements(count: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            load(Told([phone(n) for n in range(count)]), dry_run=True)
        return len(captured)

    assert statements(500) == statements(5)


def test_the_database_knows_at_once_how_much_there_is() -> None:
    load(Told([phone(n, carries=True) for n in range(500)]))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reltuples FROM pg_class"
            " WHERE relname IN ('devices_device', 'devices_observation', 'devices_devicealias')"
        )
        assert all(rows >= 500 for _, rows in cursor.fetchall())


def test_a_device_that_is_not_listed_is_gone_and_comes_back() -> None:
    everyone = [phone(n) for n in range(10)]
    load(Told(everyone))
    load(Told(everyone[1:]), DAY + timedelta(hours=1))

    assert gone() == {"d0"}

    load(Told(everyone), DAY + timedelta(hours=2))

    assert gone() == set()


def test_a_device_whose_row_was_left_out_stays_as_it_was() -> None:
    everyone = [phone(n) for n in range(10)]
    load(Told(everyone))
    left_out = RejectedRow("d0", "last_seen invalid", (FAULT,))

    report = load(Told(everyone[1:], [left_out]), DAY + timedelta(hours=1), accept_rejects=True)

    assert report.state is LoadState.LOADED
    assert report.rejected == (left_out,)
    assert gone() == set()


def test_a_faulty_file_is_refused_whole_with_all_its_faults() -> None:
    load(Told([phone(n) for n in range(10)]))
    faulty = Told(
        [phone(n, carries=True) for n in range(20)],
        [RejectedRow("d1", "why", (FAULT,)), RejectedRow("d2", "why", (replace(FAULT, line=9),))],
    )

    with pytest.raises(FaultsFound) as refusal:
        load(faulty, DAY + timedelta(hours=1))

    assert [fault.line for fault in refusal.value] == [3, 9]
    assert Device.objects.count() == 10
    assert {presence(n) for n in range(10)} == {"absent"}
    assert list(ImportRun.objects.order_by("pk").values_list("state", flat=True)) == [
        "loaded",
        "refused",
    ]


def test_a_file_that_breaks_off_is_refused_even_with_accept_rejects() -> None:
    broken = Told([phone(1)], faults=FaultList([replace(FAULT, code="file.encoding")]))

    with pytest.raises(FaultsFound):
        load(broken, accept_rejects=True)

    assert not Device.objects.exists()


def test_a_dry_run_changes_nothing_and_leaves_no_trace() -> None:
    report = load(Told([phone(1, carries=True)]), dry_run=True)

    assert report.state is LoadState.TRIED
    assert report.apps == {"tiktok": {"present": 1}}
    assert not Device.objects.exists()
    assert not ImportRun.objects.exists()
    assert not Entry.objects.exists()


def test_an_older_export_never_replaces_a_newer_one() -> None:
    load(Told([phone(1)]), DAY)

    with pytest.raises(actions.OlderThanLoaded):
        load(Told([phone(2)]), DAY - timedelta(hours=1))

    assert gone() == set()


def test_an_export_from_times_to_come_is_refused() -> None:
    with pytest.raises(actions.ExportAhead):
        actions.load_inventory(
            Told([phone(1)]),
            apps=TIKTOK,
            owners={},
            as_of=DAY + timedelta(hours=5, minutes=30),
            now=DAY,
            actor_id=None,
            options=LoadOptions(),
        )

    assert not Device.objects.exists()


def test_a_run_that_would_drop_more_than_a_fifth_is_held() -> None:
    load(Told([phone(n) for n in range(20)]))
    narrowed = Told([phone(n) for n in range(15)])

    held = load(narrowed, DAY + timedelta(hours=1))

    assert held.state is LoadState.HELD
    assert [(c.what, c.count, c.out_of) for c in held.mass_changes] == [("gone", 5, 20)]
    assert gone() == set()
    assert [(each.source, each.devices) for each in queries.undecided()] == [("csv", 0)]

    confirmed = load(narrowed, DAY + timedelta(hours=1), confirm_mass_change=True)

    assert confirmed.state is LoadState.LOADED
    assert len(gone()) == 5


@pytest.mark.parametrize("before", [True, False], ids=["reopening", "cutting off"])
def test_a_run_that_would_flip_more_than_a_fifth_is_held_in_both_directions(before: bool) -> None:
    later = DAY + timedelta(hours=1)
    load(Told([phone(n, carries=before) for n in range(20)]))
    flipped = Told([phone(n, later, carries=before != (n < 5)) for n in range(20)])

    report = load(flipped, later)

    assert report.state is LoadState.HELD
    assert [(c.what, c.app_id, c.count) for c in report.mass_changes] == [("turned", "tiktok", 5)]
    assert {presence(n) for n in range(20)} == {"present" if before else "absent"}


def test_a_fifth_exactly_is_no_mass_change() -> None:
    load(Told([phone(n) for n in range(20)]))

    report = load(Told([phone(n) for n in range(16)]), DAY + timedelta(hours=1))

    assert report.state is LoadState.LOADED


def test_a_list_taken_earlier_does_not_make_an_app_vanish() -> None:
    load(Told([phone(1, DAY, carries=True)]))

    load(Told([phone(1, DAY - timedelta(hours=2))]), DAY + timedelta(hours=1))

    assert presence(1) == "present"


def test_a_list_without_a_time_counts_as_absence_after_a_whole_cycle_only() -> None:
    load(Told([phone(1, DAY, carries=True)]))
    timeless = Told([replace(phone(1), inventory_at=None)])

    load(timeless, DAY + timedelta(days=6))
    assert presence(1) == "present"

    load(timeless, DAY + timedelta(days=8))
    assert presence(1) == "absent"


MakeBlind = Callable[[DeviceReport], DeviceReport]


@pytest.mark.parametrize(
    "blind",
    [
        lambda report: replace(report, coverage=Coverage.MANAGED_ONLY),
        lambda report: replace(report, coverage=Coverage.UNKNOWN),
        lambda report: replace(report, complete=False),
        lambda report: replace(
            report, coverage=Coverage.ASKED, asked=frozenset({"org.example.other"})
        ),
    ],
    ids=["managed only", "unknown", "cut off", "asked for another"],
)
def test_a_blind_answer_leaves_things_as_they_are(blind: MakeBlind) -> None:
    later = DAY + timedelta(days=30)
    load(Told([phone(1, carries=True)]))

    load(Told([blind(phone(1, later))]), later)

    assert presence(1) == "present"


def test_what_can_never_be_seen_is_not_written_again() -> None:
    blind = replace(phone(1), observable=False)
    load(Told([blind]))
    before = written_rows()

    later = DAY + timedelta(hours=2)
    load(Told([replace(blind, inventory_at=later)]), later)

    assert presence(1) == "unobservable"
    assert written_rows() == before


def test_a_list_without_a_time_is_as_new_as_its_last_run() -> None:
    timeless = Told([replace(phone(1, carries=True), inventory_at=None)])
    load(timeless)
    later = DAY + timedelta(hours=2)

    load(timeless, later)

    assert Observation.objects.get().collected_at == later


def test_a_device_that_is_gone_went_when_it_was_first_missed() -> None:
    everyone = [phone(n) for n in range(10)]
    load(Told(everyone))
    first = DAY + timedelta(hours=1)
    load(Told(everyone[1:]), first)

    load(Told(everyone[2:]), DAY + timedelta(hours=2))

    assert Device.objects.get(source_device_id="d0").gone_at == first


def test_a_signature_counts_from_the_next_run_on() -> None:
    bare = replace(FOUND, match=replace(FOUND.match, may_close=False))
    load(Told([replace(phone(1), matched=(bare,))]))
    assert not Observation.objects.get().may_close

    load(Told([phone(1, carries=True)]))

    assert Observation.objects.get().may_close


def test_an_alias_that_the_source_no_longer_names_is_dropped() -> None:
    load(Told([phone(1)]))
    other = Alias(AliasKind.EAS_DEVICE_ID, "NEW")

    load(Told([replace(phone(1), aliases=(other,))]), DAY + timedelta(hours=1))

    assert list(DeviceAlias.objects.values_list("value", flat=True)) == ["NEW"]


def test_what_a_load_did_is_in_the_log_in_numbers_alone() -> None:
    load(Told([phone(1, carries=True)]))

    entry = Entry.objects.get()

    assert entry.event == "inventory.loaded"
    assert entry.facts["apps"] == {"tiktok": {"present": 1}}
    assert "example.org" not in str(entry.facts)


def test_spread_counts_what_was_never_looked_at_as_unknown() -> None:
    blind = replace(phone(3), coverage=Coverage.UNKNOWN)
    load(Told([phone(1, carries=True), phone(2), blind]))

    assert queries.spread("tiktok") == {
        Presence.PRESENT: 1,
        Presence.ABSENT: 1,
        Presence.UNKNOWN: 1,
    }


def test_a_list_without_a_time_is_no_newer_than_the_last_contact_with_its_device() -> None:
    """Intune repeats for months what a phone said that lies in a drawer since."""
    owner = Person.objects.create(uid="p1", name="Asha", address="p1@example.org")
    in_a_drawer = replace(phone(1, carries=True), inventory_at=None, last_contact_at=DAY)
    later = DAY + timedelta(days=40)
    load(Told([in_a_drawer], kind="intune"), later)
    device = Device.objects.get()
    say_removed(device.pk, owner, DAY + timedelta(days=20))

    seen = sightings.one(device.pk, ["tiktok"])

    assert seen is not None
    assert seen.apps["tiktok"].is_excused
    assert seen.apps["tiktok"].fresh_until == DAY + timedelta(days=8)
    [finding] = evidence.of_device(device.source_device_id)[0].findings
    assert finding.fresh_until == DAY + timedelta(days=8)


def silent_since(last_contact_at: datetime, *, carries: bool) -> DeviceReport:
    """A list without a time of its own, of a phone that nobody has heard of since."""
    return replace(phone(1, carries=carries), inventory_at=None, last_contact_at=last_contact_at)


def test_what_is_repeated_of_a_silent_device_outweighs_no_list_that_was_taken_since() -> None:
    load(Told([silent_since(DAY, carries=True)]), DAY + timedelta(days=40))

    load(Told([phone(1, DAY + timedelta(days=30))], is_whole=False), DAY + timedelta(days=41))

    assert presence(1) == "absent"


def test_what_is_repeated_of_a_silent_device_takes_back_nothing_that_was_seen_since() -> None:
    load(Told([phone(1, DAY + timedelta(days=20), carries=True)]), DAY + timedelta(days=20))

    load(Told([silent_since(DAY, carries=False)]), DAY + timedelta(days=40))

    assert presence(1) == "present"


def test_what_a_device_said_long_ago_is_no_newer_for_its_being_heard_of_again() -> None:
    load(Told([silent_since(DAY, carries=True)]), DAY + timedelta(days=40))
    says_nothing = replace(phone(1), coverage=Coverage.UNKNOWN, inventory_at=None)
    back = replace(says_nothing, last_contact_at=DAY + timedelta(days=41))

    load(Told([back]), DAY + timedelta(days=41))

    [finding] = evidence.of_device("d1")[0].findings
    assert (finding.presence, finding.heard_at) == (Presence.PRESENT, DAY)
    assert finding.fresh_until == DAY + timedelta(days=1)


def test_an_answer_is_kept_with_its_time_and_excuses_at_once() -> None:
    owner = Person.objects.create(uid="p1", name="Asha", address="p1@example.org")
    load(Told([phone(1, carries=True)]))
    device = Device.objects.get()

    say_removed(device.pk, owner, DAY + timedelta(minutes=1))

    seen = sightings.one(device.pk, ["tiktok"])
    assert seen is not None
    assert seen.apps["tiktok"].is_excused

    with pytest.raises(given_answers.DeviceNotKnown):
        say_removed(device.pk + 1, owner, DAY)
