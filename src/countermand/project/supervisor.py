"""Keeping the children of `up` alive: whoever dies is started again, at once and then ever slower.

What keeps a start off (a full disk, no process to be had) ends nobody: it is tried again.

One thread, one loop: the thread that starts a child must live as long as the child (children.py),
and a loop that only looks and starts cannot deadlock.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from countermand.i18n import gettext as _
from countermand.i18n import reason
from countermand.project.children import spawn

POLL_S: Final = 0.05
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_GOOD_LIFE_S: Final = 5.0  # who lived this long starts again without delay
_SAID_DEATHS: Final = 5
_LONGEST_LOG_BYTES: Final = 10_000_000


@dataclass(slots=True)
class Child:
    """One program that `up` keeps alive."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    pass_fds: Sequence[int] = ()
    on_parent_death: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    deaths_in_a_row: int = 0
    started_at: float = 0.0  # monotonic seconds
    next_start_at: float = 0.0
    pause_s: float = field(default=_FIRST_PAUSE_S)

    @property
    def pid(self) -> int:
        """The process id, 0 while it does not run."""
        return self.process.pid if self.process else 0

    def start(self) -> None:
        """Start it; what it prints goes to its log. Raises OSError or SubprocessError."""
        self.started_at = time.monotonic()
        _rotate(self.log)
        with self.log.open("ab") as output:
            self.process = spawn(
                self.command,
                on_parent_death=self.on_parent_death,
                environment=self.environment,
                output=output,
                pass_fds=self.pass_fds,
            )

    def is_running(self) -> bool:
        """Tell whether it lives."""
        return self.process is not None and self.process.poll() is None

    def bury(self) -> None:
        """Take note of its death, and set when it starts again."""
        now = time.monotonic()
        if now - self.started_at >= _GOOD_LIFE_S:
            self.pause_s = _FIRST_PAUSE_S
            self.deaths_in_a_row = 0
        self.deaths_in_a_row += 1
        self.process = None
        self.next_start_at = now + self.pause_s
        self.pause_s = min(2 * self.pause_s, _LONGEST_PAUSE_S)

    def ask_to_end(self) -> None:
        """Ask it to end in order."""
        if self.is_running() and self.process is not None:
            self.process.terminate()

    def await_end(self, patience_s: float) -> None:
        """Wait for its end; by force when it takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Supervisor:
    """The children in the order in which they start; they end in the opposite order."""

    def __init__(self, *, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        """`say` is told what a person wants to know; `changed` after every change of pids."""
        self._say = say
        self._changed = changed
        self.children: list[Child] = []

    def add(self, child: Child) -> None:
        """Start one more child."""
        self.children.append(child)
        self._start(child)
        self._changed()

    def has(self, name: str) -> bool:
        """Tell whether there is a child of this name."""
        return any(child.name == name for child in self.children)

    def tend(self) -> None:
        """Look at every child once: bury the dead, start those whose time has come."""
        changed = False
        for child in self.children:
            if child.is_running():
                continue
            if child.process is not None:
                self._tell_of_death(child, child.process.returncode)
                child.bury()
            if time.monotonic() >= child.next_start_at:
                changed |= self._start(child)
        if changed:
            self._changed()

    def _start(self, child: Child) -> bool:
        """Start one, or have it tried again after a pause; tell whether it runs."""
        try:
            child.start()
        except (OSError, subprocess.SubprocessError) as error:
            if child.deaths_in_a_row < _SAID_DEATHS:
                sentence = _("{name} cannot be started ({why}); it is tried again.")
                self._say(sentence.format(name=child.name, why=reason(error)))
            child.bury()
            return False
        return True

    def _tell_of_death(self, child: Child, status: int) -> None:
        if child.deaths_in_a_row >= _SAID_DEATHS:
            return  # the reason is in its log, and a terminal is no place for a flood
        sentence = _("{name} ended ({status}); it starts again.")
        self._say(sentence.format(name=child.name, status=_told(status)))

    def end(self, patience_s: float = 10.0) -> None:
        """End all children: all are asked at once, last started first, then waited for."""
        for child in reversed(self.children):
            child.ask_to_end()
        for child in reversed(self.children):
            child.await_end(patience_s)
        self.children.clear()


def as_heard(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say` that goes on where nobody reads what it says, or the disk is full."""

    def said(sentence: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            say(sentence)

    return said


def _told(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else str(status)


def _rotate(log: Path) -> None:
    """Keep one older log; a log never grows without end over restarts."""
    if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
