"""Ports that `up` listens on: the wished one, or the next free one, and then it says so."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop

_TRIES: Final = 100


@dataclass(eq=False)
class NoFreePort(CountermandError):
    """Nothing can be listened on near the wished port."""

    host: str
    port: int
    why: str

    code: ClassVar[str] = "up.no_free_port"
    sentence: ClassVar[str] = gettext_noop("Nothing can listen on {host}:{port}: {why}.")
    remedy: ClassVar[str] = gettext_noop("Give another address in the settings, or --port 0.")


def split(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on this port, or on the next free one; 0 takes any.

    Hold it until every port is chosen, or two programs are sent to the same one.
    """
    why = ""
    for wished in range(port, min(port + _TRIES, 65536)) if port else (0,):
        listener = socket.socket(_family(host), socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, wished))
            listener.listen(128)
        except OSError as error:
            listener.close()
            why = error.strerror or "?"
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                break
            continue
        return listener
    raise NoFreePort(host=host, port=port, why=why)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
