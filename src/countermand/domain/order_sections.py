"""Reads the sections of an order file: scope, deadline, steps, hearing, evidence, rollout.

A deadline can only be kept if it names an hour and a clock and leaves time to act: what is read
here is judged in the kindest way, by the last place on earth; the plan judges again with the
zones of the people affected.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from countermand.domain.app_id import BARE_NAMES, IdentifierKey, IdentifierNotUnderstood, Platform
from countermand.domain.approvals import USUAL_POLICY
from countermand.domain.errors import gettext_noop
from countermand.domain.order_fields import LONGEST_TEXT, Fields
from countermand.domain.order_parts import (
    Deadline,
    DeviceScope,
    EachPersonsClock,
    Evidence,
    EvidenceGrade,
    ExceptionGranted,
    Go,
    HandedOver,
    Hearing,
    LateJoiners,
    OneInstant,
    Ownership,
    PeopleScope,
    Ramp,
    Rollout,
    Scope,
    Send,
    Share,
    SignedByName,
    TimedStep,
    WavesBy,
)
from countermand.domain.phases import DOORS_OF_OURS, Enforcement

MINIMUM_NOTICE: Final = USUAL_POLICY.short_notice
EMERGENCY_NOTICE: Final = timedelta(hours=2)
SHORTEST_HOLD: Final = timedelta(minutes=10)
LOCK_NOTICE_LEAD: Final = timedelta(minutes=30)
# Where the day begins first, clocks are so far ahead.
_FIRST_TO_WAKE: Final = timedelta(hours=14)
_DAY_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EVERYTHING: Final = "*"
_HOUR: Final = timedelta(hours=1)


class _Clock(StrEnum):
    EACH_PERSON = "each-person"


def read_scope(fields: Fields, review_on: date) -> Scope:
    """Read whom and what the order is about; saying nothing about people is a fault."""
    people, devices = fields.part("people"), fields.part("devices")
    late = fields.part("late_joiners")
    scope = Scope(
        people=PeopleScope(
            groups=frozenset(people.words("groups")),
            people=frozenset(people.words("people")),
            countries=frozenset(people.words("countries")) or frozenset({_EVERYTHING}),
            except_groups=frozenset(people.words("except_groups")),
        ),
        devices=DeviceScope(
            ownership=frozenset(devices.choices("ownership", Ownership)) or frozenset(Ownership),
            platforms=_platforms(devices),
            reads_mail=devices.flag("reads_mail", default=True),
        ),
        late_joiners=_late_joiners(late, review_on),
    )
    if not scope.people.groups and not scope.people.people:
        fields.fault("order.audience_missing", "people")
    for part in (people, devices, late, fields):
        part.finish()
    return scope


def _platforms(devices: Fields) -> frozenset[Platform]:
    if devices.words("platforms") == [_EVERYTHING]:
        return frozenset()
    return frozenset(devices.choices("platforms", Platform))


def _late_joiners(fields: Fields, review_on: date) -> LateJoiners:
    until = fields.raw("until")
    own_notice = fields.duration("own_notice", default=MINIMUM_NOTICE)
    if own_notice < MINIMUM_NOTICE:
        fields.outside("own_notice", gettext_noop("72h or more"))
    return LateJoiners(
        until=review_on if until in (None, "review_on") else fields.day("until"),
        own_notice=own_notice,
        cap_per_day=fields.share("cap_per_day", default=Share(200)),
    )


def read_deadline(document: Fields, *, is_emergency: bool, now: datetime) -> Deadline | None:
    """Read the deadline; None when it is not understood, which is a fault by then."""
    if not document.has("deadline"):
        document.fault("order.deadline_missing", "deadline")
        return None
    fields = document.part("deadline")
    text = str(fields.raw("at") or "")
    each = fields.has("clock") and bool(fields.choice("clock", _Clock))
    fields.finish()
    if not text:
        document.fault("order.deadline_missing", "deadline")
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fields.odd("at", text, gettext_noop("a day and an hour such as 2026-12-10T17:00"))
        return None
    deadline = _deadline_of(fields, text, at, is_each_persons=each)
    _check_time_to_act(fields, deadline, is_emergency=is_emergency, now=now)
    return deadline


def _deadline_of(fields: Fields, text: str, at: datetime, *, is_each_persons: bool) -> Deadline:
    if _DAY_ONLY.fullmatch(text):
        fields.fault("order.deadline_hour_missing", "at", value=text)
        at = datetime.combine(at.date(), time(23, 59))
    if at.tzinfo is not None:
        if is_each_persons:
            fields.fault("order.deadline_two_clocks", "at", value=text)
        return OneInstant(at.astimezone(UTC))
    if not is_each_persons:
        fields.fault("order.deadline_zone_missing", "at", value=text)
    return EachPersonsClock(at.date(), at.time())


def _check_time_to_act(
    fields: Fields, deadline: Deadline, *, is_emergency: bool, now: datetime
) -> None:
    left = deadline.latest() - now
    needed = EMERGENCY_NOTICE if is_emergency else MINIMUM_NOTICE
    if left >= needed:
        return
    if left < EMERGENCY_NOTICE and is_emergency:
        fields.fault("order.deadline_past", "at", needed=str(needed // _HOUR))
    else:
        hours = max(left, timedelta(0)) // _HOUR
        fields.fault("order.deadline_too_soon", "at", hours=str(hours), needed=str(needed // _HOUR))


def default_steps(enforcement: Enforcement) -> tuple[TimedStep, ...]:
    """Return the steps of an order whose file names none."""
    reminders = (
        TimedStep(timedelta(hours=72), Send.REMINDER),
        TimedStep(timedelta(hours=24), Send.REMINDER),
    )
    if enforcement not in DOORS_OF_OURS:
        return reminders
    return (
        *reminders,
        TimedStep(timedelta(minutes=45), Send.LOCK_NOTICE),
        TimedStep(timedelta(0), Send.CLOSE_DOOR),
    )


def read_steps(document: Fields, enforcement: Enforcement) -> tuple[TimedStep, ...]:
    """Read what is sent and done before and at the deadline, the earliest first."""
    if not document.has("steps"):
        return default_steps(enforcement)
    steps = [step for fields in document.parts("steps") if (step := _step(fields, enforcement))]
    if enforcement in DOORS_OF_OURS:
        if not any(step.send is Send.LOCK_NOTICE for step in steps):
            document.fault("order.lock_notice_missing", "steps")
        if not any(step.send is Send.CLOSE_DOOR for step in steps):
            steps.append(TimedStep(timedelta(0), Send.CLOSE_DOOR))
    return tuple(sorted(steps, key=lambda step: (-step.before, step.send)))


def _step(fields: Fields, enforcement: Enforcement) -> TimedStep | None:
    at = fields.raw("at")
    offset = timedelta(0) if at == "deadline" else fields.duration("at", default=timedelta(0))
    what, closes = fields.raw("send"), fields.raw("close")
    fields.finish()
    if at is None:
        fields.missing("at", "a time such as -24h, or deadline")
    if offset > timedelta(0):
        fields.fault("order.step_after_deadline", "at")
    if closes == "door" and what is None:
        send = Send.CLOSE_DOOR
    elif what in {Send.REMINDER.value, Send.LOCK_NOTICE.value} and closes is None:
        send = Send(what)
    else:
        fields.fault("order.step_unclear", "send" if what is not None else "close")
        return None
    _check_step(fields, -offset, send, enforcement)
    return TimedStep(-offset, send)


def _check_step(fields: Fields, before: timedelta, send: Send, enforcement: Enforcement) -> None:
    if send is not Send.REMINDER and enforcement in {Enforcement.NONE, Enforcement.HANDED_OVER}:
        fields.fault("order.nobody_closes", "at", enforcement=enforcement)
    elif send is Send.CLOSE_DOOR and before:
        fields.fault("order.close_not_at_deadline", "at")
    elif send is Send.LOCK_NOTICE and before < LOCK_NOTICE_LEAD:
        fields.fault("order.lock_notice_too_late", "at")


def read_hearing(document: Fields, *, now: datetime) -> Hearing:
    """Read whether the maker was asked; one of the two must be filled, and have happened."""
    fields = document.part("hearing")
    hearing = Hearing(
        asked_at=fields.day_or_none("asked_at"),
        answered_at=fields.day_or_none("answered_at"),
        answer=fields.texts("answer", bare=True) if fields.has("answer") else None,
        not_asked_because=(
            fields.texts("not_asked_because") if fields.has("not_asked_because") else None
        ),
    )
    fields.finish()
    if hearing.asked_at is None and hearing.not_asked_because is None:
        document.fault("order.hearing_missing", "hearing")
    if (hearing.answer is None) != (hearing.answered_at is None) or (
        hearing.answer is not None and hearing.asked_at is None
    ):
        fields.fault("order.hearing_answer_odd", "answer")
    today = (now + _FIRST_TO_WAKE).date()
    asked, answered = hearing.asked_at or today, hearing.answered_at or today
    if not asked <= answered <= today:
        fields.fault("order.hearing_out_of_order", "asked_at")
    return hearing


def read_evidence(document: Fields) -> tuple[Evidence, ...]:
    """Read the claims; there must be one."""
    if not document.has("evidence"):
        document.fault("order.evidence_missing", "evidence")
        return ()
    return tuple(_claim(fields) for fields in document.parts("evidence"))


def _claim(fields: Fields) -> Evidence:
    saved = fields.line("saved_copy_sha256")
    if saved and not _SHA256.fullmatch(saved):
        fields.odd("saved_copy_sha256", saved, gettext_noop("the SHA-256 as 64 hexadecimal digits"))
    if not fields.has("claim"):
        fields.missing("claim", "one sentence")
    claim = Evidence(
        claim=fields.texts("claim", bare=True),
        said_by=fields.line("said_by", hint=gettext_noop("who said it")),
        said_on=fields.day("said_on", hint=gettext_noop("the day on which it was said")),
        grade=fields.choice("grade", EvidenceGrade),
        via=fields.line("via"),
        quote=fields.line("quote", longest=LONGEST_TEXT),
        saved_copy_sha256=saved,
    )
    fields.finish()
    return claim


def read_rollout(document: Fields) -> Rollout:
    """Read how notices leave; whatever is not said is careful by default."""
    fields = document.part("rollout")
    rollout = Rollout(
        hold=fields.duration("hold", default=SHORTEST_HOLD),
        first_group=fields.share("first_group", default=Share(100)),
        soak=fields.duration("soak", default=timedelta(minutes=30)),
        wave_size=fields.share("wave_size", default=Share(1000)),
        wave_every=fields.duration("wave_every", default=timedelta(minutes=30)),
        go=fields.choice("go", Go, default=Go.BY_PERSON),
        waves_by=fields.choice("waves_by", WavesBy, default=WavesBy.SHARE),
        ramp=fields.choice("ramp", Ramp, default=Ramp.EVEN),
    )
    if rollout.hold < SHORTEST_HOLD:
        fields.outside("hold", gettext_noop("10min or more"))
    if rollout.first_group > Share(2000):
        fields.outside("first_group", gettext_noop("20% or less"))
    for name in ("soak", "wave_every"):
        if fields.duration(name, default=_HOUR) < timedelta(0):
            fields.outside(name, gettext_noop("a time of 0min or more"))
    fields.finish()
    return rollout


def read_exceptions(document: Fields) -> tuple[ExceptionGranted, ...]:
    """Read to whom the order does not apply; each with an end and a name."""
    found = []
    for fields in document.parts("exceptions"):
        exception = ExceptionGranted(
            who=fields.line("who", hint=gettext_noop("a group or an address")),
            until=fields.day("until", hint=gettext_noop("a day")),
            approved_by=fields.line("approved_by", hint=gettext_noop("who granted it")),
            condition=fields.line("condition"),
        )
        fields.finish()
        found.append(exception)
    return tuple(found)


def read_handed_over(document: Fields, enforcement: Enforcement) -> HandedOver | None:
    """Read which policy closes the door elsewhere."""
    is_handed_over = enforcement is Enforcement.HANDED_OVER
    fields = document.part("handed_over")
    policy = HandedOver(
        system=fields.line("system"), policy=fields.line("policy"), owner=fields.line("owner")
    )
    fields.finish()
    if is_handed_over and not (policy.system and policy.policy and policy.owner):
        document.fault("order.handed_over_not_named", "handed_over")
    if not is_handed_over and document.has("handed_over"):
        document.fault("order.handed_over_unneeded", "handed_over", enforcement=enforcement)
    return policy if is_handed_over else None


def read_signed(document: Fields, apps: tuple[str, ...]) -> tuple[SignedByName, ...]:
    """Read who answers for identifiers that are not confirmed, and for bare names."""
    found = []
    for fields in document.parts("signed_identifiers"):
        app = fields.line("app") or (apps[0] if len(apps) == 1 else "")
        text = fields.line(
            "identifier", hint=gettext_noop("such as android_package:com.example.clips")
        )
        publisher, signed_by = fields.line("publisher"), fields.line("signed_by")
        fields.finish()
        key = read_identifier(fields, "identifier", text)
        if app not in apps:
            fields.odd("app", app, f"one of: {', '.join(apps)}")
        if not signed_by:
            fields.fault("order.identifier_not_signed", "signed_by", identifier=text)
        if key is not None and key.kind in BARE_NAMES and not publisher:
            fields.fault("order.publisher_missing", "publisher", identifier=text)
        if key is not None:
            found.append(SignedByName(app, key, publisher, signed_by))
    return tuple(found)


def read_identifier(fields: Fields, name: str, text: str) -> IdentifierKey | None:
    """Read one identifier with its kind; None when it is not understood, which is a fault."""
    if not text:
        return None
    try:
        return IdentifierKey.parse(text)
    except IdentifierNotUnderstood:
        fields.odd(
            name,
            text,
            gettext_noop("a kind and a value, such as android_package:com.example.clips"),
        )
        return None
