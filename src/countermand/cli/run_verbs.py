"""`countermand web` and `worker`: one process each, for those who supervise alone; and `sender`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from countermand import environment
from countermand.cli import output
from countermand.cli.up import Data, Exercises, ReadyFile, Senders
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(
        "web",
        help=output.taught(_("Run the web alone, in the foreground."), "web --bind 127.0.0.1:8480"),
    )(web)
    app.command(
        "worker", help=output.taught(_("Run the worker alone, in the foreground."), "worker")
    )(worker)
    app.command(
        "sender",
        help=output.taught(
            _("Send from this machine too, for orders that are made on another one; hear stops."),
            "sender --name mx2",
        ),
    )(sender)


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


def sender(
    *,
    name: Annotated[
        str,
        typer.Option("--name", help=_("How its senders' names begin; else as the machine's own.")),
    ] = "",
    port: Annotated[
        int | None,
        typer.Option("--port", help=_("Where stops are heard; 0 takes any."), max=65535),
    ] = None,
    ready_file: ReadyFile = None,
    data: Data = None,
    senders: Senders = None,
    exercises: Exercises = False,
) -> None:
    """Run until SIGTERM or Ctrl-C."""
    from countermand.project.sender_host import SenderHost, Wishes, own_name

    console = output.stderr()
    wishes = Wishes(
        data=environment.load(data=data).data,
        name=own_name(name or os.uname().nodename),
        port=port,
        ready_file=ready_file.absolute() if ready_file else None,
        senders=senders,
        exercises=exercises,
    )
    SenderHost(wishes, say=lambda sentence: output.say(console, "{it}", it=sentence)).run()


def worker() -> None:
    """Sweep until SIGTERM or Ctrl-C."""
    from countermand import wiring
    from countermand.cli import session
    from countermand.project.worker import Worker

    settings = environment.load()
    session.prepare(settings)
    Worker(settings, steps=wiring.sweep_steps(settings)).run()
