"""Two Dovecots and another policy server: one asks it without us, one through the gate."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from lab import mailbox
from lab.dovecot import ASKS_ANOTHER_FIRST, Dovecot
from lab.gates import Entry, OddGate, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, TOKEN, until
from lab.people import ASHA, PHONE

# What is another one at every login, whoever asks.
_OF_EACH_LOGIN = ("session", "session_id")
_FROM = "remote"
Start = Callable[..., AbstractContextManager[Dovecot]]
Asked = tuple[str, dict[str, Any]]


@dataclass
class Site:
    """The other server, the gate before it, and a Dovecot that asks each of the two."""

    other: OddGate
    gate: RealGate
    without_us: Dovecot
    with_us: Dovecot
    logins: int = 0

    def other_says(self, body: bytes, status: int = 200) -> None:
        """Let the other server answer like this from now on; what it was asked stays known."""
        self.other.status, self.other.body = status, body

    def login(self, server: Dovecot, password: str = ASHA.devices[PHONE]) -> str:
        """Log in as Asha with the password of her phone, or with another one.

        Each time from an address of its own, so that no penalty for the last one is waited for.
        """
        self.logins += 1
        address = f"127.0.{1 + self.logins // 250}.{1 + self.logins % 250}"
        return mailbox.login(server.port, ASHA.login, password, come_from=address)

    def counted(self) -> dict[str, int]:
        """Return what the gate counted by door."""
        address = f"http://{HERE}:{self.gate.control_port}/doors"
        with urllib.request.urlopen(address, timeout=60) as answer:
            counts: dict[str, int] = json.loads(answer.read())["counts"]
        return {door: count for door, count in counts.items() if count}

    def heard(self, server: Dovecot, password: str, questions: int) -> list[Asked]:
        """Log in, and return what came to the other server: path, and all fields but the session's.

        What is still reported of an earlier login is left out.
        """
        earlier = {_session(each) for each in self.other.asked}
        self.login(server, password)

        def of_this_login() -> list[str]:
            return [each for each in self.other.asked if _session(each) not in earlier]

        until("what is reported", lambda: len(of_this_login()) >= questions)
        return [_read(each) for each in of_this_login()]


def _fields(asked: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(asked.partition("\n\n")[2])
    return fields


def _session(asked: str) -> str:
    return "".join(str(_fields(asked).get(name, "")) for name in _OF_EACH_LOGIN)


def _read(asked: str) -> Asked:
    assert f"Authorization: Bearer {TOKEN}" in asked
    fields = _fields(asked)
    assert fields[_FROM].startswith("127.0.")
    return asked.splitlines()[0], {
        name: "" if name in (*_OF_EACH_LOGIN, _FROM) else value for name, value in fields.items()
    }


@contextmanager
def site(start: Start, **more: Any) -> Iterator[Site]:
    """Asha's phone is paused at the gate; `start` starts one version of Dovecot."""
    with ExitStack() as stack:
        other = stack.enter_context(odd_gate())
        gate = stack.enter_context(
            real_gate(
                [Entry(ASHA.login, PHONE, all_that_shuts())],
                COUNTERMAND_POLICY_UPSTREAM=f"http://{HERE}:{other.port}/policy",
                COUNTERMAND_POLICY_UPSTREAM_HEADER=f"Authorization: Bearer {TOKEN}",
            )
        )
        without_us, with_us = (
            stack.enter_context(start(port, shipped=ASKS_ANOTHER_FIRST, **more))
            for port in (other.port, gate.port)
        )
        yield Site(other, gate, without_us, with_us)


def says(status: int, words: str = "") -> bytes:
    """Return an answer of the other server."""
    return json.dumps({"status": status, "msg": words}).encode()
