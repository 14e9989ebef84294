"""The parts of an order as its file states them: values that are valid once they exist.

They are built by `order_document.read` alone, which reports every fault of a file at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from countermand.domain.app_id import Grade, IdentifierKey, Platform, TargetKind
from countermand.domain.order_number import OrderNumber
from countermand.domain.phases import Enforcement

# The last place on earth where a day ends, and the first where it begins.
LATEST_ZONE: Final = timezone(timedelta(hours=-12))
EARLIEST_ZONE: Final = timezone(timedelta(hours=14))


class Mode(StrEnum):
    """Whether an order is meant, or is an exercise; fixed for ever."""

    LIVE = "live"
    EXERCISE = "exercise"


class Ownership(StrEnum):
    """Whose device it is."""

    CORPORATE = "corporate"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


class Remedy(StrEnum):
    """What a person can do."""

    REMOVE_APP = "remove-app"
    DISABLE_APP = "disable-app"
    UNENROL = "unenrol"


class CannotBeChecked(StrEnum):
    """What happens with a device of which nobody can say what is on it."""

    ASK = "ask"
    REFUSE_UNTIL_ANSWERED = "refuse-until-answered"


class SendingWhilePaused(StrEnum):
    """Whether somebody whose mail is paused on a device may still send from it."""

    ALLOW = "allow"
    REFUSE = "refuse"


class EvidenceGrade(StrEnum):
    """How a claim is known: somebody stated it, somebody saw it, or it was tested."""

    STATED = "stated"
    OBSERVED = "observed"
    TESTED = "tested"


class Variant(StrEnum):
    """Why an order is taken back; chosen when it is, out of texts approved beforehand."""

    MISTAKE = "mistake"
    REASON_GONE = "reason_gone"
    REPLACED = "replaced"


class Go(StrEnum):
    """Who lets the waves follow the first small group."""

    AUTOMATIC = "automatic"
    BY_PERSON = "by-person"


class WavesBy(StrEnum):
    """Who gets the notice in one wave: anybody, or people of one country or one unit."""

    SHARE = "share"
    COUNTRY = "country"
    UNIT = "unit"


class Ramp(StrEnum):
    """How great waves are: all alike, or each twice the one before."""

    EVEN = "even"
    DOUBLING = "doubling"


class Send(StrEnum):
    """What happens at a step before or at the deadline."""

    REMINDER = "reminder"
    LOCK_NOTICE = "lock-notice"
    CLOSE_DOOR = "close-door"


@dataclass(frozen=True, slots=True)
class Texts:
    """One text in several languages; the language "" stands for a text given in no language."""

    entries: tuple[tuple[str, str], ...]

    @property
    def languages(self) -> frozenset[str]:
        """The languages there are."""
        return frozenset(language for language, _ in self.entries if language)

    def in_language(self, language: str, fallback: str) -> str:
        """Return the text in this language, in its main language, or in the fallback.

        Raises LookupError when there is none of them.
        """
        texts = dict(self.entries)
        for wanted in (language, language.split("-", 1)[0], fallback, ""):
            if wanted in texts:
                return texts[wanted]
        raise LookupError(f"no text in {language} and none in {fallback}")


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A part of a whole, in hundredths of a per cent, so that no rounding is hidden in it."""

    per_ten_thousand: int

    def of(self, whole: int) -> int:
        """Return this part of `whole`, rounded up."""
        return -(-whole * self.per_ten_thousand // 10_000)

    def __str__(self) -> str:
        whole, rest = divmod(self.per_ten_thousand, 100)
        return f"{whole}.{rest:02d}".rstrip("0") + "%" if rest else f"{whole}%"


@dataclass(frozen=True, slots=True)
class EachPersonsClock:
    """A deadline at the same hour on everybody's own clock."""

    day: date
    hour: time

    def in_zone(self, zone: str) -> datetime:
        """Return the instant in this IANA zone, in UTC.

        An hour that the clock shows twice counts the second time. A zone that nobody knows gets
        the last place on earth, so that no door closes too early.
        """
        place = zone_or_latest(zone)
        both = (datetime.combine(self.day, self.hour, place).replace(fold=fold) for fold in (0, 1))
        return max(moment.astimezone(UTC) for moment in both)

    def latest(self) -> datetime:
        """Return the instant at which the last place on earth reaches the deadline."""
        return datetime.combine(self.day, self.hour, LATEST_ZONE).astimezone(UTC)

    def earliest(self) -> datetime:
        """Return the instant at which the first place on earth reaches the deadline."""
        return datetime.combine(self.day, self.hour, EARLIEST_ZONE).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class OneInstant:
    """A deadline at the same instant for everybody."""

    at: datetime

    def in_zone(self, zone: str) -> datetime:  # noqa: ARG002 (the same everywhere)
        """Return the instant, in UTC."""
        return self.at.astimezone(UTC)

    def latest(self) -> datetime:
        """Return the instant, in UTC."""
        return self.at.astimezone(UTC)

    def earliest(self) -> datetime:
        """Return the instant, in UTC."""
        return self.at.astimezone(UTC)


Deadline = EachPersonsClock | OneInstant


def zone_or_latest(zone: str) -> ZoneInfo | timezone:
    """Return the zone of this IANA name, or the last place on earth when nobody knows it."""
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return LATEST_ZONE


def zone_name(zone: str) -> str:
    """Return the name under which a database knows the zone that `zone_or_latest` gives."""
    return zone if isinstance(zone_or_latest(zone), ZoneInfo) else "Etc/GMT+12"


@dataclass(frozen=True, slots=True)
class PeopleScope:
    """Which people an order is about; `*` in `countries` means every country.

    Somebody is meant who is in one of `groups` or named in `people` (directory keys or
    addresses), lives in one of `countries`, and is in none of `except_groups`.
    """

    groups: frozenset[str]
    people: frozenset[str]
    countries: frozenset[str]
    except_groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class DeviceScope:
    """Which of their devices; an empty set of platforms means every platform."""

    ownership: frozenset[Ownership]
    platforms: frozenset[Platform]
    reads_mail: bool


@dataclass(frozen=True, slots=True)
class LateJoiners:
    """People who come under the order later: told on the day, with a deadline of their own.

    `until` is the last day on which somebody still joins.
    """

    until: date
    own_notice: timedelta
    cap_per_day: Share


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom and what an order is about."""

    people: PeopleScope
    devices: DeviceScope
    late_joiners: LateJoiners


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim about the app: who said it, where, when, and how it is known."""

    claim: Texts
    said_by: str
    said_on: date
    grade: EvidenceGrade
    via: str
    quote: str
    saved_copy_sha256: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether the maker was asked, and what the answer was; or why nobody asked."""

    asked_at: date | None
    answered_at: date | None
    answer: Texts | None
    not_asked_because: Texts | None


@dataclass(frozen=True, slots=True)
class TimedStep:
    """What is sent or done, so long before everybody's own deadline (zero: at it)."""

    before: timedelta
    send: Send


@dataclass(frozen=True, slots=True)
class ExceptionGranted:
    """Somebody or some group to whom the order does not apply, until a day, on a condition."""

    who: str
    until: date
    approved_by: str
    condition: str


@dataclass(frozen=True, slots=True)
class SignedByName:
    """An identifier that is not confirmed, or a bare name, which a named person answers for."""

    app_id: str
    key: IdentifierKey
    publisher: str
    signed_by: str


@dataclass(frozen=True, slots=True)
class OrderedIdentifier:
    """An identifier by which this order finds its apps, and whether it may close a door."""

    app_id: str
    key: IdentifierKey
    grade: Grade
    may_close: bool


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The policy elsewhere that closes the door, and who looks after it."""

    system: str
    policy: str
    owner: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """How notices leave: hold, first small group, soak, waves."""

    hold: timedelta
    first_group: Share
    soak: timedelta
    wave_size: Share
    wave_every: timedelta
    go: Go
    waves_by: WavesBy = WavesBy.SHARE
    ramp: Ramp = Ramp.EVEN


@dataclass(frozen=True, slots=True)
class OrderDocument:
    """A whole order, as its file says it; see docs/reference/order-file.md for the file."""

    number: OrderNumber | None
    mode: Mode
    enforcement: Enforcement
    handed_over: HandedOver | None
    amends: OrderNumber | None
    replaces: OrderNumber | None
    apps: tuple[str, ...]
    targets: frozenset[TargetKind]
    identifiers: tuple[OrderedIdentifier, ...]
    signed_identifiers: tuple[SignedByName, ...]
    scope: Scope
    languages: frozenset[str]
    fallback_language: str
    title: Texts
    reason: Texts
    evidence: tuple[Evidence, ...]
    hearing: Hearing
    deadline: Deadline
    emergency: Texts | None
    steps: tuple[TimedStep, ...]
    remedies: tuple[Remedy, ...]
    cannot_be_checked: CannotBeChecked
    sending_while_paused: SendingWhilePaused
    exceptions: tuple[ExceptionGranted, ...]
    review_on: date
    corrections: MappingProxyType[Variant, Texts]
    statement: MappingProxyType[Variant, Texts]
    rollout: Rollout
    approvers: tuple[str, ...]
    author_note: str

    @property
    def asks_strictly(self) -> bool:
        """Whether devices that cannot be checked lose mail until somebody answers."""
        return self.cannot_be_checked is CannotBeChecked.REFUSE_UNTIL_ANSWERED
