"""What a follower says of itself where something keeps it from following."""

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import countermand.gate
from countermand import config, environment
from countermand.gate import log_lines
from countermand.gate.counts import Counts
from countermand.gate.feed import Follower, Source
from countermand.gate.feed_entries import EntriesFollower
from countermand.gate.log_lines import Bounds
from countermand.gate.machine_time import ThisMachine
from countermand.gate.run import Gate
from countermand.gate.table import Table
from lab.ground import until
from tests.apps.gate.test_gate_process import database_url
from tests.gate_world import make_folder
from tests.unit.test_gate_order_states import ToldTime


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("se%40cret", "connection"),
        ("pa@se-cret", ""),
        ("pa/se-cret", ""),
        ("12/se-cret", ""),
        ("pa?se-cret", ""),
        ("pa:se-cret", ""),
    ],
    ids=["encoded", "at", "slash", "a port", "question", "colon"],
)
def test_no_part_of_a_password_is_written_down_however_it_is_spelt(
    password: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(log_lines, "_bounds", Bounds(ToldTime()))
    counts, table = Counts(), Table(tmp_path / "table")
    url = f"postgresql://gate:{password}@127.0.0.1:1/nowhere?connect_timeout=2"
    follower = EntriesFollower(
        Source(url=lambda: url, poll_s=0.01, counts=counts), table=table, time=ToldTime()
    )
    follower.start()
    try:
        until("it is lost", lambda: counts.get("feed", outcome="lost") > 0)
    finally:
        follower.stop()
    table.close()

    [line] = [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    assert line["event"] == "feed.lost"
    name, _, said = line["why"].partition(": ")
    assert name in {"OperationalError", "ProgrammingError"}
    assert told in said
    assert bool(said) is bool(told)
    assert "cret" not in said


@pytest.mark.usefixtures("committed_doors")
def test_a_follower_that_could_not_be_begun_is_begun_later_and_keeps_no_lock_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_lines, "_bounds", Bounds(ToldTime()))
    folder = make_folder(tmp_path / "data")

    def read_settings() -> config.Settings:
        return environment.load({"DATABASE_URL": database_url()}, data=folder.path)

    written = ""

    def told(event: str) -> int:
        nonlocal written
        written += capsys.readouterr().err
        return written.count(event)

    gate = Gate(read_settings(), time=ThisMachine(), read_settings=read_settings)
    try:
        with monkeypatch.context() as unloadable:
            for name in ("feed", "feed_entries"):
                unloadable.delattr(countermand.gate, name, raising=False)
                unloadable.setitem(sys.modules, f"countermand.gate.{name}", None)
            gate.follow()
            until("it let go", lambda: not gate.situation()["is_follower"])
            until("both are told", lambda: told("feed.not_begun") == 2)

        def follows() -> bool:
            gate.follow()
            now = gate.situation()
            return bool(now["is_follower"] and now["follows_states"] and now["follows_entries"])

        until("it follows", follows)
    finally:
        gate.close()


@contextmanager
def over_tcp(url: str) -> Iterator[str]:
    """The database of `url` behind a port of this machine."""
    about = psycopg.conninfo.conninfo_to_dict(url)
    folder, number = str(about["host"]), str(about["port"] or 5432)

    def hand_on(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                to.sendall(piece)
            to.shutdown(socket.SHUT_WR)

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as behind,
    ):

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as before:
                behind.connect(f"{folder}/.s.PGSQL.{number}")
                back = threading.Thread(target=hand_on, args=(behind, before), daemon=True)
                back.start()
                hand_on(before, behind)
                back.join()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        port = server.getsockname()[1]
        yield psycopg.conninfo.make_conninfo(url, host="127.0.0.1", port=port)
        serving.join()


@pytest.mark.usefixtures("committed_doors")
def test_a_way_to_the_database_that_is_cut_is_given_up_within_seconds() -> None:
    """The kernel's own patience is a quarter of an hour, and it says nothing meanwhile."""
    limits: dict[int, int] = {}

    class Follows(Follower):
        def look(self, connection: psycopg.Connection[Any]) -> None:
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as way:
                for each in (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
                    limits[each] = way.getsockopt(socket.IPPROTO_TCP, each)

    with over_tcp(database_url()) as url:
        follower = Follows(Source(url=lambda: url, poll_s=0.01, counts=Counts()), name="cut")
        follower.start()
        until("it follows", lambda: follower.follows)
        follower.stop()

    assert 0 < limits[socket.TCP_USER_TIMEOUT] <= 10_000
    assert limits[socket.TCP_KEEPIDLE] + 2 * limits[socket.TCP_KEEPINTVL] <= 15
