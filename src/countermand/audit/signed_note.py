"""Signed heads of the log, in the form that other programs check too (C2SP signed note, Ed25519).

A head reads: origin, number of entries, root in base64; an empty line; the signature. A key pair
is two lines of text: `PRIVATE+KEY+name+id+base64` and `name+id+base64`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.merkle_log import HASH_BYTES

_ED25519: Final = b"\x01"
_PRIVATE: Final = "PRIVATE+KEY+"
_SIGNATURE: Final = re.compile("— (?P<name>[^ +\n]+) (?P<signature>[A-Za-z0-9+/=]+)\n")
_SIZE: Final = re.compile("0|[1-9][0-9]{0,18}")
_ID_BYTES: Final = 4


@dataclass(eq=False)
class KeyNotUnderstood(CountermandError):
    """A key of the log is not written as one; the key itself is never shown."""

    what: str

    code: ClassVar[str] = "log.key_not_understood"
    sentence: ClassVar[str] = gettext_noop("This is no key of the log: {what}.")
    remedy: ClassVar[str] = gettext_noop("Restore the folder keys, or run countermand init.")


@dataclass(eq=False)
class NoteNotGenuine(CountermandError):
    """A head of the log is not signed by the log's key, or is not written as one."""

    why: str

    code: ClassVar[str] = "log.note_not_genuine"
    sentence: ClassVar[str] = gettext_noop("A signed head of the log is not genuine: {why}.")
    remedy: ClassVar[str] = gettext_noop("Compare it with a copy that somebody else kept.")


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says: the log `origin` had `size` entries, and this root over them."""

    origin: str
    size: int
    root_hash: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root_hash).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the signed text; raise NoteNotGenuine."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004
            raise NoteNotGenuine(why=gettext_noop("its text has another form"))
        root_hash = _decoded(lines[2])
        head = cls(origin=lines[0], size=int(lines[1]), root_hash=root_hash)
        if len(root_hash) != HASH_BYTES or head.text() != text:
            raise NoteNotGenuine(why=gettext_noop("its root has another form"))
        return head


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half: tells genuine heads from others."""

    name: str
    public: Ed25519PublicKey

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        raw = self.public.public_bytes_raw()
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + raw).digest()[:_ID_BYTES]

    def encode(self) -> str:
        """Return the line that `parse` reads."""
        raw = base64.b64encode(_ED25519 + self.public.public_bytes_raw()).decode()
        return f"{self.name}+{self.key_id.hex()}+{raw}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a public key; raise KeyNotUnderstood."""
        name, _, rest = line.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        verifier = cls(name=name, public=Ed25519PublicKey.from_public_bytes(_key_bytes(encoded)))
        if not name or verifier.key_id.hex() != key_id:
            raise KeyNotUnderstood(what=gettext_noop("name, id and key do not belong together"))
        return verifier

    def open(self, note: str) -> Head:
        """Return what a signed head says; raise NoteNotGenuine."""
        text, blank, signatures = note.rpartition("\n\n")
        match = _SIGNATURE.fullmatch(signatures)
        if not blank or match is None or match["name"] != self.name:
            raise NoteNotGenuine(why=gettext_noop("it carries no signature of this log"))
        signature = _decoded(match["signature"])
        if base64.b64encode(signature).decode() != match["signature"]:
            raise NoteNotGenuine(why=gettext_noop("its signature is written in another way"))
        if signature[:_ID_BYTES] != self.key_id:
            raise NoteNotGenuine(why=gettext_noop("another key signed it"))
        text += "\n"
        try:
            self.public.verify(signature[_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise NoteNotGenuine(why=gettext_noop("the signature does not fit the text")) from None
        return Head.parse(text)


@dataclass(frozen=True, slots=True)
class Signer:
    """The private half: signs heads."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(name=self.name, public=self.private.public_key())

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a new key pair."""
        return cls(name=name, private=Ed25519PrivateKey.generate())

    def encode(self) -> str:
        """Return the line that `parse` reads. It is a secret."""
        raw = base64.b64encode(_ED25519 + self.private.private_bytes_raw()).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{raw}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a private key; raise KeyNotUnderstood."""
        if not line.startswith(_PRIVATE):
            raise KeyNotUnderstood(what=gettext_noop("it does not begin as a private key does"))
        name, _, rest = line.strip().removeprefix(_PRIVATE).partition("+")
        key_id, _, encoded = rest.partition("+")
        signer = cls(name=name, private=Ed25519PrivateKey.from_private_bytes(_key_bytes(encoded)))
        if not name or signer.verifier.key_id.hex() != key_id:
            raise KeyNotUnderstood(what=gettext_noop("name, id and key do not belong together"))
        return signer

    def sign(self, head: Head) -> str:
        """Return the signed head."""
        text = head.text()
        signature = self.verifier.key_id + self.private.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteNotGenuine(why=gettext_noop("it is not base64")) from None


def _key_bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyNotUnderstood(what=gettext_noop("it is not base64")) from None
    if raw[:1] != _ED25519 or len(raw) != 1 + HASH_BYTES:
        raise KeyNotUnderstood(what=gettext_noop("it is no Ed25519 key"))
    return raw[1:]
