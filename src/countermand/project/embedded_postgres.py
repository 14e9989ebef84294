"""The embedded PostgreSQL: the wheel's programs under our own small supervisor.

Whoever calls holds the lock of the data folder. Nobody gets in without a password (scram), and
nobody at all by network. A process id in a file is never believed: whether an older server still
lives is read from what processes really run in the cluster's folder.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.gate import rights
from countermand.i18n import gettext as _
from countermand.project.children import spawn
from countermand.project.postgres_home import MAJOR, PostgresHome, socket_folder

ADMIN: Final = "countermand_admin"
MAIN: Final = "countermand"
SENDER: Final = "countermand_sender"
GATE: Final = rights.ROLE
DATABASE: Final = "countermand"

_SMALL_SHARED_MEMORY_BYTES: Final = 256 * 1024 * 1024
_ORPHAN_PATIENCE_S: Final = 20.0
_STOP_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.02
_SAY_EVERY_S: Final = 2.0


@dataclass(eq=False)
class ClusterOfAnotherVersion(CountermandError):
    """The cluster was made by another major version of PostgreSQL."""

    found: str
    needed: int

    code: ClassVar[str] = "postgres.other_version"
    sentence: ClassVar[str] = gettext_noop(
        "The database was made by PostgreSQL {found}; this is PostgreSQL {needed}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Dump it with the version that made it, and load the dump into a new data folder."
    )


@dataclass(eq=False)
class PostgresDidNotStart(CountermandError):
    """The server ended before it answered."""

    log: str
    said: str

    code: ClassVar[str] = "postgres.did_not_start"
    sentence: ClassVar[str] = gettext_noop("PostgreSQL did not start. It said: {said}")
    remedy: ClassVar[str] = gettext_noop("The whole story is in {log}.")


@dataclass(eq=False)
class PostgresStillRunning(CountermandError):
    """An older server in the same cluster does not end."""

    pids: str

    code: ClassVar[str] = "postgres.still_running"
    sentence: ClassVar[str] = gettext_noop(
        "An older PostgreSQL of this data folder does not end: process {pids}."
    )
    remedy: ClassVar[str] = gettext_noop("End it by hand, and start again.")


@dataclass(eq=False)
class PasswordsDoNotMatch(CountermandError):
    """The cluster knows another password than the key file."""

    role: str

    code: ClassVar[str] = "postgres.password"
    sentence: ClassVar[str] = gettext_noop(
        "The database does not take the password of {role} in the folder keys."
    )
    remedy: ClassVar[str] = gettext_noop("Restore keys and database from the same backup.")


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of the four roles, made by `init`."""

    admin: str
    main: str
    sender: str
    gate: str


def _silent(_sentence: str) -> None:
    return None


def _nothing() -> None:
    return None


class EmbeddedPostgres:
    """One server on one cluster, a direct child of this process. Start it from the main thread."""

    def __init__(
        self,
        home: PostgresHome,
        passwords: Passwords,
        *,
        durable: bool = True,
        say: Callable[[str], None] = _silent,
        meanwhile: Callable[[], None] = _nothing,
    ) -> None:
        """Prepare; `durable` is False in tests only, `say` is told what takes long.

        `meanwhile` is called again and again while something is waited for.
        """
        self._home = home
        self._passwords = passwords
        self._durable = durable
        self._say = say
        self._meanwhile = meanwhile
        self._socket = socket_folder(home)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def owner(self) -> int:
        """The user id that the server runs as."""
        return self._home.owner

    @property
    def pid(self) -> int:
        """The server's process id, 0 when it does not run."""
        return self._server.pid if self._server else 0

    def url(self, *, role: str = MAIN, database: str = DATABASE) -> str:
        """Return the address of a database for one role."""
        word = {
            ADMIN: self._passwords.admin,
            MAIN: self._passwords.main,
            SENDER: self._passwords.sender,
            GATE: self._passwords.gate,
        }[role]
        host = quote(str(self._socket), safe="")
        return f"postgresql://{role}:{quote(word, safe='')}@/{database}?host={host}"

    def start(self) -> None:
        """Make the cluster if there is none, start the server, and wait until it answers.

        Waits as long as a recovery goes on. Raises a subclass of CountermandError.
        """
        self._socket = socket_folder(self._home)
        self._end_orphans()
        if not self._home.cluster.exists():
            self._make_cluster()
        found = (self._home.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(MAJOR):
            raise ClusterOfAnotherVersion(found=found, needed=MAJOR)
        (self._home.cluster / "postmaster.pid").unlink(missing_ok=True)
        self._run_server()
        self._await_answer()
        self._make_roles()

    def is_running(self) -> bool:
        """Tell whether the server's process still lives."""
        return self._server is not None and self._server.poll() is None

    def stop(self) -> None:
        """End the server in order: sessions are cut off, everything is written."""
        if self._server is None:
            return
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(_STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait()
        self._server = None
        if self._socket.parent != self._home.base:
            with contextlib.suppress(OSError):  # somebody cleaned up before us
                self._socket.rmdir()

    def _end_orphans(self) -> None:
        """Wait for an older server of this cluster to end; help it after a while."""
        started = time.monotonic()
        while pids := list(processes_in(self._home.cluster)):
            waited_s = time.monotonic() - started
            if waited_s > 2 * _ORPHAN_PATIENCE_S:
                raise PostgresStillRunning(pids=", ".join(map(str, pids)))
            if waited_s > _ORPHAN_PATIENCE_S:
                for pid in pids:
                    _quit_server(pid, self._home.cluster)
            self._meanwhile()
            time.sleep(_POLL_S)

    def _make_cluster(self) -> None:
        """Run initdb into a draft, so that a half-made cluster is never believed."""
        self._say(_("Making the database ..."))
        draft = self._home.base / "cluster.draft"
        shutil.rmtree(draft, ignore_errors=True)
        self._home.give(draft)
        word_file = self._home.base / "admin-password"
        descriptor = os.open(
            word_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self._passwords.admin)
            if self._home.run_as:
                os.fchown(file.fileno(), *self._home.run_as)
        log = self._home.log / "initdb.log"
        with log.open("wb") as output:
            status = spawn(
                [
                    self._home.programs / "initdb",
                    "--pgdata",
                    draft,
                    "--username",
                    ADMIN,
                    "--pwfile",
                    word_file,
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    *(() if self._durable else ("--no-sync",)),
                ],
                on_parent_death=signal.SIGKILL,
                environment=_environment(),
                output=output,
                run_as=self._home.run_as,
                folder=self._home.base,
            ).wait()
        word_file.unlink()
        if status != 0:
            raise PostgresDidNotStart(log=str(log), said=_last_words(log))
        # Local sockets with a password, and nothing else: no line for any network.
        (draft / "pg_hba.conf").write_text("local all all scram-sha-256\n", encoding="ascii")
        draft.replace(self._home.cluster)

    def _run_server(self) -> None:
        with (self._home.log / "start.log").open("wb") as output:
            self._server = spawn(
                [self._home.programs / "postgres", "-D", self._home.cluster, *self._options()],
                # An orphan shuts down in order by itself.
                on_parent_death=signal.SIGINT,
                environment=_environment(),
                output=output,
                run_as=self._home.run_as,
                folder=self._home.base,
            )

    def _options(self) -> Iterator[str]:
        sockets = str(self._socket).replace('"', '""')
        options = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{sockets}"',
            "unix_socket_permissions": "0700",
            "dynamic_shared_memory_type": _shared_memory(),
            "logging_collector": "on",
            "log_directory": str(self._home.log),
            "log_filename": "postgres-%a.log",
            "log_truncate_on_rotation": "on",
            "log_rotation_age": "1d",
            "log_rotation_size": "0",
            "log_timezone": "UTC",
            "timezone": "UTC",
            "max_connections": "200",
            # Many rounds make a weak password dear to guess; these are 48 random bytes, and every
            # verb would wait for the rounds.
            "scram_iterations": "1",
            # Tables of an order grow from nothing to all its people within seconds.
            "autovacuum_naptime": "10s",
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        for name, value in options.items():
            yield "-c"
            yield f"{name}={value}"

    def _await_answer(self) -> None:
        assert self._server is not None  # noqa: S101  (set one line before every call)
        started = said_at = time.monotonic()
        while True:
            if self._server.poll() is not None:
                self._server = None
                raise PostgresDidNotStart(log=str(self._home.log), said=self._words_of_the_day())
            try:
                psycopg.connect(self.url(role=ADMIN, database="postgres")).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise PasswordsDoNotMatch(role=ADMIN) from error
                # Else not yet: no socket, or "the database system is starting up".
            else:
                return
            if time.monotonic() - said_at > _SAY_EVERY_S:
                said_at = time.monotonic()
                sentence = _("PostgreSQL is recovering: {seconds} s so far ...")
                self._say(sentence.format(seconds=round(said_at - started)))
            self._meanwhile()
            time.sleep(_POLL_S)

    def _make_roles(self) -> None:
        """Make roles and database where missing; the passwords are those of the key files."""
        admin = self.url(role=ADMIN, database="postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            words = {
                MAIN: self._passwords.main,
                SENDER: self._passwords.sender,
                GATE: self._passwords.gate,
            }
            for role, word in words.items():
                verb = "ALTER" if role in known else "CREATE"
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                        sql.SQL(verb), sql.Identifier(role), sql.Literal(word)
                    )
                )
            # The stop path ends the sessions of frozen senders.
            connection.execute(
                sql.SQL("GRANT pg_signal_backend TO {}").format(sql.Identifier(MAIN))
            )
            row = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if row is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(MAIN)
                    )
                )

    def _words_of_the_day(self) -> str:
        logs = sorted(self._home.log.glob("*.log"), key=lambda path: path.stat().st_mtime)
        return _last_words(logs[-1]) if logs else "?"


def _environment() -> dict[str, str]:
    """Return the surroundings of PostgreSQL's programs: UTF-8 whatever the shell has."""
    return {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC"}


def _shared_memory() -> str:
    """Small or missing /dev/shm (containers): parallel queries use files instead."""
    try:
        total = shutil.disk_usage("/dev/shm").total  # noqa: S108  (looked at, not written)
    except OSError:
        return "mmap"
    return "mmap" if total < _SMALL_SHARED_MEMORY_BYTES else "posix"


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(lines[-3:]) or "nothing"


def processes_in(cluster: Path) -> Iterator[int]:
    """Yield the processes that really run in this cluster (every one of PostgreSQL's does)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _runs_in(int(entry.name), cluster):
            yield int(entry.name)


def _runs_in(pid: int, cluster: Path) -> bool:
    try:
        where = Path(f"/proc/{pid}/cwd").readlink()
        program = Path(f"/proc/{pid}/exe").readlink()
    except OSError:  # gone, or somebody else's
        return False
    return where == cluster.resolve() and "postgres" in program.name


def _quit_server(pid: int, cluster: Path) -> None:
    """End one process at once; looked at again through a handle that no other process can get."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _runs_in(pid, cluster) and not select.select([handle], [], [], 0)[0]:
            signal.pidfd_send_signal(handle, signal.SIGQUIT)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
