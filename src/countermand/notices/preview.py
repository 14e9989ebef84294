"""A mail as an approver sees it: the approved words, filled for one invented person.

It is filled by the very function that the sender uses, so what is shown is what would leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

from countermand.domain import check_code
from countermand.domain.delivery import NoticeKind
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_parts import EachPersonsClock, OneInstant, Variant
from countermand.domain.phases import Enforcement
from countermand.domain.presence import Presence
from countermand.domain.rules_in_force import RuleInForce
from countermand.domain.truth import Correction, PersonRules, TakenBackOrder, correct
from countermand.notices import word_store, wording
from countermand.notices.order_words import House, order_of
from countermand.notices.wording import (
    Addressee,
    Because,
    KnownDevice,
    MailFacts,
    Signatory,
    TemplateText,
    Values,
)
from countermand.sender.compose import filled

# An invented person, the same in every preview; nobody of the organisation is shown to approvers.
_EXAMPLE: Final = MappingProxyType(
    {
        "en": Addressee(name="Robin Example", zone="Europe/London", unit="Field Sales"),
        "hi": Addressee(
            name="Kiran Udaharan", local_name="किरण उदाहरण", zone="Asia/Kolkata", unit="Field Sales"
        ),
    }
)


EXAMPLE_SHORT_ID: Final = "4821"
EXAMPLE_CHECK_CODE: Final = check_code.OF_TESTS


def example_person(language: str) -> Addressee:
    """Return the invented person of the previews in a language."""
    return _EXAMPLE.get(language, _EXAMPLE["en"])


@dataclass(frozen=True, slots=True)
class PreviewMail:
    """One whole mail, filled; `language` is the one it is written in."""

    kind: NoticeKind
    variant: str
    language: str
    subject: str
    text: str
    html: str


@dataclass(eq=False)
class NoSuchMail(CountermandError):
    """An order sends no mail of this kind, or none in this language."""

    number: str
    kinds: str
    languages: str

    code: ClassVar[str] = "notice.no_such_mail"
    sentence: ClassVar[str] = gettext_noop("{number} sends no such mail.")
    remedy: ClassVar[str] = gettext_noop(
        "It sends these: {kinds}; in these languages: {languages}."
    )

    @classmethod
    def among(cls, mails: Sequence[PreviewMail], order_number: str) -> NoSuchMail:
        """Return the error for an order that sends these mails."""
        return cls(
            number=order_number,
            kinds=", ".join(dict.fromkeys(mail.kind.value for mail in mails)),
            languages=", ".join(dict.fromkeys(mail.language for mail in mails)),
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """Who answers for the order; approvers may not be known yet."""

    issued_by: Signatory
    approved_by: tuple[Signatory, ...] = ()


def previews(
    content: Mapping[str, Any],
    order_number: str,
    *,
    house: House,
    app_names: Mapping[str, str],
    signed: Signed,
    now: datetime,
) -> list[PreviewMail]:
    """Return every mail of an order, each filled for an invented person.

    `app_names` gives the name of each ordered app by its catalogue id.
    """
    order = order_of(content)
    names = [app_names[app] for app in order["apps"]]
    templates = wording.prepare_templates(content, order_number, house=house, app_names=names)
    example = _Example(order, order_number, app_names, signed, now)
    code: Values = {"check_code": EXAMPLE_CHECK_CODE}
    return [_filled(template, {**example.values(template), **code}) for template in templates]


def preview(
    content: Mapping[str, Any],
    order_number: str,
    *,
    house: House,
    app_names: Mapping[str, str],
    signed: Signed,
    now: datetime,
    language: str,
    kind: NoticeKind = NoticeKind.NOTICE,
    variant: str = "",
) -> PreviewMail:
    """Return one mail of an order, filled for an invented person. Raises NoSuchMail.

    A correction without a variant is the one for a mistake.
    """
    if kind is NoticeKind.CORRECTION and not variant:
        variant = Variant.MISTAKE.value
    every = previews(
        content, order_number, house=house, app_names=app_names, signed=signed, now=now
    )
    for mail in every:
        if (mail.kind, mail.variant, mail.language) == (kind, variant, language):
            return mail
    raise NoSuchMail.among(every, order_number)


def _filled(template: TemplateText, values: Values) -> PreviewMail:
    return PreviewMail(
        kind=template.kind,
        variant=template.variant,
        language=template.language,
        subject=filled(template.subject, values),
        text=filled(template.text, values),
        html=filled(template.html, values, as_html=True),
    )


@dataclass(frozen=True, slots=True)
class _Example:
    """The facts of the invented person."""

    order: Mapping[str, Any]
    number: str
    app_names: Mapping[str, str]
    signed: Signed
    now: datetime

    def values(self, template: TemplateText) -> Values:
        language = template.language
        person = example_person(language)
        match template.kind:
            case NoticeKind.NOTICE | NoticeKind.REMINDER | NoticeKind.LOCK:
                return wording.notice_values(
                    person, self._devices(), self._facts(person, language), language, template.kind
                )
            case NoticeKind.RESTORED:
                return wording.restored_values(
                    person,
                    self._devices(),
                    because=Because.SAID_REMOVED,
                    at=self.now,
                    issued_by=self.signed.issued_by,
                    language=language,
                )
            case NoticeKind.CLOSING:
                return wording.closing_values(
                    person,
                    self._correction(self._taken_back(Variant.REASON_GONE)),
                    ended_at=self.now,
                    issued_by=self.signed.issued_by,
                    app_names=self.app_names,
                    language=language,
                )
            case NoticeKind.CORRECTION:
                order = self._taken_back(Variant(template.variant))
                # The author's own words are shown whole: as they read where another order stands.
                follows = word_store.sentences(language)["preview.replacement"]
                return wording.correction_values(
                    person,
                    self._correction(order),
                    replace(order, replacement=follows),
                    content=self.order,
                    responsible=self.signed.issued_by,
                    app_names=self.app_names,
                    language=language,
                )

    def _devices(self) -> Sequence[KnownDevice]:
        return [
            KnownDevice(
                name="Galaxy A51",
                short_id=EXAMPLE_SHORT_ID,
                app_name=self.app_names[app],
                presence=Presence.PRESENT,
                seen_at=self.now,
            )
            for app in self.order["apps"]
        ]

    def _facts(self, person: Addressee, language: str) -> MailFacts:
        unnamed = Signatory(word_store.sentences(language)["preview.approvers"])
        return MailFacts(
            issued_by=self.signed.issued_by,
            approved_by=self.signed.approved_by or (unnamed,),
            told_at=self.now,
            own_deadline_at=_deadline(self.order.get("deadline"), person.zone, self.now),
        )

    def _taken_back(self, variant: Variant) -> TakenBackOrder:
        return TakenBackOrder(
            number=self.number,
            apps=tuple(self.order["apps"]),
            enforcement=Enforcement(self.order["enforcement"]),
            variant=variant,
            taken_back_at=self.now,
        )

    def _correction(self, order: TakenBackOrder) -> Correction:
        """Show what is said while the older order, if this one amends any, still stands."""
        older = self.order.get("amends")
        standing = {app: self._rules(app, older) for app in order.apps} if older else {}
        return correct(order, PersonRules(now=standing, before=standing))

    def _rules(self, app: str, older: str) -> tuple[RuleInForce, ...]:
        return (
            RuleInForce(
                number=older,
                app=app,
                since=self.now - timedelta(days=30),
                deadline_at=self.now - timedelta(days=20),
                enforcement=Enforcement(self.order["enforcement"]),
            ),
        )


def _deadline(deadline: object, zone: str, now: datetime) -> datetime:
    """Read the deadline out of the content; a preview of a draft without one says a week on."""
    if isinstance(deadline, Mapping) and deadline.get("at"):
        return OneInstant(datetime.fromisoformat(str(deadline["at"]))).in_zone(zone)
    if isinstance(deadline, Mapping) and deadline.get("day"):
        hour = time.fromisoformat(str(deadline["hour"]))
        day = date.fromisoformat(str(deadline["day"]))
        return EachPersonsClock(day, hour).in_zone(zone)
    return (now + timedelta(days=7)).astimezone(UTC)
