"""Staff ask whether a mail is genuine: answered from the record of mails, and counted.

Whatever is wrong, known address or not, the same is asked of the database and the same compared.
Few wrong tries are heard, so that nobody finds a code by guessing; and whoever guesses slows others
down at most (`domain.check_code`). What was typed is not kept: of the address, and of the network
that asked, a keyed hash; of the code nothing.

A mail is checked at the address that its person has now, and at the one that it went to. One that
is somebody else's by now is theirs alone: whoever had it before could put the code of their own
mail into a forged one for them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet

from countermand.domain import check_code
from countermand.domain.address import folded_name
from countermand.domain.check_code import Said, Verdict
from countermand.domain.errors import CountermandError
from countermand.domain.order_number import OrderNumber
from countermand.notices import codes
from countermand.notices.codes import CodedMail
from countermand.orders.models import StaffAnswer
from countermand.people import queries as people

_LOCK_CLASS: Final = 0x434D_5341  # of this room alone
_NOBODY: Final = 0
_NO_MAIL: Final = CodedMail(_NOBODY, _NOBODY, "no code has letters")
_LONGEST_ADDRESS: Final = 320


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a try; `person_id` is whose mail it is, and only of a genuine one."""

    verdict: Verdict
    person_id: int | None = None


def check(
    number: str, address: str, code: str, *, key: bytes, now: datetime, network: str = ""
) -> Checked:
    """Say whether a mail of this number and code is of this address, and note that it was read.

    Whatever is typed gets an answer; a wrong number or code is no error. `network` is where the
    asker comes from, empty where that is not known. Without a code nothing is asked and nothing
    counted: whoever forgot to type theirs takes no mail for forged.
    """
    if not code.strip():
        return Checked(Verdict.NO_CODE)
    known, ref, asker = known_number(number), _ref(address, key), _network_ref(network, key)
    with transaction.atomic(durable=True):
        _alone(ref)
        wrong = StaffAnswer.objects.filter(kind=Said.NOT_GENUINE, at__gt=now - check_code.WITHIN)
        if _tried_too_often(wrong.filter(address_ref=ref), asker):
            return Checked(Verdict.TOO_OFTEN)
        if not _is_heard(wrong, known, asker, now):
            return Checked(Verdict.SLOWED)
        typed = check_code.typed(code)
        whose = _whose(known, address, typed)
        if not whose.seen and typed == check_code.OF_TESTS:
            return Checked(Verdict.TEST_MAIL)  # known to everybody: no guess, and no doubt
        said = Said.GENUINE if whose.seen else Said.NOT_GENUINE
        codes.record_seen(whose.seen, now=now)
        _keep(known, said, whose.person_id, ref, now, asker=asker)
    if whose.seen:
        return Checked(Verdict.GENUINE, whose.person_id)
    return Checked(Verdict.NOT_GENUINE)


def report(number: str, address: str, *, key: bytes, now: datetime, network: str = "") -> Verdict:
    """Note that somebody takes a mail for forged; once for an address and network is enough.

    Of one network as many are noted as may be wrong with a code, and then now and then one more.
    """
    known, ref, asker = known_number(number), _ref(address, key), _network_ref(network, key)
    with transaction.atomic(durable=True):
        _alone(ref)
        reports = StaffAnswer.objects.filter(
            kind=Said.REPORT, network_ref=asker, at__gt=now - check_code.WITHIN
        )
        if reports.filter(order_number=known, address_ref=ref).exists():
            return Verdict.REPORTED
        if asker:
            _alone(asker)
            if not _has_turn(reports, check_code.REPORTS_FROM_ONE_NETWORK, now):
                return Verdict.REPORTS_SLOWED
        person_id = _whose(known, address, "").person_id
        _keep(known, Said.REPORT, person_id, ref, now, asker=asker)
    return Verdict.REPORTED


def doubts(number: str, *, after: int = 0) -> int:
    """Count the people who took this notice for forged, or typed a code that no mail carries.

    Whoever did so up to the answer `after` is not counted, whatever they say later.
    Whoever has since found theirs to be genuine is not counted, and neither is an address that is
    nobody's. Nobody proves here who they are: whoever knows the addresses of enough people can
    have a notice paused, which takes nothing back, and a person lets it go on.
    """
    asked = (
        StaffAnswer.objects.filter(order_number=number, person_id__isnull=False)
        .values("person_id")
        .annotate(
            genuine=Count("pk", filter=Q(kind=Said.GENUINE.value)),
            first_doubt=Min("pk", filter=~Q(kind=Said.GENUINE.value)),
        )
    )
    return asked.filter(genuine=0, first_doubt__gt=after).count()


def last_answer(number: str) -> int:
    """Return the key of the last answer of staff about this notice; 0 if there is none."""
    last = StaffAnswer.objects.filter(order_number=number).aggregate(last=Max("pk"))["last"]
    return last or 0


def known_number(number: str) -> str:
    """Return a number as it is kept; what is no number of ours is kept as none."""
    try:
        return OrderNumber.parse(number[:_LONGEST_ADDRESS]).text
    except CountermandError:
        return ""


def _ref(address: str, key: bytes) -> str:
    folded = f"address\x00{folded_name(address[:_LONGEST_ADDRESS])}".encode()
    return hmac.new(key, folded, hashlib.sha256).hexdigest()


def _network_ref(network: str, key: bytes) -> str:
    if not network:
        return ""
    return hmac.new(key, f"network\x00{network}".encode(), hashlib.sha256).hexdigest()


def _alone(ref: str) -> None:
    """Let tries for one address, network or order come one by one: many at once are still few."""
    place = int(ref[:8], 16) - 2**31
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, place])


def _tried_too_often(wrong: QuerySet[StaffAnswer], asker: str) -> bool:
    """Whether these wrong tries for one address are too many."""
    return (
        wrong.filter(network_ref=asker).count() >= check_code.WRONG_FOR_ONE_ADDRESS
        or wrong.count() >= check_code.WRONG_FOR_ONE_ADDRESS_IN_ALL
    )


def _is_heard(wrong: QuerySet[StaffAnswer], number: str, asker: str, now: datetime) -> bool:
    """Whether a try is looked at, however often others were wrong just now."""
    of_network = wrong.filter(network_ref=asker)
    of_order = wrong.filter(order_number=number)
    if asker:
        _alone(asker)
        if not _has_turn(of_network, check_code.WRONG_FROM_ONE_NETWORK, now):
            return False
    if of_order.count() < check_code.WRONG_FOR_ONE_ORDER:
        return True
    _alone(hashlib.sha256(f"order\x00{number}".encode()).hexdigest())
    is_newcomer = not asker or of_network.count() < check_code.WRONG_OF_A_NEWCOMER + _friends(
        asker, now
    )
    return is_newcomer and _has_turn(of_order, check_code.WRONG_FOR_ONE_ORDER, now)


def _has_turn(told: QuerySet[StaffAnswer], most: int, now: datetime) -> bool:
    """Whether there are fewer than `most` of these, or none within the last moment."""
    just_now = told.filter(at__gt=now - check_code.WITHIN / most)
    return told.count() < most or not just_now.exists()


def _friends(asker: str, now: datetime) -> int:
    """Count the people who found their mail to be genuine from this network, within a day."""
    right = StaffAnswer.objects.filter(
        network_ref=asker, kind=Said.GENUINE, at__gt=now - check_code.FRIENDS_FOR
    )
    return right.values("person_id").distinct().count()


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose an address is for an order, None: nobody's; and which mails carry the code."""

    person_id: int | None
    seen: list[int]


def _whose(number: str, address: str, code: str) -> _Whose:
    """Find whose an address is, or was when a mail went there, and what carries the code.

    A right code of somebody's own address is found at once. Everybody else is asked all of it,
    whatever is found: how long it takes tells nothing of an address.
    """
    typed = address[:_LONGEST_ADDRESS]
    owner = people.owner_of(typed)
    if seen := _matching(codes.sent_to(number, owner or _NOBODY), code):
        return _Whose(owner, [mail.notice_id for mail in seen])
    second = people.also_known_at(typed)
    holder = owner or second
    theirs = codes.sent_to(number, holder or _NOBODY)
    there = codes.sent_to_address(number, folded_name(typed))
    mails, went_there = _matching(theirs, code), _matching(there, code)
    if holder is None:
        mails = went_there
        holder = next((mail.person_id for mail in [*went_there, *there]), None)
    return _Whose(holder, [mail.notice_id for mail in mails if mail.person_id == holder])


def _matching(mails: Sequence[CodedMail], code: str) -> list[CodedMail]:
    """Compare with every mail, and with one that never fits; never stop early."""
    compared = [
        (mail, hmac.compare_digest(mail.code.encode(), code.encode()))
        for mail in [*mails, _NO_MAIL]
    ]
    return [mail for mail, fits in compared if fits and code]


def _keep(
    number: str, said: Said, person_id: int | None, ref: str, now: datetime, *, asker: str = ""
) -> None:
    StaffAnswer.objects.create(
        order_number=number,
        kind=said.value,
        person_id=person_id,
        address_ref=ref,
        network_ref=asker,
        at=now,
    )
