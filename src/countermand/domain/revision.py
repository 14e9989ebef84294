"""A revision is one immutable text with one frozen list of people; its digest names both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from countermand.domain.canonical_json import canonical, digest


@dataclass(frozen=True, slots=True)
class AffectedLine:
    """One person of the frozen list: a salted reference (never a name), and their group of mails.

    `wave` is 0 for the first small group.
    """

    person_ref: str
    wave: int
    reason: str


def affected_root(lines: Iterable[AffectedLine]) -> str:
    """Return the SHA-256 over the sorted lines of the list; the order of `lines` is no matter.

    Raises ValueError when a person stands on the list twice.
    """
    encoded = sorted(canonical([line.person_ref, line.wave, line.reason]) for line in lines)
    people = {text.split(b",", 1)[0] for text in encoded}
    if len(people) != len(encoded):
        raise ValueError("a person stands on the list of people affected once")
    return hashlib.sha256(b"\n".join(encoded)).hexdigest()


def revision_digest(content: Mapping[str, Any]) -> str:
    """Return the digest that an approval of this content names."""
    return digest(dict(content))
