"""What somebody tries, or what chance does, against the promises of an order: it holds."""

from countermand.domain.delivery import StopKind
from countermand.project import register as registers
from countermand.stop import register
from countermand.stop.register import KnownOrder, Register
from tests.order_world import World


def test_a_list_written_late_never_lowers_an_epoch_that_a_stop_must_reach(world: World) -> None:
    world.staff(10)
    number = world.sending()
    registers.ahead(world.settings, number, 7, "sending")

    registers.refresh(world.settings, now=world.now)

    assert register.read(world.settings.folder).orders[number].epoch == 7


def test_a_pause_pressed_with_an_old_list_pauses_all_the_same(world: World) -> None:
    world.staff(30)
    number = world.sending()
    world.press(number, StopKind.PAUSE)
    world.resume(number)
    old = Register(orders={number: KnownOrder(epoch=1, phase="sending")})
    register.write(world.settings.folder, old)

    world.press(number, StopKind.PAUSE, uid="desk")

    assert (world.order(number).phase, world.send()) == ("paused", [])
