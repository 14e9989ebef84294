"""No reminder leaves by night on its person's clock, whatever kept it from leaving by day."""

from collections.abc import Callable
from datetime import datetime

import pytest

from countermand.domain import schedule
from countermand.domain.delivery import ReplyKind, StopKind
from countermand.notices.models import Notice
from tests.order_world import DAY, HOUR, World

NIGHT_IN_INDIA = 18  # o'clock in UTC


def paused_over_the_day(world: World, number: str) -> None:
    world.press(number, StopKind.PAUSE)
    world.now = world.now.replace(hour=NIGHT_IN_INDIA)
    world.resume(number)


def put_off_until_the_night(world: World, number: str) -> None:
    del number
    world.send(kind=ReplyKind.DEFERRED)
    world.now = world.now.replace(hour=NIGHT_IN_INDIA)


def not_running_by_day(world: World, number: str) -> None:
    del number
    world.now = world.now.replace(hour=NIGHT_IN_INDIA)


def reminded_by(world: World, number: str) -> datetime:
    """Write the reminders down, at an hour that is day for all of them."""
    deadline = world.last_deadline(number)
    world.now = (deadline - 2 * DAY).replace(hour=13, minute=0)
    world.sweep()
    assert Notice.objects.filter(kind="reminder", due_at__lte=world.now).count() == 6
    return deadline


@pytest.mark.parametrize("kept", [paused_over_the_day, put_off_until_the_night, not_running_by_day])
def test_a_reminder_that_was_kept_until_the_night_leaves_in_the_morning(
    world: World, kept: Callable[[World, str], None]
) -> None:
    number = world.told_six()
    deadline = reminded_by(world, number)
    kept(world, number)

    while world.now < deadline:
        world.sweep()
        world.send()
        world.now += HOUR

    sent = Notice.objects.filter(kind="reminder", accepted_at__isnull=False)
    left = [(world.zone_of(each.person_id), each.accepted_at) for each in sent]
    assert len({each.person_id for each in sent}) == 6
    assert [(zone, at) for zone, at in left if at and schedule.is_quiet(at, zone)] == []
