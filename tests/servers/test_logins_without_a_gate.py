"""Dovecot 2.3 counts the logins that no gate answered for, with the file that we ship."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import mailbox
from lab.dovecot import ASKS_ANOTHER_FIRST, ASKS_GATE, Dovecot, dovecot_that_asks
from lab.gates import OddGate, odd_gate
from lab.ground import DEPLOY, HERE, held_port, until
from lab.people import ASHA, PHONE

METRICS = "96-countermand-metrics.conf"
_COUNTED = re.compile(r"^dovecot_countermand_gate_down_total (\d+)$", re.MULTILINE)


class Counting:
    """A Dovecot that counts, and what it shows of that."""

    def __init__(self, dovecot: Dovecot, port: int) -> None:
        self.dovecot = dovecot
        self._port = port

    def shown(self) -> str:
        with urllib.request.urlopen(f"http://{HERE}:{self._port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def gate_down(self) -> int:
        [count] = _COUNTED.findall(self.shown())
        return int(count)

    def login(self, password: str = ASHA.devices[PHONE]) -> str:
        return mailbox.login(self.dovecot.port, ASHA.login, password)


def shipped(version: str, port: int) -> str:
    text = (DEPLOY / f"dovecot-{version}" / METRICS).read_text(encoding="utf-8")
    assert "port = 9900" in text
    return text.replace("port = 9900", f"port = {port}")


@contextmanager
def counting_dovecot(gate_port: int, *, asks: str = ASKS_GATE) -> Iterator[Counting]:
    with (
        held_port() as port,
        dovecot_that_asks(
            gate_port, more=shipped("2.3", port), shipped=asks, patient=False
        ) as dovecot,
    ):
        yield Counting(dovecot, port)


@pytest.fixture(scope="module")
def gate() -> Iterator[OddGate]:
    with odd_gate() as odd:
        yield odd


def test_logins_that_a_gate_answers_for_are_not_counted(gate: OddGate) -> None:
    with counting_dovecot(gate.port) as counting:
        gate.be(200, b'{"status":0,"msg":""}')
        assert counting.login() == "OK"
        gate.be(200, b'{"status":-1,"msg":"Mail is paused on this device."}')
        assert "paused" in counting.login()

        gate.be(500)
        assert counting.login() == "OK"
        until("one is counted", lambda: counting.gate_down() > 0)
        assert counting.gate_down() == 1


def test_logins_without_a_gate_are_counted_and_guesses_are_not() -> None:
    with held_port() as nobody, counting_dovecot(nobody) as counting:
        assert counting.gate_down() == 0
        assert counting.login("a guess") != "OK"
        for _ in range(3):
            assert counting.login() == "OK"

        until("all are counted", lambda: counting.gate_down() >= 3)
        assert counting.gate_down() == 3
        assert ASHA.login not in counting.shown()


def test_before_another_policy_server_each_question_without_an_answer_counts() -> None:
    """One before the password and one after it; what is reported afterwards is no question."""
    with held_port() as nobody, counting_dovecot(nobody, asks=ASKS_ANOTHER_FIRST) as counting:
        assert counting.login() == "OK"
        assert counting.login() == "OK"

        until("both are counted", lambda: counting.gate_down() >= 4)
        assert counting.gate_down() == 4
