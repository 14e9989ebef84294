"""A relay that says or takes nothing is given up in time, and only that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from countermand.domain.delivery import ReplyKind
from countermand.sender import session as sessions
from countermand.sender.link import LinkLost
from tests.held_connection import TAKEN, a_connection, mail


def test_a_relay_that_never_answers_the_dot_is_given_up_and_the_mail_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_DOT_REPLY_S", 0.0)

    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")
            hands.say(TAKEN)
            hands.permits.give(1)
            await hands.hear(b"\r\n.\r\n")

            with pytest.raises(LinkLost, match="in time"):
                await hands.running
            hands.session.blame("silent")
            hands.session.close("the sender ended")

            [told] = hands.permits.told
            assert (told.kind, told.after_dot) == (ReplyKind.LOST, True)
            assert hands.permits.given_back == []

    asyncio.run(story())


def test_a_relay_that_never_answers_an_envelope_is_given_up_and_the_mail_told_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "COMMAND_S", 0.0)

    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.hear(b"DATA\r\n")

            with pytest.raises(LinkLost, match="in time"):
                await hands.running
            hands.session.blame("silent")
            hands.session.close("the sender ended")

            [told] = hands.permits.told
            assert (told.kind, told.after_dot) == (ReplyKind.DEFERRED, False)
            assert hands.permits.given_back == []

    asyncio.run(story())


def test_a_relay_that_takes_no_more_of_a_body_is_given_up_and_the_mail_told_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            hands.link.takes.extend([5, *[0] * 1000])
            hands.permits.give(1)
            monkeypatch.setattr(sessions, "COMMAND_S", 0.0)

            hands.session._look_at_clock()

            with pytest.raises(LinkLost, match="in time"):
                await hands.running
            hands.session.blame("silent")
            [told] = hands.permits.told
            assert (told.kind, told.after_dot) == (ReplyKind.DEFERRED, False)

    asyncio.run(story())


def test_a_relay_that_waits_for_our_permit_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1)) as hands:
            await hands.take_envelope()
            monkeypatch.setattr(sessions, "COMMAND_S", 0.0)
            monkeypatch.setattr(sessions, "_DOT_REPLY_S", 0.0)
            hands.session._look_at_clock()
            await hands.turn()
            monkeypatch.undo()

            hands.permits.give(1)

            await hands.hear(b"\r\n.\r\n")

    asyncio.run(story())


def test_a_relay_has_its_time_from_the_dot_however_long_the_permit_took(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_connection(tmp_path, mail(1), mail(2)) as hands:
            await hands.take_envelope()
            hands.session._waits_since_s -= 10_000
            hands.permits.give(1)
            await hands.hear(b"DATA\r\n")

            hands.session._look_at_clock()
            hands.session._waits_since_s -= 10_000
            hands.say(b"250 ok\r\n")
            await hands.turn()
            hands.session._look_at_clock()  # the answer to the next envelope has its own time

            hands.say(TAKEN)
            hands.permits.give(2)
            await hands.hear(b"\r\n.\r\n")

    asyncio.run(story())
