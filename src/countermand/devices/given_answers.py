"""What people said of the ordered apps on their devices, for those who count and follow it up."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from countermand.devices.models import Attestation
from countermand.domain.presence import Answer


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
