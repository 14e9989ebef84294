"""The combinations of facts that are walked through every door, and the one family that is refused.

{presence} x {before, after the deadline} x {told or not} x {let through by a person} x {said "I
removed it"}. Each combination is a device of its own, so that one gate knows them all at once.
"""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

from lab.gates import NOW, Entry, all_that_shuts
from lab.ground import Server
from lab.nginx import address
from lab.people import ASHA, Person
from lab.phone import Phone

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Cell:
    """What is so of one device."""

    presence: str
    after_deadline: bool
    told: bool
    let_through: bool
    said_removed: bool

    @property
    def device(self) -> str:
        """The name of the device of which all this is so."""
        return "cell-" + "-".join(
            str(each).lower()
            for each in (
                self.presence,
                self.after_deadline,
                self.told,
                self.let_through,
                self.said_removed,
            )
        )

    def entry(self) -> Entry:
        """What a gate is told of it."""
        facts = all_that_shuts(
            presence=self.presence,
            closes_at=NOW - HOUR if self.after_deadline else NOW + HOUR,
            noticed_at=NOW - timedelta(days=7) if self.told else None,
            override_until=NOW + HOUR if self.let_through else None,
            attested_at=NOW - HOUR / 2 if self.said_removed else None,
        )
        return Entry(ASHA.login, self.device, facts)


# The one family: the app is there, the time is over, the person was told, and nobody spoke up.
REFUSED = Cell("present", after_deadline=True, told=True, let_through=False, said_removed=False)
YES_NO = (False, True)
CELLS = [
    Cell(*given)
    for given in product(
        ("present", "absent", "unobservable", "unknown"), YES_NO, YES_NO, YES_NO, YES_NO
    )
]
PERSON = Person(ASHA.login, ASHA.password, {each.device: f"of-{each.device}" for each in CELLS})


def active_sync(server: Server, device: str, *, packed: bool) -> bool:
    """Ask as a phone; return whether it was refused, and accept no third answer."""
    phone = Phone(address(server), ASHA.login, "not looked at", device, packed=packed)
    status = phone.folder_sync().status
    assert status in {200, 403}
    return status == 403


def webmail(server: Server, device: str) -> str:
    """Read in a browser, whatever it says about itself: the webmail knows no device."""
    with urllib.request.urlopen(f"{address(server)}/mail/?DeviceId={device}", timeout=60) as answer:
        return str(answer.read().decode())


def by_login(said: str) -> bool:
    """Return whether a login was refused in our words; any other refusal is a fault."""
    assert said == "OK" or "Mail is paused on this device." in said
    return said != "OK"
