"""`countermand sender`: senders on a machine of their own, and the port on which they are stopped.

Order of a start: the lock of the data folder, what is stopped, the stop port, then senders. A
sender that a stop has killed is started again, and reads the stop first. SIGTERM and SIGINT end all
in order.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from countermand import clock, environment
from countermand.data_folder import DataFolder, read_json, write_json
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _
from countermand.project.folder_lock import FolderLock, is_held
from countermand.project.programs import Programs
from countermand.project.stops_read import StopsRead
from countermand.project.supervisor import POLL_S, Supervisor, as_heard

_LONGEST_NAME: Final = 40
_NOT_OF_A_NAME: Final = re.compile(r"[^a-z0-9.-]+")


@dataclass(eq=False)
class NotOfAnInstallation(CountermandError):
    """A machine was not given what ties it to the one where orders are made."""

    missing: str

    code: ClassVar[str] = "sender.not_of_an_installation"
    sentence: ClassVar[str] = gettext_noop(
        "This machine cannot send for an installation yet: {missing} is missing."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Copy instance.json and keys/gate-token from the machine where orders are made, and give "
        "the senders' own address of the database as COUNTERMAND_SENDER_DATABASE_URL."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line; `name` begins the name of each sender."""

    data: Path
    name: str
    port: int | None = None
    senders: int | None = None
    exercises: bool = False
    ready_file: Path | None = None


class _Ended(Exception):
    """Somebody asked for the end while something was waited for."""


class SenderHost:
    """One run of it."""

    def __init__(self, wishes: Wishes, *, say: Callable[[str], None]) -> None:
        """Prepare; `say` is told whole sentences for a person."""
        self._wishes = wishes
        self._say = as_heard(say)
        self._folder = DataFolder(wishes.data)
        self._settings = environment.load(data=wishes.data)
        self._wants_end = False
        self._supervisor = Supervisor(say=self._say, changed=lambda: None)
        self._stops = StopsRead(self._folder.fences, say=self._say)
        self._ready = self._folder.run / "stop-port.ready"
        addresses = {"sender_database_url": self._settings.sender_database_url}
        self._programs = Programs(self._folder, addresses, self._folder.run / "tables.ready")
        kinds = ["live"] * (wishes.senders or self._settings.senders)
        self._names = {f"{wishes.name}-{n}": mode for n, mode in enumerate(kinds, 1)}
        if wishes.exercises:
            self._names[f"{wishes.name}-exercise"] = "exercise"

    def run(self) -> None:
        """Start everything, keep it alive, end it on SIGTERM or SIGINT.

        Raises a subclass of CountermandError when it cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_for_end)
        self._check()
        for each in (self._folder.run, self._folder.logs, self._folder.fences):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock.take(self._folder.lock, now=clock.for_data(self._folder).now())
        try:
            self._settings.check_relay()
            self._start()
            while True:
                self._rest()
        except _Ended:
            pass
        finally:
            self._wants_end = False  # a second wish must not break the end off
            self._say(_("Ending ..."))
            self._supervisor.end()
            lock.release()

    def _ask_for_end(self, *_: object) -> None:
        self._wants_end = True

    def _check(self) -> None:
        has = {
            str(self._folder.instance): self._folder.exists,
            str(self._folder.keys / "gate-token"): bool(self._settings.gate_token),
            "COUNTERMAND_SENDER_DATABASE_URL": bool(self._settings.sender_database_url),
        }
        missing = [what for what, is_there in has.items() if not is_there]
        if missing:
            raise NotOfAnInstallation(missing=", ".join(missing))

    def _start(self) -> None:
        self._ready.unlink(missing_ok=True)
        self._supervisor.add(self._programs.stop_port(self._wishes.port, self._ready))
        while not all(is_held(self._folder.senders / f"{name}.lock") for name in self._names):
            self._rest()
        if self._wishes.ready_file:
            write_json(self._wishes.ready_file, self._told())
        host = self._settings.sender_control.rpartition(":")[0]
        line = _("Sending through {relay}. Stops are heard at {host}:{port}; Ctrl-C ends all.")
        self._say(line.format(relay=self._settings.relay, host=host, port=self._port()))

    def _start_senders(self) -> None:
        """Start them once stops are heard and can be read."""
        if self._port() and self._stops.let_senders_run():
            for name, mode in self._names.items():
                self._supervisor.add(self._programs.sender(name, mode))

    def _port(self) -> int:
        try:
            return int(read_json(self._ready).get("port", 0))
        except CountermandError:
            return 0  # it is being written just now

    def _rest(self) -> None:
        """Look after everybody once, then wait a moment. Raises _Ended."""
        if self._wants_end:
            raise _Ended
        self._supervisor.tend()
        if not any(map(self._supervisor.has, self._names)):
            self._start_senders()
        time.sleep(POLL_S)

    def _told(self) -> dict[str, Any]:
        pids = {child.name: child.pid for child in self._supervisor.children}
        return {"pid": os.getpid(), "port": self._port(), "pids": pids}


def own_name(nodename: str) -> str:
    """Return what the names of this machine's senders begin with, unless somebody chose it."""
    return _NOT_OF_A_NAME.sub("-", nodename.lower()).strip("-.")[:_LONGEST_NAME] or "host"
