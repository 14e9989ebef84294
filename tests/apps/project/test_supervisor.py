"""Whoever dies starts again, at once and then ever slower, and dies with the supervisor."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from countermand.project.supervisor import Child, Supervisor


def child(folder: Path, *command: str) -> Child:
    return Child(
        name="sleeper", command=command, environment=dict(os.environ), log=folder / "sleeper.log"
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Supervisor:
    return Supervisor(say=said.append, changed=lambda: None)


def test_the_dead_start_again(tmp_path: Path, supervisor: Supervisor, said: list[str]) -> None:
    sleeper = child(tmp_path, "/bin/sleep", "60")
    supervisor.add(sleeper)
    first = sleeper.pid
    os.kill(first, signal.SIGKILL)

    while sleeper.pid in {0, first}:
        supervisor.tend()

    assert sleeper.is_running()
    assert "SIGKILL" in said[0]
    supervisor.end()
    assert not sleeper.is_running()


def test_who_dies_at_once_starts_ever_slower_and_is_told_of_a_few_times(
    tmp_path: Path, supervisor: Supervisor, said: list[str]
) -> None:
    hopeless = child(tmp_path, "/bin/false")
    supervisor.add(hopeless)
    pauses = []
    for _ in range(9):
        while hopeless.is_running():
            time.sleep(0.001)
        supervisor.tend()
        pauses.append(hopeless.pause_s)
        hopeless.next_start_at = 0.0  # as if the pause were over
        supervisor.tend()

    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 5.0
    assert len(said) == 5
    supervisor.end()


def test_who_does_not_end_when_asked_is_ended(tmp_path: Path, supervisor: Supervisor) -> None:
    deaf = child(
        tmp_path,
        *(sys.executable, "-c"),
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True);"
        "time.sleep(60)",
    )
    supervisor.add(deaf)
    while "deaf" not in (tmp_path / "sleeper.log").read_text(encoding="utf-8"):
        time.sleep(0.01)

    supervisor.end(patience_s=0.05)

    assert not deaf.is_running()


PARENT = """
import os, signal, sys, time
from countermand.project.children import spawn

child = spawn(["/bin/sleep", "60"], on_parent_death=signal.SIGKILL, environment=dict(os.environ))
print(child.pid, flush=True)
time.sleep(60)
"""


def test_no_child_outlives_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        handle = os.pidfd_open(orphan)
        parent.kill()

    try:
        signal.pidfd_send_signal(handle, 0)
        alive = Path(f"/proc/{orphan}/stat")
        while alive.exists() and alive.read_text(encoding="utf-8").split()[2] != "Z":
            time.sleep(0.01)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def test_what_cannot_be_started_ends_nobody_and_is_tried_again(
    tmp_path: Path, supervisor: Supervisor, said: list[str]
) -> None:
    supervisor.add(child(tmp_path, "/bin/sleep", "60"))
    late = child(tmp_path / "not-there-yet", "/bin/sleep", "60")

    supervisor.add(late)
    (tmp_path / "not-there-yet").mkdir()
    while not late.is_running():
        supervisor.tend()

    assert all(each.is_running() for each in supervisor.children)
    assert "sleeper cannot be started" in said[0]
    supervisor.end()
