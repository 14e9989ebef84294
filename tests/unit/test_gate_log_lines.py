"""What a gate writes down has a bound, and a log that takes nothing is no reason to fail."""

import io
import json
import sys

import pytest

from countermand.gate import log_lines
from countermand.gate.log_lines import MOST_A_MINUTE, Bounds
from tests.unit.test_gate_order_states import ToldTime


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> ToldTime:
    told = ToldTime()
    monkeypatch.setattr(log_lines, "_bounds", Bounds(told))
    return told


def test_what_happens_at_each_question_is_written_a_few_times_a_minute_and_counted(
    time: ToldTime, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5_000):
        log_lines.error("question.failed", error="CorruptedError")
    log_lines.warning("feed.lost", follower="states")  # another event has a bound of its own
    time.passes(60)
    for _ in range(2):
        log_lines.error("question.failed", error="CorruptedError")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    failed = [line for line in lines if line["event"] == "question.failed"]
    assert len(failed) == MOST_A_MINUTE + 2
    assert [line.get("left_out") for line in failed[-2:]] == [5_000 - MOST_A_MINUTE, None]
    assert [line["event"] for line in lines].count("feed.lost") == 1


class FullDisk(io.StringIO):
    """A log on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("time")
def test_a_log_that_takes_nothing_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())

    log_lines.error("stop.not_durable", number="CM-7Q4K")
