"""A copy, a restored backup, somebody else's database: nothing goes on leaving by itself."""

import shutil

import pytest

from countermand import wiring
from countermand.data_folder import read_json, write_json
from countermand.project import witness
from tests.order_world import MINUTE, World


def two_orders(world: World) -> tuple[str, str]:
    """Return one order whose waves are leaving, and one that is held, in a running installation."""
    world.staff(12)
    leaving = world.sending()
    held = world.released()
    wiring.pause_what_was_restored(world.settings, world.now)
    wiring.number_log(world.settings, world.now)
    wiring.show_everything(world.settings, world.now)
    return leaving, held


def test_an_ordinary_start_pauses_nothing(world: World) -> None:
    leaving, held = two_orders(world)

    wiring.pause_what_was_restored(world.settings, world.now)

    assert world.order(leaving).phase == "sending"
    assert world.order(held).phase == "hold"


@pytest.mark.parametrize("what", ["copied", "older", "not_ours", "stood_still", "set_back"])
def test_a_restored_installation_sends_nothing_until_a_person_lets_it(
    world: World, what: str
) -> None:
    leaving, held = two_orders(world)
    folder = world.settings.folder
    match what:
        case "copied":
            copy = folder.instance.with_name("copy.json")
            shutil.copy2(folder.instance, copy)
            copy.replace(folder.instance)
        case "older":
            seen = read_json(folder.witness)
            write_json(folder.witness, seen | {"log_size": seen["log_size"] + 1})
        case "stood_still" | "set_back":
            seen = read_json(folder.witness)
            apart_s = -660 if what == "stood_still" else 86_400
            write_json(folder.witness, seen | {"alive_at": seen["alive_at"] + apart_s})
        case _:
            write_json(folder.instance, read_json(folder.instance) | {"instance_id": "another"})

    wiring.pause_what_was_restored(world.settings, world.now)

    order = world.order(leaving)
    sentences = {
        "copied": witness.COPIED,
        "older": witness.OLDER,
        "not_ours": witness.NOT_OURS,
        "stood_still": "cause.stood_still minutes=11",
        "set_back": "cause.stood_still minutes=1440",
    }
    assert (order.phase, order.pause_cause) == ("paused", sentences[what])
    assert order.paused_by is None
    assert world.order(held).phase == "review"
    world.sweep(31 * MINUTE)
    assert world.send() == []
    world.resume(leaving)
    assert len(world.send()) > 0
