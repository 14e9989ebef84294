"""Who else uses a device, and on whose device somebody's mail is read, as a mail may say it.

A shared device is told of to its custodian. Of an assistant's phone that reads a director's mail
both are told, each in words of their own: its holder what was found, the director only that the
phone reads their mail too. What is on the phone of another is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from countermand.devices import links
from countermand.domain.order_parts import OrderDocument
from countermand.domain.presence import Presence
from countermand.notices.wording import KnownDevice
from countermand.orders.cells import PersonCells, cells_of
from countermand.people.queries import MailReader

_T = TypeVar("_T")


def _nothing() -> Mapping[int, tuple[_T, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Beside:
    """What is to be said beside: by device, by holder, and by the owner of a mailbox."""

    in_custody: frozenset[int] = frozenset()
    reads_mail_of: Mapping[int, tuple[str, ...]] = field(default_factory=_nothing)
    read_on: Mapping[int, tuple[KnownDevice, ...]] = field(default_factory=_nothing)


def beside(
    document: OrderDocument, wholes: Sequence[PersonCells], readers: Collection[MailReader] = ()
) -> Beside:
    """Return what is to be said to these people; `readers` are all who read the mail of others."""
    here = {whole.person.id for whole in wholes}
    theirs = [each for each in readers if each.owner_id in here and each.holder_id != each.owner_id]
    known = {whole.person.id: whole for whole in wholes}
    missing = {each.holder_id for each in theirs} - known.keys()
    known |= {whole.person.id: whole for whole in cells_of(document, missing)} if missing else {}
    return Beside(
        in_custody=links.in_custody(
            [cell.device.id for whole in wholes for cell in whole.cells if cell.in_scope]
        ),
        reads_mail_of=_gathered(
            (each.holder_id, each.owner_name) for each in readers if each.holder_id in here
        ),
        read_on=_gathered(
            (each.owner_id, device)
            for each in theirs
            if each.holder_id in known
            for device in _devices(known[each.holder_id], each.holder_name)
        ),
    )


def _devices(holder: PersonCells, name: str) -> Iterable[KnownDevice]:
    """Yield the devices that an order means, with nothing of what is on them."""
    for cell in holder.concerned:
        yield KnownDevice(
            name=cell.device.name,
            short_id=cell.device.short_id,
            app_name="",
            presence=Presence.UNKNOWN,
            held_by=name,
        )


def _gathered(pairs: Iterable[tuple[int, _T]]) -> Mapping[int, tuple[_T, ...]]:
    found: dict[int, tuple[_T, ...]] = {}
    for key, value in pairs:
        if value not in found.get(key, ()):
            found[key] = (*found.get(key, ()), value)
    return found
