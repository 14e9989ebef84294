"""`countermand log`: the log as a file, and the proof that nothing in it was changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from countermand import environment, i18n
from countermand.cli import given, output
from countermand.cli.exit_codes import ExitCode
from countermand.cli.output import JsonFlag
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.audit.signed_note import Verifier
    from countermand.audit.verifying import VerifyReport


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    group = typer.Typer(no_args_is_help=True, help=_("The log: export it, prove it."))
    group.command(
        "export",
        help=output.taught(_("Write the whole log as lines of JSON."), "log export log.jsonl"),
    )(export)
    group.command(
        "verify",
        help=output.taught(
            _("Check every entry, signature and step; the first fault ends it."),
            "log verify log.jsonl",
        ),
    )(verify)
    app.add_typer(group, name="log")


def export(
    file: Annotated[
        Path | None,
        typer.Argument(help=_("A new file, readable by you alone; without it, the screen.")),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Number what waits, then write everything."""
    from countermand.cli.session import session

    with session() as here:
        from countermand import wiring
        from countermand.audit import exporting
        from countermand.project import installation

        wiring.number_log(here.settings, here.now())
        lines = exporting.lines(installation.log_verifier(here.settings.folder))
        if file is None:
            with output.answering():
                for line in lines:
                    sys.stdout.buffer.write(line)
            return
        written = given.new_file(file, lines)
    output.emit(
        {"file": str(file), "lines": written},
        as_json=as_json,
        render=lambda console: output.say(
            console, _("{lines} lines are in {file}."), lines=written, file=file
        ),
    )


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            help=_("An exported log; the database without it."), exists=True, dir_okay=False
        ),
    ] = None,
    *,
    database: Annotated[
        bool, typer.Option("--database", help=_("Check the log where it lies."))
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help=_("The public key of the log, kept by somebody else."),
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check; end with 1 when something is wrong."""
    if file is not None and database:
        raise typer.BadParameter(_("Give a file or --database, not both."))
    pinned = _key(key)
    report = _of_database(pinned) if file is None else _of_file(file, pinned)
    answer = output.plain(report)
    answer["mails_let_out"] = answer.pop("permits")
    output.emit(answer, as_json=as_json, render=lambda console: _show(console, report, pinned))
    raise typer.Exit(ExitCode.DONE if report.is_sound else ExitCode.REFUSED)


def _key(path: Path | None) -> Verifier | None:
    """Return the key that is known here, if any is."""
    from countermand.audit.signed_note import Verifier
    from countermand.project import installation

    if path is not None:
        return Verifier.parse(path.read_text(encoding="utf-8"))
    folder = environment.load().folder
    return installation.log_verifier(folder) if folder.secret(installation.LOG_PUBLIC_KEY) else None


def _of_file(file: Path, pinned: Verifier | None) -> VerifyReport:
    from countermand.audit.verifying import verify as check

    with file.open("rb") as lines:
        return check(lines, pinned=pinned)


def _of_database(pinned: Verifier | None) -> VerifyReport:
    from countermand.cli.session import session

    with session() as here:
        from countermand.audit import exporting
        from countermand.project import installation

        return exporting.verify_database(pinned or installation.log_verifier(here.settings.folder))


def _show(console: Console, report: VerifyReport, pinned: Verifier | None) -> None:
    output.say(
        console,
        _("Entries: {entries}. Signatures: {heads}. Orders: {orders}. Mails let out: {mails}."),
        entries=report.entries,
        heads=report.heads,
        orders=report.orders,
        mails=report.permits,
    )
    if report.fault is not None:
        output.say(
            console,
            _("Wrong at entry {position} (line {line}): {why}"),
            position=report.fault.position,
            line=report.fault.line,
            why=i18n.reason(report.fault.why),
        )
    elif pinned is None:
        output.say(
            console,
            _("Nothing was changed since {key} signed it; whose key that is, ask elsewhere."),
            key=report.key,
        )
    else:
        output.say(console, _("All is well: nothing was changed, and every step was allowed."))
