"""The whole story on real processes: told once in peace, once while its processes are killed.

Who was told what is counted from the mail server's own record; the demo's exit code and report
are what a user of `make demo` sees.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROMISED = (
    "people",
    "devices",
    "kills",
    "mistake_reached_share",
    "affected_people",
    "affected_devices",
    "notices_accepted",
    "reached_certain",
    "reached_possible",
    "corrections_sent",
    "corrections_missed",
    "corrections_stray",
    "corrections_precautionary",
    "untrue_sentences",
    "notices_after_stop",
    "stop_durable_ms",
    "gate_open_ms",
    "first_notice_to_press_s",
    "press_to_last_correction_s",
    "people_to_call",
    "log_verified",
)


def tell(folder: Path, *arguments: str, **environment: str) -> tuple[str, dict[str, Any]]:
    """Run the demo; return what it printed and its report."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "PACE": "fast", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=560,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return done.stdout, report


@pytest.mark.timeout(580)
def test_the_story_ends_as_promised_and_is_told_in_hindi_too(tmp_path: Path) -> None:
    told, report = tell(
        tmp_path / "stage", "--people", "800", LANG="hi_IN.UTF-8", LC_ALL="", LC_MESSAGES=""
    )

    assert set(PROMISED) <= set(report)
    assert report["corrections_missed"] == 0
    assert report["corrections_stray"] == 0
    assert report["untrue_sentences"] == 0
    assert report["log_verified"] is True
    assert 0.1 <= report["mistake_reached_share"] <= 0.9
    assert report["kills"] >= 1
    assert "पहला भाग: ग़लती" in told


@pytest.mark.timeout(580)
def test_killing_its_processes_at_random_changes_nothing_for_anybody(tmp_path: Path) -> None:
    _, report = tell(tmp_path / "stage", "--chaos", "--seed", "7", "--people", "600")

    assert report["corrections_missed"] == 0
    assert report["corrections_stray"] == 0
    assert report["untrue_sentences"] == 0
    assert report["log_verified"] is True
    assert report["kills"] >= 3
