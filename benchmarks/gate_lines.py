"""Connections to a gate, one to each of its processes, and one who asks on all of them.

    python -m benchmarks.gate_lines SOCKET...    a watcher over sockets that it was given

A watcher is a process of its own, so that whoever presses shares nothing with it. For each number
of a phone on its input it asks until every process lets that phone in, and prints when that was.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import gate_servers
from benchmarks.gate_servers import Server
from benchmarks.gate_world import Phone

_REFUSED: Final = b"HTTP/1.1 403"
_PIECE: Final = 4096
_PAUSE_S: Final = 0.0002
_PATIENCE_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.01


class Line:
    """One connection that stays."""

    def __init__(self, connected: socket.socket) -> None:
        """Ask on this socket."""
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def to(cls, port: int) -> Line:
        """Connect."""
        return cls(socket.create_connection(("127.0.0.1", port)))

    def is_refused(self, question: bytes) -> bool:
        """Ask, and tell whether the answer refuses."""
        self.ask(question)
        return self.hears_refusal()

    def ask(self, question: bytes) -> None:
        """Ask, and do not wait for the answer."""
        self.socket.sendall(question)

    def hears_refusal(self) -> bool:
        """Wait for the answer, and tell whether it refuses."""
        return self.socket.recv(_PIECE).startswith(_REFUSED)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@contextmanager
def to_each_process(server: Server, workers: int) -> Iterator[list[Line]]:
    """Yield one connection to each process of a gate; the kernel deals them out by chance."""
    found: dict[int, Line] = {}
    deadline = time.monotonic() + _PATIENCE_S
    while len(found) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError("not every process of the gate answers")
        line = Line.to(server.port)
        line.is_refused(Phone(0).question())  # so that it is somebody's, and its frame is known
        if found.setdefault(_answerer(server, line), line) is not line:
            line.close()
            time.sleep(_LOOK_AGAIN_S)  # another process of it may still be starting
    try:
        yield list(found.values())
    finally:
        for each in found.values():
            each.close()


def _answerer(server: Server, line: Line) -> int:
    """Return the process that holds the other end of a line."""
    ends = f":{server.port:04X}", f":{line.socket.getsockname()[1]:04X}"
    held = next(
        f"socket:[{row[9]}]"
        for row in map(str.split, Path("/proc/net/tcp").read_text(encoding="ascii").splitlines())
        if (row[1][8:], row[2][8:]) == ends
    )
    return next(
        pid
        for pid in gate_servers.family(server.pids[0])
        for each in Path(f"/proc/{pid}/fd").iterdir()
        if _points_to(each, held)
    )


def _points_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except FileNotFoundError:  # closed meanwhile
        return False


def until_all(lines: Sequence[Line], phone: Phone, *, refused: bool, pause_s: float = 0) -> None:
    """Ask until the answer is this one on every line."""
    question, waiting = phone.question(), lines
    while waiting:
        for each in waiting:
            each.ask(question)
        waiting = [each for each in waiting if each.hears_refusal() is not refused]
        if waiting:
            time.sleep(pause_s)


class Watcher:
    """A process that asks all the time, and says when every answer was "open"."""

    def __init__(self, lines: Sequence[Line]) -> None:
        """Start it."""
        files = [each.socket.fileno() for each in lines]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gate_lines", *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=files,
            encoding="ascii",
            bufsize=1,
        )

    def watch(self, phone: Phone) -> None:
        """Have it ask about this phone; returns when it was refused on every line."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe, see above
        print(phone.number, file=self._process.stdin, flush=True)
        if self._said() != "refused":
            raise RuntimeError("a phone is let in before the take-back")

    def opened_at(self) -> float:
        """Return when the phone was let in on every line, by `time.monotonic`."""
        return float(self._said())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe, see above
        return self._process.stdout.readline().strip()


@contextmanager
def watched(server: Server, workers: int) -> Iterator[Watcher]:
    """Yield a watcher over every process of a gate."""
    with to_each_process(server, workers) as lines:
        watcher = Watcher(lines)
        try:
            yield watcher
        finally:
            watcher.close()


def main() -> None:
    """Watch until the input ends."""
    lines = [Line(socket.socket(fileno=int(each))) for each in sys.argv[1:]]
    for number in sys.stdin:
        phone = Phone(int(number))
        all_refused = all([each.is_refused(phone.question()) for each in lines])  # noqa: C419 - ask all
        print("refused" if all_refused else "open", flush=True)
        until_all(lines, phone, refused=False, pause_s=_PAUSE_S)
        print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
