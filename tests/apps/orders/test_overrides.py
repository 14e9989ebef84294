"""A person lets one device through: at once, with a reason, and with an end."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from countermand.audit.models import Entry
from countermand.enforcement.actions import Publisher
from countermand.orders import overrides
from countermand.orders.doors import closed_devices
from countermand.orders.overrides import (
    DeviceToLetThroughNotKnown,
    NoOverride,
    OrderIsOver,
    OverrideNotYours,
    OverridesNotForYou,
    OverrideTooLong,
    OverrideWithoutReason,
)
from countermand.orders.refusals import OrderNotKnown
from tests.apps.orders.test_doors_and_followups import enforcing
from tests.order_world import DAY, HOUR, MINUTE, After, World

WHY = "The surgeon on call needs mail."


def give(world: World, number: str, device: str = "d0", **given: Any) -> overrides.Given:
    who = given.pop("who", "desk")
    wanted: Mapping[str, Any] = {"lasting": 4 * HOUR, "because": WHY, **given}
    return overrides.give(
        device,
        number,
        actor=world.actor(who),
        publisher=Publisher.load(world.settings.folder),
        now=world.now,
        **wanted,
    )


def is_shut(world: World, number: str, place: int = 0) -> bool:
    return world.devices()[place].pk in closed_devices(number, now=world.now)


@pytest.fixture
def standing(after: After) -> tuple[World, str]:
    return after(three_are_shut_out)


@pytest.fixture
def world(standing: tuple[World, str]) -> World:
    return standing[0]


@pytest.fixture
def number(standing: tuple[World, str]) -> str:
    return standing[1]


def three_are_shut_out(world: World) -> str:
    world.staff(3)
    found = enforcing(world)
    assert is_shut(world, found, 0)
    assert is_shut(world, found, 1)
    return found


def test_one_device_is_let_through_at_once_and_shut_again_by_itself(
    world: World, number: str
) -> None:
    given = give(world, number, lasting=HOUR)

    assert given.doors == 1
    assert not is_shut(world, number, 0)
    assert is_shut(world, number, 1)
    [standing] = overrides.standing(number, now=world.now)
    assert (standing.by, standing.because) == ("Desk", WHY)

    world.sweep(HOUR - MINUTE)
    assert not is_shut(world, number)
    world.sweep(2 * MINUTE)
    assert is_shut(world, number)
    assert overrides.standing(number, now=world.now) == []


def test_a_shorter_one_beside_a_longer_one_says_until_when_the_device_is_let_through(
    world: World, number: str
) -> None:
    longer = give(world, number, lasting=4 * HOUR)

    shorter = give(world, number, lasting=HOUR)

    assert shorter.until == longer.until
    world.sweep(2 * HOUR)
    assert not is_shut(world, number)


def test_what_is_too_long_is_named_as_it_was_asked_for(world: World, number: str) -> None:
    with pytest.raises(OverrideTooLong) as refused:
        give(world, number, lasting=4.5 * HOUR)
    assert str(refused.value).startswith("You may give 4 hours, not 4.5.")
    assert "or ask" in str(refused.value)

    with pytest.raises(OverrideTooLong) as refused:
        give(world, number, lasting=91 * DAY, who="operator")
    assert "ask" not in str(refused.value)  # nobody may give more


def test_the_help_desk_gives_four_hours_and_others_give_more(world: World, number: str) -> None:
    with pytest.raises(OverrideTooLong):
        give(world, number, lasting=4 * HOUR + MINUTE)
    for who in ("author", "legal", "operator"):
        give(world, number, lasting=30 * DAY, who=who)
    with pytest.raises(OverrideTooLong):
        give(world, number, lasting=91 * DAY, who="operator")
    with pytest.raises(OverrideTooLong):
        give(world, number, lasting=timedelta(seconds=-1))


def test_whoever_has_no_role_does_not_see_who_is_let_through(world: World, number: str) -> None:
    give(world, number)
    world.person("passer-by")

    def listed(who: str) -> list[overrides.Standing]:
        return overrides.listed(number, actor=world.actor(who), now=world.now)

    assert [each.because for each in listed("legal")] == [WHY]
    with pytest.raises(OverridesNotForYou):
        listed("passer-by")


def test_it_takes_a_role_a_reason_a_device_and_an_order_that_stands(
    world: World, number: str
) -> None:
    world.person("passer-by")
    with pytest.raises(OverrideNotYours):
        give(world, number, who="passer-by")
    with pytest.raises(OverrideWithoutReason):
        give(world, number, because="  ok  ")
    with pytest.raises(DeviceToLetThroughNotKnown):
        give(world, number, device="nobody's")
    type(world.order(number)).objects.filter(number=number).update(phase="closed")
    with pytest.raises(OrderIsOver):
        give(world, number)


def test_ended_early_it_gives_the_door_back_to_what_is_known(world: World, number: str) -> None:
    give(world, number)

    def end() -> overrides.Given:
        return overrides.end(
            "d0",
            number,
            because="It was the wrong phone.",
            actor=world.actor("desk"),
            publisher=Publisher.load(world.settings.folder),
            now=world.now,
        )

    assert end().doors == 1
    assert is_shut(world, number)
    with pytest.raises(NoOverride):
        end()


def test_it_is_logged_without_a_name(world: World, number: str) -> None:
    give(world, number)

    written = [
        str(vars(entry)) for entry in Entry.objects.all() if "let_through" in str(vars(entry))
    ]
    assert len(written) == 1
    assert "surgeon" not in written[0]
    assert "Desk" not in written[0]


def test_an_order_that_nobody_knows_is_no_order_without_overrides(world: World) -> None:
    with pytest.raises(OrderNotKnown):
        overrides.standing("CM-8R56", now=world.now)
