"""The servers that are measured beside each other, each pinned, and wrk that asks them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import gate_world
from benchmarks.gate_world import TOKEN, Phone
from countermand.data_folder import DataFolder
from countermand.project import postgres_home
from countermand.project.embedded_postgres import EmbeddedPostgres, Passwords

GATE_CORE: Final = 0
WRK_CORE: Final = 1
_CONNECTIONS: Final = 32
_PATIENCE_S: Final = 60.0
_OPA: Final = "opa-golib-python-bindings==0.4.4"
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_NGINX: Final = """
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3;
  uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
  upstream answering {{ server 127.0.0.1:{static}; keepalive 64; }}
  upstream gate {{ server 127.0.0.1:{gate}; keepalive 64; }}
  server {{ listen 127.0.0.1:{static}; location / {{ return 204; }} }}
  server {{ listen 127.0.0.1:{plain}; location / {{ return 204; }} }}
  server {{ listen 127.0.0.1:{to_static}; {protected} {to_answering} }}
  server {{ listen 127.0.0.1:{to_gate}; {protected} {to_the_gate} }}
}}
"""
_PROTECTED: Final = """
  location / { auth_request /question; error_page 403 = @closed;
    proxy_pass http://answering; proxy_http_version 1.1; proxy_set_header Connection ""; }
  location @closed { internal; return 403; }
"""
_QUESTION: Final = """
  location = /question { internal; proxy_pass http://%s/auth; proxy_http_version 1.1;
    proxy_method GET; proxy_pass_request_headers off;
    proxy_pass_request_body off; proxy_set_header Content-Length "";
    proxy_set_header Connection ""; proxy_set_header Cookie "";
    proxy_set_header Authorization "Bearer %s"; proxy_set_header X-Original-URI $request_uri;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Remote-User $remote_user; }
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs; `pids` are all processes whose work is its work."""

    port: int
    pids: tuple[int, ...]
    control_port: int = 0

    def cpu_s(self) -> float:
        """Return the seconds of work that it has done."""
        return sum(_cpu_s(pid) for each in self.pids for pid in family(each))


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the load generator showed."""

    per_s: float
    cpu_us: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Wrk:
    """The load generator, one thread and 32 connections that stay."""

    seconds: int

    def run(self, server: Server, script: Path) -> Run:
        """Ask for a while; every answer but 204 and 403 would show in the share of refusals."""
        before_s = server.cpu_s()
        command = ["taskset", "-c", str(WRK_CORE), "wrk", "-t1", f"-c{_CONNECTIONS}", "--latency"]
        command += [f"-d{self.seconds}s", "-s", str(script)]
        command.append(f"http://127.0.0.1:{server.port}/")
        said = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
        spent_s = server.cpu_s() - before_s
        [asked] = re.findall(r"(\d+) requests in", said)
        [per_s] = re.findall(r"Requests/sec:\s+([\d.]+)", said)
        [[amount, unit]] = re.findall(r"99%\s+([\d.]+)(us|ms|s)", said)
        p99_ms = float(amount) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
        return Run(float(per_s), spent_s * 1e6 / max(1, int(asked)), p99_ms)


def missing_programs() -> str:
    """Return why nothing can be compared, or nothing: a sentence that names what is missing."""
    missing = [name for name in ("wrk", "nginx", "taskset") if shutil.which(name) is None]
    if not missing:
        return ""
    return f"{' and '.join(missing)} not found (Debian: apt-get install wrk nginx-light)"


def scripts(place: Path, phones: list[Phone]) -> dict[str, Path]:
    """Write what wrk sends: the gate's question, and the phone's own request."""
    named = {name: (place / f"{name}.lua").absolute() for name in ("question", "request")}
    gate_world.write_script(named["question"], [each.question() for each in phones])
    gate_world.write_script(named["request"], [each.request() for each in phones])
    return named


@contextmanager
def gate(folder: DataFolder, *, core: int | None = None, workers: int = 1) -> Iterator[Server]:
    """The gate on this folder, without a database."""
    with starting_gate(folder, core=core, workers=workers) as process:
        said = await_ready(folder, process)
        yield Server(int(said["port"]), (process.pid,), int(said["control_port"]))


@contextmanager
def starting_gate(
    folder: DataFolder, *, core: int | None, workers: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A gate that has just been told to start."""
    ready = folder.run / "gate.ready"
    ready.unlink(missing_ok=True)
    command = ["taskset", "-c", str(core)] if core is not None else []
    command += [sys.executable, "-m", "countermand.gate", "--data", str(folder.path)]
    command += ["--port", "0", "--control-port", "0", "--workers", str(workers)]
    command += ["--ready-file", str(ready)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COUNTERMAND_", "DATABASE_"))
    }
    with (folder.logs / "gate.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def await_ready(folder: DataFolder, process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return what a starting gate says once it answers."""
    ready = folder.run / "gate.ready"
    deadline = time.monotonic() + _PATIENCE_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder.logs / "gate.log").read_text(encoding="utf-8"))
        time.sleep(0.001)
    said: dict[str, int] = json.loads(ready.read_text(encoding="utf-8"))
    return said


@contextmanager
def nginx(place: Path, gate_server: Server) -> Iterator[dict[str, Server]]:
    """One nginx on the gate's core: plain, and asking a static answer, and asking the gate."""
    names = ("static", "plain", "to_static", "to_gate")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    config = place.absolute() / "nginx.conf"
    config.write_text(
        _NGINX.format(
            place=place.absolute(),
            gate=gate_server.port,
            protected=_PROTECTED,
            to_answering=_QUESTION % ("answering", TOKEN),
            to_the_gate=_QUESTION % ("gate", TOKEN),
            **ports,
        ),
        encoding="ascii",
    )
    command = ["taskset", "-c", str(GATE_CORE), "nginx", "-c", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _await_port(ports["to_gate"])
        alone = {name: Server(ports[name], (process.pid,)) for name in names}
        both = replace(alone["to_gate"], pids=(process.pid, *gate_server.pids))
        yield alone | {"to_gate": both}
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


@contextmanager
def constant() -> Iterator[Server]:
    """What answers 204 without looking, on the gate's core and the same event loop."""
    [port] = free_ports(1)
    command = ["taskset", "-c", str(GATE_CORE), sys.executable, "-m", "benchmarks.gate_constant"]
    process = subprocess.Popen([*command, str(port)])
    try:
        _await_port(port)
        yield Server(port, (process.pid,))
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that may still be loading its devices."""

    process: subprocess.Popen[bytes]
    port: int
    besides: tuple[int, ...] = ()

    def ready(self) -> Server:
        """Wait until it answers."""
        if self.process.stdout is None or not self.process.stdout.readline():
            raise RuntimeError("a peer did not start")
        for each in (process for store in self.besides for process in family(store)):
            os.sched_setaffinity(each, {GATE_CORE})
        return Server(self.port, (self.process.pid, *self.besides))


@contextmanager
def postgres(place: Path, devices: int) -> Iterator[Peer]:
    """The same HTTP layer with one query for each question, prepared, over 16 connections."""
    folder = DataFolder((place / "postgres").absolute())
    folder.path.mkdir(exist_ok=True)
    folder.path.chmod(0o711)
    home = postgres_home.choose(folder)
    database = EmbeddedPostgres(home, Passwords("admin", "main", "sender", "gate"))
    database.start()
    try:
        with _peer("postgres", devices, database.url(), besides=(database.pid,)) as peer:
            yield peer
    finally:
        database.stop()


@dataclass(frozen=True, slots=True)
class Opa:
    """The OPA engine's own library, out of a wheel; or why it is not there."""

    folder: Path
    why_not: str

    @contextmanager
    def server(self, devices: int) -> Iterator[Peer | None]:
        """The same HTTP layer over the engine, None if the engine is not there."""
        if self.why_not:
            yield None
            return
        with _peer("opa", devices, str(self.folder)) as peer:
            yield peer


def prepare_opa(place: Path) -> Opa:
    """Fetch the wheel that carries the engine, unless an earlier run did."""
    folder = (place / "opa").absolute()
    if (folder / "opa_bindings").is_dir():
        return Opa(folder, "")
    uv = next(
        (each for each in (".tools/uv", shutil.which("uv")) if each and Path(each).exists()), ""
    )
    if not uv:
        return Opa(folder, "there is no uv to fetch its wheel with")
    # It asks for a newer Python and needs none: it is called through ctypes.
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.14", "--target", str(folder), _OPA]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    if done.returncode == 0 and (folder / "opa_bindings").is_dir():
        return Opa(folder, "")
    shutil.rmtree(folder, ignore_errors=True)
    return Opa(folder, f"its wheel cannot be had: {done.stderr.strip()[-200:]}")


@contextmanager
def _peer(kind: str, devices: int, last: str, *, besides: tuple[int, ...] = ()) -> Iterator[Peer]:
    [port] = free_ports(1)
    # It loads on any core, and goes to the gate's before it says that it is ready.
    command = [sys.executable, "-m", "benchmarks.gate_peers"]
    command += [kind, str(devices), str(port), last]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield Peer(process, port, besides)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def free_ports(number: int) -> list[int]:
    """Return ports that nobody has at the moment."""
    open_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in open_sockets]
    for each in open_sockets:
        each.close()
    return ports


def ask_control(server: Server, path: str) -> dict[str, object]:
    """Return what a gate says on its control port."""
    url = f"http://127.0.0.1:{server.control_port}{path}"
    with urllib.request.urlopen(url) as answer:
        said: dict[str, object] = json.load(answer)
    return said


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return found
    for child in children:
        found += family(int(child))
    return found


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its children, what is shared counted in shares."""
    text = "".join(
        Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii") for each in family(pid)
    )
    return sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)) / 1024
