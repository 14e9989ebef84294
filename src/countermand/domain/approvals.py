"""Nothing is released that two other people have not opened and approved, digest by digest.

An approval names the digest of one revision. Whoever wrote, edited or submitted that revision
cannot approve it, and whoever approves has opened the plan, the notice and the correction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, Self

from countermand.domain.errors import CountermandError, gettext_noop


class Role(StrEnum):
    """What a person may be asked to do; the table role × step is in `lifecycle`."""

    AUTHOR = "author"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    HELP_DESK = "help_desk"
    WORKS_COUNCIL = "works_council"
    MAIL_ADMIN = "mail_admin"


class Part(StrEnum):
    """What an approver must have opened."""

    PLAN = "plan"
    NOTICE = "notice"
    CORRECTION = "correction"


EVERY_PART: Final = frozenset(Part)
# What people read; a part by its bare name would be read as a verb by translators.
PART_WORDS: Final = MappingProxyType(
    {
        Part.PLAN: gettext_noop("the plan"),
        Part.NOTICE: gettext_noop("the notice"),
        Part.CORRECTION: gettext_noop("the correction"),
    }
)
# So much of a fingerprint names a version: what every page shows of it.
SHOWN_FINGERPRINT: Final = 12
_FINGERPRINT: Final = re.compile(rf"[0-9a-f]{{{SHOWN_FINGERPRINT},64}}")


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """How many must approve; an organisation may ask for more, never for less than two."""

    usual: int = 2
    strict: int = 3
    short_notice: timedelta = timedelta(hours=72)
    many_people: int = 10_000

    def __post_init__(self) -> None:
        if not 2 <= self.usual <= self.strict:  # noqa: PLR2004
            raise ValueError("at least two must approve, and the strict number is not lower")


USUAL_POLICY: Final = ApprovalPolicy()


@dataclass(frozen=True, slots=True)
class Need:
    """How many approvals are needed, and how many of them by people outside IT."""

    count: int
    outside_it: int


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """One approval as it was given; a void one stays in the history and counts for nothing."""

    person_id: int
    digest: str
    outside_it: bool
    is_void: bool = False


@dataclass(eq=False)
class OwnApproval(CountermandError):
    """Somebody tried to approve what they wrote, edited or submitted; `part` says which."""

    person_id: int
    part: str

    code: ClassVar[str] = "approval.own"
    sentence: ClassVar[str] = gettext_noop("You cannot approve this order: you are its {part}.")
    remedy: ClassVar[str] = gettext_noop("Ask two other people to open and approve it.")


@dataclass(eq=False)
class NotOpened(CountermandError):
    """The approver has not opened everything; `missing` names the parts, joined by commas."""

    person_id: int
    missing: str

    code: ClassVar[str] = "approval.not_opened"
    sentence: ClassVar[str] = gettext_noop("Not opened yet: {missing}.")
    remedy: ClassVar[str] = gettext_noop("Open them (countermand order review), then approve.")

    @classmethod
    def of(cls, person_id: int, missing: Iterable[Part]) -> Self:
        """Name the parts as people read them."""
        return cls(person_id=person_id, missing=", ".join(PART_WORDS[part] for part in missing))


@dataclass(eq=False)
class FingerprintNotUnderstood(CountermandError):
    """What was given can be the fingerprint of no version."""

    given: str
    least: int = SHOWN_FINGERPRINT

    code: ClassVar[str] = "approval.fingerprint_not_understood"
    sentence: ClassVar[str] = gettext_noop("“{given}” is no version fingerprint.")
    remedy: ClassVar[str] = gettext_noop(
        "Give its first {least} characters or more, as countermand order review shows it."
    )


@dataclass(eq=False)
class DigestChanged(CountermandError):
    """The order is no longer the one that was opened."""

    given: str
    current: str

    code: ClassVar[str] = "approval.digest_changed"
    sentence: ClassVar[str] = gettext_noop("The order was changed since you opened it.")
    remedy: ClassVar[str] = gettext_noop("Open it again; its version fingerprint is {current}.")


@dataclass(eq=False)
class AlreadyApproved(CountermandError):
    """One person counts once."""

    person_id: int

    code: ClassVar[str] = "approval.already_given"
    sentence: ClassVar[str] = gettext_noop("You have approved this version already.")
    remedy: ClassVar[str] = gettext_noop("Nothing is left to do for you; others must approve too.")


@dataclass(eq=False)
class NotEnoughApprovals(CountermandError):
    """Release was asked for before the policy was met."""

    given: int
    needed: int
    outside_it_given: int
    outside_it_needed: int

    code: ClassVar[str] = "approval.not_enough"
    sentence: ClassVar[str] = gettext_noop(
        "{given} of {needed} needed approvals are there "
        "(from outside IT: {outside_it_given} of {outside_it_needed})."
    )
    remedy: ClassVar[str] = gettext_noop("Ask the missing people to open and approve the order.")


@dataclass(eq=False)
class SameHand(CountermandError):
    """A step needs another person than the one who did `earlier`."""

    person_id: int
    earlier: str

    code: ClassVar[str] = "approval.same_hand"
    sentence: ClassVar[str] = gettext_noop("Somebody else must do this: you did “{earlier}”.")
    remedy: ClassVar[str] = gettext_noop("Ask another approver.")


@dataclass(eq=False)
class CauseMissing(CountermandError):
    """An order is resumed only when the cause of the pause is written down."""

    code: ClassVar[str] = "approval.cause_missing"
    sentence: ClassVar[str] = gettext_noop("The cause of the pause is not written down.")
    remedy: ClassVar[str] = gettext_noop("Say in one sentence what was wrong and why it is over.")


def needed(
    people: int,
    notice: timedelta,
    *,
    refuse_until_answered: bool = False,
    policy: ApprovalPolicy = USUAL_POLICY,
) -> Need:
    """Return how many must approve an order for `people` affected with `notice` to act.

    Three, one of them outside IT: below 72 hours of notice, above 10,000 people, or when devices
    that cannot be checked would lose mail until somebody answers.
    """
    strict = notice < policy.short_notice or people > policy.many_people or refuse_until_answered
    return Need(policy.strict, outside_it=1) if strict else Need(policy.usual, outside_it=0)


def named_digest(given: str, current: str) -> str:
    """Return the digest that a fingerprint names, which may be its beginning as pages show it.

    Raises FingerprintNotUnderstood, or DigestChanged when it names another version.
    """
    fingerprint = given.strip().lower()
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise FingerprintNotUnderstood(given=given)
    if not current.startswith(fingerprint):
        raise DigestChanged(given=given, current=current)
    return current


def check_approver(
    *,
    person_id: int,
    author_id: int,
    editors: frozenset[int],
    submitter_id: int | None,
    opened: frozenset[str],
    digest: str,
    revision_digest: str,
    already: frozenset[int] = frozenset(),
) -> None:
    """Return if this person may approve this revision now.

    `digest` is the one that the approver names, `revision_digest` that of the current revision,
    `opened` the parts that this person opened of it, `already` who has approved it.
    Raises OwnApproval, DigestChanged, NotOpened or AlreadyApproved.
    """
    _check_other_hand(person_id, author_id, editors, submitter_id)
    if digest != revision_digest:
        raise DigestChanged(given=digest, current=revision_digest)
    missing = [part for part in Part if part not in opened]
    if missing:
        raise NotOpened.of(person_id, missing)
    if person_id in already:
        raise AlreadyApproved(person_id=person_id)


def _check_other_hand(
    person_id: int, author_id: int, editors: frozenset[int], submitter_id: int | None
) -> None:
    if person_id == author_id:
        raise OwnApproval(person_id=person_id, part=gettext_noop("author"))
    if person_id in editors:
        raise OwnApproval(person_id=person_id, part=gettext_noop("editor"))
    if person_id == submitter_id:
        raise OwnApproval(person_id=person_id, part=gettext_noop("submitter"))


def _counted(approvals: Iterable[GivenApproval], digest: str) -> tuple[int, int]:
    """Count people, and people outside IT, whose valid approval names this digest."""
    valid = [a for a in approvals if not a.is_void and a.digest == digest]
    everybody = {a.person_id for a in valid}
    outside = {a.person_id for a in valid if a.outside_it}
    return len(everybody), len(outside)


def is_met(approvals: Iterable[GivenApproval], need: Need, *, digest: str) -> bool:
    """Tell whether enough different people approved exactly this digest."""
    everybody, outside = _counted(approvals, digest)
    return everybody >= need.count and outside >= need.outside_it


def check_met(approvals: Iterable[GivenApproval], need: Need, *, digest: str) -> None:
    """Raise NotEnoughApprovals unless `is_met`."""
    everybody, outside = _counted(approvals, digest)
    if everybody < need.count or outside < need.outside_it:
        raise NotEnoughApprovals(
            given=everybody,
            needed=need.count,
            outside_it_given=outside,
            outside_it_needed=need.outside_it,
        )


def check_go(*, person_id: int, released_by: int) -> None:
    """Return if this person may let the waves follow the first small group: not the releaser."""
    if person_id == released_by:
        raise SameHand(person_id=person_id, earlier=gettext_noop("release"))


def check_resume(*, person_id: int, paused_by: int | None, cause: str) -> None:
    """Return if this person may resume: not who paused, and the cause is written down.

    `paused_by` is None when the program itself paused the order.
    """
    if person_id == paused_by:
        raise SameHand(person_id=person_id, earlier=gettext_noop("pause"))
    if not cause.strip():
        raise CauseMissing
