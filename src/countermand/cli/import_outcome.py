"""What all imports have in common: how they are asked for, and what is said of how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from countermand.cli import output
from countermand.cli.exit_codes import ExitCode
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.cli.session import Session
    from countermand.domain.inventory import RejectedRow


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


def actor_id(opened: Session) -> int | None:
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


def show_rejected(console: Console, rejected: Sequence[RejectedRow]) -> None:
    if not rejected:
        return
    output.say(console, _("Left out: {count} rows."), count=len(rejected))
    for row in rejected:
        for fault in row.faults:
            output.print_fault(console, fault)


def show_state(console: Console, state: str) -> None:
    if state == "held":
        line = _(
            "Held: too much would change at once, so everything stays as it was. "
            "If it is right, do the same again with --confirm-mass-change."
        )
        output.say(console, line)
    if state == "tried":
        output.say(console, _("Only tried: nothing was changed."))
