"""Keeping what is wrong with a load: as much as anybody reads, and never more than memory holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from countermand.domain.errors import Fault

MOST_FAULTS: Final = 1_000


@dataclass(slots=True)
class FaultList:
    """Collects the faults of one load; the first thousand are enough for anybody."""

    faults: list[Fault] = field(default_factory=list)
    left_out: int = 0

    def add(self, fault: Fault) -> None:
        """Keep a fault, or count it when there are too many already."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.left_out += 1

    def extend(self, faults: Iterable[Fault]) -> None:
        """Keep several faults."""
        for fault in faults:
            self.add(fault)

    def of_whole_files(self) -> Iterator[Fault]:
        """Yield the faults that are of no single row."""
        return (fault for fault in self.faults if fault.code.startswith("file."))

    def of_rows(self) -> Iterator[Fault]:
        """Yield the faults of rows of which nothing could be read."""
        return (fault for fault in self.faults if not fault.code.startswith("file."))

    def __bool__(self) -> bool:
        return bool(self.faults)
