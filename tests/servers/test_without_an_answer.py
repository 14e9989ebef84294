"""Whatever is neither yes nor a plain no lets people in, under the configuration that we ship."""

import base64
import http.client
import subprocess
from collections.abc import Iterator

import pytest

from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.gates import OddGate, odd_gate
from lab.ground import TOKEN, Server, held_port
from lab.nginx import DOWN_LOG, nginx_that_asks
from lab.people import ASHA, PHONE

ACTIVE_SYNC = "/Microsoft-Server-ActiveSync?Cmd=Sync&User=asha.verma%40example.org&DeviceId=ABC1"
PASSWORD = "a password that nobody may see"
BASIC = "Basic " + base64.b64encode(f"{ASHA.login}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def gate() -> Iterator[OddGate]:
    with odd_gate() as odd:
        yield odd


@pytest.fixture(scope="module")
def nginx(gate: OddGate) -> Iterator[Server]:
    with nginx_that_asks(gate.port) as server:
        yield server


@pytest.fixture(scope="module")
def dovecot(gate: OddGate) -> Iterator[Dovecot]:
    with dovecot_that_asks(gate.port) as server:
        yield server


@pytest.fixture(autouse=True)
def forgotten(gate: OddGate) -> None:
    gate.be(204)


def web(
    server: Server, target: str = ACTIVE_SYNC, body: bytes | Iterator[bytes] = b"mail content"
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": BASIC, "Cookie": "session=secret"}
    connection.request("POST", target, body=body, headers=headers)
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return answer.status, said


def imap(server: Dovecot, password: str = ASHA.devices[PHONE]) -> str:
    return mailbox.login(server.port, ASHA.login, password)


def test_a_plain_no_pauses_mail_on_the_web_in_two_languages(gate: OddGate, nginx: Server) -> None:
    gate.be(403)

    status, said = web(nginx)

    assert status == 403
    assert "Mail is paused on this device." in said
    assert "इस डिवाइस पर मेल रुकी है।" in said


@pytest.mark.parametrize(
    "status", [200, 204, 302, 400, 401, 404, 418, 429, 449, 500, 502, 503, 599]
)
def test_whatever_else_a_gate_says_nginx_lets_the_phone_in(
    gate: OddGate, nginx: Server, status: int
) -> None:
    gate.status = status

    assert web(nginx) == (200, "mail")


@pytest.mark.parametrize("order", ["", "blocked by policy"])
def test_a_no_of_something_else_in_the_gate_s_place_lets_the_phone_in(
    gate: OddGate, nginx: Server, order: str
) -> None:
    gate.be(403, b"You may not see this page.", X_Countermand_Order=order)

    assert web(nginx) == (200, "mail")
    assert (nginx.folder / DOWN_LOG).read_text(encoding="utf-8") != ""


def test_whom_another_rule_keeps_out_is_not_told_that_mail_is_paused(gate: OddGate) -> None:
    gate.be(204)
    kept_out = {
        "location = /countermand-question": "deny 127.0.0.0/8; location = /countermand-question"
    }
    with nginx_that_asks(gate.port, changes=kept_out) as server:
        status, said = web(server)

    assert status == 403
    assert "Mail is paused" not in said


def test_without_a_gate_nginx_lets_everybody_in() -> None:
    with held_port() as nobody, nginx_that_asks(nobody) as server:
        assert web(server) == (200, "mail")
        assert web(server, "/mail/inbox") == (200, "mail")


@pytest.mark.parametrize("path", ["/Microsoft-Server-ActiveSync?Cmd=SendMail", "/mail/"])
@pytest.mark.parametrize("says_how_long", [True, False])
def test_a_mail_of_some_megabytes_is_taken(nginx: Server, path: str, says_how_long: bool) -> None:
    pieces = [b"x" * 65_536] * 80
    body = b"".join(pieces) if says_how_long else iter(pieces)

    assert web(nginx, path, body)[0] == 200


def test_no_password_no_cookie_and_no_content_reaches_the_gate(
    gate: OddGate, nginx: Server
) -> None:
    web(nginx, body=b"a letter")

    [asked] = gate.asked
    assert asked.startswith("GET /auth ")
    assert f"Bearer {TOKEN}" in asked
    assert "asha.verma@example.org" in asked
    assert ACTIVE_SYNC in asked
    for secret in (BASIC, PASSWORD, "session=secret", "a letter"):
        assert secret not in asked


def test_nobody_can_ask_the_gate_through_the_web(gate: OddGate, nginx: Server) -> None:
    gate.status = 403

    status, _ = web(nginx, "/countermand-question")

    assert status != 403
    assert gate.asked == []


def test_dovecot_asks_once_and_only_when_the_password_was_right(
    gate: OddGate, dovecot: Dovecot
) -> None:
    gate.status, gate.body = 200, b'{"status":0,"msg":""}'

    # From elsewhere: Dovecot lets whoever guessed wait, also with the right password.
    guessed = mailbox.login(dovecot.port, ASHA.login, "a guess", come_from="127.0.0.14")
    assert "OK" not in guessed
    assert imap(dovecot) == "OK"

    [asked] = gate.asked
    assert '"login":"asha.verma@example.org"' in asked
    assert '"device":"applphone7f3a"' in asked
    assert f"Bearer {TOKEN}" in asked
    assert "pwhash" not in asked
    assert "remote" not in asked


def test_who_delivers_mail_reads_the_configuration_and_not_the_token(
    gate: OddGate, dovecot: Dovecot
) -> None:
    assert imap(dovecot) == "OK"
    assert TOKEN in gate.asked[0]
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    command = [*nobody, "doveconf", "-n", "-c", str(dovecot.folder / "dovecot.conf")]

    read = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=60)

    assert "auth_policy_server_url" in read.stdout
    assert TOKEN not in read.stdout


def test_a_plain_no_pauses_mail_over_imap_and_says_so(gate: OddGate, dovecot: Dovecot) -> None:
    gate.status, gate.body = 200, b'{"status":-1,"msg":"Mail is paused on this device."}'

    assert "Mail is paused on this device." in imap(dovecot)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"no JSON"),
        (200, b'{"status":"-1"}'),
        (204, b""),
        (403, b'{"status":-1,"msg":"no"}'),
        (404, b""),
        (500, b'{"status":-1,"msg":"no"}'),
        (503, b""),
    ],
)
def test_whatever_else_a_gate_says_dovecot_lets_people_in(
    gate: OddGate, dovecot: Dovecot, status: int, body: bytes
) -> None:
    gate.status, gate.body = status, body

    assert imap(dovecot) == "OK"


def test_without_a_gate_dovecot_lets_everybody_in() -> None:
    with held_port() as nobody, dovecot_that_asks(nobody) as server:
        assert imap(server) == "OK"
