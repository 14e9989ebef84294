"""What a taken-back order still has in the relay's queue is held at once, then fetched back.

    held as soon as the stop is durable -> ledger settled -> taken out -> booked as not delivered

Only a mail of which the relay says that no copy went anywhere counts as not delivered; whoever got
another one is corrected. A relay that lets nobody into its queue is no fault, but it is said.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from countermand.domain.delivery import Evidence, EvidenceKind
from countermand.domain.findings import QueueUnavailable
from countermand.notices import evidence
from countermand.ports import NoticeLedger, RelayQueue
from countermand.stop.durable import open_lock


@dataclass(frozen=True, slots=True)
class FetchedBack:
    """How many mails waited at the relay and came back undelivered; `why` says what kept some."""

    waited: int = 0
    fetched: int = 0
    why: str = ""


def hold(number: str, *, queue: RelayQueue | None) -> str:
    """Hold what waits; returns what kept us from it, in words, or nothing."""
    if queue is None:
        return ""
    try:
        waiting = evidence.waiting_at_relay(number, queue.waiting())
        if waiting:
            queue.hold(waiting)
    except QueueUnavailable as error:
        return error.why
    return ""


def fetch_back(
    number: str,
    *,
    queue: RelayQueue | None,
    ledger: NoticeLedger,
    lock: Path | None = None,
    now: datetime,
) -> FetchedBack:
    """Take what waits out of the queue, and book it; again is as good as once.

    Two at a time would each believe that the other's mails had left: `lock` is a file.
    """
    if queue is None:
        return FetchedBack()
    with _alone(lock):
        return _fetch_back(number, queue=queue, ledger=ledger, now=now)


def _fetch_back(
    number: str, *, queue: RelayQueue, ledger: NoticeLedger, now: datetime
) -> FetchedBack:
    waiting: dict[str, int] = {}
    try:
        waiting = evidence.waiting_at_relay(number, queue.waiting())
        if not waiting:
            return FetchedBack()
        queue.hold(waiting)
        fetched = queue.fetch_back(waiting)
    except QueueUnavailable as error:
        return FetchedBack(waited=len(waiting), why=error.why)
    ledger.evidence(
        evidence=[
            Evidence(waiting[queue_id], EvidenceKind.PULLED_FROM_QUEUE, now, queue_id)
            for queue_id in sorted(fetched)
        ]
    )
    return FetchedBack(waited=len(waiting), fetched=len(fetched))


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    if lock is None:
        yield
        return
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = open_lock(lock)
    try:
        # Whoever holds it asks the relay with a time limit, or is dead and holds it no more.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
