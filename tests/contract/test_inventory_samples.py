"""Every sample means what was written down before the code; where that is wrong, it says why."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countermand.catalogue.queries import catalogue
from countermand.cli.observations import observation, observed
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.intune_export.source import IntuneExport
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.kinds import may_be_a_part, open_files
from countermand.connectors.names import SourceKind
from countermand.domain.app_id import WantedApp
from countermand.ports import InventorySource
from countermand.wire.json_documents import Record
from countermand.wire.paged import PagedSource

SAMPLES = Path(__file__).parent.parent / "fixtures" / "inventory"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
NOW = datetime.fromisoformat(EXPECTED["_now"])
CAPTURED = datetime(2026, 11, 23, 18, tzinfo=UTC)  # the events were caught after `_now`

# Sample, the source that reads it, its files.
LISTS = {
    "intune/Devices.csv + AppInvRawData.csv": (
        "intune",
        ["Devices.csv", "AppInvRawData_05e62361-783b-4cec-b635-0aed0ecf14a3.zip"],
    ),
    "jamf/mobile-devices-detail.page0.json": ("jamf", ["mobile-devices-detail.page0.json"]),
    "jamf/computers-inventory.page0.json": ("jamf", ["computers-inventory.page0.json"]),
    "fleet/hosts.populate_software.json": ("fleet", ["hosts.populate_software.json"]),
    "androidmanagement/devices.list": (
        "android_management",
        ["devices.list.page1.json", "devices.list.page2.json"],
    ),
    "workspace/mobiledevices.list": (
        "workspace",
        ["mobiledevices.list.page1.json", "mobiledevices.list.page2.json"],
    ),
}
ONE = {
    "androidmanagement/pubsub.push.STATUS_REPORT.removed.json": (
        "android_management",
        "pubsub.push.STATUS_REPORT.removed.json",
    ),
    "micromdm/webhook.connect.installedapps.json": (
        "nanomdm",
        "webhook.connect.installedapps.json",
    ),
}
NOT_BUILT = {"headwind", "osquery"}
WRONG = {
    # An event about one package says nothing about the other packages of the same app. Absence
    # needs a whole list or an answer to our own question, so this is a hint to look again.
    "workspace/reports.activities.mobile.json": "absent",
}


@pytest.fixture
def tiktok() -> WantedApp:
    return catalogue().wanted(["tiktok"])[0]


def opened(tiktok: WantedApp, folder: str, kind: str, *names: str) -> InventorySource:
    files = [SAMPLES / folder / name for name in names]
    return open_files(SourceKind(kind), files, apps=[tiktok], as_of=CAPTURED)


def said(source: InventorySource, tiktok: WantedApp) -> list[dict[str, Any]]:
    rows = [observation(report, tiktok, source=source.kind) for report in source.reports()]
    assert not source.faults.faults
    assert not source.rejected
    return rows


def agrees(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if key not in {"note", "why"}:
            assert found[key] == value, key


@pytest.mark.parametrize("sample", LISTS)
def test_a_list_means_what_was_written_down(tiktok: WantedApp, sample: str) -> None:
    kind, names = LISTS[sample]
    source = opened(tiktok, sample.split("/", maxsplit=1)[0], kind, *names)

    rows = said(source, tiktok)

    assert source.is_whole == (kind != "jamf")  # which lists its two kinds of devices apart
    assert len(rows) == len(EXPECTED[sample])
    for found, expected in zip(rows, EXPECTED[sample], strict=True):
        agrees(found, expected)


def page(folder: str, name: str, **changed: Any) -> Record:
    read: dict[str, Any] = json.loads((SAMPLES / folder / name).read_text(encoding="utf-8"))
    return Record(name, "", read | changed)


def is_whole(source: PagedSource | IntuneExport) -> bool:
    """Read it to its end, and only then ask."""
    list(source.reports())
    return source.is_whole


JAMF_PHONES = page("jamf", "mobile-devices-detail.page0.json")
JAMF_COMPUTERS = page("jamf", "computers-inventory.page0.json")
TWICE = [page("jamf", "mobile-devices-detail.page0.json", totalCount=6)] * 2
NO_COMPUTERS = Record("none", "", {"totalCount": 0, "results": []})


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([JAMF_PHONES, JAMF_COMPUTERS], True),
        ([JAMF_PHONES, NO_COMPUTERS], True),
        ([JAMF_PHONES], False),
        ([page("jamf", "mobile-devices-detail.page0.json", totalCount=4), JAMF_COMPUTERS], False),
        ([*TWICE, NO_COMPUTERS], False),
    ],
    ids=["both kinds", "no computers", "phones alone", "a last page", "a page twice"],
)
def test_pages_of_jamf_are_all_only_where_every_device_of_both_kinds_is_there(
    tiktok: WantedApp, pages: list[Record], expected: bool
) -> None:
    assert is_whole(PagedSource(JamfReader(), pages, [tiktok], NOW)) is expected


@pytest.mark.parametrize(("before", "expected"), [(True, False), (False, True)])
def test_a_page_of_fleet_that_says_there_was_one_before_it_is_not_all(
    tiktok: WantedApp, before: bool, expected: bool
) -> None:
    meta = {"has_next_results": False, "has_previous_results": before}
    last = page("fleet", "hosts.populate_software.json", meta=meta)

    assert is_whole(PagedSource(FleetReader(), [last], [tiktok], NOW)) is expected


def opened_pages(tiktok: WantedApp, *pages: str) -> IntuneExport:
    source = opened(tiktok, "intune", "intune", *pages, "AppInvRawData.csv")
    assert isinstance(source, IntuneExport)
    return source


def test_pages_of_intune_are_all_where_as_many_devices_are_there_as_the_first_says(
    tiktok: WantedApp,
) -> None:
    first, last = "managedDevices.page1.json", "managedDevices.page2.json"
    both, beginning = opened_pages(tiktok, first, last), opened_pages(tiktok, first)
    counted = IntuneExport(
        [], apps=[tiktok], as_of=NOW, documents=[page("intune", last, **{"@odata.count": 5})]
    )

    assert is_whole(both)
    assert not may_be_a_part(both)
    assert not is_whole(beginning)
    assert not is_whole(counted)


@pytest.mark.parametrize(
    ("folder", "kind", "last", "tables"),
    [
        ("intune", "intune", "managedDevices.page2.json", ["AppInvRawData.csv"]),
        ("androidmanagement", "android_management", "devices.list.page2.json", []),
        ("workspace", "workspace", "mobiledevices.list.page2.json", []),
    ],
)
def test_a_last_page_that_does_not_say_whether_it_is_the_first_may_be_a_part(
    tiktok: WantedApp, folder: str, kind: str, last: str, tables: list[str]
) -> None:
    source = opened(tiktok, folder, kind, last, *tables)

    list(source.reports())

    assert source.is_whole
    assert may_be_a_part(source)


@pytest.mark.parametrize("sample", ONE)
def test_a_message_means_what_was_written_down(tiktok: WantedApp, sample: str) -> None:
    kind, name = ONE[sample]
    source = opened(tiktok, sample.split("/", maxsplit=1)[0], kind, name)

    rows = said(source, tiktok)

    assert not source.is_whole
    agrees(rows[-1], EXPECTED[sample])


@pytest.mark.parametrize("event", list(EXPECTED["nanomdm"]))
def test_an_event_means_what_was_written_down(tiktok: WantedApp, event: str) -> None:
    expected = dict(EXPECTED["nanomdm"][event])
    source = opened(tiktok, "nanomdm", "nanomdm", "commands-enqueued.json", f"{event}.json")
    # What is not known changes nothing; that the device left management is said by itself.
    if expected.get("presence") == "no change":
        expected["presence"] = "unknown"
    if "asked" in expected:
        expected["asked"] = sorted(expected["asked"])

    rows = said(source, tiktok)

    assert len(rows) == 1
    aliases = expected.pop("aliases", [])
    assert all(alias in rows[0]["aliases"] for alias in aliases)
    agrees(rows[0], expected)


def test_plain_files_give_the_form_that_was_written_down(tiktok: WantedApp) -> None:
    expected = EXPECTED["csv/devices.csv + apps.csv"]
    source = opened(tiktok, "csv", "csv", "devices.csv", "apps.csv")

    kept = list(source.reports())
    answer = observed(kept, apps=[tiktok], source="csv")

    assert answer["presence"] == expected["presence"]
    assert len(kept) == expected["rows_ok"]
    rejected = [{"device_id": row.device_id, "why": row.why} for row in source.rejected]
    assert rejected == expected["rejected"]


def test_a_removal_in_the_activity_feed_is_a_hint_and_no_proof(tiktok: WantedApp) -> None:
    sample = "workspace/reports.activities.mobile.json"
    source = opened(tiktok, "workspace", "workspace", "reports.activities.mobile.json")

    rows = said(source, tiktok)

    assert EXPECTED[sample]["presence"] == WRONG[sample]
    assert [row["presence"] for row in rows] == ["present", "unknown"]
    assert {row["source_device_id"] for row in rows} == {EXPECTED[sample]["source_device_id"]}
    assert getattr(source, "look_again", set()) == {EXPECTED[sample]["source_device_id"]}


def test_an_activity_that_names_no_device_keeps_no_other_back(
    tiktok: WantedApp, tmp_path: Path
) -> None:
    """Google's own list of what an activity carries does not promise a resource id."""
    name = "reports.activities.mobile.json"
    told = json.loads((SAMPLES / "workspace" / name).read_text(encoding="utf-8"))
    nameless = copy.deepcopy(told["items"][0])
    named = nameless["events"][0]["parameters"]
    named[:] = [each for each in named if each["name"] != "RESOURCE_ID"]
    too_long = copy.deepcopy(told["items"][0])  # cut, it could be the name of another device
    for each in too_long["events"][0]["parameters"]:
        each["value"] = "d" * 201 if each["name"] == "RESOURCE_ID" else each["value"]
    told["items"] += [nameless, too_long]
    (tmp_path / name).write_text(json.dumps(told), encoding="utf-8")

    source = open_files(SourceKind.WORKSPACE, [tmp_path / name], apps=[tiktok], as_of=CAPTURED)
    told_of = [report.presence(tiktok).value for report in source.reports()]

    assert told_of == ["present", "unknown"]
    assert not source.faults.faults
    assert [row.why for row in source.rejected] == ["row.bad_device_id"] * 2


def test_every_sample_is_held_against_the_code_or_named_as_not_built() -> None:
    held = {*LISTS, *ONE, *WRONG, "nanomdm", "csv/devices.csv + apps.csv"}

    left = {name for name in EXPECTED if not name.startswith("_")} - held

    assert {name.split("/")[0] for name in left} == NOT_BUILT
