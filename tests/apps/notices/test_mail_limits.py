"""So many mails a minute, of all kinds, orders and senders together; only corrections are free."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from countermand.domain.delivery import ClaimedNotice, NoticeKind, StopKind
from countermand.domain.mail_limits import apart
from countermand.testing.ledger_house import NOW, ORDER, SENDER
from tests.ledger_houses import PostgresHouse

OTHER = "CM-2XWZ"
HELD_BACK = [kind for kind in NoticeKind if kind is not NoticeKind.CORRECTION]
MINUTE = timedelta(minutes=1)
LOOK_EVERY = timedelta(milliseconds=400)
Claimed = list[tuple[datetime, ClaimedNotice]]


@pytest.fixture
def house(postgres_house: PostgresHouse) -> PostgresHouse:
    postgres_house.mailing()
    postgres_house.mailing(OTHER)
    postgres_house.lease()
    postgres_house.lease("sender-2")
    return postgres_house


def limit(house: PostgresHouse, **per_minute: int) -> None:
    for name, count in per_minute.items():
        house.connection.execute(
            "INSERT INTO notices_maillimit (name, apart) VALUES (%s, %s)",
            [{"relay": "*"}.get(name, f"{name}.example"), apart(count)],
        )


def send_to(house: PostgresHouse, domain: str, people: Sequence[int]) -> None:
    house.notices(people)
    house.connection.execute("ALTER TABLE notices_notice DISABLE TRIGGER notices_guard_frozen")
    house.connection.execute(
        "UPDATE notices_notice SET address = 'p' || person_id || %s WHERE person_id = ANY (%s)",
        [f"@{domain}", list(people)],
    )


def claimed_within(
    house: PostgresHouse, time: timedelta, *, begin: datetime = NOW, senders: int = 1
) -> Claimed:
    """Claim as senders do that look again and again; two do so by turns."""
    found: Claimed = []
    for turn in range(1 + time // LOOK_EVERY):
        now = begin + turn * LOOK_EVERY
        sender = ("sender-2", SENDER)[turn % senders - 1]
        found += [(now, each) for each in house.claim(sender=sender, now=now)]
    return found


def most_in_a_minute(claimed: Claimed) -> int:
    instants = [at for at, _ in claimed]
    return max(sum(first <= at < first + MINUTE for at in instants) for first in instants)


def test_a_minute_holds_no_more_than_the_limit_of_all_kinds_orders_and_senders_together(
    house: PostgresHouse,
) -> None:
    limit(house, relay=60)
    for kind in HELD_BACK:
        for order in (ORDER, OTHER):
            house.notices(range(20), kind=kind, order_number=order)

    claimed = claimed_within(house, 3 * MINUTE, senders=2)

    assert most_in_a_minute(claimed) <= 60
    assert len(claimed) >= 3 * 58
    assert {each.kind for _, each in claimed} == set(HELD_BACK)


@pytest.mark.parametrize("kind", HELD_BACK)
def test_each_kind_of_mail_takes_turns_from_the_others(
    house: PostgresHouse, kind: NoticeKind
) -> None:
    limit(house, relay=1)
    house.notices([1], kind=kind)
    house.notices([1], order_number=OTHER)

    assert [len(house.claim(now=NOW + n * timedelta(seconds=31))) for n in range(3)] == [1, 0, 1]


def test_corrections_wait_for_no_limit_and_take_nobodys_turn(house: PostgresHouse) -> None:
    people = range(40)
    for each in people:
        house.permitted(each)
    house.stop(StopKind.TAKE_BACK)
    house.ledger.settle(order_number=ORDER, now=NOW)
    house.set_phase(ORDER, "correcting")
    limit(house, relay=1)
    house.notices(people, kind=NoticeKind.CORRECTION)
    house.notices(people, order_number=OTHER)

    kinds = Counter(each.kind for each in house.claim())

    assert kinds == {NoticeKind.CORRECTION: 40, NoticeKind.NOTICE: 1}


def test_a_domain_at_its_limit_keeps_no_other_domain_waiting(house: PostgresHouse) -> None:
    limit(house, slow=2)
    send_to(house, "Slow.example", range(100))
    send_to(house, "quick.example", range(100, 120))

    claimed = claimed_within(house, 2 * MINUTE)

    to = Counter(each.address.partition("@")[2] for _, each in claimed)
    assert to == {"quick.example": 20, "Slow.example": 4}


def test_a_mail_waits_for_its_domain_and_for_the_relay(house: PostgresHouse) -> None:
    limit(house, relay=30, slow=2)
    send_to(house, "slow.example", range(50))
    send_to(house, "quick.example", range(50, 100))

    claimed = claimed_within(house, MINUTE)

    to = Counter(each.address.partition("@")[2] for _, each in claimed)
    assert to["slow.example"] == 2
    assert 29 <= to.total() <= 30


def test_what_is_given_back_or_put_off_takes_a_turn_once_more(house: PostgresHouse) -> None:
    limit(house, relay=2)
    house.notices(range(2))
    [(_, first)] = claimed_within(house, timedelta(0))

    house.ledger.abort(sender=SENDER, holdings=[first.holding], now=NOW)

    assert most_in_a_minute([(NOW, first), *claimed_within(house, 2 * MINUTE)]) == 2


def test_an_order_with_many_mails_leaves_turns_to_another(house: PostgresHouse) -> None:
    limit(house, relay=60)
    house.notices(range(6000), order_number=OTHER)  # claimed first, by its number
    house.notices(range(100))

    claimed = claimed_within(house, 5 * MINUTE)

    orders = Counter(each.order_number for _, each in claimed)
    assert min(orders[ORDER], orders[OTHER]) > 20


def test_turns_of_an_order_that_is_stopped_are_left_to_others(house: PostgresHouse) -> None:
    limit(house, relay=60)
    house.notices(range(3000))
    claimed_within(house, MINUTE)
    house.notices(range(60), order_number=OTHER)
    claimed_within(house, 10 * LOOK_EVERY, begin=NOW + MINUTE)

    house.stop(StopKind.PAUSE)

    begin = NOW + 2 * MINUTE
    assert len(claimed_within(house, 12 * MINUTE, begin=begin)) > 50
    waiting = house.one(
        "SELECT count(*) FROM notices_notice WHERE is_waiting AND order_number = %s", [OTHER]
    )
    assert waiting == (0,)


def test_a_clock_that_was_put_back_keeps_no_mail_waiting(house: PostgresHouse) -> None:
    limit(house, relay=60)
    house.notices(range(5))
    house.claim(now=NOW + timedelta(days=1))

    house.connection.execute("UPDATE notices_notice SET due_at = %s", [NOW])
    assert len(claimed_within(house, timedelta(seconds=6))) == 4
