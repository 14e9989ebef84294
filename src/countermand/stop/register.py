"""What a stop must know while the database is down: the orders, and who may stop them.

Rewritten after every commit that changes an order's phase or epoch, or a token; read by `pause`,
`take-back`, the gate and the boot. It holds hashes of tokens, never tokens.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Protocol

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.stop.durable import open_lock, write_durably

_WAIT_S: Final = 2.0  # for another writer; one that hangs holds nobody up for longer


class RegisterFolder(Protocol):
    """The part of the data folder that this module needs."""

    @property
    def stop_register(self) -> Path:
        """Where the register lies."""
        ...


@dataclass(eq=False)
class RegisterUnreadable(CountermandError):
    """The register is there and cannot be understood."""

    path: str

    code: ClassVar[str] = "stop.register_unreadable"
    sentence: ClassVar[str] = gettext_noop("The list of orders in {path} cannot be read.")
    remedy: ClassVar[str] = gettext_noop(
        "Start Countermand so that it writes the list anew, or stop with --force."
    )


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """One order as the stop needs it; `stop_hash` is the SHA-256 (hex) of its emergency code."""

    epoch: int
    phase: str
    stop_hash: str = ""


@dataclass(frozen=True, slots=True)
class KnownActor:
    """One person whose token may stop orders."""

    person_id: int
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """All orders by number, and all live tokens by the SHA-256 (hex) of their text."""

    orders: Mapping[str, KnownOrder] = field(default_factory=dict)
    tokens: Mapping[str, KnownActor] = field(default_factory=dict)

    def actor(self, token: str) -> KnownActor | None:
        """Return whom `token` proves, None if nobody."""
        return self.tokens.get(_hash(token))

    def order_of_code(self, code: str) -> str | None:
        """Return the number of the order that the emergency `code` stops, None if none."""
        shown = _hash(code)
        return next((n for n, o in self.orders.items() if o.stop_hash == shown), None)


def _hash(secret: str) -> str:
    # What a terminal hands over may be no text; it is no secret of ours either.
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


@contextmanager
def changing(folder: RegisterFolder) -> Iterator[None]:
    """Keep other writers out between reading what stands and writing what shall stand."""
    path = folder.stop_register
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = open_lock(path.with_name(f".{path.name}.lock"))
    try:
        until = time.monotonic() + _WAIT_S
        while not _is_taken(file) and time.monotonic() < until:
            time.sleep(0.005)
        yield
    finally:
        os.close(file)


def _is_taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(folder: RegisterFolder, register: Register) -> None:
    """Replace the register, durably; readable by its owner alone."""
    content = {
        "version": 1,
        "orders": {
            number: {"epoch": o.epoch, "phase": o.phase, "stop_hash": o.stop_hash}
            for number, o in register.orders.items()
        },
        "tokens": {
            shown: {"person_id": a.person_id, "name": a.name, "roles": list(a.roles)}
            for shown, a in register.tokens.items()
        },
    }
    write_durably(folder.stop_register, json.dumps(content, ensure_ascii=False).encode())


def read(folder: RegisterFolder) -> Register:
    """Return the register; an empty one if none was ever written."""
    path = folder.stop_register
    try:
        raw = json.loads(path.read_bytes())
        return Register(
            orders={
                number: KnownOrder(o["epoch"], o["phase"], o["stop_hash"])
                for number, o in raw["orders"].items()
            },
            tokens={
                shown: KnownActor(a["person_id"], a["name"], tuple(a["roles"]))
                for shown, a in raw["tokens"].items()
            },
        )
    except FileNotFoundError:
        return Register()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegisterUnreadable(path=str(path)) from error
