"""What is no throughput: start, memory, and how soon a change is felt at every process."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmarks import gate_servers, gate_world
from benchmarks.gate_servers import Server
from benchmarks.gate_world import ORDERS, TOKEN, Phone
from benchmarks.pairing import percentile
from countermand.data_folder import DataFolder
from countermand.domain.delivery import StopKind
from countermand.gate.table import Table
from countermand.stop.press import press

_WORKERS: Final = 2
# The kernel deals them out by chance: with so few that none is left without one.
_LINES_OF_EACH: Final = 4
_SHUT: Final = Phone(0)
_SHUT_EVERY: Final = 33
_CHANGES_PER_S: Final = 1_000
_PER_COMMIT: Final = 10
_REFUSED: Final = b"HTTP/1.1 403"
_PIECE: Final = 4096


class Line:
    """One connection that stays."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def is_refused(self, question: bytes) -> bool:
        """Ask, and tell whether the answer refuses."""
        self.ask(question)
        return self.hears_refusal()

    def ask(self, question: bytes) -> None:
        """Ask, and do not wait for the answer."""
        self._socket.sendall(question)

    def hears_refusal(self) -> bool:
        """Wait for the answer, and tell whether it refuses."""
        return self._socket.recv(_PIECE).startswith(_REFUSED)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def starts(folder: DataFolder, times: int) -> dict[str, float]:
    """Return how long a gate takes from its start to the first right refusal, in seconds."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        with gate_servers.starting_gate(folder, core=None, workers=1) as process:
            said = gate_servers.await_ready(folder, process)
            line = Line(said["port"])
            if not line.is_refused(_SHUT.question()):
                raise RuntimeError("a gate that has just started lets a phone in")
            took.append(time.perf_counter() - began)
            line.close()
    return {"ready_s": statistics.median(took)}


def memory(folder: DataFolder) -> dict[str, float]:
    """Return how much memory one further process of the gate takes, in MiB."""
    held: list[float] = []
    phones = gate_world.sample(gate_world.sample(1)[0].number + 1_000_000)[:15_000]
    for workers in (1, 1 + _WORKERS):
        with gate_servers.gate(folder, workers=workers) as server:
            lines = _lines(server, workers)
            for number, phone in enumerate(phones):
                lines[number % len(lines)].is_refused(phone.question())
            held.append(gate_servers.pss_mib(server.pids[0]))
            for each in lines:
                each.close()
    return {"mib_per_extra_worker": (held[1] - held[0]) / _WORKERS}


def _lines(server: Server, workers: int) -> list[Line]:
    """Return connections, at least one to each process."""
    lines: list[Line] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines += [Line(server.port) for _ in range(workers * _LINES_OF_EACH)]
        for each in lines:
            each.is_refused(_SHUT.question())
        time.sleep(1.1 if workers > 1 else 0)  # they say once a second how many they have
        said: dict[str, Any] = gate_servers.ask_control(server, "/ready")
        busy = [said["connections"], *(each["connections"] for each in said["workers"])]
        if len(busy) == workers and min(busy) > 0:
            return lines
    raise RuntimeError("not every process of the gate answers")


def changes(folder: DataFolder, times: int) -> dict[str, float]:
    """Return how long one device's change takes until every process answers by it, in ms.

    From before the follower's commit, which is on the disk, to the last process's answer.
    """
    took: list[float] = []
    table = Table(folder.gate / "table")
    with gate_servers.gate(folder, workers=_WORKERS) as server:
        lines = _lines(server, _WORKERS)
        for turn in range(times):
            opened = turn % 2 == 0
            row = gate_world.shut_record(folder, _SHUT, attested=opened)
            place = table.place()
            began = time.perf_counter()
            table.apply([row], version=place.version + 1, row_id=1)
            _until_all(lines, _SHUT, refused=not opened)
            took.append((time.perf_counter() - began) * 1000)
        table.apply(
            [gate_world.shut_record(folder, _SHUT, attested=False)],
            version=table.place().version + 1,
            row_id=1,
        )
    table.close()
    return {
        "change_visible_p99_ms": percentile(took, 0.99),
        "change_visible_p50_ms": statistics.median(took),
    }


def stops(many: DataFolder, few: DataFolder, times: int) -> dict[str, float]:
    """Return how long a take-back takes until every process lets in, in ms, for both sizes.

    From the press, through the fence on the disk, to the last process's answer. Each is of
    another order, since a take-back is for ever; both sizes take turns.
    """
    took: dict[str, list[float]] = {"1k": [], "1m": []}
    disk: list[float] = []
    after: list[float] = []
    with (
        gate_servers.gate(few, workers=_WORKERS) as small,
        gate_servers.gate(many, workers=_WORKERS) as large,
    ):
        sides = {"1k": (small, _lines(small, _WORKERS)), "1m": (large, _lines(large, _WORKERS))}
        # Some of the drawn numbers are the same, and an order ends once.
        phones = {gate_world.order_of(Phone(turn)): Phone(turn) for turn in range(1, ORDERS)}
        for phone in islice(phones.values(), times):
            for name, (server, lines) in sides.items():
                folder = few if name == "1k" else many
                took_ms, durable_ms = _stop(folder, server, lines, phone)
                took[name].append(took_ms)
                disk.append(durable_ms)
                after.append(took_ms - durable_ms)
    return {
        "countermand_on_disk_p50_ms": statistics.median(disk),
        "countermand_on_disk_p99_ms": percentile(disk, 0.99),
        "countermand_after_disk_p50_ms": statistics.median(after),
        "countermand_after_disk_p99_ms": percentile(after, 0.99),
        "countermand_visible_p50_ms": statistics.median([*took["1k"], *took["1m"]]),
        "countermand_visible_p99_ms_1k": percentile(took["1k"], 0.99),
        "countermand_visible_p99_ms_1m": percentile(took["1m"], 0.99),
        "countermand_ratio_1m_to_1k": statistics.median(took["1m"]) / statistics.median(took["1k"]),
    }


def _stop(
    folder: DataFolder, server: Server, lines: list[Line], phone: Phone
) -> tuple[float, float]:
    """Take an order back as a person does; returns how long all of it and the disk took, in ms."""
    for each in lines:
        if not each.is_refused(phone.question()):
            raise RuntimeError("a phone is let in before the take-back")
    began = time.perf_counter()
    pressed = press(
        folder,
        gate_world.order_of(phone),
        StopKind.TAKE_BACK,
        by=1,
        because="a mistake",
        now=datetime.now(UTC),
        gates=[f"http://127.0.0.1:{server.control_port}"],
        token=TOKEN,
    )
    if not all(each.acknowledged for each in pressed.gates):
        raise RuntimeError(f"a gate did not take the stop over: {pressed.gates}")
    _until_all(lines, phone, refused=False)
    return (time.perf_counter() - began) * 1000, pressed.durable_ms


def _until_all(lines: list[Line], phone: Phone, *, refused: bool) -> None:
    question, waiting = phone.question(), lines
    while waiting:
        for each in waiting:
            each.ask(question)
        waiting = [each for each in waiting if each.hears_refusal() is not refused]


@contextmanager
def churn(folder: DataFolder, *, core: int) -> Iterator[None]:
    """A thousand changes a second, written as the follower writes them, on the gate's own core."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.gate_probes"]
    process = subprocess.Popen([*command, str(folder.path)], stdout=subprocess.PIPE)
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("nobody writes changes")
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _write_changes(folder: DataFolder) -> None:
    """Change devices until killed: ten a commit, a hundred commits a second, each on the disk."""
    table = Table(folder.gate / "table")
    place = table.place()
    rows = [
        gate_world.shut_record(folder, Phone((1 + n) * _SHUT_EVERY), attested=False)
        for n in range(_CHANGES_PER_S)
    ]
    print("writing", flush=True)
    due = time.perf_counter()
    turn = 0
    while True:
        first = turn * _PER_COMMIT % _CHANGES_PER_S
        turn += 1
        table.apply(rows[first : first + _PER_COMMIT], version=place.version + turn, row_id=1)
        due += _PER_COMMIT / _CHANGES_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    _write_changes(DataFolder(Path(sys.argv[1])))
