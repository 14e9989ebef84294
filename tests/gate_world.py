"""A gate of its own for a test: a data folder with keys, a real process, and plain questions."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from countermand.clock import SystemClock
from countermand.data_folder import DataFolder, write_json
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import EntryFacts
from countermand.enforcement.actions import DoorFacts, Publisher
from countermand.gate import keys

TOKEN = "a-token-for-the-tests"
ORDER = "CM-7Q4K"
ASHA = "asha@amber.example"
PATIENCE_S = 60.0


def now() -> datetime:
    return SystemClock().now()


def shutting_facts(order: str = ORDER) -> EntryFacts:
    """Everything proven: refused as soon as the order is enforced."""
    at = now()
    return EntryFacts(
        order_number=order,
        presence="present",
        evidence_at=at - timedelta(hours=5),
        fresh_until=at + timedelta(hours=20),
        may_close=True,
        closes_at=at - timedelta(hours=1),
        noticed_at=at - timedelta(hours=100),
        lock_accepted_at=at - timedelta(hours=2),
        attested_at=None,
        override_until=None,
    )


def door(device: str, *, login: str = ASHA, device_id: int = 1, **changed: Any) -> DoorFacts:
    facts = shutting_facts()
    entry = EntryFacts(**{**{n: getattr(facts, n) for n in facts.__slots__}, **changed})
    return DoorFacts(login=login, device=device, device_id=device_id, person_id=1, entry=entry)


def order_state(number: str = ORDER, **changed: Any) -> PublishedOrder:
    given = {"phase": "enforcing", "enforcement": "gate", "exercise": False, "epoch": 1}
    return PublishedOrder(number=number, **{**given, **changed})


def make_folder(path: Path) -> DataFolder:
    folder = DataFolder(path)
    for each in folder.folders:
        each.mkdir(parents=True, exist_ok=True)
    write_json(folder.instance, {"instance_id": "of-a-test", "kind": "production"})
    (folder.keys / "gate-token").write_text(TOKEN, encoding="ascii")
    keys.make(folder.keys)
    return folder


def publisher(folder: DataFolder) -> Publisher:
    return Publisher.load(folder)


@dataclass
class RunningGate:
    """One gate process and the questions that a test puts to it."""

    process: subprocess.Popen[bytes]
    port: int
    control_port: int
    log: Path
    connections: dict[int, http.client.HTTPConnection] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, *, body: bytes = b"", control: bool = False, **headers: str
    ) -> tuple[int, bytes]:
        port = self.control_port if control else self.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Authorization", f"Bearer {TOKEN}")
        try:
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def imap(self, device: str, login: str = ASHA, protocol: str = "imap") -> dict[str, Any]:
        body = json.dumps({"login": login, "device": device, "protocol": protocol}).encode()
        status, said = self.ask("POST", "/policy?command=allow", body=body)
        assert status == 200
        answer: dict[str, Any] = json.loads(said)
        return answer

    def active_sync(self, device: str, login: str = ASHA) -> int:
        uri = f"/Microsoft-Server-ActiveSync?Cmd=Sync&User=x&DeviceId={device}&DeviceType=P"
        basic = b64encode(f"{login}:a password".encode()).decode()
        status, _ = self.ask(
            "GET",
            "/auth",
            X_Original_URI=uri,
            Authorization=f"Basic {basic}",
            X_Countermand_Token=TOKEN,
        )
        return status

    def is_paused(self, device: str, login: str = ASHA) -> bool:
        return bool(self.imap(device, login)["status"] == -1)

    def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        status, said = self.ask(method, path, body=content, control=True)
        return status, json.loads(said)

    def until(self, what: str, holds: Any) -> None:
        """Wait until something holds; a time-out is a failure and never the measure."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()[-2000:]}"
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_gate(
    folder: DataFolder, *, database_url: str = "", workers: int = 1, **settings: str
) -> Iterator[RunningGate]:
    """A gate on free ports, killed afterwards: an orderly end waits for what it follows."""
    ready = folder.run / "gate.ready"
    ready.unlink(missing_ok=True)
    log = folder.logs / "gate.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COUNTERMAND")},
        "DATABASE_URL": database_url,
        **{f"COUNTERMAND_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "countermand.gate", "--data", str(folder.path)]
    command += ["--port", "0", "--control-port", "0", "--ready-file", str(ready)]
    command += ["--workers", str(workers)]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        said = json.loads(ready.read_text())
        yield RunningGate(process, said["port"], said["control_port"], log)
    finally:
        process.kill()
        process.wait()
