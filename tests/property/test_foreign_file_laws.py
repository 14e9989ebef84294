"""Whatever stands in a file, a post or a directory's entry: an answer within bounds, or a refusal.

The other half of `make fuzz`, for what is no JSON of an inventory: tables, zips, pages of Graph,
posts, tokens, entries of a directory, returned mails, lines of a log, files of orders, questions
at doors.
"""

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.byte_source import ByteSource
from countermand.catalogue.queries import catalogue
from countermand.connectors import webhooks
from countermand.connectors.csv_files.people import Defaults, PeopleFiles
from countermand.connectors.csv_files.source import CsvFiles
from countermand.connectors.intune_export import report_zip
from countermand.connectors.intune_export.source import IntuneExport
from countermand.connectors.names import SourceKind
from countermand.connectors.people_ldap.source import Directory, LdapPeople
from countermand.connectors.postfix import log as postfix_log
from countermand.connectors.returned_mail import report as returned_mail
from countermand.connectors.webhooks import Post, PostRefused
from countermand.copy_text import escaped
from countermand.domain import order_document
from countermand.domain.directory import PersonRecord
from countermand.domain.errors import CountermandError, Fault, FaultsFound
from countermand.domain.inventory import DeviceReport
from countermand.gate.fronts import active_sync, dovecot, forward_auth
from countermand.notices import foreign_mail
from countermand.orders import document_file
from countermand.wire import google_identity, tokens
from countermand.wire.google_identity import NotFromGoogle
from countermand.wire.json_documents import Faulty, Record, document
from tests.property.test_foreign_byte_laws import damaged, misshapen

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "fixtures" / "inventory"
NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])
RAW = SAMPLES / "intune" / "AppInvRawData.csv"


def seeds(*names: str) -> list[bytes]:
    return [(SAMPLES / name).read_bytes() for name in names]


def file_of(raw: bytes, name: str = "file.csv") -> ByteSource:
    return ByteSource(name, lambda: io.BytesIO(raw))


def sound(texts: Sequence[str]) -> None:
    """Every text is short enough to be kept, as a database would keep it."""
    for text in texts:
        assert len(text) <= 400
        assert b"\0" not in escaped(text).encode()


def sound_reports(reports: Sequence[DeviceReport]) -> None:
    for report in reports:
        aliases = [alias.value for alias in report.aliases]
        matched = [text for each in report.matched for text in (each.name, each.version)]
        sound([report.source_device_id, report.name, report.os_version, *report.owners])
        sound([*aliases, *matched, *(each.publisher for each in report.matched)])


tables = st.sampled_from(
    [b"sep=;\n", b'sep="\n', b"sep=\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b""]
)


@st.composite
def table(draw: st.DrawFn, given_seeds: list[bytes]) -> bytes:
    return draw(tables) + draw(damaged(given_seeds) | st.binary(max_size=300))


DEVICES = seeds("csv/devices.csv", "csv/devices.excel-semicolon-bom.csv", "csv/devices.utf16le.csv")


@given(table(DEVICES), table(seeds("csv/apps.csv")))
def test_plain_tables_of_devices_are_read_or_refused(devices: bytes, apps: bytes) -> None:
    source = CsvFiles([file_of(devices), file_of(apps, "apps.csv")], apps=TIKTOK, as_of=NOW)

    sound_reports(list(source.reports()))
    assert all(fault.code for fault in source.faults.faults)


@given(table(seeds("intune/Devices.csv")), table(seeds("intune/AppInvRawData.csv")))
def test_tables_of_intune_are_read_or_refused(devices: bytes, apps: bytes) -> None:
    source = IntuneExport([file_of(devices), file_of(apps)], apps=TIKTOK, as_of=NOW)

    sound_reports(list(source.reports()))


@given(table(seeds("people.csv")))
def test_tables_of_people_are_read_or_refused(raw: bytes) -> None:
    source = PeopleFiles([file_of(raw)], defaults=Defaults())

    for person in source.people():
        sound_person(person)


def sound_person(person: PersonRecord) -> None:
    sound([person.uid, person.name, person.address, person.local_name, person.unit])
    sound([*person.groups, *person.other_addresses, person.manager, *person.delegates])


ZIPS = [next((SAMPLES / "intune").glob("*.zip")).read_bytes()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zips")


def read_zip(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    found = report_zip.opened(path)
    if isinstance(found, Fault):
        assert found.remedy
        return
    devices = ByteSource.of(SAMPLES / "intune" / "Devices.csv")
    sound_reports(list(IntuneExport([devices, found], apps=TIKTOK, as_of=NOW).reports()))


@given(raw=damaged(ZIPS) | st.binary(max_size=200))
def test_a_zip_is_opened_or_refused(folder: Path, raw: bytes) -> None:
    read_zip(folder / "report.zip", raw)


@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    lies=st.lists(st.tuples(st.integers(6, 45), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_zip_that_lies_about_itself_is_opened_or_refused(
    folder: Path, method: int, lies: list[tuple[int, int]]
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("AppInvRawData.csv", RAW.read_bytes())
    raw = bytearray(made.getvalue())
    directory = raw.rindex(b"PK\x01\x02")
    for place, value in lies:
        raw[directory + place] = value

    read_zip(folder / "report.zip", bytes(raw))


VIOLATIONS = json.dumps(
    {
        "@odata.context": "x/$metadata#deviceConfigurationRestrictedAppsViolations",
        "value": [
            {
                "managedDeviceId": "5b3c1b1e-8a52-4a67-9d0a-0c5f6a1d1a02",
                "platformType": "android",
                "restrictedApps": [{"appId": "com.zhiliaoapp.musically"}],
            }
        ],
    }
).encode()
GRAPH = seeds("intune/managedDevices.page1.json", "intune/managedDevices.page2.json")


@given(damaged([*GRAPH, VIOLATIONS]) | misshapen([*GRAPH, VIOLATIONS]))
def test_pages_of_graph_are_read_or_refused(raw: bytes) -> None:
    source = IntuneExport([], apps=TIKTOK, as_of=NOW, documents=[page(raw), page(VIOLATIONS)])

    sound_reports(list(source.reports()))


def page(raw: bytes) -> Record | Fault:
    try:
        return document("answer", raw)
    except Faulty as faulty:
        return faulty.fault


# -- posts --------------------------------------------------------------------------------------

POSTS = {
    SourceKind.JAMF: ["jamf/webhook.SmartGroupMobileDeviceMembershipChange.json"],
    SourceKind.FLEET: ["fleet/webhook.failing-policy.json", "fleet/webhook.activity.json"],
    SourceKind.ANDROID_MANAGEMENT: ["androidmanagement/pubsub.push.STATUS_REPORT.present.json"],
    SourceKind.WORKSPACE: ["workspace/reports.activities.mobile.json"],
}
headers = st.dictionaries(
    st.sampled_from(["authorization", "x-countermand-key", "x-goog-channel-token"]),
    st.text(max_size=60)
    | st.sampled_from(["Basic ", "Basic %%%", "Basic /w==", "Bearer", "basic é"]),
)


@pytest.mark.parametrize("kind", POSTS)
@given(data=st.data())
def test_a_post_hints_at_devices_or_is_refused(kind: SourceKind, data: st.DataObject) -> None:
    given_seeds = seeds(*POSTS[kind])
    if kind is SourceKind.WORKSPACE:
        given_seeds = [json.dumps(each).encode() for each in json.loads(given_seeds[0])["items"]]
    body = data.draw(damaged(given_seeds) | misshapen(given_seeds))
    post = Post(body, data.draw(headers))
    options = {"enterprise": "enterprises/LC00example"}

    try:
        found = webhooks.read(kind, post, options=options, apps=TIKTOK, now=NOW)
    except (PostRefused, Faulty):
        return
    assert found.number
    for device in found.devices:
        assert device.encode()
        assert "\0" not in device


@given(headers, st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_whoever_does_not_know_the_key_is_refused(
    shown: dict[str, str], in_address: str, key: str
) -> None:
    secret = f"the real one {key}"

    with pytest.raises(PostRefused):
        webhooks.check_key(Post(b"", shown, in_address), secret)


def _parts(*values: Any) -> str:
    raw = (json.dumps(each).encode() for each in values)
    return ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in raw)


jwts = st.builds(
    _parts,
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit"]), st.text(max_size=9) | st.none()
    ),
    st.dictionaries(st.sampled_from(["exp", "iat", "aud", "iss"]), st.integers() | st.text()),
    st.text(max_size=9),
)


@given(
    st.text(max_size=80)
    | jwts.map("Bearer {}".format)
    | st.text(max_size=60).map("Bearer {}".format)
)
def test_no_token_of_a_stranger_is_googles(shown: str) -> None:
    with pytest.raises(NotFromGoogle):
        google_identity.check(shown, audience="a", account="b", key=lambda _number: None, now_s=1e9)


TOKEN = b'{"access_token": "abc", "expires_in": 3600, "token_type": "Bearer"}'


@given(damaged([TOKEN]) | misshapen([TOKEN]))
def test_an_answer_with_a_token_is_read_or_refused(raw: bytes) -> None:
    try:
        token, seconds = tokens.told(document("token", raw), "login.example.org")
    except (Faulty, CountermandError):
        return
    assert token.isascii()
    assert seconds >= 0


# -- people, mails, logs, orders ----------------------------------------------------------------


class Told(LdapPeople):
    """A directory whose server answers with what it is given."""

    def __init__(self, entries: Mapping[str, Mapping[str, Sequence[bytes]]]) -> None:
        super().__init__(Directory(url="ldap://127.0.0.1", base="dc=example,dc=org"))
        self._entries = entries

    def _connected(self) -> Any:
        class Nothing:
            def unbind(self) -> None:
                pass

        return Nothing()

    def _search(self, *_: Any) -> Iterator[tuple[str, Mapping[str, Sequence[bytes]]]]:
        yield from self._entries.items()


ATTRIBUTES = "entryUUID objectGUID uid cn displayName mail proxyAddresses preferredLanguage c co ou"
MORE = "department manager secretary userAccountControl member memberUid mailAlternateAddress"
places = st.sampled_from(["uid=a,dc=x", "UID=A, dc=x", "cn=g,dc=x", "", "uid=b,dc=x"])
octets = st.binary(max_size=40) | st.sampled_from(
    [b"asha@example.org", b"SMTP:a@example.org", b"IN", b"2", b"9" * 5_000, b"uid=a,dc=x", b"\0"]
) | st.binary(min_size=16, max_size=16)  # fmt: skip
entries = st.dictionaries(
    places,
    st.dictionaries(st.sampled_from(f"{ATTRIBUTES} {MORE}".split()), st.lists(octets, max_size=3)),
)


@given(entries)
def test_entries_of_a_directory_are_read_or_left_out(
    told: dict[str, dict[str, list[bytes]]],
) -> None:
    source = Told(told)

    people = list(source.people())

    for person in people:
        sound_person(person)
    assert len(people) + len(source.rejected) == len(told)


REPORT = b"""From: MAILER-DAEMON
Content-Type: multipart/report; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Original-Envelope-Id: m1
Arrival-Date: Tue, 24 Nov 2026 06:00:00 +0000

Final-Recipient: rfc822; asha@example.org
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: <m1@example.org>

--b--
"""
LOG = b"""Nov 24 06:00:00 mx postfix/cleanup[1]: 4Fabc12345: message-id=<m1@example.org>
Nov 24 06:00:00 mx postfix/lmtp[1]: 4Fabc12345: to=<a@example.org>, status=sent (ok)
"""


FORWARDED = b"Content-Type: message/rfc822\n\n" + REPORT


@given(damaged([REPORT, REPORT.replace(b"\n", b"\r\r\n"), FORWARDED]) | st.binary(max_size=300))
def test_a_mail_that_came_back_is_read_or_passed_over(raw: bytes) -> None:
    for found in returned_mail.findings(raw):
        assert found.message_id or found.envelope_id


@given(damaged([REPORT]) | st.binary(max_size=300))
def test_anybodys_mail_is_read_or_refused(raw: bytes) -> None:
    try:
        foreign_mail.read(raw, file="a.eml")
    except foreign_mail.MailNotReadable:
        return


@given(damaged([LOG]) | st.binary(max_size=300))
def test_lines_of_a_log_are_read_or_passed_over(raw: bytes) -> None:
    found = postfix_log.findings(raw.decode("utf-8", "replace"), postfix_log.LogPlace())

    assert all(len(each.detail) <= 200 for each in found)


ORDERS = [path.read_bytes() for path in sorted((ROOT / "examples").rglob("*.yaml"))]


@given(damaged(ORDERS) | st.binary(max_size=300))
def test_a_file_of_an_order_is_read_or_refused(raw: bytes) -> None:
    try:
        read, lines = document_file.load(raw, name="order.yaml")
        order_document.read(read, lines, file="order.yaml", catalogue=catalogue(), now=NOW)
    except FaultsFound:
        return


# -- doors --------------------------------------------------------------------------------------

POLICY = b'{"login": "asha@example.org", "protocol": "imap", "device": "v140Device", "passed": ""}'
SYNC = [
    b"Cmd=Sync&User=asha&DeviceId=v140Device&DeviceType=SmartPhone",
    b"jAAJBAp2MTQwRGV2aWNlAAo=",
]


@given(damaged([POLICY]) | misshapen([POLICY]) | st.binary(max_size=200))
def test_a_question_of_dovecot_is_read_or_is_none(raw: bytes) -> None:
    asked = dovecot.question(raw)

    assert asked is None or isinstance(asked.door.login, str)


@given(damaged(SYNC) | st.binary(max_size=200))
def test_the_device_in_a_query_is_read_or_there_is_none(raw: bytes) -> None:
    query = raw.decode("latin-1")

    assert len(active_sync.device_of(query)) <= 400
    assert len(active_sync.user_of(query)) <= 400
    assert len(forward_auth.basic_name(b"Basic " + raw)) <= 400
