"""The life of an order through its actions, on a real database with real rows."""

from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.orders.models import Affected
from tests.order_world import HOUR, MINUTE, World


def test_a_plan_names_who_is_affected_and_sends_nothing(world: World) -> None:
    world.staff(6)
    world.staff(2, "absent")

    number = world.plan()

    assert world.order(number).phase == "planned"
    assert Affected.objects.filter(order_id=number).count() == 8
    assert Notice.objects.count() == 0


def test_it_goes_from_the_file_to_the_first_group_and_to_the_waves(world: World) -> None:
    world.staff(30)
    number = world.approved()
    assert world.order(number).phase == "approved"

    world.release(number)
    world.sweep()
    assert (world.order(number).phase, world.send()) == ("hold", [])

    world.sweep(11 * MINUTE)
    assert world.order(number).phase == "canary"
    first = world.send()
    assert 5 <= len(first) < 30

    world.sweep(31 * MINUTE)
    assert world.order(number).phase == "sending"
    second = world.send()
    assert second
    assert not set(first) & set(second)

    for _ in range(6):
        world.sweep(30 * MINUTE)
        world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "notified"
    everybody = Affected.objects.filter(order_id=number).count()
    assert Notice.objects.filter(state="sent", kind="notice").count() == everybody


def test_a_take_back_corrects_exactly_those_it_reached(world: World) -> None:
    world.staff(30)
    number = world.sending()
    world.send(5)
    reached = set(Notice.objects.filter(exposure__gt=0).values_list("address", flat=True))
    world.now += HOUR

    finished = world.press(number, StopKind.TAKE_BACK)

    assert finished["phase"] == "correcting"
    corrected = set(world.send())
    assert corrected == reached
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    assert world.order(number).statement_at is not None
