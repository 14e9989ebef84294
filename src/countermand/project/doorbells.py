"""Doorbells: jobs that carry nothing and only make the worker look at once.

An action that has made work due defers the job RING by its name, inside its own transaction:
`procrastinate.contrib.django.app.configure_task("countermand.ring").defer()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from procrastinate import App
from procrastinate.contrib.django import app as the_app
from procrastinate.contrib.django.django_connector import DjangoConnector

RING: Final = "countermand.ring"
_LOOK_FOR_STALLED_EVERY_S: Final = 60.0
_heard: list[Callable[[], object]] = []


def register(app: App) -> None:
    """Make the doorbell known (settings.PROCRASTINATE_ON_APP_READY)."""
    app.task(name=RING)(_ring)


def _ring() -> None:
    for hear in _heard:
        hear()


def on_ring(hear: Callable[[], object]) -> None:
    """Call `hear` whenever somebody rings."""
    _heard[:] = [hear]


async def listen() -> None:
    """Take doorbells until the database goes away. Runs in an event loop of its own."""
    connector = the_app.connector
    if not isinstance(connector, DjangoConnector):
        raise TypeError("doorbells hang on Django's database")
    # A copy of the app: what the rest of this process defers stays in its own transactions.
    app = the_app.with_connector(connector.get_worker_connector())
    async with app.open_async():
        looking = asyncio.create_task(_retry_stalled(app))
        try:
            await app.run_worker_async(
                concurrency=1, install_signal_handlers=False, delete_jobs="always"
            )
        finally:
            looking.cancel()


async def _retry_stalled(app: App) -> None:
    """Ring again for what a killed worker took and never finished."""
    while True:
        for job in await app.job_manager.get_stalled_jobs():
            await app.job_manager.retry_job(job)
        await asyncio.sleep(_LOOK_FOR_STALLED_EVERY_S)
