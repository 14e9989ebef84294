"""A machine that only sends: its own folder, its own locks, and a port on which it is stopped.

Here it is a second data folder on the same machine; nothing but the port and the database joins it
to the one where people press.
"""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from countermand.config import Settings
from countermand.data_folder import DataFolder, write_json, write_private
from countermand.domain.delivery import StopKind
from countermand.ports import StopRow
from countermand.project.findings import State
from countermand.project.sender_checkup import examine_sender_hosts
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.stop import fence as fences
from countermand.stop import register
from countermand.stop.gates import Obstacle
from countermand.stop.press import Pressed, press
from countermand.testing.ledger_house import NOW, ORDER
from tests.sender_world import CONNECTIONS, SenderWorld, wait_for

TOKEN = "of-all-machines"
CODE = "0011223344556677"
WHO = {"instance_id": "of-the-test", "kind": "production"}


@dataclass
class Elsewhere:
    """The other machine."""

    world: SenderWorld
    folder: DataFolder
    process: subprocess.Popen[bytes]

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder.run / "ready.json").read_text())
        return told

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.told['port']}"

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.told["port"], timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, json.loads(said) if said else None

    def sender_pid(self) -> int:
        lock = json.loads((self.folder.senders / "mx2-1.lock").read_text(encoding="utf-8"))
        return int(lock["pid"])


@contextmanager
def running(world: SenderWorld, path: Path, **more: str) -> Iterator[Elsewhere]:
    folder = DataFolder(path)
    write_json(folder.instance, WHO)
    write_private(folder.keys / "gate-token", TOKEN.encode())
    surroundings = {
        **{name: value for name, value in os.environ.items() if "COUNTERMAND" not in name},
        "COUNTERMAND_SENDER_DATABASE_URL": world.database.sender_url,
        "COUNTERMAND_RELAY": f"127.0.0.1:{world.double.port}",
        "COUNTERMAND_CONNECTIONS": str(CONNECTIONS),
        "LANG": "C.UTF-8",
        **more,
    }
    surroundings.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "countermand.cli.entry", "sender", "--name", "mx2"]
    ready = folder.run / "ready.json"
    ready.unlink(missing_ok=True)
    with (
        (path / "said").open("wb") as said,
        subprocess.Popen(
            [*command, "--port", "0", "--data", str(path), "--ready-file", str(ready)],
            env=surroundings,
            stderr=said,
        ) as process,
    ):
        try:
            wait_for(lambda: ready.exists() or process.poll() is not None)
            assert process.poll() is None, (path / "said").read_text(encoding="utf-8")
            yield Elsewhere(world, folder, process)
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def elsewhere(world: SenderWorld, short_folder: Path) -> Iterator[Elsewhere]:
    world.double.ask(do="delay_replies", seconds=0.02)
    with running(world, short_folder / "mx2") as started:
        yield started


def take_back(world: SenderWorld, *hosts: str, token: str = TOKEN, code: str = "") -> Pressed:
    return press(
        world.folder,
        ORDER,
        StopKind.TAKE_BACK,
        by=1,
        because="mistake",
        now=NOW,
        sender_hosts=hosts,
        token=token,
        code=code,
    )


def settled(world: SenderWorld) -> None:
    ledger = PostgresLedger(world.database.url)
    ledger.stop(StopRow(ORDER, StopKind.TAKE_BACK, fences.TAKEN_BACK_EPOCH, NOW))
    ledger.settle(order_number=ORDER, now=NOW)
    ledger.close()


def test_a_take_back_ends_its_senders_and_proves_it(elsewhere: Elsewhere) -> None:
    world = elsewhere.world
    wait_for(lambda: len(world.double.record()) > 2 * CONNECTIONS)
    sender = elsewhere.sender_pid()

    pressed = take_back(world, elsewhere.url)
    arrived = len(world.double.record())

    [said] = pressed.sender_hosts
    assert (said.is_proof, said.ended, said.living) == (True, 1, ())
    assert pressed.proven_places == {said.place}
    # The next one is there at once for other orders, and reads the stop first.
    wait_for(lambda: elsewhere.sender_pid() != sender)
    wait_for(lambda: elsewhere.ask("GET", "/ready")[1]["senders"] == ["mx2-1"])
    settled(world)
    judged = world.judged()
    assert not judged.missed | judged.stray
    assert len(judged.precautionary) <= 2 * CONNECTIONS
    assert len(world.double.record()) - arrived <= CONNECTIONS
    fence = fences.read(elsewhere.folder.fences, ORDER)
    assert fence is not None
    assert fence.withdrawn


def test_a_frozen_sender_elsewhere_is_dead_before_the_answer(elsewhere: Elsewhere) -> None:
    world = elsewhere.world
    wait_for(lambda: len(world.double.record()) > CONNECTIONS)
    sender = elsewhere.sender_pid()
    os.kill(sender, signal.SIGSTOP)

    [said] = take_back(world, elsewhere.url).sender_hosts

    assert said.is_proof
    assert not Path(f"/proc/{sender}/fd/0").exists()


def test_the_code_alone_stops_it_with_the_database_away(
    world: SenderWorld, short_folder: Path
) -> None:
    world.house.connection.execute(
        "UPDATE notices_mailing SET stop_hash = %s", [hashlib.sha256(CODE.encode()).hexdigest()]
    )
    with running(world, short_folder / "mx2") as elsewhere:
        wait_for(lambda: ORDER in register.read(elsewhere.folder).orders)
    with running(
        world, short_folder / "mx2", COUNTERMAND_SENDER_DATABASE_URL="postgresql://127.0.0.1:1/gone"
    ) as elsewhere:
        wrong = {"number": ORDER, "code": secrets.token_hex(8)}
        assert elsewhere.ask("POST", "/stop-code", json.dumps(wrong))[0] == 403
        assert fences.read(elsewhere.folder.fences, ORDER) is None

        [said] = take_back(world, elsewhere.url, token="", code=CODE).sender_hosts

        assert said.is_proof
        assert fences.read(elsewhere.folder.fences, ORDER) is not None


NO_STOPS = [
    ("GET", "/", "", 404),
    ("POST", "/stop", "[", 400),
    ("POST", "/stop", '{"number": "../../x"}', 400),
    ("POST", "/stop-code", "[]", 400),
    ("POST", "/stop-code", '{"number": 1, "code": 2}', 400),
    ("POST", "/stop-code", "[" * 10_000, 400),
]


def test_what_is_no_stop_or_shows_no_token_changes_nothing(elsewhere: Elsewhere) -> None:
    for method, path, body, status in NO_STOPS:
        answered, _ = elsewhere.ask(method, path, body, Authorization=f"Bearer {TOKEN}")
        assert answered == status, (method, path, body[:40])
    [said] = take_back(elsewhere.world, elsewhere.url, token="guessed").sender_hosts

    assert (said.acknowledged, said.obstacle) == (False, Obstacle.TOKEN_REFUSED)
    assert not list(elsewhere.folder.fences.glob("*.json"))
    assert elsewhere.ask("GET", "/health") == (200, {"alive": True})


def test_an_orderly_end_leaves_no_lease_to_wait_for(world: SenderWorld, short_folder: Path) -> None:
    with running(world, short_folder / "mx2"):
        wait_for(lambda: world.states().get("sent", 0) > 0)
        assert _leases(world) == ["mx2-1"]

    assert _leases(world) == []


def _leases(world: SenderWorld) -> list[str]:
    rows = world.house.connection.execute("SELECT name FROM notices_senderlease").fetchall()
    return [name for (name,) in rows]


def test_what_is_missing_is_named_all_at_once(short_folder: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "countermand.cli.entry", "sender", "--data", str(short_folder)],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert answer.returncode == 1
    for missing in ("instance.json", "gate-token", "COUNTERMAND_SENDER_DATABASE_URL"):
        assert missing in answer.stderr.replace("\n", "")


def test_the_doctor_says_what_would_keep_a_stop_from_it(elsewhere: Elsewhere) -> None:
    ours = Settings(data=elsewhere.folder.path, sender_hosts=(elsewhere.url,), gate_token=TOKEN)
    wait_for(lambda: bool(elsewhere.ask("GET", "/ready")[1]["senders"]))
    assert examine_sender_hosts(ours).state is State.GOOD

    found = examine_sender_hosts(replace(ours, gate_token="another"))
    assert (found.state, "does not take our token" in found.sentence) == (State.BAD, True)
    found = examine_sender_hosts(replace(ours, data=elsewhere.world.folder.path))
    assert (found.state, "another installation" in found.sentence) == (State.BAD, True)
    (elsewhere.folder.fences / f"{ORDER}.pause.json").write_text("{", encoding="ascii")
    found = examine_sender_hosts(ours)
    assert (found.state, "cannot read what is stopped" in found.sentence) == (State.BAD, True)
    found = examine_sender_hosts(replace(ours, sender_hosts=("http://127.0.0.1:9",)))
    assert (found.state, "does not answer" in found.sentence) == (State.BAD, True)
