"""Inventories that told of too much change at once: said where somebody relies on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from countermand.cli import output, shown_time
from countermand.i18n import gettext as _


def held() -> list[dict[str, Any]]:
    """Return the inventories that wait for a decision, with the command by which it is taken."""
    from countermand.devices import queries, sources

    asked = {view.name for view in sources.every_source()}
    return [
        {
            "source": each.source,
            "since": each.since,
            "devices": each.devices,
            "if_right": f"countermand sources sync {each.source} --confirm-mass-change"
            if each.source in asked
            else f"countermand import devices --source {each.source} … --confirm-mass-change",
        }
        for each in queries.undecided()
    ]


def draw(console: Console, inventories: Sequence[Mapping[str, Any]]) -> None:
    """Say of each that it is held, and how somebody decides."""
    whole = _(
        "Held since {since}: {source} told of too much change at once. What is known of its "
        "devices is from before. If it is right: {if_right}"
    )
    some = _(
        "Held since {since}: {source} told of too much change within a day. {devices} devices stay "
        "as they were. If it is right: {if_right}"
    )
    for each in inventories:
        since = shown_time.instant(each["since"])
        output.say(console, some if each["devices"] else whole, **{**each, "since": since})
