"""The ledger on PostgreSQL: each verb is one SQL function, one statement, one commit.

A statement that commits by itself leaves no transaction open when its process is frozen or
killed. A session that still holds an order's lock is ended by whoever settles that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, LiteralString

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from countermand.domain.delivery import (
    ClaimedNotice,
    Evidence,
    Holding,
    LedgerUnavailable,
    NoticeKind,
    OrderNotStopped,
    OwedCorrection,
    PermitAnswer,
    PermitRefusal,
    Reply,
    Settled,
    StopKind,
    Template,
)
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.exposure import Exposure
from countermand.ports import StopRow

_LOCK_CLASS: Final = 1129137997  # "CMTM", as in ledger_lock_class()
_LOCK_WAIT_MS: Final = 250
_LOCK_TRIES: Final = 20
_LONGEST_STATEMENT_MS: Final = 10_000
# Settling an order, and finding whom it reached, take time in proportion to its people.
_LONGEST_SETTLING_MS: Final = 900_000
_CONNECT_S: Final = 5
_TEXT: Final = 200
_KINDS: Final = {kind.value: kind for kind in NoticeKind}

_EXCHANGE: Final = """
    SELECT ledger_exchange(
        %s, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
        %s::text[], %s::bigint[], %s::bigint[], %s)
"""
_END_HOLDERS: Final = """
    SELECT pg_terminate_backend(a.pid)
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = %s::oid
      AND l.objid = (hashtext(%s)::bigint & 4294967295)::oid
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND a.application_name LIKE 'sender:%%' AND a.pid <> pg_backend_pid()
"""


@dataclass(eq=False)
class OrderLocked(CountermandError):
    """Somebody else holds an order's lock and does not let go."""

    order_number: str

    code: ClassVar[str] = "ledger.order_locked"
    sentence: ClassVar[str] = gettext_noop(
        "Another session keeps the record of order {order_number} to itself."
    )
    remedy: ClassVar[str] = gettext_noop(
        "The order is stopped all the same; the record is completed by the next sweep."
    )


class PostgresLedger:
    """`ports.NoticeLedger` on one connection, made when needed and made again when lost.

    Not for two threads at once. `sender` names the session of a sender, so that a settle can end
    it; without it this is the program itself.
    """

    def __init__(self, url: str, *, sender: str | None = None) -> None:
        """Connect to `url` at the first call."""
        self._url = url
        self._name = f"sender:{sender}" if sender else "countermand:ledger"
        self._longest_ms = _LONGEST_STATEMENT_MS if sender else _LONGEST_SETTLING_MS
        self._connection: psycopg.Connection[TupleRow] | None = None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def lease(self, *, sender: str, mode: str, host: str, pid: int, seconds: float) -> bool:
        """See `ports.SenderLedger`."""
        rows = self._call(
            "SELECT ledger_lease(%s, %s, %s, %s, %s)", sender, mode, host, pid, seconds
        )
        return bool(rows[0][0])

    def leave(self, *, sender: str, host: str) -> None:
        """See `ports.SenderLedger`."""
        self._call("SELECT ledger_leave(%s, %s)", sender, host)

    def recover(self, *, sender: str, own: bool, now: datetime) -> int:
        """See `ports.SenderLedger`."""
        return int(self._call("SELECT ledger_recover(%s, %s, %s)", sender, own, now)[0][0])

    def template(self, template_id: int) -> Template:
        """See `ports.SenderLedger`."""
        rows = self._call("SELECT subject, words, html FROM ledger_template(%s)", template_id)
        subject, text, html = rows[0]
        return Template(template_id, subject, text, html)

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        """See `ports.SenderLedger`."""
        rows = self._call(
            "SELECT * FROM ledger_claim(%s, %s, %s, %s, %s)", sender, limit, claim, heard, now
        )
        return [claimed(claim, row) for row in rows]

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
        rows = self._call(
            _EXCHANGE,
            sender,
            *holdings(permits),
            *holdings([reply.holding for reply in replies]),
            texts([reply.kind for reply in replies]),
            texts([storable(reply.text) for reply in replies]),
            texts([reply.queue_id or "" for reply in replies]),
            *holdings(aborted),
            now,
        )
        return permit_answers(permits, rows[0][0])

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
        """See `ports.NoticeLedger`. Raises OrderLocked when the lock cannot be had."""
        final = stop.kind is StopKind.TAKE_BACK
        self._call_alone(
            stop.order_number,
            "SELECT ledger_stop(%s, %s, %s)",
            stop.order_number,
            stop.stopped_epoch,
            final,
        )

    def settle(self, *, order_number: str, now: datetime) -> Settled:
        """See `ports.NoticeLedger`. Raises OrderNotStopped or OrderLocked."""
        rows = self._call_alone(
            order_number, "SELECT * FROM ledger_settle(%s, %s)", order_number, now
        )
        maybe, skipped, certain = rows[0]
        return Settled(maybe=maybe, skipped=skipped, certain=certain)

    def corrections(self, *, order_number: str) -> Iterable[OwedCorrection]:
        """See `ports.NoticeLedger`."""
        rows = self._call("SELECT * FROM ledger_corrections(%s)", order_number)
        return [
            OwedCorrection(person, address, language, Exposure(exposure), message_id)
            for person, address, language, exposure, message_id in rows
        ]

    def evidence(self, *, evidence: Iterable[Evidence]) -> None:
        """See `ports.NoticeLedger`."""
        for each in evidence:
            self._call(
                "SELECT ledger_evidence(%s, %s, %s, %s)",
                each.notice_id,
                each.kind.value,
                each.at,
                storable(each.detail),
            )

    def _call_alone(
        self, order_number: str, statement: LiteralString, *values: Any
    ) -> list[TupleRow]:
        """Run what needs the order's lock alone; sessions of dead or frozen senders are ended."""
        self._call("SELECT set_config('lock_timeout', %s, false)", f"{_LOCK_WAIT_MS}ms")
        for _ in range(_LOCK_TRIES):
            try:
                return self._call(statement, *values)
            except errors.LockNotAvailable:
                self._call(_END_HOLDERS, _LOCK_CLASS, order_number)
            except errors.ObjectNotInPrerequisiteState:
                raise OrderNotStopped(order_number=order_number) from None
        raise OrderLocked(order_number=order_number)

    def _call(self, statement: LiteralString, *values: Any) -> list[TupleRow]:
        try:
            return self._connected().execute(statement, values).fetchall()
        except (errors.LockNotAvailable, errors.ObjectNotInPrerequisiteState):
            raise
        except psycopg.OperationalError as error:
            self.close()
            raise LedgerUnavailable(why=type(error).__name__) from error

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None:
            self._connection = connected(self._url, self._name, longest_ms=self._longest_ms)
        return self._connection


def connected(
    url: str, name: str, *, longest_ms: int = _LONGEST_STATEMENT_MS
) -> psycopg.Connection[TupleRow]:
    """Open a session named `name` for verbs of the ledger. Raises psycopg.OperationalError."""
    return psycopg.connect(
        url,
        autocommit=True,
        application_name=name,
        connect_timeout=_CONNECT_S,
        options=f"-c statement_timeout={longest_ms} -c timezone=UTC -c datestyle=ISO",
    )


def holdings(written: Sequence[Holding]) -> tuple[str, str]:
    """Write holdings as the ledger takes them: an array of mails, and one of their claims."""
    return (
        numbers([each.notice_id for each in written]),
        numbers([each.claim for each in written]),
    )


def numbers(written: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it; quicker by far than one value at a time."""
    return "{" + ",".join(map(str, written)) + "}"


def texts(written: Iterable[str]) -> str:
    """Write an array of texts as PostgreSQL reads it."""
    quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in written)
    return "{" + ",".join(f'"{each}"' for each in quoted) + "}"


def claimed(claim: int, row: Sequence[Any]) -> ClaimedNotice:
    """Read a row of ledger_claim: its columns are the fields but for the claim, in their order."""
    return ClaimedNotice._make((row[0], claim, *row[1:3], _KINDS[row[3]], *row[4:]))


def permit_answers(asked: Sequence[Holding], refusals: Sequence[str]) -> list[PermitAnswer]:
    """Read what ledger_exchange returned: nothing, or why not for each of `asked`."""
    if not refusals:
        return [PermitAnswer(each, None) for each in asked]
    return [
        PermitAnswer(each, PermitRefusal(why) if why else None)
        for each, why in zip(asked, refusals, strict=True)
    ]


def storable(text: str) -> str:
    """Cut what a server said to what the ledger keeps; PostgreSQL takes no NUL."""
    return text.replace("\x00", " ")[:_TEXT]
