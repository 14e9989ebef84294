"""One command starts everything, whoever dies comes back, and nothing outlives it."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

COMMAND = (sys.executable, "-m", "countermand.cli.entry")
pytestmark = pytest.mark.timeout(240)  # the first test waits for the start

CHILDREN = ("web", "worker", "sender-1", "gate", "postgres")


def until(is_so: Callable[[], Any]) -> Any:
    """Wait for something; only pytest's own time limit ends it."""
    while not (answer := is_so()):
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    # Not pytest's own folder: as root that one is closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="cm-test-") as folder:
        Path(folder).chmod(0o711)
        # Longer than the path of a socket may be, with a space and in two scripts.
        place = Path(folder) / f"data of the story, कहानी का डेटा {'x' * 90}"
        run("init", "--demonstration", "--data", str(place), check=True)
        yield place


def run(
    *arguments: str, check: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=check,
        capture_output=True,
        text=True,
        env=surroundings(environment),
        stdin=subprocess.DEVNULL,
    )


def surroundings(more: dict[str, str]) -> dict[str, str]:
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COUNTERMAND_", "DATABASE_URL", "XDG_", "LC_", "DJANGO_"))
    }
    return bare | {"LANG": "C", "COUNTERMAND_SWEEP_EVERY_S": "0.5"} | more


class Running:
    """One `up` that runs, and what it says."""

    def __init__(self, data: Path, *, port: int = 0, **environment: str) -> None:
        self.data = data
        data.mkdir(mode=0o711, exist_ok=True)
        self.ready = data.parent / f"{data.name}.ready"
        self.ready.unlink(missing_ok=True)
        self.said = data.parent / f"{data.name}.said"
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(*COMMAND, "up", "--port", str(port), "--data", str(data)),
                    *("--ready-file", str(self.ready)),
                ],
                stdout=output,
                stderr=output,
                env=surroundings(environment),
            )

    def told(self) -> dict[str, Any]:
        path = self.data / "run" / "up.json"
        told: dict[str, Any] = json.loads(until(lambda: path.exists() and path.read_text()))
        return told

    def words(self) -> str:
        return self.said.read_text(encoding="utf-8")

    def until_ready(self) -> None:
        until(lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.words()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait()


@contextmanager
def up(data: Path, *, port: int = 0, **environment: str) -> Iterator[Running]:
    running = Running(data, port=port, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[Running]:
    with up(data) as started:
        started.until_ready()
        yield started


def children_of(pid: int) -> set[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return set(map(int, path.read_text(encoding="ascii").split()))


def is_well(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_everything_answers(running: Running) -> None:
    told = running.told()

    assert is_well(f"{told['web']}/healthz")
    assert is_well(f"{told['web']}/readyz")
    assert is_well(f"{told['web']}/")
    assert set(told["pids"]) == set(CHILDREN)
    with psycopg.connect(told["database_url"]) as connection:
        assert connection.execute("SELECT count(*) FROM audit_entry").fetchone() is not None


def test_addresses_with_passwords_are_for_one_pair_of_eyes(running: Running) -> None:
    secret = [running.ready, running.data / "run" / "up.json", *(running.data / "keys").iterdir()]

    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_second_up_on_the_same_folder_refuses_and_names_the_first(running: Running) -> None:
    answer = run("up", "--port", "0", "--data", str(running.data))

    assert answer.returncode == 1
    assert f"process {running.process.pid}" in answer.stderr
    assert is_well(f"{running.told()['web']}/readyz")


@pytest.mark.parametrize("child", CHILDREN)
def test_a_killed_child_comes_back_at_its_old_address(running: Running, child: str) -> None:
    before = running.told()
    os.kill(before["pids"][child], signal.SIGKILL)

    until(lambda: running.told()["pids"][child] not in {0, before["pids"][child]})
    until(lambda: is_well(f"{before['web']}/readyz"))

    after = running.told()
    assert [after[name] for name in ("web", "gate", "gates")] == [
        before[name] for name in ("web", "gate", "gates")
    ]


def test_a_disk_that_takes_nothing_ends_nobody(running: Running) -> None:
    before = running.told()
    first = set(before["pids"].values())
    pid = running.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    os.kill(before["pids"]["worker"], signal.SIGKILL)

    limited = until(lambda: children_of(pid) - first)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (-1, -1))
    for each in limited:  # it has the limit of whoever started it
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)

    until(lambda: running.told()["pids"]["worker"] in children_of(pid) - first - limited)
    until(lambda: is_well(f"{before['web']}/readyz"))
    after = running.told()["pids"]
    assert after == {**before["pids"], "worker": after["worker"]}


def test_the_doctor_finds_all_well(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as relay:
        port = relay.getsockname()[1]
        answer = run(
            *("doctor", "--json", "--data", str(running.data)),
            COUNTERMAND_RELAY=f"127.0.0.1:{port}",
        )

    found = json.loads(answer.stdout)
    assert [each for each in found["checks"] if each["state"] == "bad"] == []
    assert answer.returncode == 0


def is_alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except FileNotFoundError:
        return False


def gate_of(running: Running) -> dict[str, Any]:
    """How the gate is, once it follows the database."""

    def follows() -> dict[str, Any]:
        try:
            answer = urllib.request.urlopen(f"{running.told()['gates'][0]}/ready", timeout=30)
        except OSError:  # another test has just killed it
            return {}
        with answer:
            said: dict[str, Any] = json.load(answer)
        return said if said["follows_states"] and said["follows_entries"] else {}

    said: dict[str, Any] = until(follows)
    return said


def test_the_gate_comes_to_the_database_as_somebody_who_may_only_read_its_own(
    running: Running,
) -> None:
    assert gate_of(running)["has_more_rights"] is False
    with psycopg.connect(running.told()["database_url"]) as owner:
        comes_as = owner.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = ANY (%s)",
            [["countermand states", "countermand entries"]],
        ).fetchall()
    assert comes_as == [("countermand_gate",)]


def forget_the_role_of_gates(running: Running) -> None:
    """Leave a data folder behind as versions did that had no such role."""
    password = running.data / "keys" / "postgres-admin-password"
    admin = psycopg.conninfo.make_conninfo(
        running.told()["database_url"],
        user="countermand_admin",
        password=password.read_text().strip(),
    )
    with psycopg.connect(admin) as connection:
        connection.execute("DROP OWNED BY countermand_gate")
        connection.execute("DROP ROLE countermand_gate")
    (running.data / "keys" / "postgres-gate-password").unlink()


@pytest.mark.timeout(240)  # two whole starts
def test_a_killed_up_leaves_nothing_and_the_next_one_sends_nothing_it_may_not(data: Path) -> None:
    with up(data.parent / "killed") as first:
        first.until_ready()
        forget_the_role_of_gates(first)
        pids = first.told()["pids"].values()
        first.process.kill()
        first.process.wait()
        until(lambda: not any(is_alive(pid) for pid in pids))
    # What is stopped cannot be read now: everything starts, but no sender does.
    spoilt = first.data / "fences" / "CM-7Q4K.pause.json"
    spoilt.write_text("{", encoding="ascii")
    # And the wished port is taken.
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        up(first.data, port=taken.getsockname()[1]) as second,
    ):
        second.until_ready()
        assert f"Port {taken.getsockname()[1]} is taken" in second.words()
        assert is_well(f"{second.told()['web']}/readyz")
        assert "sender-1" not in second.told()["pids"]
        assert gate_of(second)["has_more_rights"] is False
        assert spoilt.name in second.words()
        spoilt.unlink()
        until(lambda: "sender-1" in second.told()["pids"])
        assert second.end() == 0
        assert not (first.data / "run" / "up.json").exists()


def test_a_demonstration_never_mails_beyond_this_machine(data: Path) -> None:
    shown = str(data.parent / "shown")
    run("init", "--demonstration", "--data", shown, check=True)

    answer = run("up", "--data", shown, COUNTERMAND_RELAY="mail.example.org:25")

    assert answer.returncode == 1
    assert "mail.example.org" in answer.stderr
