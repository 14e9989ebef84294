"""The stage of the demo: one machine, real processes, a clock that can be told to hurry.

Everything is started the way a person would start it: `countermand init`, `countermand up`, and
the command line with personal tokens. The mail server is a process of its own with its own record.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from countermand.cli import entry
from countermand.data_folder import DataFolder
from countermand.project import sweep_note
from countermand.stop import register
from demo.judging import AcceptedMail, RecordReader

_COUNTERMAND = (sys.executable, "-m", "countermand.cli.entry")
_START_LIMIT_S = 120.0
WALKING = 60.0  # told seconds in a real second, where the story waits for something to happen


class StageBroke(Exception):
    """Something on the stage did not do what the story needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command said: its exit code, its JSON (when asked for) and its plain words."""

    code: int
    json: Any
    text: str
    seconds: float


@dataclass
class Stage:
    """A data folder, a mail server and a running Countermand."""

    folder: Path
    language: str
    sender_count: int = 1
    relay: str = ""  # an own mail server at this address, in the place of the demo's
    tokens: dict[str, str] = field(default_factory=dict)
    _mail_server: subprocess.Popen[bytes] | None = None
    _reader: RecordReader | None = None
    _up: subprocess.Popen[bytes] | None = None
    _relay: str = "127.0.0.1:25"

    @property
    def data(self) -> Path:
        """Countermand's data folder."""
        return self.folder / "data"

    @property
    def record(self) -> Path:
        """The mail server's own record."""
        return self.folder / "mail-server.jsonl"

    @property
    def control(self) -> Path:
        """The mail server's control socket, in a short folder: socket paths are bounded."""
        return self.data / "run" / "mail.sock"

    # -- opening and closing ------------------------------------------------------------------

    def open(self, told_at: datetime) -> None:
        """Start the mail server and Countermand, with the clock standing at `told_at`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.countermand("init", "--demonstration")
        self.set_clock(told_at, rate=1.0)
        self._relay = self.relay or self._start_mail_server()
        self._start_up()

    def close(self) -> None:
        """Stop what was started, in order; safe to call twice."""
        for process in (self._up, self._mail_server):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._up = self._mail_server = None

    def _start_mail_server(self) -> str:
        ready = self.folder / "mail-server.ready"
        with (self.folder / "mail-server.log").open("wb") as log:
            self._mail_server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "countermand.testing.mail_server", "--port", "0"),
                    *("--record", str(self.record), "--control", self._control_path()),
                    *("--ready-file", str(ready), "--data", str(self.data)),
                ],
                stdout=log,
                stderr=log,
            )
        port = json.loads(self._wait_for_file(ready, self._mail_server))["port"]
        return f"127.0.0.1:{port}"

    def _control_path(self) -> str:
        """Return a path for the control socket that fits into 107 bytes, and remember it."""
        path = self.folder / "mail.sock"
        if len(os.fsencode(path)) <= 100:
            self._socket_path = path
        else:
            self._socket_path = Path(os.path.relpath(path))
        return str(self._socket_path)

    def _start_up(self) -> None:
        ready = self.folder / "up.ready"
        with (self.folder / "up.log").open("wb") as log:
            self._up = subprocess.Popen(
                [
                    *(*_COUNTERMAND, "up", "--port", "0", "--ready-file", str(ready)),
                    *("--senders", str(self.sender_count)),
                ],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        self._wait_for_file(ready, self._up)

    def _wait_for_file(self, path: Path, process: subprocess.Popen[bytes]) -> str:
        limit = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < limit:
            if path.exists() and (text := path.read_text(encoding="utf-8")).strip():
                return text
            if process.poll() is not None:
                raise StageBroke(f"{process.args!r} ended with {process.returncode}; see its log")
            time.sleep(0.02)
        raise StageBroke(f"{path.name} did not appear within {_START_LIMIT_S:.0f} s")

    # -- the clock ----------------------------------------------------------------------------

    def set_clock(self, told_at: datetime, *, rate: float) -> None:
        """From this moment the clock shows `told_at` and runs `rate` times as fast as real time."""
        text = json.dumps({"told_at": told_at.isoformat(), "real_at": time.time(), "rate": rate})
        target = self.data / "clock.json"
        fresh = target.with_suffix(".fresh")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(target)

    def now(self) -> datetime:
        """The time that every process on the stage is told."""
        told = json.loads((self.data / "clock.json").read_text(encoding="utf-8"))
        gone = (time.time() - float(told["real_at"])) * float(told["rate"])
        return datetime.fromisoformat(told["told_at"]) + timedelta(seconds=gone)

    def run_clock_to(self, target: datetime, *, rate: float) -> None:
        """Let the clock hurry to `target`, then walk: a told minute in a second."""
        here = self.now()
        if here < target:
            self.set_clock(here, rate=rate)
            while (coming := (target - self.now()).total_seconds()) > 0:
                time.sleep(coming / rate)
        self.set_clock(self.now(), rate=WALKING)

    def shown_phase(self, number: str) -> str:
        """The phase of an order in the list for stops: a file, so that asking costs nothing."""
        known = register.read(DataFolder(self.data)).orders.get(number)
        return known.phase if known else ""

    def await_sweep(self) -> None:
        """Wait until the worker has looked for due work once at the time that the clock shows."""
        now = self.now()

        def is_swept() -> bool:
            last = sweep_note.read(DataFolder(self.data))
            return last is not None and last.began_at >= now

        self.wait_until("the worker", is_swept, every_s=0.02)

    # -- commands -----------------------------------------------------------------------------

    def _environment(self, actor: str | None = None) -> dict[str, str]:
        environment = {
            **os.environ,
            "COUNTERMAND_DATA": str(self.data),
            "COUNTERMAND_RELAY": self._relay,
            "COUNTERMAND_SWEEP_EVERY_S": "0.2",
            "COUNTERMAND_LOOKUP_ADDRESS": "orders.example",
            "NO_COLOR": "1",
        }
        environment.pop("COUNTERMAND_TOKEN", None)
        if actor is not None:
            environment["COUNTERMAND_TOKEN"] = self.tokens[actor]
        return environment

    def countermand(
        self, *arguments: str, actor: str | None = None, expect: Sequence[int] = (0,)
    ) -> Answer:
        """Give one command line as `actor`, with `--json`; raise on an exit code not expected.

        It is the same entry that the shell calls, in a process that stays: forty commands would
        otherwise spend a minute on starting Python.
        """
        out, err = io.StringIO(), io.StringIO()
        began = time.monotonic()
        with (
            patched_environment(self._environment(actor)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = entry.main([*arguments, "--json"])
        return _answer(arguments, code, (out.getvalue(), err.getvalue()), began, expect)

    def shell(
        self, *arguments: str, actor: str | None = None, expect: Sequence[int] = (0,)
    ) -> Answer:
        """Give one command line in a process of its own, as a person at a terminal would."""
        began = time.monotonic()
        done = subprocess.run(
            [*_COUNTERMAND, *arguments, "--json"],
            env=self._environment(actor),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        return _answer(arguments, done.returncode, (done.stdout, done.stderr), began, expect)

    def words(self, *arguments: str, actor: str | None = None) -> str:
        """Give one command line without `--json`, and return its words."""
        out = io.StringIO()
        environment = self._environment(actor) | {"COLUMNS": "96"}
        with patched_environment(environment), contextlib.redirect_stdout(out):
            code = entry.main(["--lang", self.language, *arguments])
        if code != 0:
            raise StageBroke(f"countermand {' '.join(arguments)} ended with {code}")
        return out.getvalue()

    # -- the world outside --------------------------------------------------------------------

    def running(self) -> dict[str, Any]:
        """What `countermand up` wrote down of itself: process ids and addresses."""
        running: dict[str, Any] = json.loads(
            (self.data / "run" / "up.json").read_text(encoding="utf-8")
        )
        return running

    def processes(self) -> dict[str, int]:
        """Return the process ids of Countermand's children by name (`sender-1`, `gate`, …)."""
        return {str(name): int(pid) for name, pid in self.running()["pids"].items()}

    def ask_mail_server(self, **request: Any) -> dict[str, Any]:
        """Send one request to the mail server's control socket and return its answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(30)
            link.connect(str(self._socket_path))
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("r", encoding="utf-8") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
                return answer

    def mails(self) -> list[AcceptedMail]:
        """What the server has taken so far, by its own record."""
        if self._reader is None:
            self._reader = RecordReader(self.record)
        return self._reader.mails()

    def accepted(self) -> int:
        """How many mails the server has taken so far, by its own record."""
        return len(self.mails())

    def wait_until(
        self,
        what: str,
        condition: Callable[[], bool],
        *,
        limit_s: float = 120.0,
        every_s: float = 0.05,
    ) -> float:
        """Wait for `condition`; return the seconds it took, or raise naming `what`."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit_s:
                raise StageBroke(f"waited {limit_s:.0f} s in vain for: {what}")
            time.sleep(every_s)
        return time.monotonic() - began


def _answer(
    arguments: Sequence[str],
    code: int,
    said: tuple[str, str],
    began: float,
    expect: Sequence[int],
) -> Answer:
    out, err = said
    if code not in expect:
        raise StageBroke(f"countermand {' '.join(arguments)} ended with {code}:\n{out}{err}")
    try:
        answer = json.loads(out) if out.strip() else None
    except json.JSONDecodeError:
        answer = None
    return Answer(code, answer, out + err, time.monotonic() - began)


@contextlib.contextmanager
def patched_environment(environment: dict[str, str]) -> Iterator[None]:
    """Let this process see `environment` for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def opened(stage: Stage, told_at: datetime) -> Iterator[Stage]:
    """Open the stage and close it whatever happens."""
    try:
        stage.open(told_at)
        yield stage
    finally:
        stage.close()
