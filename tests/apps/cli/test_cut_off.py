"""A full disk behind the answer of a command, or nobody there to read it, is no fault of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SYNTH = ("-m", "countermand.cli.entry", "synth", "--people", "1", "--seed", "1", "--out")


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_full_disk_is_told_in_a_sentence_that_says_what_was_done(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, *_SYNTH, str(tmp_path / "made"), *how],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert "What was asked is done, but the answer could not be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "made" / "people.csv").is_file()


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_who_closed_the_output_gets_none_and_no_fault(tmp_path: Path, how: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, *_SYNTH, str(tmp_path / "made"), *how],
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
