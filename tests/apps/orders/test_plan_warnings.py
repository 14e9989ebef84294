"""What a plan warns of, so that nobody approves what they would not have wanted."""

from pathlib import Path

import pytest

from tests.apps.orders.test_verbs import Terminal, approved, file, relay, terminal

__all__ = ["file", "relay", "terminal"]


def told_twice(terminal: Terminal, number: str, who: str = "author") -> list[str]:
    planned = terminal.ask("order", "review", number, "--part", "plan", who=who)
    return [each["number"] for each in planned["beside"]]


def test_a_second_order_about_the_same_app_is_named_to_author_and_approvers(
    terminal: Terminal, file: Path, relay: str
) -> None:
    terminal.world.staff(3)
    terminal.set("COUNTERMAND_RELAY", relay)
    first = approved(terminal, file)
    _, said = terminal.give("order", "plan", str(file))
    [second] = (each["number"] for each in terminal.ask("order", "list") if each["number"] != first)

    assert f"{first} (approved) is about the same app" in said
    assert f"countermand order submit {second}" in said  # what comes next
    assert told_twice(terminal, second, "legal") == [first]
    assert told_twice(terminal, first, "legal") == [second]

    terminal.ask("order", "abandon", second, "--because", "It was given twice.")
    assert told_twice(terminal, first) == []


def test_an_order_that_another_one_amends_stands_beside_nothing(terminal: Terminal) -> None:
    world = terminal.world
    world.staff(3)
    first = world.notified()

    second = world.plan(amends=first)

    assert told_twice(terminal, second) == told_twice(terminal, first) == []


@pytest.mark.parametrize(
    ("presence", "warned"),
    [
        (None, "No device in scope is known"),
        ("absent", "On no device in scope is the app"),
        ("present", ""),
    ],
)
def test_a_plan_that_reaches_nobody_says_so(
    terminal: Terminal, file: Path, presence: str | None, warned: str
) -> None:
    if presence:
        terminal.world.staff(3, presence)

    _, said = terminal.give("order", "plan", str(file))

    assert ("would be told" in said) == bool(warned)
    assert warned in said
