"""What is said to the relay before a mail's body, and what its answers mean."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from countermand.domain.delivery import Holding, Reply, ReplyKind
from countermand.sender.link import GOING_DOWN, ServerReply
from countermand.sender.supply import Ready

OK: Final = range(200, 300)
GO_ON: Final = 354
_TRY_LATER: Final = range(400, 500)
_OUR_FAULT: Final = range(500, 505)  # syntax and order of commands: says nothing about a mailbox
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

        What the relay has against our own address or our commands says nothing about a person,
        and is tried again.
        """
        if self.mail.code not in OK:
            return _before_dot(holding, ReplyKind.DEFERRED, self.mail)
        about = self.rcpt if self.rcpt.code not in OK else self.data
        temporary = about.code in _TRY_LATER or about.code in _OUR_FAULT or about.code == GO_ON
        return _before_dot(holding, ReplyKind.DEFERRED if temporary else ReplyKind.REFUSED, about)


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
    """Return what is recorded of the relay's answer to a whole mail."""
    text = reply.text
    if reply.code in OK:
        queued = _QUEUE_ID.search(text)
        queue_id = queued[1] if queued else None
        return Reply(holding, ReplyKind.ACCEPTED, True, text, queue_id)  # noqa: FBT003
    kind = ReplyKind.DEFERRED if reply.code in _TRY_LATER else ReplyKind.REFUSED
    return Reply(holding, kind, True, text, None)  # noqa: FBT003


def before_dot(holding: Holding, kind: ReplyKind, text: str) -> Reply:
    """Return what is recorded of a mail whose dot was provably not written."""
    return Reply(holding, kind, False, text, None)  # noqa: FBT003


def _before_dot(holding: Holding, kind: ReplyKind, reply: ServerReply) -> Reply:
    return before_dot(holding, kind, reply.text)
