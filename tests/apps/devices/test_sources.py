"""Sources that are asked by themselves: what is kept, what a failure leaves, what is never kept."""

import itertools
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from countermand.catalogue.queries import catalogue
from countermand.connectors import servers
from countermand.connectors.intune_export import graph
from countermand.connectors.names import SourceKind
from countermand.connectors.nanomdm.hook import EventRefused
from countermand.devices import hints, queries, sources
from countermand.devices.actions import LoadOptions, LoadState
from countermand.devices.models import (
    Device,
    DeviceAlias,
    ExportJob,
    Hint,
    Observation,
    Question,
    Source,
)
from countermand.domain.errors import CountermandError, FaultsFound
from countermand.orders import queries as orders
from countermand.people.models import Person
from countermand.project import source_hints, source_runs
from countermand.project.side_by_side import (
    LONGEST_PLACE_S,
    MOST_AT_ONCE,
    MOST_IN_ALL,
    SideBySide,
)
from countermand.project.source_runs import Runner
from countermand.testing.cloud_doubles import GraphDouble
from countermand.testing.http_double import HttpDouble, Reply, TestAuthority
from countermand.testing.mdm_doubles import AppleDevice, JamfDouble, NanoMdmDouble
from countermand.wire.hosts import HostNotAllowed
from countermand.wire.http import SourceRefused, SourceUnavailable
from countermand.wire.secrets import NoReference, SecretNotReadable

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.enable_socket,
    pytest.mark.usefixtures("one_order"),
]

SAMPLES = Path(__file__).parents[2] / "fixtures" / "inventory"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
SECRET = "invented"
BUNDLE = "com.zhiliaoapp.musically"


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))[
        "results"
    ]
    return found


@pytest.fixture
def jamf(authority: TestAuthority) -> Iterator[tuple[JamfDouble, HttpDouble]]:
    double = JamfDouble(rows("jamf/mobile-devices-detail.page0.json"), secret=SECRET)
    with HttpDouble(double.routes(), authority=authority) as server:
        add("jamf", authority, url=server.base, client_id=double.client_id, secret="env:JAMF")
        yield double, server


def add(name: str, authority: TestAuthority, **options: Any) -> None:
    private = {"private_network": True, "ca_file": str(authority.ca_file)}
    sources.add(name, options=options | private, every=timedelta(hours=6), actor_id=None, now=NOW)


Jamf = tuple[JamfDouble, HttpDouble]


def in_turn(_name: str, work: Callable[[], object]) -> None:
    work()


def run_due(runner: Runner, at: datetime) -> list[str]:
    """Run what is due, one source after the other; return which."""
    began: list[str] = []

    def begin(name: str, work: Callable[[], object]) -> None:
        began.append(name)
        work()

    runner.begin_due(begin, now=lambda: at)
    return began


def presences() -> dict[str, str]:
    found = Observation.objects.values_list("device__source_device_id", "presence")
    return dict(found)


def test_a_run_loads_what_the_source_says_and_is_due_again_later(
    runner: Runner, jamf: Jamf
) -> None:
    owner = Person.objects.create(uid="a", name="Asha", address="asha.verma@example.org")

    ran = runner.run("jamf", now=NOW)

    assert ran.report is not None
    assert ran.report.state is LoadState.LOADED
    assert presences() == {
        "mobile:11": "present",
        "mobile:12": "unobservable",
        "mobile:13": "absent",
    }
    assert Device.objects.get(source_device_id="mobile:11").person_id == owner.pk
    view = sources.view("jamf")
    assert (view.succeeded_at, view.due_at) == (NOW, NOW + timedelta(hours=6))
    assert view.progress == 3


def test_an_app_that_an_order_names_while_a_source_is_read_is_missing_from_no_device(
    runner: Runner, jamf: Jamf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows about it were dropped: the source was not asked about it, and is asked soon."""
    named = {"wechat"}
    monkeypatch.setattr(source_runs, "wanted_apps", lambda: catalogue().wanted(sorted(named)))

    runner.run("jamf", now=NOW, on_progress=lambda _: named.add("tiktok"))

    assert not Observation.objects.filter(app_id="tiktok").exists()
    due = sources.due(NOW + timedelta(minutes=30), about=source_runs.asked_about())
    assert [each.name for each in due] == ["jamf"]


def test_a_dry_run_says_what_would_change_and_keeps_nothing(runner: Runner, jamf: Jamf) -> None:
    ran = runner.run("jamf", now=NOW, options=LoadOptions(dry_run=True))

    assert ran.report is not None
    assert (ran.report.state, ran.report.new) == (LoadState.TRIED, 3)
    assert not Device.objects.exists()
    assert sources.view("jamf").succeeded_at is None


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda double, _: setattr(double, "secret", "changed"), SourceRefused),
        (lambda _, server: server.fail(503), SourceUnavailable),
        (lambda _, server: server.fail(200, b'{"results": null, "errors": [{"code": "X"}]}'), None),
        (lambda _, server: server.fail(200, b"<html>sign in</html>"), CountermandError),
    ],
    ids=["auth loss", "outage", "200 that holds an error", "a page in place of an answer"],
)
def test_a_failure_keeps_the_old_state_and_is_tried_again_later(
    runner: Runner,
    jamf: Jamf,
    break_it: Callable[[JamfDouble, HttpDouble], None],
    error: type[CountermandError] | None,
) -> None:
    runner.run("jamf", now=NOW)
    before = (presences(), list(Device.objects.values("source_device_id", "gone_at")))
    break_it(*jamf)

    with pytest.raises(error or CountermandError):
        runner.run("jamf", now=NOW + timedelta(hours=6))

    after = (presences(), list(Device.objects.values("source_device_id", "gone_at")))
    assert after == before
    view = sources.view("jamf")
    assert view.failed_in_a_row == 1
    assert view.last_error
    assert view.due_at == NOW + timedelta(hours=6, minutes=5)


def test_a_run_that_would_lose_most_devices_is_held(runner: Runner, jamf: Jamf) -> None:
    runner.run("jamf", now=NOW)
    jamf[0].mobile = ()

    ran = runner.run("jamf", now=NOW + timedelta(hours=6))

    assert ran.report is not None
    assert ran.report.state is LoadState.HELD
    assert not Device.objects.filter(gone_at__isnull=False).exists()
    assert sources.view("jamf").last_error == "devices.held"


def test_nothing_of_a_removed_source_waits_for_a_decision(runner: Runner, jamf: Jamf) -> None:
    runner.run("jamf", now=NOW)
    jamf[0].mobile = jamf[0].mobile[:0]
    runner.run("jamf", now=NOW + timedelta(hours=1))
    assert [each.source for each in queries.undecided()] == ["jamf"]

    sources.remove("jamf", actor_id=None, now=NOW + timedelta(hours=2))

    assert queries.undecided() == ()


def test_due_sources_run_and_a_broken_one_keeps_none_from_it(
    runner: Runner, jamf: Jamf, authority: TestAuthority
) -> None:
    add("fleet", authority, url="https://127.0.0.1:9", secret="env:NOT_THERE")

    assert run_due(runner, NOW) == ["fleet", "jamf"]
    assert sources.view("jamf").succeeded_at == NOW
    assert sources.view("fleet").last_error == "source.secret_not_readable"
    assert sources.due(NOW + timedelta(minutes=1)) == ()


@pytest.mark.django_db(transaction=True)
def test_a_source_that_does_not_answer_keeps_no_other_waiting(
    runner: Runner, jamf: Jamf, authority: TestAuthority
) -> None:
    side_by_side, ended = SideBySide("sources"), {"fleet": Event(), "jamf": Event()}

    def begin(name: str, work: Callable[[], object]) -> None:
        def to_the_end() -> None:
            work()
            ended[name].set()

        assert side_by_side.begin(name, to_the_end)
        assert not side_by_side.begin(name, to_the_end), "it is asked already"

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        add("fleet", authority, url=url, secret="env:JAMF")

        runner.begin_due(begin, now=lambda: NOW)

        assert ended["jamf"].wait(30)
        assert not ended["fleet"].is_set()
    assert ended["fleet"].wait(30)
    assert sources.view("jamf").succeeded_at == NOW
    assert sources.view("fleet").last_error == "source.unavailable"


def test_silent_sources_keep_places_for_no_longer_than_they_are_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    at, silence, asked = [0.0], Event(), Event()
    places = SideBySide("sources", lambda: at[0])
    for n in range(MOST_AT_ONCE):
        assert places.begin(f"silent{n}", silence.wait)

    at[0] = LONGEST_PLACE_S - 1
    assert not places.begin("ninth", asked.set)
    at[0] = LONGEST_PLACE_S
    assert places.begin("ninth", asked.set)

    assert asked.wait(30)
    assert not places.begin("silent0", silence.wait), "it is asked still"
    assert "sources.no_place waits=ninth held_by=silent0,silent1" in caplog.text
    begun = 0
    for turn in range(5):
        at[0] += LONGEST_PLACE_S
        begun += sum(places.begin(f"{turn}.{n}", silence.wait) for n in range(MOST_AT_ONCE + 1))
    silence.set()
    assert begun == MOST_IN_ALL - MOST_AT_ONCE


def test_the_worker_asks_what_is_due_with_what_its_own_surroundings_hold(
    runner: Runner, jamf: Jamf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAMF", SECRET)

    workers = source_runs.runner(runner.settings)

    ran = [run_due(workers, NOW + timedelta(hours=hours)) for hours in (0, 5, 6)]

    assert ran == [["jamf"], [], ["jamf"]]
    assert Source.objects.get().failed_in_a_row == 0
    assert sources.view("jamf").succeeded_at == NOW + timedelta(hours=6)


@pytest.mark.parametrize("option", ["secret", "hook_secret"])
def test_a_secret_itself_is_refused(option: str) -> None:
    given = {"url": "https://m.example.org", "secret": "file:/a", "hook_secret": "file:/b"}

    with pytest.raises(NoReference):
        servers.check_options(SourceKind.NANOMDM, given | {option: "hunter2"})


def test_an_address_without_tls_is_refused() -> None:
    with pytest.raises(HostNotAllowed):
        servers.check_options(
            SourceKind.FLEET, {"url": "http://fleet.example.org", "secret": "env:A"}
        )


def test_a_secret_is_nowhere_in_the_database_nor_in_what_is_shown(
    runner: Runner, jamf: Jamf
) -> None:
    runner.run("jamf", now=NOW)

    assert SECRET not in str(sources.every_source())
    with connection.cursor() as cursor:
        for table in ("devices_source", "audit_entry", "devices_importrun"):
            cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {table} AS t")
            assert SECRET not in str(cursor.fetchone())


def test_a_missing_secret_names_the_place_and_not_what_was_there(
    jamf: Jamf, runner: Runner
) -> None:
    bare = Runner(runner.settings, {}, runner.waiting)

    with pytest.raises(SecretNotReadable) as refused:
        bare.run("jamf", now=NOW)

    assert refused.value.reference == "env:JAMF"


# -- Intune: reports that take minutes, and longer than one run -------------------------------


@pytest.fixture
def intune(authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphDouble]:
    monkeypatch.setattr(graph, "MOST_POLLS", 3)
    reports = ("AppInvAggregate", "AppInvRawData", "Devices")
    double = GraphDouble({n: (SAMPLES / "intune" / f"{n}.csv").read_bytes() for n in reports})
    with HttpDouble(double.routes(), authority=authority) as server:
        double.base = server.base
        place = {"url": server.base, "login_url": server.base, "tenant": "tenant"}
        add("intune", authority, **place, client_id="app", secret="env:JAMF")
        yield double


def asked_reports(double: GraphDouble) -> list[str]:
    return [job["reportName"] for job in double.jobs.values()]


def test_a_report_of_intune_is_kept_as_asked_until_it_was_fetched(
    runner: Runner, intune: GraphDouble
) -> None:
    runner.run("intune", now=NOW)

    assert asked_reports(intune) == ["AppInvAggregate", "AppInvRawData", "Devices"]
    assert set(ExportJob.objects.values_list("state", flat=True)) == {"completed"}
    assert "present" in presences().values()


def test_a_report_that_was_not_ready_is_taken_up_by_the_next_run_and_not_asked_for_again(
    runner: Runner, intune: GraphDouble
) -> None:
    intune.steps = ("notStarted", "inProgress")
    with pytest.raises(SourceUnavailable):
        runner.run("intune", now=NOW)
    assert not Device.objects.exists()
    assert ExportJob.objects.get().ended_at is None

    intune.steps = ("completed",)
    another = Runner(runner.settings, runner.environ, runner.waiting)
    another.run("intune", now=NOW + timedelta(hours=1))

    assert asked_reports(intune) == ["AppInvAggregate", "AppInvRawData", "Devices"]
    assert "present" in presences().values()
    # What it says without a time is as old as the report, if its device was not silent already.
    assert max(Observation.objects.values_list("collected_at", flat=True)) <= NOW


def test_a_page_of_violations_that_holds_an_error_refuses_the_run(
    runner: Runner, intune: GraphDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**sources.view("intune").options, "violations": True}
    Source.objects.filter(name="intune").update(options=options)
    holds_error = Reply.json({"error": {"code": "InternalServerError"}})
    monkeypatch.setattr(GraphDouble, "_pages", lambda *_: holds_error)

    with pytest.raises(FaultsFound) as refused:
        runner.run("intune", now=NOW)

    assert [fault.code for fault in refused.value] == ["file.holds_error"]
    assert sources.view("intune").last_error == "input.faults"


def test_a_report_that_is_too_old_to_be_fetched_is_asked_for_anew(
    runner: Runner, intune: GraphDouble
) -> None:
    intune.steps = ("notStarted", "inProgress")
    with pytest.raises(SourceUnavailable):
        runner.run("intune", now=NOW)

    intune.steps = ("completed",)
    runner.run("intune", now=NOW + sources.JOBS_LIVE)

    assert asked_reports(intune).count("AppInvAggregate") == 2


@pytest.fixture
def nano(authority: TestAuthority) -> Iterator[NanoMdmDouble]:
    carries = {"Identifier": BUNDLE, "Name": "TikTok", "Installing": False}
    double = NanoMdmDouble(
        {
            "D1": AppleDevice("D1", [carries, {"Identifier": "org.example.payroll"}]),
            "D2": AppleDevice("D2", []),
        }
    )
    with HttpDouble(double.routes(), authority=authority) as server:
        add("nanomdm", authority, url=server.base, secret="env:NANO", hook_secret="env:HOOK")
        for each in ("D1", "D2"):
            Device.objects.create(source="nanomdm", source_device_id=each, platform="ios")
        yield double


def test_devices_are_asked_answer_through_the_hook_and_are_left_alone_for_a_day(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    assert runner.run("nanomdm", now=NOW).asked == 2
    assert Question.objects.filter(about="apps").count() == 2

    posts = nano.posts(NOW + timedelta(minutes=1))
    for body, signature in posts:
        assert runner.take_in("nanomdm", body, signature, now=NOW + timedelta(minutes=1))

    assert presences() == {"D1": "present", "D2": "absent"}
    assert runner.run("nanomdm", now=NOW + timedelta(hours=10)).asked == 0
    assert runner.run("nanomdm", now=NOW + timedelta(hours=21)).asked == 2


def test_a_device_that_is_to_be_looked_at_again_is_asked_at_once(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    runner.run("nanomdm", now=NOW)
    for body, signature in nano.posts(NOW):
        runner.take_in("nanomdm", body, signature, now=NOW)
    later = NOW + timedelta(hours=1)
    nano.devices = {**nano.devices, "D1": AppleDevice("D1", [])}
    device = Device.objects.get(source_device_id="D1")

    assert hints.look_again([device.pk], actor_id=None, now=later) == ("nanomdm",)
    source_hints.begin_due(runner, in_turn, now=lambda: later)
    for body, signature in nano.posts(later):
        runner.take_in("nanomdm", body, signature, now=later)

    assert presences() == {"D1": "absent", "D2": "absent"}
    assert Question.objects.filter(about="apps", enrollment_id="D2").count() == 1
    assert not Hint.objects.exists()


def test_a_phone_that_cannot_be_woken_is_no_server_that_is_down(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    """NanoMDM says 500 where nobody could be woken, and has enqueued all the same."""
    nano.not_to_be_woken = frozenset({"D1"})
    device = Device.objects.get(source_device_id="D1")

    hints.look_again([device.pk], actor_id=None, now=NOW)
    source_hints.begin_due(runner, in_turn, now=lambda: NOW)

    assert sources.view("nanomdm").failed_in_a_row == 0
    runner.run("nanomdm", now=NOW)
    assert "D1" in {device for device, _, _ in nano.queued}
    assert set(nano.woken) == {"D2"}


def test_an_answer_that_never_came_is_asked_for_again(runner: Runner, nano: NanoMdmDouble) -> None:
    runner.run("nanomdm", now=NOW)
    nano.queued.clear()  # the hook answered 500 once, and NanoMDM forgets

    assert runner.run("nanomdm", now=NOW + timedelta(minutes=29)).asked == 0
    assert runner.run("nanomdm", now=NOW + timedelta(minutes=31)).asked == 2


def test_posts_that_flip_too_many_are_held_one_by_one_until_a_person_decides(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    carries = nano.devices["D1"].apps
    many = [f"E{number}" for number in range(10)]
    nano.devices = {each: AppleDevice(each, []) for each in many}
    Device.objects.all().delete()
    for each in many:
        Device.objects.create(source="nanomdm", source_device_id=each, platform="ios")

    def ask_and_take_in(now: datetime, **options: bool) -> None:
        runner.run("nanomdm", now=now, options=LoadOptions(**options))
        for number, post in enumerate(nano.posts(now)):
            runner.take_in("nanomdm", *post, now=now + timedelta(seconds=number))

    def present() -> int:
        return list(presences().values()).count("present")

    ask_and_take_in(NOW)
    nano.devices = {each: AppleDevice(each, carries) for each in many}
    a_day_later = NOW + timedelta(hours=21)
    ask_and_take_in(a_day_later)

    assert (present(), sources.view("nanomdm").held) == (2, 8)
    unanswered = Question.objects.filter(about="apps", answered_at=None)
    assert unanswered.count() == 8  # they stay open

    ask_and_take_in(a_day_later + timedelta(minutes=10), confirm_mass_change=True)

    assert (present(), sources.view("nanomdm").held) == (10, 0)


def test_phones_are_asked_for_their_name_at_mail_doors_and_again_every_week(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    nano.devices["D1"].mail_name = "ApplDMPEXAMPLE08"
    runner.run("nanomdm", now=NOW)
    for post in nano.posts(NOW):
        runner.take_in("nanomdm", *post, now=NOW)

    named = DeviceAlias.objects.filter(kind="eas_device_id").values_list("value", flat=True)
    assert list(named) == ["ApplDMPEXAMPLE08"]
    asked = Question.objects.filter(about="name")
    assert asked.filter(answered_at=NOW).count() == 2
    runner.run("nanomdm", now=NOW + timedelta(days=6))
    assert asked.count() == 2
    runner.run("nanomdm", now=NOW + timedelta(days=7, minutes=1))
    assert asked.count() == 4


def test_the_next_question_is_due_before_the_next_regular_run(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    runner.run("nanomdm", now=NOW)

    assert sources.view("nanomdm").due_at == NOW + timedelta(minutes=30)
    for post in nano.posts(NOW + timedelta(minutes=5)):
        runner.take_in("nanomdm", *post, now=NOW + timedelta(minutes=5))
    runner.run("nanomdm", now=NOW + timedelta(minutes=30))
    assert sources.view("nanomdm").due_at == NOW + timedelta(hours=6, minutes=30)


def test_a_device_that_is_not_there_is_asked_ever_more_slowly_and_never_given_up(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    asked, now = [], NOW
    while now < NOW + timedelta(days=4):
        if runner.run("nanomdm", now=now).asked:
            asked.append(now)
        nano.queued.clear()
        due = sources.view("nanomdm").due_at
        assert due is not None
        now = due

    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses[:3] == [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)]
    assert timedelta(hours=20) < pauses[-1] <= timedelta(hours=30)


def test_devices_are_asked_at_once_when_an_order_names_an_app_that_they_were_not_asked_about(
    runner: Runner, nano: NanoMdmDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_due(runner, NOW)
    for post in nano.posts(NOW):
        runner.take_in("nanomdm", *post, now=NOW)
    soon = NOW + timedelta(minutes=11)
    assert run_due(runner, soon) == []
    named = catalogue().wanted(["tiktok", "wechat"], orders.signed_identifiers())
    monkeypatch.setattr(source_runs, "wanted_apps", lambda: named)

    assert run_due(runner, soon) == ["nanomdm"]

    newest = Question.objects.filter(about="apps").order_by("-pk")[0]
    named_there = set(newest.identifiers or ())
    assert BUNDLE in named_there
    assert len(named_there) > 2
    assert run_due(runner, soon + timedelta(minutes=11)) == []


def test_not_now_is_no_answer_and_is_asked_again(runner: Runner, nano: NanoMdmDouble) -> None:
    runner.run("nanomdm", now=NOW)
    question = Question.objects.filter(about="apps", enrollment_id="D1").get()
    uuid = question.command_uuid
    post = nano.post(AppleDevice("D1"), {}, NOW, command_uuid=uuid, status="NotNow")

    runner.take_in("nanomdm", *post, now=NOW)

    question.refresh_from_db()
    assert question.answered_at is None
    assert "D1" not in presences()


def test_a_replayed_event_changes_nothing(runner: Runner, nano: NanoMdmDouble) -> None:
    runner.run("nanomdm", now=NOW)
    posts = nano.posts(NOW)
    first = [runner.take_in("nanomdm", *post, now=NOW) for post in posts]

    again = [runner.take_in("nanomdm", *post, now=NOW + timedelta(hours=1)) for post in posts]

    assert all(first)
    assert not any(again)


def test_a_forged_event_changes_nothing(runner: Runner, nano: NanoMdmDouble) -> None:
    runner.run("nanomdm", now=NOW)
    for body, signature in nano.posts(NOW):
        runner.take_in("nanomdm", body, signature, now=NOW)
    body, _ = nano.post(AppleDevice("D1"), {"InstalledApplicationList": []}, NOW)

    with pytest.raises(EventRefused):
        runner.take_in("nanomdm", body, "AAAA", now=NOW)

    assert presences()["D1"] == "present"


def test_an_answer_to_somebody_elses_question_makes_nothing_absent(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    runner.run("nanomdm", now=NOW)
    for post in nano.posts(NOW):
        runner.take_in("nanomdm", *post, now=NOW)
    later = NOW + timedelta(hours=1)
    empty = {"InstalledApplicationList": [], "Status": "Acknowledged"}
    post = nano.post(AppleDevice("D1"), empty, later, command_uuid="not-ours")

    runner.take_in("nanomdm", *post, now=later)

    assert presences()["D1"] == "present"


def test_an_answer_of_a_mac_is_read_as_a_macs(
    runner: Runner, nano: NanoMdmDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its enrolment says what a device is, and programs of a Mac have ids of their own."""
    monkeypatch.setattr(source_runs, "wanted_apps", lambda: catalogue().wanted(["wechat"]))
    Device.objects.filter(source_device_id="D1").update(platform="macos")
    nano.devices = {"D1": AppleDevice("D1", [{"Identifier": "com.tencent.xinWeChat"}])}
    runner.run("nanomdm", now=NOW)

    for post in nano.posts(NOW):
        runner.take_in("nanomdm", *post, now=NOW)

    assert presences()["D1"] == "present"
    assert Device.objects.get(source_device_id="D1").platform == "macos"


def test_a_device_is_asked_what_it_is_since_its_enrolment_may_have_been_lost(
    runner: Runner, nano: NanoMdmDouble
) -> None:
    runner.run("nanomdm", now=NOW)
    queries = [command["Queries"] for _, _, command in nano.queued if "Queries" in command]
    told = {"QueryResponses": {"EASDeviceIdentifier": "X", "ProductName": "iPad13,4"}}

    runner.take_in("nanomdm", *nano.post(AppleDevice("D1"), told, NOW), now=NOW)

    assert all("ProductName" in each for each in queries)
    assert Device.objects.get(source_device_id="D1").platform == "ipados"


def checked_out(nano: NanoMdmDouble, device: str, at: datetime) -> tuple[bytes, str]:
    """Return the post that says that a device was let go."""
    event = json.loads(nano.post(AppleDevice(device), {"MessageType": "CheckOut"}, at)[0])
    event |= {"topic": "mdm.CheckOut", "checkin_event": event.pop("acknowledge_event")}
    body = json.dumps(event).encode()
    return body, nano.signed(body)


@pytest.mark.parametrize("letting_go_is_last", [True, False])
def test_posts_that_overtake_each_other_mean_what_they_would_in_their_order(
    runner: Runner, nano: NanoMdmDouble, *, letting_go_is_last: bool
) -> None:
    """NanoMDM sends from several threads at once: what is sent later may come earlier."""
    sooner, later = NOW, NOW + timedelta(seconds=1)
    at = (later, sooner) if letting_go_is_last else (sooner, later)
    letting_go = checked_out(nano, "D1", at[0])
    told = {"QueryResponses": {"DeviceName": "the old name"}}
    alive = nano.post(AppleDevice("D1", owner="asha@example.org"), told, at[1])
    posts = (letting_go, alive) if letting_go_is_last else (alive, letting_go)

    for post in posts:  # the later one first
        runner.take_in("nanomdm", *post, now=later)

    device = Device.objects.get(source_device_id="D1")
    assert (device.gone_at is not None) == letting_go_is_last
    assert device.last_contact_at == later
    assert device.name == ("" if letting_go_is_last else "the old name")


def test_a_post_reads_nobody_but_whom_it_names(runner: Runner, nano: NanoMdmDouble) -> None:
    """Posts come by the thousand, and a house may have many people."""
    asha = Person.objects.create(uid="a", name="Asha", address="asha@example.org")
    runner.run("nanomdm", now=NOW)
    nano.devices = {"D1": AppleDevice("D1", owner="asha@example.org")}
    [post, *_] = nano.posts(NOW)

    with CaptureQueriesContext(connection) as asked:
        runner.take_in("nanomdm", *post, now=NOW)

    about_people = [each["sql"] for each in asked if 'FROM "people_person"' in each["sql"]]
    assert about_people
    assert all("WHERE" in sql for sql in about_people)
    assert Device.objects.get(source_device_id="D1").person_id == asha.pk


def test_the_folder_of_a_run_is_private_and_gone_afterwards() -> None:
    with source_runs.own_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0

    assert not folder.exists()
