"""The statements of a load: what a run says, beside what is known, in sets.

Each works on the tables of `said_rows`, which hold one batch. While nothing can be known of its
devices (`FRESH`), nothing is looked for; else each is looked up by its index (LATERAL with OFFSET,
`id = ANY`): within a load the planner does not know how the tables are filled, and once compared
every device with every other. `ROOM` is for hashes and sorts in memory; what refers to a device is
checked as it is written, since marks for the end of a load are gone through by each statement
that empties a table.
"""

from __future__ import annotations

from typing import Final

ROOM: Final = """
    SELECT set_config('work_mem', '96MB', true), set_config('jit', 'off', true);
    SET CONSTRAINTS ALL IMMEDIATE
"""

# Column, and what a report says of it; what it leaves unsaid stays as it was known.
_SAYS: Final = {
    # A shared device is its custodian's.
    "person_id": ("coalesce(known.custodian_id, said.owner_id)", "owners"),
    "platform": ("said.platform", "platform"),
    "os_version": ("said.os_version", "os_version"),
    "ownership": ("said.ownership", "ownership"),
    "name": ("said.name", "name"),
    "short_id": ("said.short_id", "aliases"),
    "last_contact_at": ("to_timestamp(said.last_contact)", "last_contact_at"),
    "reads_mail": ("said.reads_mail", "reads_mail"),
}
_GONE: Final = "CASE WHEN said.is_gone THEN coalesce(known.gone_at, %(as_of)s) END"
_COLUMNS: Final = (*_SAYS, "gone_at")


def _value(column: str) -> str:
    says, fact = _SAYS[column]
    is_kept = f"known.id IS NOT NULL AND '{fact}' = ANY(said.unsaid)"
    return f"CASE WHEN {is_kept} THEN known.{column} ELSE {says} END"


_VALUES: Final = ", ".join(
    [*(f"{_value(name)} AS {name}" for name in _SAYS), f"{_GONE} AS gone_at"]
)
_OLD: Final = ", ".join(f"known.{name} AS old_{name}" for name in _COLUMNS)

# Nothing is known of the source yet, and no device was spoken of twice: what is said is what will
# be known. Devices get their keys as they are copied.
FRESH: Final = f"""
    ALTER TABLE devices_said ALTER id SET DEFAULT nextval('devices_device_id_seq');
    CREATE TEMPORARY VIEW devices_next AS
    SELECT place, is_first, source_device_id, owner_id AS person_id,
        {", ".join(f"{says} AS {name}" for name, (says, _) in list(_SAYS.items())[1:])},
        CASE WHEN is_gone THEN %(as_of)s::timestamptz END AS gone_at,
        is_gone, unsaid, to_timestamp(inventory) AS inventory_at, sight, alias_kinds,
        alias_values, true AS is_new, id, false AS was_here, true AS differs
    FROM devices_said AS said
"""  # noqa: S608 - made of the names above alone
NO_LONGER_FRESH: Final = """
    DROP VIEW devices_next; ALTER TABLE devices_said ALTER id DROP DEFAULT
"""
# Every device of one turn with what will be known of it. New devices get their keys here, in the
# order in which they were said.
NEXT: Final = f"""
    DROP TABLE IF EXISTS devices_next;
    CREATE TEMPORARY TABLE devices_next ON COMMIT DROP AS
    SELECT place, is_first, source_device_id, {", ".join(_COLUMNS)}, is_gone, unsaid,
        inventory_at, sight, alias_kinds, alias_values, old_id IS NULL AS is_new,
        coalesce(old_id, nextval('devices_device_id_seq')) AS id,
        old_id IS NOT NULL AND old_gone_at IS NULL AS was_here,
        ROW({", ".join(_COLUMNS)}) IS DISTINCT FROM ROW({", ".join(f"old_{n}" for n in _COLUMNS)})
            AS differs
    FROM (
        SELECT said.place, said.is_first, said.source_device_id, {_VALUES}, said.is_gone,
            said.unsaid, to_timestamp(said.inventory) AS inventory_at, said.sight,
            said.alias_kinds, said.alias_values,
            known.id AS old_id, {_OLD}
        FROM devices_said AS said LEFT JOIN LATERAL (
            SELECT * FROM devices_device AS one
            WHERE one.source = %(source)s AND one.source_device_id = said.source_device_id OFFSET 0
        ) AS known ON true
        WHERE said.turn = %(turn)s ORDER BY said.place
    ) AS said;
    ANALYZE devices_next (id, sight)
"""  # noqa: S608 - made of the names above alone
# A device counts the first time that the run speaks of it.
TALLY_OF_DEVICES: Final = """
    SELECT count(*) FILTER (WHERE is_first AND is_new),
        count(*) FILTER (WHERE is_first AND NOT is_new AND differs),
        count(*) FILTER (WHERE is_first AND NOT is_new AND NOT differs),
        count(*) FILTER (WHERE is_first AND person_id IS NULL),
        count(*) FILTER (WHERE is_first AND was_here),
        count(*) FILTER (WHERE was_here AND is_gone),
        count(*) FILTER (WHERE NOT was_here AND NOT is_gone)
    FROM devices_next
"""
# A custodian may have been named since: the row as it stands now is asked.
CHANGE_DEVICES: Final = f"""
    UPDATE devices_device AS known SET
        person_id = CASE WHEN 'owners' = ANY(next.unsaid) THEN known.person_id
                         ELSE coalesce(known.custodian_id, next.person_id) END,
        ({", ".join(_COLUMNS[1:])}) = ROW({", ".join(f"next.{name}" for name in _COLUMNS[1:])})
    FROM devices_next AS next
    WHERE known.id = next.id AND known.id = ANY (ARRAY(
        SELECT id FROM devices_next WHERE differs AND NOT is_new))
"""  # noqa: S608
ADD_DEVICES: Final = f"""
    INSERT INTO devices_device (id, source, source_device_id, {", ".join(_COLUMNS)})
    SELECT id, %(source)s, source_device_id, {", ".join(_COLUMNS)}
    FROM devices_next WHERE is_new
"""  # noqa: S608
ADD_NAMES_OF_NEW: Final = """
    INSERT INTO devices_devicealias (device_id, kind, value, first_seen_at)
    SELECT id, unnest(alias_kinds), unnest(alias_values), %(as_of)s
    FROM devices_next WHERE is_new
"""
# What a person confirmed stands, whatever the source names.
DROP_NAMES: Final = """
    DELETE FROM devices_devicealias WHERE id = ANY (ARRAY(
        SELECT old.id FROM devices_next AS next, LATERAL (
            SELECT * FROM devices_devicealias AS one
            WHERE one.device_id = next.id AND one.confirmed_by_id IS NULL OFFSET 0
        ) AS old
        WHERE NOT next.is_new AND NOT 'aliases' = ANY(next.unsaid)
            AND NOT EXISTS (
                SELECT FROM unnest(next.alias_kinds, next.alias_values) AS named (kind, value)
                WHERE named.kind = old.kind AND named.value = old.value)
    ))
"""
ADD_NAMES: Final = """
    INSERT INTO devices_devicealias (device_id, kind, value, first_seen_at)
    SELECT next.id, named.kind, named.value, %(as_of)s
    FROM devices_next AS next
    CROSS JOIN unnest(next.alias_kinds, next.alias_values) AS named (kind, value)
    LEFT JOIN LATERAL (
        SELECT true AS is_there FROM devices_devicealias AS one
        WHERE one.device_id = next.id AND one.kind = named.kind AND one.value = named.value
        OFFSET 0
    ) AS old ON true
    WHERE NOT next.is_new AND old.is_there IS NULL
"""
# Whether a device's apps were spoken of decides whether what is held about it is answered by it.
SPOKEN_OF: Final = """
    SELECT said.source_device_id, said.is_gone,
        EXISTS (SELECT FROM devices_sight AS sight
            WHERE sight.sight = said.sight AND sight.presence IN ('present', 'absent'))
        OR EXISTS (SELECT FROM devices_found AS found WHERE found.place = said.place)
    FROM devices_said AS said ORDER BY said.place
"""
# All devices of the source are compared: never one by one.
WHOLE: Final = "SELECT set_config('enable_nestloop', 'off', true)"
NO_LONGER_WHOLE: Final = "SELECT set_config('enable_nestloop', 'on', true)"
LIST: Final = "INSERT INTO devices_listed SELECT id FROM devices_next"
MARK_GONE: Final = """
    UPDATE devices_device AS known SET gone_at = %(as_of)s
    WHERE known.source = %(source)s AND known.gone_at IS NULL
        AND known.source_device_id <> ALL(%(left)s)
        AND NOT EXISTS (SELECT FROM devices_listed AS listed WHERE listed.id = known.id)
"""


# As `domain.presence.heard_at`; what has a time of its own is only collected.
_HEARD_AT: Final = """
    CASE WHEN coalesce(found.inventory_at, next.inventory_at) IS NULL
        THEN least(%(as_of)s, next.last_contact_at) ELSE %(as_of)s END
"""


def _weight(presence: str, inventory_at: str, collected_at: str) -> str:
    """Return what `domain.presence.merge` compares, but the refresh cycle: both have the same."""
    return f"""ROW(
        CASE {presence} WHEN 'unknown' THEN 0 WHEN 'unobservable' THEN 1 ELSE 2 END,
        coalesce({inventory_at}, CASE WHEN {presence} = 'absent'
            THEN {collected_at} - make_interval(secs => %(cycle_s)s) ELSE {collected_at} END),
        {presence} = 'present', {inventory_at} IS NOT NULL, {collected_at})"""


_WORDS: Final = (
    "presence",
    "coverage",
    "identifier",
    "identifier_kind",
    "publisher",
    "may_close",
)
_WRITTEN: Final = (*_WORDS, "inventory_at", "collected_at")
# At equal strength the new word stands, since an order may by now have signed what it was matched
# by; but it is not written when nobody could tell the difference.
_STANDS: Final = f"""
    CASE WHEN old.id IS NULL THEN new.presence <> 'unknown' ELSE
        {_weight("new.presence", "new.inventory_at", "new.collected_at")}
        >= {_weight("old.presence", "old.inventory_at", "old.collected_at")}
        AND NOT (
            ROW({", ".join(f"new.{name}" for name in _WORDS)})
                = ROW({", ".join(f"old.{name}" for name in _WORDS)})
            AND (old.presence = 'unobservable' OR (
                new.inventory_at IS NOT DISTINCT FROM old.inventory_at
                AND (old.inventory_at IS NOT NULL OR old.collected_at = new.collected_at))))
    END
"""
_NEWLY_TURNED: Final = """
    (new.stands AND new.before IN ('present', 'absent') AND new.presence <> new.before
        AND coalesce(new.turned_at < %(counted_from)s, true))
"""
# A device that was let go says nothing about apps: it has no sight.
OBSERVATIONS: Final = f"""
    WITH new AS (
        SELECT next.id AS device_id, sight.app_id, sight.coverage,
            coalesce(found.presence, sight.presence) AS presence,
            coalesce(found.identifier, '') AS identifier,
            coalesce(found.identifier_kind, '') AS identifier_kind,
            coalesce(found.publisher, '') AS publisher,
            coalesce(found.may_close, false) AS may_close,
            coalesce(found.inventory_at, next.inventory_at) AS inventory_at,
            {_HEARD_AT} AS collected_at
        FROM devices_next AS next
        JOIN devices_sight AS sight ON sight.sight = next.sight
        LEFT JOIN devices_found AS found
            ON found.place = next.place AND found.app_id = sight.app_id
    ), weighed AS MATERIALIZED (
        SELECT new.*, old.id AS old_id, coalesce(old.presence, 'unknown') AS before,
            old.turned_at, {_STANDS} AS stands
        FROM new LEFT JOIN LATERAL (
            SELECT * FROM devices_observation AS one
            WHERE one.device_id = new.device_id AND one.app_id = new.app_id OFFSET 0
        ) AS old ON %(may_be_known)s
    ), added AS (
        INSERT INTO devices_observation
            (device_id, app_id, {", ".join(_WRITTEN)}, run_id)
        SELECT device_id, app_id, {", ".join(_WRITTEN)}, %(run)s
        FROM weighed WHERE stands AND old_id IS NULL
    ), changed AS (
        UPDATE devices_observation AS old SET
            ({", ".join(_WRITTEN)}) = ROW({", ".join(f"new.{name}" for name in _WRITTEN)}),
            run_id = %(run)s,
            turned_at = CASE WHEN {_NEWLY_TURNED} THEN %(now)s ELSE old.turned_at END
        FROM weighed AS new
        WHERE old.id = new.old_id AND old.id = ANY (ARRAY(
            SELECT old_id FROM weighed WHERE stands AND old_id IS NOT NULL))
    )
    SELECT app_id, before, CASE WHEN stands THEN presence ELSE before END AS now, count(*),
        count(*) FILTER (WHERE {_NEWLY_TURNED})
    FROM weighed AS new GROUP BY app_id, before, now
"""  # noqa: S608
