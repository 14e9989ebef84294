"""What people say of the ordered apps on their devices: kept, counted, and followed up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import transaction

from countermand.audit import actions as audit
from countermand.devices.models import Attestation, Device
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.presence import Answer


@dataclass(eq=False)
class DeviceNotKnown(CountermandError):
    """There is no such device."""

    device: str

    code: ClassVar[str] = "devices.device_not_known"
    sentence: ClassVar[str] = gettext_noop("No device “{device}” is known here.")
    remedy: ClassVar[str] = gettext_noop("Look it up in the list of the person's devices.")


@transaction.atomic
def record(
    *, device_id: int, person_id: int, app_id: str, answer: Answer, actor_id: int, now: datetime
) -> int:
    """Keep what a person said about an app on a device; return the key of the record.

    `actor_id` is whoever wrote it down: the person, or the help desk. Raises DeviceNotKnown.
    """
    if not Device.objects.filter(pk=device_id).exists():
        raise DeviceNotKnown(device=str(device_id))
    said = Attestation.objects.create(
        device_id=device_id, person_id=person_id, app_id=app_id, answer=answer.value, said_at=now
    )
    audit.record(
        "device.answered",
        actor_id=actor_id,
        facts={"device": device_id, "app": app_id, "answer": answer.value},
        now=now,
    )
    return int(said.pk)


def count_of(person_id: int, *, since: datetime) -> int:
    """Count how often a person said something, or somebody for them, since an instant."""
    rows = Attestation.objects.filter(person_id=person_id, said_at__gt=since)
    return rows.values("device_id", "said_at", "answer").distinct().count()


def last_by_device(
    device_ids: Collection[int], app_ids: Collection[str], *, since: datetime
) -> dict[int, Answer]:
    """Return what was last said of each device about any of these apps, from an instant on."""
    rows = Attestation.objects.filter(
        device_id__in=device_ids, app_id__in=app_ids, said_at__gte=since
    )
    said = rows.order_by("said_at", "pk").values_list("device_id", "answer")
    return {device_id: Answer(answer) for device_id, answer in said}
