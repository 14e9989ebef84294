"""Time may run fast in a demonstration, and nowhere else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand import clock
from countermand.clock import SystemClock, Told, ToldClock
from countermand.data_folder import DataFolder, FileDamaged, write_json

FRIDAY = datetime(2020, 7, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def told(folder: DataFolder, **changes: Any) -> None:
    write_json(
        folder.clock_file,
        {"told_at": FRIDAY.isoformat(), "real_at": 0.0, "rate": 0.0} | changes,
    )


def test_a_told_clock_runs_as_fast_as_it_is_told() -> None:
    hurried = Told(told_at=FRIDAY, real_at=1000.0, rate=600.0)

    assert hurried.at(1000.0) == FRIDAY
    assert hurried.at(1030.0) == FRIDAY + timedelta(hours=5)


def test_a_demonstration_is_told_its_time_anew(folder: DataFolder) -> None:
    write_json(folder.instance, {"kind": "demonstration"})
    told(folder)
    running = clock.for_data(folder)
    assert running.now() == FRIDAY

    told(folder, told_at="2020-07-10T19:30:00+05:30")

    assert running.now() == FRIDAY + timedelta(hours=5)


@pytest.mark.parametrize("kind", ["production", "other", ""])
def test_no_other_installation_looks_at_the_file(folder: DataFolder, kind: str) -> None:
    write_json(folder.instance, {"kind": kind})
    told(folder)

    assert isinstance(clock.for_data(folder), SystemClock)


def test_a_demonstration_without_the_file_has_the_real_time(folder: DataFolder) -> None:
    write_json(folder.instance, {"kind": "demonstration"})

    assert isinstance(clock.for_data(folder), SystemClock)


@pytest.mark.parametrize(
    "changes",
    [
        {"told_at": "2020-07-10T09:00:00"},
        {"told_at": "Friday"},
        {"rate": -1},
        {"rate": "nan"},
        {"real_at": None},
    ],
    ids=["no zone", "no instant", "backwards", "no number", "no beginning"],
)
def test_a_clock_file_that_cannot_be_meant_is_refused(
    folder: DataFolder, changes: dict[str, Any]
) -> None:
    told(folder, **changes)

    with pytest.raises(FileDamaged):
        ToldClock(folder.clock_file)


def test_telling_the_time_keeps_it(folder: DataFolder) -> None:
    clock.tell(folder.clock_file, told_at=FRIDAY, rate=0.0)

    assert ToldClock(folder.clock_file).now() == FRIDAY
