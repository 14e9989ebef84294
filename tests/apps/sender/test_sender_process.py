from tests.sender_world import SenderWorld, wait_for


def test_everybody_gets_one_mail_and_the_ledger_says_so(world: SenderWorld) -> None:
    world.start_sender()

    wait_for(lambda: world.states() == {"sent": 80})

    recipients = sorted(line["to"] for line in world.double.record())
    assert recipients == sorted(f"p{person}@example.org" for person in range(1, 81))
