"""Senders of this host: each holds one lock for life, so a free lock proves a death.

A sender takes `flock` on `senders/<name>.lock` *before* it reads any fence. A stop writes the
fence first and kills afterwards: whoever takes the lock later has read the fence.

A host may hold several such folders, and two hosts may bear one name (containers do). So a folder
of locks is a *place* with a name of its own: here is where these locks prove something.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.stop.durable import write_durably

_PLACE: Final = "place"
_PLACE_BYTES: Final = 8
_DEATH_WAIT_S: Final = 2.0  # SIGKILL frees the lock within 2 ms here; a stuck disk may take longer
_LOOK_EVERY_S: Final = 0.0005


@dataclass(eq=False)
class SenderRunsAlready(CountermandError):
    """Another living process holds this name."""

    name: str

    code: ClassVar[str] = "sender.runs_already"
    sentence: ClassVar[str] = gettext_noop("A sender named {name} is running already.")
    remedy: ClassVar[str] = gettext_noop("Give this one another name, or stop the other one.")


class Death(StrEnum):
    """How a sender was found to be dead, or not."""

    WAS_DEAD = "was_dead"
    KILLED = "killed"
    NOT_PROVEN = "not_proven"


@dataclass(frozen=True, slots=True)
class SenderProof:
    """What a stop found out about one sender; `took_ms` counts from the start of the killing."""

    name: str
    death: Death
    took_ms: float
    why: str = ""


def place(folder: Path) -> str:
    """Return the name of this folder of locks, made by whoever asks first: `host/1f2e3d4c5b6a7988`.

    A copy of the folder on another host is another place. Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / _PLACE
    if not file.exists():
        mine = folder / f".{_PLACE}.{os.urandom(4).hex()}"
        write_durably(mine, os.urandom(_PLACE_BYTES).hex().encode())
        try:
            os.link(mine, file)  # whoever was first has named it
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return f"{os.uname().nodename}/{file.read_text(encoding='ascii')}"


def hold_lock(folder: Path, name: str, *, since: str) -> int:
    """Take the lock of sender `name` for as long as this process lives; return its descriptor.

    Raises SenderRunsAlready.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise SenderRunsAlready(name=name) from None
    pid = os.getpid()
    content = {"pid": pid, "started": _started(pid), "host": os.uname().nodename, "since": since}
    os.pwrite(file, json.dumps(content).encode().ljust(512), 0)
    return file


def kill_all(folder: Path, *, wait_s: float = _DEATH_WAIT_S) -> tuple[SenderProof, ...]:
    """Kill every sender of this host and prove each one dead, stopped processes included."""
    begun = time.monotonic()
    hunts = [_Hunt(path) for path in sorted(folder.glob("*.lock"))]
    try:
        while True:
            open_hunts = [hunt for hunt in hunts if not hunt.is_over()]
            if not open_hunts or time.monotonic() - begun > wait_s:
                break
            time.sleep(_LOOK_EVERY_S)
        return tuple(hunt.proof(begun) for hunt in hunts)
    finally:
        for hunt in hunts:
            hunt.close()


class _Hunt:
    """The killing of one sender, step by step, so that many die at once."""

    def __init__(self, path: Path) -> None:
        self._name = path.stem
        self._killed = False
        self._ended_at: float | None = None
        self._why = ""
        self._file: int | None = None
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:  # one sender out of reach must not spare the others
            self._why = error.strerror or "?"

    def is_over(self) -> bool:
        """Make one step; True when the sender is proven dead."""
        if self._ended_at is not None:
            return True
        if self._file is None:
            return False
        if _is_free(self._file):
            self._ended_at = time.monotonic()
            return True
        self._strike(self._file)
        return False

    def _strike(self, file: int) -> None:
        holder = self._holder(file)
        if holder is None:
            return
        pid, started = holder
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._why = error.strerror or "?"
            return
        try:
            # A number is used again: only the process that wrote the lock file is struck.
            if _started(pid) == started:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                self._killed = True
        except OSError as error:
            self._why = error.strerror or "?"
        finally:
            os.close(pidfd)

    def _holder(self, file: int) -> tuple[int, str] | None:
        try:
            raw: Any = json.loads(os.pread(file, 4096, 0))
            if raw["host"] != os.uname().nodename:
                self._why = f"it runs on {raw['host']}"
                return None
            return int(raw["pid"]), str(raw["started"])
        except (ValueError, KeyError, TypeError):
            self._why = gettext_noop("its lock file is not written yet")
            return None

    def proof(self, begun: float) -> SenderProof:
        """Say what became of it."""
        if self._ended_at is None:
            took_ms = (time.monotonic() - begun) * 1000
            why = self._why or gettext_noop("it still runs")
            return SenderProof(self._name, Death.NOT_PROVEN, took_ms, why)
        death = Death.KILLED if self._killed else Death.WAS_DEAD
        return SenderProof(self._name, death, (self._ended_at - begun) * 1000)

    def close(self) -> None:
        """Let go of the lock file."""
        if self._file is not None:
            os.close(self._file)


def living(folder: Path) -> Iterator[str]:
    """Yield the names of senders whose lock is held."""
    for path in sorted(folder.glob("*.lock")):
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield path.stem
        finally:
            os.close(file)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Not kept: the next sender of this name reads the fence after it took the lock.
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _started(pid: int) -> str:
    """Return when the process began, in clock ticks since boot: with the pid, its identity."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
