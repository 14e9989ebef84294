"""A Postfix of one's own on the loopback, for tests and benchmarks; the system's stays untouched.

It needs the package `postfix` installed and root (Postfix gives its programs to its own users).
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROGRAMS: Final = Path("/usr/lib/postfix/sbin")
_POSTFIX: Final = Path("/usr/sbin/postfix")
_POSTQUEUE: Final = Path("/usr/sbin/postqueue")
_PATIENCE_S: Final = 60.0
_QUEUES: Final = ("maildrop", "incoming", "active", "deferred")
_SERVICES: Final = """
{port} inet n - n - - smtpd
{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
showq unix n - n - - showq
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str:
    """Return why no Postfix can run here, or nothing."""
    if not _POSTFIX.exists():
        return "the package postfix is not installed"
    return "" if os.geteuid() == 0 else "Postfix starts as root only"


@dataclass(frozen=True, slots=True)
class PrivatePostfix:
    """A running Postfix: where it takes mails, and what is in its queue."""

    folder: Path
    port: int
    tls_port: int

    @property
    def queue_command(self) -> str:
        """The command that looks into its queue, as `connectors.postfix` wants it: `list` alone."""
        return str(self.folder / "queue-list")

    def queued(self) -> int:
        """Count the mails that it has taken and not delivered."""
        return sum(
            len(files) for each in _QUEUES for _, _, files in os.walk(self.folder / "queue" / each)
        )

    def log(self) -> str:
        """Return what it wrote down."""
        return (self.folder / "mail.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def private_postfix(
    *, relay_to: int | None, settings: Mapping[str, str] | None = None
) -> Iterator[PrivatePostfix]:
    """Run a Postfix that hands everything to port `relay_to`; None throws all mails away."""
    folder = Path(tempfile.mkdtemp(prefix="cm-postfix-"))
    folder.chmod(0o755)
    made = PrivatePostfix(folder, _free_port(), _free_port())
    _write(made, relay_to, settings or {})
    with subprocess.Popen(
        [_POSTFIX, "-c", folder / "etc", "start-fg"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            _wait_for(made, running)
            yield made
        finally:
            subprocess.run(
                [_POSTFIX, "-c", folder / "etc", "stop"],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running.wait(30)
            shutil.rmtree(folder, ignore_errors=True)


def _write(made: PrivatePostfix, relay_to: int | None, settings: Mapping[str, str]) -> None:
    etc = made.folder / "etc"
    for name in ("etc", "queue", "data"):
        (made.folder / name).mkdir()
    shutil.chown(made.folder / "data", "postfix")
    facts = {
        "compatibility_level": "3.6",
        "queue_directory": str(made.folder / "queue"),
        "data_directory": str(made.folder / "data"),
        "command_directory": "/usr/sbin",
        "daemon_directory": str(_PROGRAMS),
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "myhostname": "relay.example",
        "mydestination": "",
        "alias_maps": "",
        "local_recipient_maps": "",
        "maillog_file": str(made.folder / "mail.log"),
        "maillog_file_prefixes": str(made.folder),
        "enable_long_queue_ids": "yes",
        "smtpd_peername_lookup": "no",
        "service_throttle_time": "1s",  # a server that fell at its start is tried again at once
        "disable_dns_lookups": "yes",
        **(
            {"default_transport": "discard:", "relay_transport": "discard:"}
            if relay_to is None
            else {"relayhost": f"[127.0.0.1]:{relay_to}"}
        ),
        **settings,
    }
    script = made.folder / "queue-list"
    script.write_text(f"#!/bin/sh\nexec {_POSTQUEUE} -c {etc} -j\n", encoding="ascii")
    script.chmod(0o755)
    lines = "".join(f"{name} = {value}\n" for name, value in facts.items())
    (etc / "main.cf").write_text(lines, encoding="utf-8")
    services = _SERVICES.format(port=f"127.0.0.1:{made.port}", tls=f"127.0.0.1:{made.tls_port}")
    (etc / "master.cf").write_text(services, encoding="utf-8")


def _free_port() -> int:
    """Return a port that no client's connection is given by the kernel meanwhile."""
    for _ in range(100):
        port = secrets.randbelow(10_000) + 20_000
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise OSError("there is no free port from 20000 to 29999")


def _wait_for(made: PrivatePostfix, running: subprocess.Popen[bytes]) -> None:
    """Wait until it greets. Raises TimeoutError with what it wrote down."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and running.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", made.port), timeout=_PATIENCE_S) as link:
                if link.recv(3) == b"220":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    log = made.folder / "mail.log"
    raise TimeoutError(f"Postfix does not answer: {log.read_text() if log.exists() else 'no log'}")
