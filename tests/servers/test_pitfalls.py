"""What has gone wrong on real mail servers, one test each: it must not go wrong under ours."""

import base64
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.gates import Entry, OddGate, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, TOKEN, Server, held_port, until
from lab.nginx import DOWN_LOG, FAIL_OPEN, FAIL_STATIC, address, nginx_that_asks
from lab.people import ASHA, LAPTOP, PHONE, RAVI, TABLET
from lab.phone import Phone
from lab.sogo import LONGEST_HANGING_S, sogo

OFFICE = "127.0.0.9"
ABROAD = "127.0.0.8"
NO = "Mail is paused on this device."
RAW_ID = bytes(range(1, 17))  # an id that is no text


@pytest.fixture(scope="module")
def odd() -> Iterator[OddGate]:
    with odd_gate() as gate:
        yield gate


@pytest.fixture(scope="module")
def nginx(odd: OddGate) -> Iterator[Server]:
    with nginx_that_asks(odd.port) as server:
        yield server


@pytest.fixture(scope="module")
def dovecot(odd: OddGate) -> Iterator[Dovecot]:
    with dovecot_that_asks(odd.port, everything=True) as server:
        yield server


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    """A gate that refuses two phones of one person: one with a name, one with a number."""
    entries = [Entry(ASHA.login, device, all_that_shuts()) for device in (PHONE, RAW_ID.hex())]
    with real_gate(entries) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(gate: RealGate) -> Iterator[Server]:
    with nginx_that_asks(gate.port) as server:
        yield server


@pytest.fixture(autouse=True)
def forgotten(odd: OddGate) -> None:
    odd.be(204)


def imap(server: Dovecot, *, come_from: str = HERE) -> str:
    return mailbox.login(server.port, ASHA.login, ASHA.devices[PHONE], come_from=come_from)


def phone_at(server: Server, device: str | bytes = PHONE, *, packed: bool = False) -> Phone:
    return Phone(address(server), ASHA.login, ASHA.password, device, packed=packed)


# -- names that are none -------------------------------------------------------------------------


@pytest.mark.parametrize("gate_file", [FAIL_OPEN, FAIL_STATIC])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x00", "\x7f"])
def test_a_name_begins_no_header_and_no_question_of_its_own(
    odd: OddGate, gate_file: str, end: str
) -> None:
    name = f"a@example.org{end}X-Original-Method: PUT{end}{end}GET /second HTTP/1.1{end}Host: b"
    with nginx_that_asks(odd.port, gate_file=gate_file) as nginx:
        assert Phone(address(nginx), name, "a password", PHONE).folder_sync().status == 200
        until("the question", lambda: bool(odd.asked))
        assert phone_at(nginx).folder_sync().status == 200
        until("the next question", lambda: len(odd.asked) > 1)

    first, second = odd.asked
    assert first.startswith("GET /auth HTTP/1.1\n")
    assert "X-Remote-User" not in first
    assert "X-Original-Method: PUT" not in first
    assert f"X-Remote-User: {ASHA.login}\n" in second


# -- gates in trouble ---------------------------------------------------------------------------


def test_a_slow_gate_keeps_no_phone_waiting(odd: OddGate) -> None:
    odd.be(403, wait_s=4.0)
    with nginx_that_asks(odd.port, patient=False) as nginx:
        assert phone_at(nginx).folder_sync().status == 200

    odd.be(200, b'{"status":-1,"msg":"too late"}', wait_s=4.0)
    with dovecot_that_asks(odd.port, patient=False) as dovecot:
        assert imap(dovecot) == "OK"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"\x00\xff\x00garbage\r\n\r\n", "no HTTP at all"),
        (b"HTTP/1.1 403", "torn in its first line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{", "torn in its body"),
        (b"", "closed at once"),
    ],
)
def test_a_lying_gate_keeps_nobody_out(answer: bytes, what: str) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(_answers_with(answer))
        nginx = stack.enter_context(nginx_that_asks(port))
        dovecot = stack.enter_context(dovecot_that_asks(port))

        assert phone_at(nginx).folder_sync().status == 200, what
        assert imap(dovecot) == "OK", what


class _answers_with:  # noqa: N801  (used as a verb)
    """A listener that answers every question with these bytes, and closes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def __enter__(self) -> int:
        self.server = socket.create_server((HERE, 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return int(self.server.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()


def test_a_gate_that_dies_in_between_leaves_every_door_open() -> None:
    with (
        real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as gate,
        nginx_that_asks(gate.port) as nginx,
        dovecot_that_asks(gate.port) as dovecot,
    ):
        assert phone_at(nginx).folder_sync().status == 403
        assert NO in imap(dovecot)

        gate.kill()

        assert phone_at(nginx).folder_sync().status == 200
        assert imap(dovecot) == "OK"


# -- what a phone may send ----------------------------------------------------------------------


MALFORMED = (
    "",
    "====",
    "%00%ff%0d%0aX-Countermand-Token:%20guess",
    "jAAJBP8=",  # the id is longer than the query
    base64.b64encode(bytes((255,)) * 300).decode(),
    "DeviceId=" + "A" * 5000,
    "Cmd=Sync&DeviceId=&User=",
)


def test_a_malformed_question_is_no_reason_to_refuse_or_to_break(guarded: Server) -> None:
    said = {query: raw_status(guarded, query) for query in MALFORMED}

    assert said == dict.fromkeys(MALFORMED, 200)
    assert phone_at(guarded).folder_sync().status == 403  # and the gate still answers


def raw_status(server: Server, query: str) -> int:
    connection = http.client.HTTPConnection(HERE, server.port, timeout=60)
    try:
        connection.request("POST", f"/Microsoft-Server-ActiveSync?{query}")
        return connection.getresponse().status
    finally:
        connection.close()


def test_one_phone_is_one_phone_in_plain_packed_raw_and_hexadecimal_form(
    guarded: Server,
) -> None:
    forms = {
        "raw in a packed query": phone_at(guarded, RAW_ID, packed=True),
        "hexadecimal digits": phone_at(guarded, RAW_ID.hex()),
        "upper case": phone_at(guarded, RAW_ID.hex().upper()),
        "packed text": phone_at(guarded, PHONE, packed=True),
        "text in hexadecimal digits": phone_at(guarded, PHONE.encode().hex()),
    }

    said = {form: phone.folder_sync().status for form, phone in forms.items()}

    assert said == dict.fromkeys(forms, 403)
    assert phone_at(guarded, RAW_ID[:-1], packed=True).folder_sync().status == 200


def test_options_and_webmail_name_no_device_and_pass(guarded: Server) -> None:
    query = phone_at(guarded).query("Sync")
    connection = http.client.HTTPConnection(HERE, guarded.port, timeout=60)
    connection.request("OPTIONS", f"/Microsoft-Server-ActiveSync?{query}")
    assert connection.getresponse().read() == b"mail"
    connection.request("GET", "/mail/")
    assert connection.getresponse().status == 200
    connection.close()


def test_two_persons_on_one_phone_are_two_doors(guarded: Server) -> None:
    other = Phone(address(guarded), RAVI.login, RAVI.password, PHONE)

    assert phone_at(guarded).folder_sync().status == 403
    assert other.folder_sync().status == 200


# -- words --------------------------------------------------------------------------------------


def test_no_line_of_ours_can_become_two_lines_of_imap() -> None:
    evil = "orders.example\r\n* BYE forged\r\na1 OK forged"
    entry = Entry(ASHA.login, PHONE, all_that_shuts())
    with (
        real_gate([entry], COUNTERMAND_LOOKUP_ADDRESS=evil) as gate,
        dovecot_that_asks(gate.port) as dovecot,
        socket.create_connection((HERE, dovecot.port), timeout=60) as link,
        link.makefile("rwb") as lines,
    ):
        lines.readline()
        lines.write(f'a1 LOGIN "{ASHA.login}" "{ASHA.devices[PHONE]}"\r\n'.encode())
        lines.flush()
        refusal = lines.readline()
        lines.write(b"a2 NOOP\r\n")
        lines.flush()
        next_line = lines.readline()

        assert refusal.startswith(b"a1 NO [ALERT] Mail is paused")
        assert refusal.count(b"\r") == 1
        assert next_line.startswith(b"a2 OK")
        assert "\n* BYE forged" not in dovecot.log


# -- Dovecot's own ways -------------------------------------------------------------------------


def test_a_refusal_slows_down_nobody_else_at_the_same_address(
    odd: OddGate, dovecot: Dovecot
) -> None:
    odd.refuse(NO)

    said = {imap(dovecot, come_from=OFFICE) for _ in range(4)}

    assert said == {f"[ALERT] {NO}"}
    assert OFFICE not in {row["IP"] for row in _penalties(dovecot)}


def test_without_nodelay_the_whole_office_would_wait(odd: OddGate) -> None:
    # Why the recipe has the word, and proof that the test above would notice.
    odd.refuse(NO)
    with dovecot_that_asks(odd.port, script={', nodelay = "y"': ""}) as dovecot:
        assert NO in imap(dovecot, come_from=OFFICE)

        until("a penalty", lambda: _penalties(dovecot) != [])


def _penalties(dovecot: Dovecot) -> list[dict[str, str]]:
    found: list[dict[str, str]] = dovecot.doveadm(["penalty", {}, "p"])[0][1]
    return found


def test_a_password_that_dovecot_remembers_does_not_pass_the_gate_by(odd: OddGate) -> None:
    with dovecot_that_asks(odd.port, more="auth_cache_size = 10M") as dovecot:
        odd.be(200, b'{"status":0}')
        assert imap(dovecot) == "OK"
        odd.refuse(NO)

        assert NO in imap(dovecot)


def test_mail_keeps_arriving_for_whoever_may_not_read_it(odd: OddGate, dovecot: Dovecot) -> None:
    odd.refuse(NO)

    mailbox.deliver(dovecot.lmtp, ASHA.login, "payslip")

    assert odd.asked == []


def test_the_main_password_opens_nothing_from_outside(odd: OddGate, dovecot: Dovecot) -> None:
    odd.be(200, b'{"status":0}')

    outside = mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from=ABROAD)
    webmail = mailbox.login(dovecot.port, ASHA.login, ASHA.password)

    assert outside.startswith("[AUTHENTICATIONFAILED]")
    assert webmail == "OK"


def test_in_the_first_week_a_refusal_is_written_down_and_not_applied(odd: OddGate) -> None:
    odd.refuse(NO)
    dry = {"#auth_policy_log_only = yes": "auth_policy_log_only = yes"}
    with dovecot_that_asks(odd.port, changes=dry) as dovecot:
        assert imap(dovecot) == "OK"
        until("the refusal in the log", lambda: f"refusal: {NO}" in dovecot.log)


def test_a_guess_reaches_no_gate(odd: OddGate, dovecot: Dovecot) -> None:
    assert mailbox.login(dovecot.port, ASHA.login, "a guess", come_from="127.0.0.13") != "OK"

    assert odd.asked == []


# -- requests that hang -------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_a_sync_that_hangs_since_before_the_closing_is_bounded(odd: OddGate) -> None:
    with ExitStack() as stack:
        # SOGo logs in with the main password: that is the webmail's, and stays open.
        dovecot = stack.enter_context(dovecot_that_asks(odd.port, everything=True))
        groupware = stack.enter_context(sogo(dovecot.port, 25))
        nginx = stack.enter_context(nginx_that_asks(odd.port, groupware=groupware.port))
        mailbox.make_ready(dovecot.port, ASHA.login, ASHA.password)
        phone = phone_at(nginx)
        mailbox.deliver(dovecot.lmtp, ASHA.login, "before")
        until("the first mail", lambda: "before" in phone.sync().subjects)
        until("nothing new any more", lambda: not phone.sync().subjects)
        asked_before = len(odd.asked)
        closing = threading.Thread(target=_close_once_asked, args=(odd, asked_before))
        closing.start()

        phone.patience_s = 120
        begun_s = time.monotonic()
        said = phone.sync(hang_s=3600)

        closing.join()
        # Ended by the limit that is set for the groupware: without one it keeps a Sync for 30 s.
        assert said.status == 200
        assert LONGEST_HANGING_S - 1 < time.monotonic() - begun_s < 24
        assert phone.sync().status == 403
        assert phone.ping(60).status == 403


def _close_once_asked(odd: OddGate, asked_before: int) -> None:
    """Let the Sync in, and say no from then on."""
    until("the question of the Sync", lambda: len(odd.asked) > asked_before)
    odd.be(403)


# -- sessions that are open ---------------------------------------------------------------------


def test_doveadm_ends_the_sessions_of_one_person_and_nobody_elses(
    odd: OddGate, dovecot: Dovecot
) -> None:
    odd.be(200, b'{"status":0}')
    with (
        mailbox.session(dovecot.port, ASHA.login, ASHA.devices[LAPTOP]) as hers,
        mailbox.session(dovecot.port, RAVI.login, RAVI.devices[TABLET]) as his,
    ):
        said = dovecot.doveadm(
            ["kick", {"mask": [ASHA.login]}, "hers"],
            ["kick", {"mask": ["nobody@example.org"]}, "nobody"],
        )

        assert said[0] == ["doveadmResponse", [{"result": ASHA.login}], "hers"]
        assert said[1] == ["error", {"type": "exitCode", "exitCode": 68}, "nobody"]
        until("the end of her session", lambda: not mailbox.is_open(hers))
        assert mailbox.is_open(his)


def test_the_token_is_all_that_makes_a_mail_server_of_a_stranger(
    odd: OddGate, nginx: Server
) -> None:
    phone_at(nginx).folder_sync()

    assert f"Bearer {TOKEN}" in odd.asked[0]
    assert base64.b64encode(f"{ASHA.login}:{ASHA.password}".encode()).decode() not in odd.asked[0]


def test_a_wrong_token_refuses_nobody(gate: RealGate) -> None:
    with (
        nginx_that_asks(gate.port, changes={TOKEN: "of-yesterday"}) as nginx,
        dovecot_that_asks(gate.port, changes={TOKEN: "of-yesterday"}) as dovecot,
    ):
        assert phone_at(nginx).folder_sync().status == 200
        assert imap(dovecot) == "OK"


def test_nobody_at_the_gates_address_is_no_reason_to_refuse_and_is_written_down() -> None:
    with held_port() as nobody, nginx_that_asks(nobody) as nginx:
        for _ in range(3):
            assert phone_at(nginx).folder_sync().status == 200

        lines = (nginx.folder / DOWN_LOG).read_text(encoding="utf-8").splitlines()

    assert len(lines) == 3
    assert ASHA.login not in "".join(lines)  # it names nobody


def test_a_gate_that_answers_is_not_written_down(odd: OddGate, nginx: Server) -> None:
    with nginx_that_asks(odd.port) as other:
        for status in (204, 403):
            odd.be(status)
            phone_at(other).folder_sync()

        assert (other.folder / DOWN_LOG).read_text(encoding="utf-8") == ""
