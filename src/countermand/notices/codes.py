"""The check codes of mails: which a person was sent, and that one of them was read.

Whoever types a code has read the mail that carries it: the best evidence there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from countermand.domain.delivery import EvidenceKind
from countermand.notices.models import Notice


@dataclass(frozen=True, slots=True)
class CodedMail:
    """A mail, whom it was sent to, and the check code that it carries; "" if it carries none."""

    notice_id: int
    person_id: int
    code: str


def sent_to(order_number: str, person_id: int) -> list[CodedMail]:
    """Return every mail of an order to one person, wherever it went."""
    return _coded(Notice.objects.filter(order_number=order_number, person_id=person_id))


def sent_to_address(order_number: str, address: str) -> list[CodedMail]:
    """Return every mail of an order that went to one address, folded, newest first.

    Goes through an index of all mails of the order, so it is asked last.
    """
    rows = Notice.objects.filter(order_number=order_number, address=address)
    return _coded(rows.order_by("-pk"))


def _coded(rows: QuerySet[Notice]) -> list[CodedMail]:
    found = rows.values_list("pk", "person_id", "values__check_code")
    return [CodedMail(pk, person_id, str(code or "")) for pk, person_id, code in found]


def record_seen(notice_ids: list[int], *, now: datetime) -> None:
    """Enter in the record that these mails were read; once each, however often they are checked."""
    fresh = Notice.objects.filter(pk__in=notice_ids, proven_at__isnull=True)
    with connection.cursor() as cursor:
        for pk in fresh.values_list("pk", flat=True):
            cursor.execute(
                "SELECT ledger_evidence(%s, %s, %s, %s)",
                [pk, EvidenceKind.CHECK_CODE.value, now, "seen"],
            )
