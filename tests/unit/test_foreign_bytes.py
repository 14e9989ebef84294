"""Bytes that others wrote: whatever they are, an answer within bounds, or a fault that says why."""

import json
import plistlib
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from countermand.catalogue.queries import catalogue
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.nanomdm.source import NanoMdmReader
from countermand.domain.presence import Presence
from countermand.wire import json_documents, plists
from countermand.wire.hosts import AllowedHosts, HostNotAllowed, _is_public
from countermand.wire.http import AnswerNotUnderstood, next_pages, retry_after
from countermand.wire.json_documents import Faulty, Record, document, refuse_error
from countermand.wire.paged import PagedSource

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])[0]

LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b"]><plist version='1.0'><dict><key>x</key><string>&b;</string></dict></plist>"
)


def refusal(raw: bytes) -> str:
    with pytest.raises(Faulty) as refused:
        document("answer", raw)
    return refused.value.fault.code


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"[" * 80 + b"]" * 80 + b"}",
        b'{"a": ' * 200 + b"1" + b"}" * 200,
        b"<html>",
    ],
    ids=range(10),
)
def test_what_is_no_json_object_of_sane_depth_is_refused(raw: bytes) -> None:
    assert refusal(raw) == "file.bad_json"


def test_a_document_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "MOST_BYTES", 100)

    assert refusal(b'{"a": "' + b"x" * 200 + b'"}') == "file.too_large"


def test_a_refusal_never_quotes_what_was_sent() -> None:
    with pytest.raises(Faulty) as refused:
        document("answer", b'{"app": "org.example.payroll", ')

    assert "payroll" not in repr(refused.value.fault)


@pytest.mark.parametrize(
    "raw",
    [
        LAUGHS,
        b"bplist00" + b"\x00" * 40,
        b"",
        b"<plist><dict><key>a</key></dict></plist>",
        b"<plist><dict><string>a</string></dict></plist>",
        b"<plist><array/></plist>",
        b"<plist><dict><key>a</key><date>never</date></dict></plist>",
        b"<plist><dict><key>a</key><integer>" + b"9" * 9000 + b"</integer></dict></plist>",
        b"<plist>" + b"<array>" * 5_000,
    ],
    ids=range(9),
)
def test_what_is_no_plain_property_list_is_refused(raw: bytes) -> None:
    with pytest.raises(plists.NoPropertyList):
        plists.of_bytes(raw)


@pytest.mark.parametrize("text", [None, 7, "%%%", "A" * (plists.MOST_BYTES * 2)], ids=range(4))
def test_what_is_no_base64_is_refused(text: object) -> None:
    with pytest.raises(plists.NoPropertyList):
        plists.of_base64(text)


@pytest.mark.parametrize(
    "value",
    [{"error": {"code": "Unauthorized"}}, {"errors": [{"code": "X"}]}, {}, {"results": None}],
    ids=range(4),
)
def test_a_page_without_its_list_is_no_empty_list(value: dict[str, Any]) -> None:
    with pytest.raises(Faulty):
        refuse_error(Record("page", "", value), list_key="results")


def test_an_error_beside_a_list_is_an_error() -> None:
    page = Record("page", "", {"hosts": [], "error": {"code": 401, "message": "of Asha Verma"}})

    with pytest.raises(Faulty) as refused:
        refuse_error(page, list_key="hosts")

    assert refused.value.fault.facts == (("why", "401"),)


def jamf(*devices: dict[str, Any]) -> PagedSource:
    pages = [Record("page", "", {"totalCount": len(devices), "results": list(devices)})]
    return PagedSource(JamfReader(), pages, [TIKTOK], NOW)


def test_a_field_of_ten_megabytes_spoils_its_own_device_alone() -> None:
    swollen = {"mobileDeviceId": "1", "general": {"displayName": "x" * 10_000_000}}
    source = jamf(swollen, {"mobileDeviceId": "2", "general": {}, "applications": []})

    reports = list(source.reports())

    assert [report.source_device_id for report in reports] == ["mobile:2"]
    assert [row.device_id for row in source.rejected] == ["mobile:1"]


def test_no_text_leaves_that_a_database_cannot_hold() -> None:
    source = jamf({"mobileDeviceId": "1", "general": {"displayName": "a\x00b\ud800c\nd"}})

    names = [report.name for report in source.reports()]

    assert names == ["a b?c d"]
    assert not any(ord(c) < 32 for c in names[0])


@pytest.mark.parametrize("zero", ["", "00000000-0000-0000-0000-000000000000", "{0000}", "none"])
def test_an_id_of_nothing_is_nobodys_name(zero: str) -> None:
    reports = list(jamf({"mobileDeviceId": "1", "general": {"udid": zero}}).reports())

    assert reports[0].aliases == ()


def test_a_section_that_jamf_could_not_read_is_unknown_and_not_empty() -> None:
    whole = {
        "deviceOwnershipType": "Institutional",
        "lastInventoryUpdateDate": "2026-11-23T01:00:00Z",
    }
    source = jamf(
        {"mobileDeviceId": "1", "general": whole, "applications": None, "userAndLocation": None},
        {"mobileDeviceId": "2", "general": None, "applications": []},
    )

    reports = list(source.reports())

    assert [report.presence(TIKTOK) for report in reports] == [Presence.UNKNOWN] * 2
    assert "owners" in reports[0].unsaid


def test_a_host_that_fleet_says_is_nobodys_is_nobodys() -> None:
    hosts = [{"id": 1, "software": [], "device_mapping": None}, {"id": 2, "software": []}]
    page = Record("page", "", {"hosts": hosts})

    nobodys, unsaid = PagedSource(FleetReader(), [page], [TIKTOK], NOW).reports()

    assert (nobodys.owners, nobodys.unsaid) == ((), frozenset())
    assert "owners" in unsaid.unsaid


def test_a_list_that_lacks_its_last_page_lets_nobody_vanish() -> None:
    hosts = {"hosts": [{"id": 1, "software": []}], "meta": {"has_next_results": True}}
    source = PagedSource(FleetReader(), [Record("page", "", hosts)], [TIKTOK], NOW)

    list(source.reports())

    assert not source.is_whole


def test_a_page_that_does_not_say_how_many_there_are_lets_nobody_vanish() -> None:
    page = {"results": [{"mobileDeviceId": "1", "general": {}, "applications": []}]}
    source = PagedSource(JamfReader(), [Record("page", "", page)], [TIKTOK], NOW)

    list(source.reports())

    assert not source.is_whole


@pytest.mark.parametrize("status", ["NotNow", "Error", "Idle", "CommandFormatError"])
def test_a_device_that_did_not_answer_said_nothing_about_apps(status: str) -> None:
    payload = b64encode(plistlib.dumps({"InstalledApplicationList": []})).decode()
    event = {
        "topic": "mdm.Connect",
        "event_id": "1",
        "created_at": "2026-11-23T05:00:00Z",
        "acknowledge_event": {
            "ids": {"id": "D", "type": "Device"},
            "status": status,
            "command_uuid": "C",
            "raw_payload": payload,
        },
    }

    reports = list(PagedSource(NanoMdmReader(), [Record("e", "", event)], [TIKTOK], NOW).reports())

    assert [report.presence(TIKTOK) for report in reports] == [Presence.UNKNOWN]


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.microsoft.com/x",
        "https://graph.microsoft.com.evil.example/x",
        "https://evil.example/graph.microsoft.com",
        "https://user@graph.microsoft.com/",
        "https://169.254.169.254/latest",
        "https://blob.core.windows.net/",
        "file:///etc/passwd",
        "https://[::1]/",
        "https://[",
        "",
    ],
)
def test_an_address_that_is_not_on_the_list_is_not_called(url: str) -> None:
    hosts = AllowedHosts.of(["graph.microsoft.com", "*.blob.core.windows.net"])

    with pytest.raises(HostNotAllowed):
        hosts.check(url)


def test_addresses_on_the_list_are_called_in_any_case() -> None:
    hosts = AllowedHosts.of(["Graph.Microsoft.com", "*.blob.core.windows.net"])

    hosts.check("https://graph.microsoft.com/v1.0")
    hosts.check("https://GRAPH.microsoft.com/v1.0")
    hosts.check("https://a.b.blob.core.windows.net/x?sig=1")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::",
        "0.0.0.0",
        "224.0.0.1",
        "100.64.0.1",
        "64:ff9b::a00:1",  # 10.0.0.1 through NAT64
        "64:ff9b::a9fe:a9fe",
        "::a00:1",
        "::ffff:0:a00:1",
        "fec0::1",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not _is_public(address)


def test_an_address_outside_is_public() -> None:
    assert _is_public("20.190.128.1")
    assert _is_public("2603:1020::1")
    assert _is_public("64:ff9b::14be:8001")  # the same through NAT64


def test_pages_in_a_circle_are_noticed() -> None:
    answers = {"https://a/1": "https://a/2", "https://a/2": "https://a/1"}

    def ask(url: str) -> tuple[Record, str]:
        return Record(url, "", {}), answers[url]

    with pytest.raises(AnswerNotUnderstood):
        list(next_pages("https://a/1", ask=ask))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("99999999999", 600.0), ("soon", None), ("", None), ("-3", None), ("²", None)],
)
def test_retry_after_is_read_and_bounded(told: str, seconds: float | None) -> None:
    assert retry_after(told) == seconds


def test_retry_after_as_an_instant_counts_from_the_servers_own_clock() -> None:
    now, then = "Mon, 23 Nov 2026 06:00:00 GMT", "Mon, 23 Nov 2026 06:01:30 GMT"

    assert retry_after(then, now=now) == 90.0
    assert retry_after(now, now=then) == 0.0


def test_a_document_as_it_comes_is_read() -> None:
    assert document("a", json.dumps({"a": {"b": " x  y "}}).encode()).text("a", "b") == "x y"
