"""`python -m countermand.sender --name sender-1`: one sender process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import uvloop

from countermand import clock, config, environment
from countermand.connectors.postfix.queue import PostfixQueue
from countermand.domain.errors import CountermandError
from countermand.sender.compose import Writer
from countermand.sender.journal import note, note_fault
from countermand.sender.ledger_line import PostgresLine
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.sender.relay import Relay
from countermand.sender.service import SenderPlan, SenderService

_FAULT: Final = 1
_STAYS_OFF: Final = 3
_TURN_S: Final = 0.0005
_COLLECT_AFTER: Final = 20_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to end; 3 when this sender must stay off, with the reason in the log.

    1 when something happened that nobody expected: whoever started it starts it anew.
    """
    parser = argparse.ArgumentParser(prog="python -m countermand.sender")
    parser.add_argument("--name", required=True, help="one sender process per name")
    parser.add_argument("--mode", choices=("live", "exercise"), default="live")
    parser.add_argument("--data", type=Path, help="the data folder")
    arguments = parser.parse_args(argv)
    try:
        settings = environment.load(data=arguments.data)
        settings.check_relay()
        service = _service(settings, name=arguments.name, mode=arguments.mode)
        _tune()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(service.run())
    except CountermandError as error:
        note("sender.off", code=error.code, why=str(error))
        return _STAYS_OFF
    except Exception as error:  # noqa: BLE001  (told without its words, which may be somebody's)
        note_fault(error)
        return _FAULT
    return 0


def _queued(settings: config.Settings) -> Callable[[], Collection[str]] | None:
    if not settings.relay_queue_command:
        return None
    queue = PostfixQueue(settings.relay_queue_command, Path(settings.relay_log or os.devnull))
    return lambda: [each.queue_id for each in queue.waiting()]


def _tune() -> None:
    """Let the threads that wait for the database take turns quickly, and collect seldom."""
    sys.setswitchinterval(_TURN_S)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 50, 50)


def _service(settings: config.Settings, *, name: str, mode: str) -> SenderService:
    plan = SenderPlan(
        name=name,
        mode=mode,
        relay=Relay.of(settings),
        connections=settings.connections,
        window=settings.window,
        writer=Writer(settings.mail_from, settings.mail_from_name, settings.reply_to),
        fences=settings.folder.fences,
        senders=settings.folder.senders,
        queued=_queued(settings),
    )
    url = settings.sender_database_url or settings.database_url
    now = clock.for_data(settings.folder).now
    keeper = PostgresLedger(url, sender=name)
    return SenderService(plan, keeper, lambda: PostgresLine(url, sender=name), now=now)


if __name__ == "__main__":
    sys.exit(main())
