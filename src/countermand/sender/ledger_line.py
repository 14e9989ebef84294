"""The ledger as a sender asks it: in the sender's own event loop, one statement at a time.

A thread per question cost more than the question: two threads that take turns hold each other up
for longer than PostgreSQL needs. Each verb is one prepared statement that commits by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from countermand.domain.delivery import (
    ClaimedNotice,
    Holding,
    LedgerUnavailable,
    PermitAnswer,
    Reply,
    Template,
)
from countermand.ports import SenderLedger
from countermand.sender.postgres_ledger import (
    claimed,
    connected,
    holdings,
    permit_answers,
    storable,
    texts,
)

_Answer = TypeVar("_Answer")
_SUCCEEDED: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_STATEMENTS: Final = {
    b"claim": b"SELECT * FROM ledger_claim($1, $2, $3, $4, $5)",
    b"exchange": b"SELECT ledger_exchange($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    b"template": b"SELECT subject, words, html FROM ledger_template($1)",
}


class Unreadable(NamedTuple):
    """A mail that was handed out, and cannot be read."""

    holding: Holding
    fault: Exception


class LedgerLine(Protocol):
    """What connections and supply ask for while they work; see `ports.SenderLedger`."""

    async def template(self, template_id: int) -> Template:
        """Return approved words; the same for ever."""
        ...

    async def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice | Unreadable]:
        """Hand out up to `limit` due notices. Raises LedgerUnavailable."""
        ...

    async def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        """Commit replies, what is given back, and permits. Raises LedgerUnavailable."""
        ...


class ThreadLine:
    """Any ledger, asked from a thread of its own."""

    def __init__(self, ledger: SenderLedger) -> None:
        """Use `ledger` alone from now on."""
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, "ledger")

    async def template(self, template_id: int) -> Template:
        """See LedgerLine."""
        return await self._in_thread(partial(self._ledger.template, template_id))

    async def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        """See LedgerLine."""
        work = partial(
            self._ledger.claim, sender=sender, claim=claim, heard=heard, limit=limit, now=now
        )
        return await self._in_thread(work)

    async def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        """See LedgerLine."""
        work = partial(
            self._ledger.exchange,
            sender=sender,
            permits=permits,
            replies=replies,
            aborted=aborted,
            now=now,
        )
        return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class PostgresLine:
    """PostgreSQL without a thread. Not for two questions at once."""

    def __init__(self, url: str, *, sender: str) -> None:
        """Connect to `url` at the first question."""
        self._url = url
        self._sender = sender
        self._connection: psycopg.Connection[Any] | None = None
        self._prepared: set[bytes] = set()
        self._reader = Transformer()
        self._arrival: asyncio.Future[pq.abc.PGresult] | None = None
        self._found: pq.abc.PGresult | None = None

    async def template(self, template_id: int) -> Template:
        """See LedgerLine."""
        found = await self._ask(b"template", [_coded(template_id)])
        subject, text, html = self._rows(found, tuple)[0]
        return Template(template_id, subject, text, html)

    async def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice | Unreadable]:
        """See LedgerLine."""
        values = [sender.encode(), *map(_coded, (limit, claim, heard)), _at(now)]
        found = await self._ask(b"claim", values)
        try:
            return self._rows(found, partial(claimed, claim))
        except Exception:  # noqa: BLE001 - said of the very mail that cannot be read
            return self._read_one_by_one(found, claim)

    async def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        """See LedgerLine."""
        found = await self._ask(
            b"exchange",
            [
                sender.encode(),
                *_held(permits),
                *_held([reply.holding for reply in replies]),
                texts([reply.kind for reply in replies]).encode(),
                texts([storable(reply.text) for reply in replies]).encode(),
                texts([reply.queue_id or "" for reply in replies]).encode(),
                *_held(aborted),
                _at(now),
            ],
        )
        return permit_answers(permits, self._rows(found, tuple)[0][0])

    def _read_one_by_one(
        self, found: pq.abc.PGresult, claim: int
    ) -> list[ClaimedNotice | Unreadable]:
        read: list[ClaimedNotice | Unreadable] = []
        for place in range(found.ntuples):
            try:
                read += self._reader.load_rows(place, place + 1, partial(claimed, claim))
            except Exception as fault:  # noqa: BLE001 - told by whoever puts this mail off
                notice_id = int(found.get_value(place, 0) or b"0")
                read.append(Unreadable(Holding(notice_id, claim), fault))
        return read

    def _rows(
        self, found: pq.abc.PGresult, make_row: Callable[[Sequence[Any]], _Answer]
    ) -> list[_Answer]:
        self._reader.set_pgresult(found)
        return self._reader.load_rows(0, found.ntuples, make_row)

    async def _ask(self, name: bytes, values: list[bytes]) -> pq.abc.PGresult:
        try:
            session = await self._session()
            if name not in self._prepared:
                session.send_prepare(name, _STATEMENTS[name])
                await self._result(session)
                self._prepared.add(name)
            session.send_query_prepared(name, values)
            return await self._result(session)
        except psycopg.OperationalError as error:
            self.close()
            raise LedgerUnavailable(why=type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()  # its answer would be taken for that of the next question
            raise

    async def _session(self) -> pq.abc.PGconn:
        if self._connection is None:
            opened = await asyncio.to_thread(connected, self._url, f"sender:{self._sender}")
            self._connection = opened
            self._reader = Transformer(opened)
            self._prepared.clear()
            opened.pgconn.nonblocking = 1
            asyncio.get_running_loop().add_reader(opened.pgconn.socket, self._readable)
        return self._connection.pgconn

    async def _result(self, session: pq.abc.PGconn) -> pq.abc.PGresult:
        loop = asyncio.get_running_loop()
        self._found = None
        self._arrival = loop.create_future()
        if session.flush():
            loop.add_writer(session.socket, self._writable)
        try:
            found = await self._arrival
        finally:
            self._arrival = None
        if found.status not in _SUCCEEDED:
            raise errors.error_from_result(found)
        return found

    def _writable(self) -> None:
        if self._connection is not None and not self._connection.pgconn.flush():
            asyncio.get_running_loop().remove_writer(self._connection.pgconn.socket)

    def _readable(self) -> None:
        if self._connection is None:
            return
        session = self._connection.pgconn
        try:
            session.consume_input()
            while not session.is_busy():
                found = session.get_result()
                if found is None:
                    break
                self._found = found
            else:
                return
        except psycopg.OperationalError as error:
            self._fail(error)
            return
        if self._arrival is None or self._arrival.done():
            return
        if self._found is not None:
            self._arrival.set_result(self._found)

    def _fail(self, error: psycopg.OperationalError) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_exception(error)
        else:
            self.close()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is None:
            return
        gone, self._connection = self._connection, None
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, psycopg.Error):
            loop.remove_reader(gone.pgconn.socket)
            loop.remove_writer(gone.pgconn.socket)
        gone.close()


def _held(mails: Sequence[Holding]) -> list[bytes]:
    return [each.encode() for each in holdings(mails)]


def _coded(number: int) -> bytes:
    return b"%d" % number


def _at(now: datetime) -> bytes:
    return now.isoformat().encode()
