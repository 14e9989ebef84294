"""Questions as real servers were seen to put them, and the only answers there are."""

import asyncio
import base64
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from countermand.domain.device_key import door_key, normal_device
from countermand.domain.door_record import SealedEntry, body_of, seal
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import order_bytes, rule_of
from countermand.gate.answerer import Answerer
from countermand.gate.counts import Counts
from countermand.gate.doors import Doors
from countermand.gate.fronts.active_sync import device_of
from countermand.gate.fronts.forward_auth import basic_name
from countermand.gate.fronts.words import LONGEST_BYTES, refusal_line
from countermand.gate.protocol import Headers, Request, Response
from tests.plain_answers import ASHA, KEY, NOW, ORDER, SHUTTING, TOKEN

CAPTURES = Path(__file__).parents[1] / "fixtures" / "gate"
PAUSED = ("phone-7f3a", "SEC17CD1A3E9E3F2", "v140Device")


class StandingClock:
    def now(self) -> datetime:
        return NOW


class StandingStates:
    """One order in force."""

    sends = True

    def rules(self) -> Any:
        return {order_bytes(ORDER): rule_of(self.order(ORDER).facts(valid=True))}

    def order(self, number: str) -> PublishedOrder:
        return PublishedOrder(
            number=number,
            phase="enforcing",
            enforcement="gate",
            exercise=False,
            epoch=1,
            sending_while_paused=self.sends,
        )


class DictTable(dict[bytes, bytes]):
    def stored(self, door: bytes) -> bytes | None:
        return self.get(door)


def shutting(device: str, login: str = ASHA) -> tuple[bytes, bytes]:
    door, body = door_key(login, normal_device(device)), body_of(SHUTTING)
    return door, SealedEntry(body, seal(KEY, door, body)).to_bytes()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def states() -> Any:
    return StandingStates()


@pytest.fixture
def doors(counts: Counts, states: Any) -> Doors:
    answerer = Answerer(
        table=DictTable(shutting(device) for device in PAUSED),
        states=states,
        clock=StandingClock(),
        entry_key=KEY,
        counts=counts,
    )
    return Doors(answerer, token=TOKEN, lookup_address="orders.example")


def at_once(given: Response | asyncio.Future[Response]) -> Response:
    assert isinstance(given, Response)
    return given


def policy(doors: Doors, body: bytes | dict[str, Any]) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers: Headers = {b"authorization": f"Bearer {TOKEN}".encode()}
    response = at_once(doors.respond(Request(b"POST", b"/policy?command=allow", headers, content)))
    assert response.status == 200
    answer: dict[str, Any] = json.loads(response.body)
    assert answer["status"] in (0, -1)
    return answer


def web(doors: Doors, *, target: str = "/auth", method: str = "GET", **headers: Any) -> Response:
    given: Headers = {b"x-countermand-token": TOKEN.encode()}
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        given[name.replace("_", "-").encode()] = [each.encode() for each in values]
    return at_once(doors.respond(Request(method.encode(), target.encode(), given)))


def basic(name: str, password: str = "secret") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def captured(name: str) -> list[str]:
    text = (CAPTURES / name).read_text(encoding="utf-8")
    return [part for part in text.split("\n--- ")[1:] if part.strip()]


@pytest.mark.parametrize("name", ["dovecot-2.3-device.txt", "dovecot-2.4-device.txt"])
def test_questions_of_real_dovecots_get_the_answer_that_they_got_then(
    doors: Doors, name: str
) -> None:
    questions = captured(name)
    for each in questions:
        body = next(line for line in each.splitlines() if line.startswith("{"))
        said = json.loads(each.partition(">>> 200 ")[2])
        sends = '"protocol":"smtp"' in body

        expected = 0 if sends else said["status"]
        assert policy(doors, body.encode())["status"] == expected, body
    assert len(questions) >= 2


def test_questions_without_a_device_password_always_pass(doors: Doors, counts: Counts) -> None:
    for each in captured("dovecot-2.3-defaults.txt"):
        body = next(line for line in each.splitlines() if line.startswith("{"))
        assert policy(doors, body.encode()) == {"status": 0, "msg": ""}
    assert counts.get("answers", door="main_password", answer="open") > 0


def test_questions_of_a_real_nginx_name_the_same_phones(doors: Doors) -> None:
    seen = []
    for each in captured("nginx-auth_request.txt"):
        uri = re.search(r"^X-Original-URI: (.*)$", each, re.MULTILINE)
        assert uri
        if not each.partition("\n")[2].startswith("GET /gate/eas"):
            continue
        response = web(doors, x_original_uri=uri[1], x_remote_user=ASHA)
        seen.append((device_of(uri[1].partition("?")[2]), response.status.value))
    assert ("sec17cd1a3e9e3f2", 403) in seen
    assert ("v140device", 403) in seen


def test_the_example_of_the_specification_is_read() -> None:
    assert device_of("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l") == "v140device"
    assert device_of("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l".replace("=", "%3D")) == "v140device"


def test_raw_bytes_in_a_base64_question_are_read_as_their_digits() -> None:
    raw = bytes.fromhex("5f0c9a11e8d2aa5bbf0139d81c77e402")
    query = base64.b64encode(bytes([141, 0, 9, 4, len(raw)]) + raw + b"\x00\x01P").decode()

    assert device_of(query) == raw.hex()


@pytest.mark.parametrize(
    "query",
    ["", "x", "=", "&&&", "DeviceId", "DeviceId=", "////", "jAAJ", "jAAJBA==", "A" * 5000, "%ZZ"],
)
def test_what_cannot_be_read_names_no_device(query: str) -> None:
    assert device_of(query) == ""


def test_a_question_before_the_password_is_checked_is_no_login(
    doors: Doors, counts: Counts
) -> None:
    asked = {"login": ASHA, "device": "", "protocol": "imap", "passed": ""}

    assert policy(doors, asked)["status"] == 0
    assert counts.get("answers") == 0
    assert policy(doors, asked | {"passed": "y"})["status"] == 0
    assert counts.get("answers", door="main_password") == 1


def test_a_device_is_judged_whether_its_passdb_says_nodelay_or_not(doors: Doors) -> None:
    asked = {"login": ASHA, "device": "phone-7f3a", "protocol": "imap", "passed": ""}

    assert policy(doors, asked)["status"] == -1


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ({"passed": "", "success": True, "mechanism": "XOAUTH2"}, {"oauth": 1}),
        ({"passed": "", "success": True, "protocol": "submission"}, {"sending": 1}),
        ({"passed": "", "success": False}, {}),
        ({"passed": "y", "success": True}, {}),  # counted when it was asked about
        ({"success": True}, {}),  # so is every login where nobody else is asked before
        ({"passed": "", "success": True, "device": "phone-7f3a"}, {}),
        ({"passed": "", "success": "true"}, {}),
    ],
)
def test_a_report_counts_what_no_question_could_be_told_to_be(
    doors: Doors, counts: Counts, said: dict[str, object], counted: dict[str, int]
) -> None:
    body = json.dumps({"login": ASHA, "device": "", "protocol": "imap", **said}).encode()
    headers: Headers = {b"authorization": f"Bearer {TOKEN}".encode()}

    answer = at_once(doors.respond(Request(b"POST", b"/policy?command=report", headers, body)))

    assert json.loads(answer.body)["status"] == 0
    assert counts.by_label("answers", "door") == counted


@pytest.mark.parametrize(
    ("login", "kind"),
    [
        (("imap", "phone-7f3a", "PLAIN"), "device_password_unknown"),
        (("pop3", "phone-7f3a", "PLAIN"), "device_password_unknown"),
        (("imap", "", "PLAIN"), "main_password"),
        (("imap", "", "XOAUTH2"), "oauth"),
        (("pop3", "", "oauthbearer"), "oauth"),
        (("pop3", "", ""), "pop3"),
        (("imap", "webmail", "PLAIN"), "behind_webmail"),
        (("submission", "phone-7f3a", "PLAIN"), "sending"),
        (("sieve", "", "PLAIN"), "other"),
    ],
)
def test_each_login_is_counted_at_its_door(
    doors: Doors, counts: Counts, login: tuple[str, str, str], kind: str
) -> None:
    protocol, device, mechanism = login
    asked = {"device": device, "protocol": protocol, "mechanism": mechanism}
    policy(doors, {"login": "ravi@amber.example", **asked})

    assert counts.by_label("answers", "door") == {kind: 1}


def test_sending_is_left_open_unless_the_order_says_otherwise(doors: Doors, states: Any) -> None:
    sending = {"login": ASHA, "device": "phone-7f3a", "protocol": "submission"}

    assert policy(doors, sending)["status"] == 0
    states.sends = False
    assert policy(doors, sending)["status"] == -1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"login":7}', b'{"login":"a","device":{}}', b"\xff", b"[" * 9999],
    ids=repr,
)
def test_a_question_that_is_none_is_let_in_and_counted(
    doors: Doors, counts: Counts, body: bytes
) -> None:
    assert policy(doors, body)["status"] == 0
    assert counts.get("doubts", kind="question_not_understood") == 1


def test_a_refusal_is_one_line_in_two_languages_with_an_address(doors: Doors) -> None:
    line = policy(doors, {"login": ASHA, "device": "phone-7f3a", "protocol": "imap"})["msg"]

    english, hindi, address = line.split(". ", 1)[0], line.split("।")[0], line.split()[-1]
    assert english == "Mail is paused on this device"
    assert "मेल रुकी है" in hindi
    assert address == "orders.example/CM-7Q4K"


@pytest.mark.parametrize("address", ["x" * 500, "a\r\nb", "a\x00\x1b[31m", "ä" * 80, "\u2028"])
def test_no_setting_can_make_a_refusal_long_or_harmful(address: str) -> None:
    line = refusal_line(address, ORDER)

    assert len(line.encode()) <= LONGEST_BYTES
    assert line.isprintable()
    assert line.startswith("Mail is paused on this device.")


def test_webmail_and_options_pass(doors: Doors) -> None:
    eas = f"/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    assert web(doors, x_original_uri="/SOGo/so/asha", x_remote_user=ASHA).status == 204
    assert (
        web(doors, x_original_uri=eas, x_original_method="OPTIONS", x_remote_user=ASHA).status
        == 204
    )
    assert web(doors).status == 204


@pytest.mark.parametrize("header", ["x_original_uri", "x_forwarded_uri"])
def test_both_headers_of_proxies_are_understood(doors: Doors, header: str) -> None:
    uri = f"/Microsoft-Server-ActiveSync?Cmd=Ping&DeviceId={PAUSED[1]}"

    refused = web(doors, authorization=basic(ASHA), **{header: uri})

    assert refused.status == 403
    assert refused.headers == (f"X-Countermand-Order: {ORDER}",)


def test_nginx_is_refused_without_words_so_that_it_keeps_the_connection(doors: Doors) -> None:
    uri = f"/Microsoft-Server-ActiveSync?Cmd=Ping&DeviceId={PAUSED[1]}"

    to_nginx = web(doors, authorization=basic(ASHA), x_original_uri=uri)
    to_others = web(doors, authorization=basic(ASHA), x_forwarded_uri=uri)

    assert (to_nginx.status, to_nginx.body) == (403, b"")
    assert b"\r\nContent-Length: 0\r\n" in to_nginx.wire
    assert to_others.body.startswith(b"Mail is paused on this device.")


def test_envoy_puts_the_question_behind_our_path(doors: Doors) -> None:
    target = f"/auth/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId={PAUSED[1]}"

    assert web(doors, target=target, method="POST", authorization=basic(ASHA)).status == 403


def test_a_header_that_a_phone_adds_gains_it_nothing(doors: Doors) -> None:
    eas = f"/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    for added in (
        {"x_original_uri": "/webmail"},
        {"x_remote_user": "somebody@else.example"},
        {"x_original_method": "OPTIONS", "x_forwarded_method": "POST"},
        {"x_forwarded_uri": [eas, "/webmail"]},
        {"authorization": [basic("somebody@else.example"), basic(ASHA)]},
        {"authorization": f"{basic('somebody@else.example')},{basic(ASHA)}"},  # as Envoy joins them
    ):
        headers: dict[str, Any] = {"x_forwarded_uri": eas, "authorization": basic(ASHA), **added}
        assert web(doors, **headers).status == 403, added


def test_a_password_is_dropped_with_the_word_it_came_in() -> None:
    assert basic_name(basic("asha", "pass:word").encode()) == "asha"
    assert basic_name(b"Basic ???") == ""
    assert basic_name(b"Bearer abc") == ""
    assert basic_name(b"") == ""


def test_a_windows_name_is_also_tried_without_its_domain(doors: Doors) -> None:
    eas = f"/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    assert web(doors, x_original_uri=eas, x_remote_user=f"AMBER\\{ASHA}").status == 403


def test_who_shows_no_token_is_let_in_and_counted(doors: Doors, counts: Counts) -> None:
    body = json.dumps({"login": ASHA, "device": "phone-7f3a", "protocol": "imap"}).encode()

    response = at_once(doors.respond(Request(b"POST", b"/policy?command=allow", {}, body)))

    assert json.loads(response.body)["status"] == 0
    assert counts.get("doubts", kind="stranger") == 1


def test_a_question_that_is_too_long_is_let_in_and_counted(doors: Doors, counts: Counts) -> None:
    asked = Request(b"POST", b"/policy?command=allow", {}, b"{}")
    asked.oversized = True
    response = at_once(doors.respond(asked))

    assert json.loads(response.body)["status"] == 0
    assert counts.get("doubts", kind="question_too_long") == 1


def test_a_query_that_is_too_long_to_be_read_is_let_in_and_counted(
    doors: Doors, counts: Counts
) -> None:
    query = f"DeviceId={PAUSED[1]}&Cmd="
    for length, status, doubts in ((4096, 403, 0), (4097, 204, 1)):
        uri = "/Microsoft-Server-ActiveSync?" + query.ljust(length, "x")
        given = web(doors, authorization=basic(ASHA), x_forwarded_uri=uri)

        assert given.status == status
        assert counts.get("doubts", kind="question_too_long") == doubts


@pytest.mark.parametrize("header", ["authorization", "x_remote_user", "x_forwarded_uri"])
@pytest.mark.parametrize(("nth", "status"), [(4, 403), (5, 204)])
def test_of_many_names_four_are_read_and_the_rest_refuses_nobody_and_is_counted(
    doors: Doors, counts: Counts, header: str, nth: int, status: int
) -> None:
    uri = "/Microsoft-Server-ActiveSync?DeviceId={}"
    several = {
        "authorization": [basic(f"x{number}@example.org") for number in range(1, nth)],
        "x_remote_user": [f"x{number}@example.org" for number in range(1, nth)],
        "x_forwarded_uri": [uri.format(f"Other{number}") for number in range(1, nth)],
    }
    asked: dict[str, Any] = {"x_forwarded_uri": uri.format(PAUSED[1])}
    asked["x_remote_user" if header == "x_remote_user" else "authorization"] = (
        ASHA if header == "x_remote_user" else basic(ASHA)
    )
    asked[header] = [*several[header], asked[header]]

    assert web(doors, **asked).status == status
    assert counts.get("doubts", kind="too_many_names") == (nth > 4)


def test_names_that_envoy_joined_are_counted_one_by_one(doors: Doors, counts: Counts) -> None:
    joined = ", ".join([*(basic(f"x{number}@example.org") for number in range(4)), basic(ASHA)])
    uri = f"/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    assert web(doors, authorization=joined, x_forwarded_uri=uri).status == 204
    assert counts.get("doubts", kind="too_many_names") == 1


def test_commas_without_a_name_between_them_hide_no_name(doors: Doors, counts: Counts) -> None:
    uri = f"/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    assert web(doors, authorization=",,, ,," + basic(ASHA), x_forwarded_uri=uri).status == 403
    assert counts.get("doubts", kind="too_many_names") == 0


@pytest.mark.parametrize(
    ("uri", "door"),
    [
        ("/SOGo/so/asha/Mail/view", "webmail"),
        ("/roundcube/?_task=mail&_mbox=INBOX", "webmail"),
        ("/SOGo/so/asha/Mail/0/folderINBOX/7/photo.jpeg", "other"),
        ("/SOGo.woa/WebServerResources/css/styles.css?lm=1", "other"),
        ("/roundcube/program/js/APP.MIN.JS", "other"),
        ("/favicon.ico", "other"),
        ("", "other"),
    ],
)
def test_parts_of_a_page_are_no_reading_of_mail(
    doors: Doors, counts: Counts, uri: str, door: str
) -> None:
    web(doors, **({"x_original_uri": uri} if uri else {}))

    assert counts.by_label("answers", "door") == {door: 1}


@pytest.mark.parametrize("empty", ["", ["", ""]], ids=["once", "twice"])
def test_a_header_without_a_word_hides_nothing_that_envoy_forwards(
    doors: Doors, empty: str | list[str]
) -> None:
    target = f"/auth/Microsoft-Server-ActiveSync?DeviceId={PAUSED[1]}"

    assert web(doors, target=target, authorization=basic(ASHA), x_forwarded_uri=empty).status == 403


def test_parts_of_a_page_are_none_behind_envoy_either(doors: Doors, counts: Counts) -> None:
    shown = {b"x-countermand-token": TOKEN.encode()}
    for target in (b"/auth/SOGo/styles.css", b"/auth/SOGo/so/asha/Mail/view"):
        at_once(doors.respond(Request(b"GET", target, dict(shown), b"")))

    assert counts.by_label("answers", "door") == {"other": 1, "webmail": 1}


def test_a_fault_of_ours_lets_in_and_is_counted(doors: Doors, counts: Counts) -> None:
    class Broken:
        def stored(self, door: bytes) -> bytes | None:
            raise RuntimeError(door)

    doors._answerer.table = Broken()

    assert policy(doors, {"login": ASHA, "device": "phone-7f3a", "protocol": "imap"})["status"] == 0
    assert counts.get("doubts", kind="fault") == 1


def test_counts_name_doors_and_never_people(doors: Doors, counts: Counts) -> None:
    policy(doors, {"login": ASHA, "device": "phone-7f3a", "protocol": "imap"})
    policy(doors, {"login": ASHA, "device": "unheard-of", "protocol": "imap"})
    web(doors, x_original_uri="/mail", x_remote_user=ASHA)

    text = counts.exposition({"entries": 3}).decode()

    assert 'door="device_password",answer="paused",reason="paused_on_device"} 1' in text
    assert 'door="device_password_unknown",answer="open",reason="no_entry"} 1' in text
    assert 'door="webmail"' in text
    assert "asha" not in text
    assert "7f3a" not in text
