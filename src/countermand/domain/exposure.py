"""How sure we are that a notice reached somebody: none < possible < certain."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exposure(IntEnum):
    """Whether a person got a notice; a row carries the maximum over all its attempts."""

    NONE = 0
    POSSIBLE = 1
    CERTAIN = 2


def over_attempts(attempts: Iterable[Exposure]) -> Exposure:
    """Return the exposure of a notice: the maximum over its attempts."""
    return max(attempts, default=Exposure.NONE)
