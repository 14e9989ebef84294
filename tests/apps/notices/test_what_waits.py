"""A mail that waits is in the queue or in one sender's hands, never in both."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from countermand.domain.delivery import NoticeKind, NoticeState, ReplyKind
from countermand.notices import actions as notices
from countermand.notices.actions import MessageIds, NewNotice
from countermand.notices.models import Notice
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.testing.ledger_contract import NOW, ORDER
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

IDS = MessageIds(domain="orders.example", key=b"k" * 32)
MAIL = NewNotice(
    order_number=ORDER,
    revision_number=1,
    kind=NoticeKind.NOTICE,
    step=0,
    person_id=1,
    address="asha@example.org",
    language="hi",
    wave=0,
    template_id=1,
    values={},
    in_reply_to="",
    dated_at=NOW,
    due_at=NOW,
)


@pytest.fixture
def house(postgres_house: PostgresHouse) -> PostgresHouse:
    postgres_house.mailing()
    postgres_house.lease()
    return postgres_house


def version(house: PostgresHouse, notice_id: int) -> tuple[object, ...]:
    """Return what changes with every change of a row, whatever was changed."""
    return house.one("SELECT xmin::text, ctid::text FROM notices_notice WHERE id = %s", [notice_id])


def test_a_mail_is_written_once_between_its_birth_and_its_answer(house: PostgresHouse) -> None:
    notice_id = house.notice(1)
    born = version(house, notice_id)

    house.claim()
    house.permit(notice_id)
    house.reply(notice_id, ReplyKind.ACCEPTED)
    assert version(house, notice_id) == born

    house.ledger.claim(sender="sender-1", limit=0, now=NOW)
    found = house.one("SELECT state, claimed_by FROM notices_notice WHERE id = %s", [notice_id])
    assert found == (NoticeState.SENT, "")


def test_senders_that_claim_at_one_instant_never_share_a_mail(
    house: PostgresHouse, database: FreshDatabase
) -> None:
    house.notices(range(1, 201))
    house.lease("sender-2")
    ledgers = {name: PostgresLedger(database.url) for name in ("sender-1", "sender-2")}

    def claim(name: str) -> list[int]:
        claimed = []
        while found := ledgers[name].claim(sender=name, limit=7, now=NOW):
            claimed += [each.notice_id for each in found]
        return claimed

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(claim, ledgers)
    for ledger in ledgers.values():
        ledger.close()

    assert sorted(first + second) == list(range(1, 201))


@pytest.mark.django_db
def test_a_mail_in_hand_is_not_given_up_and_one_given_up_is_handed_to_nobody() -> None:
    notices.start_mailing(
        order_number=ORDER,
        mode="live",
        phase="sending",
        epoch=1,
        not_after=NOW + timedelta(days=1),
        digest="d" * 64,
        revision_number=1,
        templates=[],
    )
    notices.add_notices([replace(MAIL, person_id=person) for person in (1, 2)], ids=IDS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_lease('sender-1', 'live', 'here', 1, 600)")

        in_hand = _claimed(cursor, 1)
        waiting = sorted(set(Notice.objects.values_list("pk", flat=True)) - set(in_hand))

        assert notices.give_up([*in_hand, *waiting]) == waiting
        assert _claimed(cursor, 2) == []
    assert Notice.objects.get(pk=in_hand[0]).state == NoticeState.PENDING


def _claimed(cursor: CursorWrapper, limit: int) -> list[int]:
    cursor.execute("SELECT notice_id FROM ledger_claim('sender-1', %s, %s)", [limit, NOW])
    return [int(row[0]) for row in cursor.fetchall()]
