"""Who is affected, in which order they are told, and when a plan no longer holds.

Affected are the people in scope with a device that is not proven to be without the app, and the
author and one approver, who get what everybody gets. Who comes first is drawn by the digest: the
same content always draws the same people, and nobody can choose them without changing the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from countermand.domain.errors import Fault
from countermand.domain.order_faults import fault_of
from countermand.domain.order_parts import Deadline, OrderDocument, Share
from countermand.domain.order_sections import EMERGENCY_NOTICE, MINIMUM_NOTICE
from countermand.domain.presence import Presence

PLAN_AGE: Final = timedelta(hours=24)
SMALLEST_FIRST_GROUP: Final = 5
LARGEST_FIRST_GROUP: Final = 200
HALF_PER_CENT: Final = Share(50)
_HOUR: Final = timedelta(hours=1)


class AffectedBy(StrEnum):
    """Why somebody is on the list."""

    DEVICE = "device"
    AUTHOR = "author"
    APPROVER = "approver"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody in scope, with what is known of the devices that are in scope, too."""

    person_id: int
    language: str
    platforms: frozenset[str]
    presences: tuple[Presence, ...]


def affected(
    candidates: Iterable[Candidate], *, author_id: int, approver_id: int | None
) -> dict[int, AffectedBy]:
    """Return who is affected and why; a device that was never checked counts as carrying the app.

    The author and one approver are always affected, whether or not they are among the candidates.
    """
    found = {
        candidate.person_id: AffectedBy.DEVICE
        for candidate in candidates
        if any(presence is not Presence.ABSENT for presence in candidate.presences)
    }
    found.setdefault(author_id, AffectedBy.AUTHOR)
    if approver_id is not None:
        found.setdefault(approver_id, AffectedBy.APPROVER)
    return found


def _drawn(people: Iterable[int], digest: str) -> list[int]:
    """Return people in an order that follows from the digest alone."""
    return sorted(people, key=lambda person: hashlib.sha256(f"{digest}:{person}".encode()).digest())


def first_group(
    candidates: Sequence[Candidate], *, digest: str, share: Share, always: Collection[int]
) -> frozenset[int]:
    """Draw the first small group out of the people affected.

    It holds `always` (author and one approver), one person for each language and kind of device,
    and then as many more as the share says, at least 5 and at most 200 in all.
    """
    by_id = {candidate.person_id: candidate for candidate in candidates}
    chosen = {person for person in always if person in by_id}
    seen = set().union(*(_kinds(by_id[person]) for person in chosen))
    drawn = _drawn(by_id, digest)
    for person in drawn:
        if not _kinds(by_id[person]) <= seen:
            chosen.add(person)
            seen |= _kinds(by_id[person])
    size = min(LARGEST_FIRST_GROUP, max(SMALLEST_FIRST_GROUP, share.of(len(by_id))))
    for person in drawn:
        if len(chosen) >= size:
            break
        chosen.add(person)
    return frozenset(chosen)


def _kinds(candidate: Candidate) -> set[tuple[str, str]]:
    return {(candidate.language, platform) for platform in candidate.platforms or {""}}


def waves(
    people: Collection[int],
    *,
    digest: str,
    first: Collection[int],
    share: Share,
    groups: Mapping[int, str] = MappingProxyType({}),
    doubles: bool = False,
) -> Mapping[int, int]:
    """Return the wave of everybody: 0 for the first small group, then 1, 2, 3 by the digest.

    A wave holds at most this share of all people affected, and at least one person. With `groups`
    (the country or unit of each person) it holds people of one group alone, the smallest group
    first: what is wrong is seen where it reaches few. With `doubles` the share is that of the first
    wave, and each holds twice as many as the one before.
    """
    wave, size = 0, max(1, share.of(len(people)))
    rest = _drawn(set(people) - set(first), digest)
    found = dict.fromkeys(set(people) & set(first), 0)
    for group in _groups(rest, groups):
        begin = 0
        while begin < len(group):
            wave += 1
            found |= dict.fromkeys(group[begin : begin + size], wave)
            begin, size = begin + size, size * 2 if doubles else size
    return found


def _groups(rest: Sequence[int], groups: Mapping[int, str]) -> list[list[int]]:
    """Return people group by group, the smallest first, in each as they were drawn."""
    found: dict[str, list[int]] = {}
    for person in rest:
        found.setdefault(groups.get(person, ""), []).append(person)
    return [found[name] for name in sorted(found, key=lambda name: (len(found[name]), name))]


@dataclass(frozen=True, slots=True)
class DriftLimit:
    """How far the people affected may change between plan and release."""

    people: int = 25
    share: Share = HALF_PER_CENT

    def is_too_much(self, *, came: int, went: int, people: int) -> bool:
        """Tell whether more came and went than the greater of 25 people and 0.5 per cent."""
        return came + went > max(self.people, self.share.of(people))


USUAL_DRIFT: Final = DriftLimit()


@dataclass(frozen=True, slots=True)
class Drift:
    """Who came to the list and who left it since it was frozen."""

    came: frozenset[int]
    went: frozenset[int]
    people: int

    @classmethod
    def between(cls, frozen: Collection[int], now: Collection[int]) -> Drift:
        """Compare the frozen list with the one of now."""
        before, after = frozenset(frozen), frozenset(now)
        return cls(came=after - before, went=before - after, people=len(before))

    def is_too_much(self, limit: DriftLimit = USUAL_DRIFT) -> bool:
        """Tell whether the order has to go back to its approvers."""
        return limit.is_too_much(came=len(self.came), went=len(self.went), people=self.people)


def is_too_old(planned_at: datetime, now: datetime) -> bool:
    """Tell whether a plan is older than 24 hours; a clock that went back makes it too old, too."""
    return not timedelta(0) <= now - planned_at <= PLAN_AGE


def is_surge(*, joined_today: int, people: int, cap_per_day: Share) -> bool:
    """Tell whether so many joined late on one day that the order pauses; one may always join."""
    return joined_today > max(1, cap_per_day.of(people))


def shortest_notice(deadline: Deadline, zones: Iterable[str], now: datetime) -> timedelta:
    """Return how long whoever has the least time has; nobody at all counts as the last place."""
    earliest = min((deadline.in_zone(zone) for zone in set(zones)), default=deadline.latest())
    return earliest - now


def plan_faults(
    document: OrderDocument, *, languages: Iterable[str], zones: Iterable[str], now: datetime
) -> tuple[Fault, ...]:
    """Return what is wrong with an order for just these people: time to act, and languages.

    Looked at when the order is planned, and once more at release.
    """
    found = []
    left = shortest_notice(document.deadline, zones, now)
    least = EMERGENCY_NOTICE if document.emergency is not None else MINIMUM_NOTICE
    if left < least:
        facts = {"hours": str(max(left, timedelta(0)) // _HOUR), "needed": str(least // _HOUR)}
        found.append(
            fault_of(
                "order.deadline_too_soon", key="deadline.at", line=None, file=None, facts=facts
            )
        )
    if not document.fallback_language:
        found += [
            fault_of(
                "order.language_text_missing",
                key="title",
                line=None,
                file=None,
                facts={"name": "title", "language": language},
            )
            for language in sorted(_without_text(document, languages))
        ]
    return tuple(found)


def _without_text(document: OrderDocument, languages: Iterable[str]) -> set[str]:
    return {
        language
        for language in set(languages)
        if language not in document.languages
        and language.split("-", 1)[0] not in document.languages
    }
