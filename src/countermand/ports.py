"""Small Protocols through which the rules meet the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from countermand.domain.delivery import (
    ClaimedNotice,
    Evidence,
    OwedCorrection,
    PermitAnswer,
    Reply,
    Settled,
    StopKind,
)


class Clock(Protocol):
    """Tells the time; the only source of `now` for every process."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class StopRow:
    """What one stop asks of the ledger."""

    order_number: str
    kind: StopKind
    stopped_epoch: int
    at: datetime


class NoticeLedger(Protocol):
    """The durable record of who was told what; the sender's only way to the database.

    Two implementations are held equal by a differential test: SQL functions on PostgreSQL, and an
    in-memory twin for simulation.
    """

    def claim(self, *, sender: str, limit: int, now: datetime) -> Sequence[ClaimedNotice]:
        """Hand out up to `limit` due notices; a lease only, nothing about exposure changes (N1)."""
        ...

    def permit(
        self, *, sender: str, notice_ids: Sequence[int], now: datetime
    ) -> Sequence[PermitAnswer]:
        """Commit the intent to send, one answer per id, durable on return (N4)."""
        ...

    def acknowledge(self, *, sender: str, replies: Sequence[Reply], now: datetime) -> None:
        """Record what the server answered to dots, and refusals before them (N3, N5, N6, N7)."""
        ...

    def abort(self, *, sender: str, notice_ids: Sequence[int], now: datetime) -> None:
        """Give back notices whose dot was provably not written (N2, and permitted ones too)."""
        ...

    def stop(self, stop: StopRow) -> None:
        """Raise the stopped epoch of an order; monotone and idempotent."""
        ...

    def settle(self, *, order_number: str, now: datetime) -> Settled:
        """After every sender is proven dead: nothing of this order stays in flight."""
        ...

    def corrections(self, *, order_number: str) -> Iterable[OwedCorrection]:
        """List whoever got the order or may have got it and has no correction row yet."""
        ...

    def evidence(self, *, evidence: Iterable[Evidence]) -> None:
        """Take evidence that arrived later; exposure only rises (N8, N11, N14, N15)."""
        ...
