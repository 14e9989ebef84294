"""Names of doors that were taken away are kept no longer than gates need them.

What was taken away stays as a mark with login and device, so that a gate learns of it. Once every
gate has read past it, or it is a week old, it is deleted; a gate that was away for longer finds
that its tally differs and reads everything anew.

Sessions that were ended behind a door that is open again, and decisions to let somebody through
whose time is over, are kept for 30 days more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from countermand.audit import actions as audit
from countermand.enforcement import queries
from countermand.enforcement.models import FeedMark, GateReading, Override, SessionEnding
from countermand.row_batches import delete_some

LONGEST: Final = timedelta(days=7)
PAST_IS_KEPT: Final = timedelta(days=30)
BATCH: Final = 5_000
_MARK_EVERY: Final = timedelta(hours=1)
_MARKS_AT_ONCE: Final = 10_000
_PURGE: Final = """
    DELETE FROM enforcement_doorentry WHERE id IN (
        SELECT id FROM enforcement_doorentry WHERE deleted AND version <= %s
        ORDER BY version LIMIT %s
    )
"""


def purge(gates: Collection[str], *, now: datetime) -> int:
    """Delete at most 10,000 marks that no gate waits for; returns how many.

    `gates` are the control addresses of all gates that there are.
    """
    _mark(now)
    limit = max(_read_by_all(gates), _older_than(now - LONGEST))
    if limit <= 0:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_PURGE, [limit, _MARKS_AT_ONCE])
        return int(cursor.rowcount)


@transaction.atomic
def forget_past(now: datetime) -> int:
    """Forget what is over at doors for 30 days; returns how many rows, 5,000 at most of a kind.

    Nobody looks at a line whose door was found open again, nor at an override whose time is over.
    """
    before = now - PAST_IS_KEPT
    forgotten = delete_some(SessionEnding.objects.filter(opened_at__lte=before), BATCH)
    forgotten += delete_some(Override.objects.filter(until__lte=before), BATCH)
    if forgotten:
        facts = {"rows": forgotten, "kept_days": PAST_IS_KEPT.days}
        audit.record("doors.forgotten", actor_id=None, facts=facts, now=now)
    return forgotten


def _read_by_all(gates: Collection[str]) -> int:
    """Return the version that every gate has wholly read; 0 while one of them was never heard."""
    rows = GateReading.objects.filter(gate__in=gates).values_list("feed_version", flat=True)
    versions = list(rows)
    if not gates or len(versions) < len(set(gates)):
        return 0
    return min(versions) - 1  # of its newest version a gate may have read a part


def _older_than(at: datetime) -> int:
    marks = FeedMark.objects.filter(at__lte=at).order_by("-version")
    return marks.values_list("version", flat=True).first() or 0


def _mark(now: datetime) -> None:
    newest = FeedMark.objects.order_by("-version").first()
    version = queries.feed_version()
    if version == 0 or (newest is not None and now - newest.at < _MARK_EVERY):
        return
    FeedMark.objects.get_or_create(version=version, defaults={"at": now})
    # Of those that are old enough, the newest says all.
    oldest = _older_than(now - LONGEST)
    FeedMark.objects.filter(version__lt=oldest).delete()
