"""Why the program itself paused an order: a code and its facts, put into words when shown.

A cause travels as one line of text (a fence is a file that needs no database), such as
`cause.bounced accepted=100 bounced=4`. Whoever shows it knows the language of the reader. What a
person wrote is no such line and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from countermand.domain.errors import gettext_noop

CAUSES: Final = MappingProxyType(
    {
        "cause.undelivered": gettext_noop(
            "{undelivered} of {answered} notices did not get through."
        ),
        # As it was written before refusals counted; it still stands in older fences.
        "cause.bounced": gettext_noop("{bounced} of {accepted} notices came back undelivered."),
        "cause.uncertain": gettext_noop(
            "For {uncertain} of {mails} notices nobody knows if they arrived."
        ),
        "cause.doubted": gettext_noop(
            "{doubted} of {accepted} people took the notice for forged, or their check code was"
            " wrong."
        ),
        "cause.surge": gettext_noop(
            "{joined} people would join late on one day, out of {people}: that is more than this"
            " order allows."
        ),
        "cause.replaced": gettext_noop("Order {newer} replaces it."),
        "cause.older": gettext_noop("The database is older than what this installation saw last."),
        "cause.copied": gettext_noop("The data folder is a copy, or was restored from a backup."),
        "cause.stood_still": gettext_noop(
            "Nothing ran here for {minutes} minutes; this may be an older state of the machine."
        ),
    }
)
_LINE: Final = re.compile(r"(cause\.[a-z_]+)((?: [a-z_]+=[A-Za-z0-9.-]{1,40}){0,8})")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


def line(code: str, **facts: object) -> str:
    """Return a cause as it travels; facts are counts and numbers of orders.

    Raises KeyError for an unknown code, and ValueError for facts that do not fit it.
    """
    text = " ".join([code, *(f"{name}={facts[name]}" for name in sorted(facts))])
    if set(_PLACE.findall(CAUSES[code])) != set(facts) or parts(text) is None:
        raise ValueError(text)
    return text


def parts(text: str) -> tuple[str, dict[str, str]] | None:
    """Return code and facts of a cause of the program; None for whatever a person wrote."""
    match = _LINE.fullmatch(text)
    if match is None or match[1] not in CAUSES:
        return None
    facts = dict(part.split("=", 1) for part in match[2].split())
    if set(facts) != set(_PLACE.findall(CAUSES[match[1]])):
        return None
    return match[1], facts


def told(text: str, into: Callable[[str], str]) -> str:
    """Return a cause in words; `into` translates a sentence. A person's own words stay."""
    found = parts(text)
    if found is None:
        return text
    code, facts = found
    return into(CAUSES[code]).format(**facts)
