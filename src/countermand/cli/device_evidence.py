"""`countermand device show|check`: what each source says of one device, and a look at it now."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import output
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.errors import gettext_noop
from countermand.domain.presence import Presence
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.cli.session import Session
    from countermand.devices.evidence import OfSource

Named = Annotated[str, typer.Argument(help=_("The device, by any of its names."))]
_WORDS: Final = MappingProxyType(
    {
        Presence.PRESENT: gettext_noop("on it"),
        Presence.ABSENT: gettext_noop("not on it"),
        Presence.UNOBSERVABLE: gettext_noop("cannot be checked"),
        Presence.UNKNOWN: gettext_noop("not checked"),
    }
)


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    said = _("Show what each source says of a device, and by which names it is known.")
    group.command("show", help=output.taught(said, "device show F2LXXEXMPL01"))(show)
    said = _("Let the sources of a device look at it again now, where they can.")
    group.command("check", help=output.taught(said, "device check F2LXXEXMPL01"))(check)


def show(*, device: Named, as_json: JsonFlag = False) -> None:
    """Show it."""
    with session() as opened:
        rows = _rows(opened, device)
    output.emit(
        {"sources": [_answer(row) for row in rows]},
        as_json=as_json,
        render=lambda console: _show(console, rows),
    )


def check(*, device: Named, as_json: JsonFlag = False) -> None:
    """Look again."""
    with session() as opened:
        from countermand.devices import hints

        ids = [row.id for row in _rows(opened, device)]
        asked = hints.look_again(ids, actor_id=opened.actor().person_id, now=opened.now())
    output.emit(
        {"asked": list(asked)}, as_json=as_json, render=lambda console: _show_asked(console, asked)
    )


def _rows(opened: Session, device: str) -> Sequence[OfSource]:
    """Return what is known, to whoever has a role or whose device it is."""
    from countermand.devices import evidence
    from countermand.orders import answers

    rows = evidence.of_device(device)
    if not rows:
        raise answers.NoSuchDevice(device=device)
    actor = opened.actor()
    if not actor.roles and any(row.person_id != actor.person_id for row in rows):
        raise answers.NotForYou
    return rows


def _answer(row: OfSource) -> dict[str, Any]:
    known: dict[str, Any] = output.plain(row)
    return {name: value for name, value in known.items() if name not in {"id", "person_id"}}


def _show(console: Console, rows: Sequence[OfSource]) -> None:
    columns = (_("Source"), _("App"), _("Finding"), _("List covers"), _("List taken"))
    more = (_("Heard"), _("Fresh until"), _("May close"))
    lines = [
        (
            row.source,
            each.app_id,
            _(_WORDS[each.presence]),
            each.coverage,
            each.taken_at or _("not said"),
            each.heard_at,
            each.fresh_until,
            _("yes") if each.may_close else _("no"),
        )
        for row in rows
        for each in row.findings
    ]
    if lines:
        console.print(output.table("", (*columns, *more), lines))
    else:
        output.say(console, _("No source said anything about an ordered app on it."))
    names = (_("Source"), _("Kind"), _("Name"), _("First seen"), _("Known from"))
    links = [
        (row.source, each.kind, each.value, each.first_seen_at, _origin(each.confidence))
        for row in rows
        for each in row.links
    ]
    console.print(output.table("", names, links))


def _origin(confidence: str) -> str:
    return _("a person confirmed it") if confidence == "confirmed" else _("the source")


def _show_asked(console: Console, asked: Sequence[str]) -> None:
    if asked:
        line = _("They look at it within minutes: {sources}.")
        output.say(console, line, sources=", ".join(asked))
    else:
        output.say(console, _("None of its sources can be asked about a single device."))
