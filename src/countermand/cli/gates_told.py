"""What a verb says of gates that were told of a door which is open from now on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console

from countermand.cli import output, shown_time
from countermand.cli.exit_codes import ExitCode
from countermand.cli.stop_said import STATE_VALID_FOR
from countermand.i18n import gettext as _
from countermand.stop.gates import Obstacle

if TYPE_CHECKING:
    from countermand.stop.gates import GateAnswer


def say(console: Console, told: Sequence[GateAnswer], now: datetime) -> None:
    """Say which gates have opened, and until when the others may still refuse."""
    if told:
        line = _("Mail gates that know: {told} of {all}.")
        known = [gate for gate in told if gate.acknowledged]
        output.say(console, line, told=len(known), all=len(told))
    for gate in told:
        if gate.acknowledged:
            line = _("Knows: {url} ({ms:.0f} ms).")
            output.say(console, line, url=gate.url, ms=gate.took_ms)
            continue
        # Told to the minute, and never a second too early.
        latest = shown_time.instant(_latest(now) + timedelta(minutes=1))
        line = _("Not reached: {url}; it may still refuse this device until {at}.")
        output.say(console, line, url=gate.url, at=latest)
        if gate.obstacle is Obstacle.TOKEN_REFUSED:
            line = _("{url} answers and does not take our token: compare its keys/gate-token.")
            output.say(console, line, url=gate.url)


def as_json(told: Sequence[GateAnswer], now: datetime) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "gates": [
            {
                "url": gate.url,
                "knows": gate.acknowledged,
                "ms": round(gate.took_ms, 3),
                "why": gate.why,
            }
            for gate in told
        ],
        "open_by_at_the_latest": _latest(now).isoformat(),
    }


def exit_code(told: Sequence[GateAnswer]) -> ExitCode:
    """Return whether every gate knows."""
    every = all(gate.acknowledged for gate in told)
    return ExitCode.DONE if every else ExitCode.NOT_PROVEN_YET


def _latest(now: datetime) -> datetime:
    """Return when a gate that follows nothing believes its list of orders no more."""
    return now + STATE_VALID_FOR
