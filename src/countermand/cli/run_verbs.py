"""`countermand web` and `countermand worker`: one process each, for those who supervise alone."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from countermand import environment
from countermand.cli import output
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command(
        "web",
        help=output.taught(_("Run the web alone, in the foreground."), "web --bind 127.0.0.1:8480"),
    )(web)
    app.command(
        "worker", help=output.taught(_("Run the worker alone, in the foreground."), "worker")
    )(worker)


def web(
    bind: Annotated[
        str | None, typer.Option("--bind", help=_("Where to listen, as host:port."))
    ] = None,
) -> None:
    """Become gunicorn."""
    settings = environment.load()
    os.environ["COUNTERMAND_DATA"] = str(settings.data)
    command = [
        *(sys.executable, "-m", "gunicorn", "countermand.project.wsgi:application"),
        *("--bind", bind or settings.web, "--threads", "4", "--no-control-socket"),
    ]
    os.execv(sys.executable, command)  # noqa: S606  (this very program, no shell)


def worker() -> None:
    """Sweep until SIGTERM or Ctrl-C."""
    from countermand import wiring
    from countermand.cli import session
    from countermand.project.worker import Worker

    settings = environment.load()
    session.prepare(settings)
    Worker(settings, steps=wiring.sweep_steps(settings)).run()
