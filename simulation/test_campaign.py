"""The short form of the campaign: real processes are killed, and the server's record judges."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.campaign_judge import MUST_BE_ZERO

KILLS = 60


@pytest.mark.timeout(280)
def test_whoever_is_killed_whenever_nobody_is_missed_and_nobody_told_who_did_not_know(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "simulation.campaign", "--worlds", "2", "--seed", "2020"]
    command += ["--kills", str(KILLS), "--folder", str(tmp_path)]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["kills"] >= KILLS
    assert found["accepted"] > KILLS
    assert {"five_hours_later", "passed_on"} <= set(found["points"])
    assert {name: found[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
