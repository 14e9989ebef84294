"""`countermand rules`: what applies to whom, and when, out of the log alone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from countermand.cli import given, output, shown_time
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "rules",
        help=_(
            "Say which orders apply to an app and a person, at any time; whatever was mailed.\n\n"
            "Example: countermand rules --app tiktok --person lena@example.org"
        ),
    )(rules)


def rules(
    *,
    app: Annotated[str, typer.Option("--app", help=_("The app, by its id in the catalogue."))],
    person: Annotated[str, typer.Option("--person", help=_("An address, or a directory key."))],
    at: Annotated[
        str | None,
        typer.Option("--at", help=_("When: an instant with its zone; without it, now.")),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer from the log."""
    with session() as opened:
        from countermand.audit import queries as log
        from countermand.catalogue import queries as apps
        from countermand.orders.rule_log import RuleBook
        from countermand.people import queries as people

        known = apps.catalogue().app(app)
        who = people.person(person)
        moment = given.time(at) if at else opened.now()
        found = RuleBook.from_log().rules(who.id, log.person_ref(who.id), app=app, at=moment)
    answer: dict[str, Any] = {
        "app": app,
        "person": {"name": who.name, "address": who.address},
        "at": moment,
        "in_force": [
            {
                "number": rule.number,
                "since": rule.since,
                "deadline_at": rule.deadline_at,
                "enforcement": rule.enforcement.value,
                "over": list(rule.over),
            }
            for rule in found
        ],
    }
    output.emit(answer, as_json=as_json, render=lambda c: _draw(c, answer, known.name, moment))


def _draw(console: Console, answer: dict[str, Any], app: str, at: datetime) -> None:
    facts = {
        "app": app,
        "name": answer["person"]["name"],
        "at": shown_time.instant(at),
    }
    if not answer["in_force"]:
        output.say(console, _("At {at}, nothing is in force about {app} for {name}."), **facts)
        return
    output.say(console, _("At {at}, about {app} for {name}:"), **facts)
    rows = [
        (
            rule["number"],
            shown_time.instant(rule["since"]),
            shown_time.instant(rule["deadline_at"]),
            ", ".join(rule["over"]),
        )
        for rule in answer["in_force"]
    ]
    columns = [_("number"), _("applies since"), _("own deadline"), _("stands above")]
    console.print(output.table("", columns, rows))
