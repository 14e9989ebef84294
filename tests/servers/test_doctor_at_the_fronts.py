"""The doctor asks a question through each front that runs, and says whether it came to the gate."""

import http.client
import json
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar
from urllib.parse import quote

import pytest

from countermand.config import Settings
from countermand.environment import load
from countermand.gate.doors import PROBE
from countermand.project.findings import Finding, State
from countermand.project.front_checkup import Fronts, examine_fronts
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.gates import Entry, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, TOKEN, Server, held_port, until
from lab.nginx import DOORS, address, nginx_that_asks
from lab.people import ASHA, LAPTOP
from lab.postfix import postfix_that_asks


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    with real_gate([]) as running:
        yield running


@pytest.fixture(scope="module")
def settings(gate: RealGate) -> Settings:
    environment = {"COUNTERMAND_GATES": f"http://{HERE}:{gate.control_port}"}
    return load(environment, data=gate.folder.path)


def asked(settings: Settings, front: str, password: str = "") -> Finding:
    # The machine's own configurations are looked at when no file is named.
    return list(examine_fronts(Fronts([front], password=password), settings))[-1]


def imap_url(dovecot: Dovecot) -> str:
    return f"imap://{quote(ASHA.login)}@{HERE}:{dovecot.port}"


def test_a_front_that_asks_is_well(gate: RealGate, settings: Settings) -> None:
    with nginx_that_asks(gate.port) as nginx, dovecot_that_asks(gate.port) as dovecot:
        through_nginx = asked(settings, address(nginx))
        through_dovecot = asked(settings, imap_url(dovecot), ASHA.devices[LAPTOP])

    assert (through_nginx.state, through_dovecot.state) == (State.GOOD, State.GOOD)


def test_pop3_and_both_ways_to_send_mail_are_asked_through(
    gate: RealGate, settings: Settings
) -> None:
    with ExitStack() as stack:
        relay = stack.enter_context(held_port())
        dovecot = stack.enter_context(dovecot_that_asks(gate.port, everything=True, relay=relay))
        postfix = stack.enter_context(postfix_that_asks(dovecot, relay))
        ports = {"pop3": dovecot.pop3, "submission": dovecot.submission, "smtp": postfix.port}
        asha = f"{quote(ASHA.login)}@{HERE}"
        fronts = [f"{scheme}://{asha}:{port}" for scheme, port in ports.items()]

        found = [asked(settings, front, ASHA.devices[LAPTOP]) for front in fronts]
        guessed = [asked(settings, front, "a guess") for front in fronts]

    assert [each.state for each in found] == [State.GOOD] * 3
    assert all("cannot log in" in each.sentence for each in guessed)


def test_a_device_whose_mail_is_paused_is_no_fault_of_the_front() -> None:
    entry = Entry(ASHA.login, LAPTOP, all_that_shuts())
    with real_gate([entry]) as shut, dovecot_that_asks(shut.port) as dovecot:
        gates = {"COUNTERMAND_GATES": f"http://{HERE}:{shut.control_port}"}
        found = asked(load(gates, data=shut.folder.path), imap_url(dovecot), ASHA.devices[LAPTOP])

    assert found.state is State.GOOD
    assert f"{ASHA.login} is for" in found.sentence
    assert "paused" in found.sentence


class _WithoutTls(socketserver.StreamRequestHandler):
    heard: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 mail.example.org\r\n")
        for line in self.rfile:
            self.heard.append(line)
            self.wfile.write(b"250-mail.example.org\r\n250 AUTH PLAIN\r\n")


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("scheme", ["smtp", "submission"])
def test_a_password_goes_to_no_other_machine_in_the_clear(settings: Settings, scheme: str) -> None:
    _WithoutTls.heard.clear()
    with socketserver.TCPServer(("127.0.0.2", 0), _WithoutTls) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        found = asked(settings, f"{scheme}://asha@127.0.0.2:{port}", "secret")
        server.shutdown()

    assert found.state is State.BAD
    assert "no TLS" in found.sentence
    assert [each[:4] for each in _WithoutTls.heard] == [b"ehlo"]


def test_a_question_that_another_process_of_the_gate_answered_is_heard_of() -> None:
    with real_gate([], COUNTERMAND_GATE_WORKERS="4") as gate, ExitStack() as stack:
        environment = {"COUNTERMAND_GATES": f"http://{HERE}:{gate.control_port}"}
        settings = load(environment, data=gate.folder.path)
        until("all processes answer", lambda: each_has_a_line(gate, stack))
        # Each nginx has one connection, and the kernel says to which of the four processes.
        fronts = [stack.enter_context(nginx_that_asks(gate.port)) for _ in range(4)]

        found = [asked(settings, address(front)) for front in fronts]

    assert [each.state for each in found] == [State.GOOD] * 4


def each_has_a_line(gate: RealGate, stack: ExitStack) -> bool:
    """Open one connection more, and tell whether every further process has one by now."""
    stack.enter_context(socket.create_connection((HERE, gate.port)))
    with urllib.request.urlopen(f"http://{HERE}:{gate.control_port}/ready", timeout=60) as answer:
        workers = json.loads(answer.read())["workers"]
    return len(workers) == 3 and all(each["connections"] for each in workers)


@contextmanager
def others_ask(gate: RealGate) -> Iterator[None]:
    """Phones of other people ask the gate all the time, and so do their logins."""
    ended = threading.Event()

    def ask() -> None:
        token = {"Authorization": f"Bearer {TOKEN}"}
        uri = "/Microsoft-Server-ActiveSync?User=ravi&DeviceId=another"
        login = json.dumps({"login": "ravi", "device": "", "protocol": "imap"})
        while not ended.is_set():
            connection = http.client.HTTPConnection(HERE, gate.port, timeout=60)
            connection.request("GET", "/auth", headers={**token, "X-Original-URI": uri})
            connection.getresponse().read()
            connection.request("POST", "/policy?command=allow", body=login, headers=token)
            connection.getresponse().read()
            connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_others_who_ask_are_not_taken_for_the_front(gate: RealGate, settings: Settings) -> None:
    with held_port() as nobody, nginx_that_asks(nobody) as elsewhere, others_ask(gate):
        through_nginx = asked(settings, address(elsewhere))
        with dovecot_that_asks(nobody) as dovecot:
            through_dovecot = asked(settings, imap_url(dovecot), ASHA.devices[LAPTOP])
        with nginx_that_asks(gate.port) as nginx:
            well = asked(settings, address(nginx))

    assert through_nginx.state is State.BAD
    assert "do not come to the gate" in through_nginx.sentence
    assert through_dovecot.state is State.NOTE
    assert "not certain" in through_dovecot.sentence
    assert well.state is State.GOOD


def test_the_phone_of_the_doctor_is_no_device_that_somebody_could_confirm(
    gate: RealGate, settings: Settings
) -> None:
    with nginx_that_asks(gate.port) as nginx:
        asked(settings, address(nginx))

    [url] = settings.gates
    asking = urllib.request.Request(f"{url}/unknown", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(asking, timeout=60) as answer:
        clients = json.loads(answer.read())["clients"]
    assert PROBE.device not in {each["value"] for each in clients}


def test_a_front_with_another_token_is_named(gate: RealGate, settings: Settings) -> None:
    with nginx_that_asks(gate.port, changes={TOKEN: "of-yesterday"}) as nginx:
        found = asked(settings, address(nginx))

    assert found.state is State.BAD
    assert "right token" in found.sentence


def test_a_front_that_asks_elsewhere_is_named(settings: Settings) -> None:
    with held_port() as nobody, ExitStack() as stack:
        nginx = stack.enter_context(nginx_that_asks(nobody))
        dovecot = stack.enter_context(dovecot_that_asks(nobody))
        for front in (address(nginx), imap_url(dovecot)):
            found = asked(settings, front, ASHA.devices[LAPTOP])

            assert found.state is State.BAD
            assert "do not come to the gate" in found.sentence


@pytest.mark.parametrize(("status", "words"), [(500, "gets 500"), (403, "nobody knows")])
def test_a_front_that_would_harm_phones_is_named(
    settings: Settings, status: int, words: str
) -> None:
    with odd_gate() as front:
        front.be(status)
        found = asked(settings, f"http://{HERE}:{front.port}")

    assert found.state is State.BAD
    assert words in found.sentence


def test_a_front_that_is_not_there_is_named(settings: Settings) -> None:
    with held_port() as nobody:
        found = asked(settings, f"http://{HERE}:{nobody}")

    assert found.state is State.BAD
    assert "does not answer" in found.sentence


def test_a_front_whose_gate_is_not_there_is_not_said_to_be_silent(settings: Settings) -> None:
    with held_port() as nobody, nginx_that_asks(nobody) as nginx:
        dead = load({"COUNTERMAND_GATES": f"http://{HERE}:{nobody}"}, data=settings.folder.path)
        unknown = load({}, data=settings.folder.path)
        found = [asked(each, address(nginx)) for each in (dead, unknown)]

    for each in found:
        assert each.state is State.BAD
        assert "lets people in; whether its questions come to the gate" in each.sentence


def test_what_a_phone_gets_is_said_without_a_gate_too(settings: Settings) -> None:
    with odd_gate() as front:
        front.be(502)
        found = asked(load({}, data=settings.folder.path), f"http://{HERE}:{front.port}")

    assert "A phone gets 502" in found.sentence


@pytest.mark.parametrize(
    "front",
    ["mail.example.org", "ftp://mail.example.org", "https://", "https://[::1", "https://m:44x"],
)
def test_what_is_no_address_is_said_to_be_none(settings: Settings, front: str) -> None:
    found = asked(settings, front)

    assert found.state is State.BAD
    assert "no address" in found.sentence
    assert "https://mail.example.org" in found.remedy


def test_a_password_in_what_is_no_address_is_not_shown(settings: Settings) -> None:
    assert "secret" not in asked(settings, "imaps://asha:secret@mail:44x").sentence


def test_a_password_that_is_wrong_is_no_news_about_the_gate(
    gate: RealGate, settings: Settings
) -> None:
    with dovecot_that_asks(gate.port) as dovecot:
        found = asked(settings, imap_url(dovecot), "a guess")

    assert found.state is State.BAD
    assert "cannot log in" in found.sentence


def test_the_configurations_of_running_servers_are_well(gate: RealGate, settings: Settings) -> None:
    def findings(server: Server | Dovecot, name: str) -> list[Finding]:
        return list(examine_fronts(Fronts(files=[server.folder / name]), settings))

    with nginx_that_asks(gate.port, patient=False) as nginx:
        names = ("nginx.conf", "countermand-doors.conf", DOORS)
        text, *doors = ((nginx.folder / each).read_text(encoding="utf-8") for each in names)
        whole = nginx.folder / "whole.conf"
        whole.write_text(f"{text}\nserver {{\n{''.join(doors)}}}\n", encoding="utf-8")

        assert [each.state for each in findings(nginx, "whole.conf")] == [State.GOOD]
