"""What people say of their devices, as the help desk writes it down at a terminal."""

import pytest

from countermand.cli.exit_codes import ExitCode
from countermand.devices.models import Attestation
from tests.apps.orders.test_verbs import INSIDE, Terminal, terminal

__all__ = ["terminal"]


def test_what_somebody_said_is_written_down_by_the_help_desk(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.notified()
    device = terminal.world.devices()[0]

    said = terminal.ask(
        "answer", "removed", "--order", number, "--device", device.source_device_id, who="desk"
    )

    assert said["answer"] == "removed"
    assert said["orders"] == [number]


def test_the_answers_to_an_order_are_counted_and_listed_for_a_human(terminal: Terminal) -> None:
    terminal.world.staff(3)
    number = terminal.world.notified()
    first, second, silent = terminal.world.devices()
    for said, device in (("removed", first), ("cannot", second)):
        terminal.ask("answer", said, "--device", device.source_device_id, who="desk")

    found = terminal.ask("answer", "list", number, who="desk")

    assert (found["devices"], found["answered"], found["silent"]) == (3, 2, 1)
    assert [(each["address"], each["said"]) for each in found["to_ask"]] == [
        ("p6@example.org", "cannot"),
        ("p7@example.org", None),
    ]
    code, said = terminal.give("answer", "list", number, who="desk")
    assert code == ExitCode.DONE
    assert f"{number}: 2 of 3 devices are answered for" in said
    ids = [second.source_device_id, silent.source_device_id]
    assert [each["id"] for each in found["to_ask"]] == ids
    assert second.source_device_id in said  # what `answer` takes
    assert not INSIDE.search(said)


def test_before_a_notice_reached_its_person_an_answer_is_refused_and_not_said_to_be_kept(
    terminal: Terminal,
) -> None:
    terminal.world.staff(3)
    number = terminal.world.released()
    device = terminal.world.devices()[0].source_device_id

    code, said = terminal.give("answer", "removed", "--device", device, who="desk")

    assert code == ExitCode.REFUSED
    assert "nothing was written down" in said
    assert Attestation.objects.count() == 0
    terminal.ask("answer", "removed", "--device", device, "--order", number, who="desk")
    assert Attestation.objects.count() == 1


@pytest.mark.parametrize(
    ("word", "looked_after"), [("removed", False), ("not-mine", False), ("cannot", True)]
)
def test_only_of_an_answer_that_asks_for_help_it_is_said_that_a_person_looks_after_it(
    terminal: Terminal, word: str, looked_after: bool
) -> None:
    terminal.world.staff(3)
    number = terminal.world.sent_to_first_group()
    device = terminal.world.devices()[0].source_device_id

    _, said = terminal.give("answer", word, "--device", device, who="desk")

    assert ("A person looks after it." in said) == looked_after
    assert (f"These notices pause no mail on it now: {number}." in said) != looked_after
