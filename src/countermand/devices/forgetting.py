"""What sources saw and people said of an app is forgotten once no order needs it, with a log.

The log keeps how much of which app was forgotten, and names nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from countermand.audit import actions as audit
from countermand.devices.models import Attestation, ImportRun, Observation
from countermand.domain.retention import Kind

BATCH: Final = 5_000
RUNS_ARE_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be forgotten: of this app, from before this instant, for these people.

    `people` are those of the countries that the period is for; `is_rest` turns it around.
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
    ids: Collection[int] = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    rows.model._default_manager.filter(pk__in=ids).delete()  # noqa: SLF001
    audit.record(
        f"{due.kind}.forgotten",
        actor_id=None,
        facts={
            "app": due.app_id,
            "rows": len(ids),
            "kept_days": due.kept_days,
            "countries": list(due.countries),
        },
        now=now,
    )
    return len(ids)


@transaction.atomic
def forget_runs(now: datetime) -> int:
    """Forget runs of single events that nothing known rests on any more, 5,000 at most.

    A source that posts by itself makes one for each post; they hold numbers, which are in the log.
    Runs of whole lists stay, and what of them is held.
    """
    parts = ImportRun.objects.filter(complete=False, started_at__lt=now - RUNS_ARE_KEPT)
    parts = parts.exclude(state="held", report__is_whole=True)
    rests = Observation.objects.filter(run=OuterRef("pk"))
    ids = list(parts.exclude(Exists(rests)).order_by("pk").values_list("pk", flat=True)[:BATCH])
    ImportRun.objects.filter(pk__in=ids).delete()
    return len(ids)


def _findings(due: Due) -> QuerySet[Any]:
    meant = Q(device__person_id__in=due.people)
    if due.is_rest:
        meant = Q(device__person_id__isnull=True) | ~meant
    rows = Observation.objects.filter(app_id=due.app_id, collected_at__lte=due.before)
    return rows.filter(meant)


def _answers(due: Due) -> QuerySet[Any]:
    meant = Q(person_id__in=due.people)
    rows = Attestation.objects.filter(app_id=due.app_id, said_at__lte=due.before)
    return rows.filter(~meant if due.is_rest else meant)
