"""What release looks at once more, and what the hold is for."""

import pytest

from countermand.domain.approvals import NotEnoughApprovals, SameHand
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.orders import actions
from countermand.orders.refusals import (
    LookupPageNotLive,
    NotYours,
    PlanHasDrifted,
    PlanTooOld,
    RelayNotHealthy,
    TooLittleNotice,
)
from countermand.project import register
from countermand.stop import register as registers
from tests.order_world import DAY, HOUR, MINUTE, ROLLOUT, World


def test_release_needs_the_look_up_page_and_the_relay(world: World) -> None:
    number = world.approved()
    for surroundings, refusal in (
        (actions.Surroundings(lookup_missing_at="http://here"), LookupPageNotLive),
        (actions.Surroundings(relay_missing_at="here:25"), RelayNotHealthy),
    ):
        with pytest.raises(refusal):
            actions.release(
                number,
                actor=world.actor("operator"),
                now=world.now,
                context=world.desk.context,
                surroundings=surroundings,
            )

    assert world.order(number).phase == "approved"


def test_who_may_not_release_and_what_is_not_approved_hear_that_before_anything_else(
    world: World,
) -> None:
    nothing_answers = actions.Surroundings(lookup_missing_at="there", relay_missing_at="there")

    def release(uid: str) -> None:
        actions.release(
            number,
            actor=world.actor(uid),
            now=world.now,
            context=world.desk.context,
            surroundings=nothing_answers,
        )

    number = world.plan()
    with pytest.raises(NotYours) as refused:
        release("desk")
    assert (refused.value.step, refused.value.roles) == ("release", "help-desk")
    assert refused.value.may == "author, operator"
    with pytest.raises(NotEnoughApprovals):
        release("operator")


def test_an_approver_alone_does_not_release(world: World) -> None:
    number = world.approved()

    with pytest.raises(NotYours):
        actions.release(
            number,
            actor=world.actor("legal"),
            now=world.now,
            context=world.desk.context,
            surroundings=actions.Surroundings(),
        )


def test_too_many_new_people_send_the_order_back_to_review(world: World) -> None:
    world.staff(10)
    number = world.approved()
    world.staff(26)

    with pytest.raises(PlanHasDrifted):
        world.release(number)

    assert world.order(number).phase == "review"
    assert world.order(number).revision_number == 2
    assert not world.open_and_approve(number, "legal")
    assert world.open_and_approve(number, "council")
    world.release(number)
    assert world.order(number).phase == "hold"


def test_a_few_new_people_hold_nothing_up(world: World) -> None:
    world.staff(10)
    number = world.approved()
    world.staff(3)

    world.release(number)

    assert world.order(number).phase == "hold"


def test_an_old_plan_with_the_same_content_keeps_its_approvals(world: World) -> None:
    world.staff(10)
    number = world.approved()
    world.now += 25 * HOUR

    world.release(number)

    assert world.order(number).phase == "hold"


def test_an_old_plan_with_other_content_goes_back(world: World) -> None:
    world.staff(10)
    number = world.approved()
    world.staff(1)
    world.now += 25 * HOUR

    with pytest.raises(PlanTooOld):
        world.release(number)

    assert world.order(number).phase == "review"


def test_the_minimum_notice_is_looked_at_again(world: World) -> None:
    world.staff(3)
    number = world.approved()
    world.now += 6 * DAY

    with pytest.raises(TooLittleNotice):
        world.release(number)

    assert world.order(number).phase == "approved"


def test_nothing_leaves_during_the_hold_and_a_withdrawal_is_never_noticed(world: World) -> None:
    world.staff(10)
    number = world.released()
    world.sweep(9 * MINUTE)

    finished = world.press(number, StopKind.TAKE_BACK, uid="desk")

    assert finished["phase"] == "withdrawn"
    world.sweep(HOUR)
    assert (world.send(), Notice.objects.count()) == ([], 0)
    assert world.order(number).phase == "withdrawn"


def test_a_go_by_person_takes_another_hand_than_the_release(world: World) -> None:
    world.staff(30)
    number = world.sent_to_first_group(rollout={**ROLLOUT, "go": "by-person"})
    world.sweep(31 * MINUTE)
    assert world.order(number).phase == "canary"

    with pytest.raises(SameHand):
        actions.go(number, actor=world.actor("operator"), now=world.now)
    actions.go(number, actor=world.actor("legal"), now=world.now)
    world.sweep()

    assert world.order(number).phase == "sending"


def test_the_emergency_code_is_known_to_the_stop_by_its_hash_alone(world: World) -> None:
    number = world.approved()
    released = world.release(number)
    register.refresh(world.settings, now=world.now)

    known = registers.read(world.settings.folder)
    assert known.order_of_code(released.emergency_code) == number
    assert released.emergency_code not in world.settings.folder.stop_register.read_text()
