"""Where the campaign plays: a real database, an order in mid-air, a mail server with a record.

Processes under test are forks of this one, so that a life costs ten milliseconds instead of half a
second: each runs the program's own entry point, in a process of its own, until it is killed. One
order is prepared once; before every round the database is put back to that instant.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import django
import psycopg

from countermand import clock
from countermand.config import Settings
from countermand.data_folder import DataFolder
from countermand.project import postgres_home
from countermand.project.embedded_postgres import (
    ADMIN,
    SENDER,
    EmbeddedPostgres,
    Passwords,
    processes_in,
)
from countermand.testing.mail_record import MailServerProcess
from simulation.power import PowerDisk
from simulation.returned import Returned

ORDER: Final = "CM-7Q4K"
CONNECTIONS: Final = 4
STAFF: Final = 24
COLLEAGUE: Final = "colleague@example.org"  # works here, and no order is about them
_PATIENCE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.002
_KEPT: Final = "kept"
_PR_SET_PDEATHSIG: Final = 1
_LEFT_ALONE: Final = ("django_migrations",)
# What forks would otherwise each load anew.
_LOADED_BEFOREHAND: Final = (
    "countermand.cli.session",
    "countermand.cli.stop_verbs",
    "countermand.notices.evidence",
    "countermand.orders.jobs",
    "countermand.project.web_pages",
    "countermand.sender.__main__",
    "countermand.sender.stop_port",
    "countermand.wiring",
    "http.client",
    "simulation.campaign_faults",
)


class Stuck(Exception):
    """Something that must happen did not: the round counts as failed, loudly."""


@dataclass(frozen=True, slots=True)
class Kid:
    """A forked process of the program."""

    name: str
    pid: int

    def is_alive(self) -> bool:
        """Look whether it has ended; it is reaped then."""
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def end(self) -> None:
        """Kill it, frozen or not, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


@dataclass(slots=True)
class Stage:
    """One installation and all that stands around it."""

    folder: Path
    disk: PowerDisk | None
    cluster: Path
    server: EmbeddedPostgres
    double: MailServerProcess
    returned: Returned
    settings: Settings
    far: DataFolder  # of another machine, which only sends; the port there is in the settings
    told: datetime
    kids: list[Kid] = field(default_factory=list)
    record_from: int = 0
    _pages: dict[Path, bytes] = field(default_factory=dict)
    _admin: psycopg.Connection[Any] | None = None

    @property
    def data(self) -> DataFolder:
        """The data folder under test."""
        return self.settings.folder

    # -- processes -----------------------------------------------------------------------------

    def fork(self, name: str, run: Callable[[], object]) -> Kid:
        """Run something of the program in a process of its own."""
        self._let_go_of_database()
        sys.stdout.flush()
        log = self.folder / f"{name}.log"
        pid = os.fork()
        if pid:
            kid = Kid(name, pid)
            self.kids.append(kid)
            return kid
        code = 70
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, 1)
            os.dup2(file, 2)
            run()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 - written down; the fork must not go on as its parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def end_kids(self) -> None:
        """Kill what is left of a round."""
        for kid in self.kids:
            kid.end()
        self.kids.clear()

    def wait_for(self, what: Callable[[], bool], why: str, longest_s: float = _PATIENCE_S) -> None:
        """Wait for something that must happen. Raises Stuck."""
        until = time.monotonic() + longest_s
        while not what():
            if time.monotonic() > until:
                raise Stuck(why)
            time.sleep(_LOOK_EVERY_S)

    # -- the database --------------------------------------------------------------------------

    @property
    def admin(self) -> psycopg.Connection[Any]:
        """A connection of this process that may do anything."""
        if self._admin is None or self._admin.closed or self._admin.broken:
            self._admin = psycopg.connect(self.server.url(role=ADMIN), autocommit=True)
        return self._admin

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database; a connection that was cut off is made again."""
        try:
            cursor = self.admin.execute(statement.encode(), values or None)
        except psycopg.OperationalError:
            self._admin = None
            cursor = self.admin.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def _let_go_of_database(self) -> None:
        from django.db import connections

        if self._admin is not None:
            self._admin.close()
            self._admin = None
        connections.close_all()

    def keep(self) -> None:
        """Remember the database as it stands: every round begins there."""
        tables = self._tables()
        self.ask(f"DROP SCHEMA IF EXISTS {_KEPT} CASCADE; CREATE SCHEMA {_KEPT}")
        back = []
        for table in tables:
            self.ask(f'CREATE TABLE {_KEPT}."{table}" AS TABLE public."{table}"')
            rows = self.ask(f'SELECT count(*) FROM public."{table}"')[0][0]
            back.append(f'DELETE FROM public."{table}"')
            if rows:
                names = self._columns(table)
                back.append(
                    f'INSERT INTO public."{table}" ({names}) SELECT {names} FROM {_KEPT}."{table}"'
                )
        body = ";\n".join(back)
        self.ask(
            f"CREATE FUNCTION {_KEPT}.put_back() RETURNS void LANGUAGE plpgsql"
            f" SET session_replication_role = replica AS $$ BEGIN {body}; END $$"
        )
        pages = [path for path in self.data.lookup.rglob("*") if path.is_file()]
        self._pages = {path: path.read_bytes() for path in pages}

    def _columns(self, table: str) -> str:
        """Return the columns that can be written: not those that the database derives."""
        found = self.ask(
            "SELECT quote_ident(column_name) FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'",
            table,
        )
        return ", ".join(name for (name,) in found)

    def _tables(self) -> list[str]:
        found = self.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return sorted(name for (name,) in found if name not in _LEFT_ALONE)

    def put_back(self) -> None:
        """Begin a round: the order is in mid-air again, and nothing was ever stopped."""
        self.end_kids()
        self._let_go_of_database()
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self.ask(f"SELECT {_KEPT}.put_back()")
        for folder in (self.data, self.far):
            for place in (folder.fences, folder.senders):
                for path in place.iterdir():
                    path.unlink()
        self.data.stop_register.unlink(missing_ok=True)
        for path, content in self._pages.items():
            path.write_bytes(content)
        self.returned.empty()
        self.tell(timedelta(0))
        from countermand.project import register

        register.refresh(self.settings, now=self.told)
        self.double.ask(do="behave")
        self.record_from = self.double.record_file.stat().st_size if self._has_record() else 0

    def vacuum(self) -> None:
        """Throw away what earlier rounds left behind in the tables."""
        self.ask("VACUUM")

    # -- time and mail -------------------------------------------------------------------------

    def tell(self, after: timedelta) -> None:
        """Set the told clock to so much after the instant at which rounds begin."""
        self._tell_at(self.told + after)

    def hurry(self, by: timedelta) -> None:
        """Let the told clock jump."""
        self._tell_at(clock.for_data(self.data).now() + by)

    def _tell_at(self, told_at: datetime) -> None:
        for folder in (self.data, self.far):
            clock.tell(folder.clock_file, told_at=told_at, rate=1.0)

    def record(self) -> list[dict[str, Any]]:
        """Return what the mail server accepted in this round, oldest first."""
        if not self._has_record():
            return []
        with self.double.record_file.open("rb") as file:
            file.seek(self.record_from)
            lines = file.read().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def _has_record(self) -> bool:
        return self.double.record_file.exists()

    # -- the power -----------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Take the machine's power away and give it back: what was not synced is gone."""
        if self.disk is None:
            raise Stuck("this stage has no disk whose power can be lost")
        self._let_go_of_database()
        self.disk.cut()
        self.end_kids()
        for pid in [self.server.pid, *processes_in(self.cluster)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.stop()
        self.disk.come_back()
        self.server.start()

    def close(self) -> None:
        """End everything and leave nothing behind."""
        self.end_kids()
        with contextlib.suppress(Exception):
            self._let_go_of_database()
        self.double.__exit__()
        self.server.stop()
        if self.disk is not None:
            self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def build(*, with_power: bool) -> Stage:
    """Make a stage; `with_power` puts it on a disk of its own whose power can be lost."""
    folder = Path(tempfile.mkdtemp(prefix="cm-camp-", dir=None if with_power else _quick()))
    folder.chmod(0o711)
    disk = PowerDisk.make(folder) if with_power else None
    data = DataFolder((disk.mount if disk else folder) / "data")
    from countermand.project import installation

    installation.make(data, installation.Kind.DEMONSTRATION)
    home = postgres_home.choose(data)
    passwords = Passwords("admin", "main", "sender", "gate")
    server = EmbeddedPostgres(home, passwords, durable=with_power)
    server.start()
    double = MailServerProcess(folder)
    double.__enter__()
    returned = Returned(folder / "returned")
    far = _far_from(data, folder / "far")
    with socket.create_server(("127.0.0.1", 0)) as free:
        far_url = f"http://127.0.0.1:{free.getsockname()[1]}"
    _set_environment(data, server, double, far_url)
    os.environ["DJANGO_SETTINGS_MODULE"] = "countermand.project.settings"
    django.setup()
    stage = Stage(
        folder=folder,
        disk=disk,
        cluster=home.cluster,
        server=server,
        double=double,
        returned=returned,
        settings=Settings(
            data=data.path,
            database_url=server.url(),
            relay=f"127.0.0.1:{double.port}",
            returned_mail=returned.place,
            sender_hosts=(far_url,),
            gate_token=data.secret("gate-token"),
        ),
        far=far,
        told=_beginning(),
    )
    try:
        _prepare_order(stage)
    except BaseException:
        stage.close()
        raise
    for name in _LOADED_BEFOREHAND:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return stage


def _quick() -> str | None:
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    return str(memory) if os.access(memory, os.W_OK | os.X_OK) else None


def _beginning() -> datetime:
    from tests.order_world import NOW

    return NOW


def _far_from(data: DataFolder, path: Path) -> DataFolder:
    """Give another machine what ties it to this installation."""
    far = DataFolder(path)
    for each in far.folders:
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(data.instance, far.instance)
    shutil.copy(data.keys / "gate-token", far.keys / "gate-token")
    return far


def _set_environment(
    data: DataFolder, server: EmbeddedPostgres, double: MailServerProcess, far_url: str
) -> None:
    os.environ |= {
        "COUNTERMAND_SENDER_HOSTS": far_url,
        "COUNTERMAND_DATA": str(data.path),
        "DATABASE_URL": server.url(),
        "COUNTERMAND_SENDER_DATABASE_URL": server.url(role=SENDER),
        "COUNTERMAND_RELAY": f"127.0.0.1:{double.port}",
        "COUNTERMAND_CONNECTIONS": str(CONNECTIONS),
        "COUNTERMAND_TOKEN": "token-of-operator",
        "LC_ALL": "C.UTF-8",
    }


def _prepare_order(stage: Stage) -> None:
    """Bring an order to the instant at which all its notices are due and none has left."""
    from django.core.management import call_command

    from tests.order_world import DAY, MINUTE, World

    call_command("migrate", verbosity=0)
    world = World(stage.settings)
    world.staff(STAFF)
    world.person(COLLEAGUE.partition("@")[0], groups=["visitors"])
    number = world.sent_to_first_group()
    for _ in range(6):
        world.sweep(31 * MINUTE)
    world.ledger.close()
    stage.ask("SET session_replication_role = replica")
    stage.ask(
        "UPDATE notices_notice SET state = 'pending', exposure = 0, exposure_before = 0,"
        " attempts = 0, claimed_by = '', queue_id = '', last_reply = '', accepted_at = NULL,"
        " bounced_at = NULL, proven_at = NULL, epoch = 0, due_at = %s",
        world.now - DAY,
    )
    stage.ask("DELETE FROM notices_permitbatch; DELETE FROM notices_senderlease")
    stage.ask("DELETE FROM notices_openbatch; DELETE FROM notices_claimbatch")
    stage.ask("UPDATE orders_order SET number = number WHERE number = %s", number)
    stage.ask("SET session_replication_role = origin")
    stage.told = world.now
    stage.keep()
    stage.put_back()


def number_of(stage: Stage) -> str:
    """Return the number of the one order on this stage."""
    return str(stage.ask("SELECT number FROM orders_order")[0][0])
