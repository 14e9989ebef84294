"""What sources post: proven, bounded, taken in once; a look at just those devices follows."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from countermand.connectors.webhooks import MOST_BYTES
from countermand.devices import hints, sources
from countermand.devices.hints import FEED
from countermand.devices.models import Device, Hint, Observation
from countermand.people.models import Person
from countermand.project import source_hints, source_runs
from countermand.project.source_runs import Runner
from countermand.testing.cloud_doubles import GoogleDouble, pushed
from countermand.testing.http_double import HttpDouble, TestAuthority
from countermand.testing.mdm_doubles import FleetDouble, JamfDouble
from countermand.wire.google_identity import PublishedKeys

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.enable_socket,
    pytest.mark.usefixtures("one_order"),
]

SAMPLES = Path(__file__).parents[2] / "fixtures" / "inventory"
BUNDLE = "com.zhiliaoapp.musically"
KEY = "hook-key"
ENTERPRISE = "enterprises/LC00example"
PHONE = f"{ENTERPRISE}/devices/3f1d2c4b5a697887"
SUBSCRIPTION = "projects/example-emm/subscriptions/countermand"
AUDIENCE = "https://orders.example.org/hooks/android_management"
ACCOUNT = "push@example-emm.iam.gserviceaccount.com"


def sample(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    return read


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251  (posts come in real time)


@pytest.fixture(scope="module")
def signer() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view reads the surroundings of its process."""
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOOK", KEY)
    monkeypatch.setattr(source_hints, "_KEYS", PublishedKeys(time.monotonic))


@pytest.fixture
def web() -> Client:
    return Client(headers={"host": "127.0.0.1"})


def add(name: str, authority: TestAuthority, **options: Any) -> None:
    private = {"private_network": True, "ca_file": str(authority.ca_file)}
    sources.add(name, options=options | private, every=timedelta(hours=6), actor_id=None, now=now())


def post(web: Client, name: str, body: bytes, **headers: str) -> int:
    key = headers.pop("key", "")
    path = f"/hooks/{name}" + (f"?key={key}" if key else "")
    told = {each.replace("_", "-"): value for each, value in headers.items()}
    return web.post(path, body, content_type="application/json", headers=told).status_code


def waiting() -> list[str]:
    return sorted(Hint.objects.values_list("source_device_id", flat=True))


def follow(runner: Runner, at: datetime | None = None) -> None:
    """Look at everything that is due, one source after the other."""
    source_hints.begin_due(runner, lambda _, work: work(), now=lambda: at or now())


def presences() -> dict[str, str]:
    return dict(Observation.objects.values_list("device__source_device_id", "presence"))


# -- Jamf ---------------------------------------------------------------------------------------


@pytest.fixture
def jamf(authority: TestAuthority) -> Iterator[tuple[JamfDouble, HttpDouble]]:
    devices = sample("jamf/mobile-devices-detail.page0.json")["results"]
    double = JamfDouble(devices, secret="invented")
    with HttpDouble(double.routes(), authority=authority) as server:
        login = {"client_id": double.client_id, "secret": "env:JAMF", "hook_secret": "env:HOOK"}
        add("jamf", authority, url=server.base, **login)
        yield double, server


def group_change(at: datetime, *, removed: list[int]) -> bytes:
    told = sample("jamf/webhook.SmartGroupMobileDeviceMembershipChange.json")
    told["webhook"]["eventTimestamp"] = int(at.timestamp() * 1000)
    told["event"]["groupRemovedDevicesIds"] = removed
    return json.dumps(told).encode()


Jamf = tuple[JamfDouble, HttpDouble]


@pytest.mark.parametrize(
    "proof",
    [
        {"authorization": "Basic " + base64.b64encode(f"jamf:{KEY}".encode()).decode()},
        {"authorization": f"Bearer {KEY}"},
        {"x_countermand_key": KEY},
        {"key": KEY},
    ],
    ids=["basic login", "bearer", "own header", "in the address"],
)
def test_a_post_of_jamf_leads_to_a_look_at_the_devices_that_it_names(
    web: Client, runner: Runner, jamf: Jamf, proof: dict[str, str]
) -> None:
    assert post(web, "jamf", group_change(now(), removed=[11]), **proof) == 200
    assert waiting() == ["mobile:11"]

    follow(runner)

    assert presences() == {"mobile:11": "present"}  # as Jamf says itself, whatever was posted
    filters = [each.one("filter") for each in jamf[1].asked if "detail" in each.path]
    assert filters == ["mobileDeviceId==11"]
    assert waiting() == []
    assert Device.objects.get().gone_at is None


@pytest.mark.parametrize(
    "proof",
    [{}, {"key": "wrong"}, {"authorization": "Basic !!"}, {"x_countermand_key": KEY + "x"}],
    ids=["none", "wrong key", "no login at all", "nearly"],
)
def test_a_post_without_the_key_is_refused_and_hints_at_nothing(
    web: Client, runner: Runner, jamf: Jamf, proof: dict[str, str]
) -> None:
    assert post(web, "jamf", group_change(now(), removed=[11]), **proof) == 403
    assert waiting() == []


def test_a_post_that_comes_again_hints_at_nothing_new(
    web: Client, runner: Runner, jamf: Jamf
) -> None:
    body = group_change(now(), removed=[11])
    assert post(web, "jamf", body, key=KEY) == 200
    follow(runner)

    assert post(web, "jamf", body, key=KEY) == 200
    assert waiting() == []


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(minutes=-11)])
def test_a_post_from_another_time_is_refused(
    web: Client, runner: Runner, jamf: Jamf, age: timedelta
) -> None:
    assert post(web, "jamf", group_change(now() - age, removed=[11]), key=KEY) == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"webhook": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", 200),
        (b"<html>", 200),
        (b"{}" + b" " * MOST_BYTES, 200),
        (b"", 200),
    ],
    ids=["deep", "no json", "too large", "empty"],
)
def test_a_post_that_cannot_be_read_is_bounded_and_changes_nothing(
    web: Client, runner: Runner, jamf: Jamf, body: bytes, status: int
) -> None:
    assert post(web, "jamf", body, key=KEY) == status
    assert waiting() == []
    assert not Device.objects.exists()


def test_a_source_without_a_key_for_posts_takes_none(
    web: Client, runner: Runner, authority: TestAuthority
) -> None:
    add("fleet", authority, url="https://127.0.0.1:9", secret="env:FLEET")

    assert post(web, "fleet", b"{}", key="") == 403
    assert post(web, "nobody", b"{}", key=KEY) == 403


def test_hints_without_number_make_the_whole_source_due_and_never_pile_up(
    runner: Runner, jamf: Jamf
) -> None:
    sources.succeeded("jamf", now=now(), about=source_runs.asked_about())
    many = [f"mobile:{number}" for number in range(hints.MOST_WAITING + 1)]

    hints.note("jamf", many[:500], due_at=now())
    hints.note("jamf", many, due_at=now())

    assert waiting() == []
    assert [view.name for view in sources.due(now())] == ["jamf"]


def test_while_jamf_does_not_answer_hints_wait_and_are_tried_again_later(
    web: Client, runner: Runner, jamf: Jamf
) -> None:
    post(web, "jamf", group_change(now(), removed=[11]), key=KEY)
    jamf[1].fail(503)

    follow(runner)
    follow(runner)
    asked_once = len(jamf[1].asked)

    assert waiting() == ["mobile:11"]
    assert sources.view("jamf").last_error == "source.unavailable"
    follow(runner)
    assert len(jamf[1].asked) == asked_once


def test_a_device_that_jamf_no_longer_knows_stays_as_it_was(
    web: Client, runner: Runner, jamf: Jamf
) -> None:
    runner.run("jamf", now=now())
    before = presences()
    jamf[0].mobile = ()
    post(web, "jamf", group_change(now(), removed=[11]), key=KEY)

    follow(runner)

    assert presences() == before
    assert not Device.objects.filter(gone_at__isnull=False).exists()


# -- Fleet --------------------------------------------------------------------------------------


@pytest.fixture
def fleet(authority: TestAuthority) -> Iterator[tuple[FleetDouble, HttpDouble]]:
    double = FleetDouble(sample("fleet/hosts.populate_software.json")["hosts"])
    with HttpDouble(double.routes(), authority=authority) as server:
        add("fleet", authority, url=server.base, secret="env:FLEET", hook_secret="env:HOOK")
        yield double, server


def test_a_host_that_fleet_hints_at_is_told_to_look_and_is_read_afterwards(
    web: Client, runner: Runner, fleet: tuple[FleetDouble, HttpDouble]
) -> None:
    told = sample("fleet/webhook.failing-policy.json") | {"timestamp": now().isoformat()}
    assert post(web, "fleet", json.dumps(told).encode(), key=KEY) == 200

    follow(runner)
    assert (fleet[0].refetched, presences()) == (["101"], {})
    follow(runner, now() + timedelta(minutes=4))

    assert presences() == {"101": "present"}
    assert waiting() == []
    assert all(
        "software" not in each.path or each.path.endswith("titles") for each in fleet[1].asked
    )
    assert [each.one("exclude_software") for each in fleet[1].asked if "/101" in each.path][-1]


def test_a_look_at_one_host_of_fleet_leaves_it_to_its_person(
    runner: Runner, fleet: tuple[FleetDouble, HttpDouble]
) -> None:
    """Fleet names who uses a host under other keys than in its lists."""
    lena = Person.objects.create(uid="lb", name="Lena", address="lena.brandt@example.org")
    runner.run("fleet", now=now())
    device = Device.objects.get(source_device_id="101")

    hints.look_again([device.pk], actor_id=None, now=now())
    follow(runner)
    follow(runner, now() + timedelta(minutes=4))

    assert [each.path for each in fleet[1].asked if each.path.endswith("/hosts/101")]
    device.refresh_from_db()
    assert device.person_id == lena.pk


# -- Android Management and Pub/Sub -------------------------------------------------------------


@pytest.fixture
def google(
    authority: TestAuthority, signer: rsa.RSAPrivateKey, runner: Runner, tmp_path: Path
) -> Iterator[tuple[GoogleDouble, HttpDouble]]:
    android = [
        row
        for number in (1, 2)
        for row in sample(f"androidmanagement/devices.list.page{number}.json")["devices"]
    ]
    mobile = [
        row
        for number in (1, 2)
        for row in sample(f"workspace/mobiledevices.list.page{number}.json")["mobiledevices"]
    ]
    double = GoogleDouble(android, mobile, signer=signer)
    with HttpDouble(double.routes(), authority=authority) as server:
        pem = signer.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "private_key": pem.decode(),
            "client_email": "cm@example.iam",
            "token_uri": f"{server.base}/token",
        }
        (tmp_path / "google.json").write_text(json.dumps(account), encoding="utf-8")
        add(
            "android_management",
            authority,
            url=server.base,
            secret=f"file:{tmp_path / 'google.json'}",
            enterprise=ENTERPRISE,
            subscription=SUBSCRIPTION,
            push_account=ACCOUNT,
            push_audience=AUDIENCE,
            certificates=f"{server.base}/oauth2/v3/certs",
        )
        add(
            "workspace",
            authority,
            url=server.base,
            secret=f"file:{tmp_path / 'google.json'}",
            subject="admin@example.org",
            hook_secret="env:HOOK",
        )
        yield double, server


Google = tuple[GoogleDouble, HttpDouble]


def token(double: GoogleDouble, **changed: Any) -> str:
    told: dict[str, Any] = {
        "audience": AUDIENCE,
        "account": ACCOUNT,
        "at": now().timestamp(),
    } | changed
    return f"Bearer {double.identity(**told)}"


def test_a_push_of_google_leads_to_a_look_at_that_device(
    web: Client, runner: Runner, google: Google
) -> None:
    lie = dict(google[0].android[0]) | {"applicationReports": []}
    body = pushed(lie, 1, SUBSCRIPTION)

    assert post(web, "android_management", body, authorization=token(google[0])) == 200
    assert waiting() == [PHONE]
    follow(runner)

    assert presences() == {PHONE: "present"}  # what the list says, not what was pushed
    asked = [each.path for each in google[1].asked if "/devices" in each.path]
    assert asked == [f"/v1/{PHONE}"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda double: "",
        lambda double: "Bearer x.y.z",
        lambda double: token(double)[:-6] + "AAAAAA",
        lambda double: token(double, audience="https://other.example.org/"),
        lambda double: token(double, account="other@example-emm.iam.gserviceaccount.com"),
        lambda double: token(double, iss="https://accounts.example.org"),
        lambda double: token(double, email_verified=False),
        lambda double: token(double, at=now().timestamp() - 7_500),
        lambda double: token(double, at=now().timestamp() + 900),
        lambda double: token(double, exp=2**40, iat=int(now().timestamp()) - 90_000),
    ],
    ids=[
        "no token",
        "no token at all",
        "wrong signature",
        "for somebody else",
        "another account",
        "another issuer",
        "account not verified",
        "expired",
        "from the future",
        "for ever",
    ],
)
def test_a_push_that_is_not_googles_is_refused(
    web: Client, runner: Runner, google: Google, spoil: Callable[[GoogleDouble], str]
) -> None:
    body = pushed(google[0].android[0], 1, SUBSCRIPTION)

    assert post(web, "android_management", body, authorization=spoil(google[0])) == 403
    assert waiting() == []


def test_a_key_of_somebody_else_signs_nothing(web: Client, runner: Runner, google: Google) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = token(GoogleDouble(signer=stranger))
    body = pushed(google[0].android[0], 1, SUBSCRIPTION)

    assert post(web, "android_management", body, authorization=forged) == 403


def test_a_push_that_comes_again_leads_to_one_look(
    web: Client, runner: Runner, google: Google
) -> None:
    body = pushed(google[0].android[0], 7, SUBSCRIPTION)
    for _ in range(2):
        assert post(web, "android_management", body, authorization=token(google[0])) == 200
        follow(runner)

    assert sum(each.path == f"/v1/{PHONE}" for each in google[1].asked) == 1


@pytest.mark.parametrize(
    ("name", "subscription"),
    [
        ("enterprises/OTHER/devices/1", SUBSCRIPTION),
        (f"{ENTERPRISE}/devices/../../../v1/other", SUBSCRIPTION),
        (PHONE, "projects/other/subscriptions/other"),
    ],
)
def test_a_push_about_another_enterprise_is_refused(
    web: Client, runner: Runner, google: Google, name: str, subscription: str
) -> None:
    body = pushed(dict(google[0].android[0]) | {"name": name}, 1, subscription)

    assert post(web, "android_management", body, authorization=token(google[0])) == 403


def test_strangers_make_us_ask_google_for_its_keys_once_a_minute_at_most(
    web: Client, runner: Runner, google: Google
) -> None:
    stranger = GoogleDouble(signer=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    body = pushed(google[0].android[0], 1, SUBSCRIPTION)
    for _ in range(20):
        post(web, "android_management", body, authorization=token(stranger))

    assert sum("certs" in each.path for each in google[1].asked) == 1


def test_while_google_cannot_be_asked_for_its_keys_a_push_may_come_again(
    web: Client, runner: Runner, google: Google
) -> None:
    body = pushed(google[0].android[0], 1, SUBSCRIPTION)
    told = token(google[0])
    google[1].fail(503)

    assert post(web, "android_management", body, authorization=told) == 503


# -- Workspace ----------------------------------------------------------------------------------


def activity(package: str, state: str, *, at: datetime) -> dict[str, Any]:
    told: dict[str, Any] = sample("workspace/reports.activities.mobile.json")["items"][0]
    told["id"]["time"] = at.isoformat().replace("+00:00", "Z")
    for each in told["events"][0]["parameters"]:
        if each["name"] == "APPLICATION_ID":
            each["value"] = package
        if each["name"] == "APPLICATION_STATE":
            each["value"] = state
    return told


DEVICE = "AFiQxQ8exampleResource02"


def test_an_activity_that_google_pushes_leads_to_a_look_at_that_device(
    web: Client, runner: Runner, google: Google
) -> None:
    told = activity("com.ss.android.ugc.trill", "UNINSTALLED", at=now())
    body = json.dumps(told).encode()

    assert (
        post(web, "workspace", b"", x_goog_channel_token=KEY, x_goog_resource_state="sync") == 200
    )
    assert post(web, "workspace", body, x_goog_channel_token="wrong") == 403
    assert post(web, "workspace", body, x_goog_channel_token=KEY) == 200
    assert waiting() == [DEVICE]
    follow(runner)

    assert presences() == {DEVICE: "present"}  # as the device list says, whatever was pushed


def test_a_feed_that_is_none_is_refused_in_words(runner: Runner, google: Google) -> None:
    no_activity: Any = BUNDLE
    google[0].activities = [no_activity]
    hints.note("workspace", [FEED], due_at=now())

    follow(runner)

    assert sources.view("workspace").last_error == "input.faults"


def test_an_activity_about_another_app_is_no_hint(
    web: Client, runner: Runner, google: Google
) -> None:
    body = json.dumps(activity("org.example.payroll", "UNINSTALLED", at=now())).encode()

    assert post(web, "workspace", body, x_goog_channel_token=KEY) == 200
    assert waiting() == []


def test_the_feed_of_activities_is_read_between_runs_and_each_event_counts_once(
    runner: Runner, google: Google
) -> None:
    runner.run("workspace", now=now())
    google[0].activities = [activity("com.ss.android.ugc.trill", "UNINSTALLED", at=now())]
    later = now() + source_hints.READ_FEED_EVERY
    follow(runner)  # from now on the feed is read
    assert waiting() == [FEED]

    follow(runner, later + timedelta(minutes=1))
    follow(runner, later + timedelta(minutes=2))
    looked = [each.path for each in google[1].asked if each.path.endswith(DEVICE)]
    follow(runner, later + timedelta(minutes=30))
    follow(runner, later + timedelta(minutes=31))

    assert len(looked) == 1
    assert [each.path for each in google[1].asked if each.path.endswith(DEVICE)] == looked
