"""Which device a word means: an inventory's id, a gate's name, or the letters that a mail shows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Final

from django.db.models import QuerySet

from countermand.devices import sightings
from countermand.devices.models import Device
from countermand.devices.sightings import DOOR_NAMES
from countermand.domain.device_key import normal_device
from countermand.domain.errors import CountermandError, gettext_noop

_MOST_NAMED: Final = 5


@dataclass(eq=False)
class DeviceNameShared(CountermandError):
    """Several devices are called so, of several people perhaps; which one is meant is not said."""

    device: str
    ids: str

    code: ClassVar[str] = "device.name_shared"
    sentence: ClassVar[str] = gettext_noop("Several devices are called “{device}”: {ids}.")
    remedy: ClassVar[str] = gettext_noop("Give the id by which one inventory alone calls it.")


def find(text: str) -> sightings.SeenDevice | None:
    """Find one device by the id that its source gives it, or by a name that gates know.

    A name is found in every spelling that a gate takes for the same, and with an ellipsis before
    it by its last letters, as mails show them. Raises DeviceNameShared.
    """
    word = text.strip()
    rows = Device.objects.filter(gone_at__isnull=True, person_id__isnull=False).order_by("pk")
    short = word.removeprefix("…").removeprefix("...")
    if short != word:
        return _only(rows.filter(short_id__iexact=short), word)
    return _only(rows.filter(source_device_id=word), word) or _only(
        rows.filter(aliases__kind__in=DOOR_NAMES, aliases__value__in=_spellings(word)).distinct(),
        word,
    )


def _spellings(word: str) -> set[str]:
    """Return how a source may have written what a gate knows by this name."""
    normal = normal_device(word)
    plain = {word, normal, normal.encode().hex()}
    return {each for spelled in plain for each in (spelled, spelled.lower(), spelled.upper())}


def _only(rows: QuerySet[Device], word: str) -> sightings.SeenDevice | None:
    found = list(rows[:_MOST_NAMED])
    if len(found) > 1:
        ids = ", ".join(f"{each.source_device_id} ({each.source})" for each in found)
        raise DeviceNameShared(word, ids)
    return sightings.one(found[0].pk, ()) if found else None


def ids_of(device_ids: Collection[int]) -> dict[int, str]:
    """Return how their inventory calls these devices."""
    rows = Device.objects.filter(pk__in=device_ids).values_list("pk", "source_device_id")
    return dict(rows)
