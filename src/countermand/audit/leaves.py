"""What an entry looks like as a leaf of the log, for whoever writes, exports or verifies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from countermand.domain.canonical_json import canonical


def instant(at: datetime) -> str:
    """Return an instant as the log writes it: UTC, microseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leaf(
    *,
    position: int,
    event: str,
    order_number: str,
    actor_ref: str,
    facts: Mapping[str, Any],
    at: datetime,
) -> dict[str, Any]:
    """Return an entry as one JSON object."""
    return {
        "position": position,
        "event": event,
        "order": order_number,
        "actor": actor_ref,
        "facts": dict(facts),
        "at": instant(at),
    }


def leaf_bytes(entry: Mapping[str, Any]) -> bytes:
    """Return the bytes that are hashed."""
    return canonical(dict(entry))
