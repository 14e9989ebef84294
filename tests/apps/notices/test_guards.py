"""What the schema itself refuses, by whatever way it is asked."""

from typing import LiteralString

import psycopg
import pytest
from psycopg import errors

from countermand.domain.delivery import NoticeKind, ReplyKind, StopKind
from countermand.testing.ledger_house import NOW, ORDER
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse


@pytest.fixture
def house(postgres_house: PostgresHouse) -> PostgresHouse:
    postgres_house.mailing()
    postgres_house.lease()
    return postgres_house


@pytest.mark.parametrize(
    "change",
    [
        "exposure = 0, state = 'pending'",
        "exposure = 1, state = 'maybe'",
        "exposure = 0, state = 'pulled_queue'",
        "address = 'somebody.else@example.org'",
        'values = \'{"name": "other words"}\'',
        "message_id = '<other@example.org>'",
        "state = 'refused'",
        "state = 'nonsense'",
    ],
)
def test_a_mail_that_somebody_got_is_not_rewritten(
    house: PostgresHouse, change: LiteralString
) -> None:
    notice_id = house.permitted()
    house.reply(notice_id, ReplyKind.ACCEPTED)
    house.fold()

    with pytest.raises(errors.CheckViolation):
        house.connection.execute(f"UPDATE notices_notice SET {change}")


def test_nothing_is_permitted_by_hand_once_the_order_is_taken_back(house: PostgresHouse) -> None:
    house.notice(1)
    house.claim()
    house.stop(StopKind.TAKE_BACK)

    with pytest.raises(errors.CheckViolation):
        house.connection.execute("UPDATE notices_notice SET state = 'permitted', exposure = 1")


def test_no_intent_is_noted_by_hand_once_the_order_is_taken_back(house: PostgresHouse) -> None:
    notice_id = house.notice(1)
    house.claim()
    house.stop(StopKind.TAKE_BACK)

    with pytest.raises(errors.CheckViolation):
        house.connection.execute(
            "INSERT INTO notices_openbatch (order_number, sender, at, permitted, accepted, replies,"
            " queue_ids) VALUES (%s, 'sender-1', %s, %s, '{}', '{}', '{}')",
            [ORDER, NOW, [notice_id]],
        )


def test_nobody_is_corrected_who_was_never_told(house: PostgresHouse) -> None:
    house.notice(1)

    with pytest.raises(errors.CheckViolation):
        house.notice(1, kind=NoticeKind.CORRECTION)


@pytest.mark.parametrize(
    "change",
    [
        "withdrawn = false",
        "stopped_epoch = 1",
        "epoch = 0",
        "mode = 'exercise'",
        "digest = 'another'",
    ],
)
def test_a_stop_and_a_mode_are_never_undone(house: PostgresHouse, change: LiteralString) -> None:
    house.permitted()
    house.stop(StopKind.TAKE_BACK)

    with pytest.raises(errors.CheckViolation):
        house.connection.execute(f"UPDATE notices_mailing SET {change}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM notices_notice",
        "UPDATE notices_mailing SET phase = 'sending'",
        "INSERT INTO notices_permitbatch DEFAULT VALUES",
        "INSERT INTO notices_openbatch DEFAULT VALUES",
        "SELECT ledger_fold('CM-7Q4K', NULL)",
        "SELECT ledger_note('s', 'CM-7Q4K', '{}', '{}', '{}', '{}', '{}', '{}', now())",
        "SELECT ledger_take_unheard_back('s', 0)",
        "SELECT ledger_next('CM-7Q4K', false, 1, now())",
        "SELECT ledger_stop('CM-7Q4K', 0, true)",
        "SELECT * FROM ledger_settle('CM-7Q4K', '2026-01-01T00:00:00Z')",
        "SELECT ledger_evidence(1, 'check_code', '2026-01-01T00:00:00Z', '')",
        "CREATE TABLE public.mine (id int)",
    ],
)
def test_a_sender_may_call_its_verbs_and_nothing_else(
    house: PostgresHouse, database: FreshDatabase, statement: LiteralString
) -> None:
    with (
        psycopg.connect(database.sender_url) as sender,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        sender.execute(statement)


def test_a_sender_may_call_its_verbs(house: PostgresHouse, database: FreshDatabase) -> None:
    house.notice(1)
    with psycopg.connect(database.sender_url) as sender:
        claimed = sender.execute(
            "SELECT order_number FROM ledger_claim('sender-1', 5, 1, 0, %s)", [NOW]
        ).fetchall()

    assert claimed == [(ORDER,)]
