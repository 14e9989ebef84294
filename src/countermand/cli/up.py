"""`countermand up` and `countermand init`: an installation on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countermand import environment
from countermand.cli import output
from countermand.cli.output import JsonFlag
from countermand.i18n import gettext as _

Data = Annotated[Path | None, typer.Option("--data", help=_("The data folder to work with."))]
ReadyFile = Annotated[
    Path | None,
    typer.Option("--ready-file", help=_("Written when everything answers: who listens where.")),
]
Senders = Annotated[
    int | None, typer.Option("--senders", help=_("How many senders to start."), min=1)
]
Exercises = Annotated[
    bool, typer.Option("--exercises", help=_("Send exercises, too: real mails that say so."))
]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command(
        "up", help=output.taught(_("Start everything on this machine and keep it running."), "up")
    )(up)
    app.command(
        "init",
        help=output.taught(
            _("Make a data folder with its keys; up does it by itself."), "init --demonstration"
        ),
    )(init)


def up(
    port: Annotated[
        int | None,
        typer.Option("--port", help=_("The port of the web; 0 takes any free ports."), max=65535),
    ] = None,
    ready_file: ReadyFile = None,
    data: Data = None,
    senders: Senders = None,
    exercises: Exercises = False,
) -> None:
    """Run until SIGTERM or Ctrl-C."""
    from countermand.project.up import Up, Wishes

    console = output.stderr()
    wishes = Wishes(
        data=environment.load(data=data).data,
        port=port,
        ready_file=ready_file.absolute() if ready_file else None,
        senders=senders,
        exercises=exercises,
    )
    Up(wishes, say=lambda sentence: output.say(console, "{it}", it=sentence)).run()


def init(
    *,
    demonstration: Annotated[
        bool,
        typer.Option(
            "--demonstration", help=_("For trying out: mails stay here, time may run fast.")
        ),
    ] = False,
    data: Data = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the folder, or add what is missing."""
    from countermand.project import installation

    folder = environment.load(data=data).folder
    kind = installation.Kind.DEMONSTRATION if demonstration else None
    is_new = installation.make(folder, kind)
    answer = {
        "data": str(folder.path),
        "instance_id": folder.instance_id,
        "kind": "demonstration" if folder.is_demonstration else "production",
        "new": is_new,
    }
    sentence = _("Made: {data}") if is_new else _("Already there: {data}")
    output.emit(
        answer,
        as_json=as_json,
        render=lambda console: output.say(console, sentence, data=folder.path),
    )
