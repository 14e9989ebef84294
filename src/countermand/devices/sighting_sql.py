"""What `sightings` says of a device, as a statement for rooms above to join with.

The same rule in its second form: a million devices are judged where they lie, and a test holds the
two forms equal, value by value. Whoever changes one changes the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connection

from countermand.domain.app_id import (
    IdentifierKey,
    IdentifierKind,
    SignedIdentifier,
    signature_covers,
)
from countermand.domain.presence import DEFAULT_RHYTHM, OPENING_ANSWERS, RHYTHMS

_SECOND: Final = timedelta(seconds=1)


def _rhythm(what: str) -> str:
    """Return how long a device's source is fresh, or takes to look anew, as SQL."""
    kinds = " ".join(
        f"WHEN '{kind}' THEN interval '{getattr(rhythm, what) // _SECOND} seconds'"
        for kind, rhythm in RHYTHMS.items()
    )
    usual = getattr(DEFAULT_RHYTHM, what) // _SECOND
    return f"(CASE split_part(device.source, ':', 1) {kinds} ELSE interval '{usual} seconds' END)"


# `seen` is an observation, `device` its device, `said` what its person said of that app last.
_MAY_CLOSE: Final = """
    (seen.may_close OR (seen.app_id, seen.identifier_kind, seen.identifier, seen.publisher) IN (
        SELECT * FROM unnest(%(covered_app)s::text[], %(covered_kind)s::text[],
                             %(covered_identifier)s::text[], %(covered_publisher)s::text[])))
"""
# As `heard_at`: without a contact, the run's own time; of what no run told, none.
_HEARD_AT: Final = """
    CASE WHEN seen.collected_at IS NOT NULL
        THEN least(seen.collected_at, device.last_contact_at) END
"""
_EVIDENCE_AT: Final = f"coalesce(seen.inventory_at, {_HEARD_AT} - {_rhythm('refresh_cycle')})"
_FRESH_UNTIL: Final = f"coalesce(seen.inventory_at, {_HEARD_AT}) + {_rhythm('fresh_for')}"
_SAID: Final = """
    SELECT device_id, app_id, max(said_at) AS at FROM devices_attestation
    WHERE app_id = ANY(%(apps)s) AND answer = ANY(%(opening)s) GROUP BY device_id, app_id
"""
_DEVICE: Final = """
    device.id AS device_id, device.person_id, device.platform, device.ownership, device.reads_mail
"""
_USED: Final = "device.gone_at IS NULL AND device.person_id IS NOT NULL"
_ONE_APP: Final = f"""
    SELECT {_DEVICE}, coalesce(seen.presence, 'unknown') AS presence,
           coalesce({{may_close}}, false) AS may_close,
           {_EVIDENCE_AT} AS evidence_at, {_FRESH_UNTIL} AS fresh_until,
           CASE WHEN seen.id IS NOT NULL THEN said.at END AS attested_at
    FROM devices_device AS device
    LEFT JOIN devices_observation AS seen
        ON seen.device_id = device.id AND seen.app_id = %(app)s
    LEFT JOIN ({_SAID}) AS said ON said.device_id = device.id AND said.app_id = %(app)s
    WHERE {_USED}
"""  # noqa: S608  (constants of ours)
# The app that weighs most decides; nothing does while one was never looked for and none is there.
_MANY_APPS: Final = f"""
    SELECT {_DEVICE}, coalesce(decides.presence, 'unknown') AS presence,
           coalesce(decides.may_close, false) AS may_close,
           decides.evidence_at, decides.fresh_until, decides.attested_at
    FROM devices_device AS device
    LEFT JOIN (
        SELECT DISTINCT ON (device_id) *, count(*) OVER (PARTITION BY device_id) AS found
        FROM (
            SELECT seen.device_id, seen.app_id, seen.presence, {{may_close}} AS may_close,
                   {_EVIDENCE_AT} AS evidence_at, {_FRESH_UNTIL} AS fresh_until,
                   said.at AS attested_at
            FROM devices_observation AS seen
            JOIN devices_device AS device ON device.id = seen.device_id
            LEFT JOIN ({_SAID}) AS said
                ON said.device_id = seen.device_id AND said.app_id = seen.app_id
            WHERE seen.app_id = ANY(%(apps)s) AND {_USED}
        ) AS known
        ORDER BY device_id,
                 array_position(ARRAY['present', 'unknown', 'unobservable'], presence::text),
                 coalesce(attested_at >= evidence_at, false), NOT may_close,
                 array_position(%(apps)s::text[], app_id::text)
    ) AS decides
        ON decides.device_id = device.id
        AND (decides.found = %(apps_wanted)s OR decides.presence = 'present')
    WHERE {_USED}
"""  # noqa: S608  (constants of ours)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query of the database, and what it is asked with."""

    sql: str
    parameters: dict[str, Any]


def of_used_devices(app_ids: Sequence[str], signed: Collection[SignedIdentifier] = ()) -> Statement:
    """Return what is known of every device that somebody uses: the sighting that decides.

    Columns: device_id, person_id, platform, ownership, reads_mail, presence, may_close,
    evidence_at, fresh_until, attested_at. Where nothing decides, the device is unknown.
    """
    apps = list(dict.fromkeys(app_ids))
    covered = sorted(_covered(signed)) if signed else []
    text = _ONE_APP if len(apps) == 1 else _MANY_APPS
    parameters: dict[str, Any] = {
        "apps": apps,
        "app": apps[0] if apps else "",
        "apps_wanted": len(apps),
        "opening": [answer.value for answer in OPENING_ANSWERS],
    }
    for place, name in enumerate(("app", "kind", "identifier", "publisher")):
        parameters[f"covered_{name}"] = [row[place] for row in covered]
    return Statement(text.format(may_close=_MAY_CLOSE if covered else "seen.may_close"), parameters)


def _covered(signed: Collection[SignedIdentifier]) -> set[tuple[str, str, str, str]]:
    """Return the identifiers, as sources spelled them, that these signatures let close a door."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT app_id, identifier_kind, identifier, publisher"
            " FROM devices_observation"
            " WHERE app_id = ANY(%s) AND NOT may_close AND identifier_kind <> ''",
            [sorted({each.app_id for each in signed})],
        )
        rows: list[tuple[str, str, str, str]] = cursor.fetchall()
    return {
        (app_id, kind, identifier, publisher)
        for app_id, kind, identifier, publisher in rows
        if signature_covers(
            signed,
            app_id=app_id,
            key=IdentifierKey(IdentifierKind(kind), identifier),
            publisher=publisher,
        )
    }
