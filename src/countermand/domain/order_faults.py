"""Everything that can be wrong with the file of an order: code, sentence, and way out."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from countermand.domain.errors import Fault, gettext_noop

_TABLE: Final[MappingProxyType[str, tuple[str, str]]] = MappingProxyType(
    {
        "order.form_unknown": (
            gettext_noop("This is not an order file of a form known here."),
            gettext_noop("Begin it with: countermand: order/v1"),
        ),
        "order.key_unknown": (
            gettext_noop("“{name}” is not a key that belongs here."),
            gettext_noop("Did you mean “{nearest}”? Correct it or take it out."),
        ),
        "order.key_missing": (
            gettext_noop("“{name}” is missing."),
            gettext_noop("Add it: {hint}."),
        ),
        "order.value_not_understood": (
            gettext_noop("“{value}” is not what “{name}” needs."),
            gettext_noop("Write {hint}."),
        ),
        "order.value_out_of_bounds": (
            gettext_noop("“{value}” is outside of what “{name}” allows."),
            gettext_noop("Write {hint}."),
        ),
        "order.text_not_plain": (
            gettext_noop("“{name}” holds a line break or a character that cannot be shown."),
            gettext_noop("Write plain text on one line."),
        ),
        "order.text_too_long": (
            gettext_noop("“{name}” has {length} characters; {limit} are allowed."),
            gettext_noop("Say it in fewer words."),
        ),
        "order.amends_and_replaces": (
            gettext_noop("An order either amends an older one or replaces it, not both."),
            gettext_noop("Keep one of “amends” and “replaces”."),
        ),
        "order.apps_missing": (
            gettext_noop("No app is named."),
            gettext_noop("List catalogue ids under “apps”, such as: apps: [tiktok]"),
        ),
        "order.app_unknown": (
            gettext_noop("“{app}” is not in the catalogue."),
            gettext_noop("Did you mean “{nearest}”? Only catalogue ids can be ordered."),
        ),
        "order.app_edition_missing": (
            gettext_noop("“{app}” names no edition of the app."),
            gettext_noop("Write which catalogue ids are meant, out of: {editions}."),
        ),
        "order.app_not_for_target": (
            gettext_noop("The catalogue knows no identifier of “{app}” for these targets."),
            gettext_noop("Add a target for which there is one, or sign an identifier."),
        ),
        "order.identifier_only_claimed": (
            gettext_noop("{identifier} is only {grade}, so it may accuse an innocent device."),
            gettext_noop("Name under “signed_identifiers” who answers for it, or leave it out."),
        ),
        "order.identifier_collides": (
            gettext_noop("{identifier} is also carried by another program: {collision}"),
            gettext_noop("Name under “signed_identifiers” who answers for it, or leave it out."),
        ),
        "order.identifier_wrong": (
            gettext_noop("{identifier} must not be used: {why}"),
            gettext_noop("Take it out."),
        ),
        "order.identifier_unknown": (
            gettext_noop("{identifier} belongs to none of the named apps in the catalogue."),
            gettext_noop("Correct it, or name under “signed_identifiers” who answers for it."),
        ),
        "order.identifier_not_signed": (
            gettext_noop("Nobody is named who answers for {identifier}."),
            gettext_noop("Add “signed_by” with the name of a person."),
        ),
        "order.publisher_missing": (
            gettext_noop("{identifier} is a bare name without its publisher."),
            gettext_noop("Add “publisher”, as the inventory shows it."),
        ),
        "order.audience_missing": (
            gettext_noop("It is not said which people this order is about."),
            gettext_noop("Add scope.people with groups, such as: people: {{groups: [all-staff]}}"),
        ),
        "order.reason_too_long": (
            gettext_noop("The reason ({language}) has {count} sentences; two are allowed."),
            gettext_noop("Say it in two sentences; details belong to the evidence."),
        ),
        "order.evidence_missing": (
            gettext_noop("No evidence is given."),
            gettext_noop("Add under “evidence” at least one claim: who said it, when, how sure."),
        ),
        "order.hearing_missing": (
            gettext_noop("It is not said whether the maker was asked, nor why not."),
            gettext_noop("Fill hearing.asked_at, or hearing.not_asked_because in each language."),
        ),
        "order.hearing_answer_odd": (
            gettext_noop("An answer needs the day it came and the day the maker was asked."),
            gettext_noop("Fill asked_at, answered_at and answer, or leave the answer out."),
        ),
        "order.hearing_out_of_order": (
            gettext_noop("The maker cannot have answered before it was asked, or after today."),
            gettext_noop("Look at the days of asked_at and answered_at: mails will name them."),
        ),
        "order.deadline_missing": (
            gettext_noop("There is no deadline."),
            gettext_noop("Write: deadline: {{at: 2026-12-10T17:00, clock: each-person}}"),
        ),
        "order.deadline_hour_missing": (
            gettext_noop("The deadline {value} has no hour."),
            gettext_noop("Add the hour, such as {value}T17:00."),
        ),
        "order.deadline_zone_missing": (
            gettext_noop("The deadline {value} does not say by whose clock."),
            gettext_noop("Add “clock: each-person”, or a zone such as +05:30 to the hour."),
        ),
        "order.deadline_two_clocks": (
            gettext_noop("The deadline {value} has a zone and goes by each person's clock."),
            gettext_noop("Keep one of them."),
        ),
        "order.deadline_too_soon": (
            gettext_noop(
                "The deadline leaves at most {hours} hours to act; at least {needed} are needed."
            ),
            gettext_noop("Set it later, or state an “emergency” with its reason."),
        ),
        "order.deadline_past": (
            gettext_noop("The deadline is over, or too near even for an emergency."),
            gettext_noop("Leave at least {needed} hours."),
        ),
        "order.review_before_deadline": (
            gettext_noop("The order is to be looked at again before its deadline is over."),
            gettext_noop("Set “review_on” to a later day."),
        ),
        "order.step_after_deadline": (
            gettext_noop("A step lies after the deadline."),
            gettext_noop("Write a time before it, such as -24h, or: at: deadline"),
        ),
        "order.step_unclear": (
            gettext_noop("A step says neither what to send nor what to close."),
            gettext_noop("Write “send: reminder”, “send: lock-notice” or “close: door”."),
        ),
        "order.lock_notice_missing": (
            gettext_noop("Nobody would be told right before mail is paused on a device."),
            gettext_noop("Add to “steps”: {{at: -45min, send: lock-notice}}"),
        ),
        "order.lock_notice_too_late": (
            gettext_noop("The last notice comes less than 30 minutes before mail is paused."),
            gettext_noop("Set it to -45min or earlier."),
        ),
        "order.close_not_at_deadline": (
            gettext_noop("Mail can be paused only at the deadline, not before."),
            gettext_noop("Write: {{at: deadline, close: door}}"),
        ),
        "order.nobody_closes": (
            gettext_noop("With “enforcement: {enforcement}” this program pauses no mail."),
            gettext_noop("Take out this step, or choose “gate” or “cloud”."),
        ),
        "order.handed_over_not_named": (
            gettext_noop("The policy that pauses mail elsewhere is not named."),
            gettext_noop("Add: handed_over: {{system: ..., policy: ..., owner: ...}}"),
        ),
        "order.handed_over_unneeded": (
            gettext_noop("“handed_over” stands beside “enforcement: {enforcement}”."),
            gettext_noop("Take it out, or write “enforcement: handed-over”."),
        ),
        "order.language_only_one": (
            gettext_noop("The texts are in one language only ({language})."),
            gettext_noop("Add other languages, or state “fallback_language: {language}”."),
        ),
        "order.language_text_missing": (
            gettext_noop("“{name}” has no text in {language}."),
            gettext_noop("Add it; every text is needed in every language of the order."),
        ),
        "order.language_fallback_missing": (
            gettext_noop("The fallback language {language} has no texts."),
            gettext_noop("Choose one of: {languages}."),
        ),
        "order.slot_unknown": (
            gettext_noop("“{slot}” in “{name}” is not a place that can be filled."),
            gettext_noop("Use one of: {slots}."),
        ),
        "order.braces_odd": (
            gettext_noop("“{name}” has a brace without its partner."),
            gettext_noop("Close it, or take it out."),
        ),
        "order.words_alarming": (
            gettext_noop("“{word}” in “{name}” makes a genuine mail look like a forged one."),
            gettext_noop("Say it calmly: what to do and by when is enough."),
        ),
        "order.words_link": (
            gettext_noop("“{name}” holds a link."),
            gettext_noop("Take it out: staff type the address themselves."),
        ),
        "order.corrections_missing": (
            gettext_noop("There is no correction for the case “{variant}”."),
            gettext_noop("Add corrections.{variant} in every language, before anything is sent."),
        ),
        "order.statement_missing": (
            gettext_noop("There is no statement for the case “{variant}”."),
            gettext_noop("Add statement.{variant} in every language."),
        ),
        "order.approvers_missing": (
            gettext_noop("{count} people are named who shall approve; {needed} are needed."),
            gettext_noop("List their addresses under “approvers”."),
        ),
    }
)

CODES: Final = frozenset(_TABLE)

# The way out where no known word is near enough to be what was meant ("nearest" is empty).
_WITHOUT_A_NEAR_WORD: Final[MappingProxyType[str, str]] = MappingProxyType(
    {
        "order.key_unknown": gettext_noop("Take it out. Keys that belong here: {known}."),
        "order.app_unknown": gettext_noop("Only catalogue ids can be ordered: {known}."),
    }
)


def fault_of(
    code: str, *, key: str, line: int | None, file: str | None, facts: dict[str, str]
) -> Fault:
    """Build one fault; `facts` fill its sentence and its remedy."""
    sentence, remedy = _TABLE[code]
    if facts.get("nearest") == "":
        remedy = _WITHOUT_A_NEAR_WORD[code]
    return Fault(
        code=code,
        sentence=sentence,
        remedy=remedy,
        key=key,
        line=line,
        file=file,
        facts=tuple(sorted((name, str(value)) for name, value in facts.items())),
    )
