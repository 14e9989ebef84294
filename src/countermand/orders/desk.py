"""What every step of a sweep and every stop works with, opened once."""

from __future__ import annotations

from dataclasses import dataclass

from countermand.config import Settings
from countermand.enforcement.actions import Publisher
from countermand.orders.planning import PlanContext, context_of
from countermand.ports import NoticeLedger, RelayQueue
from countermand.project import register
from countermand.stop import fence as fences
from countermand.stop.fence import Fence


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step of a sweep works with, opened once."""

    settings: Settings
    ledger: NoticeLedger
    context: PlanContext
    publisher: Publisher
    queue: RelayQueue | None = None  # of the relay, if anybody lets us into it

    def fence(self, number: str) -> Fence | None:
        """Return the fence of one order as it stands on the disk now."""
        return fences.read(self.settings.folder.fences, number)

    def register(self, number: str, epoch: int, phase: str) -> None:
        """Make a coming epoch known to the stop."""
        register.ahead(self.settings, number, epoch, phase)


def open_desk(settings: Settings, *, owing: NoticeLedger, queue: RelayQueue | None = None) -> Desk:
    """Return the desk of an installation."""
    return Desk(
        settings=settings,
        ledger=owing,
        context=context_of(settings),
        publisher=Publisher.load(settings.folder),
        queue=queue,
    )
