"""`countermand import people|devices`: take over exports, whole or not at all."""

from __future__ import annotations

import typer

from countermand.cli.import_devices import devices
from countermand.cli.import_people import people
from countermand.i18n import gettext as _


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
