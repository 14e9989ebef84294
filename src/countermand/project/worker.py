"""The worker: a sweep that finds due work in stored times, and doorbells that make it look sooner.

A job carries no work: it only rings (`doorbells.ring`). A lost one costs the time until the next
sweep, a doubled one costs nothing. Every step of a sweep and every fault in one is on its own.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import django
from django.db import close_old_connections

from countermand import config, environment, older_objects, wiring
from countermand.data_folder import write_json
from countermand.domain.errors import CountermandError
from countermand.project import sweep_note, turn
from countermand.wiring import SweepStep

_LOG = logging.getLogger("countermand.worker")
_RETRY_BELLS_S = 2.0
_LOOK_FOR_SOURCES_S = 30.0


class Worker:
    """One worker: sweeps in the main thread; doorbells and inventories in others."""

    def __init__(self, settings: config.Settings, *, steps: Sequence[wiring.SweepStep]) -> None:
        """Prepare; `run` begins. `steps` is what every sweep does, in order."""
        self._settings = settings
        self._steps = steps
        self._clock = wiring.clock(settings)
        self._wake = threading.Event()
        self._wants_end = False

    def run(self) -> None:
        """Sweep until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_for_end)
        bells = threading.Thread(target=self._listen, name="doorbells", daemon=True)
        bells.start()
        self.ask_sources()
        first = True
        while not self._wants_end:
            self._wake.clear()
            self.sweep()
            if first:
                write_json(self._settings.folder.run / "worker.ready", {"pid": os.getpid()})
                first = False
            self._wake.wait(self._settings.sweep_every_s)

    def sweep(self) -> None:
        """Do once whatever is due, and note when it was looked for."""
        began_at = self._clock.now()
        note = SweepStep("sweep.note", lambda _: sweep_note.write(self._settings.folder, began_at))
        close_old_connections()
        for step in (*self._steps, note):
            try:
                step.run(self._clock.now())
            except Exception as fault:  # noqa: BLE001  (one step's fault keeps no other from its)
                self._log_fault(step, fault)
                close_old_connections()  # perhaps it was the database that went away

    def _log_fault(self, step: SweepStep, fault: Exception) -> None:
        if isinstance(fault, CountermandError):
            _LOG.error("sweep.refused step=%s code=%s", step.name, fault.code, exc_info=fault)
        else:
            _LOG.error("sweep.failed step=%s", step.name, exc_info=fault)

    def _ask_for_end(self, _number: int, _frame: FrameType | None) -> None:
        self._wants_end = True
        self._wake.set()

    def ask_sources(self) -> None:
        """Ask inventories for ever, beside the sweeps: other people's servers may be slow."""
        ask = wiring.asking_sources(self._settings, self._clock.now)
        threading.Thread(target=self._for_ever, args=(ask,), name="sources", daemon=True).start()

    def _for_ever(self, ask: Callable[[], object]) -> None:
        while not self._wants_end:
            close_old_connections()
            try:
                ask()
            except Exception:  # noqa: BLE001  (the database went away; it is tried again)
                _LOG.exception("sources.failed")
            threading.Event().wait(_LOOK_FOR_SOURCES_S)

    def _listen(self) -> None:
        """Wait for doorbells for ever; while the database is away, the sweeps go on."""
        from countermand.project import doorbells  # noqa: PLC0415  (needs Django to be set up)

        doorbells.on_ring(self._wake.set)
        while not self._wants_end:
            try:
                asyncio.run(doorbells.listen())
            except Exception:  # noqa: BLE001  (the database went away; sweeps do without bells)
                _LOG.exception("doorbells.failed")
            if not self._wants_end:
                threading.Event().wait(_RETRY_BELLS_S)


def main() -> None:
    """Run the worker of the installation that the environment names."""
    tables = turn.told(__doc__)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    with older_objects.loading():
        django.setup()
        importlib.import_module("countermand.orders.jobs")  # takes a while, and needs no tables
        settings = environment.load()
        steps = wiring.sweep_steps(settings)
    turn.await_it(tables)
    with older_objects.at_rest():
        Worker(settings, steps=steps).run()


if __name__ == "__main__":
    main()
