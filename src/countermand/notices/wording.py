"""Every mail says what was approved, and only what is true for the person who reads it.

Words come from `words/<language>/`; an order fills the places `[[…]]` once (`prepare_templates`,
what approvers see), and each person's values fill the slots `{…}` when their mail is written down
(`notice_values`, `correction_values`). The sender puts the two together and knows nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from countermand.domain.delivery import EXPIRES, ZONE, NoticeKind
from countermand.domain.language_marks import marked, without
from countermand.domain.order_parts import Variant, zone_name
from countermand.domain.phases import DOORS_OF_OURS
from countermand.domain.presence import Presence
from countermand.domain.truth import Correction, Headline, Says, Sentence, TakenBackOrder
from countermand.notices import mail_markup, moments, own_words, word_store
from countermand.notices.order_words import (
    House,
    OrderWords,
    house_of,
    order_of,
    order_words,
    what_happened,
    words_digest,
)

__all__ = [
    "Addressee",
    "Because",
    "House",
    "KnownDevice",
    "MailFacts",
    "Signatory",
    "TemplateText",
    "closing_values",
    "correction_values",
    "house_of",
    "language_for",
    "notice_values",
    "prepare_templates",
    "restored_values",
    "signed_by",
    "words_digest",
]

Values = dict[str, str | list[str]]

# Mails that only make sense where this program pauses mail.
_DOOR_MAILS: Final = frozenset({NoticeKind.LOCK, NoticeKind.RESTORED})
_SHOWN_OF_A_NUMBER: Final = 4


class Because(StrEnum):
    """Why mail is no longer paused on a device."""

    SAID_REMOVED = "said_removed"
    SEEN_GONE = "seen_gone"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """The words of one mail of one order in one language; `sha256` covers all three texts."""

    kind: NoticeKind
    variant: str
    language: str
    subject: str
    text: str
    html: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Signatory:
    """Somebody who answers for a notice: name (also as written locally), and role or unit."""

    name: str
    local_name: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Addressee:
    """The person whom a mail is for; `zone` is an IANA name, `unit` may be empty.

    `number` is their key in the staff directory, of which the end is shown where no unit is known.
    """

    name: str
    zone: str
    local_name: str = ""
    unit: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What is known of one ordered app on one device; `short_id` is shown, the rest is not.

    Of a device that nothing is known of yet, one entry names all: the others are `further_apps`.

    `seen_at` is when the list of apps was taken, None where the source does not say.
    `said_removed_at` is set while the person's own word holds. `in_custody`: its reader looks after
    it for others; `reads_mail_of` names whose mail is read on it besides; `held_by` names somebody
    else whose device it is, and then nothing is said of what is on it.
    """

    name: str
    short_id: str
    app_name: str
    presence: Presence
    seen_at: datetime | None = None
    said_removed_at: datetime | None = None
    in_custody: bool = False
    reads_mail_of: tuple[str, ...] = ()
    further_apps: tuple[str, ...] = ()
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class MailFacts:
    """Who answers for a notice, when it was told, and until when this person has time."""

    issued_by: Signatory
    approved_by: tuple[Signatory, ...]
    told_at: datetime
    own_deadline_at: datetime


def language_for(person_language: str, languages: Iterable[str], fallback: str) -> str:
    """Return the language in which a person is written to, out of those of an order."""
    offered = frozenset(languages)
    for wanted in (person_language, person_language.split("-", 1)[0].lower()):
        if wanted in offered:
            return wanted
    return fallback


def prepare_templates(
    content: Mapping[str, Any],
    order_number: str,
    *,
    house: House,
    app_names: Sequence[str],
) -> list[TemplateText]:
    """Return every mail that this order may ever send, in each of its languages.

    `content` is what the digest covers. Mails about a door exist only where there is one.
    A mail that is not translated is in the fallback language throughout. Raises TextMissing and
    LanguageWithoutWords.
    """

    @cache
    def words_in(language: str) -> OrderWords:
        return order_words(
            content,
            number=order_number,
            language=language,
            house=house,
            app_names=app_names,
            marks_languages=True,
        )

    prepared: list[TemplateText] = []
    for language in sorted(order_of(content)["languages"]):
        for kind in NoticeKind:
            if kind in _DOOR_MAILS and words_in(language).enforcement not in DOORS_OF_OURS:
                continue
            for variant in _variants(kind):
                words = words_in(word_store.language_of_mail(language, kind, variant))
                if variant:
                    words = _with_what_happened(words, content, variant)
                prepared.append(_template(words, kind, variant, language))
    return prepared


def notice_values(
    person: Addressee,
    devices: Sequence[KnownDevice],
    facts: MailFacts,
    language: str,
    kind: NoticeKind = NoticeKind.NOTICE,
) -> Values:
    """Fill the slots of a notice, a reminder or a lock notice."""
    language = word_store.language_of_mail(language, kind)
    return {
        "name": _person(person.name, person.local_name, language),
        "told_on": moments.day(facts.told_at, person.zone, language),
        "deadline": moments.moment(facts.own_deadline_at, person.zone, language),
        "devices": _devices(person, devices, language),
        "issued_by": _signed(facts.issued_by, language),
        "approved_by": signed_by(facts.approved_by, language),
        EXPIRES: facts.own_deadline_at.astimezone(UTC).isoformat(timespec="seconds"),
        **({ZONE: zone_name(person.zone)} if kind is NoticeKind.REMINDER else {}),
    }


def restored_values(
    person: Addressee,
    devices: Sequence[KnownDevice],
    *,
    because: Because,
    at: datetime,
    issued_by: Signatory,
    language: str,
) -> Values:
    """Fill the slots of the mail that says that a device is no longer paused by this order."""
    language = word_store.language_of_mail(language, NoticeKind.RESTORED)
    say = word_store.sentences_in_mail(language)
    because_of = say[f"because.{because}"]
    return {
        "name": _person(person.name, person.local_name, language),
        "devices": list(dict.fromkeys(_label(device, language) for device in devices))
        or [say["device.nameless"]],
        "because": because_of.format(when=moments.moment(at, person.zone, because_of.language)),
        "issued_by": _signed(issued_by, language),
    }


def correction_values(
    person: Addressee,
    correction: Correction,
    order: TakenBackOrder,
    *,
    content: Mapping[str, Any],
    responsible: Signatory,
    app_names: Mapping[str, str],
    language: str,
) -> Values:
    """Fill the slots of a correction with the sentences that are true for this person.

    `content` is what the digest of `order` covers; `app_names` gives the name of each ordered app
    by its catalogue id. Raises TextMissing.
    """
    language = word_store.language_of_mail(language, NoticeKind.CORRECTION, order.variant)
    own = what_happened(content, order.number, variant=order.variant, language=language)
    at, zone = order.taken_back_at, person.zone
    ours = own_words.of_ours(order.variant, order.number, at, zone, own.language)
    said = own_words.naming(own, order.replacement, instead=ours)
    said = said.replace("{taken_back_at}", moments.moment(at, zone, own.language))
    return {
        "headline": _headline(correction, language),
        "name": _person(person.name, person.local_name, language),
        "taken_back_at": moments.moment(at, zone, language),
        "responsible": _signed(responsible, language),
        "what_happened": marked(said, own.language, within=language),
        # Corrections that were approved before the whole text was a slot ask for this one.
        "replaced_by": order.replacement
        or word_store.sentences_in_mail(language)["preview.replacement"],
        **_true_now(person, correction, app_names, language),
    }


def closing_values(
    person: Addressee,
    correction: Correction,
    *,
    ended_at: datetime,
    issued_by: Signatory,
    app_names: Mapping[str, str],
    language: str,
) -> Values:
    """Fill the slots of the mail that says that a notice has ended in its own time."""
    language = word_store.language_of_mail(language, NoticeKind.CLOSING)
    return {
        "name": _person(person.name, person.local_name, language),
        "ended_at": moments.moment(ended_at, person.zone, language),
        "issued_by": _signed(issued_by, language),
        **_true_now(person, correction, app_names, language),
    }


def _variants(kind: NoticeKind) -> Sequence[str]:
    return [each.value for each in Variant] if kind is NoticeKind.CORRECTION else [""]


def _with_what_happened(words: OrderWords, content: Mapping[str, Any], variant: str) -> OrderWords:
    own = what_happened(content, words.places["number"], variant=variant, language=words.language)
    # What names another order is chosen when the mail is written: by then one stands, or none does.
    # What is in another language than the mail has its date in that one.
    is_later = own_words.ANOTHER in own or own.language != words.language
    places = {**words.places, "what_happened": "{what_happened}" if is_later else own}
    return OrderWords(words.language, words.enforcement, words.app_names, places)


def _template(words: OrderWords, kind: NoticeKind, variant: str, language: str) -> TemplateText:
    source = word_store.mail_source(words.language, word_store.mail_name(kind, variant))
    subject = without(words.fill(source.subject))
    parts = mail_markup.blocks(source.body, words.fill)
    text = mail_markup.as_text(parts)
    html = mail_markup.as_html(
        parts, language=source.language, subject=subject, foreign=words.app_names
    )
    return TemplateText(
        kind=kind,
        variant=variant,
        language=language,
        subject=subject,
        text=text,
        html=html,
        sha256=hashlib.sha256(f"{subject}\x00{text}\x00{html}".encode()).hexdigest(),
    )


def _person(name: str, local_name: str, language: str) -> str:
    if language == "hi":
        return f"{local_name or name} जी"
    return name


def _signed(who: Signatory, language: str) -> str:
    name = who.local_name if language == "hi" and who.local_name else who.name
    return f"{name} ({who.role})" if who.role else name


def signed_by(everybody: tuple[Signatory, ...], language: str) -> str:
    """Return the names, with role or unit, of people who answer for a notice, as one phrase."""
    return moments.listed(tuple(_signed(who, language) for who in everybody), language)


def _devices(person: Addressee, devices: Sequence[KnownDevice], language: str) -> list[str]:
    """Return one true sentence per device and app; without a device, another fact we know."""
    say = word_store.sentences_in_mail(language)
    if devices:
        return [_device(device, person.zone, language) for device in devices]
    known: list[str] = [say["device.no_device"]]
    if person.unit:
        known.append(say["device.unit"].format(unit=person.unit))
    elif person.number:
        known.append(say["device.staff_number"].format(ending=person.number[-_SHOWN_OF_A_NUMBER:]))
    return known


def _device(device: KnownDevice, zone: str, language: str) -> str:
    say = word_store.sentences_in_mail(language)
    if device.held_by:
        return say["device.reads_your_mail"].format(
            device=_label(device, language), holder=device.held_by
        )
    at = device.seen_at
    if device.said_removed_at is not None:
        key, at = "device.said_removed", device.said_removed_at
    elif device.presence in {Presence.PRESENT, Presence.ABSENT}:
        key = f"device.{device.presence.value}" + ("" if at else "_undated")
    else:
        key = f"device.{device.presence.value}"
    known = say[key]
    said = known.format(
        device=_label(device, language),
        app=moments.listed((device.app_name, *device.further_apps), known.language),
        when=moments.moment(at, zone, known.language) if at else "",
    )
    if device.in_custody:
        said = f"{said} {say['device.in_custody']}"
    if device.reads_mail_of:
        more = say["device.reads_mail_of"]
        owners = moments.listed(device.reads_mail_of, more.language)
        said = f"{said} {more.format(owners=owners)}"
    return said


def _label(device: KnownDevice, language: str) -> str:
    name = device.name.strip() or word_store.sentences_in_mail(language)["device.nameless"]
    return f"{name} (…{device.short_id})" if device.short_id else name


def _headline(correction: Correction, language: str) -> str:
    say = word_store.sentences_in_mail(language)
    key = correction.headline.value
    if correction.headline is Headline.OTHER_STILL_APPLIES:
        key += "_one" if len(correction.standing) == 1 else "_more"
    return say[key].format(numbers=moments.listed(correction.standing, say[key].language))


def _true_now(
    person: Addressee, correction: Correction, app_names: Mapping[str, str], language: str
) -> Values:
    return {
        "what_applies": [_sentence(s, person, app_names, language) for s in correction.applies],
        "mail": [_sentence(s, person, app_names, language) for s in correction.mail],
    }


def _sentence(
    sentence: Sentence, person: Addressee, app_names: Mapping[str, str], language: str
) -> str:
    key = sentence.says.value
    if sentence.says is Says.APP_FREE and len(sentence.apps) > 1:
        key += "_more"
    at = sentence.deadline_at
    said = word_store.sentences_in_mail(language)[key]
    return said.format(
        apps=moments.listed(tuple(app_names[app] for app in sentence.apps), said.language),
        number=sentence.number,
        deadline=moments.moment(at, person.zone, said.language) if at else "",
    )
