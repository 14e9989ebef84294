"""A mail that waits goes to nobody who has left, and to no address that is not its person's now.

It was written down days ahead, for its wave or for the morning, and a mail is frozen at birth: so
it is given up unsent. A notice is written anew to the present address. Whoever has left and comes
back is told then, as whoever joins late is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from countermand.domain.address import folded_name
from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument
from countermand.notices import actions as notices
from countermand.notices import waiting
from countermand.notices.waiting import Waiting
from countermand.orders import cell_sql, renewing, rule_log, telling
from countermand.orders.models import Order, ToldDevice
from countermand.orders.planning import PlanContext
from countermand.people import queries as people

_KINDS: Final = (NoticeKind.NOTICE, NoticeKind.REMINDER, NoticeKind.LOCK, NoticeKind.RESTORED)
_ASTRAY: Final = f"""
    SELECT mail.id, mail.person_id, mail.step, mail.due_at, mail.kind, mail.address, person.address,
           coalesce(person.left_on <= %(today)s, false)
    FROM ({waiting.WAITING}) AS mail
    JOIN ({cell_sql.EVERYBODY}) AS person ON person.person_id = mail.person_id
    WHERE person.left_on <= %(today)s OR person.address <> mail.address
    ORDER BY mail.id
"""  # noqa: S608  (constants of ours)


@dataclass(frozen=True, slots=True)
class _Astray:
    """A mail that waits, and would go where it should not."""

    mail: Waiting
    kind: NoticeKind
    address: str
    has_left: bool


def give_up_what_goes_astray(
    order: Order, document: OrderDocument, *, context: PlanContext, now: datetime
) -> int:
    """Give up what waits for people who have left or moved; returns how many mails."""
    found = list(_astray(order, now))
    gone = [each for each in found if each.has_left]
    moved = [each for each in found if not each.has_left]
    _let_go(order, gone, now=now)
    renewing.write_anew(
        order,
        document,
        [each.mail for each in moved if each.kind is NoticeKind.NOTICE],
        context=context,
        now=now,
    )
    notices.give_up(_at_the_address_of_another(moved))
    return len(found)


def _astray(order: Order, now: datetime) -> Iterator[_Astray]:
    given: dict[str, Any] = waiting.parameters(order.number, *_KINDS)
    with connection.cursor() as cursor:
        cursor.execute(_ASTRAY, {**given, "today": now.date()})
        rows = cursor.fetchall()
    for pk, person_id, step, due_at, kind, address, present, has_left in rows:
        # A mail may bear another spelling of a domain: that is no other address.
        if has_left or folded_name(address) != folded_name(present):
            mail = Waiting(pk, person_id, step, due_at)
            yield _Astray(mail, NoticeKind(kind), address, has_left=has_left)


def _let_go(order: Order, gone: Iterable[_Astray], *, now: datetime) -> None:
    """Let nothing more leave to people who are no longer here, nor stand of an unsent notice."""
    for some in telling.sliced(list(gone)):
        given_up = set(notices.give_up([each.mail.notice_id for each in some]))
        unsent = [
            each.mail
            for each in some
            if each.kind is NoticeKind.NOTICE and each.mail.notice_id in given_up
        ]
        steps = {(mail.person_id, mail.step) for mail in unsent}
        named = ToldDevice.objects.filter(order=order, person_id__in={who for who, _ in steps})
        never = [each.pk for each in named if (each.person_id, each.step) in steps]
        ToldDevice.objects.filter(pk__in=never).delete()
        rule_log.people_left(order.number, {mail.person_id for mail in unsent}, now=now)


def _at_the_address_of_another(moved: Iterable[_Astray]) -> list[int]:
    """Return what follows a notice and would reach somebody else: the old address is theirs."""
    others = [each for each in moved if each.kind is not NoticeKind.NOTICE]
    owners = people.owners_of({folded_name(each.address) for each in others})
    return [each.mail.notice_id for each in others if folded_name(each.address) in owners]
