"""What devices were asked, and what of it they answered: an answer does not repeat its question.

Kept before a question is sent, so that no answer can come to a question that nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from countermand.devices.models import Device, DeviceAlias, Question
from countermand.domain.app_id import Platform
from countermand.domain.inventory import AliasKind


class About(StrEnum):
    """What a device can be asked: which ordered apps it has, or its name at mail doors."""

    APPS = "apps"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it was put; `identifiers` is None when all apps were asked for."""

    identifiers: frozenset[str] | None
    managed_only: bool


def ask(
    source: str,
    enrollment_ids: Iterable[str],
    *,
    command_uuid: str,
    identifiers: Collection[str] | None,
    now: datetime,
    about: About = About.APPS,
) -> None:
    """Keep what devices are about to be asked: durable before the question is sent."""
    Question.objects.bulk_create(
        Question(
            source=source,
            enrollment_id=each,
            command_uuid=command_uuid,
            about=about,
            identifiers=sorted(identifiers) if identifiers is not None else None,
            asked_at=now,
        )
        for each in enrollment_ids
    )


def asked(source: str, enrollment_id: str, command_uuid: str) -> Asked | None:
    """Return which apps a device was asked for by a command; None when it was not us."""
    row = Question.objects.filter(
        source=source,
        enrollment_id=enrollment_id,
        command_uuid=command_uuid,
        about=About.APPS,
    ).first()
    if row is None:
        return None
    identifiers = None if row.identifiers is None else frozenset(row.identifiers)
    return Asked(identifiers, row.managed_only)


def answered(source: str, enrollment_id: str, command_uuid: str, *, now: datetime) -> None:
    """Keep that a question has its answer."""
    Question.objects.filter(
        source=source, enrollment_id=enrollment_id, command_uuid=command_uuid
    ).update(answered_at=now)


@dataclass(frozen=True, slots=True)
class Told:
    """How one kind of question stands with a device; `times` counts those without an answer since.

    `covered` is what the newest question asked for; None is everything.
    """

    answered_at: datetime | None = None
    asked_at: datetime | None = None
    times: int = 0
    covered: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class ToAsk:
    """A device that can be asked, and how its questions stand."""

    enrollment_id: str
    platform: Platform
    apps: Told = field(default_factory=Told)
    name: Told = field(default_factory=Told)
    has_name: bool = False


def to_ask(source: str, *, only: Collection[str] | None = None) -> tuple[ToAsk, ...]:
    """Return the devices of a source, or some of them, with what they were asked last."""
    questions: dict[tuple[str, str], list[Question]] = {}
    put = Question.objects.filter(source=source)
    here = Device.objects.filter(source=source, gone_at__isnull=True)
    if only is not None:
        put, here = put.filter(enrollment_id__in=only), here.filter(source_device_id__in=only)
    for row in put.order_by("asked_at", "pk"):
        questions.setdefault((row.enrollment_id, row.about), []).append(row)
    named = frozenset(
        DeviceAlias.objects.filter(
            device__in=here, kind=AliasKind.EAS_DEVICE_ID, confirmed_by_id__isnull=True
        ).values_list("device_id", flat=True)
    )
    known = {each.value for each in Platform}
    return tuple(
        ToAsk(
            enrollment_id=device.source_device_id,
            platform=Platform(device.platform if device.platform in known else Platform.OTHER),
            apps=_told(questions.get((device.source_device_id, About.APPS), ())),
            name=_told(questions.get((device.source_device_id, About.NAME), ())),
            has_name=device.pk in named,
        )
        for device in here.order_by("pk").iterator(chunk_size=2000)
    )


def _told(asked: Sequence[Question]) -> Told:
    if not asked:
        return Told()
    answered_at = max((row.answered_at for row in asked if row.answered_at), default=None)
    newest = asked[-1]
    return Told(
        answered_at=answered_at,
        asked_at=newest.asked_at,
        times=sum(answered_at is None or row.asked_at > answered_at for row in asked),
        covered=None if newest.identifiers is None else frozenset(newest.identifiers),
    )
