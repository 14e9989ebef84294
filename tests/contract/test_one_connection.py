"""What one connection writes and gives back, instant by instant: no dot unlooked, no mail lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from countermand.domain.delivery import Holding, ReplyKind
from countermand.sender import session as sessions
from countermand.sender.link import LinkLost
from countermand.sender.session import SessionOver
from tests.held_connection import TAKEN, a_connection, mail, stop


def test_a_relay_that_speaks_before_the_dot_gets_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            hands.say(b"451 not now\r\n")
            await hands.turn()

            with pytest.raises(LinkLost, match="before the dot"):
                await hands.running
            hands.permits.give(1)
            await hands.turn()

            assert hands.is_silent()

    asyncio.run(story())


def test_a_goodbye_that_came_in_the_instant_of_the_permit_is_seen_before_the_dot(
    tmp_path: Path,
) -> None:
    """It waits in the kernel, and the loop has had no turn to hear it."""

    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()

            hands.say(b"421 going down\r\n")
            hands.permits.give(1)

            with pytest.raises(LinkLost):
                await hands.running
            assert hands.is_silent()
            assert hands.permits.told == []

    asyncio.run(story())


def test_a_flow_that_has_ended_writes_nothing_for_a_permit_that_comes_in_the_same_turn(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            flowing = hands.session._flowing
            assert flowing is not None

            flowing.set_exception(LinkLost("the relay did not answer in time"))
            hands.permits.give(1)

            with pytest.raises(LinkLost):
                await hands.running
            assert hands.is_silent()

    asyncio.run(story())


def test_what_a_connection_gives_back_is_not_begun_by_the_no_that_comes_of_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1), mail(2)) as hands:
            await hands.take_envelope()
            hands.running.cancel()
            await asyncio.gather(hands.running, return_exceptions=True)

            hands.session.close("the sender ended")

            assert hands.permits.given_back == [Holding(1, 1), Holding(2, 1)]
            assert hands.permits.told == []
            assert hands.is_silent()

    asyncio.run(story())


def test_a_goodbye_to_an_idle_connection_puts_no_mail_off(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path) as hands:
            hands.say(b"421 idle for too long\r\n")
            await hands.turn()

            hands.mails.add(mail(1))

            with pytest.raises(SessionOver):
                await hands.running
            hands.session.close("the sender ended")
            assert hands.permits.given_back == [Holding(1, 1)]
            assert hands.permits.told == []
            assert hands.is_silent()

    asyncio.run(story())


def test_a_refused_mail_costs_a_reset_and_not_the_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(b"250 ok\r\n550 nobody here\r\n554 no recipients\r\n")
            assert await hands.hear(b"\r\n") == b"RSET\r\n"
            hands.say(b"250 ok\r\n")

            hands.mails.add(mail(2))

            assert b"<p2@example.org>" in await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            hands.permits.give(2)
            await hands.hear(b"\r\n.\r\n")
            hands.mails.end()
            hands.say(b"250 ok\r\n")
            assert await hands.hear(b"\r\n") == b"QUIT\r\n"

    asyncio.run(story())


def test_a_connection_that_cannot_be_reset_brings_no_other_mail(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(b"250 ok\r\n550 nobody here\r\n554 no recipients\r\n")
            await hands.hear(b"RSET\r\n")
            hands.mails.add(mail(2))
            hands.say(b"500 what is that\r\n")

            with pytest.raises(SessionOver):
                await hands.running

    asyncio.run(story())


def test_a_goodbye_to_an_envelope_ends_the_connection_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(b"421 going down\r\n")  # and nothing more, the line stays open

            with pytest.raises(SessionOver):
                await hands.running

            [told] = hands.permits.told
            assert (told.kind, told.after_dot) == (ReplyKind.DEFERRED, False)

    asyncio.run(story())


def test_a_goodbye_to_the_dot_puts_that_mail_off_and_gives_the_next_one_back(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1), mail(2)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            hands.permits.give(1)
            await hands.hear(b"DATA\r\n")
            hands.permits.give(2)
            hands.say(b"421 going down\r\n")

            with pytest.raises(SessionOver):
                await hands.running
            hands.session.close("the sender ended")

            [told] = hands.permits.told
            assert (told.kind, told.holding.notice_id) == (ReplyKind.DEFERRED, 1)
            assert hands.permits.given_back == [Holding(2, 1)]
            assert hands.is_silent()

    asyncio.run(story())


def test_the_next_envelope_goes_with_the_dot_and_its_permit_is_asked_a_mail_ahead(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1), mail(2), mail(3)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            assert set(hands.permits.asked) == {Holding(1, 1), Holding(2, 1)}
            hands.permits.give(1)

            said = await hands.hear(b"DATA\r\n")

            assert said.startswith(mail(1).mail.content + b".\r\nMAIL FROM:")
            assert b"RCPT TO:<p2@example.org>" in said
            assert set(hands.permits.asked) == {Holding(2, 1)}
            hands.say(b"250 ok\r\n")
            await hands.turn()
            assert set(hands.permits.asked) == {Holding(2, 1), Holding(3, 1)}

    asyncio.run(story())


def test_a_body_that_leaves_in_parts_arrives_whole_and_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            hands.link.takes.extend([5, 0, 9, 1, 0, 4, 0, 1, 0, 0, 1])

            hands.permits.give(1)

            assert await hands.hear(b"\r\n.\r\n") == mail(1).mail.content + b".\r\n"
            hands.say(b"250 ok\r\n")
            await hands.turn()
            assert hands.is_silent()
            assert [each.kind for each in hands.permits.told] == [ReplyKind.ACCEPTED]

    asyncio.run(story())


@pytest.mark.parametrize("left", [1, 2, 3, 4, 9])
def test_however_few_bytes_are_left_to_the_end_of_the_dot_they_wait_for_a_look(
    tmp_path: Path, left: int
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            whole = mail(1).mail.content + b".\r\n"
            hands.link.takes.extend([len(whole) - left, 0])

            hands.permits.give(1)
            stop(tmp_path)

            with pytest.raises(SessionOver):
                await hands.running
            hands.session.close("the sender ended")
            assert hands.relay.recv(65536) == whole[:-left]
            assert hands.permits.given_back == [Holding(1, 1)]
            assert hands.permits.told == []

    asyncio.run(story())


def test_a_mail_that_comes_late_is_asked_for_with_the_dot_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            hands.mails.add(mail(2))
            hands.permits.give(1)

            assert b"<p2@example.org>" in await hands.hear(b"DATA\r\n")
            assert set(hands.permits.asked) == {Holding(2, 1)}

    asyncio.run(story())


def test_mails_of_a_stopped_order_go_back_and_those_of_another_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        stop(tmp_path)
        mails = (mail(1), mail(2, "CM-AAAA"), mail(3), mail(4, "CM-AAAA"))
        async with a_connection(tmp_path, *mails) as hands:
            said = await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            hands.permits.give(2)
            said += await hands.hear(b"DATA\r\n")

            assert hands.permits.given_back == [Holding(1, 1), Holding(3, 1)]
            assert said.count(b"RCPT TO:") == 2
            assert set(hands.permits.asked) == {Holding(4, 1)}

    asyncio.run(story())


def test_a_stop_is_soon_seen_before_an_envelope_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_LOOK_HOLDS_S", -1.0)

    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(b"250 ok\r\n550 nobody here\r\n554 no recipients\r\n")
            await hands.hear(b"RSET\r\n")
            hands.say(b"250 ok\r\n")
            stop(tmp_path)

            hands.mails.add(mail(2))
            await hands.turn()

            assert hands.permits.given_back == [Holding(2, 1)]
            assert hands.is_silent()

    asyncio.run(story())


def test_the_mail_behind_the_dot_on_which_a_link_was_lost_is_not_blamed(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1), mail(2)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            hands.permits.give(1)
            await hands.hear(b"DATA\r\n")
            hands.relay.close()

            with pytest.raises(LinkLost):
                await hands.running
            hands.session.blame("gone")
            hands.session.close("the sender ended")

            [told] = hands.permits.told
            assert (told.kind, told.holding.notice_id) == (ReplyKind.LOST, 1)
            assert hands.permits.given_back == [Holding(2, 1)]

    asyncio.run(story())


def test_a_relay_that_hangs_up_on_an_empty_connection_has_nothing_to_blame_a_mail_for(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path) as hands:
            hands.mails.end()
            await hands.hear(b"QUIT\r\n")
            hands.relay.close()

            with pytest.raises(LinkLost):
                await hands.running
            hands.session.blame("gone")

            assert (hands.permits.told, hands.permits.given_back) == ([], [])

    asyncio.run(story())
