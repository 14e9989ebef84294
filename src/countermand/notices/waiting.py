"""Mails that wait: they can still be given up, and written anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.notices.models import Notice

# For rooms above, of one order: id, person_id, kind, address, step, due_at.
WAITING: Final = """
    SELECT id, person_id, kind, address, step, due_at FROM notices_notice
    WHERE order_number = %(order)s AND kind = ANY(%(kinds)s) AND is_waiting
      AND state = %(pending)s AND exposure = 0
"""
# person_id: of everybody to whom a notice has left, or is to leave.
TOLD_OR_TO_BE_TOLD: Final = """
    SELECT person_id FROM notices_notice
    WHERE order_number = %(order)s AND kind = %(notice)s AND state <> %(skipped)s
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that has not begun to leave."""

    notice_id: int
    person_id: int
    step: int
    due_at: datetime


def parameters(order_number: str, *kinds: NoticeKind) -> dict[str, Any]:
    """Return what the statements are asked with."""
    return {
        "order": order_number,
        "kinds": [kind.value for kind in kinds],
        "notice": NoticeKind.NOTICE.value,
        "pending": NoticeState.PENDING.value,
        "skipped": NoticeState.SKIPPED.value,
    }


def of_kind(
    order_number: str,
    kind: NoticeKind,
    *,
    due_by: datetime | None = None,
    dated_by: datetime | None = None,
) -> list[Waiting]:
    """Return the mails of a kind that wait and that no server has taken, whatever was tried.

    With `due_by` those that may leave until then, with `dated_by` those that bear such a date.
    """
    rows = Notice.objects.filter(
        order_number=order_number,
        kind=kind.value,
        is_waiting=True,
        state=NoticeState.PENDING.value,
        exposure=Exposure.NONE,
    )
    if due_by is not None:
        rows = rows.filter(due_at__lte=due_by)
    if dated_by is not None:
        rows = rows.filter(dated_at__lte=dated_by)
    return [Waiting(*row) for row in rows.values_list("pk", "person_id", "step", "due_at")]
