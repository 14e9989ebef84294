"""What is known about an ordered app on a device; absence needs proof, silence proves nothing.

Four values. A list that was filtered, managed-only, cut off or never sent leaves things as they
were. Evidence counts against somebody's "I removed it" only if it was provably taken afterwards.

    unknown < unobservable < absent and present, which are ordered by the time of their proof
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Presence(StrEnum):
    """Whether an ordered app is on a device."""

    PRESENT = "present"
    ABSENT = "absent"
    UNOBSERVABLE = "unobservable"  # this source will never know
    UNKNOWN = "unknown"  # not yet, or no longer


class Coverage(StrEnum):
    """Which apps a source lists for a device."""

    FULL = "full"
    ASKED = "asked"  # only the identifiers that were asked for
    MANAGED_ONLY = "managed_only"
    WORK_PROFILE_ONLY = "work_profile_only"
    CONFIGURED_ONLY = "configured_only"
    NONE = "none"
    UNKNOWN = "unknown"


class Answer(StrEnum):
    """What a person can say about an app on a device."""

    REMOVED = "removed"
    NEVER_HAD = "never_had"
    NOT_MINE = "not_mine"
    SHARED = "shared"
    CANNOT = "cannot"
    NO_MAIL_ON_PHONE = "no_mail_on_phone"


OPENING_ANSWERS: Final = frozenset(
    {Answer.REMOVED, Answer.NEVER_HAD, Answer.NOT_MINE, Answer.NO_MAIL_ON_PHONE}
)
"""Answers that open a door; the others ask for help and change nothing at the door."""

_BLIND: Final = frozenset({Coverage.MANAGED_ONLY, Coverage.WORK_PROFILE_ONLY})


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a kind of source keeps time: how long its word is fresh, and how often it looks anew."""

    fresh_for: timedelta
    refresh_cycle: timedelta


DEFAULT_RHYTHM: Final = Rhythm(timedelta(hours=24), timedelta(days=7))
RHYTHMS: Final = MappingProxyType(
    {
        # Intune looks every seven days from a device's own enrolment: a day of grace on top.
        "intune": Rhythm(timedelta(hours=192), timedelta(days=7)),
        "csv": DEFAULT_RHYTHM,
    }
)


def rhythm_of(source: str) -> Rhythm:
    """Return the rhythm of a source, by its kind: what its name has before the colon."""
    return RHYTHMS.get(source.partition(":")[0], DEFAULT_RHYTHM)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source said about one app on one device, and when that was true at the earliest.

    `inventory_at` is when the list was taken, if the source says so; `collected_at` is when we
    got it. Both are aware.
    """

    presence: Presence
    inventory_at: datetime | None
    collected_at: datetime
    refresh_cycle: timedelta

    @property
    def at(self) -> datetime:
        """When the list was taken, or at the latest: when we got it."""
        return self.inventory_at or self.collected_at

    @property
    def proven_after(self) -> datetime:
        """The instant after which the list was certainly taken."""
        return self.inventory_at or self.collected_at - self.refresh_cycle


def judge(
    *,
    matched: bool,
    coverage: Coverage,
    asked: frozenset[str] | None,
    wanted: frozenset[str],
    complete: bool,
    observable: bool = True,
) -> Presence:
    """Decide what one answer of one source says by itself.

    `asked` are the identifiers of the question (None: all), `wanted` those that the order means
    on this platform. `complete` claims that no page and no part of the answer is missing.
    `observable` is false where the source can never see personal apps of such a device.
    """
    if matched:
        return Presence.PRESENT
    if not observable or coverage in _BLIND:
        return Presence.UNOBSERVABLE
    if not complete:
        return Presence.UNKNOWN
    if coverage is Coverage.FULL and (asked is None or wanted <= asked):
        return Presence.ABSENT
    if coverage in {Coverage.ASKED, Coverage.CONFIGURED_ONLY}:
        return _judge_asked(coverage, asked, wanted)
    return Presence.UNKNOWN


def _judge_asked(
    coverage: Coverage, asked: frozenset[str] | None, wanted: frozenset[str]
) -> Presence:
    if asked is not None and wanted and wanted <= asked:
        return Presence.ABSENT
    return Presence.UNOBSERVABLE if coverage is Coverage.CONFIGURED_ONLY else Presence.UNKNOWN


def heard_at(collected_at: datetime, last_contact_at: datetime | None) -> datetime:
    """Return when a list without a time of its own was taken at the latest.

    A source repeats for months what a device said that is switched off: its list is no newer than
    the last contact with it.
    """
    return collected_at if last_contact_at is None else min(collected_at, last_contact_at)


def merge(old: Evidence, new: Evidence) -> Evidence:
    """Let the stronger evidence stand; the order of the arguments does not matter.

    `present` weighs by the last instant at which it may have been true, `absent` by the first at
    which it certainly was: so nothing becomes absent but by a list that was provably taken later.
    """
    return max(old, new, key=_weight)


_RANKS: Final = MappingProxyType(
    {
        Presence.UNKNOWN: 0,
        Presence.UNOBSERVABLE: 1,
        Presence.ABSENT: 2,
        Presence.PRESENT: 2,
    }
)


def _weight(evidence: Evidence) -> tuple[int, datetime, bool, bool, datetime, timedelta]:
    present = evidence.presence is Presence.PRESENT
    since = evidence.proven_after if evidence.presence is Presence.ABSENT else evidence.at
    # At equal times present wins; what follows only makes the choice independent of the order.
    own_time = evidence.inventory_at is not None
    return (
        _RANKS[evidence.presence],
        since,
        present,
        own_time,
        evidence.collected_at,
        evidence.refresh_cycle,
    )


def attestation_holds(
    attested_at: datetime,
    evidence_at: datetime,
    *,
    has_own_time: bool,
    refresh_cycle: timedelta,
) -> bool:
    """Whether somebody's word still stands against evidence that the app is there.

    `evidence_at` is when the list was taken (`has_own_time`), or when we got it; a list without
    a time may be as old as one full refresh cycle.
    """
    taken_after = evidence_at if has_own_time else evidence_at - refresh_cycle
    return taken_after <= attested_at


def fresh_until(evidence: Evidence, rhythm: Rhythm) -> datetime:
    """Return the instant from which this evidence no longer closes anything."""
    return evidence.at + rhythm.fresh_for
