"""A gate sees every stop that is laid into its folder, and a look costs next to nothing."""

import os
from datetime import UTC, datetime
from pathlib import Path, PosixPath
from typing import Any

import pytest

from countermand.gate.fence_watch import FenceWatch
from countermand.gate.keys import GateKeys
from countermand.gate.machine_time import ThisMachine
from countermand.gate.order_states import OrderStates
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

LOOK_EVERY_MS = 50


def taken_back(number: str) -> Fence:
    at = datetime(2026, 12, 10, tzinfo=UTC)
    return Fence(number, TAKEN_BACK_EPOCH, withdrawn=True, at=at, by=1, because="a mistake")


def paused(number: str, epoch: int) -> Fence:
    at = datetime(2026, 12, 10, tzinfo=UTC)
    return Fence(number, epoch, withdrawn=False, at=at, by=1, because="a doubt")


@pytest.fixture
def states() -> OrderStates:
    return OrderStates(
        keys=GateKeys(pinned={}, entry_key=b"e" * 32), instance="ours", time=ThisMachine()
    )


@pytest.fixture
def watch(tmp_path: Path, states: OrderStates) -> FenceWatch:
    watched = FenceWatch(tmp_path, states)
    watched.look(0)
    return watched


class Ticking(PosixPath):
    """A folder whose time stamp moves only when a test says so."""

    shown: os.stat_result

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        del follow_symlinks
        return self.shown

    def tick(self) -> None:
        self.shown = super().stat()


@pytest.fixture
def ticking(tmp_path: Path) -> Ticking:
    folder = Ticking(tmp_path)
    folder.tick()
    return folder


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every reading of the folder as a whole."""
    seen: list[Any] = []
    real = os.scandir

    def noted(folder: Any) -> Any:
        seen.append(folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", noted)
    return seen


def numbers(states: OrderStates) -> set[str]:
    return {each.number for each in states.fences()}


def test_a_stop_is_seen_at_the_next_look(
    watch: FenceWatch, states: OrderStates, tmp_path: Path
) -> None:
    assert [watch.look(now_ms) for now_ms in range(50, 500, LOOK_EVERY_MS)] == [False] * 9
    fences.write(tmp_path, taken_back("CM-7Q4K"))

    assert watch.look(500)
    assert numbers(states) == {"CM-7Q4K"}


def test_a_second_stop_within_one_tick_is_seen_at_the_next_look_too(
    ticking: Ticking, states: OrderStates, tmp_path: Path
) -> None:
    watch = FenceWatch(ticking, states)
    watch.look(0)
    fences.write(tmp_path, paused("CM-7Q4K", 1))
    ticking.tick()
    watch.look(50)
    watch.look(51)
    fences.write(tmp_path, taken_back("CM-9XTY"))  # and the stamp stays as it was

    assert watch.look(100)
    assert numbers(states) == {"CM-7Q4K", "CM-9XTY"}


def test_a_stop_that_no_time_stamp_shows_is_seen_within_a_second(
    ticking: Ticking, states: OrderStates, tmp_path: Path
) -> None:
    watch = FenceWatch(ticking, states)
    for now_ms in range(0, 950, LOOK_EVERY_MS):
        watch.look(now_ms)
    fences.write(tmp_path, taken_back("CM-7Q4K"))
    for now_ms in range(950, 1050, LOOK_EVERY_MS):
        watch.look(now_ms)

    assert numbers(states) == {"CM-7Q4K"}


def test_while_nothing_changes_the_folder_is_read_once_a_second_and_no_oftener(
    watch: FenceWatch, tmp_path: Path, scans: list[Any]
) -> None:
    fences.write(tmp_path, taken_back("CM-7Q4K"))
    for now_ms in range(50, 150, LOOK_EVERY_MS):
        watch.look(now_ms)
    scans.clear()
    for now_ms in range(150, 3150, LOOK_EVERY_MS):
        watch.look(now_ms)

    assert len(scans) == 3


def test_a_stop_that_was_told_before_it_lay_there_is_nothing_new(
    watch: FenceWatch, states: OrderStates, tmp_path: Path
) -> None:
    states.add_stop(taken_back("CM-7Q4K"))
    fences.write(tmp_path, taken_back("CM-7Q4K"))

    assert not watch.look(50)


def test_what_was_taken_back_is_never_looked_at_again_and_all_else_is(
    watch: FenceWatch, states: OrderStates, tmp_path: Path
) -> None:
    taken = [f"CM-{number:04d}" for number in range(1000, 1020)]
    for number in taken:
        fences.write(tmp_path, taken_back(number))
        fences.write(tmp_path, paused(number, 3))
    fences.write(tmp_path, paused("CM-7Q4K", 1))
    watch.look(50)
    for path in tmp_path.glob("CM-1*"):  # whoever asks how these look now fails
        path.unlink()
        path.symlink_to(path)

    fences.write(tmp_path, paused("CM-7Q4K", 2))
    assert watch.look(100)
    stopped = {each.number: each.stopped_epoch for each in states.fences()}
    assert stopped == {"CM-7Q4K": 2} | dict.fromkeys(taken, TAKEN_BACK_EPOCH)
    assert not watch.look(2000)


def test_a_folder_that_is_gone_shuts_nothing_until_it_is_there_again(
    watch: FenceWatch, tmp_path: Path
) -> None:
    tmp_path.rename(tmp_path.with_name("elsewhere"))

    assert watch.look(50)
    assert not watch.look(100)
    tmp_path.with_name("elsewhere").rename(tmp_path)
    assert watch.look(150)
