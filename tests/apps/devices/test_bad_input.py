"""Bad input of every kind is bounded, refused with a code that can be read, and changes nothing."""

import base64
import io
import json
import plistlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand.catalogue.queries import catalogue
from countermand.connectors.android_management.fetch import AndroidManagementServer
from countermand.connectors.kinds import open_files
from countermand.connectors.names import SourceKind
from countermand.devices import actions, sources
from countermand.devices.actions import LoadOptions
from countermand.devices.models import Device, DeviceAlias, Observation
from countermand.domain.errors import CountermandError, FaultsFound
from countermand.project.source_runs import Runner
from countermand.testing.http_double import ADDRESS, Asked, HttpDouble, Reply, TestAuthority
from countermand.testing.mdm_doubles import AppleDevice, FleetDouble, JamfDouble, NanoMdmDouble
from countermand.wire.hosts import AllowedHosts
from countermand.wire.http import AnswerNotUnderstood, Http

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.enable_socket,
    pytest.mark.usefixtures("one_order"),
]

SAMPLES = Path(__file__).parents[2] / "fixtures" / "inventory"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TIKTOK = catalogue().wanted(["tiktok"])
BUNDLE = "com.zhiliaoapp.musically"


def state() -> tuple[Any, ...]:
    return (
        list(Device.objects.order_by("pk").values()),
        list(Observation.objects.order_by("pk").values()),
        list(DeviceAlias.objects.order_by("pk").values()),
    )


def load(kind: SourceKind, files: list[Path], *, at: datetime = NOW) -> None:
    actions.load_inventory(
        open_files(kind, files, apps=TIKTOK, as_of=at),
        apps=TIKTOK,
        owners={},
        as_of=at,
        now=at,
        actor_id=None,
        options=LoadOptions(accept_rejects=True),
    )


def intune(folder: Path) -> list[Path]:
    zipped = next((SAMPLES / "intune").glob("*.zip"))
    return [
        Path(shutil.copy(SAMPLES / "intune" / "Devices.csv", folder / "Devices.csv")),
        Path(shutil.copy(zipped, folder / "AppInvRawData.zip")),
    ]


def truncated(files: list[Path]) -> None:
    files[1].write_bytes(files[1].read_bytes()[:-40])


def cut_in_its_content(files: list[Path]) -> None:
    content = files[1].read_bytes()
    files[1].write_bytes(content[:120] + content[180:])


def bomb(files: list[Path]) -> None:
    with zipfile.ZipFile(files[1]) as archive:
        header = archive.read(archive.namelist()[0]).splitlines(keepends=True)[0]
    with zipfile.ZipFile(files[1], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("AppInvRawData.csv", header + b"x" * 60_000_000)


def many_lines(files: list[Path]) -> None:
    with zipfile.ZipFile(files[1]) as archive:
        header = archive.read(archive.namelist()[0]).splitlines(keepends=True)[0]
    with zipfile.ZipFile(files[1], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("AppInvRawData.csv", header + (b"x" * 3_000 + b"\n") * 10_000)


def zip_in_a_zip(files: list[Path]) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("AppInvRawData.csv", "a")
    with zipfile.ZipFile(files[1], "w") as archive:
        archive.writestr("AppInvRawData.zip", inner.getvalue())


def swollen_field(files: list[Path]) -> None:
    lines = files[0].read_bytes().splitlines(keepends=True)
    cells = lines[1].split(b",")
    lines[1] = b",".join([cells[0], b'"' + b"x" * 10_000_000 + b'"', *cells[2:]])
    files[0].write_bytes(b"".join(lines))


def no_header(files: list[Path]) -> None:
    files[0].write_bytes(b"x" * 10_000_000)


@pytest.mark.parametrize(
    "spoil", [truncated, cut_in_its_content, many_lines, zip_in_a_zip, no_header]
)
def test_a_bad_file_is_refused_whole_and_what_was_known_stays(
    tmp_path: Path, spoil: Callable[[list[Path]], None]
) -> None:
    files = intune(tmp_path)
    load(SourceKind.INTUNE, files)
    before = state()
    spoil(files)

    with pytest.raises(FaultsFound) as refused:
        load(SourceKind.INTUNE, files, at=LATER)

    assert all(fault.code and fault.file for fault in refused.value.faults)
    assert state() == before


def test_a_field_of_ten_megabytes_spoils_its_own_row_and_its_device_stays_as_it_was(
    tmp_path: Path,
) -> None:
    files = intune(tmp_path)
    load(SourceKind.INTUNE, files)
    before = dict(Observation.objects.values_list("device__source_device_id", "presence"))
    swollen_field(files)

    load(SourceKind.INTUNE, files, at=LATER)

    after = dict(Observation.objects.values_list("device__source_device_id", "presence"))
    assert after == before
    assert not Device.objects.filter(gone_at__isnull=False).exists()
    assert not Device.objects.filter(name__startswith="xxx").exists()


def test_an_id_in_other_letters_is_the_same_device(tmp_path: Path) -> None:
    files = intune(tmp_path)
    load(SourceKind.INTUNE, files)
    before = list(Device.objects.order_by("pk").values_list("pk", "source_device_id"))
    lines = files[0].read_text(encoding="utf-8-sig").splitlines(keepends=True)
    column = lines[0].split(",").index("DeviceId")
    for number, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        cells[column] = cells[column].upper()
        lines[number] = ",".join(cells)
    files[0].write_text("".join(lines), encoding="utf-8")

    load(SourceKind.INTUNE, files, at=LATER)

    assert list(Device.objects.order_by("pk").values_list("pk", "source_device_id")) == before
    assert Observation.objects.filter(presence="present").count() >= 3


def test_what_a_database_cannot_hold_is_kept_as_a_blank(tmp_path: Path) -> None:
    devices, apps = tmp_path / "devices.csv", tmp_path / "apps.csv"
    header = b"device_id,platform,device_name,os_version,serial,coverage\n"
    devices.write_bytes(header + b"d1,ios,My\0phone,1\0,S\0X,full\n")
    apps.write_bytes(f"device_id,app_id,app_name\nd1,{BUNDLE},Tik\0Tok\n".encode())

    load(SourceKind.CSV, [devices, apps])

    assert Device.objects.get().name == "My phone"
    assert DeviceAlias.objects.get().value == "S X"
    assert Observation.objects.get().presence == "present"


def test_an_id_of_zeros_names_nobody(tmp_path: Path) -> None:
    files = intune(tmp_path)
    lines = files[0].read_text(encoding="utf-8-sig").splitlines(keepends=True)
    column = lines[0].split(",").index("EasID")
    for number, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        cells[column] = "00000000-0000-0000-0000-000000000000"
        lines[number] = ",".join(cells)
    files[0].write_text("".join(lines), encoding="utf-8")

    load(SourceKind.INTUNE, files)

    assert DeviceAlias.objects.filter(kind="serial").exists()
    assert not DeviceAlias.objects.filter(kind="eas_device_id").exists()


def test_a_row_of_apps_that_cannot_be_read_makes_no_app_absent(tmp_path: Path) -> None:
    files = intune(tmp_path)
    load(SourceKind.INTUNE, files)
    before = dict(Observation.objects.values_list("device__source_device_id", "presence"))
    bomb(files)

    load(SourceKind.INTUNE, files, at=NOW + timedelta(days=30))

    after = dict(Observation.objects.values_list("device__source_device_id", "presence"))
    assert after == before


@pytest.mark.parametrize("seen_at", ["never", "2099-01-01T00:00:00Z", '"' + "x" * 10_000_000 + '"'])
def test_a_row_of_a_plain_file_that_cannot_be_read_makes_no_app_absent(
    tmp_path: Path, seen_at: str
) -> None:
    devices, apps = tmp_path / "devices.csv", tmp_path / "apps.csv"

    def write(inventory_at: datetime, seen: str) -> list[Path]:
        columns = "device_id,owner_email,platform,ownership,inventory_at,coverage\n"
        devices.write_text(f"{columns}d1,,android,corporate,{inventory_at.isoformat()},full\n")
        apps.write_text(f"device_id,app_id,app_name,seen_at\nd1,{BUNDLE},TikTok,{seen}\n")
        return [devices, apps]

    load(SourceKind.CSV, write(NOW, NOW.isoformat()))
    assert Observation.objects.get().presence == "present"

    load(SourceKind.CSV, write(LATER, seen_at), at=LATER)

    assert Observation.objects.get().presence == "present"


# -- over HTTP ----------------------------------------------------------------------------------


def rows(name: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))[key]
    return found


def add(name: str, authority: TestAuthority, **options: Any) -> None:
    private = {"private_network": True, "ca_file": str(authority.ca_file)}
    sources.add(name, options=options | private, every=timedelta(hours=6), actor_id=None, now=NOW)


@pytest.fixture
def jamf(authority: TestAuthority) -> Iterator[HttpDouble]:
    double = JamfDouble(rows("jamf/mobile-devices-detail.page0.json", "results"), secret="invented")
    with HttpDouble(double.routes(), authority=authority) as server:
        add("jamf", authority, url=server.base, client_id="countermand", secret="env:JAMF")
        yield server


@pytest.fixture
def fleet(authority: TestAuthority) -> Iterator[HttpDouble]:
    double = FleetDouble(rows("fleet/hosts.populate_software.json", "hosts"))
    with HttpDouble(double.routes(), authority=authority) as server:
        add("fleet", authority, url=server.base, secret="env:FLEET")
        yield server


def in_a_circle(server: HttpDouble, key: str, *, told: dict[str, Any]) -> None:
    """Answer every page with the first one, and claim that there is more."""
    honest = server.answer

    def answer(asked: Asked) -> Reply:
        query = {name: value for name, value in asked.query.items() if name != "page"}
        reply = honest(Asked(asked.method, asked.path, query, asked.headers, asked.body))
        page = json.loads(reply.body)
        return Reply.json(page | told) if page.get(key) else reply

    server.answer = answer  # type: ignore[method-assign]


ENDLESS: dict[str, Any] = {"totalCount": 10**9, "meta": {"has_next_results": True}}
BAD_ANSWERS: dict[str, Callable[[HttpDouble, str], None]] = {
    "pages in a circle": lambda server, key: in_a_circle(server, key, told=ENDLESS),
    "an error beside the list": lambda server, key: server.fail(
        200, json.dumps({key: [], "error": {"code": "X"}}).encode()
    ),
    "an error in place of the list": lambda server, _: server.fail(
        200, b'{"errors": [{"code": "X"}]}'
    ),
    "a list that is none": lambda server, key: server.fail(200, json.dumps({key: {}}).encode()),
    "nested deeper than any list": lambda server, key: server.fail(
        200, b'{"%s": ' % key.encode() + b"[" * 100_000 + b"]" * 100_000 + b"}"
    ),
    "cut off": lambda server, key: server.fail(200, b'{"%s": [{"id": 1}' % key.encode()),
}


@pytest.mark.parametrize("why", BAD_ANSWERS)
def test_a_bad_answer_of_jamf_is_refused_and_what_was_known_stays(
    runner: Runner, jamf: HttpDouble, why: str
) -> None:
    _refused(runner, "jamf", lambda: BAD_ANSWERS[why](jamf, "results"))


@pytest.mark.parametrize("why", BAD_ANSWERS)
def test_a_bad_answer_of_fleet_is_refused_and_what_was_known_stays(
    runner: Runner, fleet: HttpDouble, why: str
) -> None:
    _refused(runner, "fleet", lambda: BAD_ANSWERS[why](fleet, "hosts"))


def _refused(runner: Runner, name: str, spoil: Callable[[], None]) -> None:
    runner.run(name, now=NOW)
    before = state()
    spoil()

    with pytest.raises(CountermandError) as refused:
        runner.run(name, now=LATER)

    assert state() == before
    assert sources.view(name).last_error == refused.value.code


def test_googles_pages_in_a_circle_end(authority: TestAuthority) -> None:
    device = rows("androidmanagement/devices.list.page1.json", "devices")[0]
    endless = Reply.json({"devices": [device], "nextPageToken": "again"})
    hosts = AllowedHosts.of([ADDRESS], private=True)
    routes = [("GET", r"/v1/enterprises/[^/]+/devices", lambda _asked: endless)]
    with (
        HttpDouble(routes, authority=authority) as server,
        Http(hosts, ca_file=str(authority.ca_file)) as http,
    ):
        asked = AndroidManagementServer(http, lambda: "t", "enterprises/E", base=server.base)
        with pytest.raises(AnswerNotUnderstood):
            list(asked.documents())


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;">]><plist version="1.0"><dict><key>Status</key>'
    b"<string>&c;</string></dict></plist>"
)


@pytest.mark.parametrize(
    "payload",
    [LAUGHS, plistlib.dumps({"a": 1})[:-20], b"\x00" * 1_000],
    ids=["billion laughs", "cut off", "nothing"],
)
def test_a_bad_property_list_in_a_genuine_event_changes_nothing(
    runner: Runner, authority: TestAuthority, payload: bytes
) -> None:
    carries = {"Identifier": BUNDLE, "Name": "TikTok", "Installing": False}
    double = NanoMdmDouble({"D1": AppleDevice("D1", [carries])})
    with HttpDouble(double.routes(), authority=authority) as server:
        add("nanomdm", authority, url=server.base, secret="env:NANO", hook_secret="env:HOOK")
        Device.objects.create(source="nanomdm", source_device_id="D1", platform="ios")
        runner.run("nanomdm", now=NOW)
        for post in double.posts(NOW):
            runner.take_in("nanomdm", *post, now=NOW)
    before = state()
    body, _ = double.post(AppleDevice("D1"), {}, LATER)
    event = json.loads(body)
    event["acknowledge_event"]["raw_payload"] = base64.b64encode(payload).decode()
    spoilt = json.dumps(event).encode()

    runner.take_in("nanomdm", spoilt, double.signed(spoilt), now=LATER)

    assert state() == before
