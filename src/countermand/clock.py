"""The clock is a port: every process asks it for `now`, and a demonstration may run faster.

A demonstration's clock file says {"told_at": ISO instant, "real_at": epoch seconds, "rate": x};
the time told is told_at + (real time - real_at) * rate. An installation that is no demonstration
never looks at such a file, so nobody can hurry a real order along. Standard library only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from countermand.data_folder import DataFolder, FileDamaged, read_json, write_json
from countermand.domain.errors import gettext_noop

MAX_RATE: Final = 1_000_000.0


class Clock(Protocol):
    """Tells the time (the same shape as `ports.Clock`, which the lean parts need not import)."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What a clock file says: at `real_at` (epoch seconds) it was `told_at`; `rate` per second."""

    told_at: datetime
    real_at: float
    rate: float

    def at(self, real: float) -> datetime:
        """Return the time told at the real instant `real` (epoch seconds)."""
        return self.told_at + timedelta(seconds=(real - self.real_at) * self.rate)


class ToldClock:
    """A clock that runs as its file says; the file is read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        """Read the file at once, so that a damaged one is found on start."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._told: Told | None = None
        self.now()

    def now(self) -> datetime:
        """Return the time told, aware, in UTC. Raises FileDamaged."""
        status = self._path.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._told is None or seen != self._seen:
            self._told = read_told(self._path)
            self._seen = seen
        return self._told.at(time.time())


def read_told(path: Path) -> Told:
    """Read a clock file. Raises FileDamaged."""
    value = read_json(path)
    try:
        told_at = datetime.fromisoformat(value["told_at"])
        told = Told(told_at=told_at, real_at=float(value["real_at"]), rate=float(value["rate"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FileDamaged(path=str(path), why=f"{type(error).__name__}: {error}") from error
    if told_at.tzinfo is None or not 0 <= told.rate <= MAX_RATE:
        raise FileDamaged(
            path=str(path), why=gettext_noop("it needs a zone, and a rate of 0 to 1,000,000")
        )
    return Told(told_at=told_at.astimezone(UTC), real_at=told.real_at, rate=told.rate)


def tell(path: Path, *, told_at: datetime, rate: float) -> None:
    """Write a clock file: from now on it is `told_at`, and runs `rate` times as fast as real."""
    write_json(path, {"told_at": told_at.isoformat(), "real_at": time.time(), "rate": rate})


def for_data(folder: DataFolder) -> Clock:
    """Return the clock of one data folder: told only in a demonstration that has a clock file."""
    if folder.clock_file.is_file() and folder.is_demonstration:
        return ToldClock(folder.clock_file)
    return SystemClock()
