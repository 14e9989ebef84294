"""The thread that writes stops is there before the first of them, or is no reason to end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from countermand.gate.run import make_thread_of_stops


class NoThreads(ThreadPoolExecutor):
    """What a system says that gives no more threads."""

    def submit(self, *args: Any, **named: Any) -> NoReturn:
        del args, named
        raise RuntimeError("can't start new thread")


def test_the_first_stop_finds_a_thread() -> None:
    async def made() -> tuple[int, int]:
        before = threading.active_count()
        await make_thread_of_stops()
        at_once = threading.active_count()
        await asyncio.get_running_loop().run_in_executor(None, int)
        return at_once - before, threading.active_count() - before

    assert asyncio.run(made()) == (1, 1)


def test_a_gate_goes_on_where_no_thread_is_to_be_had() -> None:
    async def went_on() -> bool:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        await make_thread_of_stops()
        return True

    assert asyncio.run(went_on())
