"""Small Protocols through which the rules meet the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from countermand.domain.delivery import (
    ClaimedNotice,
    Evidence,
    Holding,
    OwedCorrection,
    PermitAnswer,
    Reply,
    Settled,
    StopKind,
    Template,
)
from countermand.domain.errors import Fault
from countermand.domain.findings import QueuedMail
from countermand.domain.inventory import DeviceReport, RejectedRow
from countermand.domain.withdrawal import CopyAnswer, MailCopy


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


class SenderLedger(Protocol):
    """All that a sender may do: its only way to the database."""

    def lease(self, *, sender: str, mode: str, host: str, pid: int, seconds: float) -> bool:
        """Take or renew the lease; real seconds, counted by the ledger. False: name is taken.

        `host` is the place whose locks prove that a sender is dead (`stop.senders.place`).
        """
        ...

    def leave(self, *, sender: str, host: str) -> None:
        """End the lease of a sender that has ended every connection: nobody waits for it."""
        ...

    def recover(self, *, sender: str, own: bool, now: datetime) -> int:
        """Take up what dead senders left: those without a lease, and with `own` this name too."""
        ...

    def template(self, template_id: int) -> Template:
        """Return approved words; the same for ever."""
        ...

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        """Hand out up to `limit` due notices; a lease only, nothing about exposure changes (N1).

        `claim` is this claim's number, from 1, never used twice; `heard` is the newest one of this
        sender whose answer came, or 0. What else it claimed since, no answer told it: that waits
        again. So a sender has one claim under way at a time.
        """
        ...

    def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        """Do `acknowledge`, `abort` and `permit` in one commit, in this order, durable on return.

        One answer per permit asked for. Whoever names another claim than the newest
        of that mail changes nothing, but for a 250, which is the truth.
        """
        ...


class NoticeLedger(SenderLedger, Protocol):
    """The durable record of who was told what.

    Two implementations are held equal by a differential test: SQL functions on PostgreSQL, and an
    in-memory twin for simulation. Every verb may be called again after a lost answer.
    """

    def permit(
        self, *, sender: str, holdings: Sequence[Holding], now: datetime
    ) -> Sequence[PermitAnswer]:
        """Commit the intent to send, one answer per mail, durable on return (N4)."""
        ...

    def acknowledge(self, *, sender: str, replies: Sequence[Reply], now: datetime) -> None:
        """Record what the server answered to dots, and refusals before them (N3, N5, N6, N7)."""
        ...

    def abort(self, *, sender: str, holdings: Sequence[Holding], now: datetime) -> None:
        """Give back notices whose dot was provably not written (N2, and permitted ones too)."""
        ...

    def stop(self, stop: StopRow) -> None:
        """Raise the stopped epoch of an order; monotone and idempotent."""
        ...

    def settle(self, *, order_number: str, now: datetime) -> Settled:
        """After every sender is proven dead: nothing of this order stays in flight.

        Returns how matters stand with all its mails but corrections. Raises OrderNotStopped.
        """
        ...

    def corrections(self, *, order_number: str) -> Iterable[OwedCorrection]:
        """List whoever got the order or may have got it and has no correction row yet."""
        ...

    def evidence(self, *, evidence: Iterable[Evidence]) -> None:
        """Take evidence that arrived later; exposure falls only by proof (N8, N11 to N15)."""
        ...


class Ended(StrEnum):
    """What became of the wish to end a device's sessions."""

    ENDED = "ended"
    NOT_OPEN = "not_open"
    SHARED = "shared"  # one process serves several people: ending it would hurt the others
    FAILED = "failed"  # nobody knows; asking again is harmless


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The sessions of one device: its person's mail login, and its name at the mail server.

    Where an inventory spells that name otherwise, `other_spellings` has it as it stands there.
    """

    login: str
    device_name: str
    other_spellings: tuple[str, ...] = ()


class SessionEnder(Protocol):
    """A mail server that can be asked to end sessions."""

    def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
        """End these, as exactly as the server can; an answer for each, and never an exception."""
        ...


class Faults(Protocol):
    """The faults of files as a whole."""

    @property
    def faults(self) -> Sequence[Fault]:
        """Return what keeps a load from being made at all."""
        ...


class InventorySource(Protocol):
    """One load of one source; all members are complete when `reports` is used up.

    `is_whole` claims that every device of the source was listed: whoever is missing is gone.
    """

    @property
    def kind(self) -> str:
        """The name under which is kept what it says: a kind, or kind:label."""
        ...

    @property
    def faults(self) -> Faults:
        """Return the faults for which nothing of it may be loaded."""
        ...

    @property
    def rejected(self) -> Sequence[RejectedRow]:
        """Return the devices that could not be read, each with all its faults."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether every device of the source was listed."""
        ...

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what is said about devices, and about ordered apps alone."""
        ...


class RelayQueue(Protocol):
    """The queue of a relay: mails that it accepted and has not delivered yet.

    Each verb raises QueueUnavailable; then whoever got such a mail, or may get it, is corrected.
    """

    def waiting(self) -> Sequence[QueuedMail]:
        """List what waits in the queue, anybody's mail."""
        ...

    def hold(self, queue_ids: Iterable[str]) -> None:
        """Keep these from being delivered; those that left meanwhile are passed over."""
        ...

    def fetch_back(self, queue_ids: Iterable[str]) -> frozenset[str]:
        """Take these out, and return those of which provably no copy went anywhere."""
        ...


class CopyRemover(Protocol):
    """Takes copies that nobody has read out of mailboxes, into a folder of their own."""

    def withdraw(self, copies: Sequence[MailCopy]) -> Sequence[CopyAnswer]:
        """Move each copy that is unread, and say what the mailbox then shows; one answer each.

        Twice is as good as once. What a server does not answer is `unknown`, never an exception.
        """
        ...
