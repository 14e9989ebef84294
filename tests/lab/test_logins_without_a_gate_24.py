"""Dovecot 2.4 counts the logins that no gate answered for, with the file that we ship."""

from lab.dovecot24 import dovecot24_that_asks
from lab.gates import odd_gate
from lab.ground import held_port, until
from tests.servers.test_logins_without_a_gate import Counting, shipped


def test_logins_without_an_answer_are_counted_and_others_are_not() -> None:
    with (
        odd_gate() as gate,
        held_port() as port,
        dovecot24_that_asks(gate.port, more=shipped("2.4", port), patient=False) as dovecot,
    ):
        counting = Counting(dovecot, port)
        gate.be(200, b'{"status":0,"msg":""}')
        assert counting.login() == "OK"
        gate.be(200, b'{"status":-1,"msg":"Mail is paused on this device."}')
        assert "paused" in counting.login()
        assert counting.login("a guess") != "OK"
        for status in (500, 403, 204):
            gate.be(status)
            assert counting.login() == "OK"

        until("all are counted", lambda: counting.gate_down() >= 3)
        assert counting.gate_down() == 3


def test_logins_without_a_gate_are_counted() -> None:
    with (
        held_port() as nobody,
        held_port() as port,
        dovecot24_that_asks(nobody, more=shipped("2.4", port), patient=False) as dovecot,
    ):
        counting = Counting(dovecot, port)
        assert counting.login() == "OK"

        until("it is counted", lambda: counting.gate_down() == 1)
