"""The real gate behind real Dovecot and nginx: one phone waits outside, and a take-back opens.

No database runs here: the gate answers from what lies in its data folder, as it does when the
database is down.
"""

import base64
import http.client
import imaplib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from countermand.data_folder import DataFolder, write_json, write_private
from countermand.domain.device_key import door_key, normal_device, normal_login
from countermand.domain.door_record import body_of, seal
from countermand.domain.published_states import PublishedOrder, payload
from countermand.domain.verdict import EntryFacts
from countermand.gate import keys
from countermand.gate.machine_time import ThisMachine
from countermand.gate.order_states import OrderStates, SignedSet
from countermand.gate.table import FeedRow, Table
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from tests.servers.conftest import (
    LONGEST_START_S,
    TOKEN,
    Server,
    dovecot_that_asks,
    nginx_that_asks,
    open_folder,
)

Said = TypeVar("Said")
NUMBER = "CM-7Q4K"
ASHA = "asha@amber.example"
NOW = datetime.now(UTC)  # noqa: TID251  (the gate is a real process with a real clock)
# One phone as ActiveSync spells it: plainly, and inside one base64 word.
PLAIN = "Cmd=Sync&User=asha%40amber.example&DeviceId=PHONE-7F3A&DeviceType=X"
PACKED = base64.b64encode(
    bytes((140, 0, 9, 4)) + bytes((10,)) + b"phone-7f3a" + bytes((0, 1)) + b"X"
).decode()
OTHER_DEVICE = "Cmd=Sync&User=asha%40amber.example&DeviceId=LAPTOP-11C0&DeviceType=X"


@dataclass(frozen=True, slots=True)
class RealGate:
    """A gate that runs, and the folder that it reads stops from."""

    port: int
    folder: DataFolder


def all_that_shuts() -> EntryFacts:
    """Everything that has to be so before mail is paused on a device."""
    return EntryFacts(
        order_number=NUMBER,
        presence="present",
        evidence_at=NOW - timedelta(hours=1),
        fresh_until=NOW + timedelta(days=1),
        may_close=True,
        closes_at=NOW - timedelta(minutes=5),
        noticed_at=NOW - timedelta(days=7),
        lock_accepted_at=NOW - timedelta(hours=1),
        attested_at=None,
        override_until=None,
    )


def furnish(folder: DataFolder) -> None:
    """Put into a data folder what the worker would have told the gate."""
    for each in folder.folders:
        each.mkdir(mode=0o700, parents=True)
    instance = secrets.token_hex(8)
    write_json(folder.instance, {"instance_id": instance, "kind": "production"})
    write_private(folder.keys / "gate-token", TOKEN.encode())
    keys.make(folder.keys)
    door = door_key(normal_login(ASHA), normal_device("phone-7f3a"))
    body = body_of(all_that_shuts())
    record = body + seal(keys.entry_key(folder.keys), door, body)
    table = Table(folder.gate / "table")
    table.replace_all([FeedRow(door, NUMBER, record)], version=1, row_id=1)
    table.close()
    order = PublishedOrder(
        number=NUMBER, phase="enforcing", enforcement="gate", exercise=False, epoch=1
    )
    machine = ThisMachine()
    signer = keys.PublisherKey.load(folder.keys)
    content = payload([order], instance=instance, sequence=1, issued_ms=machine.wall_ms())
    signed = SignedSet(content, signer.sign(content), signer.key_id)
    states = OrderStates(keys=keys.GateKeys.load(folder.keys), instance=instance, time=machine)
    states.receive(signed, at_once=True)
    states.remember(folder.gate / "states.json", signed)


@pytest.fixture
def gate() -> Iterator[RealGate]:
    with open_folder("gate") as place:
        folder = DataFolder(place / "data")
        furnish(folder)
        ready = place / "ready.json"
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COUNTERMAND_", "DATABASE_"))
        }
        words = ["--data", str(folder.path), "--port", "0", "--control-port", "0"]
        with (place / "gate.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "countermand.gate", *words, "--ready-file", str(ready)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield RealGate(port_from(ready, process, place / "gate.log"), folder)
        finally:
            process.terminate()
            process.wait(10)


def port_from(ready: Path, process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(int(LONGEST_START_S / 0.05)):
        if ready.exists():
            return int(json.loads(ready.read_text(encoding="utf-8"))["port"])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail("the gate did not start: " + log.read_text(encoding="utf-8")[-2000:])


@pytest.fixture
def nginx(gate: RealGate) -> Iterator[Server]:
    with nginx_that_asks(gate.port) as server:
        yield server


@pytest.fixture
def dovecot(gate: RealGate) -> Iterator[Server]:
    with dovecot_that_asks(gate.port) as server:
        yield server


def take_back(gate: RealGate) -> None:
    fence = Fence(
        number=NUMBER,
        stopped_epoch=TAKEN_BACK_EPOCH,
        withdrawn=True,
        at=NOW,
        by=1,
        because="sent by mistake",
    )
    fences.write(gate.folder.fences, fence)


def active_sync(server: Server, query: str, login: str = ASHA) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    basic = base64.b64encode(f"{login}:a password".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    connection.request("POST", f"/Microsoft-Server-ActiveSync?{query}", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def imap(server: Server, password: str, login: str = ASHA) -> str:
    with imaplib.IMAP4("127.0.0.1", server.port, timeout=20) as connection:
        try:
            return connection.login(login, password)[0]
        except imaplib.IMAP4.error as refusal:
            return str(refusal)


def until(wanted: Said, question: Callable[[], Said]) -> Said:
    """Ask until the answer is the wanted one, for a while; return the last answer."""
    answer = question()
    for _ in range(200):
        if answer == wanted:
            break
        time.sleep(0.05)
        answer = question()
    return answer


def test_only_the_phone_that_carries_the_app_waits_outside_imap(dovecot: Server) -> None:
    refusal = imap(dovecot, "of-the-phone")

    assert "Mail is paused on this device." in refusal
    assert "AUTHENTICATIONFAILED" not in refusal
    assert imap(dovecot, "of-the-laptop") == "OK"
    assert imap(dovecot, "of-the-tablet", "ravi@amber.example") == "OK"


def test_only_the_phone_that_carries_the_app_waits_outside_active_sync(nginx: Server) -> None:
    assert active_sync(nginx, PLAIN) == 403
    assert active_sync(nginx, PACKED) == 403
    assert active_sync(nginx, OTHER_DEVICE) == 200
    assert active_sync(nginx, PLAIN.replace("asha", "ravi"), "ravi@amber.example") == 200


def test_a_take_back_lets_the_phone_in_at_every_door(
    gate: RealGate, dovecot: Server, nginx: Server
) -> None:
    assert active_sync(nginx, PLAIN) == 403

    take_back(gate)

    assert until(200, lambda: active_sync(nginx, PLAIN)) == 200
    assert until("OK", lambda: imap(dovecot, "of-the-phone")) == "OK"
