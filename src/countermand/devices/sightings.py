"""What is known of the ordered apps, device by device: the ground of every plan and every door.

Read for many people in a handful of statements. A device of which nothing was ever said about an
app has no entry for it: it was not checked yet, which is not the same as absent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db import connection

from countermand.devices.models import Learned
from countermand.domain.app_id import (
    IdentifierKey,
    IdentifierKind,
    SignedIdentifier,
    signature_covers,
)
from countermand.domain.inventory import AliasKind
from countermand.domain.presence import (
    OPENING_ANSWERS,
    Evidence,
    Presence,
    Rhythm,
    attestation_holds,
    fresh_until,
    heard_at,
    rhythm_of,
)

DOOR_NAMES: Final = (AliasKind.EAS_DEVICE_ID.value, AliasKind.DEVICE_PASSWORD.value)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one source last said about one app on one device, and what its person said.

    `evidence_at` is the earliest instant at which the list can have been taken, `shown_at` when it
    was taken if the source says so. `attested_at` is the last "it is not there" of the person;
    `is_excused` says that it still stands against the evidence.
    """

    app_id: str
    presence: Presence
    may_close: bool
    evidence_at: datetime
    fresh_until: datetime
    shown_at: datetime | None
    attested_at: datetime | None
    is_excused: bool


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """One device that somebody uses; `doors` are the names by which mail gates know it."""

    id: int
    person_id: int
    platform: str
    ownership: str
    name: str
    short_id: str
    reads_mail: bool
    doors: tuple[str, ...]
    apps: Mapping[str, Sighting] = field(default_factory=dict)


def of_people(
    person_ids: Collection[int],
    app_ids: Collection[str],
    *,
    signed: Collection[SignedIdentifier] = (),
) -> list[SeenDevice]:
    """Return the devices of these people with what is known of these apps, by person and id.

    `signed` is what named people signed in the order that asks: it counts in that order alone.
    """
    return _seen("device.person_id = ANY(%s)", list(person_ids), app_ids, signed)


def one(device_id: int, app_ids: Collection[str]) -> SeenDevice | None:
    """Return one device, None when nobody uses it or it is gone."""
    return next(iter(_seen("device.id = ANY(%s)", [device_id], app_ids)), None)


def stamp() -> str:
    """Return a text that changes whenever a source was loaded or somebody said something."""
    learned = Learned.objects.order_by("topic").values_list("topic", "times")
    return " ".join(f"{topic}={times}" for topic, times in learned)


# Columns one by one, and one array for many keys: read for everybody in scope, as often as a
# source is loaded, this is most of what a sweep costs.
_DEVICES: Final = """
    SELECT device.id, device.person_id, device.platform, device.ownership, device.name,
           device.short_id, device.reads_mail, device.source, device.last_contact_at,
           ARRAY(SELECT alias.value FROM devices_devicealias AS alias
                 WHERE alias.device_id = device.id AND alias.kind = ANY(%s)
                       AND alias.confirmed_by_id IS NULL ORDER BY alias.id)
    FROM devices_device AS device
    WHERE {which} AND device.gone_at IS NULL AND device.person_id IS NOT NULL
    ORDER BY device.person_id, device.id
"""
_OBSERVATIONS: Final = """
    SELECT device_id, app_id, presence, may_close, inventory_at, collected_at,
           identifier_kind, identifier, publisher
    FROM devices_observation WHERE device_id = ANY(%s) AND app_id = ANY(%s)
"""
_SAID: Final = """
    SELECT device_id, app_id, max(said_at) FROM devices_attestation
    WHERE device_id = ANY(%s) AND app_id = ANY(%s) AND answer = ANY(%s)
    GROUP BY device_id, app_id
"""


def _seen(
    which: str,
    keys: list[int],
    app_ids: Collection[str],
    signed: Collection[SignedIdentifier] = (),
) -> list[SeenDevice]:
    with connection.cursor() as cursor:
        cursor.execute(_DEVICES.format(which=which), [list(DOOR_NAMES), keys])
        rows = cursor.fetchall()
        told_by = {row[0]: (rhythm_of(row[7]), row[8]) for row in rows}
        apps: dict[int, dict[str, Sighting]] = {}
        if app_ids:
            ids, wanted = list(told_by), list(app_ids)
            cursor.execute(_SAID, [ids, wanted, [answer.value for answer in OPENING_ANSWERS]])
            said = {(device, app): at for device, app, at in cursor.fetchall()}
            cursor.execute(_OBSERVATIONS, [ids, wanted])
            for row in cursor.fetchall():
                attested_at = said.get((row[0], row[1]))
                seen = _sighting(row[1:6], *told_by[row[0]], attested_at)
                if signed and not seen.may_close and _is_signed(row[1], row[6:], signed):
                    seen = replace(seen, may_close=True)
                apps.setdefault(row[0], {})[row[1]] = seen
    return [
        SeenDevice(
            id=device,
            person_id=person_id,
            platform=platform,
            ownership=ownership,
            name=name,
            short_id=short_id,
            reads_mail=reads_mail,
            doors=tuple(doors),
            apps=apps.get(device, {}),
        )
        for device, person_id, platform, ownership, name, short_id, reads_mail, *_, doors in rows
    ]


def _is_signed(
    app_id: str, row: tuple[str, str, str], signed: Collection[SignedIdentifier]
) -> bool:
    kind, identifier, publisher = row
    if not kind:
        return False
    key = IdentifierKey(IdentifierKind(kind), identifier)
    return signature_covers(signed, app_id=app_id, key=key, publisher=publisher)


def _sighting(
    row: tuple[str, str, bool, datetime | None, datetime],
    rhythm: Rhythm,
    last_contact_at: datetime | None,
    attested_at: datetime | None,
) -> Sighting:
    app_id, presence, may_close, inventory_at, collected_at = row
    evidence = Evidence(
        presence=Presence(presence),
        inventory_at=inventory_at,
        collected_at=heard_at(collected_at, last_contact_at),
        refresh_cycle=rhythm.refresh_cycle,
    )
    return Sighting(
        app_id=app_id,
        presence=evidence.presence,
        may_close=may_close,
        evidence_at=evidence.proven_after,
        fresh_until=fresh_until(evidence, rhythm),
        shown_at=inventory_at,
        attested_at=attested_at,
        is_excused=attested_at is not None
        and attestation_holds(
            attested_at,
            evidence.at,
            has_own_time=inventory_at is not None,
            refresh_cycle=rhythm.refresh_cycle,
        ),
    )
