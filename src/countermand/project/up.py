"""`countermand up`: everything on one machine, in the foreground, without root.

Order of a start: the lock of the data folder, what is stopped (read before anything could send),
gate and web, which need no tables; the database, its tables, what a stop left unfinished; then
the worker's first sweep, and senders. A stop that cannot be read keeps every sender off, and says
so. SIGTERM and SIGINT end all in order; a disk or a terminal that takes nothing ends nobody.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg

from countermand import clock, environment
from countermand.data_folder import DataFolder, read_json, write_json
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _
from countermand.i18n import reason
from countermand.project import installation, ports, postgres_home
from countermand.project.children import spawn
from countermand.project.embedded_postgres import GATE, SENDER, EmbeddedPostgres
from countermand.project.folder_lock import FolderLock, is_held
from countermand.project.own_services import text_at
from countermand.project.programs import Programs
from countermand.project.stops_read import StopsRead, in_words
from countermand.project.supervisor import POLL_S, Child, Supervisor, as_heard

_READY_PATIENCE_S: Final = 60.0
_LOOK_AT_STOPS_EVERY_S: Final = 2.0


@dataclass(eq=False)
class PreparationFailed(CountermandError):
    """The tables could not be brought up to date."""

    log: str

    code: ClassVar[str] = "up.preparation_failed"
    sentence: ClassVar[str] = gettext_noop("The database could not be prepared.")
    remedy: ClassVar[str] = gettext_noop("The whole story is in {log}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    data: Path
    port: int | None = None  # of the web; 0 takes any for all
    ready_file: Path | None = None
    senders: int | None = None
    exercises: bool = False


class _Ended(Exception):
    """Somebody asked for the end while something was waited for."""


class Up:
    """One run of `up`."""

    def __init__(self, wishes: Wishes, *, say: Callable[[str], None]) -> None:
        """Prepare; `say` is told whole sentences for a person."""
        self._wishes = wishes
        self._say = as_heard(say)
        self._owes_up_file = False
        self._folder = DataFolder(wishes.data)
        self._wants_end = False
        self._postgres: EmbeddedPostgres | None = None
        self._postgres_next_at = 0.0
        self._web: socket.socket | None = None
        self._addresses: dict[str, Any] = {}
        self._is_ready = False
        self._stops = StopsRead(self._folder.fences, say=self._say)
        self._look_at_stops_at = 0.0
        self._supervisor = Supervisor(say=self._say, changed=self._write_up_file)
        self._settings = environment.load(data=wishes.data)
        self._database_ready = self._folder.run / "database.ready"
        self._tables_ready = self._folder.run / "tables.ready"
        self._programs = Programs(self._folder, self._addresses, self._tables_ready)
        self._preparing: subprocess.Popen[bytes] | None = None
        self._preparing_log = self._folder.logs / "prepare.log"

    def run(self) -> None:
        """Start everything, keep it alive, end it on SIGTERM or SIGINT.

        Raises a subclass of CountermandError when it cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_for_end)
        if installation.make(self._folder):
            self._say(_("A new data folder: {data}").format(data=self._folder.path))
        now = clock.for_data(self._folder).now()
        lock = FolderLock.take(self._folder.lock, now=now)
        try:
            self._folder.up_file.unlink(missing_ok=True)
            self._settings = environment.load(data=self._wishes.data)
            self._settings.check_relay()
            self._start()
            self._keep()
        except _Ended:
            pass
        finally:
            self._end()
            lock.release()

    def _ask_for_end(self, *_: object) -> None:
        self._wants_end = True

    # Starting

    def _start(self) -> None:
        can_send = self._stops.let_senders_run()
        self._choose_addresses()
        self._choose_database()
        # Gate and look-up page need no database to answer.
        self._supervisor.add(self._programs.gate())
        assert self._web is not None  # noqa: S101  (chosen just now)
        self._supervisor.add(self._programs.web(self._web))
        for ready in (self._database_ready, self._tables_ready):
            ready.unlink(missing_ok=True)
        self._begin_preparing()
        self._supervisor.add(self._programs.worker())
        if self._postgres is not None:
            self._postgres.start()
            self._write_up_file()
        write_json(self._database_ready, {})
        self._await_tables()
        if can_send:
            self._start_senders()
        self._await_answers()
        self._is_ready = True
        self._write_up_file()
        if self._wishes.ready_file:
            write_json(self._wishes.ready_file, self._told())
        self._say_where()

    def _choose_database(self) -> None:
        settings = self._settings
        if owner := settings.database_url:
            self._addresses["database_url"] = owner
            self._addresses["sender_database_url"] = settings.sender_database_url or owner
            self._addresses["gate_database_url"] = settings.gate_database_url or owner
            return
        self._postgres = EmbeddedPostgres(
            postgres_home.choose(self._folder),
            installation.passwords(self._folder),
            say=self._say,
            meanwhile=self._meanwhile,
        )
        self._addresses["database_url"] = self._postgres.url()
        self._addresses["sender_database_url"] = self._postgres.url(role=SENDER)
        self._addresses["gate_database_url"] = self._postgres.url(role=GATE)

    def _choose_addresses(self) -> None:
        wished = self._wishes.port
        self._web = self._bind("web", self._settings.web, wished)
        # Both are held until both are chosen; the gate itself opens them a moment later.
        others = 0 if wished == 0 else None
        with (
            self._bind("gate", self._settings.gate, others),
            self._bind("gate_control", self._settings.gate_control, others),
        ):
            # Gates on other machines come from the settings.
            gates = (self._addresses["gate_control"], *self._settings.gates)
            self._addresses["gates"] = list(dict.fromkeys(gates))

    def _bind(self, name: str, address: str, wished: int | None) -> socket.socket:
        """Listen at an address, or near it, and note where that is."""
        host, port = ports.split(address)
        port = port if wished is None else wished
        listener = ports.listen(host, port)
        bound = int(listener.getsockname()[1])
        if port not in {0, bound}:
            self._say(
                _("Port {wished} is taken; {name} uses {port}.").format(
                    wished=port, name=name, port=bound
                )
            )
        shown = f"[{host}]" if ":" in host else host
        self._addresses[name] = f"http://{shown}:{bound}"
        return listener

    def _begin_preparing(self) -> None:
        """Start what makes the tables and finishes what a stop left unfinished.

        It gets ready while the database is made, and touches none before.
        """
        with self._preparing_log.open("wb") as output:
            self._preparing = spawn(
                [
                    *(sys.executable, "-m", "countermand.project.prepare"),
                    *("--after", str(self._database_ready)),
                ],
                on_parent_death=signal.SIGKILL,
                environment=self._programs.environment(),
                output=output,
            )

    def _await_tables(self) -> None:
        """Wait until the tables are up to date. Raises PreparationFailed."""
        assert self._preparing is not None  # noqa: S101  (begun before)
        while self._preparing.poll() is None:
            self._rest()
        if self._preparing.returncode != 0:
            raise PreparationFailed(log=str(self._preparing_log))
        write_json(self._tables_ready, {})

    def _start_senders(self) -> None:
        for number in range(1, (self._wishes.senders or self._settings.senders) + 1):
            self._supervisor.add(self._programs.sender(f"sender-{number}"))
        if self._wishes.exercises:
            self._supervisor.add(self._programs.sender("exercise-1", mode="exercise"))

    # Waiting

    def _await_answers(self) -> None:
        started = time.monotonic()
        while missing := self._not_answering():
            self._rest()
            if time.monotonic() - started > _READY_PATIENCE_S:
                self._say(
                    _("Not answering yet: {names}. Their logs are in {logs}.").format(
                        names=", ".join(missing), logs=self._folder.logs
                    )
                )
                started = time.monotonic()

    def _not_answering(self) -> list[str]:
        missing = [child.name for child in self._supervisor.children if not self._answers(child)]
        return sorted(missing)

    def _answers(self, child: Child) -> bool:
        if not child.is_running():
            return False
        match child.name:
            case "web":
                return _answers_http(f"{self._addresses['web']}/healthz")
            case "gate":
                return _is_of(self._folder.run / "gate.ready", child.pid)
            case "worker":
                return _is_of(self._folder.run / "worker.ready", child.pid)
            case _:
                return is_held(self._folder.senders / f"{child.name}.lock")

    def _keep(self) -> None:
        while not self._wants_end:
            self._rest()

    def _rest(self) -> None:
        """Look after everybody once, then wait a moment. Raises _Ended."""
        if self._wants_end:
            raise _Ended
        self._tend_postgres()
        self._supervisor.tend()
        if self._is_ready and time.monotonic() >= self._look_at_stops_at:
            self._look_at_stops_at = time.monotonic() + _LOOK_AT_STOPS_EVERY_S
            if self._owes_up_file:
                self._write_up_file()
            if not self._supervisor.has("sender-1") and self._stops.let_senders_run():
                self._start_senders()
        time.sleep(POLL_S)

    def _meanwhile(self) -> None:
        """While the database recovers, everybody else is looked after."""
        if self._wants_end:
            raise _Ended
        self._supervisor.tend()

    def _tend_postgres(self) -> None:
        if self._postgres is None or self._postgres.is_running():
            return
        if time.monotonic() < self._postgres_next_at:
            return
        self._say(_("PostgreSQL ended; it starts again."))
        self._postgres_next_at = time.monotonic() + 1.0
        try:
            self._postgres.start()
        except CountermandError as error:
            self._say(in_words(error))
        except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
            sentence = _("{name} cannot be started ({why}); it is tried again.")
            self._say(sentence.format(name="PostgreSQL", why=reason(error)))
        self._write_up_file()

    # Telling

    def _told(self) -> dict[str, Any]:
        pids = {child.name: child.pid for child in self._supervisor.children}
        if self._postgres is not None:
            pids["postgres"] = self._postgres.pid
        return {
            "pid": os.getpid(),
            "data": str(self._folder.path),
            "ready": self._is_ready,
            **self._addresses,
            "pids": pids,
        }

    def _say_where(self) -> None:
        """Say what is needed next: by staff, and by whoever runs the mail server."""
        folder, addresses = self._folder, self._addresses
        self._say(_("Ready: {web}").format(web=addresses["web"]))
        line = _("Mail gate: {gate}; its token is in {file}.")
        self._say(line.format(gate=addresses["gate"], file=folder.keys / "gate-token"))
        line = _("Mail leaves through {relay}. Ctrl-C ends everything.")
        self._say(line.format(relay=self._settings.relay))

    def _write_up_file(self) -> None:
        """Write down who runs where; where the disk takes nothing, it is tried again later."""
        try:
            write_json(self._folder.up_file, self._told())
        except OSError:
            self._owes_up_file = True
        else:
            self._owes_up_file = False

    def _end(self) -> None:
        self._wants_end = False  # a second wish must not break the end off
        self._say(_("Ending ..."))
        self._supervisor.end()
        if self._postgres is not None:
            self._postgres.stop()
        if self._web is not None:
            self._web.close()
        self._folder.up_file.unlink(missing_ok=True)


def _answers_http(url: str) -> bool:
    try:
        text_at(url, longest_s=2)
    except (OSError, HTTPException):
        return False
    return True


def _is_of(ready_file: Path, pid: int) -> bool:
    """Tell whether this very process has said that it is ready."""
    try:
        return read_json(ready_file).get("pid") == pid
    except CountermandError:
        return False  # it is being written just now
