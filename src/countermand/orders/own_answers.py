"""Staff answer for their own devices on the look-up page: proven by the code of their own mail.

A right code gives a proof: signed, for one person, one notice and half an hour. It travels in the
body of a request and is looked at before the database is asked, so guessing it costs nothing and
brings nothing. An answer opens and never closes; nobody can speak for the device of another. A
look at one's own device is asked for in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from countermand.devices import given_answers, hints, sightings
from countermand.devices.sightings import SeenDevice
from countermand.domain import check_code
from countermand.domain.check_code import Verdict
from countermand.domain.presence import OPENING_ANSWERS, Answer
from countermand.enforcement.actions import Publisher
from countermand.notices.lookup_answers import Asked, AskedDevice, Noted
from countermand.orders import answers, checking
from countermand.orders.models import NamedApp, Order, ToldDevice
from countermand.orders.planning import PlanContext

_LOCK_CLASS: Final = 0x434D_4F41  # of this room alone
_LARGEST_KEY: Final = 2**31
_PROOF: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,12})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Opened:
    """A device that an answer opened, and under which orders."""

    device_id: int
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reaction:
    """What became of an answer, and what is asked now."""

    verdict: Verdict
    noted: Noted | None = None
    asked: Asked | None = None
    opened: Opened | None = None


def asked_of(person_id: int, number: str, *, key: bytes, now: datetime) -> Asked | None:
    """Return what somebody is asked about a notice; None: nothing.

    To be called only for whom `checking.check` found their code right.
    """
    return _asked(checking.known_number(number), person_id, key=key, now=now)


def give(
    number: str,
    proof: str,
    device: str,
    said: str,
    *,
    key: bytes,
    publisher: Publisher,
    context: PlanContext,
    now: datetime,
) -> Reaction:
    """Keep what somebody says of one of their devices; open it at once if they say so."""
    known = checking.known_number(number)
    person_id = _proven(known, proof, key, now)
    answer = next((each for each in Answer if each.value == said), None)
    if person_id is None or answer is None:
        return Reaction(Verdict.PROVE_AGAIN)
    with transaction.atomic(durable=True):
        _alone(person_id)
        order = _asking(known)
        own = {str(each.id): each for each in _concerned(known, person_id)} if order else {}
        if device not in own:
            return Reaction(Verdict.PROVE_AGAIN)
        since = now - check_code.WITHIN
        if given_answers.count_of(person_id, since=since) >= check_code.ANSWERS_OF_ONE_PERSON:
            return Reaction(Verdict.TOO_OFTEN)
        numbers = tuple(_answered(known, own[device].id))
        answers.keep(
            own[device],
            answer,
            apps=_apps([known]),
            numbers=numbers,
            actor_id=person_id,
            publisher=publisher,
            context=context,
            now=now,
        )
    is_opening = answer in OPENING_ANSWERS
    return Reaction(
        Verdict.NOTED if is_opening else Verdict.NOTED_HELP,
        noted=Noted(_shown(own[device], answer), answer),
        asked=_asked(known, person_id, key=key, now=now),
        opened=Opened(own[device].id, numbers) if is_opening else None,
    )


def look(number: str, proof: str, device: str, *, key: bytes, now: datetime) -> Reaction:
    """Let the source of one of somebody's devices look at it now, if it can."""
    known = checking.known_number(number)
    person_id = _proven(known, proof, key, now)
    own = {str(each.id): each for each in _concerned(known, person_id)} if person_id else {}
    if person_id is None or device not in own or _asking(known) is None:
        return Reaction(Verdict.PROVE_AGAIN)
    meant = own[device]
    verdict = Verdict.CANNOT_LOOK
    if hints.lookable([meant.id]):
        is_asked = hints.look_for_its_person(
            meant.id, person_id=person_id, now=now, rest=check_code.LOOK_AGAIN_AFTER
        )
        verdict = Verdict.LOOK_ASKED if is_asked else Verdict.LOOK_WAITS
    asked = _asked(known, person_id, key=key, now=now)
    return Reaction(verdict, noted=Noted(_shown(meant, None)), asked=asked)


def _asked(number: str, person_id: int, *, key: bytes, now: datetime) -> Asked | None:
    order = _asking(number)
    own = _concerned(number, person_id) if order else []
    if order is None or not own:
        return None
    said = given_answers.last_by_device(
        [each.id for each in own], _apps([number]), since=order.released_at or order.created_at
    )
    can_look = hints.lookable([each.id for each in own])
    until = int((now + check_code.ANSWER_WITHIN).timestamp())
    return Asked(
        number=number,
        proof=f"{person_id}.{until}.{_signature(number, person_id, until, key)}",
        devices=tuple(
            _shown(each, said.get(each.id), can_look=each.id in can_look) for each in own
        ),
    )


def _shown(device: SeenDevice, said: Answer | None, *, can_look: bool = False) -> AskedDevice:
    return AskedDevice(
        id=device.id, name=device.name, short_id=device.short_id, said=said, can_look=can_look
    )


def _asking(number: str) -> Order | None:
    """Return the order if it asks anything: in an exercise nobody is to say what is not so."""
    return Order.objects.filter(number=number, mode="live", ended_at__isnull=True).first()


def _concerned(number: str, person_id: int) -> list[SeenDevice]:
    """Return the devices of a person that this notice named, as far as they are still theirs."""
    told = ToldDevice.objects.filter(order_id=number, person_id=person_id)
    named = frozenset(told.values_list("device_id", flat=True))
    return [each for each in sightings.of_people([person_id], ()) if each.id in named]


def _apps(numbers: Iterable[str]) -> frozenset[str]:
    named = NamedApp.objects.filter(order_id__in=numbers)
    return frozenset(named.values_list("app_id", flat=True))


def _answered(number: str, device_id: int) -> list[str]:
    """Return the orders about a device that this answer covers: this one, and any with no app more.

    Somebody who removed the app that two notices name is not to say so twice.
    """
    apps = _apps([number])
    told = ToldDevice.objects.filter(
        device_id=device_id, order__ended_at__isnull=True, order__mode="live"
    )
    others = told.exclude(order_id=number).values_list("order_id", flat=True)
    return sorted({number, *(each for each in others if _apps([each]) <= apps)})


# -- the proof ----------------------------------------------------------------------------------


def _signature(number: str, person_id: int, until: int, key: bytes) -> str:
    text = f"answer\x00{number}\x00{person_id}\x00{until}".encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _proven(number: str, proof: str, key: bytes, now: datetime) -> int | None:
    """Return whom a proof proves for this notice; None when it proves nobody any more."""
    parts = _PROOF.fullmatch(proof)
    if parts is None:
        return None
    person_id, until = int(parts[1]), int(parts[2])
    fits = hmac.compare_digest(parts[3], _signature(number, person_id, until, key))
    return person_id if fits and now.timestamp() <= until else None


def _alone(person_id: int) -> None:
    """Let answers of one person come one after the other: many at once are still few."""
    place = person_id % _LARGEST_KEY
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, place])
