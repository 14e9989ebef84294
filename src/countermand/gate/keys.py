"""Who may shut a door: only the holder of the publisher's key, whose public half gates pin.

    keys/publisher-key        private, of the publisher alone: signs order states
    keys/publisher-key-next   private: the next one, already pinned, so that a change loses nothing
    keys/pinned-keys.json     public halves of both, by id
    keys/entry-key            seals the entries of doors; publisher and gates hold it

A code opens (see `stop_hash`), a key shuts: the two are never the same secret.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countermand.data_folder import write_private
from countermand.domain.errors import CountermandError, gettext_noop

PRIVATE: Final = "publisher-key"
PRIVATE_NEXT: Final = "publisher-key-next"
PINNED: Final = "pinned-keys.json"
ENTRY_KEY: Final = "entry-key"
_KEY_BYTES: Final = 32


@dataclass(eq=False)
class KeyMissing(CountermandError):
    """A key file is not there, or is no key."""

    path: str

    code: ClassVar[str] = "gate.key_missing"
    sentence: ClassVar[str] = gettext_noop("The key {path} is missing or cannot be read.")
    remedy: ClassVar[str] = gettext_noop("Run countermand init, or copy the key from the worker.")


@dataclass(frozen=True, slots=True)
class PublisherKey:
    """The key that signs order states."""

    key_id: str
    private: Ed25519PrivateKey

    def sign(self, content: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        return self.private.sign(content)

    @classmethod
    def load(cls, folder: Path, name: str = PRIVATE) -> Self:
        """Read a private key from the folder of keys. Raises KeyMissing."""
        private = Ed25519PrivateKey.from_private_bytes(_bytes(folder / name))
        return cls(key_id=_id(private.public_key()), private=private)


@dataclass(frozen=True, slots=True)
class GateKeys:
    """What a gate holds: the pinned public keys, and the key of entries' seals."""

    pinned: Mapping[str, Ed25519PublicKey]
    entry_key: bytes

    def is_signed(self, key_id: str, content: bytes, signature: bytes) -> bool:
        """Tell whether a pinned key signed exactly `content`."""
        key = self.pinned.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what a gate needs from the folder of keys. Raises KeyMissing."""
        path = folder / PINNED
        try:
            named = json.loads(path.read_text(encoding="ascii"))
            pinned = {
                key_id: Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
                for key_id, public in named.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            raise KeyMissing(path=str(path)) from None
        return cls(pinned=pinned, entry_key=entry_key(folder))


def entry_key(folder: Path) -> bytes:
    """Read the key that seals entries. Raises KeyMissing."""
    return _bytes(folder / ENTRY_KEY)


def make(folder: Path) -> None:
    """Make the keys that are not there yet; what is there stays."""
    for name in (PRIVATE, PRIVATE_NEXT, ENTRY_KEY):
        if not (folder / name).exists():
            write_private(folder / name, os.urandom(_KEY_BYTES).hex().encode() + b"\n")
    publics = (
        PublisherKey.load(folder, name).private.public_key() for name in (PRIVATE, PRIVATE_NEXT)
    )
    pinned = {_id(public): public.public_bytes_raw().hex() for public in publics}
    if not (folder / PINNED).exists():
        write_private(folder / PINNED, json.dumps(pinned).encode() + b"\n")


def _id(public: Ed25519PublicKey) -> str:
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def _bytes(path: Path) -> bytes:
    try:
        content = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        raise KeyMissing(path=str(path)) from None
    if len(content) != _KEY_BYTES:
        raise KeyMissing(path=str(path))
    return content
