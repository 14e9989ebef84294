"""What is said to the relay before a mail's body, and what its answers mean."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from countermand.domain.delivery import Holding, Reply, ReplyKind
from countermand.sender.link import GOING_DOWN, ServerReply
from countermand.sender.supply import Ready

OK: Final = range(200, 300)
GO_ON: Final = 354
_NO: Final = range(400, 600)
_FOR_EVER: Final = range(500, 600)
# What a refusal is about (RFC 3463): 5.1 and 5.2 a mailbox, but for 5.1.7 and 5.1.8, our own
# address; 5.4.1 where Exchange Online knows of nobody. All else (a login, a limit, a network, a
# policy) is against us, and mended by somebody some day.
_ENHANCED: Final = re.compile(r"5\.\d{1,3}\.\d{1,3}(?!\S)")
_ABOUT_A_MAILBOX: Final = re.compile(r"5\.(?:1\.(?![78]$)\d+|2\.\d+|4\.1)")
_SAYS_NOTHING: Final = "5.0."
_MAILBOX_CODES: Final = frozenset({550, 551, 552, 553, 556})  # where nothing else is said
_NOT_XCHAR: Final = re.compile(r"[^!-*,-<>-~]")  # outside "!" to "~", or "+" or "="
_QUEUE_ID: Final = re.compile(r"queued as ([A-Za-z0-9._-]{1,60})")


class EnvelopeReplies(NamedTuple):
    """The relay's three answers to one envelope."""

    mail: ServerReply
    rcpt: ServerReply
    data: ServerReply

    def waits_for_body(self) -> bool:
        """Say whether everything was taken."""
        return self.mail.code in OK and self.rcpt.code in OK and self.data.code == GO_ON

    def ends_session(self) -> bool:
        """Say whether the connection is of no more use after a refusal.

        A relay that refused the recipient and asks for a body all the same would take a lone dot
        for a mail.
        """
        codes = (self.mail.code, self.rcpt.code, self.data.code)
        return self.data.code == GO_ON or GOING_DOWN in codes

    def refusal(self, holding: Holding) -> Reply:
        """Return what is recorded: a mailbox is given up only for what was said about itself.

        What the relay has against us says nothing about a person, and is tried again.
        """
        if self.mail.code not in OK:
            return before_dot(holding, ReplyKind.DEFERRED, self.mail.text)
        about = self.rcpt if self.rcpt.code not in OK else self.data
        return before_dot(holding, _kind_of_no(about), about.text)


def commands(ready: Ready, extensions: frozenset[str]) -> bytes:
    """Return MAIL, RCPT and DATA for one mail; one recipient per mail, so one answer each."""
    mail, rcpt = f"MAIL FROM:<{ready.mail.mail_from}>", f"RCPT TO:<{ready.mail.recipient}>"
    if ready.mail.needs_smtputf8:
        mail += " SMTPUTF8" + (" BODY=8BITMIME" if "8BITMIME" in extensions else "")
    if "DSN" in extensions:
        mail += f" RET=HDRS ENVID={_xtext(ready.mail.envelope_id)}"
        rcpt += " NOTIFY=FAILURE,DELAY"
    return f"{mail}\r\n{rcpt}\r\nDATA\r\n".encode()


def _xtext(text: str) -> str:
    """Write a text as RFC 3461 wants it (section 4); ours has nothing to write in another way."""
    if not _NOT_XCHAR.search(text):
        return text
    return "".join(f"+{ord(c):02X}" if _NOT_XCHAR.match(c) else c for c in text)


def answer_to_dot(holding: Holding, reply: ServerReply) -> Reply:
    """Return what is recorded of the relay's answer to a whole mail.

    One that is neither a yes nor a no leaves it open whether the mail was taken.
    """
    text = reply.text
    if reply.code in OK:
        queued = _QUEUE_ID.search(text)
        queue_id = queued[1] if queued else None
        return Reply(holding, ReplyKind.ACCEPTED, True, text, queue_id)  # noqa: FBT003
    kind = _kind_of_no(reply) if reply.code in _NO else ReplyKind.LOST
    return Reply(holding, kind, True, text, None)  # noqa: FBT003


def before_dot(holding: Holding, kind: ReplyKind, text: str) -> Reply:
    """Return what is recorded of a mail whose dot was provably not written."""
    return Reply(holding, kind, False, text, None)  # noqa: FBT003


def _kind_of_no(reply: ServerReply) -> ReplyKind:
    """Say whether a no gives the mailbox up, or is one for now."""
    said = next((m[0] for line in reply.lines if (m := _ENHANCED.match(line))), _SAYS_NOTHING)
    if said.startswith(_SAYS_NOTHING):
        is_final = reply.code in _MAILBOX_CODES
    else:
        is_final = reply.code in _FOR_EVER and _ABOUT_A_MAILBOX.fullmatch(said) is not None
    return ReplyKind.REFUSED if is_final else ReplyKind.DEFERRED
