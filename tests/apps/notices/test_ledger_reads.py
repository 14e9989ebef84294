"""What a sender asks costs as much as it is about, however many mails the ledger holds."""

from typing import Any, LiteralString, NamedTuple

import psycopg
import pytest
from psycopg.rows import TupleRow

from countermand.testing.ledger_house import NOW, SENDER
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

_MANY = 2000
# What this session has done so far and not yet told the statistics of all.
_DONE = """
    SELECT seq_tup_read + coalesce(idx_tup_fetch, 0), n_tup_upd, n_tup_hot_upd
    FROM pg_stat_xact_user_tables WHERE relname = 'notices_notice'
"""
_CLAIM = "SELECT notice_id FROM ledger_claim(%s, %s, %s, %s, %s)"
_EXCHANGE = """
    SELECT ledger_exchange(%s, %s, %s, %s, %s, %s, %s, %s, '{}', '{}', %s)
"""


class Done(NamedTuple):
    """What a session did to mails."""

    read: int
    written: int
    written_beside: int  # no index was touched


class Sender:
    """A session that stays the same, so its plans stem from what it met first."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self.session = session
        self.claim = 0
        self.permitted: list[int] = []

    def claims(self, limit: int) -> tuple[list[int], Done]:
        """Claim; return what was handed out, and what was done for it."""
        self.claim += 1
        values = [SENDER, limit, self.claim, self.claim - 1, NOW]
        rows, done = self._ask(_CLAIM, values)
        return [row[0] for row in rows], done

    def commits(self, permits: list[int]) -> Done:
        """Ask permits, tell of 250s for those before; return what was done for it."""
        heard, self.permitted = self.permitted, permits
        said = [["accepted"] * len(heard), ["250 ok"] * len(heard), ["q"] * len(heard)]
        mails = [[permits, [self.claim] * len(permits)], [heard, [self.claim] * len(heard)]]
        refused, done = self._ask(_EXCHANGE, [SENDER, *mails[0], *mails[1], *said, NOW])
        assert refused == [([],)]
        return done

    def _ask(self, statement: LiteralString, values: list[Any]) -> tuple[list[TupleRow], Done]:
        with self.session.transaction():
            before = self._done()
            rows = self.session.execute(statement, values).fetchall()
            after = self._done()
        return rows, Done(*(now - then for now, then in zip(after, before, strict=True)))

    def _done(self) -> Done:
        [row] = self.session.execute(_DONE).fetchall()
        return Done(*row)


@pytest.mark.parametrize("met_first", [0, 3])
def test_a_sender_reads_no_more_of_a_long_ledger_than_it_asks_about(
    postgres_house: PostgresHouse, database: FreshDatabase, met_first: int
) -> None:
    house = postgres_house
    house.mailing()
    house.lease()
    with psycopg.connect(database.url, autocommit=True) as session:
        sender = Sender(session)
        house.notices(range(met_first))
        for _ in range(met_first):
            [first], _ = sender.claims(1)
            sender.commits([first])
            sender.commits([])
        house.notices(range(met_first, _MANY))

        held, for_the_claim = sender.claims(10)
        for_the_permits = sender.commits(held)
        for_the_answers = sender.commits([])
        _, for_the_fold = sender.claims(0)

    assert len(held) == 10
    done = (for_the_claim, for_the_permits, for_the_answers, for_the_fold)
    assert all(each.read <= 50 for each in done), done


def test_a_mail_that_left_is_written_into_its_indexes_only_when_it_is_claimed(
    postgres_house: PostgresHouse, database: FreshDatabase
) -> None:
    house = postgres_house
    house.mailing()
    house.lease()
    house.notices(range(200))
    with psycopg.connect(database.url, autocommit=True) as session:
        sender = Sender(session)

        held, for_the_claim = sender.claims(100)
        sender.commits(held)
        sender.commits([])
        _, for_the_fold = sender.claims(0)

    assert for_the_claim.written == for_the_fold.written == 100
    assert for_the_fold.written_beside >= 80  # where a page was full, another took a mail up
