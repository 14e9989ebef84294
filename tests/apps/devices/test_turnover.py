"""The guard against mass changes looks at a day: one list and a thousand events meet the same one.

The oracle counts in a dictionary which devices the source spoke of; it knows nothing of hours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermand.audit.models import Entry
from countermand.catalogue.queries import catalogue
from countermand.devices import actions, forgetting, given_answers, turnover
from countermand.devices.actions import LoadOptions, LoadReport, LoadState
from countermand.devices.models import Device, HeldDevice, ImportRun, Observation, Turnover
from countermand.domain.app_id import AppMatch, IdentifierKey, IdentifierKind, Platform
from countermand.domain.inventory import DeviceReport, MatchedApp, RejectedRow
from countermand.domain.presence import Answer, Coverage
from countermand.fault_list import FaultList

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIKTOK = catalogue().wanted(["tiktok"])
KEY = IdentifierKey(IdentifierKind.APPLE_BUNDLE_ID, "com.zhiliaoapp.musically")
FOUND = MatchedApp(AppMatch("tiktok", KEY, may_close=True), name="TikTok", version="34")
FLEET = 20  # a fifth of them is 4


@dataclass
class Told:
    """What a source says at once: a whole list, or an event about a few devices."""

    devices: Sequence[DeviceReport]
    is_whole: bool = False
    rejected: list[RejectedRow] = field(default_factory=list)
    faults: FaultList = field(default_factory=FaultList)
    kind: str = "nanomdm"

    def reports(self) -> Iterator[DeviceReport]:
        yield from self.devices


def phone(
    number: int, at: datetime, *, carries: bool = False, is_gone: bool = False
) -> DeviceReport:
    return DeviceReport(
        source_device_id=f"d{number}",
        platform=Platform.IOS,
        inventory_at=at,
        coverage=Coverage.FULL,
        matched=(FOUND,) if carries else (),
        is_gone=is_gone,
    )


def load(told: Told, at: datetime, **options: bool) -> LoadReport:
    chosen = LoadOptions(**options)
    return actions.load_inventory(
        told, apps=TIKTOK, owners={}, as_of=at, now=at, actor_id=None, options=chosen
    )


def begin(*, carrying: bool = False) -> None:
    everyone = [phone(n, DAY, carries=carrying) for n in range(FLEET)]
    assert load(Told(everyone, is_whole=True), DAY).state is LoadState.LOADED


def carrying() -> set[int]:
    rows = Observation.objects.filter(presence="present", device__gone_at__isnull=True)
    return {int(each[1:]) for each in rows.values_list("device__source_device_id", flat=True)}


def gone() -> set[int]:
    rows = Device.objects.filter(gone_at__isnull=False)
    return {int(each[1:]) for each in rows.values_list("source_device_id", flat=True)}


def events(numbers: Sequence[int], start: datetime, **said: bool) -> list[LoadState]:
    return [
        load(Told([phone(n, start + i * MINUTE, **said)]), start + i * MINUTE).state
        for i, n in enumerate(numbers)
    ]


def test_a_source_gone_mad_flips_a_fifth_event_by_event_and_then_no_more() -> None:
    begin()

    states = events(range(8), DAY + timedelta(hours=1), carries=True)

    assert states == [LoadState.LOADED] * 4 + [LoadState.HELD] * 4
    assert carrying() == {0, 1, 2, 3}


def test_a_source_that_lets_devices_go_one_by_one_is_held_as_well() -> None:
    begin()

    states = events(range(8), DAY + timedelta(hours=1), is_gone=True)

    assert states == [LoadState.LOADED] * 4 + [LoadState.HELD] * 4
    assert gone() == {0, 1, 2, 3}


def test_a_list_that_finds_an_app_nowhere_any_more_is_held_however_few_had_it() -> None:
    def listed(at: datetime, carriers: int) -> Told:
        return Told([phone(n, at, carries=n < carriers) for n in range(100)], is_whole=True)

    load(listed(DAY, 12), DAY)
    later = DAY + timedelta(hours=6)

    held = load(listed(later, 0), later)

    assert [(c.what, c.count) for c in held.mass_changes] == [("cleared", 12)]
    assert (held.state, len(carrying())) == (LoadState.HELD, 12)
    assert load(listed(later, 1), later).state is LoadState.LOADED  # all but one removed it
    assert len(carrying()) == 1


def test_nine_who_lost_an_app_are_believed_and_so_is_a_person_about_more() -> None:
    def listed(at: datetime, carriers: int) -> Told:
        return Told([phone(n, at, carries=n < carriers) for n in range(100)], is_whole=True)

    load(listed(DAY, 9), DAY)
    assert load(listed(DAY + MINUTE, 0), DAY + MINUTE).state is LoadState.LOADED

    later = DAY + timedelta(days=2)
    load(listed(later, 12), later)
    much_later = later + timedelta(days=2)
    confirmed = load(listed(much_later, 0), much_later, confirm_mass_change=True)
    assert (confirmed.state, carrying()) == (LoadState.LOADED, set())


def test_what_a_day_ago_turned_over_no_longer_counts() -> None:
    begin()
    events(range(4), DAY + timedelta(hours=1), carries=True)

    a_day_later = DAY + timedelta(hours=26)

    assert events(range(4, 9), a_day_later, carries=True) == [LoadState.LOADED] * 4 + [
        LoadState.HELD
    ]


def test_a_source_that_comes_to_its_senses_is_believed_at_once() -> None:
    begin()
    events(range(8), DAY + timedelta(hours=1), carries=True)

    states = events(range(8), DAY + timedelta(hours=2))

    assert states == [LoadState.LOADED] * 8
    assert carrying() == set()
    assert not HeldDevice.objects.exists()  # nobody is left to decide about anything


def test_what_else_a_source_says_is_taken_over_while_flips_are_held() -> None:
    begin()
    events(range(8), DAY + timedelta(hours=1), carries=True)
    newcomer = replace(phone(99, DAY), name="new phone")

    report = load(Told([newcomer]), DAY + timedelta(hours=2))

    assert report.state is LoadState.LOADED
    assert Device.objects.filter(source_device_id="d99").exists()


def test_a_person_decides_and_the_day_begins_anew() -> None:
    begin()
    hour = DAY + timedelta(hours=1)
    events(range(5), hour, is_gone=True)
    events(range(10, 15), hour, carries=True)
    assert set(HeldDevice.objects.values_list("source_device_id", "is_gone")) == {
        ("d4", True),
        ("d13", False),  # a fifth of the 16 that are left
        ("d14", False),
    }

    later = hour + timedelta(hours=1)
    again = actions.confirm_held("nanomdm", actor_id=7, now=later)

    assert sorted(again) == ["d13", "d14"]
    assert gone() == {0, 1, 2, 3, 4}
    assert turnover.waiting("nanomdm") == 0
    assert Entry.objects.filter(event="inventory.held_confirmed").exists()
    answers = events([13, 14], later, carries=True)
    others = events([15, 16, 17, 18], later + timedelta(minutes=5), carries=True)
    assert (answers, others) == ([LoadState.LOADED] * 2, [LoadState.LOADED] * 3 + [LoadState.HELD])


def test_a_confirmed_list_begins_the_day_anew() -> None:
    begin()
    flipped = [phone(n, DAY + MINUTE, carries=n < 12) for n in range(FLEET)]
    load(Told(flipped, is_whole=True), DAY + MINUTE, confirm_mass_change=True)

    states = events(range(12, 17), DAY + 2 * MINUTE, carries=True)

    assert states == [LoadState.LOADED] * 4 + [LoadState.HELD]


def test_the_log_tells_once_an_hour_of_events_that_are_held() -> None:
    begin()

    events(range(14), DAY + timedelta(hours=1), carries=True)

    assert ImportRun.objects.filter(state="held").count() == 1
    assert HeldDevice.objects.count() == 10


def test_a_list_that_is_loaded_answers_what_was_held() -> None:
    begin()
    events(range(6), DAY + timedelta(hours=1), carries=True)
    two_days = DAY + timedelta(hours=48)
    now_carrying = [phone(n, two_days, carries=n < 6) for n in range(FLEET)]

    report = load(Told(now_carrying, is_whole=True), two_days)

    assert report.state is LoadState.LOADED
    assert not HeldDevice.objects.exists()


def test_what_people_answer_is_never_held() -> None:
    begin(carrying=True)
    events(range(8), DAY + timedelta(hours=1))

    for device in Device.objects.all():
        given_answers.record(
            device_id=device.pk,
            person_id=1,
            app_id="tiktok",
            answer=Answer.REMOVED,
            actor_id=1,
            now=DAY + timedelta(hours=2),
        )

    assert sum(device.attestations.count() for device in Device.objects.all()) == FLEET


def test_a_dry_run_counts_nothing() -> None:
    begin()
    one = Told([phone(0, DAY + MINUTE, carries=True)])

    load(one, DAY + MINUTE, dry_run=True)

    assert not Turnover.objects.exists()


def test_an_event_counts_all_that_is_known_once_a_minute_at_most() -> None:
    begin()
    hour = DAY + timedelta(hours=1)

    def counts_everything(n: int, at: datetime) -> bool:
        with CaptureQueriesContext(connection) as captured:
            load(Told([phone(n, at, carries=True)]), at)
        return any(
            "COUNT(*)" in each["sql"] and "devices_observation" in each["sql"]
            for each in captured.captured_queries
        )

    second = timedelta(seconds=1)
    assert [counts_everything(n, hour + n * second) for n in range(4)] == [
        False,
        False,
        True,
        False,
    ]
    assert counts_everything(9, hour + timedelta(minutes=2))


def test_runs_of_single_events_are_forgotten_once_nothing_known_rests_on_them() -> None:
    begin()
    events([0, 0, 1], DAY + timedelta(hours=1), carries=True)
    load(Told([phone(n, DAY) for n in range(9)], is_whole=True), DAY + timedelta(hours=2))  # held

    assert forgetting.forget_runs(DAY + timedelta(days=6)) == 0
    assert forgetting.forget_runs(DAY + timedelta(days=9)) == 1  # overtaken by the second of d0
    assert forgetting.forget_runs(DAY + timedelta(days=9)) == 0
    assert carrying() == {0, 1}
    left = ImportRun.objects.values_list("state", "complete").order_by("pk")
    assert list(left) == [("loaded", True), ("loaded", False), ("loaded", False), ("held", False)]


def test_hours_that_no_longer_count_are_forgotten() -> None:
    begin()
    events(range(3), DAY + timedelta(hours=1), carries=True)

    turnover.forget(DAY + timedelta(hours=20))
    assert Turnover.objects.exists()
    turnover.forget(DAY + timedelta(hours=40))
    assert not Turnover.objects.exists()


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[list[int]], list[bool], list[int]]:
    """Return changed devices in any order, cut into runs; which runs are lists; and pauses."""
    changed = draw(st.permutations(range(FLEET)).map(list))
    changed = changed[: draw(st.integers(0, 10))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(changed) - 1)), max_size=len(changed))))
    parts = [changed[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    parts = [part for part in parts if part]
    wholes = draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    pauses = draw(st.lists(st.integers(1, 90), min_size=len(parts), max_size=len(parts)))
    return parts, wholes, pauses


@given(split=splits(), drops=st.booleans(), carried=st.booleans())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=settings().max_examples // 2,  # each is up to ten loads
)
def test_any_order_and_any_splitting_of_the_same_changes_meets_the_same_guard(
    split: tuple[list[list[int]], list[bool], list[int]], drops: bool, carried: bool
) -> None:
    parts, wholes, pauses = split
    with transaction.atomic():
        begin(carrying=carried)
        at = DAY + timedelta(hours=1)
        taken: set[int] = set()
        for part, is_whole, pause in zip(parts, wholes, pauses, strict=True):
            at += pause * MINUTE  # ten runs at most: within one day
            state = say(part, taken, at, is_whole=is_whole, drops=drops, carried=carried)
            allowed = len(taken) + len(part) <= FLEET // 5
            assert (state is LoadState.LOADED) == allowed
            taken |= set(part) if allowed else set()
            assert changed_now(drops=drops, carried=carried) == taken
        transaction.set_rollback(True)


def say(
    part: list[int], taken: set[int], at: datetime, *, is_whole: bool, drops: bool, carried: bool
) -> LoadState:
    """Let the source say that these devices changed, as a list of all or in a few events."""
    if drops and is_whole:
        here = [n for n in range(FLEET) if n not in taken | set(part)]
        return load(Told([phone(n, at, carries=carried) for n in here], is_whole=True), at).state
    if drops:
        return load(Told([phone(n, at, is_gone=True) for n in part]), at).state
    numbers = range(FLEET) if is_whole else part
    now = [phone(n, at, carries=carried != (n in taken | set(part))) for n in numbers]
    return load(Told(now, is_whole=is_whole), at).state


def changed_now(*, drops: bool, carried: bool) -> set[int]:
    if drops:
        return gone()
    return set(range(FLEET)) - carrying() if carried else carrying()
