"""Sources over HTTP: each is asked through our one policy, and means what its samples mean."""

import json
import plistlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from countermand.catalogue.queries import catalogue
from countermand.connectors.android_management.fetch import AndroidManagementServer
from countermand.connectors.android_management.source import AndroidManagementReader
from countermand.connectors.fleet.fetch import FleetServer
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.intune_export.graph import GraphServer, JobsInMemory
from countermand.connectors.intune_export.source import IntuneExport
from countermand.connectors.jamf.fetch import JamfServer
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.nanomdm import hook
from countermand.connectors.nanomdm.commands import NanoMdmServer, ask_again_at, ask_for
from countermand.connectors.nanomdm.questions import ListedQuestions
from countermand.connectors.nanomdm.source import NanoMdmReader
from countermand.connectors.workspace.fetch import WorkspaceServer
from countermand.connectors.workspace.source import WorkspaceReader
from countermand.domain.app_id import Platform, WantedApp
from countermand.domain.presence import Presence
from countermand.testing.cloud_doubles import GoogleDouble, GraphDouble, message
from countermand.testing.http_double import ADDRESS, HttpDouble, TestAuthority
from countermand.testing.inventory_contract import InventorySourceContract, Open
from countermand.testing.mdm_doubles import AppleDevice, FleetDouble, JamfDouble, NanoMdmDouble
from countermand.wire import tokens
from countermand.wire.hosts import AllowedHosts
from countermand.wire.http import (
    AnswerNotUnderstood,
    Http,
    SourceRefused,
    SourceUnavailable,
    Waiting,
)
from countermand.wire.json_documents import Record, document
from countermand.wire.paged import PagedSource

SAMPLES = Path(__file__).parent.parent / "fixtures" / "inventory"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])[0]
BUNDLE = "com.zhiliaoapp.musically"

Slept = list[float]


def sample(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    return read


def rows(key: str, *names: str) -> list[dict[str, Any]]:
    return [row for name in names for row in sample(name)[key]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def slept() -> Slept:
    return []


@pytest.fixture
def http(authority: TestAuthority, slept: Slept) -> Iterator[Http]:
    waiting = Waiting(sleep=slept.append, jitter=lambda: 1.0)
    hosts = AllowedHosts.of([ADDRESS], private=True)
    with Http(hosts, ca_file=str(authority.ca_file), waiting=waiting) as opened:
        yield opened


def presences(source: Any) -> dict[str, str]:
    found = {r.source_device_id: r.presence(TIKTOK).value for r in source.reports()}
    assert not source.faults.faults
    assert not source.rejected
    return found


class _OverHttp(InventorySourceContract):
    @pytest.fixture
    def wanted(self) -> WantedApp:
        return TIKTOK

    @pytest.fixture
    def as_of(self) -> datetime:
        return NOW


class TestJamf(_OverHttp):
    @pytest.fixture
    def opened(self, http: Http, authority: TestAuthority) -> Iterator[Open]:
        double = JamfDouble(
            mobile=rows("results", "jamf/mobile-devices-detail.page0.json"),
            computers=rows("results", "jamf/computers-inventory.page0.json"),
        )
        with HttpDouble(double.routes(), authority=authority) as server:
            token = tokens.client_credentials(
                http,
                f"{server.base}/api/v1/oauth/token",
                client_id=double.client_id,
                secret=double.secret,
            )
            jamf = JamfServer(http, server.base, token)
            yield lambda apps: PagedSource(JamfReader(), jamf.documents(), apps, NOW)

    def test_it_means_what_the_samples_mean(self, opened: Open) -> None:
        assert presences(opened((TIKTOK,))) == {
            "mobile:11": "present",
            "mobile:12": "unobservable",
            "mobile:13": "absent",
            "computer:41": "present",
        }


class TestFleet(_OverHttp):
    @pytest.fixture
    def opened(self, http: Http, authority: TestAuthority) -> Iterator[Open]:
        hosts = rows("hosts", "fleet/hosts.populate_software.json")
        hosts[0]["software"].append(
            {"name": "Payroll", "source": "apps", "bundle_identifier": "org.example.payroll"}
        )
        double = FleetDouble(hosts)
        with HttpDouble(double.routes(), authority=authority) as server:
            fleet = FleetServer(http, server.base, double.token)
            yield lambda apps: PagedSource(FleetReader(), fleet.documents(apps), apps, NOW)
            asked = [each.query for each in server.asked]
            assert not any("populate_software" in query for query in asked)

    def test_it_means_what_the_samples_mean(self, opened: Open) -> None:
        assert presences(opened((TIKTOK,))) == {
            "101": "present",
            "102": "present",
            "103": "unobservable",
            "104": "present",
            "105": "unknown",  # asked about identifiers alone, and Linux has none
        }


class TestAndroidManagement(_OverHttp):
    canary_name = "वेतन"

    @pytest.fixture
    def opened(self, http: Http, authority: TestAuthority) -> Iterator[Open]:
        pages = [f"androidmanagement/devices.list.page{number}.json" for number in (1, 2)]
        double = GoogleDouble(android=rows("devices", *pages), largest_page=2)
        with HttpDouble(double.routes(), authority=authority) as server:
            asked = AndroidManagementServer(
                http, lambda: double.token, "enterprises/LC00example", base=server.base
            )
            yield lambda apps: PagedSource(AndroidManagementReader(), asked.documents(), apps, NOW)


class TestWorkspace(_OverHttp):
    canary, canary_name = "com.google.android.gm", "Gmail"

    @pytest.fixture
    def opened(self, http: Http, authority: TestAuthority) -> Iterator[Open]:
        pages = [f"workspace/mobiledevices.list.page{number}.json" for number in (1, 2)]
        double = GoogleDouble(mobile=rows("mobiledevices", *pages), largest_page=2)
        with HttpDouble(double.routes(), authority=authority) as server:
            asked = WorkspaceServer(http, lambda: double.token, base=server.base)
            yield lambda apps: PagedSource(WorkspaceReader(), asked.documents(), apps, NOW)


Graph = Callable[..., tuple[GraphDouble, GraphServer]]


@pytest.fixture
def graph(http: Http, authority: TestAuthority, tmp_path: Path) -> Iterator[Graph]:
    pages = [f"intune/managedDevices.page{number}.json" for number in (1, 2)]
    double = GraphDouble(
        reports={
            name: (SAMPLES / "intune" / f"{name}.csv").read_bytes()
            for name in ("AppInvAggregate", "AppInvRawData", "Devices")
        },
        managed=rows("value", *pages),
        violations=[
            {
                "managedDeviceId": "5B3C1B1E-8A52-4A67-9D0A-0C5F6A1D1A02",
                "platformType": "android",
                "restrictedApps": [{"appId": BUNDLE}, {"appId": "org.example.payroll"}],
            }
        ],
    )
    with HttpDouble(double.routes(), authority=authority) as server:
        double.base = server.base
        token = tokens.entra(
            http,
            authority=f"{server.base}/tenant",
            client_id="app",
            secret="invented",
            scope=f"{server.base}/.default",
        )

        def make(**changed: Any) -> tuple[GraphDouble, GraphServer]:
            jobs = changed.pop("jobs", JobsInMemory())
            for name, value in changed.items():
                setattr(double, name, value)
            return double, GraphServer(http, token, tmp_path, jobs, base=server.base)

        yield make


class TestIntune(_OverHttp):
    canary, canary_name = "TikTok Studio", "Tick Tock"

    @pytest.fixture
    def opened(self, graph: Graph) -> Open:
        _, asked = graph()
        return lambda apps: IntuneExport(
            asked.tables(apps), apps=apps, as_of=NOW, documents=asked.violations()
        )

    def test_it_means_what_the_samples_mean(self, opened: Open) -> None:
        found = presences(opened((TIKTOK,)))

        assert [found[each] for each in sorted(found)] == [
            "present",
            "present",  # a personal phone: reported by identifier as a violation
            "present",
            "present",
            "unobservable",
        ]

    def test_a_violation_may_close_where_a_name_may_not(self, opened: Open) -> None:
        rows = {r.source_device_id[-2:]: r.found("tiktok") for r in opened((TIKTOK,)).reports()}

        may_close = {device: row.match.may_close for device, row in rows.items() if row}
        assert may_close == {"01": False, "02": True, "03": False, "04": False}


class TestIntuneManagedDevices(_OverHttp):
    @pytest.fixture
    def opened(self, graph: Graph) -> Open:
        _, asked = graph()
        return lambda apps: IntuneExport(
            [],
            apps=apps,
            as_of=NOW,
            documents=(*asked.managed_devices(), *asked.violations()),
        )

    def test_without_the_report_of_apps_nothing_is_absent(self, opened: Open) -> None:
        assert "absent" not in presences(opened((TIKTOK,))).values()


@pytest.mark.parametrize("told", ["7", ""], ids=["with Retry-After", "without"])
def test_a_throttled_export_waits_and_goes_on(graph: Graph, slept: Slept, told: str) -> None:
    _, asked = graph(throttle=3, retry_after=told)

    tables = asked.tables([TIKTOK])

    assert len(tables) == 2
    throttled = [each for each in slept if each != 15.0]
    assert throttled == ([7.0, 7.0, 7.0] if told else [1.0, 2.0, 4.0])


def test_a_job_that_was_asked_for_before_a_crash_is_taken_up_again(graph: Graph) -> None:
    jobs = JobsInMemory()
    double, asked = graph(jobs=jobs, steps=("notStarted", "failed"))
    with pytest.raises(SourceUnavailable):
        asked.tables([TIKTOK])
    jobs.states.clear()  # the crash came before the end of the job was kept

    double.steps = ("notStarted", "completed")
    asked.tables([TIKTOK])

    assert [job["reportName"] for job in double.jobs.values()] == [
        "AppInvAggregate",
        "AppInvRawData",
        "Devices",
    ]


def test_a_link_that_has_expired_is_made_anew(graph: Graph) -> None:
    double, asked = graph(expired=1)

    tables = asked.tables([TIKTOK])

    assert len(tables) == 2
    assert len(double.jobs) == 4


def test_only_names_of_ordered_apps_are_asked_for(graph: Graph) -> None:
    double, asked = graph()

    asked.tables([TIKTOK])

    filters = [job.get("filter", "") for job in double.jobs.values()]
    assert filters == ["", "(ApplicationName eq 'TikTok')", ""]


def test_a_wrong_secret_is_a_refusal_that_a_person_must_look_at(
    http: Http, authority: TestAuthority
) -> None:
    double = GraphDouble()
    with HttpDouble(double.routes(), authority=authority) as server:
        double.base = server.base
        token = tokens.entra(
            http, authority=f"{server.base}/tenant", client_id="a", secret="no", scope="s"
        )
        with pytest.raises(SourceRefused):
            token()


def test_a_wrong_key_of_nanomdm_is_found_by_trying_it(http: Http, authority: TestAuthority) -> None:
    """Whoever asks for the version is told it, with any key."""
    double = NanoMdmDouble()
    with HttpDouble(double.routes(), authority=authority) as server:
        NanoMdmServer(http, server.base, double.api_key).probe()
        with pytest.raises(SourceRefused):
            NanoMdmServer(http, server.base, "another").probe()


def test_jamf_is_tried_for_both_kinds_of_devices(http: Http, authority: TestAuthority) -> None:
    """A role that reads mobile devices may lack the right to read computers."""
    double = JamfDouble()
    with HttpDouble(double.routes(), authority=authority) as server:
        JamfServer(http, server.base, lambda: double.token).probe()

        tried = [each.path.rsplit("/", 1)[-1] for each in server.asked]
    assert tried == ["detail", "computers-inventory"]


def test_violations_are_tried_where_they_are_to_be_read(
    http: Http, authority: TestAuthority, tmp_path: Path
) -> None:
    double = GraphDouble()
    without = [route for route in double.routes() if "Violations" not in route[1]]
    with HttpDouble(without, authority=authority) as server:
        asked = GraphServer(http, lambda: double.token, tmp_path, base=server.base)
        asked.probe()
        with pytest.raises(AnswerNotUnderstood):
            asked.probe(violations=True)


def test_messages_are_acknowledged_after_they_were_taken_in(
    http: Http, authority: TestAuthority
) -> None:
    device = sample("androidmanagement/devices.list.page1.json")["devices"][0]
    double = GoogleDouble(messages=[message(device, 1), message(device, 1), message(device, 2)])
    subscription = "projects/example-emm/subscriptions/countermand"
    with HttpDouble(double.routes(), authority=authority) as server:
        asked = AndroidManagementServer(
            http, lambda: double.token, "enterprises/LC00example", pubsub=server.base
        )
        answer = asked.pull(subscription)
        source = PagedSource(AndroidManagementReader(), [answer], [TIKTOK], NOW)
        reports = list(source.reports())
        assert len(double.messages) == 3
        asked.acknowledge(subscription, answer)

    assert [report.presence(TIKTOK) for report in reports] == [Presence.PRESENT] * 2
    assert double.messages == []
    assert not source.is_whole


def test_a_google_key_is_turned_into_a_signed_claim(http: Http, authority: TestAuthority) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    double = GoogleDouble()
    with HttpDouble(double.routes(), authority=authority) as server:
        key = {
            "private_key": pem.decode(),
            "client_email": "cm@example.iam",
            "token_uri": f"{server.base}/token",
        }
        token = tokens.google_service_account(
            http, json.dumps(key), scope="s", subject="admin@example.org", now=lambda: 1e9
        )

        assert [token(), token()] == [double.token, double.token]

    assert len(double.assertions) == 1  # kept until it expires
    assert "grant_type=urn" in double.assertions[0]


def test_apple_devices_are_asked_about_ordered_apps_alone_and_their_answers_count(
    http: Http, authority: TestAuthority
) -> None:
    carries = {"Identifier": BUNDLE, "Name": "TikTok", "Installing": False}
    double = NanoMdmDouble(
        {
            "D1": AppleDevice("D1", [carries, {"Identifier": "org.example.payroll"}]),
            "D2": AppleDevice("D2", [{"Identifier": "org.example.payroll"}]),
        }
    )
    asking = ask_for([TIKTOK], Platform.IOS, command_uuid="C1")
    with HttpDouble(double.routes(), authority=authority) as server:
        NanoMdmServer(http, server.base, double.api_key).enqueue(["D1", "D2"], asking.payload)
        sent = plistlib.loads(server.asked[0].body)["Command"]

    assert set(sent["Identifiers"]) == TIKTOK.asked_for(Platform.IOS)
    questions = ListedQuestions({(each, "C1"): asking.question for each in ("D1", "D2")})
    events: list[Record] = [
        hook.taken_in(body, signature, key=double.hook_key, now=NOW)
        for body, signature in double.posts(NOW)
    ]
    source = PagedSource(NanoMdmReader(questions), events, [TIKTOK], NOW)
    assert presences(source) == {"D1": "present", "D2": "absent"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body, signature: (body, signature[:-4] + "AAA="),
        lambda body, signature: (body.replace(b"Acknowledged", b"Acknowledgee"), signature),
        lambda body, _: (body, ""),
    ],
    ids=["wrong signature", "changed body", "no signature"],
)
def test_a_forged_event_is_refused(spoil: Callable[[bytes, str], tuple[bytes, str]]) -> None:
    double = NanoMdmDouble()
    body, signature = spoil(*double.post(AppleDevice("D1"), {}, NOW))

    with pytest.raises(hook.EventRefused):
        hook.taken_in(body, signature, key=double.hook_key, now=NOW)


@pytest.mark.parametrize("later", [timedelta(hours=25), timedelta(minutes=-11)])
def test_an_event_from_another_time_is_refused(later: timedelta) -> None:
    double = NanoMdmDouble()
    body, signature = double.post(AppleDevice("D1"), {}, NOW)

    with pytest.raises(hook.EventRefused):
        hook.taken_in(body, signature, key=double.hook_key, now=NOW + later)


def test_an_event_counts_once() -> None:
    double = NanoMdmDouble()
    body, _ = double.post(AppleDevice("D1"), {"InstalledApplicationList": []}, NOW)
    event = document("webhook", body)

    source = PagedSource(NanoMdmReader(), [event, event], [TIKTOK], NOW)

    assert len(list(source.reports())) == 1


def test_a_question_is_put_again_ever_more_slowly() -> None:
    pauses = [ask_again_at(NOW, times) - NOW for times in range(1, 9)]

    assert pauses[0] == timedelta(minutes=30)
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=24)
