"""What a relay's answers mean: only what it says of a mailbox gives a person up."""

from __future__ import annotations

import pytest

from countermand.domain.delivery import Holding, ReplyKind
from countermand.sender.envelope import EnvelopeReplies, answer_to_dot
from countermand.sender.link import ServerReply

HOLDING = Holding(1, 1)
ABOUT_A_MAILBOX = [
    "550 5.1.1 <p1@example.org>: Recipient address rejected: User unknown",
    "550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 Learn more",
    "550 no such user here",
    "551 user not local",
    "552 5.2.2 over quota",
    "553 sorry, that domain is not here",
    "556 5.1.10 this domain takes no mail",
    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
    "550 5.0.0 mailbox unavailable",
]
ABOUT_US = [
    "554 5.7.1 <p1@example.org>: Relay access denied",
    "554 relay access denied",
    "550 5.7.64 TenantAttribution; Relay Access Denied",
    "550-5.7.1 Invalid credentials for relay [192.0.2.1].\r\n550 5.7.1 Learn more",
    "550 5.4.5 Daily SMTP relay sending limit exceeded",
    "550 5.1.8 Access denied, bad outbound sender",
    "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
    "530 5.7.0 Must issue a STARTTLS command first",
    "530 authentication required",
    "521 this host takes no mail",
    "552 5.3.4 Message size exceeds fixed limit",
    "501 syntax error",
]


def reply(said: str) -> ServerReply:
    lines = said.encode().split(b"\r\n")
    return ServerReply(int(said[:3]), tuple(line + b"\r" for line in lines))


OK, GO_ON = reply("250 2.1.0 ok"), reply("354 go on")
NO_RECIPIENT = reply("554 5.5.1 no valid recipients")


@pytest.mark.parametrize("said", ABOUT_A_MAILBOX)
def test_what_is_said_of_a_mailbox_gives_it_up(said: str) -> None:
    refused = EnvelopeReplies(OK, reply(said), NO_RECIPIENT).refusal(HOLDING)

    assert refused.kind is ReplyKind.REFUSED
    assert answer_to_dot(HOLDING, reply(said)).kind is ReplyKind.REFUSED


@pytest.mark.parametrize("said", ABOUT_US)
def test_what_a_relay_has_against_us_gives_nobody_up(said: str) -> None:
    """A limit, a login, a network: mended by somebody, and then every mail goes out after all."""
    at_rcpt = EnvelopeReplies(OK, reply(said), NO_RECIPIENT).refusal(HOLDING)
    at_data = EnvelopeReplies(OK, OK, reply(said)).refusal(HOLDING)
    at_mail = EnvelopeReplies(reply(said), NO_RECIPIENT, NO_RECIPIENT).refusal(HOLDING)

    assert [each.kind for each in (at_rcpt, at_data, at_mail)] == [ReplyKind.DEFERRED] * 3
    assert answer_to_dot(HOLDING, reply(said)).kind is ReplyKind.DEFERRED


@pytest.mark.parametrize("said", ["354 go on", "334 ", "150 wait", "000 ?", "999 !"])
def test_an_answer_to_a_mail_that_says_neither_yes_nor_no_leaves_it_open(said: str) -> None:
    assert answer_to_dot(HOLDING, reply(said)).kind is ReplyKind.LOST
