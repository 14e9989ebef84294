"""What every server of the lab stands on: a free port, a folder, a process that ends with us.

All of them listen on loopback only. Files of deploy/ are run as they are shipped, with the
address and the token put in that an administrator puts in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEPLOY: Final = Path(__file__).resolve().parents[1] / "deploy"
TOKEN: Final = "a-token-for-the-tests"
HERE: Final = "127.0.0.1"
LONGEST_START_S: Final = 60.0
GATE_AS_SHIPPED: Final = "127.0.0.1:8481"
# Below the range from which the system gives ports to others.
_PORTS: Final = range(21_100, 21_900)
_LOOK_EVERY_S: Final = 0.02


class LabBroke(Exception):
    """A server of the lab did not do what it is there for; the message says what."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: where it listens, and where its files are."""

    port: int
    folder: Path


# How long a shipped file lets people wait for the gate, and what it says in the lab, where a
# machine that is busy with tests must not look like a gate that is slow.
_PATIENCE: Final = {
    "timeout_msecs = 2000": "timeout_msecs = 30000",
    "absolute_timeout = 2s": "absolute_timeout = 30s",
    "proxy_connect_timeout 200ms": "proxy_connect_timeout 20s",
    "proxy_read_timeout 600ms": "proxy_read_timeout 20s",
    "proxy_connect_timeout 300ms": "proxy_connect_timeout 50s",
    "proxy_read_timeout 1s": "proxy_read_timeout 50s",
    "dialTimeout: 300ms": "dialTimeout: 30s",
    "responseHeaderTimeout: 1s": "responseHeaderTimeout: 30s",
    "connect_timeout: 0.3s": "connect_timeout: 30s",
    "timeout: 1.5s": "timeout: 50s",
    "cluster: gate, timeout: 1s": "cluster: gate, timeout: 30s",
    "dial_timeout 300ms": "dial_timeout 30s",
    "response_header_timeout 1s": "response_header_timeout 30s",
}


@contextmanager
def held_port() -> Iterator[int]:
    """A free port that no other run of the lab takes as long as we hold its lock."""
    for port in _PORTS:
        lock_path = Path(tempfile.gettempdir(), f"cm-port-{port}.lock")
        with lock_path.open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                socket.create_server((HERE, port)).close()
            except OSError:
                continue
            yield port
            return
    raise LabBroke("there is no free port")


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """A short folder that the servers' own users may enter (pytest's own is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix=f"cm-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str],
    ports: Sequence[int],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground until it answers on all its ports, and end it afterwards."""
    with log.with_suffix(".out").open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        for port in ports:
            _await_answer(server, port)
        yield server
    except Exception as fault:
        fault.add_note(f"{log} ends so:\n{_said_in(log)}")
        raise
    finally:
        end(server)


def end(server: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started, at once: in order it takes Dovecot a second."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await_answer(server: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + LONGEST_START_S
    while time.monotonic() < limit and server.poll() is None:
        if answers(port):
            return
        time.sleep(_LOOK_EVERY_S)
    raise LabBroke(f"{server.args!r} does not answer on {port}")


def _said_in(log: Path) -> str:
    """Return the end of what a server wrote, in its log and beside it."""
    said = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (log, log.with_suffix(".out"))
        if path.exists()
    ]
    return "\n".join(said)[-3000:]


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    try:
        socket.create_connection((HERE, port), timeout=1).close()
    except OSError:
        return False
    return True


def until(what: str, is_so: Callable[[], bool], *, limit_s: float = 60.0) -> None:
    """Wait until something is so; never to find out how long that takes."""
    limit = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > limit:
            raise LabBroke(f"waited {limit_s:.0f} s in vain for: {what}")
        time.sleep(_LOOK_EVERY_S)


def ship(
    name: str,
    folder: Path,
    gate_port: int,
    changes: Mapping[str, str] | None = None,
    *,
    patient: bool = True,
) -> Path:
    """Copy a file of deploy/ with address, token and paths put in; `changes` are further ones.

    A change that changes nothing is an error: it would be no change that an administrator makes.
    Unless `patient`, the limits of time are those that are shipped.
    """
    shipped = (DEPLOY / name).read_text(encoding="utf-8")
    filled = shipped.replace(GATE_AS_SHIPPED, f"{HERE}:{gate_port}").replace("GATE-TOKEN", TOKEN)
    for before, after in _PATIENCE.items() if patient else ():
        filled = filled.replace(before, after)
    for before, after in (changes or {}).items():
        if before not in filled:
            raise LabBroke(f"{name} does not say {before!r}")
        filled = filled.replace(before, after)
    target = folder / Path(name).name
    target.write_text(filled, encoding="utf-8")
    return target


def need(*programs: str) -> None:
    """These servers change their user themselves, which only root can do."""
    missing = [program for program in programs if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        raise LabBroke(f"{', '.join(missing or programs)}: has to be installed, and run as root")
