"""`countermand clients`: mail programs that doors saw and nobody knows; who confirms them."""

from __future__ import annotations

from typing import Annotated

import typer

from countermand.cli import output
from countermand.cli.session import session
from countermand.i18n import gettext as _

Device = Annotated[str, typer.Option("--device", help=_("The device, by any of its names."))]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Mail programs that nobody knows, and who answers for shared devices."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    said = _("List mail programs that belong to no known device.")
    group.command("list", help=output.taught(said, "clients list"))(list_clients)
    said = _("Say on which device a mail program is; this never closes anything.")
    group.command("confirm", help=output.taught(said, "clients confirm 7 --device …"))(confirm)
    said = _("Say who answers for a shared device.")
    words = "clients custodian --device … --who asha@example.org"
    group.command("custodian", help=output.taught(said, words))(custodian)
    app.add_typer(group, name="clients")


def list_clients(*, as_json: output.JsonFlag = False) -> None:
    """List them."""
    with session() as opened:
        from countermand.devices import links

        links.require_role(opened.actor())
        found = links.unknown()
    columns = (_("Number"), _("Login"), _("Name"), _("Program"), _("Last seen"))
    rows = [
        (each.number, each.login, each.value, each.program, each.last_seen_at) for each in found
    ]
    output.emit(
        found,
        as_json=as_json,
        render=lambda console: console.print(output.table("", columns, rows)),
    )


def confirm(
    *,
    number: Annotated[int, typer.Argument(help=_("Its number in the list."))],
    device: Device,
    as_json: output.JsonFlag = False,
) -> None:
    """Confirm one."""
    with session() as opened:
        from countermand.devices import links

        actor = opened.actor()
        links.require_role(actor)
        links.confirm(
            number, device_id=_device_id(device), actor_id=actor.person_id, now=opened.now()
        )
    output.emit(
        {"number": number, "device": device},
        as_json=as_json,
        render=lambda console: output.say(console, _("Confirmed.")),
    )


def custodian(
    *,
    device: Device,
    who: Annotated[str, typer.Option("--who", help=_("An address, or the key of the directory."))],
    as_json: output.JsonFlag = False,
) -> None:
    """Set who answers."""
    with session() as opened:
        from countermand.devices import links
        from countermand.people import queries as people

        actor = opened.actor()
        links.require_role(actor)
        person = people.person(who).id
        links.set_custodian(_device_id(device), person, actor_id=actor.person_id, now=opened.now())
    output.emit(
        {"device": device, "custodian": who},
        as_json=as_json,
        render=lambda console: output.say(console, _("{who} answers for it now."), who=who),
    )


def _device_id(text: str) -> int:
    from countermand.devices import queries
    from countermand.devices.given_answers import DeviceNotKnown

    found = queries.device_named(text)
    if found is None:
        raise DeviceNotKnown(device=text)
    return found
