"""The further processes of one gate: they answer on the same port, and do nothing else.

Each is started by the first process, says once a second what it counted, and ends when the first
one is gone. One that ends by itself is started again; so is one that says nothing any more, for the
kernel goes on dealing connections to it, and whoever asks there waits in vain.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from countermand.gate import log_lines
from countermand.gate.bell import Bell
from countermand.gate.counts import Counts
from countermand.gate.unknown_clients import UnknownClients

_LONGEST_END_S: Final = 3.0
_PIECE: Final = 1 << 16
# Looks, one a second; one that has just been started takes its time on a busy machine.
_MOST_SILENT: Final = 10
_MOST_SILENT_AT_FIRST: Final = 60


@dataclass(slots=True)
class Crew:
    """All further processes."""

    data: Path
    bell: Bell
    counts: Counts
    unknown: UnknownClients
    workers: list[Worker] = field(default_factory=list)

    def start(self, number: int, port: int) -> None:
        """Start so many on this port."""
        self.workers += [Worker(self, port) for _ in range(number)]
        for each in self.workers:
            self._start(each)

    def _start(self, worker: Worker) -> None:
        """Start one; where the system has no room for it just now, it is tried again."""
        try:
            worker.start()
        except OSError as error:
            log_lines.error("worker.not_started", why=str(error))

    def look_after(self) -> None:
        """Start again whoever has ended, and end whoever is silent; once a second."""
        for each in self.workers:
            if each.process is not None and each.is_silent():
                log_lines.error("worker.silent", consequence="it is ended and started again")
                each.process.kill()
            if each.process is not None and each.process.poll() is not None:
                log_lines.warning("worker.ended", status=each.process.returncode)
                each.forget()
            if each.process is None:
                self._start(each)

    def end(self) -> None:
        """End all of them, and wait for a moment."""
        processes = [each.process for each in self.workers if each.process is not None]
        for each in self.workers:
            each.forget()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LONGEST_END_S)
            if process.poll() is None:
                process.kill()
                process.wait()

    def situation(self) -> list[dict[str, int]]:
        """Return who they are, and how many connections each has."""
        return [
            {"pid": each.process.pid, "connections": each.connections}
            for each in self.workers
            if each.process is not None
        ]


class Worker:
    """One further process, seen from the first."""

    def __init__(self, crew: Crew, port: int) -> None:
        """Prepare; nothing runs yet."""
        self._crew = crew
        self._port = port
        self._unread = b""
        self._silent = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.connections = 0

    def start(self) -> None:
        """Start it; it ends when our end of its input closes."""
        bell = self._crew.bell.file
        command = [sys.executable, "-m", "countermand.gate", "--data", str(self._crew.data)]
        command += ["--port", str(self._port), "--worker", str(bell)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(bell,)
        )
        self.process = process
        self._silent = _MOST_SILENT - _MOST_SILENT_AT_FIRST
        assert process.stdout is not None  # noqa: S101 - it is a pipe, see above
        os.set_blocking(process.stdout.fileno(), False)
        asyncio.get_running_loop().add_reader(process.stdout.fileno(), self._hear)

    def is_silent(self) -> bool:
        """Tell whether nothing was heard of it during the last few calls.

        Counted in calls: where it was we who stood still, what it said is there to be heard.
        """
        self._silent += 1
        return self._silent > _MOST_SILENT

    def forget(self) -> None:
        """Let go of it."""
        process, self.process = self.process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        asyncio.get_running_loop().remove_reader(process.stdout.fileno())
        process.stdin.close()
        process.stdout.close()
        self.connections, self._unread = 0, b""

    def _hear(self) -> None:
        """Add what it counted; it says so in lines."""
        if self.process is None or self.process.stdout is None:
            return
        try:
            piece = os.read(self.process.stdout.fileno(), _PIECE)
        except BlockingIOError:
            return
        if not piece:  # it has ended; `look_after` sees to that
            asyncio.get_running_loop().remove_reader(self.process.stdout.fileno())
            return
        self._silent = 0
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            self.connections = add_report(self._crew.counts, self._crew.unknown, line)


def report(counts: Counts, unknown: UnknownClients, connections: int) -> bytes:
    """Return the line by which a worker says what it counted and saw since its last line."""
    said = {
        "connections": connections,
        "counted": counts.take_changes(),
        "unknown": unknown.take_changes(),
    }
    return json.dumps(said).encode() + b"\n"


def add_report(counts: Counts, unknown: UnknownClients, line: bytes) -> int:
    """Add what a worker's line says, and return how many connections it has."""
    said: dict[str, Any] = json.loads(line)
    counts.add_changes(said["counted"])
    unknown.add_changes(said["unknown"])
    return int(said["connections"])


async def ended_by_parent(stop: Callable[[], None]) -> None:
    """Call `stop` once the first process is gone or wants an end: our input then ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    await reader.read()
    stop()
