"""Load once what every program of Countermand loads, so that it lies compiled (`make setup`).

At a first start ten processes begin at the same moment; without this each of them would compile
the same modules, and a machine with two cores would be busy with nothing else.
"""

import importlib
import os

import django

PROGRAMS = (
    "countermand.cli.app",
    "countermand.cli.stop_verbs",
    "countermand.gate.__main__",
    "countermand.orders.actions",
    "countermand.orders.jobs",
    "countermand.project.up",
    "countermand.project.urls",
    "countermand.project.source_runs",
    "countermand.project.worker",
    "countermand.sender.__main__",
    "countermand.synth.organisation",
    "countermand.testing.mail_server",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "holidays.countries",
)


def main() -> None:
    """Load them all; whatever cannot be loaded fails the set-up."""
    # What is installed for this person is none of the set-up's business.
    for name in [*os.environ]:
        if name == "DATABASE_URL" or name.startswith("COUNTERMAND_"):
            del os.environ[name]
    os.environ["COUNTERMAND_DATA"] = "build/no-data"
    os.environ["DJANGO_SETTINGS_MODULE"] = "countermand.project.settings"
    django.setup()
    for name in PROGRAMS:
        importlib.import_module(name)


if __name__ == "__main__":
    main()
