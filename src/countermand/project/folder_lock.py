"""One `up` per data folder: the kernel's lock decides, never a process id in a file."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self

from countermand.data_folder import PRIVATE_FILE
from countermand.domain.errors import CountermandError, gettext_noop


@dataclass(eq=False)
class AlreadyRunning(CountermandError):
    """Somebody else holds the lock of this data folder."""

    data: str
    pid: int
    host: str
    since: str

    code: ClassVar[str] = "up.already_running"
    sentence: ClassVar[str] = gettext_noop(
        "Countermand is already running on {data}: process {pid} on {host}, since {since}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Use the one that runs, end it first, or give another folder with --data."
    )


class FolderLock:
    """An exclusive lock, held until `release` or the end of this process, however it ends."""

    def __init__(self, descriptor: int) -> None:
        """Keep the descriptor that carries the lock."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, now: datetime) -> Self:
        """Take the lock at once, or raise AlreadyRunning with what its holder wrote."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(
                data=str(path.parent),
                pid=int(str(holder.get("pid", 0))),
                host=str(holder.get("host", "?")),
                since=str(holder.get("since", "?")),
            ) from None
        told = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now.isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> dict[str, object]:
    """Return what the holder wrote; it may be in the middle of writing it."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def is_held(path: Path) -> bool:
    """Tell whether a living process holds this lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
