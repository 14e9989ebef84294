"""The list that a stop reads while the database is down, written anew from what is stored.

Called after every commit that changes where an order stands or who may stop it, and by every
sweep; a resume and a first group make their new epoch known before they commit (`ahead`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from countermand.clock import for_data
from countermand.config import Settings
from countermand.stop import register
from countermand.stop.register import KnownActor, KnownOrder, Register


def refresh(settings: Settings, *, now: datetime | None = None) -> None:
    """Write the register from the database; nothing is written when it says the same already.

    An epoch that was made known ahead of its commit stays: a stop of a lower one would not stop.
    """
    now = now or for_data(settings.folder).now()
    with register.changing(settings.folder):
        standing = _standing(settings)
        fresh = _from_database(now)
        if standing is not None:
            fresh = dataclasses.replace(fresh, orders=_never_lower(fresh.orders, standing.orders))
        if standing != fresh:
            register.write(settings.folder, fresh)


def _from_database(now: datetime) -> Register:
    from countermand.orders import queries as orders  # noqa: PLC0415  (loads Django)
    from countermand.people import queries as people  # noqa: PLC0415

    return Register(
        orders={
            number: KnownOrder(epoch=line.epoch, phase=line.phase, stop_hash=line.stop_hash)
            for number, line in orders.register_lines().items()
        },
        tokens={
            shown: KnownActor(
                person_id=actor.person_id,
                name=actor.name,
                roles=tuple(sorted(role.value for role in actor.roles)),
            )
            for shown, actor in people.live_tokens(now).items()
        },
    )


def _never_lower(
    fresh: Mapping[str, KnownOrder], standing: Mapping[str, KnownOrder]
) -> dict[str, KnownOrder]:
    return {
        number: dataclasses.replace(known, epoch=before.epoch, phase=before.phase)
        if (before := standing.get(number)) is not None and before.epoch > known.epoch
        else known
        for number, known in fresh.items()
    }


def ahead(settings: Settings, number: str, epoch: int, phase: str) -> None:
    """Make an order's coming epoch known before the transaction that raises it commits.

    Should that transaction fail, a stop names an epoch that never was: it stops all the same.
    """
    with register.changing(settings.folder):
        standing = _standing(settings) or Register()
        known = standing.orders.get(number, KnownOrder(epoch=epoch, phase=phase))
        coming = dataclasses.replace(known, epoch=max(epoch, known.epoch), phase=phase)
        orders = {**standing.orders, number: coming}
        register.write(settings.folder, dataclasses.replace(standing, orders=orders))


def _standing(settings: Settings) -> Register | None:
    try:
        return register.read(settings.folder)
    except register.RegisterUnreadable:
        return None
