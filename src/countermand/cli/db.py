"""`countermand db`: the database's tables."""

from __future__ import annotations

import typer

from countermand import environment
from countermand.cli import output
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    group = typer.Typer(no_args_is_help=True, help=_("The database's tables."))
    group.command(
        "migrate",
        help=output.taught(_("Bring the tables up to date; up does it by itself."), "db migrate"),
    )(migrate)
    app.add_typer(group, name="db")


def migrate() -> None:
    """Apply what is missing."""
    from countermand.cli.session import session

    with session(environment.load()):
        from countermand.project import tables

        tables.bring_up_to_date()
    output.say(output.stdout(), _("The tables are up to date."))
