"""Writing to the log: what happened and its entry stand or fall together.

Facts enter unnumbered, in the caller's own transaction; the sequencer numbers them afterwards, so
that no action ever waits for another one's place in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from countermand.audit.models import Entry
from countermand.audit.queries import person_ref
from countermand.domain.canonical_json import canonical
from countermand.domain.errors import CountermandError, gettext_noop

_EVENT: Final = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
# Keys under which somebody would be tempted to put a person. The log keeps references only.
_PERSONAL: Final = frozenset(
    {"name", "address", "email", "uid", "person_id", "actor_id", "local_name", "token"}
)


@dataclass(eq=False)
class PersonalDataInLog(CountermandError):
    """A bug of ours: an entry would have named a person for ever."""

    key: str

    code: ClassVar[str] = "audit.personal_data"
    sentence: ClassVar[str] = gettext_noop("An entry of the log may not hold “{key}”.")
    remedy: ClassVar[str] = gettext_noop("Store a reference (audit.queries.person_ref) instead.")


def record(
    event: str,
    *,
    order_number: str = "",
    actor_id: int | None,
    facts: Mapping[str, Any],
    now: datetime,
) -> None:
    """Add one entry; it is numbered later, by the sequencer.

    `event` reads noun.verb, `actor_id` is None when the program itself acted. `facts` hold what
    canonical JSON can (no floats). Raises PersonalDataInLog or NotCanonical.
    """
    if not _EVENT.fullmatch(event) or now.tzinfo is None:
        raise ValueError(event)
    plain = dict(facts)
    for key in _keys(plain):
        if key in _PERSONAL or key.endswith("_person_id"):
            raise PersonalDataInLog(key=key)
    canonical(plain)
    Entry.objects.create(
        event=event,
        order_number=order_number,
        actor_ref="" if actor_id is None else person_ref(actor_id),
        facts=plain,
        at=now,
    )


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)
