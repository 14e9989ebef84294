"""When people were provably told, as statements for rooms above to join with.

Delivered, or the check code was entered, or accepted and not bounced for a while in which somebody
would have heard of it, with no line about it lost. A million people are never read into this
process. All take the order as `%(order)s`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from countermand.domain.delivery import NoticeKind
from countermand.notices import hearing
from countermand.notices.queries import ACCEPTED

# person_id, step, at
PROOFS: Final = """
    SELECT person_id, step, min(coalesce(accepted_at, proven_at)) AS at FROM notices_notice
    WHERE order_number = %(order)s AND kind = %(notice)s AND state = ANY(%(accepted)s)
      AND (proven_at IS NOT NULL OR accepted_at <= %(proven_before)s AND NOT EXISTS (
          SELECT FROM notices_lostlines AS lost
          WHERE accepted_at > lost.accepted_after AND accepted_at <= lost.accepted_until))
    GROUP BY person_id, step
"""
# person_id, step (of the notice that named the devices), at
ACCEPTED_LOCKS: Final = """
    SELECT person_id, step / %(steps_a_notice)s AS step, max(accepted_at) AS at FROM notices_notice
    WHERE order_number = %(order)s AND kind = %(lock)s AND state = ANY(%(accepted)s)
      AND accepted_at IS NOT NULL
    GROUP BY 1, 2
"""
# person_id, step, at
TOLD_AT: Final = """
    SELECT person_id, step, min(accepted_at) AS at FROM notices_notice
    WHERE order_number = %(order)s AND kind = %(notice)s AND accepted_at IS NOT NULL
    GROUP BY person_id, step
"""
# person_id, step: of all that follows a notice
FOLLOW_UPS: Final = """
    SELECT person_id, step FROM notices_notice
    WHERE order_number = %(order)s AND kind IN (%(reminder)s, %(lock)s)
"""


def parameters(order_number: str, *, steps_a_notice: int, now: datetime) -> dict[str, Any]:
    """Return what these statements are asked with."""
    return {
        "order": order_number,
        "notice": NoticeKind.NOTICE.value,
        "lock": NoticeKind.LOCK.value,
        "reminder": NoticeKind.REMINDER.value,
        "accepted": list(ACCEPTED),
        "proven_before": hearing.silence_counts_since(now),
        "steps_a_notice": steps_a_notice,
    }
