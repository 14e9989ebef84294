"""A database with so many people and devices, loaded through our own front, and a plan on it.

The floor of planning is one SQL statement that judges every device.
"""

from __future__ import annotations

import os
import statistics
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks import bulk_doors, bulk_load
from benchmarks.bulk_load import NOW, timed
from benchmarks.ledger_house import LedgerHouse, durable_house

# One full pass: each device with what is known of it, judged as the door would at the deadline.
_EVALUATION: Final = """
    SELECT count(*) FILTER (WHERE shut), count(*) FROM (
        SELECT device.id, bool_or(coalesce(
            seen.presence = 'present' AND seen.may_close
            AND seen.inventory_at <= %(now)s AND %(now)s < seen.inventory_at + interval '24 hours'
            AND NOT coalesce(said.at >= seen.inventory_at, false), false)) AS shut
        FROM devices_device AS device
        JOIN people_person AS person ON person.id = device.person_id
        LEFT JOIN devices_observation AS seen
            ON seen.device_id = device.id AND seen.app_id = 'tiktok'
        LEFT JOIN (SELECT device_id, max(said_at) AS at FROM devices_attestation
                   WHERE app_id = 'tiktok' GROUP BY device_id) AS said
            ON said.device_id = device.id
        WHERE device.gone_at IS NULL AND 'all-staff' = ANY(person.groups)
        GROUP BY device.id
    ) AS judged
"""


def measured(folder: Path, *, people: int, rounds: int, load_rounds: int) -> dict[str, Any]:
    """Measure loading, planning and doors in a world that is made anew and taken away."""
    with durable_house() as house:
        _use(house)
        devices = bulk_load.write_files(folder, people)
        figures: dict[str, Any] = {"devices": devices}
        figures |= bulk_load.measured(house, folder, rounds=load_rounds)
        house.connection.execute("ANALYZE")
        figures |= _planned(house, rounds)
        return figures | bulk_doors.measured(house, now=NOW, rounds=rounds)


def _planned(house: LedgerHouse, rounds: int) -> dict[str, Any]:
    """Measure a plan's figures beside one evaluation of all devices; both have to agree."""
    plans, evaluations = [], []
    found: list[Any] = []
    for _ in range(rounds):
        evaluations.append(timed(lambda: evaluated(house.connection, NOW)))
        plans.append(timed(lambda: found.append(_figures())))
    shut = evaluated(house.connection, NOW)[0]
    if found[-1].losing_devices != shut:
        raise AssertionError(f"plan and evaluation differ: {found[-1]}, {shut}")
    plan_s, evaluation_s = statistics.median(plans), statistics.median(evaluations)
    print(f"plan: {plan_s:.3f} s, one evaluation: {evaluation_s:.3f} s, shut: {shut}")
    ratios = [one / other for one, other in zip(plans, evaluations, strict=True)]
    return {"plan_ratio_evaluation": round(statistics.median(ratios), 2)}


def _use(house: LedgerHouse) -> None:
    os.environ["DATABASE_URL"] = house.url
    os.environ["COUNTERMAND_DATA"] = str(house.folder.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "countermand.project.settings"
    import django  # noqa: PLC0415 - only now is it known where the database is

    django.setup()


def evaluated(connection: psycopg.Connection[Any], now: datetime) -> tuple[int, int]:
    """Judge every device in one pass; return how many doors would be shut, of how many."""
    row = connection.execute(_EVALUATION, {"now": now}).fetchone()
    if row is None:
        raise AssertionError("a count gives a row")
    return row[0], row[1]


def _figures() -> Any:
    """Plan as `countermand order plan` does, up to its figures."""
    from benchmarks import bulk_order  # noqa: PLC0415 - needs Django

    return bulk_order.figures(NOW)
