"""One mail at which something fails that nobody expected keeps no other mail from leaving."""

import json
from collections.abc import Callable
from typing import Any, LiteralString

import pytest

from tests.sender_world import SenderWorld, wait_for

PEOPLE = 80
AT_ONE: dict[str, LiteralString] = {
    "a value that is no text": "UPDATE notices_notice SET values = '{\"name\": 7}'",
    "no values at all": "UPDATE notices_notice SET values = 'null'",
    "a date that is none": "UPDATE notices_notice SET dated_at = 'infinity'",
    "words that are gone": "UPDATE notices_notice SET template_id = 99",
}
PUT_OFF = "SELECT count(*) FROM notices_notice WHERE last_reply = 'notice.fault' AND due_at > now()"


def poison(world: SenderWorld, with_what: LiteralString) -> None:
    run = world.house.connection.execute
    run("ALTER TABLE notices_notice DISABLE TRIGGER notices_guard_frozen")
    run(with_what + " WHERE person_id = 7")


def faults(world: SenderWorld) -> list[dict[str, Any]]:
    log = world.log()
    assert "@example.org" not in log
    said = [json.loads(line) for line in log.splitlines()]
    return [each for each in said if each["event"] == "sender.fault"]


@pytest.mark.parametrize("what", sorted(AT_ONE))
def test_everybody_elses_mail_leaves_and_the_sender_lives_on(
    make: Callable[..., SenderWorld], what: str
) -> None:
    world = make(people=PEOPLE)
    poison(world, AT_ONE[what])

    sender = world.start_sender()
    wait_for(lambda: world.states() == {"sent": PEOPLE - 1, "pending": 1})
    wait_for(lambda: world.house.one(PUT_OFF) == (1,))

    assert sender.poll() is None
    [fault] = faults(world)
    assert str(fault["place"]).startswith("countermand.sender.")
    assert len({line["to"] for line in world.double.record()}) == PEOPLE - 1


def test_a_mail_that_fails_each_time_is_given_up_with_its_cause(
    make: Callable[..., SenderWorld],
) -> None:
    world = make(people=PEOPLE)
    poison(world, AT_ONE["a value that is no text"])
    world.start_sender()

    for _ in range(2):
        wait_for(lambda: world.house.one(PUT_OFF) == (1,))
        world.make_due_again()
    wait_for(lambda: world.states() == {"sent": PEOPLE - 1, "refused": 1})

    assert world.house.one("SELECT last_reply FROM notices_notice WHERE state = 'refused'") == (
        "notice.fault",
    )
    assert len(faults(world)) == 3
