"""Since when silence is proof: a mail that was accepted, and of which nothing came back for a day.

Time in which returned mails could not be read does not count. It touches proof alone: whoever got,
or may have got, a mail is corrected all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from countermand.domain.heard_time import HeardStretch, heard_for
from countermand.notices.models import HeardTime, LostLines, Notice

# Accepted and not bounced for so long counts as proof that somebody was told.
PROOF_AFTER: Final = timedelta(hours=24)
_NOTE_EVERY: Final = timedelta(minutes=1)
# Servers that return a mail try for days, so a mailbox that was away so shortly misses none.
_SHORT_GAP: Final = timedelta(minutes=15)


def silence_counts_since(now: datetime) -> datetime:
    """Return when a mail must have been accepted, at the latest, for silence to prove it."""
    rows = HeardTime.objects.order_by("-ended_at", "-pk")
    stretches = (HeardStretch(row.began_at, row.ended_at) for row in rows)
    return heard_for(PROOF_AFTER, stretches, now=now)


def has_heard() -> bool:
    """Tell whether what came back was read before; a try that failed is none."""
    return HeardTime.objects.filter(ended_at__gt=F("began_at")).exists()


def told_by_silence(now: datetime) -> Q:
    """Return which accepted notices count as told because nothing came back."""
    told = Q(accepted_at__lte=silence_counts_since(now))
    for lost in LostLines.objects.all():
        told &= ~Q(accepted_at__gt=lost.accepted_after, accepted_at__lte=lost.accepted_until)
    return told


@transaction.atomic
def note_heard(now: datetime) -> None:
    """Note that everything that has come back by `now` was read."""
    newest = _newest()
    if newest is None:
        HeardTime.objects.create(began_at=now, ended_at=now)
    elif newest.is_over and now - newest.ended_at > _SHORT_GAP:
        _begin_anew(now)
    elif newest.is_over or now - newest.ended_at >= _NOTE_EVERY:
        newest.is_over = False
        newest.ended_at = max(newest.ended_at, now)
        newest.save()


@transaction.atomic
def note_unheard(now: datetime) -> None:
    """Note that what has come back could not be read."""
    note_begun(now)
    newest = _newest()
    if newest is not None and not newest.is_over:
        newest.is_over = True
        newest.save()


@transaction.atomic
def note_missed(now: datetime, *, is_heard_elsewhere: bool) -> None:
    """Note that of what came back before `now` some will never be read: a new stretch begins.

    Unless it `is_heard_elsewhere`, too, no silence will ever prove a mail that was accepted before
    and was not proven yet: what was lost may have been its return.
    """
    newest = _newest()
    if not is_heard_elsewhere:
        after = silence_counts_since(now)
        LostLines.objects.create(accepted_after=after, accepted_until=now)
    _begin_anew(now if newest is None else max(now, newest.ended_at))


@transaction.atomic
def note_begun(now: datetime) -> None:
    """Note that reading has begun, whose end was not reached yet."""
    if _newest() is None:
        HeardTime.objects.create(began_at=now, ended_at=now)


def nobody_listens() -> None:
    """Forget it all: there is no place any more where returned mails are read."""
    HeardTime.objects.all().delete()


def forget_lost_lines(now: datetime) -> int:
    """Forget of lost lines what concerns no mail that is kept any more; returns how many rows.

    One may still be booked as accepted in a time that is over, so a day goes by first.
    """
    concerned = Notice.objects.filter(
        accepted_at__gt=OuterRef("accepted_after"), accepted_at__lte=OuterRef("accepted_until")
    )
    over = LostLines.objects.filter(~Exists(concerned), accepted_until__lt=now - PROOF_AFTER)
    return over.delete()[0]


def _begin_anew(now: datetime) -> None:
    """Begin a stretch, and forget those that matter to nobody any more."""
    enough = silence_counts_since(now)
    HeardTime.objects.filter(ended_at__lt=enough).delete()
    HeardTime.objects.create(began_at=now, ended_at=now)


def _newest() -> HeardTime | None:
    return HeardTime.objects.select_for_update().order_by("-ended_at", "-pk").first()
