"""What two sessions do at one instant: one has begun and is not committed when the other comes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from countermand.domain.delivery import Holding, NoticeKind, NoticeState, ReplyKind
from countermand.domain.exposure import Exposure
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.testing.ledger_house import NOW, ORDER, SENDER
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

_PATIENCE_S = 60.0
_PERMIT = """
    SELECT ledger_exchange(%s, %s, %s, '{}', '{}', '{}', '{}', '{}', '{}', '{}', %s)
"""


@pytest.fixture
def house(postgres_house: PostgresHouse) -> PostgresHouse:
    postgres_house.mailing()
    postgres_house.lease()
    return postgres_house


@contextmanager
def begun(database: FreshDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Open a session whose statements are committed at its end."""
    with psycopg.connect(database.url, application_name="sender:begun") as session:
        yield session


def permit_in(session: psycopg.Connection[Any], holding: Holding) -> None:
    given = [SENDER, [holding.notice_id], [holding.claim], NOW]
    assert session.execute(_PERMIT, given).fetchall() == [([],)]


def waits_for_a_lock(house: PostgresHouse) -> bool:
    row = house.one(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(row[0])


def let_it_wait(house: PostgresHouse, work: Future[Any]) -> None:
    """Wait until the other session has come as far as it can, or is done."""
    until = time.monotonic() + _PATIENCE_S
    while not (waits_for_a_lock(house) or work.done()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def test_a_permit_that_is_being_noted_is_seen_by_whoever_takes_the_mail_from_its_sender(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    notice_id = house.notice(1)
    [held] = house.claim()
    house.lease("sender-2")
    with ThreadPoolExecutor(1) as threads:
        with begun(database) as session:
            permit_in(session, held.holding)
            house.lease(seconds=-1)
            work = threads.submit(house.ledger.recover, sender="sender-2", own=False, now=NOW)
            let_it_wait(house, work)
        work.result()

    # Its dot may have been written: that may never be forgotten.
    assert house.row(notice_id).state is NoticeState.MAYBE
    assert house.row(notice_id).exposure is Exposure.POSSIBLE


def test_a_permit_that_is_being_noted_stays_though_its_claim_is_called_lost(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    notice_id = house.notice(1)
    [held] = house.claim(is_answer_lost=True)
    with ThreadPoolExecutor(1) as threads:
        with begun(database) as session:
            permit_in(session, held.holding)
            work = threads.submit(house.claim)
            let_it_wait(house, work)
        work.result()

    assert house.row(notice_id).state is NoticeState.PERMITTED


def test_what_a_claim_takes_that_is_committed_after_a_later_one_waits_again(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    first = house.notice(1)
    with begun(database) as session:
        session.execute("SELECT ledger_claim(%s, 1, 999, 0, %s)", [SENDER, NOW])
        second = house.notice(2)
        assert [each.notice_id for each in house.claim()] == [second]

    assert house.row(first).state is NoticeState.CLAIMED
    house.claim()
    assert [each.notice_id for each in house.claim()] == [first]
    assert house.permit(second) == {second: None}


def test_what_a_sender_claimed_anew_while_somebody_waited_stays_in_its_hands(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    notice_id = house.notice(1)
    house.claim()
    house.lease("sender-2")
    house.lease(seconds=-1)
    with ThreadPoolExecutor(1) as threads, closing_ledger(database) as other:
        with begun(database) as session:
            session.execute("SELECT ledger_lock_exclusive(%s)", [ORDER])
            work = threads.submit(other.recover, sender="sender-2", own=False, now=NOW)
            let_it_wait(house, work)
            house.lease()
            session.execute("UPDATE notices_notice SET state = 'pending', claimed_by = ''")
            session.execute("SELECT ledger_claim(%s, 1, 999, 1, %s)", [SENDER, NOW])
        assert work.result() == 0

    holdings = [Holding(notice_id, 999)]
    answers = house.ledger.permit(sender=SENDER, holdings=holdings, now=NOW)
    assert [answer.refusal for answer in answers] == [None]
    assert house.ledger.recover(sender=SENDER, own=True, now=NOW) == 1


def test_what_is_repeated_beside_its_first_try_lets_no_older_permit_out(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    """A session is cut off in its commit: whoever asked gives the mail back over another one."""
    notice_id = house.notice(1)
    [older] = house.claim()
    with begun(database) as session:
        permit_in(session, older.holding)
        house.ledger.abort(sender=SENDER, holdings=[older.holding], now=NOW)
        house.lease("sender-2")
        with closing_ledger(database) as other:
            [newer] = other.claim(sender="sender-2", claim=5, heard=0, limit=1, now=NOW)

    # The note of the older one is written by now, and says nothing of the newer.
    with pytest.raises(errors.CheckViolation):
        house.notice(1, kind=NoticeKind.CORRECTION)
    assert house.row(notice_id).state is NoticeState.CLAIMED
    assert house.row(notice_id).exposure is Exposure.NONE
    answers = house.ledger.permit(sender="sender-2", holdings=[newer.holding], now=NOW)
    assert [answer.refusal for answer in answers] == [None]


def test_a_250_that_is_being_noted_counts_though_its_mail_was_taken_meanwhile(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    notice_id = house.permitted()
    held = house.holding(notice_id)
    with begun(database) as session:
        session.execute(
            "SELECT ledger_exchange(%s, '{}', '{}', %s, %s, '{accepted}', '{250}', '{q}', '{}',"
            " '{}', %s)",
            [SENDER, [held.notice_id], [held.claim], NOW],
        )
        # The same sender, over another session, gives up waiting for that answer.
        house.reply(notice_id, ReplyKind.LOST)
        assert house.row(notice_id).state is NoticeState.MAYBE

    assert house.row(notice_id).state is NoticeState.SENT
    assert house.row(notice_id).exposure is Exposure.CERTAIN


ORDERS = [f"CM-{each}" for each in ("9ZZZ", "2AAA", "7Q4K", "5XWZ", "3MNP", "8KLM", "4RST", "6BCD")]


def with_notes_of_many_orders(house: PostgresHouse, *, is_answer_lost: bool = False) -> None:
    """Let one sender note a permit in each of many orders."""
    for each in set(ORDERS) - {ORDER}:
        house.mailing(each)
    mails = [house.notice(1, order_number=each) for each in ORDERS]
    house.claim()
    if is_answer_lost:
        for each in ORDERS:
            house.notice(2, order_number=each)
        house.claim(is_answer_lost=True)
        house.connection.execute("UPDATE notices_claimbatch SET id = 1000 - id")
    for mail in mails:
        assert house.permit(mail) == {mail: None}


def claims(house: PostgresHouse) -> None:
    house.claim()


def recovers(house: PostgresHouse) -> None:
    house.lease("sender-2")
    house.lease(seconds=-1)
    house.ledger.recover(sender="sender-2", own=False, now=NOW)


def gives_back(house: PostgresHouse) -> None:
    mails = range(1, len(ORDERS) + 1)
    house.ledger.abort(sender=SENDER, holdings=[*map(house.holding, mails)], now=NOW)


@pytest.mark.parametrize(
    ("work", "is_answer_lost"),
    [(claims, False), (claims, True), (recovers, False), (gives_back, False)],
)
def test_whoever_waits_for_the_notes_of_an_order_holds_those_of_no_later_one(
    house: PostgresHouse,
    database: FreshDatabase,
    work: Callable[[PostgresHouse], None],
    *,
    is_answer_lost: bool,
) -> None:
    with_notes_of_many_orders(house, is_answer_lost=is_answer_lost)
    with ThreadPoolExecutor(1) as threads:
        with begun(database) as session:
            session.execute("SELECT ledger_catch_up(%s)", [min(ORDERS)])
            waiting = threads.submit(work, house)
            let_it_wait(house, waiting)
            assert not waiting.done()
            free = house.one(
                "SELECT count(*) FROM (SELECT FROM notices_openbatch FOR UPDATE SKIP LOCKED) o"
            )
        waiting.result()

    assert free == (len(ORDERS) - 1,)
    assert house.one("SELECT count(*) FROM notices_openbatch") == (0,)


def test_a_claim_that_gave_mails_back_folds_no_earlier_order(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    first, last = min(ORDERS), max(ORDERS)
    house.mailing(first)
    house.mailing(last)
    house.notice(1, order_number=first)
    [noted] = house.claim()
    house.notice(2, order_number=last)
    [lost] = house.claim(is_answer_lost=True)
    assert house.permit(noted.notice_id) == {noted.notice_id: None}
    with ThreadPoolExecutor(1) as threads, begun(database) as earlier:
        earlier.execute("SELECT ledger_catch_up(%s)", [first])
        with begun(database) as session:
            permit_in(session, lost.holding)
            claiming = threads.submit(house.claim)
            let_it_wait(house, claiming)
        assert claiming.result(_PATIENCE_S) == []

    assert house.row(lost.notice_id).state is NoticeState.PERMITTED


def test_two_claims_at_once_share_a_limit_and_wait_for_nothing(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    house.connection.execute("INSERT INTO notices_maillimit VALUES ('*', '1 minute')")
    house.notices(range(3))
    house.lease("sender-2")
    with begun(database) as session:
        claimed = session.execute("SELECT ledger_claim(%s, 5, 999, 0, %s)", [SENDER, NOW])
        assert len(claimed.fetchall()) == 1
        assert house.claim(sender="sender-2") == []

    assert house.claim(sender="sender-2") == []
    assert len(house.claim(sender="sender-2", now=NOW + timedelta(minutes=1))) == 1


@contextmanager
def closing_ledger(database: FreshDatabase) -> Iterator[PostgresLedger]:
    ledger = PostgresLedger(database.url)
    try:
        yield ledger
    finally:
        ledger.close()


def test_senders_of_the_version_before_go_on_with_their_work(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    notice_id = house.notice(1)
    with psycopg.connect(database.sender_url, autocommit=True) as old:
        rows = old.execute("SELECT * FROM ledger_claim(%s, 5, %s)", [SENDER, NOW]).fetchall()
        assert [(row[0], row[1]) for row in rows] == [(notice_id, ORDER)]
        old.execute("SELECT * FROM ledger_claim(%s, 5, %s)", [SENDER, NOW])
        answers = old.execute(
            "SELECT notice_id, refusal FROM ledger_exchange("
            "%s, %s, '{}', '{}', '{}', '{}', '{}', %s)",
            [SENDER, [notice_id], NOW],
        ).fetchall()
        assert answers == [(notice_id, None)]
        assert house.row(notice_id).state is NoticeState.PERMITTED
        told = old.execute(
            "SELECT notice_id, refusal FROM ledger_exchange("
            "%s, '{}', %s, '{accepted}', '{250}', '{q}', '{}', %s)",
            [SENDER, [notice_id], NOW],
        ).fetchall()

    assert told == []
    assert house.ledger.recover(sender=SENDER, own=True, now=NOW) == 0
    assert house.row(notice_id).state is NoticeState.SENT
