"""Names and addresses in mails are kept for a while, and then forgotten, by batches, with a log.

What stays is in the log: how many mails were forgotten, and the unguessable Message-IDs of all
that was let out, which name nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from countermand.audit import actions as audit
from countermand.notices.models import Notice, NoticeEvidence

BATCH: Final = 5000


def has_mails(order_number: str) -> bool:
    """Tell whether mails of an order are still kept."""
    return Notice.objects.filter(order_number=order_number).exists()


def is_forgotten(notice_id: str) -> Q:
    """Return the condition, for rooms above, that the mail which this field names is forgotten."""
    return ~Q(Exists(Notice.objects.filter(pk=OuterRef(notice_id))))


@transaction.atomic
def forget(
    order_number: str,
    *,
    kept_days: int,
    people: QuerySet[Any],
    countries: tuple[str, ...] = (),
    now: datetime,
) -> int:
    """Forget some mails of an order; returns how many. Call it again until it returns 0.

    `people` are those of the `countries` whose period this is; of none: all but these people.
    """
    rows = Notice.objects.select_for_update(skip_locked=True).filter(order_number=order_number)
    meant = Q(person_id__in=people)
    rows = rows.filter(meant if countries else ~meant)
    some = list(rows.order_by("pk").values_list("pk", "person_id")[:BATCH])
    if not some:
        return 0
    ids = [pk for pk, _ in some]
    NoticeEvidence.objects.filter(notice_id__in=ids).delete()
    Notice.objects.filter(pk__in=ids).delete()
    audit.record(
        "mails.forgotten",
        order_number=order_number,
        actor_id=None,
        facts={
            "mails": len(some),
            "people": len({person for _, person in some}),
            "kept_days": kept_days,
            "countries": list(countries),
        },
        now=now,
    )
    return len(some)
