"""`countermand staff`: who may do what, and the tokens that prove it.

Roles and tokens are given by whoever runs this machine: the owner of the data folder. Every change
is in the log, and the stop knows of it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer
from rich.console import Console

from countermand import environment
from countermand.cli import afterwards, output
from countermand.cli.session import Session, session
from countermand.domain.address import shown_address
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

Who = Annotated[str, typer.Argument(help=_("An address, or the key of the directory."))]


@dataclass(eq=False)
class NotTheOwner(CountermandError):
    """Somebody who does not run this machine wanted to give roles."""

    data: str

    code: ClassVar[str] = "staff.not_allowed"
    sentence: ClassVar[str] = gettext_noop("Only the owner of {data} gives roles and tokens.")
    remedy: ClassVar[str] = gettext_noop("Run this as the user who runs Countermand.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Give roles, and the personal tokens that prove who acts."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command(
        "grant",
        help=_(
            "Give a person a role.\n\n"
            "Example: countermand staff grant lena@example.org approver --outside-it"
        ),
    )(grant)
    group.command(
        "revoke",
        help=_(
            "Take a role from a person.\n\n"
            "Example: countermand staff revoke lena@example.org approver"
        ),
    )(revoke)
    group.command(
        "token",
        help=_(
            "Print a new personal token, once; it is stored nowhere in this form.\n\n"
            "Example: countermand staff token lena@example.org"
        ),
    )(token)
    group.command(
        "directory-token",
        help=_(
            "Print a new token with which a directory (Entra, Okta) writes people here over SCIM, "
            "once.\n\n"
            "Example: countermand staff directory-token entra"
        ),
    )(directory_token)
    group.command("list", help=output.taught(_("List who holds which role."), "staff list"))(
        list_roles
    )
    app.add_typer(group, name="staff")


def grant(
    *,
    who: Who,
    role: Annotated[str, typer.Argument(help=_("author, approver, operator, auditor, …"))],
    outside_it: Annotated[
        bool, typer.Option("--outside-it", help=_("The person works outside IT."))
    ] = False,
    unit: Annotated[
        list[str] | None,
        typer.Option(help=_("An author may order people of this unit alone; may be repeated.")),
    ] = None,
    as_json: output.JsonFlag = False,
) -> None:
    """Give a role."""
    with _as_owner() as opened:
        from countermand.people import actions, queries

        person = queries.person(who)
        chosen = actions.role_of(role)
        actions.grant_role(
            person_id=person.id,
            role=chosen,
            outside_it=outside_it,
            units=unit or (),
            actor_id=None,
            now=opened.now(),
        )
    answer = {"person_id": person.id, "uid": person.uid, "role": chosen, "outside_it": outside_it}
    line = _("{name} is {role} now.")
    facts = {"name": person.name, "role": chosen.replace("_", "-")}
    output.emit(answer, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def revoke(
    *,
    who: Who,
    role: Annotated[str, typer.Argument(help=_("The role to take."))],
    as_json: output.JsonFlag = False,
) -> None:
    """Take a role."""
    with _as_owner() as opened:
        from countermand.people import actions, queries

        person = queries.person(who)
        chosen = actions.role_of(role)
        had = actions.revoke_role(person_id=person.id, role=chosen, actor_id=None, now=opened.now())
    line = _("{name} is no longer {role}.") if had else _("{name} was not {role}.")
    facts = {"name": person.name, "role": chosen.replace("_", "-")}
    answer = {"person_id": person.id, "uid": person.uid, "role": chosen, "had_it": had}
    output.emit(answer, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def token(
    *,
    who: Who,
    label: Annotated[str, typer.Option(help=_("What it is for, such as “laptop”."))] = "",
    revoke_all: Annotated[
        bool,
        typer.Option("--revoke", help=_("Make all tokens of the person void; print no new one.")),
    ] = False,
    as_json: output.JsonFlag = False,
) -> None:
    """Issue a token, or make all of them void."""
    with _as_owner() as opened:
        from countermand.people import actions, queries

        person = queries.person(who)
        now = opened.now()
        if revoke_all:
            count = actions.revoke_tokens(person_id=person.id, actor_id=None, now=now)
            answer = {"person_id": person.id, "uid": person.uid, "revoked": count}
            shown = _("Void now: {count} tokens of {name}.").format(count=count, name=person.name)
        else:
            text = actions.issue_token(person_id=person.id, label=label, actor_id=None, now=now)
            answer = {"person_id": person.id, "uid": person.uid, "token": text}
            shown = text
    output.emit(answer, as_json=as_json, render=lambda console: _print(console, shown))
    if not as_json and not revoke_all:
        hint = _("It is shown this once. Hand it to {name}, for COUNTERMAND_TOKEN.")
        output.say(output.stderr(), hint, name=person.name)


def directory_token(
    *,
    label: Annotated[str, typer.Argument(help=_("What you call the directory."))],
    revoke_all: Annotated[
        bool,
        typer.Option("--revoke", help=_("Make all its tokens void; print no new one.")),
    ] = False,
    as_json: output.JsonFlag = False,
) -> None:
    """Let a directory write people here, or no longer."""
    answer: dict[str, object] = {"label": label}
    with _as_owner() as opened:
        from countermand.people import directory_tokens

        now = opened.now()
        if revoke_all:
            count = directory_tokens.revoke(label, actor_id=None, now=now)
            answer |= {"revoked": count}
            shown = _("Void now: {count} tokens of {name}.").format(count=count, name=label)
        else:
            shown = directory_tokens.issue(label, actor_id=None, now=now)
            answer |= {"token": shown}
    output.emit(answer, as_json=as_json, render=lambda console: _print(console, shown))
    if not as_json and not revoke_all:
        hint = _("It is shown this once. The directory writes to the address /scim/v2.")
        output.say(output.stderr(), hint)


def list_roles(*, as_json: output.JsonFlag = False) -> None:
    """List roles."""
    with session():
        from countermand.people import queries

        held = queries.grants()
        known = queries.by_ids({grant.person_id for grant in held})
        rows = [
            {
                "role": grant.role.value.replace("_", "-"),
                "person_id": grant.person_id,
                "name": known[grant.person_id].name,
                "address": known[grant.person_id].address,
                "outside_it": grant.outside_it,
                "units": list(grant.units),
            }
            for grant in held
        ]
    columns = (_("Role"), _("Name"), _("Address"), _("Outside IT"), _("Units"))
    cells = [
        (
            row["role"],
            row["name"],
            shown_address(str(row["address"])),
            _("yes") if grant.outside_it else "",
            ", ".join(grant.units),
        )
        for row, grant in zip(rows, held, strict=True)
    ]
    output.emit(rows, as_json=as_json, render=lambda c: c.print(output.table("", columns, cells)))


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


@contextmanager
def _as_owner() -> Iterator[Session]:
    """Open the installation for whoever owns its data folder; tell the stop afterwards."""
    settings = environment.load()
    with session(settings) as opened:
        if settings.data.exists() and os.geteuid() not in {0, settings.data.stat().st_uid}:
            raise NotTheOwner(data=str(settings.data))
        yield opened
        afterwards.who_may_stop_changed(opened)
