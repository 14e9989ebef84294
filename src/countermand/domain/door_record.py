"""One entry of one door as bytes: what the publisher seals and what a gate keeps in its table.

    number 12 | presence 1 | flags 1 | seven instants, 8 each | seal 16

An instant is microseconds since 1970, or the least number for none. The seal is keyed and covers
the door's key too, so an entry cannot be moved to another device; a gate checks it only when the
entry would refuse.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from countermand.domain.verdict import EntryFacts

_BODY: Final = struct.Struct(">12sBB7q")
_SEAL_BYTES: Final = 16
RECORD_BYTES: Final = _BODY.size + _SEAL_BYTES
NUMBER_BYTES: Final = 12
_NONE: Final = -(2**63)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAY_CLOSE: Final = 1
# A presence that is none of these is written as "unknown", which never closes a door.
_PRESENCES: Final = ("unknown", "present", "absent", "unobservable")


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry as it lies in the table: its body, and the seal that somebody put on it."""

    body: bytes
    seal: bytes

    @property
    def order_number(self) -> str:
        """Return the order that the entry belongs to."""
        return self.body[:NUMBER_BYTES].rstrip(b"\x00").decode("ascii", "replace")

    def facts(self) -> EntryFacts:
        """Return the entry in the form that the verdict is computed from."""
        _, presence, flags, *instants = _BODY.unpack(self.body)
        evidence, fresh, closes, noticed, lock, attested, override = map(_instant, instants)
        known = presence < len(_PRESENCES)
        return EntryFacts(
            order_number=self.order_number,
            presence=_PRESENCES[presence] if known else _PRESENCES[0],
            evidence_at=evidence,
            fresh_until=fresh,
            may_close=bool(flags & _MAY_CLOSE),
            closes_at=closes or datetime.max.replace(tzinfo=UTC),
            noticed_at=noticed,
            lock_accepted_at=lock,
            attested_at=attested,
            override_until=override,
        )

    def is_genuine(self, key: bytes, door: bytes) -> bool:
        """Tell whether the holder of `key` put this entry on this door."""
        return hmac.compare_digest(seal(key, door, self.body), self.seal)

    def to_bytes(self) -> bytes:
        """Return the record, RECORD_BYTES long."""
        return self.body + self.seal


def body_of(facts: EntryFacts) -> bytes:
    """Return the part of a record that the seal covers."""
    known = facts.presence in _PRESENCES
    return _BODY.pack(
        facts.order_number.encode("ascii"),
        _PRESENCES.index(facts.presence) if known else 0,
        _MAY_CLOSE if facts.may_close else 0,
        _number(facts.evidence_at),
        _number(facts.fresh_until),
        _number(facts.closes_at),
        _number(facts.noticed_at),
        _number(facts.lock_accepted_at),
        _number(facts.attested_at),
        _number(facts.override_until),
    )


def seal(key: bytes, door: bytes, body: bytes) -> bytes:
    """Return the keyed checksum of one entry of one door."""
    return hmac.digest(key, door + body, hashlib.sha256)[:_SEAL_BYTES]


def records(stored: bytes) -> Iterator[SealedEntry]:
    """Return the entries that lie behind each other in `stored`; a torn rest is left out."""
    whole = len(stored) - len(stored) % RECORD_BYTES
    for start in range(0, whole, RECORD_BYTES):
        middle = start + _BODY.size
        yield SealedEntry(stored[start:middle], stored[middle : start + RECORD_BYTES])


def _number(instant: datetime | None) -> int:
    return _NONE if instant is None else (instant - _EPOCH) // _MICROSECOND


def _instant(number: int) -> datetime | None:
    if number == _NONE:
        return None
    try:
        return _EPOCH + timedelta(microseconds=number)
    except OverflowError:
        return None
