"""`countermand order reports`: which mails staff take for forged, and that somebody looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from countermand.cli import given, output
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.cli.shown_time import instant
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.orders.reports import Reports


def reports(
    number: Annotated[
        str | None,
        typer.Argument(
            help=_("The number of the order; without it, all and what is no notice of ours."),
            callback=given.optional_order_number,
        ),
    ] = None,
    *,
    looked_at: Annotated[
        bool, typer.Option("--looked-at", help=_("Note that you looked at all of these."))
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List reports, and note that somebody looked."""
    with session() as opened:
        from countermand.orders import reports as reported

        actor = opened.actor()
        looked = reported.look(number, actor=actor, now=opened.now()) if looked_at else 0
        rows = reported.listed(number, actor=actor)
    answer = {"reports": rows, "looked_at_now": looked}

    def render(console: Console) -> None:
        _draw(console, rows)
        if looked_at:
            line = _("Noted: you looked at {count} reports that nobody had looked at.")
            output.say(console, line, count=looked)
        elif any(row.not_looked_at for row in rows):
            line = _("When you have looked into them, note it: {command}")
            words = ["countermand order reports", *([number] if number else []), "--looked-at"]
            output.say(console, line, command=" ".join(words))

    output.emit(answer, as_json=as_json, render=render)


def _draw(console: Console, rows: Sequence[Reports]) -> None:
    if not rows:
        output.say(console, _("Nobody has reported a mail as forged."))
        return
    columns = [
        _("notice"),
        _("reports"),
        _("nobody has looked at"),
        _("addresses"),
        _("of them not of ours"),
        _("networks"),
        _("first"),
        _("last"),
    ]
    drawn = [
        (
            row.number or _("no such notice"),
            row.reports,
            row.not_looked_at,
            row.addresses,
            row.not_ours,
            row.networks,
            instant(row.first_at),
            instant(row.last_at),
        )
        for row in rows
    ]
    console.print(output.table(_("Reported as forged"), columns, drawn))
