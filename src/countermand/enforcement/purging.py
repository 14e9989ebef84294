"""Names of doors that were taken away are kept no longer than gates need them.

What was taken away stays as a mark with login and device, so that a gate learns of it. Once every
gate has read past it, or it is a week old, it is deleted; a gate that was away for longer finds
that its tally differs and reads everything anew.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from countermand.enforcement import queries
from countermand.enforcement.models import FeedMark, GateReading

LONGEST: Final = timedelta(days=7)
_MARK_EVERY: Final = timedelta(hours=1)
_BATCH: Final = 10_000
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
        cursor.execute(_PURGE, [limit, _BATCH])
        return int(cursor.rowcount)


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
