"""What an order tells about one door, and what came of telling it."""

from __future__ import annotations

from dataclasses import dataclass

from countermand.domain.verdict import EntryFacts


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """One way in which one device of one person reads mail, and what is known of the device.

    `login` and `device` may come in any spelling; `device` is an ActiveSync id or the name of a
    device password. A device with two ways in has two of these.
    """

    login: str
    device: str
    device_id: int
    person_id: int
    entry: EntryFacts


@dataclass(frozen=True, slots=True)
class DoorEntryRow:
    """One entry with the door that it belongs to."""

    login: str
    device: str
    device_id: int
    person_id: int
    entry: EntryFacts


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one compilation changed; `doubtful` doors were claimed by two devices and stay open.

    `without_key` facts named no device that a door could ever recognise. `version` is that of
    the feed afterwards. `no_longer_present` are entries as they were, of doors that were told of
    the app on a device and are told so no more.
    """

    written: int
    removed: int
    doubtful: int
    without_key: int
    version: int
    no_longer_present: tuple[DoorEntryRow, ...] = ()
