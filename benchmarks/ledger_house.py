"""A durable ledger of its own, filled with mails, and real sender processes that work through it.

The cluster lies on the disk, with fsync on and every setting as `up` runs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from benchmarks import hindi_notice
from benchmarks.hindi_notice import ORDER, TEMPLATE, values
from countermand.data_folder import DataFolder
from countermand.project import postgres_home
from countermand.project.embedded_postgres import ADMIN, MAIN, SENDER, EmbeddedPostgres, Passwords

_PATIENCE_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.02

_TABLES: Final = """
    TRUNCATE notices_notice, notices_mailing, notices_permitbatch, notices_senderlease,
        notices_noticeevidence, notices_template, notices_claimbatch, notices_openbatch
        RESTART IDENTITY
"""
_MAILING: Final = """
    INSERT INTO notices_mailing (order_number, mode, phase, epoch, stopped_epoch, withdrawn,
        barrier_at, not_after, digest, revision_number)
    VALUES (%s, 'live', %s, 1, 0, false, NULL, 'infinity', repeat('d', 64), 1)
"""
_TEMPLATE: Final = """
    INSERT INTO notices_template (id, order_number, revision_number, kind, variant, language,
        subject, text, html, sha256)
    VALUES (1, %s, 1, 'notice', '', 'hi', %s, %s, %s, '')
"""
_NOTICES: Final = """
    INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id, address,
        language, wave, template_id, values, message_id, in_reply_to, dated_at, due_at, state,
        exposure, exposure_before, epoch, attempts, claimed_by, queue_id, last_reply)
    SELECT %(order)s::text, 1, %(kind)s::text, 0, person, 'p' || person || '@example.org', 'hi', 0,
        1, said, '<' || %(order)s::text || '.1.' || %(kind)s::text || '.0.'
        || lpad(to_hex(person), 20, '0') || '@example.org>', '', %(at)s, %(at)s, 'pending',
        0, 0, 0, 0, '', '', ''
    FROM unnest(%(people)s::bigint[], %(said)s::jsonb[]) AS u (person, said)
"""


def wait_until(what: Callable[[], bool]) -> None:
    """Look again and again; a figure that never comes ends the run."""
    until = time.monotonic() + _PATIENCE_S
    while not what():
        if time.monotonic() > until:
            raise TimeoutError("the benchmark waited in vain")
        time.sleep(_LOOK_EVERY_S)


@dataclass(slots=True)
class LedgerHouse:
    """One data folder, one database, and the senders started on them."""

    folder: DataFolder
    url: str
    sender_url: str
    connection: psycopg.Connection[Any]
    senders: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def fill(self, people: int, *, order: str = ORDER, phase: str = "approved") -> None:
        """Write down a notice for each of `people`; they leave when the phase says so."""
        with self.connection.transaction():
            self.connection.execute(_MAILING, [order, phase])
            self.connection.execute("DELETE FROM notices_template")
            self.connection.execute(
                _TEMPLATE, [order, TEMPLATE.subject, TEMPLATE.text, TEMPLATE.html]
            )
        self.add(range(1, people + 1), order=order, kind="notice")

    def add(self, people: range | list[int], *, order: str, kind: str) -> None:
        """Write down one mail of `kind` for each of `people`."""
        self.connection.execute(
            _NOTICES,
            {
                "order": order,
                "kind": kind,
                "at": hindi_notice.DATED_AT,
                "people": list(people),
                "said": [Jsonb(values(person)) for person in people],
            },
        )

    def empty(self) -> None:
        """Forget everything, so that every round begins alike."""
        self.connection.execute(_TABLES)
        self.connection.execute("VACUUM ANALYZE notices_notice")
        self.connection.execute("CHECKPOINT")
        for fence in self.folder.fences.glob("*.json"):
            fence.unlink()

    def set_phase(self, phase: str, *, order: str = ORDER) -> None:
        """Let the order's mails leave, or not."""
        self.connection.execute(
            "UPDATE notices_mailing SET phase = %s WHERE order_number = %s", [phase, order]
        )

    def catch_up(self) -> None:
        """Let the mails say what their senders noted down."""
        self.connection.execute("SELECT ledger_catch_up(%s)", [ORDER])

    def count(self, condition: LiteralString) -> int:
        """Count mails."""
        rows = self.connection.execute(
            "SELECT count(*) FROM notices_notice WHERE " + condition  # noqa: S608 - our own words
        ).fetchall()
        return int(rows[0][0])

    def is_idle(self) -> bool:
        """Say whether nothing is left to send and every answer is booked."""
        # The cheap question first: as long as it is asked, it must not disturb.
        waiting = self.connection.execute(
            "SELECT FROM notices_notice WHERE is_waiting AND order_number = %s LIMIT 1", [ORDER]
        ).fetchall()
        return not waiting and self.count("state IN ('claimed', 'permitted')") == 0

    def start_sender(
        self, relay: str, *, name: str = "sender-1", connections: int, window: int = 1, **more: str
    ) -> subprocess.Popen[bytes]:
        """Start a real sender process, and wait until it holds its lease."""
        surroundings = {
            **os.environ,
            "COUNTERMAND_DATA": str(self.folder.path),
            "COUNTERMAND_SENDER_DATABASE_URL": self.sender_url,
            "DATABASE_URL": "",
            "COUNTERMAND_RELAY": relay,
            "COUNTERMAND_CONNECTIONS": str(connections),
            "COUNTERMAND_WINDOW": str(window),
            **more,
        }
        with (self.folder.path / f"{name}.log").open("ab") as log:
            sender = subprocess.Popen(
                [sys.executable, "-m", "countermand.sender", "--name", name],
                env=surroundings,
                stderr=log,
            )
        self.senders.append(sender)
        wait_until(
            lambda: bool(
                self.connection.execute(
                    "SELECT count(*) FROM notices_senderlease WHERE name = %s AND pid = %s",
                    [name, sender.pid],
                ).fetchall()[0][0]
            )
        )
        return sender

    def end_senders(self) -> None:
        """Kill what still runs of what was started."""
        for sender in self.senders:
            if sender.poll() is None:
                sender.send_signal(signal.SIGKILL)
            sender.wait()
        self.senders.clear()


@contextmanager
def durable_house() -> Iterator[LedgerHouse]:
    """Start PostgreSQL on the disk, as `up` does, and give it an empty ledger."""
    path = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    path.chmod(0o711)
    folder = DataFolder(path)
    for each in folder.folders:
        each.mkdir(parents=True, exist_ok=True)
    home = postgres_home.choose(folder)
    server = EmbeddedPostgres(home, Passwords("admin", "main", "sender", "gate"))
    server.start()
    try:
        with psycopg.connect(server.url(role=ADMIN), autocommit=True) as admin:
            admin.execute("GRANT pg_checkpoint TO countermand")
        url, sender_url = server.url(role=MAIN), server.url(role=SENDER)
        _migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            house = LedgerHouse(folder, url, sender_url, connection)
            try:
                yield house
            finally:
                house.end_senders()
    finally:
        server.stop()
        shutil.rmtree(home.base, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)


def _migrate(url: str) -> None:
    # In a process of its own: Django stays out of what is measured.
    code = "import django; django.setup(); from django.core.management import call_command as c;"
    subprocess.run(
        [sys.executable, "-c", f"{code} c('migrate', verbosity=0)"],
        check=True,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "countermand.project.settings",
            "DATABASE_URL": url,
        },
    )
