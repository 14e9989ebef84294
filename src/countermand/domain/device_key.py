"""One device has one key, however a mail client, a proxy or an inventory happens to spell it.

The same phone shows its ActiveSync id as plain text, as raw bytes inside a base64 query, or as the
hexadecimal form that some servers make of either. All of them meet in one normal form, and a key
is always of a person and a device: a phone may hold the accounts of two people.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from countermand.domain.address import folded_name, with_ascii_domain

_SEPARATOR: Final = b"\x00"
_KEY_BYTES: Final = 16
_EMPTY: Final = hashlib.blake2b(digest_size=_KEY_BYTES)
# Shorter texts are left as they are: "3132" is more likely an id than the bytes of "12".
_LEAST_HIDDEN_TEXT: Final = 6
_PRINTABLE: Final = frozenset(range(0x21, 0x7F))


def normal_device(value: str | bytes) -> str:
    """Return the normal form of a device's id; empty when there is no id.

    Bytes and the hexadecimal form of the same bytes give the same form, and so does the text that
    they spell; letters are folded. Giving a normal form again changes nothing.
    """
    raw = value if isinstance(value, bytes) else value.strip().encode("utf-8", "surrogatepass")
    text = _text_of(raw)
    while (hidden := _hidden_text(text)) is not None:
        text = hidden
    return text


def normal_login(name: str) -> str:
    """Return the folded form of a mail login; where it is an address, its domain is in ASCII."""
    # The domain first, as addresses are folded: whole folding makes "strasse" of "straße".
    spelled = folded_name(unicodedata.normalize("NFKC", name))
    folded = unicodedata.normalize("NFKC", spelled.casefold()).strip()
    return with_ascii_domain(folded)


def door_key(login: str, device: str) -> bytes:
    """Return the 16 bytes under which the entries of a person's device are kept.

    Both arguments are normal forms.
    """
    return named_door_key(
        login.encode("utf-8", "surrogatepass") + _SEPARATOR + device.encode("ascii")
    )


def named_door_key(names: bytes) -> bytes:
    """Return the same key for both as bytes already, with a zero byte between them."""
    hashed = _EMPTY.copy()  # cheaper than one that is made anew
    hashed.update(names)
    return hashed.digest()


def plain_door_key(login: bytes, device: bytes) -> bytes:
    """Return the same key for a printable ASCII login and device, but for the case of letters."""
    return named_door_key((login + _SEPARATOR + device).lower())


def _text_of(raw: bytes) -> str:
    # Bytes that are no plain word are written as hexadecimal digits.
    return raw.decode("ascii").lower() if _PRINTABLE.issuperset(raw) else raw.hex()


def _hidden_text(text: str) -> str | None:
    """Return the plain word whose bytes `text` spells in hexadecimal, if it does."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    if len(raw) < _LEAST_HIDDEN_TEXT or not _PRINTABLE.issuperset(raw):
        return None
    return raw.decode("ascii").lower()
