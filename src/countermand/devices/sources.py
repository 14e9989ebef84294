"""Sources that are asked by themselves: what is known of each, and what must outlive a crash.

No secret is in these tables; an option says where a secret stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from countermand.audit import actions as audit
from countermand.devices import turnover
from countermand.devices.models import ExportJob, ImportRun, Question, SeenEvent, Source
from countermand.domain.errors import CountermandError, gettext_noop

LONGEST_PAUSE: Final = timedelta(hours=6)
LEAST_PAUSE: Final = timedelta(minutes=10)  # between two runs of one source, unless told
JOBS_LIVE: Final = timedelta(hours=5)  # a finished report can be fetched for six
EVENTS_ARE_KEPT: Final = timedelta(days=3)  # longer than any event may be old


@dataclass(eq=False)
class SourceNotKnown(CountermandError):
    """There is no source of this name."""

    name: str

    code: ClassVar[str] = "source.not_known"
    sentence: ClassVar[str] = gettext_noop("There is no source named {name}.")
    remedy: ClassVar[str] = gettext_noop("“countermand sources status” lists them all.")


@dataclass(eq=False)
class SourceNameTaken(CountermandError):
    """There is such a source already."""

    name: str

    code: ClassVar[str] = "source.name_taken"
    sentence: ClassVar[str] = gettext_noop("There is a source named {name} already.")
    remedy: ClassVar[str] = gettext_noop("Remove it first, or add a label such as {name}:two.")


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source and how it is doing; `options` hold no secret."""

    name: str
    options: Mapping[str, Any]
    every: timedelta | None
    due_at: datetime | None
    tried_at: datetime | None
    succeeded_at: datetime | None
    failed_in_a_row: int
    last_error: str
    progress: int
    held: int = 0  # devices about which a person has to decide

    @property
    def kind(self) -> str:
        """What the name has before the colon."""
        return self.name.partition(":")[0]


@transaction.atomic
def add(
    name: str,
    *,
    options: Mapping[str, Any],
    every: timedelta | None,
    actor_id: int | None,
    now: datetime,
) -> None:
    """Keep a source; the first run is due at once. Raises SourceNameTaken."""
    if Source.objects.filter(name=name).exists():
        raise SourceNameTaken(name=name)
    every_s = int(every.total_seconds()) if every else 0
    Source.objects.create(
        name=name,
        options=dict(options),
        every_s=every_s,
        added_at=now,
        due_at=now if every else None,
    )
    audit.record("source.added", actor_id=actor_id, facts={"source": name}, now=now)


@transaction.atomic
def remove(name: str, *, actor_id: int | None, now: datetime) -> None:
    """Forget a source, and what of it waits for a decision; what it said about devices stays.

    Raises SourceNotKnown.
    """
    _row(name).delete()
    turnover.release(name, None)
    ImportRun.objects.filter(source=name, state="held").delete()
    audit.record("source.removed", actor_id=actor_id, facts={"source": name}, now=now)


def view(name: str) -> SourceView:
    """Return one source. Raises SourceNotKnown."""
    return _view(_row(name))


def every_source() -> tuple[SourceView, ...]:
    """Return all sources by name."""
    return tuple(_view(row) for row in Source.objects.order_by("name"))


def due(now: datetime, *, about: str | None = None) -> tuple[SourceView, ...]:
    """Return the sources whose next run is due, the longest due first.

    `about` stands for the apps that orders name now: whoever was asked about others last is due as
    well, unless it fails, or was asked a few minutes ago.
    """
    is_due = Q(due_at__lte=now)
    if about is not None:
        rested = Q(tried_at__isnull=True) | Q(tried_at__lte=now - LEAST_PAUSE)
        is_due |= Q(every_s__gt=0, failed_in_a_row=0) & ~Q(asked_about=about) & rested
    rows = Source.objects.filter(is_due).order_by("due_at", "name")
    return tuple(_view(row) for row in rows)


def began(name: str, *, now: datetime) -> None:
    """Keep that a run begins."""
    Source.objects.filter(name=name).update(tried_at=now, progress=0)


def came_so_far(name: str, devices: int) -> None:
    """Keep how many devices the run under way has read.

    Outside the transaction of the run it shows nothing until the run ends.
    """
    Source.objects.filter(name=name).update(progress=devices)


def succeeded(
    name: str, *, now: datetime, about: str = "", earlier: datetime | None = None
) -> None:
    """Keep that a run ended well, and when the next is due.

    `about` stands for the apps that were asked about; `earlier` is when something is to be asked
    before the next regular run.
    """
    row = _row(name)
    row.succeeded_at, row.failed_in_a_row, row.last_error = now, 0, ""
    row.asked_about = about
    row.due_at = now + timedelta(seconds=row.every_s) if row.every_s else None
    if row.due_at is not None and earlier is not None:
        row.due_at = min(row.due_at, max(earlier, now + LEAST_PAUSE))
    kept = ["succeeded_at", "failed_in_a_row", "last_error", "asked_about", "due_at"]
    row.save(update_fields=kept)


def failed(name: str, code: str, *, now: datetime) -> None:
    """Keep that a run failed; it is tried again after ever longer pauses."""
    row = _row(name)
    row.failed_in_a_row += 1
    row.last_error = code[:100]
    pause = min(timedelta(minutes=5) * 2 ** min(row.failed_in_a_row - 1, 10), LONGEST_PAUSE)
    row.due_at = now + pause if row.every_s else None
    row.save(update_fields=["failed_in_a_row", "last_error", "due_at"])


def _row(name: str) -> Source:
    try:
        return Source.objects.get(name=name)
    except Source.DoesNotExist:
        raise SourceNotKnown(name=name) from None


def _view(row: Source) -> SourceView:
    return SourceView(
        name=row.name,
        options=row.options,
        every=timedelta(seconds=row.every_s) if row.every_s else None,
        due_at=row.due_at,
        tried_at=row.tried_at,
        succeeded_at=row.succeeded_at,
        failed_in_a_row=row.failed_in_a_row,
        last_error=row.last_error,
        progress=row.progress,
        held=turnover.waiting(row.name),
    )


class DurableJobs:
    """Export jobs of one source, kept in the database as soon as they are known."""

    def __init__(self, name: str, *, now: datetime) -> None:
        self._source = _row(name)
        self._now = now
        self._taken_up: list[datetime] = []

    def running(self, report: str, condition: str) -> str | None:
        """Return a job of an earlier run that is not ended and young enough to be fetched."""
        rows = ExportJob.objects.filter(
            source=self._source,
            report=report,
            filter=condition[:500],
            ended_at__isnull=True,
            asked_at__gt=self._now - JOBS_LIVE,
        )
        job = rows.order_by("-pk").first()
        if job is None:
            return None
        self._taken_up.append(job.asked_at)
        return job.job_id

    def taken_up_from(self) -> datetime | None:
        """Return when the oldest of those that were taken up was asked for; None without any."""
        return min(self._taken_up, default=None)

    def asked(self, report: str, condition: str, job_id: str) -> None:
        """Keep a new job."""
        ExportJob.objects.create(
            source=self._source,
            report=report,
            filter=condition[:500],
            job_id=job_id,
            asked_at=self._now,
            state="notStarted",
        )

    def ended(self, job_id: str, state: str) -> None:
        """Keep how a job ended."""
        ExportJob.objects.filter(source=self._source, job_id=job_id).update(
            ended_at=self._now, state=state[:20]
        )


def is_new_event(source: str, event_id: str, *, now: datetime) -> bool:
    """Keep an event's number inside the caller's transaction; False when it came before."""
    try:
        with transaction.atomic():
            SeenEvent.objects.create(source=source, event_id=event_id, seen_at=now)
    except IntegrityError:
        return False
    return True


def forget(now: datetime) -> None:
    """Drop numbers of events too old to be accepted again, and old questions and jobs."""
    SeenEvent.objects.filter(seen_at__lt=now - EVENTS_ARE_KEPT).delete()
    Question.objects.filter(asked_at__lt=now - timedelta(days=90)).delete()
    ExportJob.objects.filter(asked_at__lt=now - timedelta(days=90)).delete()
