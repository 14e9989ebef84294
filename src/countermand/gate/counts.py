"""What the gate did, counted: by door, by what is known of the device, by answer and reason.

The counts carry no name, no address and no device. They say which share of mail reading comes
through a door that knows the device, and how often something had to be opened in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HELP: Final[Mapping[str, str]] = {
    "questions": "Questions by the door through which they came.",
    "answers": "Answers by door, by what is known of the device, by answer and reason.",
    "states_received": "Lists of orders that arrived, by what came of them.",
    "doubts": "Things that did not fit and were answered with an open door, by kind.",
    "stops": "Stops told to this gate directly, by way.",
    "feed": "Looks at the database, by what came of them.",
}


class Counts:
    """Counters by name and labels; whole numbers that only rise."""

    def __init__(self) -> None:
        """Begin at nought."""
        self._counted: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def add(self, name: str, **labels: str) -> None:
        """Count one more."""
        key = (name, tuple(labels.items()))
        self._counted[key] = self._counted.get(key, 0) + 1

    def get(self, name: str, **labels: str) -> int:
        """Return the sum of all counters of that name that carry these labels."""
        wanted = set(labels.items())
        return sum(
            count
            for (each, carried), count in self._counted.items()
            if each == name and wanted.issubset(carried)
        )

    def by_label(self, name: str, label: str) -> dict[str, int]:
        """Return the counters of that name, summed by one of their labels."""
        summed: dict[str, int] = {}
        for (each, carried), count in self._counted.items():
            value = dict(carried).get(label)
            if each == name and value is not None:
                summed[value] = summed.get(value, 0) + count
        return summed

    def exposition(self, gauges: Mapping[str, float]) -> bytes:
        """Return all counters, and `gauges`, in the text form that Prometheus reads."""
        lines: list[str] = []
        for name, sentence in _HELP.items():
            lines += [
                f"# HELP countermand_gate_{name}_total {sentence}",
                f"# TYPE countermand_gate_{name}_total counter",
            ]
            lines += [
                f"countermand_gate_{name}_total{_labels(labels)} {count}"
                for (each, labels), count in sorted(self._counted.items())
                if each == name
            ]
        for name, value in gauges.items():
            lines += [
                f"# TYPE countermand_gate_{name} gauge",
                f"countermand_gate_{name} {value:g}",
            ]
        return ("\n".join(lines) + "\n").encode()


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}"
