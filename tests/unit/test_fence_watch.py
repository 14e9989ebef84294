"""A stop on the disk is seen whatever its times say; what nothing can change is read once."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countermand.gate.fence_watch import READ_ANYWAY_EVERY_MS, FenceWatch
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

AT = datetime(2026, 7, 10, tzinfo=UTC)
NUMBER = "CM-7Q4K"


@dataclass
class Told:
    """What the watch told: as the states keep it."""

    stops: list[Fence] = field(default_factory=list)
    unreadable: frozenset[str] = frozenset()
    times: int = 0
    everything: bool = False

    def stop(self, found: Iterable[Fence], *, unreadable: Iterable[str]) -> bool:
        """Keep it, and say whether anything of it was not known, as the states do."""
        fresh, spoiled = [each for each in found if each not in self.stops], frozenset(unreadable)
        is_more = bool(fresh) or spoiled != self.unreadable or self.everything
        self.stops += fresh
        self.unreadable = spoiled
        self.times += 1
        self.everything = False
        return is_more

    def stop_everything(self) -> None:
        self.everything = True


def pause(epoch: int, number: str = NUMBER) -> Fence:
    return Fence(number, epoch, withdrawn=False, at=AT, by=1, because="?")


def take_back(number: str = NUMBER) -> Fence:
    return Fence(number, TAKEN_BACK_EPOCH, withdrawn=True, at=AT, by=1, because="a mistake")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watch(tmp_path: Path, told: Told) -> FenceWatch:
    states: Any = told
    watch = FenceWatch(tmp_path, states)
    assert watch.look(0)
    return watch


def test_only_what_is_new_is_told(tmp_path: Path, watch: FenceWatch, told: Told) -> None:
    fences.write(tmp_path, take_back("CM-7Q4K"))
    assert watch.look(50)
    assert not watch.look(100)

    fences.write(tmp_path, pause(3, "CM-2K7Q"))
    assert watch.look(150)
    assert not watch.look(5_000)

    assert told.stops == [take_back("CM-7Q4K"), pause(3, "CM-2K7Q")]


def test_a_file_that_was_replaced_behind_unchanged_times_is_read_within_a_second(
    tmp_path: Path, watch: FenceWatch, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    fences.write(tmp_path, pause(3))
    assert watch.look(50)
    lying = watch._shown
    fences.write(tmp_path, pause(4))
    monkeypatch.setattr("countermand.gate.fence_watch._shown", lambda *_: lying)

    assert not watch.look(100)
    assert watch.look(READ_ANYWAY_EVERY_MS + 50)

    assert told.stops[-1] == pause(4)


def test_a_stop_that_cannot_be_read_is_told_as_such_until_it_can(
    tmp_path: Path, watch: FenceWatch, told: Told
) -> None:
    spoiled = tmp_path / f"{NUMBER}.pause.json"
    spoiled.write_bytes(b"{")
    assert watch.look(50)
    assert told.unreadable == {NUMBER}
    assert not watch.look(100)

    fences.write(tmp_path, pause(3))
    assert watch.look(150)

    assert told.unreadable == frozenset()
    assert told.stops == [pause(3)]


def test_a_spoiled_file_that_is_taken_away_is_spoiled_no_more(
    tmp_path: Path, watch: FenceWatch, told: Told
) -> None:
    spoiled = tmp_path / f"{NUMBER}.pause.json"
    spoiled.write_bytes(b"{")
    watch.look(50)

    spoiled.unlink()
    watch.look(READ_ANYWAY_EVERY_MS + 50)

    assert told.unreadable == frozenset()


def test_a_folder_that_cannot_be_read_shuts_nothing_until_it_can(
    tmp_path: Path, watch: FenceWatch, told: Told
) -> None:
    away = tmp_path.with_name("away")
    tmp_path.rename(away)
    assert watch.look(50)
    assert told.everything
    assert not watch.look(100)

    away.rename(tmp_path)
    assert watch.look(150)

    assert not told.everything


def test_an_order_that_was_taken_back_is_read_once(
    tmp_path: Path, watch: FenceWatch, told: Told
) -> None:
    fences.write(tmp_path, take_back())
    assert watch.look(50)
    (tmp_path / f"{NUMBER}.take-back.json").write_bytes(b"{")
    os.utime(tmp_path / f"{NUMBER}.take-back.json", (1, 1))

    assert not watch.look(100)
    assert not watch.look(10_000)

    assert told.unreadable == frozenset()


def test_a_stop_that_was_told_already_is_no_news(
    tmp_path: Path, watch: FenceWatch, told: Told
) -> None:
    told.stops.append(pause(3))  # by whoever stopped, before the file was looked at
    fences.write(tmp_path, pause(3))

    assert not watch.look(50)
