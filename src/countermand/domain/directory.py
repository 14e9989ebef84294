"""One member of staff as a directory's export says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from countermand.domain.address import LONGEST
from countermand.domain.device_key import normal_login

# The group of everybody, where a directory knows no groups.
EVERYBODY: Final = "all-staff"
# When somebody left whose account is switched off, and of whom no day is said.
LONG_AGO: Final = date(1970, 1, 1)
# A longer key is refused: cut, it could be that of somebody else.
LONGEST_KEY: Final = 200


@dataclass(slots=True)  # not frozen: of a million people that takes as long as reading a field
class PersonRecord:
    """A person, parsed; addresses in lower case, language BCP 47, zone IANA, country two letters.

    `other_addresses` are all further names of this form, `second_mailboxes` those at which mail
    arrives. `logins` are names to log in to mail with beside the address, as `logins_beside` makes
    them. `manager` and `delegates` are keys or addresses as the file gives them, in lower case;
    delegates read this person's mail as well. With `knows_no_leave` an empty `absent_until` says
    nothing: what is known from elsewhere stays.
    """

    uid: str
    name: str
    address: str
    local_name: str = ""
    other_addresses: tuple[str, ...] = ()
    second_mailboxes: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    language: str = "en"
    country: str = ""
    zone: str = "UTC"
    groups: tuple[str, ...] = ()
    unit: str = ""
    manager: str = ""
    delegates: tuple[str, ...] = ()
    absent_until: date | None = None
    knows_no_leave: bool = False
    left_on: date | None = None


def logins_beside(address: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names to log in with that differ from the address, each once, as doors fold them.

    A domain before a name stays: whose that name is in another domain is not known here. What is
    empty, too long or not printable is no login.
    """
    others = [name for name in names if name and name.lower() != address]
    if not others:
        return ()
    folded = dict.fromkeys(map(normal_login, others))
    folded.pop(normal_login(address), None)
    return tuple(name for name in folded if 0 < len(name) <= LONGEST and name.isprintable())
