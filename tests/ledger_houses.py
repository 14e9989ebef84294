"""The two ledgers with what stands around them, for tests."""

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

from countermand.domain.delivery import (
    ClaimedNotice,
    MailingFacts,
    NoticeKind,
    NoticeState,
    Template,
)
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import NoticeRow
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.testing.ledger_house import NOW, ORDER, LedgerHouse
from countermand.testing.memory_ledger import MailingRow, MemoryLedger, StoredNotice

NOT_AFTER = NOW + timedelta(days=30)


def message_id(number: int) -> str:
    return f"<CM-7Q4K.1.notice.0.{number:020x}@example.org>"  # of the form that we write


class MemoryHouse(LedgerHouse):
    ledger: MemoryLedger

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        super().__init__(ledger or MemoryLedger(tick=time.monotonic))
        self.ledger.templates[1] = Template(1, "s", "t", "h")
        self.number = 0

    def mailing(
        self, order_number: str = ORDER, *, phase: str = "sending", mode: str = "live"
    ) -> None:
        facts = MailingFacts(phase, 1, 0, withdrawn=False, barrier_at=None, not_after=NOT_AFTER)
        self.ledger.mailings[order_number] = MailingRow(order_number, mode, facts, "d" * 64)

    def set_phase(self, order_number: str, phase: str, *, epoch: int | None = None) -> None:
        self.ledger.change(order_number, phase=phase)
        if epoch is not None:
            self.ledger.change(order_number, epoch=epoch)

    def notice(
        self,
        person_id: int,
        *,
        order_number: str = ORDER,
        kind: NoticeKind = NoticeKind.NOTICE,
        wave: int = 0,
    ) -> int:
        self.number += 1
        claimed = ClaimedNotice(
            self.number,
            0,
            order_number,
            0,
            kind,
            f"p{person_id}@example.org",
            "en",
            1,
            {},
            message_id(self.number),
            "",
            NOW,
            0,
        )
        self.ledger.notices[self.number] = StoredNotice(
            claimed, person_id, wave, NOW, NoticeRow(kind)
        )
        return self.number

    def row(self, notice_id: int) -> NoticeRow:
        return self.ledger.notices[notice_id].row

    def batches(self) -> list[tuple[str, int, tuple[str, ...]]]:
        return [
            (b.order_number, b.epoch, tuple(sorted(b.message_ids))) for b in self.ledger.batches
        ]


class PostgresHouse(LedgerHouse):
    """Rows are written here by plain SQL, so that nothing but the functions is under test."""

    ledger: PostgresLedger

    def __init__(self, url: str) -> None:
        super().__init__(PostgresLedger(url))
        self.connection = psycopg.connect(url, autocommit=True)
        self.number = 0

    def mailing(
        self, order_number: str = ORDER, *, phase: str = "sending", mode: str = "live"
    ) -> None:
        self.connection.execute(
            "INSERT INTO notices_mailing (order_number, mode, phase, epoch, stopped_epoch,"
            " withdrawn, barrier_at, not_after, digest, revision_number)"
            " VALUES (%s, %s, %s, 1, 0, false, NULL, %s, %s, 1)",
            [order_number, mode, phase, NOT_AFTER, "d" * 64],
        )

    def set_phase(self, order_number: str, phase: str, *, epoch: int | None = None) -> None:
        self.connection.execute(
            "UPDATE notices_mailing SET phase = %s, epoch = coalesce(%s, epoch)"
            " WHERE order_number = %s",
            [phase, epoch, order_number],
        )

    def notice(
        self,
        person_id: int,
        *,
        order_number: str = ORDER,
        kind: NoticeKind = NoticeKind.NOTICE,
        wave: int = 0,
    ) -> int:
        self.number += 1
        row = self.one(
            "INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id,"
            " address, language, wave, template_id, values, message_id, in_reply_to, dated_at,"
            " due_at, state, exposure, exposure_before, epoch, attempts, claimed_by, queue_id,"
            " last_reply) VALUES (%s, 1, %s, %s, %s, %s, 'en', %s, 1, '{}', %s, '', %s, %s,"
            " 'pending', 0, 0, 0, 0, '', '', '') RETURNING id",
            [
                order_number,
                kind,
                self.number,
                person_id,
                f"p{person_id}@example.org",
                wave,
                message_id(self.number),
                NOW,
                NOW,
            ],
        )
        return int(row[0])

    def row(self, notice_id: int) -> NoticeRow:
        self.fold()
        kind, state, exposure, before, attempts = self.one(
            "SELECT kind, state, exposure, exposure_before, attempts FROM notices_notice"
            " WHERE id = %s",
            [notice_id],
        )
        return NoticeRow(
            NoticeKind(kind), NoticeState(state), Exposure(exposure), Exposure(before), attempts
        )

    def fold(self) -> None:
        """Let the mails say what their senders noted down."""
        self.connection.execute(
            "SELECT ledger_catch_up(order_number) FROM"
            " (SELECT DISTINCT order_number FROM notices_openbatch) o"
        )

    def batches(self) -> list[tuple[str, int, tuple[str, ...]]]:
        rows = self.connection.execute(
            "SELECT order_number, epoch, message_ids FROM notices_permitbatch ORDER BY id"
        ).fetchall()
        return [(order, epoch, tuple(sorted(ids))) for order, epoch, ids in rows]

    def template(self, *, text: str = "Hello {name}", subject: str = "Notice for {name}") -> None:
        self.connection.execute(
            "INSERT INTO notices_template (id, order_number, revision_number, kind, variant,"
            " language, subject, text, html, sha256)"
            " VALUES (1, %s, 1, 'notice', '', 'en', %s, %s, '<p>{name}</p>', '')",
            [ORDER, subject, text],
        )

    def notices(
        self,
        people: Iterable[int],
        *,
        order_number: str = ORDER,
        kind: NoticeKind = NoticeKind.NOTICE,
    ) -> None:
        """Add many rows at once; a person's Message-ID says kind and person."""
        self.connection.execute(
            "INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id,"
            " address, language, wave, template_id, values, message_id, in_reply_to, dated_at,"
            " due_at, state, exposure, exposure_before, epoch, attempts, claimed_by, queue_id,"
            " last_reply) SELECT %(order)s::text, 1, %(kind)s::text, 0, p,"
            " 'p' || p || '@example.org', 'en',"
            " 0, 1, jsonb_build_object('name', 'N' || p),"
            " '<' || %(order)s::text || '.' || %(kind)s::text || '.' || p || '@example.org>',"
            " '', %(now)s,"
            " %(now)s, 'pending', 0, 0, 0, 0, '', '', '' FROM unnest(%(people)s::bigint[]) p",
            {"order": order_number, "kind": kind.value, "now": NOW, "people": list(people)},
        )

    def one(self, statement: LiteralString, values: Sequence[Any] = ()) -> TupleRow:
        row = self.connection.execute(statement, values).fetchone()
        assert row is not None
        return row

    def empty(self) -> None:
        self.number = 0
        self.connection.execute(
            "TRUNCATE notices_notice, notices_mailing, notices_permitbatch, notices_senderlease,"
            " notices_noticeevidence, notices_template, notices_claimbatch,"
            " notices_openbatch, notices_maillimit RESTART IDENTITY"
        )

    def close(self) -> None:
        self.ledger.close()
        self.connection.close()
