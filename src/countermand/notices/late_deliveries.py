"""Notices that reached a mailbox after their correction did: a relay elsewhere kept them (F27).

Such a person read the correction first and the notice last, so the correction is owed once more:
once for each mail that came late, however often that is heard, and to nobody whose last word is
the correction already. Whoever turns out to have got an order after its end was told to all others
is told then. When a mail arrived is what a report or a log says; a check code says it
only where nothing better does, since an old mail can be checked as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import Exists, Max, OuterRef, Q

from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.notices.models import Notice, NoticeEvidence
from countermand.notices.queries import ACCEPTED, ReachedAddress, reached

# What is heard gets its number before it is committed: looked at again for a while.
_OVERLAP: Final = 1_000
_IN_HAND: Final = [
    state.value
    for state in (
        NoticeState.PENDING,
        NoticeState.CLAIMED,
        NoticeState.PERMITTED,
        NoticeState.MAYBE,
    )
]
_ARRIVED: Final = """
    SELECT max(heard.at) FROM notices_noticeevidence AS heard
    WHERE heard.notice_id = {mail}.id AND (heard.kind = 'dsn_delivered'
        OR heard.kind = 'check_code' AND NOT EXISTS (
            SELECT FROM notices_noticeevidence AS better
            WHERE better.notice_id = {mail}.id AND better.kind = 'dsn_delivered'))
"""
# A correction has arrived at the latest when it was checked, whatever else is known.
_LATE: Final = f"""
    WITH heard_of AS (
        SELECT DISTINCT mail.id FROM notices_noticeevidence AS heard
        JOIN notices_notice AS mail ON mail.id = heard.notice_id
        WHERE heard.id > %(after)s AND mail.order_number = %(order)s
          AND mail.kind <> %(correction)s AND mail.exposure > 0
          AND heard.kind IN ('dsn_delivered', 'check_code')
    ), late AS (
        SELECT mail.*, ({_ARRIVED.format(mail="mail")}) AS arrived_at,
               (SELECT count(*) FROM notices_notice AS before
                WHERE before.order_number = mail.order_number AND before.kind <> %(correction)s
                  AND before.person_id = mail.person_id AND before.id <= mail.id) AS place
        FROM notices_notice AS mail WHERE mail.id IN (SELECT id FROM heard_of)
    )
    SELECT late.person_id, late.address, late.language, late.message_id, late.place
    FROM late JOIN LATERAL (
        SELECT max(greatest(said.accepted_at, (
                   SELECT max(heard.at) FROM notices_noticeevidence AS heard
                   WHERE heard.notice_id = said.id
                     AND heard.kind IN ('dsn_delivered', 'check_code'))))
                   FILTER (WHERE said.state = ANY(%(accepted)s)) AS at,
               bool_or(said.state = ANY(%(in_hand)s)) AS is_coming,
               bool_or(said.step = late.place) AS is_said
        FROM notices_notice AS said
        WHERE said.order_number = late.order_number AND said.kind = %(correction)s
          AND said.person_id = late.person_id
    ) AS word ON true
    WHERE late.arrived_at > word.at AND NOT word.is_coming AND NOT word.is_said
    ORDER BY late.person_id, late.id
"""  # noqa: S608  (constants of ours)


@dataclass(frozen=True, slots=True)
class LateDelivery:
    """A mail that came after its correction; `place` counts the person's mails, from 1."""

    person_id: int
    address: str
    language: str
    message_id: str
    place: int


def heard_so_far() -> int:
    """Return a number that grows with everything that is heard."""
    return int(NoticeEvidence.objects.aggregate(last=Max("pk"))["last"] or 0)


def is_heard_of(order_number: str, *, after: int) -> bool:
    """Tell whether anything may have been heard of a mail of this order since `after`."""
    heard = NoticeEvidence.objects.filter(pk__gt=after - _OVERLAP)
    return heard.filter(notice__order_number=order_number).exists()


def late(order_number: str, *, after: int) -> list[LateDelivery]:
    """Return the mails of an order that came last, out of what was heard since `after`."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LATE,
            {
                "order": order_number,
                "after": after - _OVERLAP,
                "correction": NoticeKind.CORRECTION.value,
                "accepted": list(ACCEPTED),
                "in_hand": _IN_HAND,
            },
        )
        return [LateDelivery(*row) for row in cursor.fetchall()]


def not_told_of_end(
    order_number: str, *conditions: Q, nor_reached_by: Sequence[str] = (), after: int | None
) -> list[ReachedAddress]:
    """Return the addresses at which an order was accepted and that got no word of its end.

    Whoever got a notice of an order in `nor_reached_by` is left out, and whoever does not
    meet `conditions`. With `after`, out of what was heard since, as in `late`; without it, out of
    all mails.
    """
    reached_since = Notice.objects.filter(
        order_number__in=nor_reached_by,
        person_id=OuterRef("person_id"),
        kind=NoticeKind.NOTICE.value,
        exposure=Exposure.CERTAIN,  # whoever only may have got it may be told of no end by it
    )
    conditions = (*conditions, ~Q(Exists(reached_since))) if nor_reached_by else conditions
    told = Notice.objects.filter(
        order_number=OuterRef("order_number"),
        person_id=OuterRef("person_id"),
        address=OuterRef("address"),
        kind=NoticeKind.CLOSING.value,
    )
    if after is None:
        return reached(order_number, ~Q(Exists(told)), *conditions)
    heard = NoticeEvidence.objects.filter(notice_id=OuterRef("pk"), pk__gt=after - _OVERLAP)
    return reached(order_number, ~Q(Exists(told)), Q(Exists(heard)), *conditions)
