"""Mails are forgotten when their time is over, and not a day before."""

from datetime import timedelta

import pytest

from countermand import config
from countermand.audit.models import Entry
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice, PermitBatch
from countermand.orders import retention
from tests.order_world import MINUTE, World

KEPT = 90


def corrected(world: World) -> str:
    world.staff(6)
    number = world.sent_to_first_group()
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    return number


def test_mails_are_forgotten_after_their_time_and_what_names_nobody_stays(world: World) -> None:
    number = corrected(world)
    mails = Notice.objects.count()
    batches = PermitBatch.objects.count()
    end = world.now + retention.BEGINS_AFTER + timedelta(days=KEPT)

    assert retention.forget_mails(kept_days=KEPT, now=end - timedelta(days=1)) == 0
    assert retention.forget_mails(kept_days=KEPT, now=end) == mails
    assert retention.forget_mails(kept_days=KEPT, now=end) == 0

    assert Notice.objects.count() == 0
    assert PermitBatch.objects.count() == batches > 0
    entry = Entry.objects.get(event="mails.forgotten")
    assert entry.order_number == number
    assert entry.facts["mails"] == mails


def test_mails_of_an_order_that_goes_on_are_never_forgotten(world: World) -> None:
    world.staff(6)
    world.sent_to_first_group()

    assert retention.forget_mails(kept_days=KEPT, now=world.now + timedelta(days=4000)) == 0
    assert Notice.objects.count() > 0


@pytest.mark.parametrize("days", ["29", "1826", "soon"])
def test_nobody_keeps_mails_for_a_day_or_for_ever(days: str) -> None:
    with pytest.raises(config.SettingNotUnderstood):
        config.load({"COUNTERMAND_KEEP_MAILS_DAYS": days})
