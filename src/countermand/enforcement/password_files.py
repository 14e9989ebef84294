"""The files in which a mail server finds the passwords of devices: one look, one small file.

    form                 says what this folder is, and which state it holds
    devices/0f3          login, device, hash and tag of every password that belongs here
    limited/0f3          logins whose main password is good at the webmail alone
    passwd               all passwords in one passwd-file, where a mail server has no script: it
                         is kept up from the moment that somebody has it written

A file is replaced whole or not at all. The table in the database is the truth; the files are
written from it, under a lock, so that two writers never leave the older state. Whoever has left
is in none of them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from countermand.domain.device_password import SHARDS, shard_of
from countermand.stop.durable import give_to_owner_of, open_lock

# OWASP's second choice for Argon2id; one lane, which is all that Dovecot's library computes.
_MEMORY_KIB: Final = 19_456
_ITERATIONS: Final = 2
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_SCHEME: Final = "{ARGON2ID}"
FORM: Final = "countermand device passwords/v1"
PASSWD_FILE: Final = "passwd"  # noqa: S105 - the name of a file
_DEVICES: Final = "devices"
_LIMITED: Final = "limited"
_FOR_GROUP: Final = 0o640  # the group is that of the folder, which its administrator chose
_FOLDER_FOR_GROUP: Final = 0o750


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One password as a mail server reads it."""

    login: str
    device_name: str
    hash: str
    tag: str

    def for_lua(self) -> str:
        """Return the line of the keyed files."""
        return f"{self.login}\t{self.device_name}\t{self.hash}\t{self.tag}\n"

    def for_passwd_file(self) -> str:
        """Return the line of Dovecot's passwd-file: its login names the device, too."""
        extra = (
            f"user={self.login} user_device={self.device_name}"
            f" userdb_user_device={self.device_name} nodelay=y"
        )
        return f"{self.login}/{self.device_name}:{self.hash}::::::{extra}\n"


def hashed(text: str) -> str:
    """Return the hash of a password as Dovecot (2.3 and 2.4) verifies it: Argon2id."""
    derived = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_ITERATIONS,
        lanes=1,
        memory_cost=_MEMORY_KIB,
    )
    return _SCHEME + derived.derive_phc_encoded(text.encode())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer; make it first if it is not there."""
    folder.mkdir(mode=_FOLDER_FOR_GROUP, parents=True, exist_ok=True)
    about = folder.stat()
    for each in (folder / _DEVICES, folder / _LIMITED):
        each.mkdir(mode=_FOLDER_FOR_GROUP, exist_ok=True)
        if each.stat().st_gid != about.st_gid:
            os.chown(each, -1, about.st_gid)
        if os.geteuid() == 0:
            os.chown(each, about.st_uid, -1)
    lock = open_lock(folder / "lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def state(folder: Path) -> dict[str, Any]:
    """Return what `remember` wrote, empty when the folder has to be written anew."""
    try:
        said = json.loads((folder / "form").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and said.get("form") == FORM else {}


def remember(folder: Path, known: Mapping[str, Any]) -> None:
    """Write down which state the files hold."""
    said = json.dumps({"form": FORM, **known}, sort_keys=True)
    _replace(folder / "form", said.encode() + b"\n")


def write_devices(folder: Path, shards: Iterable[int], lines: Iterable[DeviceLine]) -> int:
    """Make these shards equal to `lines`; returns how many files changed."""
    texts: dict[int, list[str]] = {shard: [] for shard in shards}
    for each in lines:
        texts[shard_of(each.login)].append(each.for_lua())
    return _write(folder / _DEVICES, texts)


def write_limited(folder: Path, logins: Iterable[str]) -> int:
    """Make the list of limited main passwords equal to `logins`; returns how many files changed."""
    texts: dict[int, list[str]] = {shard: [] for shard in range(SHARDS)}
    for login in sorted(logins):
        texts[shard_of(login)].append(f"{login}\n")
    return _write(folder / _LIMITED, texts)


def _write(folder: Path, texts: Mapping[int, Sequence[str]]) -> int:
    changed = 0
    for shard, lines in texts.items():
        path, content = folder / f"{shard:03x}", "".join(lines).encode()
        try:
            before = path.read_bytes()
        except FileNotFoundError:
            before = b""
        if content == before:
            continue
        changed += 1
        if content:
            _replace(path, content)
        else:
            path.unlink(missing_ok=True)
    return changed


def has_passwd_file(folder: Path) -> bool:
    """Tell whether the passwd-file of this folder was ever begun."""
    return (folder / PASSWD_FILE).exists()


def write_passwd_file(path: Path, lines: Sequence[DeviceLine]) -> bool:
    """Write all passwords in the form of Dovecot's passwd-file; returns whether it changed."""
    content = "".join(each.for_passwd_file() for each in lines).encode()
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        pass
    _replace(path, content)
    return True


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _FOR_GROUP)
    try:
        with os.fdopen(descriptor, "wb") as file:
            give_to_owner_of(path.parent, file.fileno())
            os.fchmod(file.fileno(), _FOR_GROUP)
            group = path.parent.stat().st_gid
            if os.fstat(file.fileno()).st_gid != group:
                os.fchown(file.fileno(), -1, group)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
