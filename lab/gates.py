"""Gates for the lab: a real one that needs no database, and ones that answer what they should not.

The real one answers from what lies in its data folder, as it does when the database is down.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

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
from lab.ground import HERE, TOKEN, end, open_folder, until

ORDER: Final = "CM-7Q4K"
SENDS: Final = "CM-8R56"  # a second order, whose devices may send while they may not read
NOW: Final = datetime.now(UTC)  # noqa: TID251  (the gate is a real process with a real clock)
_WITHOUT_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Entry:
    """What a gate knows of one person's device."""

    login: str
    device: str
    facts: EntryFacts


def all_that_shuts(**changed: object) -> EntryFacts:
    """Everything that has to be so before mail is paused on a device, with some of it changed."""
    facts = EntryFacts(
        order_number=ORDER,
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
    return replace(facts, **changed)  # type: ignore[arg-type]


@dataclass(slots=True)
class RealGate:
    """A gate that runs, and the folder that it reads stops from."""

    process: subprocess.Popen[bytes]
    port: int
    control_port: int
    folder: DataFolder

    def take_back(self) -> None:
        """Stop the order for good, as `take-back` does on this machine."""
        fence = Fence(
            number=ORDER,
            stopped_epoch=TAKEN_BACK_EPOCH,
            withdrawn=True,
            at=NOW,
            by=1,
            because="sent by mistake",
        )
        fences.write(self.folder.fences, fence)

    def kill(self) -> None:
        """End the gate at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def real_gate(entries: Iterable[Entry], **environment: str) -> Iterator[RealGate]:
    """A gate that knows `entries` under one order that is being enforced."""
    with open_folder("gate") as place:
        folder = DataFolder(place / "data")
        _furnish(folder, entries)
        ready, log = place / "ready.json", place / "gate.log"
        surroundings = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COUNTERMAND_", "DATABASE_"))
        }
        words = ["--data", str(folder.path), "--port", "0", "--control-port", "0"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "countermand.gate", *words, "--ready-file", str(ready)],
                env={**surroundings, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            until("the gate", lambda: ready.exists() or process.poll() is not None)
            told = json.loads(ready.read_text(encoding="utf-8"))
            yield RealGate(process, int(told["port"]), int(told["control_port"]), folder)
        finally:
            end(process)


def _furnish(folder: DataFolder, entries: Iterable[Entry]) -> None:
    """Put into a data folder what the worker would have told the gate."""
    for each in folder.folders:
        each.mkdir(mode=0o700, parents=True)
    instance = secrets.token_hex(8)
    write_json(folder.instance, {"instance_id": instance, "kind": "production"})
    write_private(folder.keys / "gate-token", TOKEN.encode())
    keys.make(folder.keys)
    key = keys.entry_key(folder.keys)
    rows = []
    for entry in entries:
        door = door_key(normal_login(entry.login), normal_device(entry.device))
        body = body_of(entry.facts)
        rows.append(FeedRow(door, entry.facts.order_number, body + seal(key, door, body)))
    table = Table(folder.gate / "table")
    table.replace_all(rows, version=1, row_id=1)
    table.close()
    _publish(folder, instance)


def _publish(folder: DataFolder, instance: str) -> None:
    orders = [
        PublishedOrder(
            number=number,
            phase="enforcing",
            enforcement="gate",
            exercise=False,
            epoch=1,
            sending_while_paused=sends,
        )
        for number, sends in ((ORDER, False), (SENDS, True))
    ]
    machine = ThisMachine()
    signer = keys.PublisherKey.load(folder.keys)
    content = payload(orders, instance=instance, sequence=1, issued_ms=machine.wall_ms())
    signed = SignedSet(content, signer.sign(content), signer.key_id)
    states = OrderStates(keys=keys.GateKeys.load(folder.keys), instance=instance, time=machine)
    states.receive(signed, at_once=True)
    states.remember(folder.gate / "states.json", signed)


@dataclass
class OddGate:
    """A gate that answers what it is told to, and keeps what it was asked."""

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def be(self, status: int, body: bytes = b"", wait_s: float = 0.0, **headers: str) -> None:
        """Answer like this from now on, and forget what was asked.

        A 403 names an order, as the gate's does, unless `headers` say otherwise.
        """
        if status == HTTPStatus.FORBIDDEN:
            headers.setdefault("X_Countermand_Order", ORDER)
        self.status, self.body, self.wait_s, self.headers = status, body, wait_s, headers
        self.asked.clear()

    def refuse(self, words: str) -> None:
        """Answer both kinds of question with a no in these words."""
        self.be(200, json.dumps({"status": -1, "msg": words}).encode())


class _Answer(BaseHTTPRequestHandler):
    """Answers as the gate that the server belongs to was told."""

    protocol_version = "HTTP/1.1"
    odd: OddGate

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said, has_body = replace(self.odd), self.odd.status not in _WITHOUT_BODY
        self.odd.asked.append(f"{self.requestline}\n{self.headers}\n{content.decode()}")
        time.sleep(said.wait_s)
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name.replace("_", "-"), value)
        if has_body:
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if has_body:
            self.wfile.write(said.body)

    do_POST = do_GET  # noqa: N815  (the name that http.server asks for)

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Answer until the other side has gone; going early is its right."""
        with contextlib.suppress(OSError):
            super().handle()


@contextmanager
def odd_gate() -> Iterator[OddGate]:
    """A gate that is none, on a free port."""
    odd = OddGate()
    server = ThreadingHTTPServer((HERE, 0), type("Answer", (_Answer,), {"odd": odd}))
    server.daemon_threads = True
    odd.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
