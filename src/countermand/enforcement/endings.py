"""When a door shuts, the sessions behind it are ended once; opening ends nothing.

A password that was revoked is such a door, too: what was opened with it ends.

    found shut --> written down --> mail server asked --> ended | not open | shared
                                          +-- no clear answer: asked again, later and later

Written down before anybody is asked, so that nothing is ended without a trace. What nobody could
end in the last try stays on the list that people see. A door found open again closes its line, so
that the next closing is one of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import BooleanField, Count, Exists, F, Max, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Greatest

from countermand.devices import door_names
from countermand.domain.device_key import normal_login
from countermand.domain.verdict import LOCK_NOTICE_LEAD, EntryFacts
from countermand.enforcement.models import DevicePassword, DoorEntry, SessionEnding
from countermand.enforcement.queries import DoorEntryRow, facts_of
from countermand.ports import Ended, OpenSession, SessionEnder

MOST_AT_ONCE: Final = 500
MOST_TRIES: Final = 12
_MOST_LOOKED_AT: Final = 5_000
_LOOK_AGAIN: Final = timedelta(minutes=1)
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=10)
# In the place of an order's number: the password itself was revoked.
REVOKED: Final = ""
# A folder of passwords that is carried to another machine is there by then (rsync every minute).
_FILES_ARE_THERE: Final = timedelta(minutes=2)
_STILL_OF_INTEREST: Final = timedelta(days=30)
_FINISHED: Final = frozenset({Ended.ENDED, Ended.NOT_OPEN})
# What folding makes of other than plain words is looked at afterwards.
_MAY_BE_NAMED_BY_A_SOURCE: Final = f"""
    EXISTS (
        SELECT FROM ({door_names.PASSWORDS_OF_SOURCES}) AS name
        WHERE name.device_id = enforcement_doorentry.device_id
          AND (lower(name.value COLLATE "C") = enforcement_doorentry.device_key
               OR name.value !~ '^[!-~]+$' OR name.value ~ '^[0-9A-Fa-f]{{12,}}$')
    )
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One door that was found shut, with what is known of it now; None when it is gone."""

    id: int
    is_done: bool
    entry: EntryFacts | None


def likely_shut(order_number: str, *, now: datetime) -> list[DoorEntryRow]:
    """Return the entries that a verdict might shut and that have no open line here yet.

    The database leaves out what surely stays open; `verdict.decide` has the last word. Doors
    without a device password, issued here or named by a source, have no session of their own that
    could be ended.
    """
    lines = SessionEnding.objects.filter(
        order_number=order_number,
        login=OuterRef("login"),
        device_key=OuterRef("device_key"),
        opened_at__isnull=True,
    )
    passwords = DevicePassword.objects.filter(
        device_name=OuterRef("device_key"), revoked_at__isnull=True
    )
    may_be_named = RawSQL(_MAY_BE_NAMED_BY_A_SOURCE, (), BooleanField())  # noqa: S611  (constants of ours)
    rows = DoorEntry.objects.filter(
        Q(override_until__isnull=True) | Q(override_until__lte=now),
        Exists(passwords) | Q(may_be_named),
        ~Exists(lines),
        order_number=order_number,
        deleted=False,
        presence="present",
        may_close=True,
        closes_at__lte=now,
        fresh_until__gt=now,
        noticed_at__isnull=False,
        lock_accepted_at__isnull=False,
    )
    found = list(rows.annotate(issued=Exists(passwords)).order_by("id"))
    named = door_names.passwords_of_sources([row.device_id for row in found if not row.issued])
    return [_row(row) for row in found if row.issued or (row.device_id, row.device_key) in named]


@dataclass(frozen=True, slots=True)
class LastShut:
    """When the last door of an order shuts, and how many do; None where none does.

    Not in it are `waiting` devices: no notice, or no last notice, is proven to have reached them.
    """

    at: datetime | None
    doors: int
    waiting: int


def last_shut(order_number: str, *, minimum_notice: timedelta) -> LastShut:
    """Return when the last of the doors shuts that may, as `verdict.decide` counts."""
    told = Q(noticed_at__isnull=False, lock_accepted_at__isnull=False)
    # PostgreSQL passes over what is not there.
    shuts_at = Greatest(
        F("closes_at"),
        F("noticed_at") + minimum_notice,
        F("lock_accepted_at") + LOCK_NOTICE_LEAD,
        F("override_until"),
    )
    rows = DoorEntry.objects.filter(
        order_number=order_number, deleted=False, presence="present", may_close=True
    )
    found = rows.aggregate(
        at=Max(shuts_at, filter=told),
        doors=Count("pk", filter=told),
        waiting=Count("device_id", filter=~told, distinct=True),
    )
    return LastShut(**found)


def note_shut(order_number: str, shut: Collection[DoorEntryRow], *, now: datetime) -> None:
    """Write down that these doors were found shut; a line that is there stays as it is."""
    SessionEnding.objects.bulk_create(
        [
            SessionEnding(
                order_number=order_number,
                login=row.login,
                device_key=row.device,
                device_id=row.device_id,
                found_at=now,
                look_at=now,
            )
            for row in shut
        ],
        ignore_conflicts=True,
    )


def lines_due(order_number: str, *, now: datetime) -> list[Line]:
    """Return the open lines to look at now, with the entries as they are now; 5,000 at most."""
    found = SessionEnding.objects.filter(
        order_number=order_number, opened_at__isnull=True, look_at__lte=now
    ).order_by("look_at", "pk")[:_MOST_LOOKED_AT]
    lines = list(found)
    rows = DoorEntry.objects.filter(
        order_number=order_number,
        deleted=False,
        device_key__in=[line.device_key for line in lines],
    )
    entries = {(row.login, row.device_key): facts_of(row) for row in rows}
    return [
        Line(
            id=line.pk,
            is_done=line.ended_at is not None or line.tries >= MOST_TRIES,
            entry=entries.get((line.login, line.device_key)),
        )
        for line in lines
    ]


def note_open(lines: Collection[Line], *, now: datetime) -> int:
    """Close the lines of doors that are no longer shut; returns how many."""
    return SessionEnding.objects.filter(pk__in=[line.id for line in lines]).update(opened_at=now)


def end(lines: Collection[Line], ender: SessionEnder, *, now: datetime) -> int:
    """Ask the mail server to end what is not done, 500 at most; returns how many are done with."""
    done = [line.id for line in lines if line.is_done]
    SessionEnding.objects.filter(pk__in=done).update(look_at=now + _LOOK_AGAIN)
    asked = [line for line in lines if not line.is_done][:MOST_AT_ONCE]
    if not asked:
        return 0
    rows = list(SessionEnding.objects.filter(pk__in=[line.id for line in asked]))
    _note_asked(rows, now)
    sessions = _sessions(rows)
    answers = ender.end(list(sessions.values()))
    finished = 0
    for row in rows:
        outcome = answers.get(sessions[row.pk], Ended.FAILED)
        row.outcome = outcome.value
        if outcome in _FINISHED:
            row.ended_at = now
            finished += 1
    SessionEnding.objects.bulk_update(rows, ["outcome", "ended_at"])
    return finished


def _sessions(rows: Sequence[SessionEnding]) -> dict[int, OpenSession]:
    """Return whose sessions to end, by line: also under the names that a source spells."""
    spelled = door_names.passwords_of_sources([row.device_id for row in rows])
    nothing: frozenset[str] = frozenset()
    return {
        row.pk: OpenSession(
            row.login,
            row.device_key,
            tuple(sorted(spelled.get((row.device_id, row.device_key), nothing) - {row.device_key})),
        )
        for row in rows
    }


def end_revoked(ender: SessionEnder, *, now: datetime) -> int:
    """End what was opened with passwords that are revoked; returns how many are done with.

    Asked at once, and once more when the mail server surely knows that the password is void: a
    program whose session ends comes back within seconds, and must not find the old word good.
    """
    _note_revoked(now)
    due = SessionEnding.objects.filter(
        order_number=REVOKED,
        opened_at__isnull=True,
        ended_at__isnull=True,
        tries__lt=MOST_TRIES,
        look_at__lte=now,
    )
    rows = list(due.order_by("look_at", "pk")[:MOST_AT_ONCE])
    if not rows:
        return 0
    _note_asked(rows, now)
    answers = ender.end([OpenSession(row.login, row.device_key) for row in rows])
    finished = 0
    for row in rows:
        outcome = answers.get(OpenSession(row.login, row.device_key), Ended.FAILED)
        row.outcome = outcome.value
        surely = row.found_at + _FILES_ARE_THERE
        if outcome in _FINISHED and now < surely:
            row.look_at = surely
        elif outcome in _FINISHED:
            row.ended_at = now
            finished += 1
    SessionEnding.objects.bulk_update(rows, ["outcome", "ended_at", "look_at"])
    return finished


def _note_revoked(now: datetime) -> None:
    """Write down which passwords were revoked lately, and forget what is long done with."""
    lines = SessionEnding.objects.filter(order_number=REVOKED)
    lines.filter(found_at__lt=now - 2 * _STILL_OF_INTEREST).delete()
    revoked = DevicePassword.objects.filter(revoked_at__gt=now - _STILL_OF_INTEREST).exclude(
        Exists(lines.filter(device_key=OuterRef("device_name")))
    )
    SessionEnding.objects.bulk_create(
        [
            SessionEnding(
                order_number=REVOKED,
                login=login,
                device_key=row.device_name,
                device_id=row.device_id or 0,
                found_at=now,
                look_at=now,
            )
            for row in revoked.iterator()
            for login in sorted({*map(normal_login, (row.login, *row.other_logins))})
        ],
        ignore_conflicts=True,
    )


def _note_asked(rows: Sequence[SessionEnding], now: datetime) -> None:
    for row in rows:
        row.tries += 1
        row.look_at = now + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (row.tries - 1))
    SessionEnding.objects.bulk_update(rows, ["tries", "look_at"])


@dataclass(frozen=True, slots=True)
class Endings:
    """How matters stand with the sessions of one order; `unended` wait, or were given up."""

    ended: int
    unended: int
    shared: int


def standing(order_number: str) -> Endings:
    """Return how many doors are done with, and how many are not; REVOKED stands for passwords."""
    lines = SessionEnding.objects.filter(order_number=order_number, opened_at__isnull=True)
    # One door has a line for every login of its person.
    waiting = Q(ended_at__isnull=True)
    doors = lines.values("device_key").annotate(
        waiting=Count("pk", filter=waiting),
        sharing=Count("pk", filter=waiting & Q(outcome=Ended.SHARED.value)),
    )
    counted = doors.aggregate(
        ended=Count("device_key", filter=Q(waiting=0)),
        unended=Count("device_key", filter=Q(waiting__gt=0)),
        shared=Count("device_key", filter=Q(sharing__gt=0)),
    )
    return Endings(counted["ended"], counted["unended"], counted["shared"])


def _row(row: DoorEntry) -> DoorEntryRow:
    return DoorEntryRow(row.login, row.device_key, row.device_id, row.person_id, facts_of(row))
