"""The ledger in memory: the twin of the SQL functions, for simulation and for quick tests.

It takes every decision from the pure rules (`domain.delivery`, `domain.notice_life`), and a
differential test holds it equal to PostgreSQL. Verbs are atomic: one lock around each.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from countermand.domain.delivery import (
    ClaimedNotice,
    Evidence,
    EvidenceKind,
    Holding,
    MailingFacts,
    NoticeKind,
    NoticeState,
    OrderNotStopped,
    OwedCorrection,
    PermitAnswer,
    PermitRefusal,
    Reply,
    ReplyKind,
    Settled,
    StopKind,
    Template,
    may_not_leave,
)
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import NoticeRow, NoticeStep, is_allowed, move, retry_after
from countermand.ports import StopRow

_STEP_OF_REPLY: Final = {
    ReplyKind.ACCEPTED: NoticeStep.ACCEPTED,
    ReplyKind.DEFERRED: NoticeStep.DEFERRED,
    ReplyKind.REFUSED: NoticeStep.REFUSED,
    ReplyKind.LOST: NoticeStep.LOST,
}


@dataclass(frozen=True, slots=True)
class MailingRow:
    """One order as the ledger knows it."""

    order_number: str
    mode: str
    facts: MailingFacts
    digest: str


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """One notice: what is frozen, and what moves."""

    claimed: ClaimedNotice
    person_id: int
    wave: int
    due_at: datetime
    row: NoticeRow
    claimed_by: str = ""

    def is_held(self, sender: str, holding: Holding) -> bool:
        """Say whether this is the newest holding of the mail, and the sender's."""
        return self.claimed_by == sender and self.claimed.claim == holding.claim


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One commit of permits for one order."""

    order_number: str
    epoch: int
    digest: str
    sender: str
    at: datetime
    message_ids: tuple[str, ...]


@dataclass(slots=True)
class MemoryLedger:
    """`ports.NoticeLedger` without a database. `tick` gives real seconds, for leases."""

    tick: Callable[[], float]
    mailings: dict[str, MailingRow] = field(default_factory=dict)
    notices: dict[int, StoredNotice] = field(default_factory=dict)
    templates: dict[int, Template] = field(default_factory=dict)
    batches: list[StoredBatch] = field(default_factory=list)
    _newest_claims: dict[str, int] = field(default_factory=dict)
    _leases: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def lease(self, *, sender: str, mode: str, host: str, pid: int, seconds: float) -> bool:  # noqa: ARG002
        """See `ports.SenderLedger`."""
        with self._lock:
            held = self._leases.get(sender)
            if held is not None and held[1] != host and held[2] > self.tick():
                return False
            self._leases[sender] = (mode, host, self.tick() + seconds)
            return True

    def leave(self, *, sender: str, host: str) -> None:
        """See `ports.SenderLedger`."""
        with self._lock:
            if (held := self._leases.get(sender)) is not None and held[1] == host:
                del self._leases[sender]

    def recover(self, *, sender: str, own: bool, now: datetime) -> int:
        """See `ports.SenderLedger`."""
        with self._lock:
            left = [
                (notice_id, stored)
                for notice_id, stored in self.notices.items()
                if stored.row.state in (NoticeState.CLAIMED, NoticeState.PERMITTED)
                and (own if stored.claimed_by == sender else not self._mode(stored.claimed_by))
            ]
            for notice_id, _ in left:
                self._step(notice_id, NoticeStep.SENDER_DEAD, now)
            return len(left)

    def template(self, template_id: int) -> Template:
        """See `ports.SenderLedger`."""
        return self.templates[template_id]

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        """See `ports.SenderLedger`."""
        with self._lock:
            unheard: list[int] = []
            if (lost := self._newest_claims.get(sender)) != heard:
                unheard = [
                    notice_id
                    for notice_id, stored in self.notices.items()
                    if stored.claimed_by == sender
                    and stored.claimed.claim == lost
                    and stored.row.state is NoticeState.CLAIMED
                ]
                for notice_id in unheard:
                    self._step(notice_id, NoticeStep.ABORT, now)
            self._newest_claims[sender] = claim
            if unheard:
                return []
            mode = self._mode(sender)
            due = [i for i in self.notices if self._may_be_claimed(i, mode, now)]
            due.sort(key=self._turn)
            return [self._claim(notice_id, sender, claim) for notice_id in due[:limit]]

    def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        """See `ports.SenderLedger`."""
        with self._lock:
            for reply in sorted(replies, key=_is_no_250):
                self._take_reply(reply, sender, now)
            for holding in aborted:
                if self.notices[holding.notice_id].is_held(sender, holding):
                    self._step(holding.notice_id, NoticeStep.ABORT, now)
            refusals = {holding: self._refusal(holding, sender, now) for holding in permits}
            given = [holding.notice_id for holding, refusal in refusals.items() if refusal is None]
            self._permit(given, sender, now)
            return [PermitAnswer(holding, refusals[holding]) for holding in permits]

    def permit(
        self, *, sender: str, holdings: Sequence[Holding], now: datetime
    ) -> Sequence[PermitAnswer]:
        """See `ports.NoticeLedger`."""
        return self.exchange(sender=sender, permits=holdings, replies=(), aborted=(), now=now)

    def acknowledge(self, *, sender: str, replies: Sequence[Reply], now: datetime) -> None:
        """See `ports.NoticeLedger`."""
        self.exchange(sender=sender, permits=(), replies=replies, aborted=(), now=now)

    def abort(self, *, sender: str, holdings: Sequence[Holding], now: datetime) -> None:
        """See `ports.NoticeLedger`."""
        self.exchange(sender=sender, permits=(), replies=(), aborted=holdings, now=now)

    def stop(self, stop: StopRow) -> None:
        """See `ports.NoticeLedger`."""
        with self._lock:
            mailing = self.mailings.get(stop.order_number)
            if mailing is None:
                return
            facts = mailing.facts
            final = stop.kind is StopKind.TAKE_BACK
            news = (final and not facts.withdrawn) or stop.stopped_epoch > facts.stopped_epoch
            self.change(
                stop.order_number,
                stopped_epoch=max(facts.stopped_epoch, stop.stopped_epoch),
                withdrawn=facts.withdrawn or final,
                barrier_at=None if news else facts.barrier_at,
            )

    def settle(self, *, order_number: str, now: datetime) -> Settled:
        """See `ports.NoticeLedger`."""
        with self._lock:
            mailing = self.mailings.get(order_number)
            if mailing is not None:
                facts = mailing.facts
                if not facts.withdrawn and facts.stopped_epoch < facts.epoch:
                    raise OrderNotStopped(order_number=order_number)
                step = NoticeStep.TAKE_BACK if facts.withdrawn else NoticeStep.PAUSE
                for notice_id in self._of(order_number):
                    self._step(notice_id, step, now)
                self.change(order_number, barrier_at=facts.barrier_at or now)
            rows = [
                self.notices[i].row
                for i in self._of(order_number)
                if self.notices[i].row.kind is not NoticeKind.CORRECTION
            ]
            return Settled(
                maybe=sum(row.exposure is Exposure.POSSIBLE for row in rows),
                skipped=sum(row.state is NoticeState.SKIPPED for row in rows),
                certain=sum(row.exposure is Exposure.CERTAIN for row in rows),
            )

    def corrections(self, *, order_number: str) -> Iterable[OwedCorrection]:
        """See `ports.NoticeLedger`."""
        with self._lock:
            mails = [self.notices[i] for i in self._of(order_number)]
            corrected = {
                (m.person_id, m.claimed.address)
                for m in mails
                if m.row.kind is NoticeKind.CORRECTION
            }
            reached: dict[tuple[int, str], list[StoredNotice]] = {}
            for mail in mails:
                whom = (mail.person_id, mail.claimed.address)
                if (
                    mail.row.kind is not NoticeKind.CORRECTION
                    and mail.row.exposure > Exposure.NONE
                    and whom not in corrected
                ):
                    reached.setdefault(whom, []).append(mail)
            return [_owed(*whom, reached[whom]) for whom in sorted(reached)]

    def evidence(self, *, evidence: Iterable[Evidence]) -> None:
        """See `ports.NoticeLedger`."""
        with self._lock:
            for each in evidence:
                if each.notice_id not in self.notices:
                    continue
                moved = self._step(each.notice_id, NoticeStep(each.kind.value), each.at)
                if moved and each.kind is EvidenceKind.RELAY_LOG_NOT_ACCEPTED:
                    stored = self.notices[each.notice_id]
                    if self.mailings[stored.claimed.order_number].facts.withdrawn:
                        self._step(each.notice_id, NoticeStep.TAKE_BACK, each.at)

    def change(self, order_number: str, **facts: object) -> None:
        """Change what the ledger knows about an order, as `notices.actions` does."""
        mailing = self.mailings[order_number]
        changed = dataclasses.replace(mailing.facts, **facts)  # type: ignore[arg-type]
        self.mailings[order_number] = dataclasses.replace(mailing, facts=changed)

    def _of(self, order_number: str) -> list[int]:
        return [i for i, n in self.notices.items() if n.claimed.order_number == order_number]

    def _mode(self, sender: str) -> str | None:
        held = self._leases.get(sender)
        return held[0] if held is not None and held[2] > self.tick() else None

    def _step(self, notice_id: int, step: NoticeStep, now: datetime) -> bool:
        stored = self.notices[notice_id]
        if not is_allowed(stored.row, step):
            return False
        row = move(stored.row, step)
        put_off = step in (NoticeStep.DEFERRED, NoticeStep.REFUSED, NoticeStep.LOST) or (
            stored.row.state is NoticeState.PERMITTED
            and step in (NoticeStep.SENDER_DEAD, NoticeStep.PAUSE, NoticeStep.TAKE_BACK)
        )
        due_at = now + retry_after(stored.row.attempts) if put_off else stored.due_at
        in_hand = row.state in (NoticeState.CLAIMED, NoticeState.PERMITTED)
        claimed_by = stored.claimed_by if in_hand else ""
        self.notices[notice_id] = dataclasses.replace(
            stored, row=row, due_at=due_at, claimed_by=claimed_by
        )
        return True

    def _turn(self, notice_id: int) -> tuple[bool, str, datetime, int]:
        stored = self.notices[notice_id]
        is_correction = stored.row.kind is NoticeKind.CORRECTION
        return (not is_correction, stored.claimed.order_number, stored.due_at, notice_id)

    def _may_be_claimed(self, notice_id: int, mode: str | None, now: datetime) -> bool:
        stored = self.notices[notice_id]
        mailing = self.mailings.get(stored.claimed.order_number)
        return (
            mailing is not None
            and mode == mailing.mode
            and stored.due_at <= now
            and is_allowed(stored.row, NoticeStep.CLAIM)
            and may_not_leave(
                stored.row.kind,
                wave=stored.wave,
                epoch=mailing.facts.epoch,
                mailing=mailing.facts,
                now=now,
            )
            is None
        )

    def _claim(self, notice_id: int, sender: str, claim: int) -> ClaimedNotice:
        stored = self.notices[notice_id]
        epoch = self.mailings[stored.claimed.order_number].facts.epoch
        claimed = stored.claimed._replace(claim=claim, epoch=epoch, attempts=stored.row.attempts)
        self.notices[notice_id] = dataclasses.replace(
            stored, row=move(stored.row, NoticeStep.CLAIM), claimed=claimed, claimed_by=sender
        )
        return claimed

    def _take_reply(self, reply: Reply, sender: str, now: datetime) -> None:
        # A 250 is the truth, whoever holds the row by now.
        stored = self.notices[reply.holding.notice_id]
        if reply.kind is ReplyKind.ACCEPTED or stored.is_held(sender, reply.holding):
            self._step(reply.holding.notice_id, _STEP_OF_REPLY[reply.kind], now)

    def _refusal(self, holding: Holding, sender: str, now: datetime) -> PermitRefusal | None:
        stored = self.notices.get(holding.notice_id)
        if (
            stored is None
            or stored.row.state is not NoticeState.CLAIMED
            or not stored.is_held(sender, holding)
        ):
            return PermitRefusal.NOT_CLAIMED
        mailing = self.mailings[stored.claimed.order_number]
        mode = self._mode(sender)
        if mode is None:
            return PermitRefusal.LEASE
        if mode != mailing.mode:
            return PermitRefusal.MODE
        return may_not_leave(
            stored.row.kind,
            wave=stored.wave,
            epoch=stored.claimed.epoch,
            mailing=mailing.facts,
            now=now,
        )

    def _permit(self, notice_ids: list[int], sender: str, now: datetime) -> None:
        by_order: dict[str, list[str]] = {}
        for notice_id in notice_ids:
            self._step(notice_id, NoticeStep.PERMIT, now)
            claimed = self.notices[notice_id].claimed
            by_order.setdefault(claimed.order_number, []).append(claimed.message_id)
        for order_number, message_ids in by_order.items():
            mailing = self.mailings[order_number]
            self.batches.append(
                StoredBatch(
                    order_number=order_number,
                    epoch=mailing.facts.epoch,
                    digest=mailing.digest,
                    sender=sender,
                    at=now,
                    message_ids=tuple(sorted(message_ids)),
                )
            )


def _is_no_250(reply: Reply) -> bool:
    return reply.kind is not ReplyKind.ACCEPTED


def _owed(person_id: int, address: str, mails: list[StoredNotice]) -> OwedCorrection:
    first = min(mails, key=lambda m: (m.row.kind is not NoticeKind.NOTICE, m.claimed.notice_id))
    return OwedCorrection(
        person_id=person_id,
        address=address,
        language=first.claimed.language,
        exposure=max(mail.row.exposure for mail in mails),
        notice_message_id=first.claimed.message_id,
    )
