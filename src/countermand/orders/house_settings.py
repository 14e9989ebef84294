"""The settings that every mail carries: which of them would make it look forged, or reach nobody.

They are judged before an order is planned, and not where each process reads its settings: a gate
and the stop path have to work whatever these say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from countermand.config import PREFIX, Settings
from countermand.domain.address import ascii_domain, folded_address
from countermand.domain.errors import Fault, gettext_noop
from countermand.notices import copy_words, word_store

_LONGEST_DOMAIN: Final = 253
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)


_SAID: Final = MappingProxyType(
    {
        "no_address": (
            gettext_noop("The setting {name} is “{value}”, which is no mail address."),
            gettext_noop("Set {name} to a bare address of yours, such as help@example.org."),
        ),
        "nobody_reads": (
            gettext_noop("Answers would go to {value}, which nobody reads."),
            gettext_noop("Set {name} to the address of people who can help."),
        ),
        "no_domain": (
            gettext_noop("The setting {name} is “{value}”, which is no domain."),
            gettext_noop("Set {name} to a domain of yours, such as example.org."),
        ),
        "no_language": (
            gettext_noop("The setting {name} is “{value}”, a language without mails."),
            gettext_noop("Set {name} to one of {expected}."),
        ),
        "empty": (
            gettext_noop("The setting {name} is empty, and mails say who they come from."),
            gettext_noop("Set {name} to the name of your organisation."),
        ),
    }
)


def faults_of(settings: Settings) -> tuple[Fault, ...]:
    """Return all that is wrong with the settings that mails carry."""
    return tuple(_fault(name, code, getattr(settings, name)) for name, code in _wrong(settings))


def _wrong(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("mail_from", "reply_to"):
        if folded_address(getattr(settings, name)) is None:
            yield name, "no_address"
    if copy_words.NOBODY_READS.search(settings.reply_to):
        yield "reply_to", "nobody_reads"
    domain = ascii_domain(settings.mail_domain)
    if len(domain) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(domain):
        yield "mail_domain", "no_domain"
    if settings.default_language not in word_store.languages():
        yield "default_language", "no_language"
    if not settings.organisation.strip():
        yield "organisation", "empty"


def _fault(name: str, code: str, value: str) -> Fault:
    variable = PREFIX + name.upper()
    sentence, remedy = _SAID[code]
    facts = {"name": variable, "value": value, "expected": ", ".join(word_store.languages())}
    return Fault(f"config.{code}", sentence, remedy, key=variable, facts=tuple(facts.items()))
