"""A mail server that keeps its own record: the oracle of who was told what.

A real SMTP server (PIPELINING, 8BITMIME, SMTPUTF8, DSN, SIZE) in a process of its own. A mail is
written to the record, one JSON line, before the 250 leaves; nobody else writes there. Over a
control socket it is told to refuse, to defer, to lose a reply, or to kill a process at the very
phase that it sees, so that the programs under test need no hooks.

    python -m countermand.testing.mail_server --port 0 --record FILE --control SOCKET

Control lines, one JSON object each:
    {"do": "kill" | "freeze", "pid": 1, "phase": "before_dot", "count": 3}
    {"do": "refuse" | "defer", "to": "a@example.org" | "*", "at": "rcpt" | "dot", "times": -1}
    {"do": "drop_after_dot" | "hang_up_before_dot", "to": "*", "times": 1}
    {"do": "delay_replies", "seconds": 0.1}
    {"do": "announce_421" | "behave" | "count" | "stop"}
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from countermand.testing.mail_session import (
    EXTENSIONS,
    Answers,
    Orders,
    Record,
    Session,
    SessionPhase,
    Trap,
)


class MailServer:
    """All sessions, the record, and what the control socket may ask."""

    def __init__(self, record: Record, extensions: Sequence[str] = EXTENSIONS) -> None:
        """Serve with `extensions`."""
        self._record = record
        self._extensions = list(extensions)
        self._orders = Orders()
        self._sessions: list[Session] = []
        self.stopped = asyncio.Event()

    def session(self) -> Session:
        """Make the protocol of one new connection."""
        made = Session(len(self._sessions) + 1, self._record, self._orders, self._extensions)
        self._sessions.append(made)
        return made

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the control socket: one JSON object a line, one back."""
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                try:
                    answer = self.obey(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    answer = {"error": repr(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    def obey(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Do what one control line asks."""
        does = {
            "kill": self._trap,
            "freeze": self._trap,
            "refuse": self._answer,
            "defer": self._answer,
            "drop_after_dot": self._drop_after_dot,
            "hang_up_before_dot": self._hang_up_before_dot,
            "delay_replies": self._delay_replies,
            "announce_421": self._announce_421,
            "behave": self._behave,
            "count": self._count,
            "stop": self._stop,
        }.get(wish["do"])
        if does is None:
            return {"error": f"no such verb: {wish['do']}"}
        does(wish)
        return {
            "accepted": self._record.accepted,
            "sessions": len(self._sessions),
            "traps": len(self._orders.traps),
            "kills": self._orders.sprung,
        }

    def _trap(self, wish: dict[str, Any]) -> None:
        number = signal.SIGKILL if wish["do"] == "kill" else signal.SIGSTOP
        phase, count = SessionPhase(wish["phase"]), int(wish.get("count", 1))
        self._orders.traps.append(Trap(phase, int(wish["pid"]), count, number))

    def _answer(self, wish: dict[str, Any]) -> None:
        code = int(wish.get("code", 550 if wish["do"] == "refuse" else 451))
        times = int(wish.get("times", -1))
        at = str(wish.get("at", "rcpt"))
        self._orders.answers.append(Answers(wish.get("to", "*"), code, at, times))

    def _drop_after_dot(self, wish: dict[str, Any]) -> None:
        times = int(wish.get("times", 1))
        self._orders.drop_after_dot.append(Answers(wish.get("to", "*"), 0, "dot", times))

    def _hang_up_before_dot(self, wish: dict[str, Any]) -> None:
        times = int(wish.get("times", 1))
        self._orders.hang_up_before_dot.append(Answers(wish.get("to", "*"), 0, "body", times))

    def _delay_replies(self, wish: dict[str, Any]) -> None:
        self._orders.reply_delay_s = float(wish["seconds"])

    def _announce_421(self, _: dict[str, Any]) -> None:
        for session in self._sessions:
            session.announce_421()

    def _count(self, _: dict[str, Any]) -> None:
        """Every answer carries the count."""

    def _stop(self, _: dict[str, Any]) -> None:
        self.stopped.set()

    def _behave(self, _: dict[str, Any]) -> None:
        self._orders.forget()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m countermand.testing.mail_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--control", type=Path, help="a Unix socket that takes JSON lines")
    parser.add_argument("--ready-file", type=Path, help="written when the port is open")
    parser.add_argument("--data", type=Path, help="a data folder whose told clock is noted down")
    parser.add_argument("--without", default="", help="extensions not to offer, with commas")
    parser.add_argument("--brief", action="store_true", help="no headers and words in the record")
    return parser.parse_args(argv)


def _teller(data: Path | None) -> Callable[[], str | None]:
    if data is None:
        return lambda: None
    from countermand import clock  # noqa: PLC0415 - most doubles have no data folder
    from countermand.data_folder import DataFolder  # noqa: PLC0415

    told = clock.for_data(DataFolder(data))
    return lambda: told.now().isoformat()


async def serve(arguments: argparse.Namespace) -> None:
    """Run until told to stop, or until SIGTERM."""
    without = {name.strip().upper() for name in arguments.without.split(",")}
    extensions = [name for name in EXTENSIONS if name.split()[0] not in without]
    tell = _teller(arguments.data)
    double = MailServer(Record(arguments.record, tell=tell, brief=arguments.brief), extensions)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, double.stopped.set)
    server = await loop.create_server(double.session, "127.0.0.1", arguments.port, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    if arguments.control:
        arguments.control.unlink(missing_ok=True)
        await asyncio.start_unix_server(double.control, arguments.control)
    if arguments.ready_file:
        beside = arguments.ready_file.with_suffix(".new")
        beside.write_text(json.dumps({"port": port, "pid": os.getpid()}), encoding="utf-8")
        beside.replace(arguments.ready_file)
    sys.stdout.write(f"listening on 127.0.0.1:{port}\n")
    sys.stdout.flush()
    await double.stopped.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Start the double."""
    asyncio.run(serve(_arguments(argv)))


if __name__ == "__main__":
    main()
