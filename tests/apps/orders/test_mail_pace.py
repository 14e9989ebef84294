"""What the settings say of mails a minute holds for whatever follows a first notice, too."""

from dataclasses import replace
from datetime import timedelta

import pytest

from countermand import wiring
from countermand.domain.delivery import NoticeKind, StopKind
from countermand.notices import actions as notices
from countermand.notices.models import MailLimit, Notice
from tests.order_world import DAY, World


def test_reminders_leave_by_the_limit_and_corrections_at_once(world: World) -> None:
    number = world.told_six()
    settings = replace(world.settings, mails_per_minute={"*": 2})
    [step] = [each for each in wiring.sweep_steps(settings) if each.name == "mail.limits"]

    step.run(world.now)

    world.sweep(world.last_deadline(number) - 2 * DAY - world.now)
    reminders = Notice.objects.filter(order_number=number, kind=NoticeKind.REMINDER)
    assert reminders.count() >= 6
    # Where it is night now, a reminder waits for the morning.
    world.now = max(reminders.values_list("due_at", flat=True))
    sent = []
    for _ in range(4):
        sent.append(len(world.send()))
        world.now += timedelta(seconds=31)
    assert sent == [1, 1, 1, 1]

    counts = world.press(number, StopKind.TAKE_BACK)
    assert len(world.send()) == counts["corrections"] >= 6


@pytest.mark.usefixtures("world")
def test_limits_are_as_the_settings_say_now() -> None:
    assert notices.keep_limits({"*": 60, "slow.example": 1})
    assert not notices.keep_limits({"slow.example": 1, "*": 60})
    assert notices.keep_limits({"*": 61})
    assert list(MailLimit.objects.values_list("name", "apart")) == [("*", timedelta(seconds=1))]

    assert notices.keep_limits({})
    assert not MailLimit.objects.exists()
