"""`countermand doctor`: what is well here, what is not, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer
from rich.console import Console

from countermand import environment
from countermand.cli import doctor_mail, output
from countermand.cli.exit_codes import ExitCode
from countermand.cli.output import JsonFlag
from countermand.i18n import gettext as _

_SIGNS: Final = MappingProxyType({"good": "✓", "bad": "✗", "note": "•"})


def register(app: typer.Typer) -> None:
    """Add the verb, and what it can look at more closely."""
    said = _("Look at everything that must be well, and say what is not.")
    group = typer.Typer(invoke_without_command=True, help=output.taught(said, "doctor"))
    group.callback()(doctor)
    looking = _("Send the real notice to mailboxes of ours and show how it arrives.")
    example = "doctor mail CM-7Q4K --probe imaps://probe%40example.org@mail.example.org"
    group.command("mail", help=output.taught(looking, example))(doctor_mail.mail)
    app.add_typer(group, name="doctor")


def doctor(
    context: typer.Context,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help=_("The data folder to work with."))
    ] = None,
    front: Annotated[
        list[str] | None,
        typer.Option(
            "--front",
            help=_(
                "Ask a question through this mail server or proxy and see whether it comes to the"
                " gate: https://mail.example.org or imaps://somebody%40example.org@mail.example.org;"
                " pop3s and submission (or smtp, submissions) are written alike"
            ),
        ),
    ] = None,
    front_config: Annotated[
        list[Path] | None,
        typer.Option(
            "--front-config",
            help=_("Read this configuration; without it, Dovecot's and nginx's of this machine."),
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            exists=True,
            dir_okay=False,
            help=_("The password for a question that takes a login."),
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Examine; end with 1 when something is bad."""
    if context.invoked_subcommand is not None:
        return
    from countermand.project.checkup import examine
    from countermand.project.findings import State
    from countermand.project.front_checkup import Fronts, examine_fronts

    settings = environment.load(data=data)
    password = password_file.read_text(encoding="utf-8").strip() if password_file else ""
    fronts = Fronts(addresses=front or (), files=front_config or (), password=password)
    found = [*examine(settings, os.environ), *examine_fronts(fronts, settings)]
    is_well = all(each.state is not State.BAD for each in found)

    def render(console: Console) -> None:
        for each in found:
            output.say(console, "{line}", line=f"{_SIGNS[each.state]} {each.name}: {each.sentence}")
            if each.remedy:
                output.say(console, "  → {remedy}", remedy=each.remedy)

    output.emit({"well": is_well, "checks": found}, as_json=as_json, render=render)
    raise typer.Exit(ExitCode.DONE if is_well else ExitCode.REFUSED)
