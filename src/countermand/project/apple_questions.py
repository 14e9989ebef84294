"""When an Apple device is asked what, through NanoMDM: which ordered apps, and its name for mail.

NanoMDM sends each answer once and never again, so a question without an answer is put again, ever
more slowly. A device is asked at once when an order names an app that it was not asked about.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from countermand.connectors.nanomdm.commands import (
    NanoMdmServer,
    ask_again_at,
    ask_for,
    ask_for_mail_name,
)
from countermand.devices import questions
from countermand.devices.questions import About, ToAsk, Told
from countermand.domain.app_id import Platform, WantedApp

APPS_ANEW_AFTER: Final = timedelta(hours=20)  # before what it answered is a day old
NAME_ANEW_AFTER: Final = timedelta(days=7)  # it changes when somebody sets mail up again
_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
_READ_MAIL_AS_PHONES: Final = frozenset({Platform.IOS, Platform.IPADOS})


def ask(
    source: str,
    server: NanoMdmServer,
    apps: Sequence[WantedApp],
    *,
    now: datetime,
    dry_run: bool = False,
) -> int:
    """Ask the devices whose answer is missing, too narrow or growing old; return how many."""
    devices = questions.to_ask(source)
    by_platform: dict[Platform, list[str]] = {}
    for device in devices:
        if (at := _apps_due_at(device, apps)) is not None and at <= now:
            by_platform.setdefault(device.platform, []).append(device.enrollment_id)
    unnamed = [
        device.enrollment_id
        for device in devices
        if (at := _name_due_at(device)) is not None and at <= now
    ]
    if not dry_run:
        for platform, ids in by_platform.items():
            _ask_for_apps(source, server, ids, (apps, platform), now)
        if unnamed:
            _ask_for_names(source, server, unnamed, now)
    return len({*unnamed, *(each for ids in by_platform.values() for each in ids)})


def ask_now(
    source: str,
    server: NanoMdmServer,
    apps: Sequence[WantedApp],
    ids: Collection[str],
    *,
    now: datetime,
) -> None:
    """Ask these devices about the ordered apps, whatever they were asked before."""
    by_platform: dict[Platform, list[str]] = {}
    for device in questions.to_ask(source, only=ids):
        if any(app.asked_for(device.platform) for app in apps):
            by_platform.setdefault(device.platform, []).append(device.enrollment_id)
    for platform, named in by_platform.items():
        _ask_for_apps(source, server, named, (apps, platform), now)


def next_due(source: str, apps: Sequence[WantedApp]) -> datetime | None:
    """Return when the next question is due; None when there is nobody to ask."""
    times = (
        at
        for device in questions.to_ask(source)
        for at in (_apps_due_at(device, apps), _name_due_at(device))
        if at is not None
    )
    return min(times, default=None)


def _ask_for_apps(
    source: str,
    server: NanoMdmServer,
    ids: Sequence[str],
    what: tuple[Sequence[WantedApp], Platform],
    now: datetime,
) -> None:
    asking = ask_for(*what, command_uuid=str(uuid.uuid4()))
    questions.ask(
        source,
        ids,
        command_uuid=asking.command_uuid,
        identifiers=asking.question.identifiers,
        now=now,
    )
    server.enqueue(ids, asking.payload)


def _ask_for_names(source: str, server: NanoMdmServer, ids: Sequence[str], now: datetime) -> None:
    number = str(uuid.uuid4())
    questions.ask(source, ids, command_uuid=number, identifiers=(), now=now, about=About.NAME)
    server.enqueue(ids, ask_for_mail_name(command_uuid=number))


def _apps_due_at(device: ToAsk, apps: Sequence[WantedApp]) -> datetime | None:
    wanted = {each for app in apps for each in app.asked_for(device.platform)}
    if not wanted:
        return None
    told = device.apps
    if told.asked_at is None or (told.covered is not None and not wanted <= told.covered):
        return _AT_ONCE
    return _again(told, APPS_ANEW_AFTER)


def _name_due_at(device: ToAsk) -> datetime | None:
    if device.platform not in _READ_MAIL_AS_PHONES:
        return None
    return _again(device.name, NAME_ANEW_AFTER)


def _again(told: Told, anew_after: timedelta) -> datetime:
    if told.asked_at is None:
        return _AT_ONCE
    if told.times or told.answered_at is None:
        return ask_again_at(told.asked_at, told.times)
    return told.answered_at + anew_after
