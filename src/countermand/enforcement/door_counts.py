"""What gates count by door is kept by the hour, so that it can be shown over time.

A gate counts upwards from when it started, and says when that was: the difference to what it said
last is what came in between. A gate that cannot be reached loses nothing but the hour in which it
is counted; one that starts anew begins at nought.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Max, Sum

from countermand.enforcement import gate_answers
from countermand.enforcement.models import DoorCount, GateReading

KEPT: Final = timedelta(days=92)
_LONGEST_NAME: Final = 30
_LARGEST_ANSWER: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """What one gate answered: its counts by door, since when, and how far it has read."""

    gate: str
    counting: str
    counts: Mapping[str, int]
    feed_version: int


def ask(gates: Sequence[str], *, token: str) -> list[Said]:
    """Ask all gates at once, for two seconds at most; those that do not answer are left out."""
    said: dict[str, Said] = {}
    threads = [
        threading.Thread(target=_ask, args=(gate, token, said), daemon=True) for gate in gates
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(gate_answers.LONGEST_S)
    return [said[gate] for gate in gates if gate in said]


@transaction.atomic
def keep(said: Said, *, now: datetime) -> int:
    """Add what came since the last reading of this gate; returns how many questions that is."""
    row = GateReading.objects.select_for_update().filter(gate=said.gate).first()
    before = row.counts if row is not None and row.counting == said.counting else {}
    hour = now.replace(minute=0, second=0, microsecond=0)
    added = 0
    for door, count in said.counts.items():
        grown = count - before.get(door, 0)
        if grown <= 0:
            continue
        added += grown
        kept, made = DoorCount.objects.get_or_create(
            gate=said.gate, hour=hour, door=door, defaults={"count": grown}
        )
        if not made:
            DoorCount.objects.filter(pk=kept.pk).update(count=F("count") + grown)
    GateReading.objects.update_or_create(
        gate=said.gate,
        defaults={
            "counting": said.counting,
            "counts": dict(said.counts),
            "feed_version": said.feed_version,
            "read_at": now,
        },
    )
    return added


def forget(*, now: datetime) -> int:
    """Delete the counts of long ago; returns how many."""
    return DoorCount.objects.filter(hour__lt=now - KEPT).delete()[0]


def last_read_at() -> datetime | None:
    """Return when a gate was read last, None before the first time."""
    newest: datetime | None = GateReading.objects.aggregate(newest=Max("read_at"))["newest"]
    return newest


@dataclass(frozen=True, slots=True)
class Hour:
    """What all gates counted in one hour, by door."""

    hour: datetime
    counts: Mapping[str, int]


def by_hour(*, since: datetime) -> tuple[Hour, ...]:
    """Return the counts of all gates together, the oldest hour first."""
    rows = (
        DoorCount.objects.filter(hour__gte=since)
        .values("hour", "door")
        .annotate(all=Sum("count"))
        .order_by("hour", "door")
    )
    found: dict[datetime, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["hour"], {})[row["door"]] = row["all"]
    return tuple(Hour(hour, counts) for hour, counts in found.items())


def in_all(*, since: datetime) -> dict[str, int]:
    """Return the counts of all gates together since then, by door."""
    rows = DoorCount.objects.filter(hour__gte=since).values("door").annotate(all=Sum("count"))
    return {row["door"]: row["all"] for row in rows.order_by("door")}


def _ask(gate: str, token: str, said: dict[str, Said]) -> None:
    address = gate.rstrip("/")
    doors = gate_answers.get(f"{address}/doors", token, largest=_LARGEST_ANSWER)
    ready = gate_answers.get(f"{address}/ready", token, largest=_LARGEST_ANSWER)
    counts = doors.get("counts")
    if not isinstance(counts, dict):
        return
    version = ready.get("feed_version", 0)
    said[gate] = Said(
        gate=gate,
        counting=f"{doors.get('boot', '')} {doors.get('since', '')}"[:200],
        counts={
            door[:_LONGEST_NAME]: count
            for door, count in counts.items()
            if isinstance(door, str) and type(count) is int and count >= 0
        },
        feed_version=version if type(version) is int else 0,
    )
