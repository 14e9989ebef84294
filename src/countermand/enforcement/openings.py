"""Gates are told at once of a door that somebody opened; the feed alone may not reach one of them.

An override, or an answer that opens, is in the database by then, and every gate that follows it
hears of it there. One that is cut off from the database goes on refusing until its list of orders
is too old, unless it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of
from countermand.enforcement import queries
from countermand.enforcement.models import DoorEntry
from countermand.gate.openings import MOST, Opening, to_json
from countermand.stop.gates import Attempt, GateAnswer, Telling


def of_device(device_id: int, order_numbers: Collection[str]) -> tuple[Opening, ...]:
    """Return the records of one device under these orders, sealed as they are published."""
    rows = DoorEntry.objects.filter(
        device_id=device_id, order_number__in=order_numbers, deleted=False
    ).exclude(order_number="")
    return tuple(
        Opening(
            door=door_key(row.login, row.device_key),
            record=body_of(queries.facts_of(row)) + bytes.fromhex(row.checksum),
            version=row.version,
        )
        for row in rows.order_by("id")
    )


def tell(
    device_id: int, order_numbers: Collection[str], *, gates: Sequence[str], token: str
) -> tuple[GateAnswer, ...]:
    """Tell every gate of a device that was opened; to be called once that is committed.

    No gate is waited for longer than a stop waits for it. Nothing is told where no door of the
    device could be shut.
    """
    return tuple(
        answer
        for telling in begin(device_id, order_numbers, gates=gates, token=token)
        for answer in telling.answers()
    )


def begin(
    device_id: int, order_numbers: Collection[str], *, gates: Sequence[str], token: str
) -> list[Telling]:
    """Begin to tell every gate, and wait for none."""
    openings = of_device(device_id, order_numbers) if gates else ()
    pieces = [openings[start : start + MOST] for start in range(0, len(openings), MOST)]
    return [
        Telling(gates, [Attempt("/open", to_json(piece), f"Bearer {token}")]) for piece in pieces
    ]
