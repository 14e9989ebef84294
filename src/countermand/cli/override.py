"""`countermand override`: a person lets one device through for a while, with a reason."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console

from countermand.cli import gates_told, given, order_pages, output, shown_time
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.i18n import gettext as _

Number = Annotated[
    str,
    typer.Argument(
        help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
    ),
]
Device = Annotated[
    str, typer.Option("--device", help=_("The device, as the inventory or the gate calls it."))
]
Because = Annotated[str, typer.Option("--because", help=_("The reason, in one sentence."))]
# More than anybody may give, and what `inf` is taken for.
_MOST_HOURS: Final = 10_000.0


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Let single devices through for a while."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    rest = " CM-7Q4K --device 8f2c… --because '…'"
    said = _("Let one device read mail again at once; it ends by itself.")
    group.command("give", help=output.taught(said, f"override give{rest} --hours 4"))(give)
    said = _("End it before its time.")
    group.command("end", help=output.taught(said, f"override end{rest}"))(end)
    said = _("List which devices are let through now, by whom, why and until when.")
    group.command("list", help=output.taught(said, "override list CM-7Q4K"))(list_overrides)
    app.add_typer(group, name="override")


def give(
    *,
    number: Number,
    device: Device,
    because: Because,
    hours: Annotated[
        float,
        typer.Option(
            "--hours",
            min=0,
            max=_MOST_HOURS,
            help=_("For how long; the help desk may give four hours."),
        ),
    ] = 4.0,
    as_json: JsonFlag = False,
) -> None:
    """Let through."""
    with session() as opened:
        from datetime import timedelta

        from countermand.enforcement import openings
        from countermand.enforcement.actions import Publisher
        from countermand.orders import overrides

        now, settings = opened.now(), opened.settings
        found = overrides.give(
            device,
            number,
            lasting=timedelta(hours=hours),
            because=because,
            actor=opened.actor(),
            publisher=Publisher.load(settings.folder),
            now=now,
        )
        told = openings.tell(
            found.device_id, [number], gates=settings.gates, token=settings.gate_token
        )
    line = _("{device} of {person} is let through until {until}; {number} goes on for all others.")
    facts = {
        "number": found.number,
        "device": found.device,
        "person": found.person,
        "until": shown_time.instant(found.until),
    }
    answer = {**facts, "until": found.until, "doors_opened": found.doors}

    def render(console: Console) -> None:
        output.say(console, line, **facts)
        gates_told.say(console, told, now)

    output.emit({**answer, **gates_told.as_json(told, now)}, as_json=as_json, render=render)
    raise typer.Exit(gates_told.exit_code(told))


def end(*, number: Number, device: Device, because: Because, as_json: JsonFlag = False) -> None:
    """End early."""
    with session() as opened:
        from countermand.enforcement.actions import Publisher
        from countermand.orders import overrides

        found = overrides.end(
            device,
            number,
            because=because,
            actor=opened.actor(),
            publisher=Publisher.load(opened.settings.folder),
            now=opened.now(),
        )
    line = _("{device} of {person} is no longer let through for {number}.")
    facts = {"number": found.number, "device": found.device, "person": found.person}
    output.emit(facts, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def list_overrides(*, number: Number, as_json: JsonFlag = False) -> None:
    """List."""
    with session() as opened:
        from countermand.orders import overrides

        rows = overrides.listed(number, actor=opened.actor(), now=opened.now())
    output.emit(
        rows, as_json=as_json, render=lambda c: order_pages.draw_let_through(c, rows, always=True)
    )
