"""Sources that are asked by themselves: what is known of each, and what must outlive a crash.

No secret is in these tables; an option says where a secret stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.db import IntegrityError, transaction

from countermand.audit import actions as audit
from countermand.devices.models import Device, ExportJob, Question, SeenEvent, Source
from countermand.domain.errors import CountermandError, gettext_noop

LONGEST_PAUSE: Final = timedelta(hours=6)
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
    """Forget a source; what it said about devices stays. Raises SourceNotKnown."""
    _row(name).delete()
    audit.record("source.removed", actor_id=actor_id, facts={"source": name}, now=now)


def view(name: str) -> SourceView:
    """Return one source. Raises SourceNotKnown."""
    return _view(_row(name))


def every_source() -> tuple[SourceView, ...]:
    """Return all sources by name."""
    return tuple(_view(row) for row in Source.objects.order_by("name"))


def due(now: datetime) -> tuple[SourceView, ...]:
    """Return the sources whose next run is due, the longest due first."""
    rows = Source.objects.filter(due_at__lte=now).order_by("due_at", "name")
    return tuple(_view(row) for row in rows)


def began(name: str, *, now: datetime) -> None:
    """Keep that a run begins."""
    Source.objects.filter(name=name).update(tried_at=now, progress=0)


def came_so_far(name: str, devices: int) -> None:
    """Keep how many devices the run under way has read.

    Outside the transaction of the run it shows nothing until the run ends.
    """
    Source.objects.filter(name=name).update(progress=devices)


def succeeded(name: str, *, now: datetime) -> None:
    """Keep that a run ended well, and when the next is due."""
    row = _row(name)
    row.succeeded_at, row.failed_in_a_row, row.last_error = now, 0, ""
    row.due_at = now + timedelta(seconds=row.every_s) if row.every_s else None
    row.save(update_fields=["succeeded_at", "failed_in_a_row", "last_error", "due_at"])


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
    )


class DurableJobs:
    """Export jobs of one source, kept in the database as soon as they are known."""

    def __init__(self, name: str, *, now: datetime) -> None:
        self._source = _row(name)
        self._now = now

    def running(self, report: str, condition: str) -> str | None:
        """Return a job of an earlier run that is not ended and young enough to be fetched."""
        rows = ExportJob.objects.filter(
            source=self._source,
            report=report,
            filter=condition[:500],
            ended_at__isnull=True,
            asked_at__gt=self._now - JOBS_LIVE,
        )
        return rows.order_by("-pk").values_list("job_id", flat=True).first()

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


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it was put; `identifiers` is None when all apps were asked for."""

    identifiers: frozenset[str] | None
    managed_only: bool


def ask(
    source: str,
    enrollment_ids: Iterable[str],
    *,
    command_uuid: str,
    identifiers: Collection[str] | None,
    now: datetime,
) -> None:
    """Keep what devices are about to be asked: durable before the question is sent."""
    Question.objects.bulk_create(
        Question(
            source=source,
            enrollment_id=each,
            command_uuid=command_uuid,
            identifiers=sorted(identifiers) if identifiers is not None else None,
            asked_at=now,
        )
        for each in enrollment_ids
    )


def asked(source: str, enrollment_id: str, command_uuid: str) -> Asked | None:
    """Return what a device was asked by a command, None when it was not us."""
    row = Question.objects.filter(
        source=source, enrollment_id=enrollment_id, command_uuid=command_uuid
    ).first()
    if row is None:
        return None
    identifiers = None if row.identifiers is None else frozenset(row.identifiers)
    return Asked(identifiers, row.managed_only)


def answered(source: str, enrollment_id: str, command_uuid: str, *, now: datetime) -> None:
    """Keep that a question has its answer."""
    Question.objects.filter(
        source=source, enrollment_id=enrollment_id, command_uuid=command_uuid
    ).update(answered_at=now)


@dataclass(frozen=True, slots=True)
class ToAsk:
    """A device that can be asked: when it last answered, and how often it was asked since."""

    enrollment_id: str
    platform: str
    ownership: str
    answered_at: datetime | None
    asked_at: datetime | None
    times: int


def to_ask(source: str) -> tuple[ToAsk, ...]:
    """Return the devices of a source with what they were asked last."""
    questions: dict[str, list[Question]] = {}
    for row in Question.objects.filter(source=source).order_by("asked_at"):
        questions.setdefault(row.enrollment_id, []).append(row)
    devices = Device.objects.filter(source=source, gone_at__isnull=True).order_by("pk")
    found = []
    for device in devices.iterator(chunk_size=2000):
        mine = questions.get(device.source_device_id, [])
        answered_at = max((q.answered_at for q in mine if q.answered_at), default=None)
        open_since = [q for q in mine if answered_at is None or q.asked_at > answered_at]
        found.append(
            ToAsk(
                device.source_device_id,
                device.platform,
                device.ownership,
                answered_at,
                mine[-1].asked_at if mine else None,
                len(open_since),
            )
        )
    return tuple(found)


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


def known_ids(source: str, ids: Sequence[str]) -> tuple[str, ...]:
    """Return which of these devices are known from a source."""
    rows = Device.objects.filter(source=source, source_device_id__in=list(ids))
    return tuple(rows.values_list("source_device_id", flat=True))
