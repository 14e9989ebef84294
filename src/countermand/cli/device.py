"""`countermand device`: what is known of single devices, and passwords of their own for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import device_evidence, output
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.device_stages import Stage
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.enforcement.password_stages import Standing
    from countermand.enforcement.queries import PasswordRow

Who = Annotated[str, typer.Option("--who", help=_("An address, or the key of the directory."))]
Name = Annotated[str, typer.Argument(help=_("The name of the password, such as phone-x4t9m2qa."))]
STAGES: Final = {
    Stage.ACTIVESYNC_ONLY: gettext_noop("ActiveSync only: no device passwords yet"),
    Stage.VOLUNTEERS: gettext_noop("volunteers: whoever asks gets one"),
    Stage.NEW_DEVICES: gettext_noop("new devices: every new device gets one"),
    Stage.MAIN_PASSWORD_LIMITED: gettext_noop("main password limited: it works at webmail only"),
}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    settings = {"help_option_names": ["-h", "--help"]}
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Look at single devices, and give each a password of its own, step by step."),
        context_settings=settings,
    )
    passwords = typer.Typer(
        no_args_is_help=True,
        help=_("Issue and revoke the passwords of single devices."),
        context_settings=settings,
    )
    words = " phone-x4t9m2qa"
    verbs = (
        ("issue", issue, _("Make a password for one device; it is shown this once."), " --who …"),
        ("revoke", revoke, _("Make the password of one device void, at once."), words),
        ("list", list_passwords, _("List the device passwords of a person."), " --who …"),
        ("export", export, _("Write all as one passwd-file for Dovecot, and keep it up."), ""),
    )
    for name, verb, said, rest in verbs:
        passwords.command(name, help=output.taught(said, f"device password {name}{rest}"))(verb)
    group.add_typer(passwords, name="password")
    device_evidence.register(group)
    said = _("Count who stands where on the way to device passwords.")
    group.command("stages", help=output.taught(said, "device stages"))(stages)
    said = _("Move a group on (or back); * is everybody.")
    group.command("stage", help=output.taught(said, "device stage pilots volunteers"))(stage)
    app.add_typer(group, name="device")


def issue(
    *,
    who: Who,
    device: Annotated[
        str, typer.Option("--device", help=_("The device, as the inventory calls it."))
    ] = "",
    label: Annotated[str, typer.Option(help=_("What its person calls it."))] = "",
    as_json: JsonFlag = False,
) -> None:
    """Issue."""
    with session() as opened:
        from countermand.enforcement import device_passwords
        from countermand.people import queries as people

        issued = device_passwords.issue(
            people.person(who).id,
            actor=opened.actor(),
            folder=opened.settings.device_password_files,
            now=opened.now(),
            device=device,
            label=label,
        )
    answer = {
        "login": issued.login,
        "device": issued.device_name,
        "password": issued.text,
        "stage": issued.stage.value,
    }
    output.emit(answer, as_json=as_json, render=lambda console: _show_password(console, answer))


def _show_password(console: Console, answer: dict[str, str]) -> None:
    line = _("Password for {device}, login {login}:")
    output.say(console, line, device=answer["device"], login=answer["login"])
    console.print(answer["password"], style="bold", markup=False)
    hint = _("It is shown this once. Type it on this one device only; every device has its own.")
    output.say(output.stderr(), hint)


def revoke(*, name: Name, as_json: JsonFlag = False) -> None:
    """Revoke."""
    with session() as opened:
        from countermand.enforcement import device_passwords

        login = device_passwords.revoke(
            name,
            actor=opened.actor(),
            folder=opened.settings.device_password_files,
            now=opened.now(),
        )
    line = _("{device} of {login} is void from the next login on.")
    facts = {"device": name.strip(), "login": login}
    output.emit(facts, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def list_passwords(*, who: Who, as_json: JsonFlag = False) -> None:
    """List; somebody's own, or anybody's for those with a role."""
    with session() as opened:
        from countermand.enforcement import device_passwords, queries
        from countermand.people import queries as people

        person = people.person(who)
        device_passwords.require(opened.actor(), person.id)
        rows = [_listed(row) for row in queries.passwords_of(person.id)]
    columns = [_("name"), _("device"), _("issued"), _("void since")]
    cells = [(r["name"], r["label"], r["issued_at"], r["revoked_at"] or "") for r in rows]
    output.emit(rows, as_json=as_json, render=lambda c: c.print(output.table("", columns, cells)))


def _listed(row: PasswordRow) -> dict[str, Any]:
    return {
        "name": row.device_name,
        "label": row.label,
        "login": row.login,
        "in_inventory": row.device_id is not None,
        "issued_at": row.issued_at.isoformat(timespec="minutes"),
        "revoked_at": row.revoked_at and row.revoked_at.isoformat(timespec="minutes"),
    }


def export(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            help=_(
                "Another file than passwd in the folder of device passwords; it is written this"
                " once, and passwords that are revoked later stay good in it."
            )
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Export."""
    with session() as opened:
        from countermand.enforcement import device_passwords

        device_passwords.require(opened.actor(), None)
        folder = opened.settings.device_password_files
        try:
            file, count = device_passwords.export_passwd_file(file, folder=folder, now=opened.now())
        except OSError as error:
            raise typer.BadParameter(f"{file or folder}: {error.strerror}") from error
    line = _("{count} device passwords are in {file}.")
    facts = {"count": count, "file": str(file)}
    output.emit(facts, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def stage(
    *,
    group: Annotated[str, typer.Argument(help=_("A group of the directory, or * for everybody."))],
    to: Annotated[Stage, typer.Argument(help=_("How far it has come."))],
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help=_("Limit main passwords even of people without a device password.")
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Move a group."""
    with session() as opened:
        from countermand.enforcement import device_passwords, password_stages

        before = password_stages.set_stage(
            group, to, actor=opened.actor(), now=opened.now(), even_without=yes
        )
        device_passwords.follow(opened.settings.device_password_files, now=opened.now())
    answer = {"group": group, "before": before.value, "stage": to.value}
    line = _("{group}: {stage}")
    facts = {"group": group, "stage": _(STAGES[to])}
    output.emit(answer, as_json=as_json, render=lambda c: output.say(c, line, **facts))


def stages(*, as_json: JsonFlag = False) -> None:
    """Count."""
    with session() as opened:
        from countermand.enforcement import password_stages, queries

        found = password_stages.standings(now=opened.now())
        groups = {group: each.value for group, each in queries.stages().items()}
    answer = {"stages": [_counted(each) for each in found], "groups": groups}

    def draw(console: Console) -> None:
        columns = [
            _("where they stand"),
            _("people"),
            _("with a device password"),
            _("without one"),
        ]
        rows = [
            (_(STAGES[each.stage]), each.people, each.with_password, each.without_password)
            for each in found
        ]
        console.print(output.table(_("Device passwords"), columns, rows))
        for name, reached in groups.items():
            line = _("{group}: {stage}")
            output.say(console, line, group=name, stage=_(STAGES[Stage(reached)]))

    output.emit(answer, as_json=as_json, render=draw)


def _counted(each: Standing) -> dict[str, Any]:
    return {
        "stage": each.stage.value,
        "people": each.people,
        "with_password": each.with_password,
        "without_password": each.without_password,
    }
