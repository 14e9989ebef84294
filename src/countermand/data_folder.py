"""The data folder by its parts: one place knows where everything lies.

Standard library only. Nothing of ours is ever written outside this folder, but for sockets whose
path would be too long and for a cluster that PostgreSQL's own user could not reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.stop.durable import write_durably

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(eq=False)
class FileDamaged(CountermandError):
    """A file of the data folder cannot be read as what it is."""

    path: str
    why: str

    code: ClassVar[str] = "data.file_damaged"
    sentence: ClassVar[str] = gettext_noop("The file {path} cannot be read: {why}.")
    remedy: ClassVar[str] = gettext_noop("Restore it from a backup; do not edit it by hand.")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Names inside one data folder."""

    path: Path

    @property
    def lock(self) -> Path:
        """Locked by the one `up` of this folder, for life."""
        return self.path / "lock"

    @property
    def instance(self) -> Path:
        """Who this installation is: {instance_id, kind: production|demonstration}."""
        return self.path / "instance.json"

    @property
    def clock_file(self) -> Path:
        """What time a demonstration is told."""
        return self.path / "clock.json"

    @property
    def witness(self) -> Path:
        """What this installation saw last, so that a copy or an older state is recognised."""
        return self.path / "witness.json"

    @property
    def postgres(self) -> Path:
        """The embedded cluster with its socket and log."""
        return self.path / "postgres"

    @property
    def run(self) -> Path:
        """What is true only while `up` runs."""
        return self.path / "run"

    @property
    def up_file(self) -> Path:
        """Process ids, ports and addresses of the running `up`; 0600."""
        return self.run / "up.json"

    @property
    def fences(self) -> Path:
        """One file per stopped order; read before anything else on boot."""
        return self.path / "fences"

    @property
    def senders(self) -> Path:
        """One locked file per living sender."""
        return self.path / "senders"

    @property
    def keys(self) -> Path:
        """Private keys, passwords and tokens; folder 0700, files 0600."""
        return self.path / "keys"

    @property
    def gate(self) -> Path:
        """The gate's memory map and snapshot."""
        return self.path / "gate"

    @property
    def lookup(self) -> Path:
        """The look-up page as static files."""
        return self.path / "lookup"

    @property
    def stop(self) -> Path:
        """What the stop path knows without a database."""
        return self.path / "stop"

    @property
    def stop_register(self) -> Path:
        """Numbers of orders and hashes of tokens that the stop path knows; 0600."""
        return self.stop / "register.json"

    @property
    def logs(self) -> Path:
        """What the processes of `up` print."""
        return self.path / "logs"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that `init` makes, each 0700."""
        return (
            self.run,
            self.fences,
            self.senders,
            self.keys,
            self.gate,
            self.lookup,
            self.stop,
            self.logs,
        )

    @property
    def exists(self) -> bool:
        """Tell whether `init` has made this folder."""
        return self.instance.is_file()

    @property
    def is_demonstration(self) -> bool:
        """Tell whether this is a demonstration: mails stay on this machine, time may run fast."""
        return read_json(self.instance).get("kind") == "demonstration"

    @property
    def makes_no_orders(self) -> bool:
        """Tell whether orders are made elsewhere: on the machine with the publisher's key."""
        return self.exists and not (self.keys / "publisher-key").exists()

    @property
    def instance_id(self) -> str:
        """Return the id that tells this installation from any other, empty before `init`."""
        return str(read_json(self.instance).get("instance_id", ""))

    def running(self) -> dict[str, Any]:
        """Return what the running `up` wrote about itself; empty when there is nothing."""
        try:
            return read_json(self.up_file)
        except PermissionError:
            return {}

    def secret(self, name: str) -> str:
        """Return the text of one file in keys/; empty when it is missing or not ours to read."""
        try:
            return (self.keys / name).read_text(encoding="ascii").strip()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return ""


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds; empty when there is no file.

    Raises FileDamaged when the file holds anything else: a guess would be worse.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, UnicodeDecodeError) as error:
        raise FileDamaged(path=str(path), why=str(error)) from error
    if not isinstance(value, dict):
        raise FileDamaged(path=str(path), why=gettext_noop("it is not a JSON object"))
    return value


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 whole or not at all, durable on return."""
    write_durably(path, content, mode=PRIVATE_FILE)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as a private JSON file, whole or not at all."""
    write_private(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
