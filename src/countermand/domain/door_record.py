"""One entry of one door as bytes: what the publisher seals and what a gate keeps in its table.

    number 12 | presence 1 | flags 1 | seven instants, 8 each | seal 16

An instant is microseconds since 1970, or the least number for none. The seal is keyed and covers
the door's key too, so an entry cannot be moved to another device; a gate checks it only when the
entry would refuse.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from countermand.domain.verdict import (
    ORDER_BYTES,
    EntryFacts,
    EntryNumbers,
    facts_of,
    numbers_of,
    order_bytes,
)

_BODY: Final = struct.Struct(">12sBB7q")
SEAL_BYTES: Final = 16
RECORD_BYTES: Final = _BODY.size + SEAL_BYTES
NUMBER_BYTES: Final = ORDER_BYTES
_numbers: Final = tuple.__new__  # `_make` without its own count: the struct has as many
# The order of an entry that says only that the device is known.
NO_ORDER: Final = order_bytes("")
# All that such an entry says, of every device alike.
KNOWN_DEVICE: Final = EntryFacts(
    order_number="",
    presence="unknown",
    evidence_at=None,
    fresh_until=None,
    may_close=False,
    closes_at=datetime(9999, 1, 1, tzinfo=UTC),
    noticed_at=None,
    lock_accepted_at=None,
    attested_at=None,
    override_until=None,
)


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry as it lies in the table: its body, and the seal that somebody put on it."""

    body: bytes
    seal: bytes

    @property
    def order_number(self) -> str:
        """Return the order that the entry belongs to."""
        return self.body[:ORDER_BYTES].rstrip(b"\x00").decode("ascii", "replace")

    def facts(self) -> EntryFacts:
        """Return what the entry says."""
        return facts_of(EntryNumbers._make(_BODY.unpack(self.body)))

    def to_bytes(self) -> bytes:
        """Return the record, RECORD_BYTES long."""
        return self.body + self.seal


def body_of(facts: EntryFacts) -> bytes:
    """Return the part of a record that the seal covers."""
    return _BODY.pack(*numbers_of(facts))


def body_of_numbers(order: bytes, presence: int, flags: int, instants: Iterable[int]) -> bytes:
    """Return the same of an entry that is there as `EntryNumbers` has it."""
    return _BODY.pack(order, presence, flags, *instants)


def seal(key: bytes, door: bytes, body: bytes) -> bytes:
    """Return the keyed checksum of one entry of one door."""
    return hmac.digest(key, door + body, "sha256")[:SEAL_BYTES]


def is_genuine(record: bytes, *, entry_key: bytes, door: bytes) -> bool:
    """Tell whether the holder of the key put this record on this door."""
    body, its_seal = record[: _BODY.size], record[_BODY.size :]
    return hmac.compare_digest(seal(entry_key, door, body), its_seal)


def opened_as(record: bytes, other: bytes, *, entry_key: bytes, door: bytes) -> bytes:
    """Return a record with what opens it in another of the same order, sealed anew.

    Everything else stays, so it is never shut where the record is open.
    """
    if record[:NUMBER_BYTES] != other[:NUMBER_BYTES]:
        return record
    has = EntryNumbers._make(_BODY.unpack_from(record))
    told = EntryNumbers._make(_BODY.unpack_from(other))
    opened = has._replace(
        attested_at=max(has.attested_at, told.attested_at),
        override_until=max(has.override_until, told.override_until),
    )
    body = _BODY.pack(*opened)
    return body + seal(entry_key, door, body)


def order_and_presence(record: bytes) -> tuple[bytes, int]:
    """Return the order of one record and its presence, as `EntryNumbers` has them."""
    return record[:ORDER_BYTES], record[ORDER_BYTES]


def records(stored: bytes) -> Iterator[SealedEntry]:
    """Return the entries that lie behind each other in `stored`; a torn rest is left out."""
    for start in _starts(stored):
        middle = start + _BODY.size
        yield SealedEntry(stored[start:middle], stored[middle : start + RECORD_BYTES])


def numbers_in(stored: bytes) -> list[EntryNumbers]:
    """Return the same entries as the verdict reads them, but for those that name no order."""
    if len(stored) == RECORD_BYTES and not stored.startswith(NO_ORDER):  # nearly always
        return [_numbers(EntryNumbers, _BODY.unpack_from(stored))]
    return [
        EntryNumbers._make(_BODY.unpack_from(stored, start))
        for start in _starts(stored)
        if not stored.startswith(NO_ORDER, start)
    ]


def all_genuine(stored: bytes, order: bytes, *, entry_key: bytes, door: bytes) -> bool:
    """Tell whether every entry of `order` was put on this door by the holder of the key."""
    return len(without_forged(stored, order, entry_key=entry_key, door=door)) == (
        len(_starts(stored)) * RECORD_BYTES
    )


def without_forged(stored: bytes, order: bytes, *, entry_key: bytes, door: bytes) -> bytes:
    """Return `stored` without those entries of `order` that nobody with the key put there."""
    kept = [
        stored[start : start + RECORD_BYTES]
        for start in _starts(stored)
        if not stored.startswith(order, start)
        or hmac.compare_digest(
            seal(entry_key, door, stored[start : start + _BODY.size]),
            stored[start + _BODY.size : start + RECORD_BYTES],
        )
    ]
    return b"".join(kept)


def _starts(stored: bytes) -> range:
    return range(0, len(stored) - RECORD_BYTES + 1, RECORD_BYTES)
