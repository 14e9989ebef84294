"""What must hold across an order file: apps and their identifiers, languages, words, slots.

An order can only accuse a device by an identifier that is confirmed, or for which a named person
answers; and whatever is said in one language is said in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Final

from countermand.domain.app_id import AppIdentifier, Grade, IdentifierKey, TargetKind
from countermand.domain.catalogue_view import CatalogueView, editions_named
from countermand.domain.nearest import nearest_word
from countermand.domain.order_fields import Fields
from countermand.domain.order_parts import OrderedIdentifier, SignedByName, Texts
from countermand.domain.order_sections import read_identifier

# Places in the author's own texts that are filled when a mail or a page is made.
CORRECTION_SLOTS: Final = frozenset({"taken_back_at", "replaced_by"})
STATEMENT_SLOTS: Final = frozenset(
    {
        "number",
        "title",
        "organisation",
        "people_certain",
        "people_possible",
        "people_reached",
        "people_corrected",
        "first_notice_at",
        "taken_back_at",
        "replaced_by",
    }
)
NO_SLOTS: Final[frozenset[str]] = frozenset()
LONGEST_REASON: Final = 2

_SENTENCE_END: Final = re.compile(r"(?<=[.!?।])[\"”’)]*\s+(?=\S)")
# Cues by which people are taught to recognise a forged mail; a genuine one does without them.
_ALARMING: Final = re.compile(
    r"!|\burgent\w*|\bimmediately\b|\bfinal warning\b|\bnot (?:a )?phishing\b"
    r"|अर्जेंट|तुरंत|तत्काल|अंतिम चेतावनी",
    re.IGNORECASE,
)
_LINK: Final = re.compile(r"https?:|www\.", re.IGNORECASE)


def read_apps(document: Fields, catalogue: CatalogueView) -> tuple[str, ...]:
    """Read which apps are ordered; each must be one edition out of the catalogue."""
    words = document.words("apps")
    if not words:
        document.fault("order.apps_missing", "apps")
    found: list[str] = []
    for place, word in enumerate(words, start=1):
        key = f"apps.{place}"
        editions = editions_named(catalogue, word)
        if word in catalogue.apps:
            found.append(word)
        elif editions:
            document.fault("order.app_edition_missing", key, app=word, editions=", ".join(editions))
        else:
            near = nearest_word(word, catalogue.apps) or ""
            known = ", ".join(catalogue.apps)
            document.fault("order.app_unknown", key, app=word[:60], nearest=near, known=known)
    return tuple(dict.fromkeys(found))


def read_identifiers(
    document: Fields,
    *,
    apps: tuple[str, ...],
    targets: frozenset[TargetKind],
    signed: tuple[SignedByName, ...],
    catalogue: CatalogueView,
) -> tuple[OrderedIdentifier, ...]:
    """Return by which identifiers the order finds its apps.

    Those are all that the catalogue has for these apps and targets, or, when the file lists
    `identifiers`, only those; and in any case the signed ones.
    """
    known = {
        i.key: i for app in apps for i in catalogue.apps[app].identifiers if i.target in targets
    }
    _check_not_wrong(document, apps, signed, catalogue)
    signed_keys = {s.key for s in signed}
    if document.has("identifiers"):
        chosen = _listed(document, known, signed_keys, _wrong(apps, catalogue))
    else:
        chosen = list(known.values())
        _check_each_app_found(document, apps, chosen, signed)
    of_catalogue = [
        OrderedIdentifier(i.app_id, i.key, i.grade, i.may_close or i.key in signed_keys)
        for i in chosen
    ]
    there = {identifier.key for identifier in of_catalogue}
    of_signers = [
        OrderedIdentifier(s.app_id, s.key, Grade.CLAIMED, may_close=True)
        for s in signed
        if s.key not in there
    ]
    return tuple(sorted(of_catalogue + of_signers, key=lambda i: (i.app_id, i.key)))


def _wrong(apps: tuple[str, ...], catalogue: CatalogueView) -> dict[str, str]:
    return {str(bad.key): bad.why for app in apps for bad in catalogue.apps[app].do_not_use}


def _check_not_wrong(
    document: Fields,
    apps: tuple[str, ...],
    signed: tuple[SignedByName, ...],
    catalogue: CatalogueView,
) -> None:
    wrong = _wrong(apps, catalogue)
    for place, each in enumerate(signed, start=1):
        if str(each.key) in wrong:
            document.fault(
                "order.identifier_wrong",
                f"signed_identifiers.{place}",
                identifier=str(each.key),
                why=wrong[str(each.key)],
            )


def _check_each_app_found(
    document: Fields,
    apps: tuple[str, ...],
    chosen: list[AppIdentifier],
    signed: tuple[SignedByName, ...],
) -> None:
    found = {i.app_id for i in chosen} | {s.app_id for s in signed}
    for app in apps:
        if app not in found:
            document.fault("order.app_not_for_target", "apps", app=app)


def _listed(
    document: Fields,
    known: Mapping[IdentifierKey, AppIdentifier],
    signed_keys: set[IdentifierKey],
    wrong: Mapping[str, str],
) -> list[AppIdentifier]:
    """Return the listed identifiers; each must be confirmed, without a double, or signed."""
    chosen = []
    for place, text in enumerate(document.words("identifiers"), start=1):
        at = f"identifiers.{place}"
        key = read_identifier(document, at, text)
        if key is None or key in signed_keys:
            continue
        identifier = known.get(key)
        if text in wrong:
            document.fault("order.identifier_wrong", at, identifier=text, why=wrong[text])
        elif identifier is None:
            document.fault("order.identifier_unknown", at, identifier=text)
        elif identifier.grade is not Grade.CONFIRMED:
            document.fault(
                "order.identifier_only_claimed", at, identifier=text, grade=identifier.grade
            )
        elif identifier.known_collision:
            collision = identifier.known_collision
            document.fault("order.identifier_collides", at, identifier=text, collision=collision)
        else:
            chosen.append(identifier)
    return chosen + [known[key] for key in signed_keys if key in known]


def check_languages(document: Fields, texts: Mapping[str, Texts], fallback: str) -> frozenset[str]:
    """Return the languages of the order; every text must be there in each of them.

    `texts` maps dotted keys to the texts that people read. One language alone is a fault unless
    the file itself states it as the fallback.
    """
    languages = frozenset(language for each in texts.values() for language in each.languages)
    for key, each in texts.items():
        is_bare = each.entries and not each.languages
        for language in sorted(languages - each.languages):
            if each.entries and not is_bare:
                document.fault("order.language_text_missing", key, name=key, language=language)
    if len(languages) == 1 and not fallback:
        document.fault("order.language_only_one", "title", language=next(iter(languages)))
    if fallback and languages and fallback not in languages:
        document.fault(
            "order.language_fallback_missing",
            "fallback_language",
            language=fallback,
            languages=", ".join(sorted(languages)),
        )
    return languages


def check_reason(document: Fields, reason: Texts) -> None:
    """Note a reason of more than two sentences, in any language."""
    for language, text in reason.entries:
        count = len(_SENTENCE_END.split(text.strip()))
        if count > LONGEST_REASON:
            document.fault(
                "order.reason_too_long", f"reason.{language}", language=language, count=str(count)
            )


def check_words(document: Fields, key: str, texts: Texts, slots: frozenset[str]) -> None:
    """Note unknown slots, alarming words and links in one of the author's texts."""
    for language, text in texts.entries:
        at = f"{key}.{language}" if language else key
        for slot in sorted(_slots_of(document, at, text) - slots):
            allowed = ", ".join(f"{{{{{name}}}}}" for name in sorted(slots)) or "none here"
            document.fault(
                "order.slot_unknown", at, slot=f"{{{slot}}}", name=at, slots=_unbraced(allowed)
            )
        alarming = _ALARMING.search(text)
        if alarming:
            document.fault("order.words_alarming", at, word=alarming[0], name=at)
        if _LINK.search(text):
            document.fault("order.words_link", at, name=at)


def _unbraced(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _slots_of(document: Fields, key: str, text: str) -> set[str]:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        document.fault("order.braces_odd", key, name=key)
        return set()
    # A place is a bare name: whatever asks for a part of it or a width is none.
    return {
        f"{name}{f'!{conversion}' if conversion else ''}{f':{width}' if width else ''}"
        for _, name, width, conversion in parts
        if name is not None
    }


def texts_by_key(pairs: Iterable[tuple[str, Texts | None]]) -> dict[str, Texts]:
    """Return the texts that are there, by their dotted keys."""
    return {key: texts for key, texts in pairs if texts is not None}
