"""What exports mean, held against samples whose meaning was written down before the code."""

import json
import shutil
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand.byte_source import ByteSource
from countermand.catalogue.queries import catalogue
from countermand.connectors.csv_files.source import CsvFiles
from countermand.connectors.intune_export import report_zip
from countermand.connectors.intune_export.source import IntuneExport
from countermand.domain.app_id import (
    IdentifierKey,
    IdentifierKind,
    Platform,
    SignedIdentifier,
    WantedApp,
)
from countermand.domain.errors import Fault
from countermand.domain.inventory import DeviceReport
from countermand.domain.presence import Coverage, Presence

SAMPLES = Path(__file__).parent.parent / "fixtures" / "inventory"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
NOW = datetime.fromisoformat(EXPECTED["_now"])
DEVICE_HEADER = "device_id,owner_email,platform,last_seen,inventory_at,coverage\n"
APP_HEADER = "device_id,app_id,app_name,seen_at\n"


@pytest.fixture
def tiktok() -> WantedApp:
    return catalogue().wanted(["tiktok"])[0]


def csv_files(tiktok: WantedApp, *names: str) -> CsvFiles:
    files = [ByteSource.of(SAMPLES / "csv" / name) for name in names]
    return CsvFiles(files, apps=[tiktok], as_of=NOW)


def written(folder: Path, devices: str, apps: str | None = None) -> list[ByteSource]:
    (folder / "devices.csv").write_text(DEVICE_HEADER + devices, encoding="utf-8")
    files = [ByteSource.of(folder / "devices.csv")]
    if apps is not None:
        (folder / "apps.csv").write_text(APP_HEADER + apps, encoding="utf-8")
        files.append(ByteSource.of(folder / "apps.csv"))
    return files


def intune(tiktok: WantedApp) -> IntuneExport:
    archive = report_zip.opened(next((SAMPLES / "intune").glob("*.zip")))
    assert isinstance(archive, ByteSource)
    devices = ByteSource.of(SAMPLES / "intune" / "Devices.csv")
    return IntuneExport([devices, archive], apps=[tiktok], as_of=NOW)


@pytest.mark.parametrize(
    "devices", ["devices.csv", "devices.excel-semicolon-bom.csv", "devices.utf16le.csv"]
)
def test_plain_files_mean_the_same_in_every_encoding(tiktok: WantedApp, devices: str) -> None:
    expected = EXPECTED["csv/devices.csv + apps.csv"]
    source = csv_files(tiktok, devices, "apps.csv")

    found = {report.source_device_id: report.presence(tiktok) for report in source.reports()}

    assert len(found) == expected["rows_ok"]
    assert found == expected["presence"]
    rejected = [{"device_id": row.device_id, "why": row.why} for row in source.rejected]
    assert rejected == expected["rejected"]
    assert not source.faults


def test_every_fault_of_a_row_has_its_line(tiktok: WantedApp) -> None:
    source = csv_files(tiktok, "devices.csv", "apps.csv")
    list(source.reports())

    faults = [fault for row in source.rejected for fault in row.faults]

    assert [(fault.code, fault.line, fault.key) for fault in faults] == [
        ("row.bad_address", 6, "owner_email"),
        ("row.bad_time", 6, "last_seen"),
        ("row.unknown_device", 6, "device_id"),
    ]


def as_expected(report: DeviceReport, tiktok: WantedApp) -> dict[str, Any]:
    contact = report.last_contact_at
    return {
        "source": "intune",
        "source_device_id": report.source_device_id,
        "aliases": [{"kind": a.kind.value, "value": a.value} for a in report.aliases],
        "owners": list(report.owners),
        "platform": report.platform.value,
        "os_version": report.os_version,
        "ownership": report.ownership.value,
        "last_contact_at": contact and contact.isoformat().replace("+00:00", "Z"),
        "inventory_at": report.inventory_at,
        "coverage": report.coverage.value,
        "asked": report.asked,
        "matched_apps": sorted(
            (
                {
                    "ident_kind": m.match.key.kind.value,
                    "ident": m.match.key.value,
                    "version": m.version,
                    "name": m.name,
                }
                for m in report.matched
            ),
            key=lambda row: row["version"],
            reverse=True,
        ),
        "presence": report.presence(tiktok).value,
    }


def test_an_intune_export_means_what_was_written_down(tiktok: WantedApp) -> None:
    expected = [
        {key: value for key, value in device.items() if key != "note"}
        for device in EXPECTED["intune/Devices.csv + AppInvRawData.csv"]
    ]
    source = intune(tiktok)

    assert [as_expected(report, tiktok) for report in source.reports()] == expected
    assert source.rejected == []
    assert not source.faults


def test_a_bare_name_closes_nothing_unless_name_and_publisher_are_signed(
    tiktok: WantedApp,
) -> None:
    def may_close(wanted: WantedApp) -> dict[str, bool]:
        rows = {r.source_device_id[-2:]: r.found("tiktok") for r in intune(wanted).reports()}
        return {device: row.match.may_close for device, row in rows.items() if row}

    signed = SignedIdentifier(
        "tiktok", IdentifierKey(IdentifierKind.INTUNE_NAME, "TikTok"), "CN=00000000-EXAMPLE"
    )
    with_signature = WantedApp("tiktok", tiktok.identifiers, tiktok.names, (signed,))

    assert may_close(tiktok) == {"01": False, "03": False, "04": False}
    assert may_close(with_signature) == {"01": False, "03": True, "04": False}


def test_other_apps_leave_no_trace_in_the_reports(tiktok: WantedApp, tmp_path: Path) -> None:
    apps = (
        "d1,org.example.payroll,Payroll Canary,\n"
        "d1,com.zhiliaoapp.musically,TikTok,\n"
        "d1,org.example.ticktock,Tick Tock Timer,\n"
        "d2,org.example.payroll,TikTok,\n"
    )
    files = written(tmp_path, "d1,,android,,,full\nd2,,android,,,full\n", apps)
    source = CsvFiles(files, apps=[tiktok], as_of=NOW)

    reports = list(source.reports())

    assert [report.presence(tiktok) for report in reports] == [Presence.PRESENT, Presence.ABSENT]
    assert "payroll" not in repr((reports, source.rejected, vars(source))).lower()
    assert "tick tock" not in repr((reports, source.rejected, vars(source))).lower()


def test_without_a_list_of_apps_nothing_is_known_about_apps(
    tiktok: WantedApp, tmp_path: Path
) -> None:
    source = CsvFiles(written(tmp_path, "d1,,ios,,,full\n"), apps=[tiktok], as_of=NOW)

    assert [report.presence(tiktok) for report in source.reports()] == [Presence.UNKNOWN]


def test_a_word_that_nobody_understands_is_a_fault_of_every_row_that_has_it(
    tiktok: WantedApp, tmp_path: Path
) -> None:
    platforms = ("tos", "ios", "tos", "ios")
    rows = (f"d{number},,{platform},,,full\n" for number, platform in enumerate(platforms))
    source = CsvFiles(written(tmp_path, "".join(rows)), apps=[tiktok], as_of=NOW)

    read = [(report.source_device_id, report.platform) for report in source.reports()]

    assert read == [("d1", Platform.IOS), ("d3", Platform.IOS)]
    assert [(row.device_id, row.line) for row in source.rejected] == [("d0", 2), ("d2", 4)]


@pytest.mark.parametrize(("written_as", "meant"), [("iphonne", "iphone"), ("toaster", "other")])
def test_a_slip_of_the_finger_is_told_with_the_word_that_was_meant(
    tiktok: WantedApp, tmp_path: Path, written_as: str, meant: str
) -> None:
    source = CsvFiles(
        written(tmp_path, f"d1,asha@amber.example,{written_as},,,\n"), apps=[tiktok], as_of=NOW
    )

    assert not list(source.reports())
    [rejected] = source.rejected
    assert dict(rejected.faults[0].facts)["near"] == meant


def test_an_identifier_counts_on_its_own_platforms_alone(tiktok: WantedApp, tmp_path: Path) -> None:
    # The Asian edition's Android package, said of an iPhone.
    files = written(tmp_path, "d1,,ios,,,full\n", "d1,com.ss.android.ugc.trill,TikTok,\n")
    source = CsvFiles(files, apps=[tiktok], as_of=NOW)

    assert [report.matched for report in source.reports()] == [()]


def test_ids_of_nothing_are_no_names_of_a_device(tiktok: WantedApp) -> None:
    kiosk = list(intune(tiktok).reports())[-1]

    assert [alias.value for alias in kiosk.aliases] == ["RZEXAMPLE07"]
    assert kiosk.owners == ()
    assert kiosk.coverage is Coverage.UNKNOWN


def test_apps_without_devices_and_devices_without_apps_are_refused(tiktok: WantedApp) -> None:
    devices = ByteSource.of(SAMPLES / "intune" / "Devices.csv")
    apps = ByteSource.of(SAMPLES / "intune" / "AppInvRawData.csv")

    def faults(*files: ByteSource) -> list[str]:
        source = IntuneExport(files, apps=[tiktok], as_of=NOW)
        assert list(source.reports()) == []
        return [fault.code for fault in source.faults.faults]

    assert faults(devices) == ["file.no_apps"]
    assert faults(apps) == ["file.no_devices"]


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "report.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "members", [{}, {"a.csv": b"x", "b.csv": b"y"}, {"notes.txt": b"x"}], ids=len
)
def test_a_zip_holds_exactly_one_table(tmp_path: Path, members: dict[str, bytes]) -> None:
    opened = report_zip.opened(zipped(tmp_path, members))

    assert isinstance(opened, Fault)
    assert opened.code == "file.bad_zip"


def test_a_zip_with_endless_members_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = zipped(tmp_path, {f"{number}-{'x' * 100}": b"" for number in range(10_000)})

    tracemalloc.start()
    found = report_zip.opened(path)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(found, Fault)
    assert found.code == "file.bad_zip"
    assert most_bytes < 500_000


def test_what_is_no_zip_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    path.write_bytes(b"DeviceId,OS\n")

    opened = report_zip.opened(path)

    assert isinstance(opened, Fault)
    assert opened.file == str(path)


def test_a_zip_that_swells_is_stopped_while_it_swells(tiktok: WantedApp, tmp_path: Path) -> None:
    header = (SAMPLES / "intune" / "AppInvRawData.csv").read_bytes().splitlines(keepends=True)[0]
    path = zipped(tmp_path, {"AppInvRawData.csv": header + (b"x" * 3000 + b"\n") * 10_000})
    opened = report_zip.opened(path)
    assert isinstance(opened, ByteSource)
    devices = ByteSource.of(SAMPLES / "intune" / "Devices.csv")
    source = IntuneExport([opened, devices], apps=[tiktok], as_of=NOW)

    list(source.reports())

    assert [fault.code for fault in source.faults.faults] == ["file.unreadable"]


def test_a_damaged_zip_is_a_fault_and_not_a_shorter_list(tiktok: WantedApp, tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    shutil.copy(next((SAMPLES / "intune").glob("*.zip")), path)
    content = bytearray(path.read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(content)
    opened = report_zip.opened(path)
    assert isinstance(opened, ByteSource)
    devices = ByteSource.of(SAMPLES / "intune" / "Devices.csv")
    source = IntuneExport([opened, devices], apps=[tiktok], as_of=NOW)

    list(source.reports())

    assert source.faults


def test_a_time_after_the_export_is_refused(tiktok: WantedApp, tmp_path: Path) -> None:
    files = written(tmp_path, "d1,,ios,,2026-11-24T00:00:00Z,full\n", "")
    source = CsvFiles(files, apps=[tiktok], as_of=datetime(2026, 11, 23, tzinfo=UTC))

    assert list(source.reports()) == []
    assert [row.why for row in source.rejected] == ["inventory_at invalid"]


INTUNE_DEVICES = "DeviceId,Ownership,OS,LastContact\n"
INTUNE_APPS = "DeviceId,ApplicationName,ApplicationPublisher\n"
APP_OF_D1 = "d1,TikTok,TikTok Ltd.\n"


def intune_tables(folder: Path, devices: str, apps: str = "") -> list[ByteSource]:
    (folder / "Devices.csv").write_text(INTUNE_DEVICES + devices, encoding="utf-8")
    (folder / "AppInvRawData.csv").write_text(INTUNE_APPS + apps, encoding="utf-8")
    return [ByteSource.of(folder / name) for name in ("Devices.csv", "AppInvRawData.csv")]


@pytest.mark.parametrize(
    ("last_contact", "presence"),
    [
        ("2026-11-22 05:00:00.0000000", Presence.ABSENT),
        ("2026-11-10 05:00:00.0000000", Presence.UNKNOWN),
        ("0001-01-01 00:00:00.0000000", Presence.UNKNOWN),
        ("", Presence.UNKNOWN),
    ],
    ids=["yesterday", "two weeks ago", "never", "not said"],
)
def test_what_intune_repeats_of_a_device_that_is_not_in_touch_proves_no_absence(
    tiktok: WantedApp, tmp_path: Path, last_contact: str, presence: Presence
) -> None:
    files = intune_tables(tmp_path, f"d1,Corporate,iOS,{last_contact}\n")

    [report] = IntuneExport(files, apps=[tiktok], as_of=NOW).reports()

    assert report.presence(tiktok) is presence


def test_a_contact_while_a_report_is_prepared_counts_as_of_its_beginning(
    tiktok: WantedApp, tmp_path: Path
) -> None:
    files = intune_tables(tmp_path, f"d1,Corporate,iOS,{NOW + timedelta(minutes=4)}\n", APP_OF_D1)

    [report] = IntuneExport(files, apps=[tiktok], as_of=NOW, goes_on=True).reports()

    assert report.last_contact_at == NOW
    assert report.presence(tiktok) is Presence.PRESENT


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("Android (personally-owned work profile)", Platform.ANDROID),
        ("AndroidForWork", Platform.ANDROID),
        ("AndroidEnterprise", Platform.ANDROID),
        ("Windows Holographic", Platform.OTHER),
        ("", Platform.OTHER),
    ],
)
def test_what_intune_writes_for_a_platform_keeps_no_device_out(
    tiktok: WantedApp, tmp_path: Path, text: str, platform: Platform
) -> None:
    files = intune_tables(tmp_path, f"d1,Personal,{text},2026-11-22 05:00:00\n")

    [report] = IntuneExport(files, apps=[tiktok], as_of=NOW).reports()

    assert report.platform is platform
