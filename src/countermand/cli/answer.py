"""`countermand answer`: what somebody said about the app on their device; "I removed it" opens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countermand.cli import output
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "answer",
        help=_(
            "Write down what a person said about a device; “removed” lets mail in at once.\n\n"
            "Example: countermand answer removed --order CM-7Q4K --device 8f2c…"
        ),
    )(answer)


def answer(
    *,
    said: Annotated[
        str,
        typer.Argument(help=_("removed, never-had, not-mine, shared, cannot or no-mail-on-phone")),
    ],
    device: Annotated[
        str, typer.Option("--device", help=_("The device, as the inventory or the gate calls it."))
    ],
    order: Annotated[
        str | None, typer.Option("--order", help=_("Only this order; without it, all that apply."))
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Record an answer."""
    word = said.strip().lower().replace("-", "_")
    with session() as opened:
        from countermand.domain.presence import Answer
        from countermand.enforcement.actions import Publisher
        from countermand.orders import actions
        from countermand.orders.planning import context_of

        if word not in {one.value for one in Answer}:
            raise typer.BadParameter(said)
        found = actions.record_answer(
            device,
            Answer(word),
            actor=opened.actor(),
            publisher=Publisher.load(opened.settings.folder),
            context=context_of(opened.settings),
            now=opened.now(),
            number=order,
        )
    shown: dict[str, Any] = {
        "name": found.name,
        "device": found.device,
        "answer": word,
        "orders": list(found.orders),
        "doors_opened": found.opened,
    }
    opened_line = _(
        "Written down for {name}, {device}. Mail is let in on it, unless another notice pauses it."
    )
    kept_line = _("Written down for {name}, {device}. A person looks after it.")
    line = opened_line if found.opened else kept_line
    output.emit(
        shown,
        as_json=as_json,
        render=lambda c: output.say(c, line, name=found.name, device=found.device),
    )
