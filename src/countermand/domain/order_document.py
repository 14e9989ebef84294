"""An order is a file: it is read whole or refused whole, with every fault at once.

`read` takes what `orders.document_file` found in the YAML and builds an `OrderDocument`, or raises
FaultsFound with code, key, line and way out of each fault. `content` says what the digest of a
revision covers; whoever approves, approves exactly that.

`approvers` names who shall approve: at least two people by address, three in an emergency or with
`cannot_be_checked: refuse-until-answered`. Naming them is not approving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.app_id import TargetKind
from countermand.domain.approvals import USUAL_POLICY
from countermand.domain.catalogue_view import CatalogueView
from countermand.domain.errors import FaultsFound, gettext_noop
from countermand.domain.order_checks import (
    CORRECTION_SLOTS,
    NO_SLOTS,
    STATEMENT_SLOTS,
    check_languages,
    check_reason,
    check_words,
    read_apps,
    read_identifiers,
    texts_by_key,
)
from countermand.domain.order_fields import Faults, Fields
from countermand.domain.order_number import OrderNumber
from countermand.domain.order_parts import (
    CannotBeChecked,
    Deadline,
    Mode,
    OneInstant,
    OrderDocument,
    Remedy,
    SendingWhilePaused,
    Texts,
    Variant,
)
from countermand.domain.order_sections import (
    read_deadline,
    read_evidence,
    read_exceptions,
    read_handed_over,
    read_hearing,
    read_rollout,
    read_scope,
    read_signed,
    read_steps,
)
from countermand.domain.phases import Enforcement
from countermand.domain.plain_values import plain

FORM: Final = "order/v1"
LONGEST_TITLE: Final = 100
_NOT_UNDERSTOOD: Final[Deadline] = OneInstant(datetime.max.replace(tzinfo=UTC))


def read(
    mapping: Mapping[str, Any],
    lines: Mapping[str, int],
    *,
    file: str | None,
    catalogue: CatalogueView,
    now: datetime,
) -> OrderDocument:
    """Build the order that a file states.

    `lines` gives the line, counted from 1, of each dotted key (list items are numbered from 1).
    Raises FaultsFound with all faults; a file is never taken over by half.
    """
    faults = Faults(lines, file)
    document = Fields(mapping, "", faults)
    if document.raw("countermand") != FORM:
        document.fault("order.form_unknown", "countermand")
    order = _read_all(document, catalogue, now)
    document.finish()
    if faults.found:
        raise FaultsFound.of(file or gettext_noop("This order"), faults.found)
    return order


def _read_all(document: Fields, catalogue: CatalogueView, now: datetime) -> OrderDocument:
    enforcement = document.choice("enforcement", Enforcement)
    cannot_be_checked = document.choice(
        "cannot_be_checked", CannotBeChecked, default=CannotBeChecked.ASK
    )
    apps = read_apps(document, catalogue)
    targets = _targets(document)
    signed = read_signed(document, apps)
    review_on = document.day(
        "review_on", hint=gettext_noop("a day on which the order is looked at again")
    )
    emergency = document.texts("emergency") if document.has("emergency") else None
    deadline = read_deadline(document, is_emergency=emergency is not None, now=now)
    if deadline and document.has("review_on") and review_on <= deadline.earliest().date():
        document.fault("order.review_before_deadline", "review_on")
    amends, replaces = _older_orders(document)
    order = OrderDocument(
        number=document.number("number"),
        mode=document.choice("mode", Mode),
        enforcement=enforcement,
        handed_over=read_handed_over(document, enforcement),
        amends=amends,
        replaces=replaces,
        apps=apps,
        targets=targets,
        identifiers=read_identifiers(
            document, apps=apps, targets=targets, signed=signed, catalogue=catalogue
        ),
        signed_identifiers=signed,
        scope=read_scope(document.part("scope"), review_on),
        languages=frozenset(),
        fallback_language=document.line("fallback_language"),
        title=document.texts("title", longest=LONGEST_TITLE),
        reason=document.texts("reason"),
        evidence=read_evidence(document),
        hearing=read_hearing(document, now=now),
        deadline=deadline or _NOT_UNDERSTOOD,
        emergency=emergency,
        steps=read_steps(document, enforcement),
        remedies=document.choices("remedies", Remedy) or (Remedy.REMOVE_APP,),
        cannot_be_checked=cannot_be_checked,
        sending_while_paused=document.choice(
            "sending_while_paused", SendingWhilePaused, default=SendingWhilePaused.ALLOW
        ),
        exceptions=read_exceptions(document),
        review_on=review_on,
        corrections=_variants(document, "corrections"),
        statement=_variants(document, "statement"),
        rollout=read_rollout(document),
        approvers=_approvers(document, is_strict=_is_strict(emergency, cannot_be_checked)),
        author_note=document.texts("author_note", bare=True).in_language("", "")
        if document.has("author_note")
        else "",
    )
    return _with_checked_texts(document, order)


def _targets(document: Fields) -> frozenset[TargetKind]:
    targets = frozenset(document.choices("targets", TargetKind))
    if not document.has("targets"):
        document.missing("targets", "one or more of app, desktop, web")
    return targets


def _older_orders(document: Fields) -> tuple[OrderNumber | None, OrderNumber | None]:
    amends, replaces = document.number("amends"), document.number("replaces")
    if amends and replaces:
        document.fault("order.amends_and_replaces", "replaces")
    return amends, replaces


def _is_strict(emergency: Texts | None, cannot_be_checked: CannotBeChecked) -> bool:
    return emergency is not None or cannot_be_checked is CannotBeChecked.REFUSE_UNTIL_ANSWERED


def _approvers(document: Fields, *, is_strict: bool) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(word.lower() for word in document.words("approvers")))
    needed = USUAL_POLICY.strict if is_strict else USUAL_POLICY.usual
    if len(named) < needed:
        document.fault(
            "order.approvers_missing", "approvers", count=str(len(named)), needed=str(needed)
        )
    return named


def _variants(document: Fields, name: str) -> MappingProxyType[Variant, Texts]:
    """Read the texts for each reason of taking back; all three are needed beforehand."""
    fields = document.part(name)
    found = {variant: fields.texts(variant) for variant in Variant}
    for variant in Variant:
        if not found[variant].entries:
            fields.fault(f"order.{name}_missing", variant, variant=variant)
    fields.finish()
    return MappingProxyType(found)


def _with_checked_texts(document: Fields, order: OrderDocument) -> OrderDocument:
    for name, texts in (("title", order.title), ("reason", order.reason)):
        if not texts.entries and not document.has(name):
            document.missing(name, "a text in each language, such as {{en: ..., hi: ...}}")
    plain = texts_by_key(
        [
            ("title", order.title),
            ("reason", order.reason),
            ("emergency", order.emergency),
            ("hearing.answer", order.hearing.answer),
            ("hearing.not_asked_because", order.hearing.not_asked_because),
            *((f"evidence.{n}.claim", e.claim) for n, e in enumerate(order.evidence, start=1)),
        ]
    )
    corrections = {f"corrections.{v}": texts for v, texts in order.corrections.items()}
    statement = {f"statement.{v}": texts for v, texts in order.statement.items()}
    check_reason(document, order.reason)
    for group, slots in (
        (plain, NO_SLOTS),
        (corrections, CORRECTION_SLOTS),
        (statement, STATEMENT_SLOTS),
    ):
        for key, texts in group.items():
            check_words(document, key, texts, slots)
    every = plain | corrections | statement
    languages = check_languages(document, every, order.fallback_language)
    return _replaced(order, languages)


def _replaced(order: OrderDocument, languages: frozenset[str]) -> OrderDocument:
    values = {field.name: getattr(order, field.name) for field in fields_of(order)}
    return OrderDocument(**values | {"languages": languages})


def content(
    document: OrderDocument, *, affected_root: str, words_digest: str, sender: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the digest of a revision covers, as plain values for `canonical_json`.

    That is the whole document, the frozen list of people affected (by its root), the words of all
    templates in all languages (by their digest), and who sends. Raises ValueError while the order
    has no number: an approval must not fit another order.
    """
    if document.number is None:
        raise ValueError("an order gets its number at its first plan, before its digest")
    return {
        "affected_root": affected_root,
        "order": plain(document),
        "sender": dict(sender),
        "words_digest": words_digest,
    }
