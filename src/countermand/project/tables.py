"""The tables of this version, and who may read them."""

from __future__ import annotations

from django.core.management import call_command

from countermand.enforcement import gate_role


def bring_up_to_date() -> None:
    """Apply what is missing, and let gates read what they follow. Django must be set up."""
    call_command("migrate", verbosity=0, interactive=False)
    gate_role.let_gates_read()
