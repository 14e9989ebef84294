"""Whoever could not read mail on a device is told when they can again, and why."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from countermand.domain.delivery import NoticeKind
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.notices import wording
from countermand.notices.wording import Because
from countermand.orders import stepping, telling
from countermand.orders.cells import cells_of
from countermand.orders.documents import document_of
from countermand.orders.models import Order, ToldDevice
from countermand.orders.planning import PlanContext


@transaction.atomic(durable=True)
def tell_opened(
    number: str, device_ids: frozenset[int], *, context: PlanContext, now: datetime
) -> int:
    """Tell the owners of devices whose door opened because a list showed that the app is gone."""
    if not device_ids:
        return 0
    order = stepping.locked(number)
    return tell_restored(order, device_ids, Because.SEEN_GONE, context=context, now=now)


def tell_restored(
    order: Order,
    device_ids: frozenset[int],
    because: Because,
    *,
    context: PlanContext,
    now: datetime,
) -> int:
    """Tell the owners of devices whose mail was paused that it is not any more."""
    if order.phase not in TOLD_BEYOND_FIRST_GROUP or not device_ids:
        return 0
    document = document_of(stepping.current(order))
    voice = telling.voice_of(order, document)
    told = list(ToldDevice.objects.filter(order=order, device_id__in=device_ids))
    answered = ledger.first_message_ids(order.number)
    written = ledger.steps_done(order.number, [NoticeKind.RESTORED])
    fresh = []
    for whole in cells_of(document, {row.person_id for row in told}):
        cells = [cell for cell in whole.cells if cell.device.id in device_ids]
        if not cells:  # theirs was handed on
            continue
        language = voice.language(whole.person)
        fresh.append(
            telling.new_notice(
                voice,
                whole.person,
                NoticeKind.RESTORED,
                values=wording.restored_values(
                    telling.addressee(whole.person),
                    telling.known_devices(cells, document),
                    because=because,
                    at=now,
                    issued_by=voice.issued_by,
                    language=language,
                ),
                step=sum(person == whole.person.id for _, _, person in written),
                due=now,
                now=now,
                in_reply_to=answered.get(whole.person.id, ""),
            )
        )
    return notices.add_notices(fresh, ids=context.ids)
