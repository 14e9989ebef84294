"""What `up` does before anything else may run on the database: tables first, then open stops.

A program of its own, so that the supervisor never loads Django.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Final

import django

from countermand import environment, older_objects, wiring
from countermand.domain.errors import CountermandError
from countermand.project import tables, turn

# Loaded while the database is still being made.
_TAKE_A_WHILE: Final = ("countermand.orders.jobs", "django.core.management.commands.migrate")
_LOG = logging.getLogger("countermand.prepare")


def main() -> None:
    """Bring the tables up to date, finish what stops ask for, and write the look-up page.

    A file of a stop that cannot be read is said and left to the sweeps: nothing is sent meanwhile.
    """
    database = turn.told(__doc__)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with older_objects.loading():
        django.setup()
        for name in _TAKE_A_WHILE:
            importlib.import_module(name)
    settings = environment.load()
    turn.await_it(database)
    tables.bring_up_to_date()
    now = wiring.clock(settings).now()
    wiring.pause_what_was_restored(settings, now)  # a fault here keeps everything off
    for step in (wiring.complete_stops, wiring.show_everything):
        try:
            step(settings, now)
        except CountermandError as error:
            _LOG.exception("prepare.refused step=%s code=%s", step.__name__, error.code)


if __name__ == "__main__":
    main()
