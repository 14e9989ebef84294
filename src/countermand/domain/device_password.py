"""What a device password looks like, and under which name the door knows the device.

    k7fd-m2qx-9wsa-cc4h-t3nv     what is shown once and typed once
    k7fd                         its first group: says whose hash to verify, and proves nothing
    phone-x4t9m2qa               what the mail server tells the gate: one device's, for ever

Sixteen letters of thirty-one are secret: 79 bits. Letters that look alike are left out. Pure: the
random bytes are an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from countermand.domain.address import shown_address

_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_FAIR: Final = 256 - 256 % len(_ALPHABET)  # bytes above would prefer the first letters
_GROUP: Final = 4
_GROUPS: Final = 5
_NAME_LETTERS: Final = 8
RANDOM_BYTES: Final = 128  # far more than are ever needed: 28 fair ones out of 128
SHARDS: Final = 4096
_KINDS: Final = frozenset({"phone", "tablet", "laptop", "computer", "device"})
# Dovecot takes `*` and `?` for wild cards where sessions are ended, and tabs part our lines.
_NAME: Final = re.compile(r"[^\s*?/\x00-\x1f\x7f:]+")
_LOGIN: Final = re.compile(rf"{_NAME.pattern}@{_NAME.pattern}")


@dataclass(frozen=True, slots=True)
class FreshPassword:
    """One new password, its first group, and the name of its device."""

    text: str
    tag: str
    device_name: str


def fresh(random: bytes, *, kind: str = "device") -> FreshPassword:
    """Build a password out of RANDOM_BYTES random bytes; an unknown kind is a device."""
    letters = _letters(random)
    groups = ["".join(next(letters) for _ in range(_GROUP)) for _ in range(_GROUPS)]
    name = "".join(next(letters) for _ in range(_NAME_LETTERS))
    return FreshPassword(
        text="-".join(groups),
        tag=groups[0],
        device_name=f"{kind if kind in _KINDS else 'device'}-{name}",
    )


def kind_of(platform: str) -> str:
    """Return the word with which the name of a device of this platform begins."""
    kinds = {"ios": "phone", "android": "phone", "ipados": "tablet", "macos": "computer"}
    return {**kinds, "windows": "computer", "linux": "computer"}.get(platform, "device")


def fits_mail_server(login: str) -> bool:
    """Whether a login can be written into the mail server's files, and be named to it."""
    return bool(_LOGIN.fullmatch(login))


def names_in_files(address: str, logins: Iterable[str]) -> tuple[str, ...]:
    """Return how a mail server may call whoever logs in, the address first.

    A domain may be in ASCII or in its letters. Of the logins beside the address those are left out
    that cannot be written into the files.
    """
    named = [address, *(login for login in logins if _NAME.fullmatch(login))]
    return tuple(dict.fromkeys(each for name in named for each in (name, shown_address(name))))


def shard_of(login: str) -> int:
    """Return which of the SHARDS files holds a login's passwords.

    `deploy/dovecot-2.3/device-passwords.lua` computes the same from the login's bytes.
    """
    found = 0
    for byte in login.encode():
        found = (found * 31 + byte) % 1_000_003
    return found % SHARDS


def _letters(random: bytes) -> Iterator[str]:
    return (_ALPHABET[byte % len(_ALPHABET)] for byte in random if byte < _FAIR)
