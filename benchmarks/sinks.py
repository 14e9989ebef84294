"""Where mails end: Postfix's own sink, and its own source as the floor."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_BACKLOG: Final = "1024"
PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


def program(name: str) -> str:
    """Return the path of one of Postfix's programs, or end with the sentence that helps."""
    found = shutil.which(name) or shutil.which(name, path=PATH)
    if found is None:
        raise SystemExit(
            f"there is no {name}: apt-get install --no-install-recommends postfix (start nothing)"
        )
    return found


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until somebody greets there."""
    for _ in range(1000):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
                link.recv(3)
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"nobody listens on 127.0.0.1:{port}")


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run Postfix's smtp-sink and give its port."""
    port = free_port()
    nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
    command = [program("smtp-sink"), *nobody, f"127.0.0.1:{port}", _BACKLOG]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as sink:
        try:
            wait_for_port(port)
            yield port
        finally:
            sink.kill()


def smtp_source(port: int, *, mails: int, sessions: int, size: int, to_many: bool = False) -> float:
    """Send `mails` of `size` bytes with Postfix's smtp-source; return mails per second.

    `to_many` gives every mail a recipient of its own, as ours have. A Postfix on the way looks the
    same recipient up once, and passes a third more mails on.
    """
    command = [
        *(program("smtp-source"), "-d", "-s", str(sessions), "-m", str(mails), "-l", str(size)),
        *(("-N",) if to_many else ()),
        *("-f", "orders@example.org", "-t", "p1@example.org", f"127.0.0.1:{port}"),
    ]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return mails / (time.monotonic() - begun)
