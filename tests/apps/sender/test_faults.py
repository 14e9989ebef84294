"""A sender that cannot go on for a reason that nobody expected says so, ends, and is begun anew."""

import json
from collections.abc import Callable

from tests.sender_world import PATIENCE_S, SenderWorld, wait_for

PEOPLE = 600  # more than a sender claims at once
VERB = "ledger_claim(text, integer, bigint, bigint, timestamptz)"


def test_a_sender_whose_claims_fail_ends_with_a_code_and_its_next_life_goes_on(
    make: Callable[..., SenderWorld],
) -> None:
    world = make(people=PEOPLE)
    sender = world.start_sender()
    wait_for(lambda: bool(world.double.record()))

    world.house.connection.execute(f"ALTER FUNCTION {VERB} RENAME TO lost_claim")

    assert sender.wait(PATIENCE_S) == 1
    assert "claimed" not in world.states()
    log = world.log()
    assert "@example.org" not in log
    said = [json.loads(line) for line in log.splitlines()]
    assert [each["event"] for each in said][-2:] == ["sender.ended", "sender.fault"]
    assert said[-1]["kind"] == "UndefinedFunction"

    world.house.connection.execute(
        f"ALTER FUNCTION {VERB.replace('ledger_claim', 'lost_claim')} RENAME TO ledger_claim"
    )
    world.make_due_again()  # what had been ended and was not answered yet
    world.start_sender()
    wait_for(lambda: world.states() == {"sent": PEOPLE})
    assert len({line["to"] for line in world.double.record()}) == PEOPLE
