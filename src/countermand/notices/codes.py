"""The check codes of mails: which a person was sent, and that one of them was read.

Whoever types a code has read the mail that carries it: the best evidence there is.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from countermand.domain.delivery import EvidenceKind
from countermand.notices.models import Notice


def sent_to(order_number: str, person_id: int) -> list[tuple[int, str]]:
    """Return id and check code of every mail of an order to one person."""
    rows = Notice.objects.filter(order_number=order_number, person_id=person_id)
    return [(pk, str(code or "")) for pk, code in rows.values_list("pk", "values__check_code")]


def record_seen(notice_ids: list[int], *, now: datetime) -> None:
    """Enter in the record that these mails were read; once each, however often they are checked."""
    fresh = Notice.objects.filter(pk__in=notice_ids, proven_at__isnull=True)
    with connection.cursor() as cursor:
        for pk in fresh.values_list("pk", flat=True):
            cursor.execute(
                "SELECT ledger_evidence(%s, %s, %s, %s)",
                [pk, EvidenceKind.CHECK_CODE.value, now, "seen"],
            )
