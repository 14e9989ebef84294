"""Where somebody whom an order reached is told that it is over: whoever changed address, at both.

But never in a mailbox that is somebody else's by now: they would learn of an order only through
its end, and read what is true for another. Such a mail is written down and never leaves, so that
the record says so; whoever has no other address is called by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from countermand.domain.address import folded_name
from countermand.people import queries as people
from countermand.people.queries import PersonView


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address at which somebody was told, or has now; one that is not theirs gets no mail."""

    address: str
    is_theirs: bool


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """Whose the addresses of some people are by now."""

    owners: Mapping[str, int]  # whose own address it is
    holders: Mapping[str, int]  # who has it beside their own; of addresses that are nobody's own

    @classmethod
    def of(cls, told: Iterable[tuple[str, PersonView]]) -> Self:
        """Look up the addresses at which people were told of an order, and their others."""
        pairs = [(folded_name(address), person) for address, person in told]
        seconds = {address for _, person in pairs for address in person.second_mailboxes}
        left = {address for address, person in pairs if address != person.address}
        owners = people.owners_of(left | seconds)
        nobodys = {
            address
            for address, person in pairs
            if address not in {person.address, *person.other_addresses} and address not in owners
        }
        return cls(owners, people.ids_at_addresses(nobodys) if nobodys else {})

    def of_person(self, told_at: str, person: PersonView) -> tuple[Mailbox, ...]:
        """Return where somebody was told of an order, and then what else is theirs.

        A notice may have gone to the other spelling of a domain: that is no second mailbox.
        """
        as_written = {folded_name(told_at): told_at}
        for address in (person.address, *person.second_mailboxes):
            if self._is_theirs(address, person):
                as_written.setdefault(folded_name(address), address)
        return tuple(
            Mailbox(address, is_theirs=self._is_theirs(folded, person))
            for folded, address in as_written.items()
        )

    def _is_theirs(self, address: str, person: PersonView) -> bool:
        if address.endswith(people.NOWHERE):  # a place-holder is no address
            return False
        if address == person.address:
            return True
        if address in self.owners or address in person.other_addresses:
            return self.owners.get(address, person.id) == person.id
        return self.holders.get(address, person.id) == person.id
