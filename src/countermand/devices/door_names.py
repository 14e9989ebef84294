"""Names by which doors know the devices that somebody uses: SQL for rooms above, to join with.

Offered as a statement, so that a million names never leave the database. A name that only a person
confirmed is no door's: see `links`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from countermand.devices.models import DeviceAlias, Learned
from countermand.domain.device_key import normal_device
from countermand.domain.inventory import AliasKind

# device_id, person_id
USED_DEVICES: Final = """
    SELECT device.id AS device_id, device.person_id
    FROM devices_device device WHERE device.gone_at IS NULL AND device.person_id IS NOT NULL
"""
# name_id, device_id, value
NAMES_OF_SOURCES: Final = """
    SELECT id AS name_id, device_id, value FROM devices_devicealias
    WHERE kind IN ('eas_device_id', 'device_password') AND confirmed_by_id IS NULL
"""
# device_id, value
PASSWORDS_OF_SOURCES: Final = """
    SELECT device_id, value FROM devices_devicealias
    WHERE kind = 'device_password' AND confirmed_by_id IS NULL
"""
# device_id, person_id, value
DOOR_NAMES: Final = f"""
    SELECT used.device_id, used.person_id, name.value
    FROM ({USED_DEVICES}) used JOIN ({NAMES_OF_SOURCES}) name ON name.device_id = used.device_id
"""  # noqa: S608  (constants of ours)


def passwords_of_sources(device_ids: Collection[int]) -> dict[tuple[int, str], frozenset[str]]:
    """Return how sources spell the passwords of these devices, by device and the name at doors."""
    rows = DeviceAlias.objects.filter(
        device_id__in=device_ids, kind=AliasKind.DEVICE_PASSWORD.value, confirmed_by_id=None
    )
    found: dict[tuple[int, str], frozenset[str]] = {}
    for device_id, value in rows.values_list("device_id", "value"):
        name = (device_id, normal_device(value))
        found[name] = found.get(name, frozenset()) | {value}
    return found


def stamp() -> str:
    """Return a text that changes whenever a source was loaded, or somebody answers for a device."""
    learned = Learned.objects.exclude(topic="said").order_by("topic")
    return " ".join(f"{topic}={times}" for topic, times in learned.values_list("topic", "times"))
