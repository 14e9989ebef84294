"""Senders of other machines: what nobody here can prove is waited for, and nothing else is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from countermand.domain.delivery import StopKind
from countermand.notices.models import SenderLease
from countermand.orders import pressing
from countermand.stop import press as stopping
from countermand.stop.gates import GateAnswer
from tests.order_world import After, World

FAR = "mx2/0011223344556677"
# The relay gives a silent connection up after five minutes.
ENDED_LONG_AGO = timedelta(minutes=7)


@pytest.fixture(name="sent")
def a_sender_elsewhere_right_before_its_dots(after: After) -> tuple[World, str]:
    world, number = after(World.sending_to_thirty)
    world.ledger.lease(sender="far", mode="live", host=FAR, pid=1, seconds=60)
    world.permit(world.claim(3, sender="far"), sender="far")
    return world, number


def let_run_out(name: str, ago: timedelta = timedelta(seconds=1)) -> None:
    SenderLease.objects.filter(name=name).update(
        lease_until=F("lease_until") - timedelta(seconds=60) - ago
    )


def test_whoever_fell_silent_is_waited_for_though_others_took_its_mails_up(
    sent: tuple[World, str],
) -> None:
    world, number = sent
    let_run_out("far")
    assert world.ledger.recover(sender="sender-1", own=False, now=world.now) == 3

    world.press(number, StopKind.TAKE_BACK)
    world.sweep()
    assert (world.order(number).phase, world.send()) == ("stopping", [])

    let_run_out("far", ENDED_LONG_AGO)
    world.sweep()
    assert world.order(number).phase == "correcting"
    assert len(world.send()) >= 3


def test_a_name_that_another_place_took_over_does_not_hide_who_had_it(
    sent: tuple[World, str],
) -> None:
    world, number = sent
    let_run_out("far")
    assert world.ledger.lease(sender="far", mode="live", host="mx3/aa", pid=1, seconds=60)
    world.ledger.recover(sender="far", own=True, now=world.now)

    said = world.press(number, StopKind.TAKE_BACK)

    assert said["phase"] == "stopping"
    assert [each["place"] for each in said["held_elsewhere"]] == [FAR]


def test_a_sender_that_ended_in_order_is_not_waited_for(sent: tuple[World, str]) -> None:
    world, number = sent
    world.ledger.leave(sender="far", host=FAR)
    world.ledger.recover(sender="sender-1", own=False, now=world.now)

    assert world.press(number, StopKind.TAKE_BACK)["phase"] == "correcting"


def test_nobody_ends_the_lease_of_another_place(sent: tuple[World, str]) -> None:
    world, _ = sent

    world.ledger.leave(sender="far", host="mx3/aa")

    assert SenderLease.objects.filter(name="far").exists()


def pressed_with(world: World, number: str, **facts: Any) -> dict[str, Any]:
    """Press while the other machine answers so."""
    folder = world.settings.folder
    pressed = stopping.press(
        folder, number, StopKind.TAKE_BACK, by=1, because="mistake", now=world.now
    )
    answer = GateAnswer("http://mx2", acknowledged=True, took_ms=1.0, place=FAR, ended=1)
    pressed = replace(pressed, sender_hosts=(replace(answer, **facts),))
    done = pressing.finish_stop(world.desk, pressed.fence, pressed=pressed, now=world.now)
    return done.counts


def test_a_place_that_proves_its_senders_dead_is_not_waited_for(sent: tuple[World, str]) -> None:
    world, number = sent

    said = pressed_with(world, number)

    assert (said["phase"], said["may_have"]) == ("correcting", 3)
    assert len(world.send()) >= 3


@pytest.mark.parametrize(
    "facts",
    [
        {"acknowledged": False},
        {"durable": False},
        {"living": ("far",)},
        {"place": ""},
        {"place": "mx3/aa"},
    ],
)
def test_an_answer_that_proves_nothing_shortens_no_wait(
    sent: tuple[World, str], facts: dict[str, Any]
) -> None:
    world, number = sent

    assert pressed_with(world, number, **facts)["phase"] == "stopping"


def test_a_lease_of_exercises_holds_up_nothing_real(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.ledger.lease(sender="far", mode="exercise", host=FAR, pid=1, seconds=60)
    let_run_out("far")

    assert world.press(number, StopKind.TAKE_BACK)["phase"] == "correcting"
