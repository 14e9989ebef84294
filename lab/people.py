"""Who works in the lab: invented people, their passwords, and the devices they read mail on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox with its main password, and a password for each device, by device."""

    login: str
    password: str
    devices: dict[str, str]

    @property
    def name(self) -> str:
        """The part before the @."""
        return self.login.partition("@")[0]


ASHA: Final = Person(
    "asha.verma@example.org",
    "main-of-asha",
    {"applphone7f3a": "of-the-phone", "laptop11c0": "of-the-laptop"},
)
RAVI: Final = Person(
    "ravi.kulkarni@example.org", "main-of-ravi", {"androidtablet90aa": "of-the-tablet"}
)
PEOPLE: Final = (ASHA, RAVI)
PHONE: Final = "applphone7f3a"
LAPTOP: Final = "laptop11c0"
TABLET: Final = "androidtablet90aa"
