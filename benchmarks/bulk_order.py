"""An order about everybody, and what a plan counts for it; loads Django."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from countermand.domain.order_parts import OrderDocument
from countermand.domain.phases import Enforcement
from countermand.orders import documents, plan_counts
from countermand.orders.plan_counts import DeviceCounts

_FILE: Final = Path("examples/july-2020/order.yaml")
# The order was written in July 2020: it is read as it was then.
_WRITTEN: Final = datetime(2020, 7, 6, tzinfo=UTC)


def document() -> OrderDocument:
    """Return an order about one app that closes doors itself."""
    read = documents.read(_FILE.read_text(encoding="utf-8"), file=None, now=_WRITTEN)
    return replace(read, apps=("tiktok",), enforcement=Enforcement.GATE)


def figures(now: datetime) -> DeviceCounts:
    """Count devices by what is known, by platform, ownership and country, and who loses mail."""
    return plan_counts.devices_in_scope(document(), now=now)
