"""`countermand import people`: take over the list of people, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from countermand.cli import afterwards, import_outcome, output
from countermand.cli.import_outcome import AcceptRejects, Confirm, DryRun
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.people.actions import PeopleReport, PeopleSource
    from countermand.people.logins import SharedLogins


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
    login_attribute: Annotated[
        list[str] | None,
        typer.Option(
            help=_(
                "An attribute of the directory by which people log in to mail beside the address; "
                "may be repeated. Without it: uid, sAMAccountName and userPrincipalName."
            )
        ),
    ] = None,
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
                login_attributes=login_attribute,
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
                source, now=opened.now(), actor_id=import_outcome.actor_id(opened), options=options
            )
        if report.state is actions.ImportState.LOADED:
            afterwards.who_may_stop_changed(opened)
    answer = people_answer(report)
    output.emit(answer, as_json=as_json, render=lambda console: _show_people(console, report))
    import_outcome.end(report.state)


def _people_files(files: Sequence[Path], *, language: str, zone: str) -> PeopleSource:
    from countermand.byte_source import ByteSource
    from countermand.connectors.csv_files.people import Defaults, PeopleFiles

    defaults = Defaults(language=language, zone=zone)
    return PeopleFiles([ByteSource.of(path) for path in files], defaults=defaults)


def _directory(*, login_attributes: Sequence[str] | None, **place: str) -> PeopleSource:
    from countermand.connectors.people_ldap.source import LOGIN_ATTRIBUTES, Directory, LdapPeople

    logins = tuple(login_attributes or LOGIN_ATTRIBUTES)
    try:
        return LdapPeople(Directory(login_attributes=logins, **place))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def people_answer(report: PeopleReport) -> dict[str, Any]:
    """Return a report as JSON knows it."""
    rejected = [
        {**row, "person_id": row.pop("device_id")}
        for row in import_outcome.rejected_answer(report.rejected)
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
            "missing_that_stay": report.missing_that_stay,
        },
        "rows_of_nobody": report.rows_of_nobody,
        "languages": report.languages,
        "shared_logins": {
            "count": report.shared_logins.count,
            "first": [
                {"login": each.login, "addresses": list(each.addresses)}
                for each in report.shared_logins.first
            ],
        },
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
    if report.is_of_leavers:
        line = _(
            "That is nearly everybody, so hardly anybody would get a notice. Look at the columns "
            "of this list that say who has left: a status, “enabled”, or a last day."
        )
        output.say(console, line)
    if report.shared_logins.count:
        _show_shared_logins(console, report.shared_logins)
    import_outcome.show_rejected(console, report.rejected)
    if report.rows_of_nobody:
        line = _(
            "Nobody leaves for missing in this list: rows of which nobody can say whose they are: "
            "{rows}. People who are missing and stay: {people}. Mend those rows where the list is "
            "made, or take them out of it. Whoever the list itself says has left, by a day or a "
            "status, leaves all the same."
        )
        output.say(console, line, rows=report.rows_of_nobody, people=report.missing_that_stay)
    import_outcome.show_state(console, report.state)


def _show_shared_logins(console: Console, shared: SharedLogins) -> None:
    line = _(
        "Logins of several people, or of one and at the address of another: {count}. By such a "
        "login no door knows anybody, and an order does not hold there. Mend them in the list:"
    )
    output.say(console, line, count=shared.count)
    for each in shared.first:
        output.say(console, "  {login}: {who}", login=each.login, who=", ".join(each.addresses))
