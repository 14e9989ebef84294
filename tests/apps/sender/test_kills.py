"""Kills at every phase that the mail server sees, judged by its own record (F1 to F11, F29)."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from countermand.domain.delivery import NoticeKind, StopKind
from countermand.stop.senders import Death
from countermand.testing.ledger_house import NOW, ORDER
from tests.sender_world import CONNECTIONS, Judged, SenderWorld, wait_for

PEOPLE = 80
LARGE = "All of this is one long text. " * 40_000  # more than the kernel takes at once

PHASES = [
    ("after_rcpt", 9),  # F2
    ("after_data", 1),  # F4: the permit is under way or durable, and nothing was ended
    ("after_data", 25),
    ("before_dot", 1),
    ("after_dot_before_reply", 1),  # F5
    ("after_dot_before_reply", 30),
    ("after_reply", 1),  # F6
    ("after_reply", 33),  # F7: others of the same commit are still on their way
]


def assert_exact(judged: Judged, *, kills: int = 1, connections: int = CONNECTIONS) -> None:
    assert judged.missed == set()
    assert judged.stray == set()
    assert len(judged.precautionary) <= 2 * connections * kills


def correct_everybody(world: SenderWorld) -> None:
    """Write the corrections that are owed, and have a new sender bring them."""
    owed = sorted(world.judged().owed)
    world.house.set_phase(ORDER, "correcting")
    world.house.notices(owed, kind=NoticeKind.CORRECTION)
    world.start_sender()
    wait_for(lambda: len(corrected(world)) >= len(owed))


def corrected(world: SenderWorld) -> set[str]:
    return {r["to"] for r in world.double.record() if ".correction." in r["message_id"]}


@pytest.mark.parametrize(("phase", "count"), PHASES)
def test_a_sender_killed_at_any_phase_leaves_nobody_uncorrected(
    world: SenderWorld, phase: str, count: int
) -> None:
    sender = world.start_sender()
    world.double.ask(do="kill", pid=sender.pid, phase=phase, count=count)
    sender.wait()

    world.take_back()

    assert_exact(world.judged())


def test_a_sender_killed_amid_a_long_body_told_nobody_of_it(
    make: Callable[..., SenderWorld],
) -> None:
    world = make(people=8)
    world.house.connection.execute("UPDATE notices_template SET text = %s", [LARGE])
    sender = world.start_sender()
    world.double.ask(do="kill", pid=sender.pid, phase="mid_body", count=4)
    sender.wait()

    world.take_back()

    assert_exact(world.judged())


def test_a_sender_killed_after_its_claim_told_nobody(world: SenderWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = world.start_sender(port=silent.getsockname()[1])
        wait_for(lambda: "claimed" in world.states())
        sender.kill()
        sender.wait()

    world.take_back()

    assert world.states() == {"skipped": PEOPLE}
    assert world.judged().owed == set()


def test_taking_back_kills_a_working_sender_and_nothing_arrives_afterwards(
    world: SenderWorld,
) -> None:
    sender = world.start_sender()
    wait_for(lambda: world.double.accepted() >= 20)

    pressed, _ = world.take_back()
    settled_at = time.time()  # noqa: TID251 - the double's record is about real time
    world.double.ask(do="count")
    before = world.double.record()

    assert sender.wait() == -signal.SIGKILL
    assert [proof.death for proof in pressed.senders] == [Death.KILLED]
    assert_exact(world.judged())
    # What the dead sender's socket still held was accepted while it was being settled, at latest.
    assert all(line["real_at"] <= settled_at for line in before)
    assert world.double.record() == before


def test_a_frozen_sender_is_killed_too_and_writes_no_dot_when_it_would_wake(
    world: SenderWorld,
) -> None:
    sender = world.start_sender()
    world.double.ask(do="freeze", pid=sender.pid, phase="after_data", count=21)
    wait_for(lambda: world.double.ask(do="count")["traps"] == 0)

    world.take_back()
    before = world.double.record()
    sender.wait()

    with pytest.raises(ProcessLookupError):
        os.kill(sender.pid, signal.SIGCONT)
    assert_exact(world.judged())
    assert world.double.record() == before


def test_corrections_reach_exactly_those_who_were_told_even_if_a_kill_comes_between(
    world: SenderWorld,
) -> None:
    first = world.start_sender()
    world.double.ask(do="kill", pid=first.pid, phase="after_dot_before_reply", count=12)
    first.wait()
    second = world.start_sender()
    world.double.ask(do="kill", pid=second.pid, phase="after_data", count=10)
    second.wait()
    world.take_back()

    correct_everybody(world)

    judged = world.judged()
    accepted = {f"p{person}@example.org" for person in judged.accepted}
    assert accepted <= corrected(world)
    assert len(corrected(world) - accepted) <= 2 * CONNECTIONS * 2
    notices = [r["seq"] for r in world.double.record() if ".notice." in r["message_id"]]
    corrections = [r["seq"] for r in world.double.record() if ".correction." in r["message_id"]]
    assert max(notices) < min(corrections)


def test_the_same_mail_sent_twice_is_the_same_to_the_last_byte(world: SenderWorld) -> None:
    sender = world.start_sender()
    world.double.ask(do="kill", pid=sender.pid, phase="after_dot_before_reply", count=10)
    sender.wait()
    # Its own next life books the dead one's mails as doubtful, and they are tried again.
    world.start_sender()
    wait_for(lambda: "permitted" not in world.states() and "pending" not in world.states())
    world.make_due_again()

    wait_for(lambda: world.states() == {"sent": PEOPLE})

    by_id: dict[str, set[str]] = {}
    for line in world.double.record():
        by_id.setdefault(line["message_id"], set()).add(line["bytes_sha256"])
    assert len(by_id) == PEOPLE
    assert all(len(contents) == 1 for contents in by_id.values())


def test_pausing_and_going_on_reaches_everybody(world: SenderWorld) -> None:
    world.start_sender()
    wait_for(lambda: world.double.accepted() >= 10)
    world.stop(StopKind.PAUSE)
    paused = world.double.record()
    world.start_sender()
    wait_for(lambda: "sender.started" in world.log())

    world.house.set_phase(ORDER, "sending", epoch=2)
    world.make_due_again()
    wait_for(lambda: world.states() == {"sent": PEOPLE})

    assert {line["to"] for line in world.double.record()} == {
        f"p{person}@example.org" for person in range(1, PEOPLE + 1)
    }
    assert len(paused) < PEOPLE


def test_a_session_that_still_holds_the_order_is_ended_and_its_commit_counts(
    world: SenderWorld,
) -> None:
    world.house.lease()
    claimed = world.house.claim(limit=3)
    with psycopg.connect(world.database.sender_url, application_name="sender:frozen") as frozen:
        frozen.execute(
            "SELECT * FROM ledger_exchange('sender-1', %s, %s, '{}', '{}', '{}', '{}', '{}', '{}',"
            " '{}', %s)",
            [[each.notice_id for each in claimed], [each.claim for each in claimed], NOW],
        )

        _, settled = world.take_back()

        with pytest.raises(psycopg.OperationalError):
            frozen.execute("COMMIT")
    assert settled.maybe == 0
    assert world.states() == {"skipped": PEOPLE}


def test_a_fence_that_cannot_be_read_keeps_the_sender_off(world: SenderWorld) -> None:
    world.folder.fences.joinpath("CM-XXXX.pause.json").write_text("{", encoding="utf-8")

    sender = world.start_sender()

    assert sender.wait() == 3
    assert world.double.record() == []
    assert "stop.unreadable" in world.log()


def test_a_fence_alone_holds_a_living_sender_though_the_ledger_does_not_know_of_it(
    world: SenderWorld,
) -> None:
    # The database is not told at all: what holds is the look at the fence right before the dot.
    content = (
        '{"version": 1, "number": "CM-7Q4K", "stopped_epoch": 1, "withdrawn": false,'
        ' "at": "2026-11-20T09:00:00+00:00", "by": 1, "because": ""}'
    )
    world.start_sender()
    wait_for(lambda: world.double.accepted() >= 10)
    world.double.ask(do="delay_replies", seconds=0.2)
    world.folder.fences.joinpath(f"{ORDER}.pause.json").write_text(content, encoding="utf-8")
    seen = world.double.accepted()

    wait_for(lambda: set(world.states()) == {"sent", "pending"} or "claimed" in world.states())
    time.sleep(0.5)

    assert world.double.accepted() <= seen + CONNECTIONS


def test_a_second_sender_of_one_name_does_not_start(world: SenderWorld) -> None:
    world.start_sender()
    wait_for(lambda: world.double.accepted() > 0)

    second = world.start_sender()

    assert second.wait() == 3
    assert "sender.runs_already" in world.log()


def test_an_orderly_end_leaves_no_doubt(world: SenderWorld) -> None:
    sender = world.start_sender()
    wait_for(lambda: world.double.accepted() >= 10)

    sender.terminate()

    assert sender.wait() == 0
    assert set(world.states()) <= {"sent", "pending"}


@pytest.fixture
def locked_by_nobody() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_a_stranger_whose_number_stands_in_an_old_lock_file_is_not_killed(
    world: SenderWorld, locked_by_nobody: subprocess.Popen[bytes]
) -> None:
    lock = world.folder.senders / "sender-9.lock"
    lock.write_text(f'{{"pid": {locked_by_nobody.pid}, "started": "1", "host": "x", "since": ""}}')

    pressed, _ = world.take_back()

    assert [proof.death for proof in pressed.senders] == [Death.WAS_DEAD]
    assert locked_by_nobody.poll() is None
