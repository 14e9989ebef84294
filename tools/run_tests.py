"""Run the tests group by group (`make test`), and say what each group cost.

A group that cannot run here is named, with the reason, and never counted as passed; with
CI=true it fails the run. The last line sums up what pytest counted: "N passed, N failed".
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import debian_packages

PYTHON = sys.executable
RESULTS = Path("build/tests")
HARD_STOP_S = 1800
LANES = 2
NO_TESTS_COLLECTED = 5


@dataclass(frozen=True, slots=True)
class Group:
    """Tests that cost alike: where they lie, and the time they may take on two cores."""

    name: str
    paths: tuple[str, ...]
    budget_s: int
    # A test that stands still fails; one that waits a minute on a busy machine does not.
    timeout_s: int = 240
    # Where no framework belongs, its plugin stays out: that is quicker, too.
    django: bool = False
    # Runs only when it is asked for: `make lab`.
    by_name_only: bool = False


GROUPS = (
    Group("unit", ("tests/test_house_rules.py", "tests/test_documents.py", "tests/unit"), 45),
    Group("property", ("tests/property",), 140),
    Group("model", ("simulation",), 120),
    Group("apps", ("tests/apps",), 450, django=True),
    Group("contract", ("tests/contract",), 120),
    Group("servers", ("tests/servers",), 300),
    Group("browser", ("tests/browser",), 140),
    Group("story", ("tests/journeys",), 180),
    Group("lab", ("tests/lab",), 600, by_name_only=True),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What pytest counted, and whether it ended as it must."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    sound: bool = True

    def __add__(self, other: "Counts") -> "Counts":
        """Add up two groups; sound only when both are."""
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.sound and other.sound,
        )


def is_ci() -> bool:
    """Return whether this is the run that decides: CI=true."""
    return os.environ.get("CI") == "true"


def why_not(group: Group) -> str:
    """Return why a group cannot run here, or nothing."""
    missing = [path for path in group.paths if not Path(path).exists()]
    if missing:
        return f"there is no {', '.join(missing)}"
    return debian_packages.provide(group.name)


def counted(report: Path, status: int) -> Counts:
    """Read pytest's own report; without a readable one the group has failed."""
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  (pytest wrote it)
    except (OSError, ET.ParseError):
        return Counts(failed=1, sound=False)

    def total(word: str) -> int:
        return sum(int(suite.get(word, "0")) for suite in suites)

    bad = total("failures") + total("errors")
    passed = total("tests") - bad - total("skipped")
    return Counts(passed, bad, total("skipped"), sound=status == 0 and bad == 0 and passed > 0)


def run(group: Group, extra: list[str], seconds_left: float, *, is_aside: bool) -> Counts:
    """Run one group in a pytest of its own, so that no group can spoil another.

    One that runs `is_aside` of others keeps what it says in build/tests/ until it has ended.
    """
    report = RESULTS / f"{group.name}.xml"
    report.unlink(missing_ok=True)
    command = [PYTHON, "-m", "pytest", "-q", f"--junitxml={report}", f"--timeout={group.timeout_s}"]
    command += () if group.django else ("-p", "no:django")
    # In CI the same order each time: what fails there fails again for whoever mends it.
    command += ("--randomly-seed=1",) if is_ci() else ()
    command += [*group.paths, *extra]
    environment = {"HYPOTHESIS_PROFILE": "ci"} | os.environ | {"PYTHONUTF8": "1"}
    started = time.monotonic()
    print(f"== {group.name} begins", flush=True)
    said = (RESULTS / f"{group.name}.log").open("wb") if is_aside else None
    try:
        with said or contextlib.nullcontext():
            status = subprocess.run(
                command,
                check=False,
                env=environment,
                timeout=seconds_left,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT if said else None,
            ).returncode
    except subprocess.TimeoutExpired:
        print(f"== {group.name}: stopped, the tests had {HARD_STOP_S} s in all", flush=True)
        return Counts(failed=1, sound=False)
    counts = counted(report, status)
    took_s = time.monotonic() - started
    over = f", over its budget of {group.budget_s} s" if took_s > group.budget_s else ""
    text = Path(said.name).read_text(encoding="utf-8", errors="replace") if said else ""
    print(f"{text}== {group.name}: {took_s:.1f} s{over}", flush=True)
    return counts


def arguments() -> tuple[list[Group], list[str]]:
    """Return the groups that are asked for, and what goes on to pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", choices=[group.name for group in GROUPS])
    parser.add_argument("extra", nargs="*")
    given = parser.parse_args()
    chosen = [
        group
        for group in GROUPS
        if given.group == group.name or (given.group is None and not group.by_name_only)
    ]
    return chosen, given.extra


def main() -> None:
    """Run the groups and sum up."""
    groups, extra = arguments()
    RESULTS.mkdir(parents=True, exist_ok=True)
    must_run = is_ci() or len(groups) == 1
    not_run = []
    ready = []
    started = time.monotonic()
    for group in groups:
        if reason := why_not(group):
            not_run.append(f"{group.name} cannot run here: {reason}")
            print(f"== {not_run[-1]}", flush=True)
        else:
            ready.append(group)

    def in_its_lane(group: Group) -> Counts:
        left_s = max(1.0, HARD_STOP_S - (time.monotonic() - started))
        return run(group, extra, left_s, is_aside=len(ready) > 1)

    # The longest first, two at a time: much of a test is waiting for a server or for the disk.
    ready.sort(key=lambda group: -group.budget_s)
    with ThreadPoolExecutor(min(LANES, os.cpu_count() or 1)) as lanes:
        total = sum(lanes.map(in_its_lane, ready), start=Counts())
    for sentence in not_run:
        print(f"NOT RUN: {sentence}")
    print(f"seconds in all: {time.monotonic() - started:.1f}; skipped: {total.skipped}")
    failed = total.failed + (len(not_run) if must_run else 0)
    print(f"{total.passed} passed, {failed} failed", flush=True)
    sys.exit(0 if total.sound and not failed else 1)


if __name__ == "__main__":
    main()
