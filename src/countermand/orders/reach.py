"""Whom an order reached, and whom it did not: those, too, for whom no mail was written yet.

A wave's mails are written down as it begins, so the ledger alone knows nobody of later waves.
"""

from __future__ import annotations

from dataclasses import replace

from django.db.models import F, OuterRef

from countermand.notices import queries as ledger
from countermand.notices.queries import Reach
from countermand.orders.models import Affected


def of(number: str, written: Reach) -> Reach:
    """Return how many people got an order, may have got it, or did not get it.

    `written` is what the ledger says of those whose mails are written down.
    """
    waiting = Affected.objects.filter(
        ~ledger.has_mail(number, OuterRef("person_id")),
        order_id=number,
        revision_number=F("order__revision_number"),
    )
    return replace(written, not_sent=written.not_sent + waiting.count())
