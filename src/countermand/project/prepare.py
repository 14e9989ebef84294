"""What `up` does before anything else may run on the database: tables first, then open stops.

A program of its own, so that the supervisor never loads Django.
"""

from __future__ import annotations

import os

import django
from django.core.management import call_command

from countermand import config, wiring


def main() -> None:
    """Bring the tables up to date, and finish what a stop asks for that is not done yet."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    settings = config.load()
    wiring.complete_stops(settings, wiring.clock(settings).now())


if __name__ == "__main__":
    main()
