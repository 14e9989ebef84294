"""An order about everybody, and what a plan counts for it; loads Django."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from countermand.domain.lifecycle import Enforcement
from countermand.orders import documents
from countermand.orders.cells import cells_in_scope
from countermand.orders.planning import state_word, states_at_deadline, would_lose_mail

_FILE: Final = Path("examples/july-2020/order.yaml")
# The order was written in July 2020: it is read as it was then.
_WRITTEN: Final = datetime(2020, 7, 6, tzinfo=UTC)


def figures(now: datetime) -> dict[str, Any]:
    """Count devices by what is known, by platform, ownership and country, and who loses mail."""
    document = documents.read(_FILE.read_text(encoding="utf-8"), file=None, now=_WRITTEN)
    document = replace(document, apps=("tiktok",), enforcement=Enforcement.GATE)
    states = states_at_deadline("CM-7Q4K", Enforcement.GATE)
    counted: dict[str, Counter[tuple[str, str]]] = {
        name: Counter() for name in ("platform", "ownership", "country")
    }
    people, devices = set(), 0
    for whole in cells_in_scope(document, now=now):
        for cell in whole.cells:
            word = state_word(cell)
            counted["platform"][cell.device.platform, word] += 1
            counted["ownership"][cell.device.ownership, word] += 1
            counted["country"][whole.person.country, word] += 1
            if would_lose_mail(cell, "CM-7Q4K", states, now):
                people.add(whole.person.id)
                devices += 1
    return {"would_lose_mail": {"people": len(people), "devices": devices}, "counted": counted}
