"""A source around another: what it is and what went wrong is the inner one's word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermand.domain.inventory import DeviceReport, RejectedRow
    from countermand.ports import Faults, InventorySource


class Wrapped:
    """Says what another source says; whoever needs more overrides `reports`."""

    def __init__(self, source: InventorySource) -> None:
        """Stand around `source`."""
        self._source = source

    @property
    def kind(self) -> str:
        """The name of the source."""
        return self._source.kind

    @property
    def faults(self) -> Faults:
        """The faults of the source."""
        return self._source.faults

    @property
    def rejected(self) -> Sequence[RejectedRow]:
        """What the source could not read."""
        return self._source.rejected

    @property
    def is_whole(self) -> bool:
        """Whether the source listed all its devices."""
        return self._source.is_whole

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what the source says."""
        yield from self._source.reports()
