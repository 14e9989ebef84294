"""The verbs together: each is a file of its own that registers itself here."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from typer import rich_utils
from typer._click import exceptions as faults
from typer._click.core import Command

from countermand.cli import output, usage
from countermand.cli.exit_codes import MEANINGS, ExitCode
from countermand.domain.errors import CountermandError
from countermand.i18n import gettext as _
from countermand.i18n import language_in_use

# In the order of the help. A verb's file has `register(app: typer.Typer) -> None` and imports
# what is slow inside its functions.
VERB_MODULES: Final = (
    "countermand.cli.up",
    "countermand.cli.run_verbs",
    "countermand.cli.gate",
    "countermand.cli.order",
    "countermand.cli.notice",
    "countermand.cli.rules",
    "countermand.cli.answer",
    "countermand.cli.doctor",
    "countermand.cli.log",
    "countermand.cli.db",
    "countermand.cli.synth",
    "countermand.cli.import_verbs",
    "countermand.cli.sources",
    "countermand.cli.clients",
    "countermand.cli.staff",
    "countermand.cli.device",
    "countermand.cli.doors",
    "countermand.cli.override",
)


def build() -> typer.Typer:
    """Put all verbs together, in the language in use."""
    app = typer.Typer(
        name="countermand",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=_(
            "Order an app off the devices that read company mail, and take the order back.\n\n"
            "Start with [bold]countermand up[/bold]; stop any order at any time with "
            "[bold]countermand take-back NUMBER[/bold]."
        ),
        epilog=_exit_codes(),
    )
    app.callback()(_globals)
    for name in VERB_MODULES:
        importlib.import_module(name).register(app)
    _show_stop_verbs(app)
    return app


def _exit_codes() -> str:
    listed = " · ".join(f"{code} {_(said)}" for code, said in MEANINGS.items())
    return _("Exit codes: {codes}").format(codes=listed)


def _show_stop_verbs(app: typer.Typer) -> None:
    """List the verbs that never pass through here (cli/entry.py), for help and completion."""
    passed_on = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

    @app.command(
        "pause", context_settings=passed_on, help=_("Stop an order for now; it can go on later.")
    )
    def pause(context: typer.Context) -> None:
        from countermand.cli import stop_verbs

        raise typer.Exit(stop_verbs.run(["pause", *context.args]))

    @app.command(
        "take-back",
        context_settings=passed_on,
        help=_("Take an order back for good; everybody it reached is told."),
    )
    def take_back(context: typer.Context) -> None:
        from countermand.cli import stop_verbs

        raise typer.Exit(stop_verbs.run(["take-back", *context.args]))


def _globals(
    lang: Annotated[
        str | None, typer.Option("--lang", help=_("A language such as en or hi."), metavar="LANG")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help=_("The data folder to work with."))
    ] = None,
) -> None:
    # The language was chosen before the verbs were loaded (cli/entry.py), or their help would
    # already stand in another one.
    del lang
    if data is not None:
        os.environ["COUNTERMAND_DATA"] = str(data)


@functools.lru_cache(maxsize=2)
def _command(language: str) -> Command:
    """Build the verbs of one language once: a program that gives many command lines keeps them."""
    del language  # it is in use already; here it only tells one set of verbs from the other
    return typer.main.get_command(build())


def run(arguments: Sequence[str]) -> int:
    """Run one command line; show every error with its way out and return the exit code."""
    _translate_frame()
    command = _command(language_in_use())
    as_json = "--json" in arguments
    try:
        ended = command.main(list(arguments), prog_name="countermand", standalone_mode=False)
    except faults.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except faults.ClickException as error:
        return output.report(usage.told(error), as_json=as_json)
    except CountermandError as error:
        has_output = not isinstance(error, output.AnswerNotWritten)
        return output.report(error, as_json=as_json and has_output)
    except typer.Abort:
        return ExitCode.REFUSED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return ended if isinstance(ended, int) else 0


def _translate_frame() -> None:
    rich_utils.OPTIONS_PANEL_TITLE = _("Options")
    rich_utils.ARGUMENTS_PANEL_TITLE = _("Arguments")
    rich_utils.COMMANDS_PANEL_TITLE = _("Commands")
    rich_utils.ERRORS_PANEL_TITLE = _("Error")
    rich_utils.RICH_HELP = _("Try [blue]'{command_path} {help_option}'[/] for help.")
