"""A directory that says what a test tells it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from countermand.domain.directory import PersonRecord
from countermand.domain.inventory import RejectedRow
from countermand.fault_list import FaultList


@dataclass
class ToldDirectory:
    """People, rows that were refused and faults, as it was told."""

    records: Sequence[PersonRecord]
    rejected: list[RejectedRow] = field(default_factory=list)
    faults: FaultList = field(default_factory=FaultList)

    def people(self) -> Iterator[PersonRecord]:
        yield from self.records
