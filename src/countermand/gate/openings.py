"""Doors that are opened ahead of the feed: told to the control port, where a gate hears no feed.

A record that is told counts by its seal, and of it only the two instants that open: what somebody
said, and until when somebody lets the device through. All else stays as the table has it, so
nothing told here shuts a door, nor shuts one earlier. The feed brings the whole row later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import lmdb

from countermand.domain.door_record import RECORD_BYTES, is_genuine, opened_as, records
from countermand.gate import log_lines
from countermand.gate.table import FeedRow, Table

MOST: Final = 60
_DOOR_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Opening:
    """The record of one order on one door as it is published, and its version in the feed."""

    door: bytes
    record: bytes
    version: int


class Outcome(StrEnum):
    """What became of openings that were told."""

    OPEN = "open"
    FORGED = "forged"
    NOT_WRITTEN = "not_written"


def to_json(openings: Iterable[Opening]) -> bytes:
    """Write openings for a gate, MOST at most."""
    rows = [[each.door.hex(), each.record.hex(), each.version] for each in openings]
    return json.dumps({"openings": rows}, separators=(",", ":")).encode()


def read(body: bytes) -> list[Opening] | None:
    """Read what `to_json` wrote; None where it is anything else."""
    try:
        rows = json.loads(body)["openings"]
        found = [Opening(bytes.fromhex(a), bytes.fromhex(b), version) for a, b, version in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if 0 < len(found) <= MOST and all(map(_has_form, found)) else None


def _has_form(opening: Opening) -> bool:
    is_long_enough = len(opening.door) == _DOOR_BYTES and len(opening.record) == RECORD_BYTES
    return is_long_enough and type(opening.version) is int and opening.version > 0


class Openings:
    """Takes openings over into the table of this gate, which any of its processes reads."""

    def __init__(self, table: Table, entry_key: bytes) -> None:
        """Write into `table` what bears a seal of `entry_key`."""
        self._table = table
        self._entry_key = entry_key

    def take(self, openings: Sequence[Opening]) -> Outcome:
        """Open these doors durably, as far as this gate shuts them and does not know it yet."""
        key = self._entry_key
        if not all(is_genuine(each.record, entry_key=key, door=each.door) for each in openings):
            return Outcome.FORGED

        def rows(version: int, stored: Callable[[bytes], bytes]) -> Iterator[FeedRow]:
            for each in openings:
                if version < each.version:
                    yield from self._rows(each, stored(each.door))

        try:
            self._table.amend(rows)
        except (OSError, lmdb.Error) as error:
            log_lines.error("opening.not_written", why=str(error), consequence="it is not open")
            return Outcome.NOT_WRITTEN
        return Outcome.OPEN

    def _rows(self, opening: Opening, stored: bytes) -> Iterator[FeedRow]:
        for entry in records(stored):
            record = entry.to_bytes()
            # One that nobody with the key put there shuts nothing, and gets no seal here.
            if is_genuine(record, entry_key=self._entry_key, door=opening.door):
                opened = opened_as(
                    record, opening.record, entry_key=self._entry_key, door=opening.door
                )
                if opened != record:
                    yield FeedRow(opening.door, entry.order_number, opened)
