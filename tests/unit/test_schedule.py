"""Everybody's own instants: deadline, reminders, waves."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.order_parts import (
    EachPersonsClock,
    OneInstant,
    Send,
    TimedStep,
    zone_or_latest,
)
from countermand.domain.schedule import (
    due_steps,
    end_of_day,
    is_quiet,
    next_working_day,
    outside_quiet_hours,
    own_deadline,
    step_at,
    with_notice,
)
from tests.order_samples import read_order, whole_order

INDIA = "Asia/Kolkata"
HOUR = timedelta(hours=1)
FRIDAY_AT_FIVE = EachPersonsClock(date(2020, 7, 17), time(17))


def india(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2020, 7, day, hour, minute, tzinfo=UTC) - timedelta(hours=5, minutes=30)


def test_everybody_has_the_deadline_on_their_own_clock() -> None:
    assert own_deadline(FRIDAY_AT_FIVE, INDIA) == india(17, 17)
    assert own_deadline(FRIDAY_AT_FIVE, "UTC") == datetime(2020, 7, 17, 17, tzinfo=UTC)


def test_a_late_joiner_has_their_own_notice_from_being_told() -> None:
    told = india(16, 9)

    assert (
        own_deadline(FRIDAY_AT_FIVE, INDIA, told_at=told, own_notice=72 * HOUR) == told + 72 * HOUR
    )


def test_a_late_joiner_never_has_less_than_everybody() -> None:
    assert own_deadline(FRIDAY_AT_FIVE, INDIA, told_at=india(10, 9), own_notice=72 * HOUR) == india(
        17, 17
    )


def test_after_an_absence_there_is_one_working_day() -> None:
    # Away until Friday the 17th; the next working day is Monday the 20th.
    assert own_deadline(FRIDAY_AT_FIVE, INDIA, absent_until=date(2020, 7, 17)) == india(20, 17)
    assert own_deadline(FRIDAY_AT_FIVE, INDIA, absent_until=date(2020, 7, 10)) == india(17, 17)


def test_an_absence_counts_with_a_deadline_that_is_one_instant_too() -> None:
    at_noon = OneInstant(india(17, 12))

    assert own_deadline(at_noon, INDIA, absent_until=date(2020, 7, 20)) == india(21, 12)


def test_an_extension_counts_when_it_is_later() -> None:
    assert own_deadline(FRIDAY_AT_FIVE, INDIA, extension_until=india(19, 8)) == india(19, 8)
    assert own_deadline(FRIDAY_AT_FIVE, INDIA, extension_until=india(12, 8)) == india(17, 17)


def test_saturday_and_sunday_are_no_working_days() -> None:
    assert next_working_day(date(2020, 7, 17)) == date(2020, 7, 20)
    assert next_working_day(date(2020, 7, 20)) == date(2020, 7, 21)


def test_a_working_day_is_one_where_the_person_lives() -> None:
    thursday = date(2020, 7, 16)

    def sunday_to_thursday(day: date) -> bool:
        return day.weekday() not in {4, 5}

    assert next_working_day(thursday, sunday_to_thursday) == date(2020, 7, 19)
    assert own_deadline(
        FRIDAY_AT_FIVE, INDIA, absent_until=date(2020, 7, 17), works_on=sunday_to_thursday
    ) == india(19, 17)


def test_a_calendar_without_a_working_day_counts_as_none() -> None:
    assert next_working_day(date(2020, 7, 17), lambda _day: False) == date(2020, 7, 20)


def test_nights_are_quiet_on_each_persons_own_clock() -> None:
    assert is_quiet(india(15, 21), INDIA)
    assert is_quiet(india(15, 6, 59), INDIA)
    assert not is_quiet(india(15, 7), INDIA)
    assert not is_quiet(india(15, 23), "Europe/Berlin")


def test_a_reminder_by_night_waits_for_the_morning() -> None:
    late = outside_quiet_hours(india(15, 23), INDIA, before=india(17, 17))
    early = outside_quiet_hours(india(15, 3), INDIA, before=india(17, 17))

    assert (late, early) == (india(16, 7), india(15, 7))


def test_a_reminder_whose_morning_would_be_too_late_comes_the_evening_before() -> None:
    assert outside_quiet_hours(india(17, 2), INDIA, before=india(17, 7, 30)) == india(16, 20, 59)


def test_the_last_notice_keeps_its_instant_by_night() -> None:
    step = TimedStep(timedelta(minutes=45), Send.LOCK_NOTICE)

    assert step_at(step, india(17, 3), INDIA) == india(17, 2, 15)


def test_steps_are_due_once_and_in_their_order() -> None:
    steps = read_order(whole_order()).steps
    own = india(17, 17)

    def due(now: datetime, *done: int) -> list[int]:
        found = due_steps(steps, own=own, zone=INDIA, told_at=india(10, 9), now=now, done=done)
        return [each.place for each in found]

    assert due(india(14, 16)) == []
    assert due(india(14, 17)) == [1]
    assert due(india(16, 17), 1) == [2]
    assert due(india(17, 16, 15), 1, 2) == [3]
    assert due(own, 1, 2, 3) == [4]
    assert due(own, 1, 2, 3, 4) == []


def test_a_reminder_that_was_due_before_somebody_was_told_is_left_out() -> None:
    steps = read_order(whole_order()).steps

    found = due_steps(steps, own=india(17, 17), zone=INDIA, told_at=india(15, 9), now=india(16, 18))

    assert [each.place for each in found] == [2]


def test_no_reminder_comes_after_the_deadline() -> None:
    steps = read_order(whole_order()).steps

    found = due_steps(steps, own=india(17, 17), zone=INDIA, told_at=india(10, 9), now=india(17, 18))

    assert {each.step.send for each in found} == {Send.LOCK_NOTICE, Send.CLOSE_DOOR}


def test_a_day_is_over_when_it_is_over_everywhere() -> None:
    assert end_of_day(date(2021, 1, 10)) == datetime(2021, 1, 11, 12, tzinfo=UTC)


@given(
    st.integers(0, 500_000),
    st.integers(0, 300),
    st.sampled_from(["Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "no/zone"]),
)
def test_whoever_is_told_late_has_the_promised_notice(
    minute: int, hours_left: int, zone: str
) -> None:
    told_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    deadline = EachPersonsClock((told_at + timedelta(hours=hours_left)).date(), time(17))
    own = deadline.in_zone(zone)
    least = timedelta(hours=72)

    later = with_notice(own, deadline, zone, told_at=told_at, least=least)

    assert later >= own
    assert later - told_at >= least
    assert later == own or own - told_at < least
    if later != own:
        local = later.astimezone(zone_or_latest(zone))
        assert local.time() == time(17)
        assert local.weekday() < 5
        assert later - told_at <= timedelta(days=7)
