"""One member of staff as a directory's export says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person, parsed; addresses in lower case, language BCP 47, zone IANA, country two letters.

    `manager` is the manager's key or address as the file gives it.
    """

    uid: str
    name: str
    address: str
    local_name: str = ""
    other_addresses: tuple[str, ...] = ()
    language: str = "en"
    country: str = ""
    zone: str = "UTC"
    groups: tuple[str, ...] = ()
    unit: str = ""
    manager: str = ""
    absent_until: date | None = None
    left_on: date | None = None
