"""One of several gates on a data folder holds the lock, and what keeps all from it is told."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from countermand.gate import log_lines
from countermand.gate.follower_lock import FollowerLock
from countermand.gate.log_lines import Bounds
from tests.unit.test_gate_order_states import ToldTime


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_bounds", Bounds(ToldTime()))


def test_only_one_has_it_and_the_others_wait_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = FollowerLock(tmp_path / "lock"), FollowerLock(tmp_path / "lock")
    assert first.take()
    assert not second.take()
    first.release()
    first.release()  # once more is nothing
    assert second.take()
    second.release()
    assert capsys.readouterr().err == ""


def test_a_lock_that_the_file_system_does_not_give_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FollowerLock(tmp_path / "lock")

    assert not lock.take()
    assert not lock.is_held
    assert "lock.not_tried" in capsys.readouterr().err
