"""`countermand synth`: an invented organisation to try everything on, without a database."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from countermand.cli import given, output
from countermand.i18n import gettext as _


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "synth",
        help=_(
            "Invent people, devices and apps, and write them as files to import. "
            "The same seed gives the same organisation.\n\n"
            "Example: countermand synth --people 2000 --seed 7 --out sample"
        ),
    )(synth)


def synth(
    *,
    people: Annotated[int, typer.Option(min=1, max=1_000_000, help=_("How many people."))] = 200,
    seed: Annotated[str, typer.Option(help=_("Any word or number."))] = "1",
    out: Annotated[Path, typer.Option(help=_("The folder to write into."))] = Path("synth"),
    app: Annotated[str, typer.Option(help=_("The app, by its catalogue id."))] = "tiktok",
    spread: Annotated[
        str, typer.Option(help=_("On which share of phones and tablets it is."))
    ] = "12%",
    language_mix: Annotated[
        str, typer.Option(help=_("Which languages people read, by share."))
    ] = "hi=45%,en=55%",
    as_of: Annotated[
        str | None, typer.Option(help=_("When the export was made; else now."))
    ] = None,
    after_removal: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help=_("Write a later export as well, in which this share has removed the app."),
        ),
    ] = None,
    late_joiners: Annotated[
        int, typer.Option(min=0, help=_("Write a later export with this many new people."))
    ] = 0,
    later: Annotated[
        str, typer.Option(help=_("How long after the first export a later one is made."))
    ] = "72h",
    as_json: output.JsonFlag = False,
) -> None:
    """Invent an organisation and write it down."""
    from countermand.catalogue.queries import catalogue
    from countermand.synth import files
    from countermand.synth.organisation import Recipe, invent
    from countermand.synth.organisation import after_removal as removed

    recipe = Recipe(
        seed=seed,
        as_of=given.time(as_of) if as_of else _now(),
        app=catalogue().wanted([app])[0],
        app_name=catalogue().app(app).name,
        spread=given.share(spread),
        languages=given.shares(language_mix),
    )
    organisation = invent(recipe, people)
    files.write(organisation, out)
    folders = {"first": out}
    then = recipe.as_of + given.duration(later)
    share = given.share(after_removal) if after_removal is not None else 0.0
    if after_removal is not None:
        folders["after_removal"] = out / "after-removal"
        again = removed(organisation, seed=seed, share=share, as_of=then)
        files.write(again, folders["after_removal"])
    if late_joiners:
        folders["late_joiners"] = out / "late-joiners"
        grown = invent(recipe, people + late_joiners)
        grown = removed(grown, seed=seed, share=share, as_of=then)
        files.write(grown, folders["late_joiners"])
    carriers = sum(device.carries for device in organisation.devices)
    summary: dict[str, Any] = {
        "people": len(organisation.people),
        "devices": len(organisation.devices),
        "with_app": carriers,
        "app": app,
        "as_of": recipe.as_of,
        "later_as_of": then if len(folders) > 1 else None,
        "folders": folders,
    }
    (out / "synth.json").write_text(
        json.dumps(output.plain({**summary, "seed": seed}), indent=1) + "\n", encoding="utf-8"
    )
    output.emit(summary, as_json=as_json, render=lambda console: _show(console, summary))


def _now() -> datetime:
    from countermand import clock, environment

    return clock.for_data(environment.load().folder).now().replace(microsecond=0)


def _show(console: Console, summary: dict[str, Any]) -> None:
    line = _("Invented: {people} people, {devices} devices, {with_app} of them with {app}.")
    output.say(console, line, **summary)
    for folder in summary["folders"].values():
        output.say(console, _("Written to {folder}."), folder=folder)
    files = summary["folders"]["first"]
    line = _("Next: countermand import people {files}/people.csv")
    output.say(console, line, files=files)
