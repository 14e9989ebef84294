"""A full disk behind an answer, nobody there to read it, or Ctrl-C: no traceback, whatever ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Ctrl-C comes at the very moment at which the verbs are loaded.
_BROKEN_OFF = """
import sys
from countermand.cli import entry
class CtrlC:
    def find_spec(self, name, *_):
        if name == "countermand.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
sys.exit(entry.main(["order", "list"]))
"""
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


def test_a_command_that_is_broken_off_while_it_starts_leaves_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _BROKEN_OFF], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
