"""A source that was read to its end before anything is loaded.

So no server is asked while tables are held. What is spooled is what will be stored: devices, and
ordered apps alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from countermand.domain.inventory import DeviceReport, RejectedRow
from countermand.ports import Faults, InventorySource

_TELL_EVERY: Final = 500


class Spooled:
    """All that a source says, in a file of a folder that the caller removes."""

    def __init__(
        self, source: InventorySource, folder: Path, *, on_progress: Callable[[int], None]
    ) -> None:
        """Read the source to its end. Raises what keeps it from being read."""
        self._source = source
        self._path = folder / "reports"
        self._count = 0
        with self._path.open("wb") as file:
            for report in source.reports():
                pickle.dump(report, file, protocol=pickle.HIGHEST_PROTOCOL)
                self._count += 1
                if self._count % _TELL_EVERY == 0:
                    on_progress(self._count)
        on_progress(self._count)

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
        """Yield what was read."""
        with self._path.open("rb") as file:
            for _ in range(self._count):
                yield pickle.load(file)  # noqa: S301  (we wrote it ourselves, a moment ago)
