"""What the gate did, counted: by door, by what is known of the device, by answer and reason.

The counts carry no name, no address and no device. They say which share of mail reading comes
through a door that knows the device, and how often something had to be opened in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_HELP: Final[Mapping[str, str]] = {
    "answers": "Answers by door, by answer and reason.",
    "states_received": "Lists of orders that arrived, by what came of them.",
    "doubts": "Things that did not fit and were answered with an open door, by kind.",
    "upstream": "Questions passed on to the policy server behind us, by what came of them.",
    "stops": "Stops told to this gate directly, by way.",
    "disk_refusals": "What the disk of this gate did not take, by what it was.",
    "feed": "Looks at the database, by what came of them.",
    "probes": "Questions of the doctor that came through a front.",
    "gate_down_answers": "Questions that were let through because no gate answered, by log file.",
    "gate_down_missed": "Times that such lines were gone before they were counted, by log file.",
}
Labels = tuple[tuple[str, str], ...]


class Counter:
    """One whole number that only rises; whoever counts often keeps it and adds to `n`."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        """Begin at nought."""
        self.n = 0


class Counts:
    """Counters by name and labels."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._taken: dict[tuple[str, Labels], int] = {}

    def counter(self, name: str, **labels: str) -> Counter:
        """Return the counter of that name and these labels; it exists from then on."""
        return self._counters.setdefault((name, tuple(labels.items())), Counter())

    def add(self, name: str, **labels: str) -> None:
        """Count one more."""
        self.counter(name, **labels).n += 1

    def get(self, name: str, **labels: str) -> int:
        """Return the sum of all counters of that name that carry these labels."""
        wanted = set(labels.items())
        return sum(
            count
            for each, carried, count in self._all()
            if each == name and wanted.issubset(carried)
        )

    def by_label(self, name: str, label: str) -> dict[str, int]:
        """Return the counters of that name, summed by one of their labels."""
        summed: dict[str, int] = {}
        for each, carried, count in self._all():
            value = dict(carried).get(label)
            if each == name and value is not None:
                summed[value] = summed.get(value, 0) + count
        return summed

    def take_changes(self) -> list[tuple[str, Labels, int]]:
        """Return what rose since the last call, for another process to add to its own."""
        now = {(name, labels): count for name, labels, count in self._all()}
        changes = [(*key, count - self._taken.get(key, 0)) for key, count in now.items()]
        self._taken = now
        return [each for each in changes if each[2]]

    def add_changes(self, changes: Iterable[tuple[str, Iterable[tuple[str, str]], int]]) -> None:
        """Add what another process counted."""
        for name, labels, count in changes:
            self.counter(name, **dict(labels)).n += count

    def exposition(self, gauges: Mapping[str, float]) -> bytes:
        """Return all counters, and `gauges`, in the text form that Prometheus reads."""
        counted = sorted(self._all())
        lines: list[str] = []
        for name, sentence in _HELP.items():
            lines += [
                f"# HELP countermand_gate_{name}_total {sentence}",
                f"# TYPE countermand_gate_{name}_total counter",
            ]
            lines += [
                f"countermand_gate_{name}_total{_shown(labels)} {count}"
                for each, labels, count in counted
                if each == name
            ]
        for name, value in gauges.items():
            lines += [
                f"# TYPE countermand_gate_{name} gauge",
                f"countermand_gate_{name} {value!r}",
            ]
        return ("\n".join(lines) + "\n").encode()

    def _all(self) -> list[tuple[str, Labels, int]]:
        # Copied at once: the followers count in threads of their own.
        return [(name, labels, each.n) for (name, labels), each in list(self._counters.items())]


def _shown(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}"
