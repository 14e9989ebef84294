"""A source that was read to its end before anything is loaded.

So no server is asked while tables are held. What is spooled is what will be stored: devices, and
ordered apps alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from countermand.connectors.wrapped import Wrapped
from countermand.domain.inventory import DeviceReport
from countermand.ports import InventorySource

_TELL_EVERY: Final = 500


class Spooled(Wrapped):
    """All that a source says, in a file of a folder that the caller removes."""

    def __init__(
        self, source: InventorySource, folder: Path, *, on_progress: Callable[[int], None]
    ) -> None:
        """Read the source to its end. Raises what keeps it from being read."""
        super().__init__(source)
        self._path = folder / "reports"
        self._count = 0
        with self._path.open("wb") as file:
            for report in source.reports():
                pickle.dump(report, file, protocol=pickle.HIGHEST_PROTOCOL)
                self._count += 1
                if self._count % _TELL_EVERY == 0:
                    on_progress(self._count)
        on_progress(self._count)

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what was read."""
        with self._path.open("rb") as file:
            for _ in range(self._count):
                yield pickle.load(file)  # noqa: S301  (we wrote it ourselves, a moment ago)
