import asyncio
from collections import deque

import pytest

from countermand.domain.findings import QueueUnavailable
from countermand.sender.pace import Pace, QueueDepth

TICK_S = 0.01


def through(rate: float, *, seconds: float = 8) -> tuple[QueueDepth, float]:
    """Send as quickly as allowed through a relay of `rate` mails a second.

    Returns the depth and the deepest queue after the first second, in seconds of that rate.
    """
    depth = QueueDepth()
    queue: deque[str] = deque()
    sent = deepest = 0
    passed_on = looked_s = 0.0
    for tick in range(int(seconds / TICK_S)):
        now_s = tick * TICK_S
        while not depth.is_deep() and len(queue) < 10 * rate:
            queue.append(f"id{sent}")
            depth.hand_over(queue[-1], at_s=now_s)
            sent += 1
        passed_on += rate * TICK_S
        while passed_on >= 1 and queue:
            queue.popleft()
            passed_on -= 1
        passed_on = min(passed_on, 1.0)
        if now_s > 1:
            deepest = max(deepest, len(queue))
        if now_s - looked_s >= depth.look_after_s():
            looked_s = now_s
            depth.see(frozenset(queue), at_s=now_s)
    return depth, deepest / rate


@pytest.mark.parametrize("rate", [20, 100, 500, 2000])
def test_a_relays_queue_never_holds_two_seconds_of_its_own_rate(rate: float) -> None:
    _, deepest_s = through(rate)

    assert deepest_s < 2


@pytest.mark.parametrize("rate", [100, 500, 2000])
def test_a_relay_is_not_left_without_work(rate: float) -> None:
    depth, _ = through(rate)

    assert depth.rate > 0.8 * rate


def test_a_relay_that_passes_everything_on_is_soon_trusted_with_more() -> None:
    depth, _ = through(2000, seconds=1)

    assert depth.rate > 1000


def test_what_waits_for_somebody_elses_server_holds_nobody_up() -> None:
    depth = QueueDepth()
    ids = [f"id{number}" for number in range(40)]
    for each in ids:
        depth.hand_over(each, at_s=0)
    assert depth.is_deep()

    depth.see(frozenset(ids), at_s=30)

    assert not depth.is_deep()


def test_a_mail_handed_over_after_the_look_began_is_not_taken_for_passed_on() -> None:
    depth = QueueDepth()
    depth.hand_over("early", at_s=0)
    depth.hand_over("late", at_s=2)

    depth.see(frozenset(), at_s=1)

    assert len(depth) == 1


def test_a_relay_that_tells_nothing_holds_nothing_up() -> None:
    pace = Pace()
    for number in range(1000):
        pace.hand_over(f"id{number}")

    assert pace.allows()


def test_a_queue_that_cannot_be_seen_holds_nothing_up(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> list[str]:
        raise QueueUnavailable(why="a test")

    async def story() -> None:
        pace = Pace(fails)
        for number in range(100):
            pace.hand_over(f"id{number}")
        assert not pace.allows()
        looking = asyncio.create_task(pace.run())
        async with asyncio.timeout(20):
            while not pace.allows():  # noqa: ASYNC110 - a thread changes it
                await asyncio.sleep(0.01)
        looking.cancel()

    asyncio.run(story())
    assert "relay.queue_not_seen" in capsys.readouterr().err
