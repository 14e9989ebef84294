"""A real sender process, a real database and the mail server double, for tests of kills.

The oracle is the double's own record: who accepted what. The ledger is judged by it, never the
other way round.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from countermand.data_folder import DataFolder
from countermand.domain.delivery import NoticeKind, Settled, StopKind
from countermand.ports import StopRow
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.stop.press import Pressed, press
from countermand.testing.ledger_house import NOW, ORDER
from countermand.testing.mail_record import MailServerProcess
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

PATIENCE_S = 60.0
CONNECTIONS = 4


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Judged:
    """People, by what the double's record and the exported permits say of their corrections."""

    accepted: frozenset[int]
    owed: frozenset[int]
    permitted: frozenset[int]

    @property
    def missed(self) -> frozenset[int]:
        return self.accepted - self.owed

    @property
    def stray(self) -> frozenset[int]:
        return self.owed - self.accepted - self.permitted

    @property
    def precautionary(self) -> frozenset[int]:
        return (self.owed - self.accepted) & self.permitted


@dataclass
class SenderWorld:
    database: FreshDatabase
    double: MailServerProcess
    folder: DataFolder
    house: PostgresHouse
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_sender(
        self,
        name: str = "sender-1",
        *,
        port: int | None = None,
        connections: int = CONNECTIONS,
        window: int = 1,
    ) -> subprocess.Popen[bytes]:
        log = (self.folder.path / f"{name}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "countermand.sender", "--name", name],
            env={
                **os.environ,
                "COUNTERMAND_DATA": str(self.folder.path),
                "COUNTERMAND_SENDER_DATABASE_URL": self.database.sender_url,
                "DATABASE_URL": "",
                "COUNTERMAND_RELAY": f"127.0.0.1:{port or self.double.port}",
                "COUNTERMAND_CONNECTIONS": str(connections),
                "COUNTERMAND_WINDOW": str(window),
            },
            stderr=log,
        )
        log.close()
        self.started.append(process)
        return process

    def log(self, name: str = "sender-1") -> str:
        return (self.folder.path / f"{name}.log").read_text(encoding="utf-8")

    def take_back(self) -> tuple[Pressed, Settled]:
        """Press, and settle the ledger: what `take-back` does."""
        return self.stop(StopKind.TAKE_BACK)

    def stop(self, kind: StopKind) -> tuple[Pressed, Settled]:
        pressed = press(self.folder, ORDER, kind, by=1, because="a test", now=NOW, epoch=1)
        assert pressed.senders_proven_dead, pressed
        ledger = PostgresLedger(self.database.url)
        ledger.stop(StopRow(ORDER, kind, pressed.fence.stopped_epoch, NOW))
        settled = ledger.settle(order_number=ORDER, now=NOW)
        ledger.close()
        return pressed, settled

    def judged(self) -> Judged:
        """Compare the double's record with who is owed a correction."""
        ledger = PostgresLedger(self.database.url)
        owed = {each.person_id for each in ledger.corrections(order_number=ORDER)}
        ledger.close()
        accepted = {
            _person(line["message_id"])
            for line in self.double.record()
            if f".{NoticeKind.NOTICE.value}." in line["message_id"]
        }
        batches = [ids for order, _, ids in self.house.batches() if order == ORDER]
        permitted = {_person(each) for ids in batches for each in ids}
        return Judged(frozenset(accepted), frozenset(owed), frozenset(permitted))

    def states(self) -> dict[str, int]:
        self.house.fold()
        rows = self.house.connection.execute(
            "SELECT state, count(*) FROM notices_notice GROUP BY state"
        ).fetchall()
        return dict(rows)

    def make_due_again(self, at: datetime = NOW) -> None:
        """Bring retries forward, instead of waiting for them."""
        self.house.connection.execute("UPDATE notices_notice SET due_at = %s", [at])

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self.house.close()


def _person(message_id: str) -> int:
    return int(message_id.partition("@")[0].rpartition(".")[2])


def make_world(
    database: FreshDatabase, double: MailServerProcess, path: Path, *, people: int
) -> SenderWorld:
    folder = DataFolder(path)
    for each in folder.folders:
        each.mkdir(parents=True, exist_ok=True)
    world = SenderWorld(database, double, folder, PostgresHouse(database.url))
    try:
        world.house.mailing()
        world.house.connection.execute("UPDATE notices_mailing SET not_after = 'infinity'")
        world.house.template()
        world.house.notices(range(1, people + 1))
    except BaseException:
        world.close()
        raise
    return world
