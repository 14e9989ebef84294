"""`countermand import devices`: take over an inventory, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.console import Console

from countermand.cli import given, import_outcome, observations, output
from countermand.cli.import_outcome import AcceptRejects, Confirm, DryRun
from countermand.connectors.names import SourceKind
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.devices.actions import LoadReport
    from countermand.domain.app_id import WantedApp


Files = Annotated[
    list[Path], typer.Argument(exists=True, dir_okay=False, help=_("The files of one export."))
]
AsOf = Annotated[
    str | None,
    typer.Option(help=_("When the export was made, such as 2026-11-23T09:30:00Z; else now.")),
]


def devices(
    *,
    files: Files,
    source: Annotated[SourceKind, typer.Option(help=_("What made the export."))],
    as_of: AsOf = None,
    app: Annotated[
        list[str] | None,
        typer.Option(
            "--app",
            help=_("With --dry-run: look for this app, as if an order named it already."),
        ),
    ] = None,
    dry_run: DryRun = False,
    accept_rejects: AcceptRejects = False,
    confirm_mass_change: Confirm = False,
    as_json: output.JsonFlag = False,
) -> None:
    """Import devices."""
    from countermand.cli.session import session
    from countermand.connectors.kinds import may_be_a_part, open_files

    with session() as opened:
        from countermand.devices import actions
        from countermand.people import queries as people_queries

        now = opened.now()
        taken_at = given.time(as_of) if as_of else now
        apps = _wanted(app or (), dry_run=dry_run)
        opened_files = open_files(source, files, apps=apps, as_of=taken_at)
        seen = observations.Witness(opened_files, keep=dry_run)
        options = actions.LoadOptions(
            accept_rejects=accept_rejects,
            confirm_mass_change=confirm_mass_change,
            dry_run=dry_run,
        )
        with output.progress(_("Reading devices")) as advance:
            report = actions.load_inventory(
                seen,
                apps=apps,
                owners=people_queries.ids_by_address(),
                as_of=taken_at,
                now=now,
                actor_id=import_outcome.actor_id(opened),
                options=options,
                on_progress=advance,
            )
    answer = devices_answer(report) | {"may_be_a_part": may_be_a_part(opened_files)}
    if dry_run:
        answer |= observations.observed(seen.kept, apps=apps, source=report.source)

    def show(console: Console) -> None:
        show_devices(console, report)
        if answer["may_be_a_part"] and report.gone:
            line = _(
                "The devices counted as gone may be on pages that are missing here: these pages "
                "do not say whether they begin with the first one. Import all of them together."
            )
            output.say(console, line)

    output.emit(answer, as_json=as_json, render=show)
    import_outcome.end(report.state)


@dataclass(eq=False)
class AppNeedsDryRun(CountermandError):
    """Nothing is kept about an app that no order names."""

    app: str

    code: ClassVar[str] = "devices.app_needs_dry_run"
    sentence: ClassVar[str] = gettext_noop("No order names {app}, so nothing about it is kept.")
    remedy: ClassVar[str] = gettext_noop("Add --dry-run to look for it only this once.")


def _wanted(more: Sequence[str], *, dry_run: bool) -> tuple[WantedApp, ...]:
    """Return the apps that orders name, drafts included: all that is ever looked for.

    Raises AppNeedsDryRun, or UnknownApp.
    """
    from countermand.catalogue.queries import catalogue
    from countermand.orders import queries as orders

    named = orders.named_apps()
    beyond = [each for each in more if each not in named]
    if beyond and not dry_run:
        raise AppNeedsDryRun(app=beyond[0])
    return catalogue().wanted({*named, *more}, orders.signed_identifiers())


def devices_answer(report: LoadReport) -> dict[str, Any]:
    """Return a report as JSON knows it; no device but those whose rows were left out."""
    return {
        "source": report.source,
        "as_of": report.as_of,
        "state": report.state,
        "is_whole": report.is_whole,
        "rows_ok": report.rows_ok,
        "rejected": import_outcome.rejected_answer(report.rejected),
        "devices": {
            "new": report.new,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "gone": report.gone,
            "without_owner": report.without_owner,
        },
        "apps": report.apps,
        "mass_changes": report.mass_changes,
    }


def show_devices(console: Console, report: LoadReport) -> None:
    """Show what a run did with devices."""
    line = _("Devices: {rows} read; new {new}, changed {changed}, unchanged {same}, gone {gone}.")
    output.say(
        console,
        line,
        rows=report.rows_ok,
        new=report.new,
        changed=report.changed,
        same=report.unchanged,
        gone=report.gone,
    )
    if not report.is_whole:
        line = _("These are a part of the devices: nothing that is missing here counts as gone.")
        output.say(console, line)
    if report.without_owner:
        line = _("Devices whose owner is not in the list of people: {count}.")
        output.say(console, line, count=report.without_owner)
    if report.apps:
        columns = (_("App"), _("on it"), _("not on it"), _("cannot be checked"), _("not checked"))
        names = ("present", "absent", "unobservable", "unknown")
        rows = [
            (app, *(counts.get(name, 0) for name in names)) for app, counts in report.apps.items()
        ]
        console.print(output.table("", columns, rows))
    else:
        output.say(console, _("No order names an app yet, so nothing about apps was kept."))
    import_outcome.show_rejected(console, report.rejected)
    for change in report.mass_changes:
        vanish = _("{count} of {out_of} devices would have vanished within a day.")
        turn = _("On {count} of {out_of} devices, {app} would have turned over within a day.")
        clear = _("All {count} devices with {app} would have lost it at once.")
        line = {"gone": vanish, "cleared": clear}.get(change.what, turn)
        output.say(console, line, count=change.count, out_of=change.out_of, app=change.app_id)
    import_outcome.show_state(console, report.state)
