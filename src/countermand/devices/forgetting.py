"""What sources saw and people said of an app is forgotten once no order needs it, with a log.

The log keeps how much of which app was forgotten, and names nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from countermand.audit import actions as audit
from countermand.devices.models import (
    Attestation,
    Device,
    DeviceAlias,
    ImportRun,
    Observation,
)
from countermand.domain.retention import Kind
from countermand.row_batches import delete_some

BATCH: Final = 5_000
RUNS_ARE_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be forgotten: of this app, from before this instant, for these people.

    `people` are those of the countries that the period is for; `is_rest` turns it around. Of
    devices that are gone no app is meant.
    """

    kind: Kind
    app_id: str
    before: datetime
    kept_days: int
    people: QuerySet[Any]
    countries: tuple[str, ...] = ()

    @property
    def is_rest(self) -> bool:
        """Whether all are meant but `people`."""
        return not self.countries


def apps() -> frozenset[str]:
    """Return every app of which anything is kept."""
    seen = Observation.objects.order_by().values_list("app_id", flat=True).distinct()
    said = Attestation.objects.order_by().values_list("app_id", flat=True).distinct()
    return frozenset([*seen, *said])


@transaction.atomic
def forget(due: Due, *, now: datetime) -> int:
    """Forget some of it, 5,000 rows at most; returns how many."""
    rows = _findings(due) if due.kind is Kind.FINDINGS else _answers(due)
    if forgotten := delete_some(rows, BATCH):
        _record(f"{due.kind}.forgotten", due, forgotten, now)
    return forgotten


def _record(event: str, due: Due, rows: int, now: datetime) -> None:
    facts = {
        "app": due.app_id,
        "rows": rows,
        "kept_days": due.kept_days,
        "countries": list(due.countries),
    }
    audit.record(event, actor_id=None, facts=facts, now=now)


@transaction.atomic
def forget_gone(due: Due, *, now: datetime) -> int:
    """Forget whose devices were that went so long ago, and their names; 5,000 at most.

    The row stays under the id that its source gave it, and is filled anew if the device comes back.
    Its custodian stays as well: a person named them, and no source would do so again. What a source
    saw on it, or somebody said of it, is forgotten first.
    """
    names = DeviceAlias.objects.filter(device=OuterRef("pk"))
    known = Q(person_id__isnull=False) | ~Q(name="") | Exists(names)
    rows = Device.objects.filter(known, _theirs(due, "person_id"), gone_at__lte=due.before)
    for model in (Observation, Attestation):
        rows = rows.exclude(Exists(model._default_manager.filter(device=OuterRef("pk"))))  # noqa: SLF001
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    DeviceAlias.objects.filter(device_id__in=ids).delete()
    nobodys = {"person_id": None, "name": "", "short_id": ""}
    Device.objects.filter(pk__in=ids).update(**nobodys)
    _record("devices.forgotten", due, len(ids), now)
    return len(ids)


@transaction.atomic
def forget_runs(now: datetime) -> int:
    """Forget runs by which no list was taken whole and on which nothing known rests; 5,000 at most.

    A source that posts by itself makes one for each post; they hold numbers, which are in the log.
    So do lists that were refused, and lists with a row of which nobody can say whose it is: they go
    too. Lists that were taken whole stay, and those that are held.
    """
    parts = ImportRun.objects.filter(complete=False, started_at__lt=now - RUNS_ARE_KEPT)
    parts = parts.exclude(state="held", report__is_whole=True)
    rests = Observation.objects.filter(run=OuterRef("pk"))
    return delete_some(parts.exclude(Exists(rests)), BATCH)


def _findings(due: Due) -> QuerySet[Any]:
    rows = Observation.objects.filter(app_id=due.app_id, run__as_of__lte=due.before)
    return rows.filter(_theirs(due, "device__person_id"))


def _theirs(due: Due, person: str) -> Q:
    """Return the condition under which a row is of the people who are meant."""
    meant = Q(**{f"{person}__in": due.people})
    return Q(**{f"{person}__isnull": True}) | ~meant if due.is_rest else meant


def _answers(due: Due) -> QuerySet[Any]:
    meant = Q(person_id__in=due.people)
    rows = Attestation.objects.filter(app_id=due.app_id, said_at__lte=due.before)
    return rows.filter(~meant if due.is_rest else meant)
