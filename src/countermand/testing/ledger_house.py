"""A notice ledger and what stands around it, in the form that the contract of ledgers uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from countermand.domain.delivery import (
    ClaimedNotice,
    Holding,
    NoticeKind,
    PermitRefusal,
    Reply,
    ReplyKind,
    StopKind,
)
from countermand.domain.notice_life import NoticeRow
from countermand.ports import NoticeLedger, StopRow

NOW: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
LATER: Final = NOW + timedelta(hours=12)
ORDER: Final = "CM-7Q4K"
SENDER: Final = "sender-1"
FOR_EVER: Final = 2**53 - 1


class LedgerHouse(ABC):
    """A ledger and what stands around it: the orders and rows that the program itself writes."""

    ledger: NoticeLedger

    def __init__(self, ledger: NoticeLedger) -> None:
        """Stand around `ledger`, and keep what its senders are told."""
        self.ledger = ledger
        self._claims = 0
        self._heard: dict[str, int] = {}
        self._holdings: dict[int, Holding] = {}

    @abstractmethod
    def mailing(
        self, order_number: str = ORDER, *, phase: str = "sending", mode: str = "live"
    ) -> None:
        """Begin an order in epoch 1, with a `not_after` 30 days after NOW."""

    @abstractmethod
    def set_phase(self, order_number: str, phase: str, *, epoch: int | None = None) -> None:
        """Move the ledger's copy of an order."""

    @abstractmethod
    def notice(
        self,
        person_id: int,
        *,
        order_number: str = ORDER,
        kind: NoticeKind = NoticeKind.NOTICE,
        wave: int = 0,
    ) -> int:
        """Add a row, due at NOW, and return its id."""

    @abstractmethod
    def row(self, notice_id: int) -> NoticeRow:
        """Return the moving part of a row."""

    @abstractmethod
    def batches(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """Return order, epoch and sorted Message-IDs of every commit of permits."""

    def lease(self, sender: str = SENDER, *, mode: str = "live", seconds: float = 600) -> bool:
        """Give a sender its lease."""
        return self.ledger.lease(sender=sender, mode=mode, host="here", pid=1, seconds=seconds)

    def claim(
        self,
        limit: int = 100,
        *,
        sender: str = SENDER,
        now: datetime = NOW,
        is_answer_lost: bool = False,
    ) -> list[ClaimedNotice]:
        """Claim; of a claim whose answer is lost, the sender knows nothing afterwards."""
        self._claims += 1
        claimed = self.ledger.claim(
            sender=sender,
            claim=self._claims,
            heard=self._heard.get(sender, 0),
            limit=limit,
            now=now,
        )
        if not is_answer_lost:
            self._heard[sender] = self._claims
            self._holdings |= {each.notice_id: each.holding for each in claimed}
        return list(claimed)

    def holding(self, notice_id: int) -> Holding:
        """Return a mail as whoever claimed it last holds it."""
        return self._holdings.get(notice_id, Holding(notice_id, 0))

    def permit(self, *ids: int, sender: str = SENDER) -> dict[int, PermitRefusal | None]:
        """Ask for permits at NOW."""
        wanted = [self.holding(each) for each in ids]
        answers = self.ledger.permit(sender=sender, holdings=wanted, now=NOW)
        return {answer.holding.notice_id: answer.refusal for answer in answers}

    def reply(
        self,
        mail: int | Holding,
        kind: ReplyKind,
        *,
        sender: str = SENDER,
    ) -> None:
        """Record a reply at NOW, about the newest holding or the one that is named."""
        holding = mail if isinstance(mail, Holding) else self.holding(mail)
        reply = Reply(holding, kind, kind is not ReplyKind.DEFERRED, "as told", None)
        self.ledger.acknowledge(sender=sender, replies=[reply], now=NOW)

    def stop(self, kind: StopKind, *, epoch: int = 1) -> None:
        """Stop the order."""
        stopped = FOR_EVER if kind is StopKind.TAKE_BACK else epoch
        self.ledger.stop(StopRow(ORDER, kind, stopped, NOW))

    def slept_and_claimed_anew(self) -> tuple[Holding, Holding]:
        """Let a sender sleep past its lease, and claim what it still holds; returns both."""
        self.notice(1)
        self.lease("sender-2")
        [older] = self.claim()
        self.lease(seconds=-1)
        self.ledger.recover(sender="sender-2", own=False, now=NOW)
        self.lease()
        [newer] = self.claim()
        return older.holding, newer.holding

    def permitted(self, person_id: int = 1) -> int:
        """Bring one notice to where its dot may be written."""
        notice_id = self.notice(person_id)
        self.claim()
        if refusal := self.permit(notice_id)[notice_id]:
            pytest.fail(f"no permit: {refusal}")
        return notice_id
