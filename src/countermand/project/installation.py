"""What `init` makes: the data folder, who this installation is, and its keys and passwords.

Everything is made once and never made anew: a second run adds what is missing and changes nothing.
`instance.json` comes last, so that a broken first try is not taken for an installation.
"""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

from countermand.audit.signed_note import Signer, Verifier
from countermand.data_folder import (
    PRIVATE_FOLDER,
    DataFolder,
    read_json,
    write_json,
    write_private,
)
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.gate import keys as gate_keys
from countermand.project.embedded_postgres import Passwords

LOG_KEY: Final = "log-key"
LOG_PUBLIC_KEY: Final = "log-public-key"
_SECRETS: Final = (
    "gate-token",
    "django-secret-key",
    "message-id-key",
    "postgres-admin-password",
    "postgres-password",
    "postgres-sender-password",
    "postgres-gate-password",
)
_SECRET_BYTES: Final = 48
# As root, PostgreSQL's own user passes through to its cluster: it may pass, not look.
_PASSABLE_FOLDER: Final = 0o711


class Kind(StrEnum):
    """A demonstration may run its clock fast, and its mails stay on this machine."""

    PRODUCTION = "production"
    DEMONSTRATION = "demonstration"


@dataclass(eq=False)
class FolderInUse(CountermandError):
    """The folder holds something that is not ours."""

    data: str
    found: str

    code: ClassVar[str] = "init.folder_in_use"
    sentence: ClassVar[str] = gettext_noop(
        "{data} is no data folder of Countermand and is not empty: there is {found}."
    )
    remedy: ClassVar[str] = gettext_noop("Give an empty or a new folder with --data.")


@dataclass(eq=False)
class OtherKind(CountermandError):
    """An installation never changes from a demonstration to a real one, nor back."""

    data: str
    kind: str

    code: ClassVar[str] = "init.other_kind"
    sentence: ClassVar[str] = gettext_noop("The data folder {data} is for: {kind}.")
    remedy: ClassVar[str] = gettext_noop("Give another folder with --data.")


@dataclass(eq=False)
class FolderNotWritable(CountermandError):
    """The data folder cannot be made or written."""

    data: str
    why: str

    code: ClassVar[str] = "init.folder_not_writable"
    sentence: ClassVar[str] = gettext_noop("The data folder {data} cannot be written: {why}.")
    remedy: ClassVar[str] = gettext_noop("Give a folder of your own with --data.")


def make(folder: DataFolder, kind: Kind | None = None) -> bool:
    """Make the data folder, or add what is missing; return whether it is new.

    `kind` None takes what is there, production for a new one. Raises FolderInUse, OtherKind or
    FolderNotWritable.
    """
    found = read_json(folder.instance).get("kind")
    if found is not None and kind is not None and found != kind.value:
        raise OtherKind(data=str(folder.path), kind=str(found))
    if found is None:
        _refuse_foreign(folder)
    try:
        _make_folders(folder)
        instance_id = str(read_json(folder.instance).get("instance_id") or uuid.uuid4())
        _make_secrets(folder, instance_id)
        if found is None:
            told = {"instance_id": instance_id, "kind": (kind or Kind.PRODUCTION).value}
            write_json(folder.instance, told)
    except OSError as error:
        raise FolderNotWritable(data=str(folder.path), why=error.strerror or "?") from error
    return found is None


def _refuse_foreign(folder: DataFolder) -> None:
    ours = {path.name for path in (*folder.folders, folder.postgres, folder.lock)}
    ours |= {folder.clock_file.name, folder.witness.name, "postgres-home.json"}
    try:
        foreign = [each.name for each in folder.path.iterdir() if each.name not in ours]
    except FileNotFoundError:
        return
    except OSError as error:
        raise FolderNotWritable(data=str(folder.path), why=error.strerror or "?") from error
    if foreign:
        raise FolderInUse(data=str(folder.path), found=min(foreign))


def _make_folders(folder: DataFolder) -> None:
    if not folder.path.exists():
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        folder.path.mkdir()
        folder.path.chmod(_PASSABLE_FOLDER if os.geteuid() == 0 else PRIVATE_FOLDER)
    for each in folder.folders:
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def _make_secrets(folder: DataFolder, instance_id: str) -> None:
    for name in _SECRETS:
        if not (folder.keys / name).exists():
            word = secrets.token_urlsafe(_SECRET_BYTES)
            write_private(folder.keys / name, word.encode() + b"\n")
    if not (folder.keys / LOG_KEY).exists():
        signer = Signer.generate(f"countermand-{instance_id}")
        write_private(folder.keys / LOG_KEY, signer.encode().encode() + b"\n")
    if not (folder.keys / LOG_PUBLIC_KEY).exists():
        public = log_signer(folder).verifier.encode()
        write_private(folder.keys / LOG_PUBLIC_KEY, public.encode() + b"\n")
    gate_keys.make(folder.keys)


def log_signer(folder: DataFolder) -> Signer:
    """Return the key that signs heads of the log. Raises KeyNotUnderstood."""
    return Signer.parse(folder.secret(LOG_KEY))


def log_verifier(folder: DataFolder) -> Verifier:
    """Return the public key of the log. Raises KeyNotUnderstood."""
    return Verifier.parse(folder.secret(LOG_PUBLIC_KEY))


def passwords(folder: DataFolder) -> Passwords:
    """Return the passwords of the embedded database."""
    return Passwords(
        admin=folder.secret("postgres-admin-password"),
        main=folder.secret("postgres-password"),
        sender=folder.secret("postgres-sender-password"),
        gate=folder.secret("postgres-gate-password"),
    )


def secret_files(folder: DataFolder) -> tuple[Path, ...]:
    """Return every key and password file that `init` makes."""
    names = (*_SECRETS, LOG_KEY, LOG_PUBLIC_KEY, gate_keys.PRIVATE, gate_keys.PRIVATE_NEXT)
    return tuple(folder.keys / name for name in (*names, gate_keys.PINNED, gate_keys.ENTRY_KEY))
