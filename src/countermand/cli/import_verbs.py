"""`countermand import people|devices`: take over exports, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.console import Console

from countermand.cli import afterwards, given, observations, output
from countermand.cli.exit_codes import ExitCode
from countermand.connectors.names import SourceKind
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.cli.session import Session
    from countermand.devices.actions import LoadReport
    from countermand.domain.app_id import WantedApp
    from countermand.domain.inventory import RejectedRow
    from countermand.people.actions import PeopleReport, PeopleSource


Files = Annotated[
    list[Path], typer.Argument(exists=True, dir_okay=False, help=_("The files of one export."))
]
AsOf = Annotated[
    str | None,
    typer.Option(help=_("When the export was made, such as 2026-11-23T09:30:00Z; else now.")),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help=_("Only say what would change."))]
AcceptRejects = Annotated[
    bool, typer.Option("--accept-rejects", help=_("Load the good rows and list the others."))
]
Confirm = Annotated[
    bool,
    typer.Option(
        "--confirm-mass-change",
        help=_("Load even though more than a fifth would vanish or turn over."),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Take over people and devices out of exports."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command(
        "people",
        help=_(
            "Take over the list of people from a CSV export of Entra, Google or an HR program. "
            "Whoever is missing from it has left.\n\n"
            "Example: countermand import people people.csv\n\n"
            "Example: countermand import people --ldap ldaps://ldap.example.org "
            "--base dc=example,dc=org"
        ),
    )(people)
    group.command(
        "devices",
        help=_(
            "Take over devices, and where the ordered apps are on them; nothing is kept about any "
            "other app.\n\n"
            "Example: countermand import devices --source csv devices.csv apps.csv\n\n"
            "Example: countermand import devices --source intune Devices.csv AppInvRawData.zip\n\n"
            "Example: countermand import devices --source jamf page0.json --dry-run --json"
        ),
    )(devices)
    app.add_typer(group, name="import")


def people(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help=_("The files of one export.")),
    ] = None,
    ldap: Annotated[
        str | None,
        typer.Option(metavar="URL", help=_("Read an LDAP directory instead: ldaps://host.")),
    ] = None,
    base: Annotated[
        str, typer.Option(help=_("Below which entry people are, such as dc=example,dc=org."))
    ] = "",
    bind_dn: Annotated[str, typer.Option(help=_("The account that reads the directory."))] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help=_("The file that holds its password.")),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help=_("Trust this certificate file in place of the machine's."),
        ),
    ] = None,
    zone: Annotated[
        str,
        typer.Option(
            help=_("The time zone of people of whom the file says nothing, if not the house's.")
        ),
    ] = "",
    zone_attribute: Annotated[
        str, typer.Option(help=_("The attribute of the directory that holds the time zone."))
    ] = "",
    leave_attribute: Annotated[
        str,
        typer.Option(help=_("The attribute of the directory that holds the end of leave.")),
    ] = "",
    dry_run: DryRun = False,
    accept_rejects: AcceptRejects = False,
    confirm_mass_change: Confirm = False,
    as_json: output.JsonFlag = False,
) -> None:
    """Import people."""
    from countermand.cli.session import session

    if bool(files) == bool(ldap) or bool(ldap) != bool(base):
        raise typer.BadParameter(_("Name files, or --ldap together with --base."))
    with session() as opened:
        from countermand.people import actions

        language = opened.settings.default_language
        zone = zone or opened.settings.zone
        if ldap:
            secret = password_file.read_text(encoding="utf-8") if password_file else ""
            source = _directory(
                url=ldap,
                base=base,
                bind_dn=bind_dn,
                password=secret.rstrip("\n"),
                ca_file=str(ca_file or ""),
                language=language,
                zone=zone,
                zone_attribute=zone_attribute,
                leave_attribute=leave_attribute,
            )
        else:
            source = _people_files(files or [], language=language, zone=zone)
        options = actions.ImportOptions(
            accept_rejects=accept_rejects,
            confirm_mass_change=confirm_mass_change,
            dry_run=dry_run,
        )
        with output.progress(_("Reading people")):
            report = actions.import_people(
                source, now=opened.now(), actor_id=_actor_id(opened), options=options
            )
        if report.state is actions.ImportState.LOADED:
            afterwards.who_may_stop_changed(opened)
            afterwards.inventory_changed(opened)
    answer = people_answer(report)
    output.emit(answer, as_json=as_json, render=lambda console: _show_people(console, report))
    end(report.state)


def _people_files(files: Sequence[Path], *, language: str, zone: str) -> PeopleSource:
    from countermand.connectors.csv_files.people import Defaults, PeopleFiles
    from countermand.delimited import ByteSource

    defaults = Defaults(language=language, zone=zone)
    return PeopleFiles([ByteSource.of(path) for path in files], defaults=defaults)


def _directory(**place: str) -> PeopleSource:
    from countermand.connectors.people_ldap.source import Directory, LdapPeople

    try:
        return LdapPeople(Directory(**place))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


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
                actor_id=_actor_id(opened),
                options=options,
                on_progress=advance,
            )
        if report.state is actions.LoadState.LOADED:
            afterwards.inventory_changed(opened)
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
    end(report.state)


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


def _actor_id(opened: Session) -> int | None:
    actor = opened.actor_if_any()
    return actor.person_id if actor is not None else None


def end(state: str) -> None:
    """End with the code for what is held."""
    if state == "held":
        raise typer.Exit(ExitCode.REFUSED)


def rejected_answer(rows: Sequence[RejectedRow]) -> list[dict[str, Any]]:
    """Return what was left out: which record, why in a few words, and every fault."""
    return [
        {
            "device_id": row.device_id,
            "why": row.why,
            "file": row.file,
            "line": row.line,
            "faults": [output.fault_line(fault) for fault in row.faults],
        }
        for row in rows
    ]


def devices_answer(report: LoadReport) -> dict[str, Any]:
    """Return a report as JSON knows it; no device but those whose rows were left out."""
    return {
        "source": report.source,
        "as_of": report.as_of,
        "state": report.state,
        "is_whole": report.is_whole,
        "rows_ok": report.rows_ok,
        "rejected": rejected_answer(report.rejected),
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


def people_answer(report: PeopleReport) -> dict[str, Any]:
    """Return a report as JSON knows it."""
    rejected = [
        {**row, "person_id": row.pop("device_id")} for row in rejected_answer(report.rejected)
    ]
    return {
        "state": report.state,
        "rows_ok": report.rows_ok,
        "rejected": rejected,
        "people": {
            "new": report.new,
            "came_as_left": report.came_as_left,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "left": report.left,
        },
        "languages": report.languages,
    }


def _show_people(console: Console, report: PeopleReport) -> None:
    line = _("People: {rows} read; new {new}, changed {changed}, unchanged {same}, left {left}.")
    output.say(
        console,
        line,
        rows=report.rows_ok,
        new=report.new,
        changed=report.changed,
        same=report.unchanged,
        left=report.left,
    )
    if report.came_as_left:
        line = _("New in the list, but marked there as having left already: {count}.")
        output.say(console, line, count=report.came_as_left)
    _show_rejected(console, report.rejected)
    if report.is_of_leavers:
        line = _(
            "That is nearly everybody, so hardly anybody would get a notice. Look at the columns "
            "of this list that say who has left: a status, “enabled”, or a last day."
        )
        output.say(console, line)
    _show_state(console, report.state)


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
    _show_rejected(console, report.rejected)
    for change in report.mass_changes:
        vanish = _("{count} of {out_of} devices would have vanished within a day.")
        turn = _("On {count} of {out_of} devices, {app} would have turned over within a day.")
        clear = _("All {count} devices with {app} would have lost it at once.")
        line = {"gone": vanish, "cleared": clear}.get(change.what, turn)
        output.say(console, line, count=change.count, out_of=change.out_of, app=change.app_id)
    _show_state(console, report.state)


def _show_rejected(console: Console, rejected: Sequence[RejectedRow]) -> None:
    if not rejected:
        return
    output.say(console, _("Left out: {count} rows."), count=len(rejected))
    for row in rejected:
        for fault in row.faults:
            output.print_fault(console, fault)


def _show_state(console: Console, state: str) -> None:
    if state == "held":
        line = _(
            "Held: too much would change at once, so everything stays as it was. "
            "If it is right, do the same again with --confirm-mass-change."
        )
        output.say(console, line)
    if state == "tried":
        output.say(console, _("Only tried: nothing was changed."))
