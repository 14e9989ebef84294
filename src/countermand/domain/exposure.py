"""How sure we are that a notice reached somebody: none < possible < certain."""

from __future__ import annotations

from enum import IntEnum


class Exposure(IntEnum):
    """Whether a person got a notice; a row carries the maximum over all its attempts."""

    NONE = 0
    POSSIBLE = 1
    CERTAIN = 2
