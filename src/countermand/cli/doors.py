"""`countermand doors`: through which doors mail is read, and how many of them know the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import output, shown_time
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain import door_share
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.enforcement.door_counts import Hour

DOORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "activesync_known": gettext_noop("ActiveSync, device known"),
        "device_password": gettext_noop("password of one device"),
        "activesync_unknown": gettext_noop("ActiveSync, device not known"),
        "device_password_unknown": gettext_noop("password of a device that nothing is known of"),
        "main_password": gettext_noop("main password"),
        "webmail": gettext_noop("webmail in a browser"),
        "pop3": gettext_noop("POP3"),
        "oauth": gettext_noop("sign-in with OAuth"),
        "behind_webmail": gettext_noop("logins that webmail makes by itself (no reading)"),
        "sending": gettext_noop("sending (no reading)"),
        "other": gettext_noop("other (no reading)"),
    }
)
_MOST_DAYS: Final = 92
_DAY: Final = timedelta(days=1)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    said = _("Show through which doors mail is read, and which share of them knows the device.")
    app.command("doors", help=output.taught(said, "doors --days 7"))(doors)


def doors(
    *,
    days: Annotated[
        int, typer.Option("--days", min=1, max=_MOST_DAYS, help=_("How far to look back."))
    ] = 7,
    by_hour: Annotated[
        bool, typer.Option("--by-hour", help=_("One line an hour instead of one a day."))
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show."""
    with session() as opened:
        from countermand.enforcement import door_counts

        now = opened.now()
        hours = door_counts.by_hour(since=now - days * _DAY)
        read_at = door_counts.last_read_at()
    answer = {
        "days": days,
        "zone": shown_time.zone(),
        "read_at": read_at,
        "doors": _by_door(hours),
        "share": _share(_by_door(hours)),
        "over_time": _over_time(hours, by_hour=by_hour),
    }
    output.emit(answer, as_json=as_json, render=lambda c: _draw(c, answer, by_hour=by_hour))


def _by_door(hours: Sequence[Hour]) -> dict[str, int]:
    found: dict[str, int] = {}
    for hour in hours:
        for door, count in hour.counts.items():
            found[door] = found.get(door, 0) + count
    return found


def _share(counts: Mapping[str, int]) -> dict[str, int | None]:
    share = door_share.share_of(counts)
    return {"known": share.known, "reading": share.reading, "per_cent": share.per_cent}


def _over_time(hours: Sequence[Hour], *, by_hour: bool) -> list[dict[str, Any]]:
    """Put hours together; `when` is the instant (UTC) at which an hour, or a day here, begins."""
    found: dict[datetime, list[Hour]] = {}
    for hour in hours:
        found.setdefault(hour.hour if by_hour else _day_of(hour.hour), []).append(hour)
    return [
        {"when": when.astimezone(UTC), "doors": _by_door(each), "share": _share(_by_door(each))}
        for when, each in found.items()
    ]


def _day_of(hour: datetime) -> datetime:
    """Return when the day began, by the clock of the house, into which an hour falls."""
    return shown_time.local(hour).replace(hour=0, minute=0).astimezone(UTC)


def _draw(console: Console, answer: Mapping[str, Any], *, by_hour: bool) -> None:
    if not answer["doors"]:
        output.say(console, _("No mail gate has been asked anything in this time."))
        return
    rows = [
        (_(DOORS[door]) if door in DOORS else door, answer["doors"][door])
        for door in sorted(answer["doors"], key=_place)
    ]
    console.print(output.table(_("Doors"), [_("door"), _("questions")], rows))
    form = "%Y-%m-%d %H:%M" if by_hour else "%Y-%m-%d"
    lines = [
        (
            shown_time.local(each["when"]).strftime(form),
            each["share"]["reading"],
            shown(each["share"]),
        )
        for each in answer["over_time"]
    ]
    when = _("when ({zone})").format(zone=answer["zone"])
    columns = [when, _("reading mail"), _("share that knows the device")]
    console.print(output.table("", columns, lines))
    line = _("Of all reading of mail, {share} came through a door that knows the device.")
    output.say(console, line, share=shown(answer["share"]))


def _place(door: str) -> int:
    return list(DOORS).index(door) if door in DOORS else len(DOORS)


def shown(share: Mapping[str, int | None]) -> str:
    """Return a share as people read it; a dash as long as nothing was counted."""
    return "–" if share["per_cent"] is None else f"{share['per_cent']} %"
