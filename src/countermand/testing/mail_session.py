"""One SMTP session as the mail server double leads it, and the traps that it springs on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from countermand.testing.mail_record import entry

EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 10485760")
_END: Final = b"\r\n.\r\n"
_PERMIT_S: Final = 0.05  # in which a permit that was asked for is committed


class SessionPhase(StrEnum):
    """How far a session has come, as the server sees it."""

    AFTER_RCPT = "after_rcpt"
    AFTER_DATA = "after_data"  # asked for, not answered: no body can come yet
    MID_BODY = "mid_body"  # some of the body came, not all of it
    # The next thing to come is the packet with the dot: the permit had its time, and either 354 was
    # not said yet or, of a body that came in parts, the dot alone is missing.
    BEFORE_DOT = "before_dot"
    AFTER_DOT_BEFORE_REPLY = "after_dot_before_reply"  # accepted and recorded, not answered
    AFTER_REPLY = "after_reply"


@dataclass(slots=True)
class Trap:
    """Send `signal_number` to `pid` when `phase` is seen for the `count`-th time from now on."""

    phase: SessionPhase
    pid: int
    count: int
    signal_number: int = signal.SIGKILL


@dataclass(slots=True)
class Answers:
    """Which recipients get another answer than 250, where (`rcpt` or `dot`), and how often."""

    to: str
    code: int
    at: str
    times: int

    def matches(self, recipient: str, at: str) -> bool:
        """Say whether this applies, and use it up once."""
        if self.at != at or self.times == 0 or self.to not in ("*", recipient):
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class Orders:
    """What the control socket asked for."""

    traps: list[Trap] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    drop_after_dot: list[Answers] = field(default_factory=list)
    hang_up_before_dot: list[Answers] = field(default_factory=list)
    reply_delay_s: float = 0.0
    sprung: int = 0  # traps that hit a living process

    def answer(self, recipient: str, at: str) -> int | None:
        """Return the code to give instead of 250, None for 250."""
        return next((a.code for a in self.answers if a.matches(recipient, at)), None)

    def forget(self) -> None:
        """Behave like any mail server again."""
        for wishes in (self.traps, self.answers, self.drop_after_dot, self.hang_up_before_dot):
            wishes.clear()
        self.reply_delay_s = 0.0

    def is_due(self, phase: SessionPhase) -> bool:
        """Say whether the next sight of `phase` makes a trap strike."""
        return any(trap.phase is phase and trap.count <= 1 for trap in self.traps)

    def spring(self, phase: SessionPhase, *, passed: bool = False) -> None:
        """Let every trap for `phase` count, and strike; not if the moment has `passed` already."""
        for trap in [t for t in self.traps if t.phase is phase]:
            trap.count -= 1
            if trap.count <= 0 and not passed:
                self.traps.remove(trap)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(trap.pid, trap.signal_number)
                    self.sprung += 1


class Record:
    """The server's own record; a line is with the operating system before the sender hears 250."""

    def __init__(self, path: Path, *, tell: Callable[[], str | None], brief: bool = False) -> None:
        """Append to `path`; `tell` gives the told time, if there is a told clock."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._tell = tell
        self._brief = brief
        self.accepted = 0

    def accept(
        self, *, session: int, ehlo: str, sender: str, recipients: list[str], mail: bytes
    ) -> int:
        """Write one accepted mail down and return its number."""
        self.accepted += 1
        line: dict[str, Any] = {
            "seq": self.accepted,
            "real_at": time.time(),  # noqa: TID251 - the record is about real time
            "session": session,
            "ehlo": ehlo,
            "from": sender,
            "to": recipients[0] if len(recipients) == 1 else recipients,
        }
        if (told_at := self._tell()) is not None:
            line["told_at"] = told_at
        line |= entry(mail, brief=self._brief)
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return self.accepted


class Session(asyncio.Protocol):
    """One connection, read as it comes: several commands, or half a body, in one packet."""

    def __init__(
        self, number: int, record: Record, orders: Orders, extensions: Sequence[str]
    ) -> None:
        """Serve connection `number`."""
        self._number = number
        self._record = record
        self._orders = orders
        self._extensions = extensions
        self._buffer = bytearray()
        self._ehlo = ""
        self._in_data = False
        self._watched = False
        self._busy = False
        self._from: str | None = None
        self._to: list[str] = []
        self._out: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a fact of asyncio
        self._out = transport
        self._say("220 double.example ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        """Forget: a mail without its dot was never accepted."""
        self._out = None

    def data_received(self, data: bytes) -> None:
        """Take what came and go as far as it reaches."""
        self._buffer += data
        self._proceed()

    def announce_421(self) -> None:
        """Say goodbye unasked, as a relay does that shuts down."""
        self._say("421 4.3.2 double.example is going down")
        self._close()

    def _proceed(self) -> None:
        while self._out is not None and not self._busy:
            if self._in_data:
                if not self._take_body():
                    return
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                return
            self._buffer = bytearray(rest)
            self._command(line.decode("utf-8", "replace"))

    def _command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        does = {
            "EHLO": self._greet,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }.get(verb.upper())
        if does is None:
            self._say("500 5.5.2 not understood")
        else:
            does(rest)

    def _greet(self, rest: str) -> None:
        self._ehlo = rest.strip()
        lines = ["double.example", *self._extensions]
        for text in lines[:-1]:
            self._say(f"250-{text}")
        self._say(f"250 {lines[-1]}")

    def _rset(self, rest: str) -> None:  # noqa: ARG002 - the form of all verbs
        self._reset()
        self._say("250 2.0.0 ok")

    def _noop(self, rest: str) -> None:  # noqa: ARG002 - the form of all verbs
        self._say("250 2.0.0 ok")

    def _quit(self, rest: str) -> None:  # noqa: ARG002 - the form of all verbs
        self._say("221 2.0.0 bye")
        self._close()

    def _mail(self, rest: str) -> None:
        if self._from is not None:
            self._say("503 5.5.1 nested MAIL")
            return
        self._from = _address(rest)
        self._say("250 2.1.0 ok")

    def _rcpt(self, rest: str) -> None:
        if self._from is None:
            self._say("503 5.5.1 MAIL first")
            return
        recipient = _address(rest)
        code = self._orders.answer(recipient, "rcpt")
        if code is not None:
            self._say(f"{code} {code // 100}.1.1 <{recipient}> as told")
            return
        self._to.append(recipient)
        self._say("250 2.1.5 ok")
        self._orders.spring(SessionPhase.AFTER_RCPT)

    def _data(self, rest: str) -> None:  # noqa: ARG002 - the form of all verbs
        if not self._to:
            self._say("554 5.5.1 no valid recipients")
            return
        if any(a.matches(self._to[0], "body") for a in self._orders.hang_up_before_dot):
            self._close()
            return
        self._orders.spring(SessionPhase.AFTER_DATA)
        if self._orders.is_due(SessionPhase.BEFORE_DOT):
            self._busy = True
            asyncio.get_running_loop().call_later(_PERMIT_S, self._ask_for_body_late)
        else:
            self._ask_for_body()

    def _ask_for_body_late(self) -> None:
        self._busy = False
        self._watched = True
        self._orders.spring(SessionPhase.BEFORE_DOT)
        self._ask_for_body()
        self._proceed()

    def _ask_for_body(self) -> None:
        self._in_data = True
        self._say("354 end with a dot")

    def _take_body(self) -> bool:
        end = 0 if self._buffer.startswith(b".\r\n") else self._buffer.find(_END)
        if end < 0:
            self._watch_body()
            return False
        skip = 3 if self._buffer.startswith(b".\r\n") else len(_END)
        mail = bytes(self._buffer[:end]) + (b"\r\n" if end else b"")
        self._buffer = self._buffer[end + skip :]
        self._in_data = False
        if not self._watched:
            # Body and dot came at once, as they usually do: counted, but too late to strike before.
            self._orders.spring(SessionPhase.BEFORE_DOT, passed=True)
            self._orders.spring(SessionPhase.MID_BODY, passed=True)
        self._watched = False
        self._accept(_unstuffed(mail))
        return True

    def _watch_body(self) -> None:
        if not self._buffer:
            return
        self._watched = True
        complete = self._buffer.endswith(b"--\r\n")
        self._orders.spring(SessionPhase.BEFORE_DOT if complete else SessionPhase.MID_BODY)

    def _accept(self, mail: bytes) -> None:
        recipients, sender = self._to, self._from or ""
        self._reset()
        code = self._orders.answer(recipients[0], "dot")
        if code is not None:
            self._say(f"{code} {code // 100}.0.0 as told")
            return
        number = self._record.accept(
            session=self._number,
            ehlo=self._ehlo,
            sender=sender,
            recipients=recipients,
            mail=mail,
        )
        self._orders.spring(SessionPhase.AFTER_DOT_BEFORE_REPLY)
        if any(a.matches(recipients[0], "dot") for a in self._orders.drop_after_dot):
            self._close()
            return
        if self._orders.reply_delay_s:
            self._busy = True
            asyncio.get_running_loop().call_later(
                self._orders.reply_delay_s, self._reply_late, number
            )
            return
        self._reply(number)

    def _reply_late(self, number: int) -> None:
        self._busy = False
        self._reply(number)
        self._proceed()

    def _reply(self, number: int) -> None:
        self._say(f"250 2.0.0 Ok: queued as DBL{number:07d}")
        self._orders.spring(SessionPhase.AFTER_REPLY)

    def _reset(self) -> None:
        self._from = None
        self._to = []

    def _say(self, line: str) -> None:
        if self._out is not None:
            self._out.write(line.encode() + b"\r\n")

    def _close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]


def _unstuffed(mail: bytes) -> bytes:
    mail = mail.replace(b"\r\n..", b"\r\n.")
    return mail[1:] if mail.startswith(b"..") else mail
