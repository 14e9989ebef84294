"""What a claim lets out by night is what `domain.schedule` says, whatever the clock of a person."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from countermand.domain import schedule
from countermand.domain.delivery import NoticeKind
from tests.ledger_houses import PostgresHouse

HOUR = timedelta(hours=1)
ZONES = ["Asia/Kolkata", "Europe/London", "America/New_York", "Pacific/Apia", "Etc/GMT+12"]
# A correction is claimed apart from them all.
OTHERS = sorted(set(NoticeKind) - {NoticeKind.REMINDER, NoticeKind.CORRECTION})
# Two days on which clocks change, one on which none does.
DAYS = [datetime(2026, month, day, tzinfo=UTC) for month, day in [(3, 28), (10, 24), (11, 20)]]


@pytest.fixture
def house(postgres_house: PostgresHouse) -> PostgresHouse:
    postgres_house.mailing()
    postgres_house.lease()
    postgres_house.connection.execute("UPDATE notices_mailing SET not_after = 'infinity'")
    postgres_house.connection.execute(
        "ALTER TABLE notices_notice DISABLE TRIGGER notices_guard_frozen"
    )
    return postgres_house


def reminder(house: PostgresHouse, values: str, kind: NoticeKind = NoticeKind.REMINDER) -> int:
    number = house.notice(1, kind=kind)
    set_values: LiteralString = "UPDATE notices_notice SET values = %s::jsonb, due_at = %s"
    house.connection.execute(f"{set_values} WHERE id = %s", [values, DAYS[0] - HOUR, number])
    return number


def due_at(house: PostgresHouse, number: int) -> datetime:
    at = house.one("SELECT due_at FROM notices_notice WHERE id = %s", [number])[0]
    assert isinstance(at, datetime)
    return at


@pytest.mark.parametrize("zone", ZONES)
def test_a_reminder_is_handed_out_by_day_and_otherwise_waits_for_the_morning(
    house: PostgresHouse, zone: str
) -> None:
    for day in DAYS:
        for half_hours in range(96):
            now = day + half_hours * HOUR / 2
            until = now + 10 * HOUR
            values = f'{{"zone": "{zone}", "expires_at": "{until.isoformat()}"}}'
            number = reminder(house, values)

            handed_out = [each.notice_id for each in house.claim(now=now)]

            leaves_at = max(now, schedule.outside_quiet_hours(now, zone, before=until))
            assert (handed_out == [number]) == (leaves_at == now)
            if leaves_at > now:
                assert due_at(house, number) == leaves_at
            house.connection.execute("DELETE FROM notices_notice")


@pytest.mark.parametrize("kind", OTHERS)
def test_nothing_but_a_reminder_waits_for_the_morning(
    house: PostgresHouse, kind: NoticeKind
) -> None:
    number = reminder(house, '{"zone": "Asia/Kolkata"}', kind)
    night = DAYS[0].replace(hour=18)

    assert [each.notice_id for each in house.claim(now=night)] == [number]


@pytest.mark.parametrize("values", ["{}", "null", '{"zone": "Asia/Kolkata", "expires_at": "x"}'])
def test_what_says_no_zone_or_no_time_keeps_nobody_elses_mail(
    house: PostgresHouse, values: str
) -> None:
    odd = reminder(house, values)
    kept = reminder(house, '{"zone": "Asia/Kolkata"}')
    night = DAYS[0].replace(hour=18)

    assert [each.notice_id for each in house.claim(now=night)] == [odd]
    assert due_at(house, kept) > night


def test_a_zone_that_nobody_knows_is_the_last_on_earth(house: PostgresHouse) -> None:
    kept = reminder(house, '{"zone": "Atlantis/Poseidonis"}')
    night = DAYS[0].replace(hour=12)  # midnight there

    assert house.claim(now=night) == []
    assert due_at(house, kept) == night + 7 * HOUR
