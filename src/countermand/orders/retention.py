"""When an order is over for good, the mails that it sent to people are forgotten after a while.

The time begins 30 days after an order was closed or corrected: until then late evidence may still
have to correct somebody. How long it is, an organisation chooses between a floor and a ceiling.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from countermand.domain.lifecycle import Phase
from countermand.notices import purging
from countermand.orders.models import Order

BEGINS_AFTER: Final = timedelta(days=30)
_BATCHES_A_SWEEP: Final = 4


def forget_mails(*, kept_days: int, now: datetime) -> int:
    """Forget mails of orders whose time is over, some in each sweep; returns how many."""
    before = now - BEGINS_AFTER - timedelta(days=kept_days)
    over = Q(phase=Phase.CORRECTED.value, corrected_at__lte=before)
    over |= Q(phase=Phase.CLOSED.value, ended_at__lte=before)
    forgotten = 0
    for number in Order.objects.filter(over).order_by("number").values_list("number", flat=True):
        if not purging.has_mails(number):
            continue
        for _ in range(_BATCHES_A_SWEEP):
            some = purging.forget(number, kept_days=kept_days, now=now)
            forgotten += some
            if some < purging.BATCH:
                break
    return forgotten
