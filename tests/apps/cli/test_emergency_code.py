"""Whoever shows the emergency code of an order stops it: here, and at gates far away.

The gates are real processes. The second one has another token than ours, as a remote one may.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from countermand.cli import stop_verbs, stop_words
from countermand.data_folder import DataFolder
from countermand.enforcement.actions import compile_entries, publish_states
from countermand.stop import fence as fences
from countermand.stop import register
from countermand.stop.register import KnownOrder, Register
from tests.gate_world import (
    ORDER,
    RunningGate,
    door,
    make_folder,
    now,
    order_state,
    publisher,
    running_gate,
)

CODE = "0123456789abcdef0123456789abcdef"
AS_TYPED = "0123-4567-89AB-CDEF 0123456789abcdef"
PHONE = "phone-7f3a"


pytestmark = pytest.mark.usefixtures("committed_doors")


@dataclass
class Here:
    """Where somebody stops: a machine with a data folder, and a gate that is somewhere else."""

    folder: DataFolder
    gate: RunningGate
    capsys: pytest.CaptureFixture[str]

    def take_back(self, code: str, *, token: str = "", more: tuple[str, ...] = ()) -> int:
        environ = {
            "COUNTERMAND_DATA": str(self.folder.path),
            "COUNTERMAND_GATES": f"http://127.0.0.1:{self.gate.control_port}",
            "COUNTERMAND_GATE_TOKEN": token or "a-token-that-this-gate-does-not-take",
            "HOME": str(self.folder.path),
        }
        self.capsys.readouterr()
        words = ["take-back", ORDER, "--because", "mistake", "--code", code, *more]
        return stop_verbs.run(words, environ)

    def said(self) -> Any:
        return json.loads(self.capsys.readouterr().out)

    @property
    def is_stopped(self) -> bool:
        return fences.read(self.folder.fences, ORDER) is not None


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    remote, folder = make_folder(tmp_path / "gate"), DataFolder(tmp_path / "here")
    for each in (folder.fences, folder.senders, folder.stop):
        each.mkdir(parents=True)
    compile_entries(ORDER, [door(PHONE)], publisher=publisher(remote), now=now())
    stop_hash = hashlib.sha256(CODE.encode()).hexdigest()
    publish_states([order_state(stop_hash=stop_hash)], publisher=publisher(remote))
    about = connection.settings_dict
    url = psycopg.conninfo.make_conninfo(
        host=about["HOST"],
        port=about["PORT"],
        dbname=about["NAME"],
        user=about["USER"],
        password=about["PASSWORD"],
    )
    with running_gate(remote, database_url=url) as running:
        running.until("shut", lambda: running.is_paused(PHONE))
        yield Here(folder, running, capsys)


def known(folder: DataFolder, phase: str = "enforcing") -> None:
    stop_hash = hashlib.sha256(CODE.encode()).hexdigest()
    register.write(folder, Register(orders={ORDER: KnownOrder(1, phase, stop_hash)}))


def test_a_gate_that_does_not_take_our_token_takes_the_code(here: Here) -> None:
    known(here.folder)

    here.take_back(AS_TYPED, more=("--json",))

    assert not here.gate.is_paused(PHONE)
    assert here.is_stopped
    [gate] = here.said()["gates"]
    assert gate["knows"]


def test_the_code_stops_here_too_where_only_a_gate_knows_the_order(here: Here) -> None:
    here.take_back(CODE)

    assert not here.gate.is_paused(PHONE)
    assert here.is_stopped


def test_an_unreadable_list_of_orders_keeps_no_code_from_stopping(here: Here) -> None:
    here.folder.stop_register.write_text("{")

    here.take_back(CODE)

    assert here.is_stopped


@pytest.mark.parametrize("is_known", [True, False])
def test_a_wrong_code_stops_nothing_anywhere(here: Here, *, is_known: bool) -> None:
    if is_known:
        known(here.folder)

    ended = here.take_back("f" * 32)

    assert ended == stop_words.NOT_ALLOWED
    assert here.gate.is_paused(PHONE)
    assert not here.is_stopped


def test_it_is_printed_which_gate_knows(here: Here) -> None:
    known(here.folder)

    here.take_back(CODE)

    said = here.capsys.readouterr().out
    assert f"Knows: http://127.0.0.1:{here.gate.control_port} (" in said
    assert "Mail gates that know: 1 of 1." in said
