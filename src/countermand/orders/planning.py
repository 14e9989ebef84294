"""What an order would do, in numbers, before anything is done; and whom, frozen with its digest.

The figures come from the very function by which doors decide: a device counts as losing mail if
`verdict.decide` would shut its door at the deadline with everything that is known today.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from countermand.audit import queries as log
from countermand.config import Settings
from countermand.domain import order_document, plan, revision, schedule
from countermand.domain.approvals import Role, needed
from countermand.domain.errors import Fault, FaultsFound, gettext_noop
from countermand.domain.order_parts import OrderDocument, Ramp, WavesBy
from countermand.domain.order_sections import EMERGENCY_NOTICE, MINIMUM_NOTICE
from countermand.domain.phases import Enforcement
from countermand.domain.plain_values import plain
from countermand.notices import copy_lint, wording
from countermand.notices.actions import MessageIds
from countermand.notices.preview import Signed
from countermand.notices.wording import House, Signatory
from countermand.orders import days_off, documents, door_outlook, house_settings, plan_counts
from countermand.orders.models import Order
from countermand.orders.plan_counts import Listed
from countermand.people import queries as people
from countermand.people.queries import PersonView

# Groups whose members a plan names one by one, so that nobody is surprised.
_NAMED_ONE_BY_ONE: Final = frozenset({"vip", "board", "executives", "management"})
_MOST_NAMED: Final = 50
# Doors shut on positive evidence alone (`domain.verdict`), so no order may announce anything else.
_NO_DOOR_SHUTS_ON_SILENCE: Final = Fault(
    code="order.no_door_shuts_on_silence",
    sentence=gettext_noop(
        "No door shuts where the app cannot be checked, so “refuse-until-answered” would announce"
        " what does not happen."
    ),
    remedy=gettext_noop("Write “ask”: whoever cannot be checked is reminded, and keeps mail."),
    key="cannot_be_checked",
)
# No push gate exists yet, and mails would say that mail pauses.
_NO_DOOR_OF_A_CLOUD: Final = Fault(
    code="order.no_door_of_a_cloud",
    sentence=gettext_noop(
        "This version closes no door of a mail service in the cloud, so “cloud” would announce what"
        " does not happen."
    ),
    remedy=gettext_noop(
        "Write “handed-over” and name the policy that closes there, or write “none”."
    ),
    key="enforcement",
)


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What the organisation adds to every order: how it speaks, and who sends."""

    house: House
    sender: Mapping[str, str]
    ids: MessageIds
    limits: Mapping[str, int] = field(default_factory=dict)  # mails a minute, by domain
    help_desk_hours: str = ""  # such as 08:00-20:00; empty for at any time
    faults: tuple[Fault, ...] = ()  # of the settings that mails carry


@dataclass(frozen=True, slots=True)
class PlannedPerson:
    """One line of the frozen list; wave 0 is the first small group."""

    person_id: int
    wave: int
    reason: str
    own_deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan: the document with its number, its figures, the frozen list and the digest."""

    document: OrderDocument
    people: tuple[PlannedPerson, ...]
    figures: dict[str, Any]
    content: dict[str, Any]
    digest: str
    affected_root: str

    @property
    def first_deadline_at(self) -> datetime:
        """The earliest instant at which a door may close."""
        return min(person.own_deadline_at for person in self.people)

    @property
    def last_deadline_at(self) -> datetime:
        """The latest own deadline of all."""
        return max(person.own_deadline_at for person in self.people)


def plan_of(
    document: OrderDocument, *, order: Order, now: datetime, context: PlanContext
) -> Planned:
    """Compute the plan of a document from what is known of people and devices at `now`.

    Raises FaultsFound when the time to act or the languages do not suffice for these people, or
    when no mail could carry the settings.
    """
    if context.faults:
        raise FaultsFound.of(gettext_noop("This order"), context.faults)
    document = documents.numbered(document, order.number)
    always = (order.author_id, _one_approver(document, order.author_id))
    known = plan_counts.people_concerned(
        document,
        always=[person for person in always if person is not None],
        one_by_one=_NAMED_ONE_BY_ONE,
        now=now,
    )
    listed = plan.affected(
        [each.candidate for each in known if each.is_meant],
        author_id=always[0],
        approver_id=always[1],
    )
    on_list = [each for each in known if each.person_id in listed]
    _check(document, on_list, now)
    refs = log.person_refs(listed)
    seed = revision.revision_digest({"order": plain(document), "people": sorted(refs.values())})
    waves = _waves(document, on_list, seed, always)
    root = revision.affected_root(
        revision.AffectedLine(refs[person], waves[person], why.value)
        for person, why in listed.items()
    )
    content = order_document.content(
        document,
        affected_root=root,
        words_digest=wording.words_digest(context.house),
        sender=context.sender,
    )
    _check_copy(document, content, order, context, now)
    lines = tuple(_lines(document, on_list, waves, listed))
    return Planned(
        document=document,
        people=lines,
        figures=_figures(document, on_list, lines, context, now),
        content=content,
        digest=revision.revision_digest(content),
        affected_root=root,
    )


def _lines(
    document: OrderDocument,
    on_list: Sequence[Listed],
    waves: Mapping[int, int],
    listed: Mapping[int, plan.AffectedBy],
) -> Iterator[PlannedPerson]:
    """Yield the frozen list; whoever shares zone, country and absence shares the deadline."""
    deadlines: dict[tuple[str, str, date | None], datetime] = {}
    for each in on_list:
        key = (each.zone, each.country, each.absent_until)
        if key not in deadlines:
            deadlines[key] = schedule.own_deadline(
                document.deadline,
                each.zone,
                absent_until=each.absent_until,
                works_on=days_off.works_on(each.country),
            )
        yield PlannedPerson(
            person_id=each.person_id,
            wave=waves[each.person_id],
            reason=listed[each.person_id].value,
            own_deadline_at=deadlines[key],
        )


def _check_copy(
    document: OrderDocument,
    content: Mapping[str, Any],
    order: Order,
    context: PlanContext,
    now: datetime,
) -> None:
    """Refuse an order whose mails would look forged, or untrue. Raises FaultsFound."""
    author = people.by_ids([order.author_id]).get(order.author_id)
    issued_by = Signatory(author.name, author.local_name, author.unit) if author else Signatory("-")
    faults = copy_lint.lint_order(
        content,
        order.number,
        house=context.house,
        app_names=documents.app_names(document),
        signed=Signed(issued_by=issued_by),
        now=now,
    )
    if document.enforcement is Enforcement.GATE and document.asks_strictly:
        faults = (*faults, _NO_DOOR_SHUTS_ON_SILENCE)
    if document.enforcement is Enforcement.CLOUD:
        faults = (*faults, _NO_DOOR_OF_A_CLOUD)
    if faults:
        raise FaultsFound.of(gettext_noop("This order"), faults)


def own_deadline(
    document: OrderDocument, person: PersonView, *, told_at: datetime | None = None
) -> datetime:
    """Return when this person must have acted; `told_at` is given for late joiners alone."""
    return schedule.own_deadline(
        document.deadline,
        person.zone,
        told_at=told_at,
        own_notice=document.scope.late_joiners.own_notice if told_at else None,
        absent_until=person.absent_until,
        works_on=days_off.works_on(person.country),
    )


def promised_deadline(
    document: OrderDocument, person: PersonView, *, told_at: datetime, is_late: bool
) -> datetime:
    """Return the deadline that a mail which leaves at `told_at` may name.

    A rollout that took long, or a pause, never costs anybody the notice that was promised.
    """
    own = own_deadline(document, person, told_at=told_at if is_late else None)
    return schedule.with_notice(
        own,
        document.deadline,
        person.zone,
        told_at=told_at,
        least=least_notice(document),
        works_on=days_off.works_on(person.country),
    )


def least_notice(document: OrderDocument) -> timedelta:
    """Return how long everybody has at least between being told and their deadline."""
    return MINIMUM_NOTICE if document.emergency is None else EMERGENCY_NOTICE


def _one_approver(document: OrderDocument, author_id: int) -> int | None:
    """Return the first of the people named to approve who is known and did not write the order."""
    known = _ids_of(document.approvers)
    return next(
        (known[a] for a in document.approvers if known.get(a) not in {None, author_id}), None
    )


def _ids_of(addresses: Iterable[str]) -> dict[str, int]:
    """Return who is behind each of a few addresses; those of nobody are left out."""
    found = {}
    for address in addresses:
        with suppress(people.PersonNotKnown):
            found[address] = people.person(address).id
    return found


def _check(document: OrderDocument, on_list: Sequence[Listed], now: datetime) -> None:
    faults = plan.plan_faults(
        document,
        languages=(each.language for each in on_list),
        zones=(each.zone for each in on_list),
        now=now,
    )
    if faults:
        raise FaultsFound.of(document.number.text if document.number else "", faults)


def _waves(
    document: OrderDocument,
    on_list: Sequence[Listed],
    seed: str,
    always: Sequence[int | None],
) -> Mapping[int, int]:
    candidates = [each.candidate for each in on_list]
    first = plan.first_group(
        candidates,
        digest=seed,
        share=document.rollout.first_group,
        always=[person for person in always if person is not None],
    )
    ids = [each.person_id for each in on_list]
    return plan.waves(
        ids,
        digest=seed,
        first=first,
        share=document.rollout.wave_size,
        groups=_groups(document, on_list),
        doubles=document.rollout.ramp is Ramp.DOUBLING,
    )


def _groups(document: OrderDocument, on_list: Sequence[Listed]) -> Mapping[int, str]:
    """Return the group of waves of everybody: their country or unit, or none at all."""
    match document.rollout.waves_by:
        case WavesBy.SHARE:
            return {}
        case WavesBy.COUNTRY:
            return {each.person_id: each.country for each in on_list}
        case WavesBy.UNIT:
            return {each.person_id: each.unit for each in on_list}


def _figures(
    document: OrderDocument,
    on_list: Sequence[Listed],
    lines: Sequence[PlannedPerson],
    context: PlanContext,
    now: datetime,
) -> dict[str, Any]:
    counts = plan_counts.devices_in_scope(document, now=now)
    deadlines = {line.person_id: line.own_deadline_at for line in lines}
    need = needed(
        len(lines),
        min(deadlines.values()) - now,
        refuse_until_answered=document.asks_strictly,
    )
    return {
        "people": len(lines),
        "people_in_scope": plan_counts.people_in_scope(document, now=now),
        "devices": counts.devices,
        "by_platform": counts.by_platform,
        "by_ownership": counts.by_ownership,
        "by_country": counts.by_country,
        "by_language": dict(Counter(each.language for each in on_list)),
        "would_lose_mail": {"people": counts.losing_people, "devices": counts.losing_devices},
        "enforcement": document.enforcement.value,
        "present_without_door_name": plan_counts.present_without_door_name(document, now=now),
        "deadlines": _by_zone(on_list, deadlines),
        "absent": _absent(on_list, deadlines),
        "named": [each.person_id for each in on_list if each.is_named][:_MOST_NAMED],
        "first_group": [line.person_id for line in lines if line.wave == 0],
        "waves": max(line.wave for line in lines),
        "languages": sorted(document.languages),
        "asks_strictly": document.asks_strictly,
        "need": {"count": need.count, "outside_it": need.outside_it},
        "mail_reading": door_outlook.doors_that_know(now),
        "approvers_not_known": _approvers_not_known(document),
        "days_off": days_off.days_off(
            (each.country, each.zone, deadlines[each.person_id]) for each in on_list
        ),
        "outside_hours": days_off.outside_hours(
            ((each.zone, deadlines[each.person_id]) for each in on_list), context.help_desk_hours
        ),
        "made_at": now.isoformat(),
    }


def _by_zone(
    on_list: Sequence[Listed], deadlines: Mapping[int, datetime]
) -> dict[str, dict[str, Any]]:
    zones: dict[str, list[datetime]] = {}
    for each in on_list:
        zones.setdefault(each.zone, []).append(deadlines[each.person_id])
    return {
        zone: {"first": min(found).isoformat(), "people": len(found)}
        for zone, found in sorted(zones.items())
    }


def _absent(on_list: Sequence[Listed], deadlines: Mapping[int, datetime]) -> dict[str, Any]:
    out = [each for each in on_list if each.absent_until is not None]
    away = [
        each
        for each in out
        if each.absent_until and each.absent_until >= deadlines[each.person_id].date()
    ]
    return {"people": len(out), "beyond_deadline": len(away)}


def _approvers_not_known(document: OrderDocument) -> list[str]:
    known = _ids_of(document.approvers)
    may = frozenset(people.people_with_role(Role.APPROVER))
    return [
        address
        for address in document.approvers
        if address not in known or known[address] not in may
    ]


def context_of(settings: Settings) -> PlanContext:
    """Return the context that the settings give."""
    return PlanContext(
        house=wording.house_of(settings),
        sender={
            "from": settings.mail_from,
            "from_name": settings.mail_from_name,
            "reply_to": settings.reply_to,
        },
        ids=MessageIds(
            domain=settings.mail_domain, key=settings.folder.secret("message-id-key").encode()
        ),
        limits=settings.mails_per_minute,
        help_desk_hours=settings.help_desk_hours,
        faults=house_settings.faults_of(settings),
    )
