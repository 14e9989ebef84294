"""Lines of proxies are counted across turns of their logs, each once; what was gone is said."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from countermand.gate.counts import Counts
from countermand.gate.down_logs import DownLogs

LINE = b"2026-12-01T10:00:00+00:00 502\n"


class Gates:
    """One gate after the other on the same data folder, and a proxy's log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "countermand-down.log"
        self._kept = folder / "down-logs.json"
        self.counts = Counts()
        self.start()

    def start(self) -> None:
        """Let the next gate begin; what is counted goes on."""
        self._gate = DownLogs([self.log], self.counts, self._kept)

    def look(self, times: int = 1) -> tuple[int, int]:
        """Return how many lines were counted by now, and how often some were missed."""
        for _ in range(times):
            self._gate.look()
        assert self._gate.unreadable == 0
        return self.counts.get("gate_down_answers"), self.counts.get("gate_down_missed")

    def write(self, lines: int, path: Path | None = None) -> None:
        with (path or self.log).open("ab") as log:
            log.write(LINE * lines)
        self._tick(path or self.log)

    def turn_over(self, to: str) -> Path:
        """Move the log away, and begin another."""
        moved = self.log.with_name(to)
        self.log.rename(moved)
        self.log.touch()
        self._tick(self.log)
        return moved

    def forget_what_stands_before(self) -> None:
        """Keep of each place what an older gate kept: the number of the file, and how far."""
        kept = json.loads(self._kept.read_text(encoding="utf-8"))
        said = {path: place[:2] for path, place in kept.items()}
        self._kept.write_text(json.dumps(said), encoding="utf-8")

    def _tick(self, path: Path) -> None:
        # A file system may write the same instant twice.
        self._now_ns = getattr(self, "_now_ns", 10**18) + 10**9
        os.utime(path, ns=(self._now_ns, self._now_ns))


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    """A gate that counted three lines and is gone."""
    gates = Gates(tmp_path)
    gates.write(3)
    assert gates.look() == (3, 0)
    gates.start()
    return gates


def packed(path: Path) -> Path:
    """Pack a file as logrotate does: another number, the same instant."""
    beside = path.with_name(f"{path.name}.gz")
    beside.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(beside, ns=(path.stat().st_mtime_ns,) * 2)
    path.unlink()
    return beside


NAMES = [
    ["countermand-down.log.2", "countermand-down.log.1"],
    ["countermand-down.log-20261201", "countermand-down.log-20261202"],
    [
        "countermand-down-2026-12-01T10-00-00.000.log",
        "countermand-down-2026-12-02T10-00-00.000.log",
    ],
]


@pytest.mark.parametrize("to", NAMES, ids=["numbers", "days", "caddy"])
def test_a_log_that_was_turned_over_while_no_gate_was_there_is_counted_to_its_end(
    gates: Gates, to: list[str]
) -> None:
    gates.write(4)
    gates.turn_over(to[0])
    gates.write(2)

    assert gates.look() == (9, 0)

    gates.start()
    assert gates.look(3) == (9, 0)


@pytest.mark.parametrize("to", NAMES, ids=["numbers", "days", "caddy"])
def test_logs_that_were_turned_over_twice_are_counted_one_after_the_other(
    gates: Gates, to: list[str]
) -> None:
    gates.write(4)
    gates.turn_over(to[0])
    gates.write(8)
    gates.turn_over(to[1])
    gates.write(16)

    assert gates.look(2) == (3 + 4 + 8 + 16, 0)


def test_what_is_written_into_the_old_file_until_the_proxy_opens_the_new_one_is_counted(
    gates: Gates,
) -> None:
    gates.look()
    old = gates.turn_over("countermand-down.log.1")
    gates.look()

    gates.write(4, old)

    assert gates.look() == (7, 0)
    gates.write(2)
    assert gates.look() == (9, 0)


def test_what_was_packed_before_it_was_counted_is_said_and_the_rest_is_counted(
    gates: Gates,
) -> None:
    gates.write(4)
    packed(gates.turn_over("countermand-down.log.1"))
    gates.write(2)

    assert gates.look(3) == (5, 1)


def test_what_was_packed_between_two_logs_is_said_once(gates: Gates) -> None:
    gates.write(4)
    gates.turn_over("countermand-down.log-20261201")
    gates.write(8)
    packed(gates.turn_over("countermand-down.log-20261202"))
    assert gates.look(3) == (7, 0)  # nobody writes into the new one yet

    gates.write(2)

    assert gates.look(3) == (9, 1)


def test_many_logs_are_counted_in_their_order_without_those_that_were_packed(
    gates: Gates,
) -> None:
    for day in range(1, 8):
        gates.write(2**day)
        moved = gates.turn_over(f"countermand-down.log-2026120{day}")
        if day in {3, 5}:
            packed(moved)
    gates.write(1)

    assert gates.look(3) == (3 + sum(2**day for day in (1, 2, 4, 6, 7)) + 1, 2)


def test_nothing_is_missed_of_a_log_that_was_packed_after_it_was_counted(gates: Gates) -> None:
    gates.write(4)
    old = gates.turn_over("countermand-down.log.1")
    assert gates.look() == (7, 0)
    packed(old)

    assert gates.look(2) == (7, 0)
    gates.write(2)
    assert gates.look() == (9, 0)


@pytest.mark.parametrize("lines", [1, 3, 5], ids=["shorter", "as long", "longer"])
def test_a_log_that_was_emptied_in_its_place_is_counted_from_its_start_and_that_is_said(
    gates: Gates, lines: int
) -> None:
    gates.log.write_bytes(LINE.replace(b"10:00", b"11:00") * lines)

    assert gates.look(2) == (3 + lines, 1)


@pytest.mark.parametrize(("lines", "counted"), [(5, (5, 0)), (2, (5, 1))], ids=["more", "emptied"])
def test_a_place_that_a_gate_of_before_kept_is_believed_as_far_as_it_goes(
    gates: Gates, lines: int, counted: tuple[int, int]
) -> None:
    gates.forget_what_stands_before()
    gates.log.write_bytes(LINE * lines)

    assert gates.look(2) == counted


def test_a_log_that_was_emptied_while_a_gate_counts_is_missed_by_nobody(gates: Gates) -> None:
    gates.look()
    gates.log.write_bytes(LINE)

    assert gates.look() == (4, 0)


def test_a_long_log_that_was_turned_over_is_counted_in_pieces_by_one_gate_after_another(
    gates: Gates,
) -> None:
    gates.write(100_000)
    gates.turn_over("countermand-down.log.1")
    gates.write(2)
    looks = 0

    while gates.look()[0] < 100_005:
        gates.start()
        looks += 1

    assert looks >= 100_000 * len(LINE) >> 20
    assert gates.look(3) == (100_005, 0)


@pytest.mark.parametrize(
    "name",
    ["countermand-down-2.log", "countermand-down.log.old", "countermand-down2.log.1", "x.log.1"],
)
def test_another_log_beside_it_is_never_counted(gates: Gates, name: str) -> None:
    gates.turn_over("countermand-down.log.1")
    gates.write(8, gates.log.with_name(name))
    gates.write(2)

    assert gates.look(3) == (5, 0)


@pytest.mark.parametrize("gone", [Path.unlink, packed])
def test_a_log_that_is_gone_and_never_comes_back_is_no_fault(
    gates: Gates, gone: Callable[[Path], object]
) -> None:
    gone(gates.log)

    assert gates.look(2) == (3, 0)
