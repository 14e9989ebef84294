"""When orders are over for good, what they left of people is forgotten after a while.

The time begins 30 days after an order was closed or corrected: until then late evidence may still
have to correct somebody. How long it is, an organisation chooses within the bounds of each kind and
of each country. What concerns an app is kept as long as any order that names it needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db.models import QuerySet
from django.db.models.functions import Greatest

from countermand.devices import forgetting
from countermand.devices.forgetting import Due
from countermand.domain.phases import Phase
from countermand.domain.retention import BEGINS_AFTER, Kind, Period, Retention
from countermand.enforcement import purging as doors
from countermand.notices import hearing, purging
from countermand.orders import forgetting as left_here
from countermand.orders.models import NamedApp, Order
from countermand.people import queries as people

EVERY: Final = timedelta(hours=1)
_BATCHES_A_SWEEP: Final = 4
_OVER: Final = (Phase.CORRECTED, Phase.CLOSED, Phase.WITHDRAWN, Phase.ABANDONED)


def hourly(keep: Retention) -> Callable[[datetime], int]:
    """Return what forgets whatever is due, at most once an hour; it returns how many rows."""
    last: list[datetime] = []

    def forget(now: datetime) -> int:
        if last and timedelta() <= now - last[0] < EVERY:
            return 0
        last[:] = [now]
        runs = _in_batches(partial(forgetting.forget_runs, now), forgetting.BATCH)
        forgotten = forget_mails(keep, now=now) + forget_findings(keep, now=now)
        forgotten += forget_gone_devices(keep, now=now) + forget_rest(keep, now=now)
        forgotten += _in_batches(partial(doors.forget_past, now), doors.BATCH)
        return runs + forgotten + hearing.forget_lost_lines(now)

    return forget


def forget_mails(keep: Retention, *, now: datetime) -> int:
    """Forget mails of orders whose time is over, some in each sweep; returns how many."""
    forgotten = 0
    named = keep.named_countries(Kind.MAILS)
    for period in keep.periods(Kind.MAILS):
        meant = people.ids_in(period.countries or named)
        for number in _over_since(now - period.span):
            if not purging.has_mails(number):
                continue
            forget = partial(
                purging.forget,
                number,
                kept_days=period.days,
                people=meant,
                countries=period.countries,
                now=now,
            )
            forgotten += _in_batches(forget, purging.BATCH)
    return forgotten


def forget_rest(keep: Retention, *, now: datetime) -> int:
    """Forget what else orders left of people, as long after their end as mails; returns how many.

    Of an order that told nobody, too: whoever reported a mail in its name is kept no longer.
    """
    forgotten = _in_batches(partial(left_here.forget_strangers, now=now), left_here.BATCH)
    periods = keep.periods(Kind.MAILS)
    named = keep.named_countries(Kind.MAILS)
    for period in periods:
        meant = people.ids_in(period.countries or named)
        for number in _over_since(now - period.span):
            due = left_here.Due(number, period.days, meant, period.countries)
            for forget in (left_here.forget_checks, left_here.forget_told_devices):
                forgotten += _in_batches(partial(forget, due, now=now), left_here.BATCH)
    for number in _over_since(now - min(period.span for period in periods)):
        forget_copies = partial(left_here.forget_copies, number, now=now)
        forgotten += _in_batches(forget_copies, left_here.BATCH)
    return forgotten


def _over_since(before: datetime) -> QuerySet[Order, str]:
    """Return the numbers of the orders whose last end of any kind was by then."""
    ends = Order.objects.filter(phase__in=_OVER).annotate(
        over_at=Greatest("ended_at", "corrected_at", "created_at")
    )
    return ends.filter(over_at__lte=before).order_by("number").values_list("number", flat=True)


def forget_findings(keep: Retention, *, now: datetime) -> int:
    """Forget what was seen and said of apps that no order needs any more; returns how many rows."""
    forgotten = 0
    for app in sorted(forgetting.apps()):
        ended_at = _needed_until(app, now)
        for due in _due(app, ended_at, keep, now=now) if ended_at is not None else ():
            forget = partial(forgetting.forget, due, now=now)
            forgotten += _in_batches(forget, forgetting.BATCH)
    return forgotten


def forget_gone_devices(keep: Retention, *, now: datetime) -> int:
    """Forget whose devices were that are gone as long as findings are kept; returns how many."""
    named = keep.named_countries(Kind.FINDINGS)
    return sum(
        _in_batches(
            partial(
                forgetting.forget_gone,
                _of(Kind.FINDINGS, "", period, named, now - period.span),
                now=now,
            ),
            forgetting.BATCH,
        )
        for period in keep.periods(Kind.FINDINGS)
    )


def _needed_until(app: str, now: datetime) -> datetime | None:
    """Return when the last order about an app was over; None while one of them is not.

    Of an app that no order names, everything was over when it was learned.
    """
    naming = Order.objects.filter(pk__in=NamedApp.objects.filter(app_id=app).values("order_id"))
    if naming.exclude(phase__in=_OVER).exists():
        return None
    ends = [
        max(at for at in times if at is not None)
        for times in naming.values_list("ended_at", "corrected_at", "created_at")
    ]
    return max(ends, default=datetime.min.replace(tzinfo=now.tzinfo))


def _due(app: str, ended_at: datetime, keep: Retention, *, now: datetime) -> Iterator[Due]:
    for kind in (Kind.FINDINGS, Kind.ANSWERS):
        named = keep.named_countries(kind)
        for period in keep.periods(kind):
            before = now - period.span
            if ended_at <= before:
                yield _of(kind, app, period, named, before)


def _of(kind: Kind, app: str, period: Period, named: tuple[str, ...], before: datetime) -> Due:
    return Due(
        kind=kind,
        app_id=app,
        before=before,
        kept_days=period.days,
        people=people.ids_in(period.countries or named),
        countries=period.countries,
    )


def _in_batches(forget: Callable[[], int], batch: int) -> int:
    forgotten = 0
    for _ in range(_BATCHES_A_SWEEP):
        some = forget()
        forgotten += some
        if some < batch:
            break
    return forgotten


__all__ = [
    "BEGINS_AFTER",
    "EVERY",
    "forget_findings",
    "forget_gone_devices",
    "forget_mails",
    "forget_rest",
    "hourly",
]
