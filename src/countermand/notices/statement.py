"""What press and maker are told about a take-back: approved words, figures from the ledger.

Staff come first: there is no statement before corrections have begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_parts import Variant
from countermand.notices import moments, own_words, word_store
from countermand.notices.order_words import House, in_language, order_of
from countermand.notices.word_store import Sentence
from countermand.sender.compose import filled


@dataclass(eq=False)
class StatementNotReleased(CountermandError):
    """The statement was asked for before staff were told."""

    number: str

    code: ClassVar[str] = "statement.not_released"
    sentence: ClassVar[str] = gettext_noop(
        "The statement about {number} is not ready: staff have not begun to get corrections."
    )
    remedy: ClassVar[str] = gettext_noop("Wait until corrections are on their way, then ask again.")


@dataclass(eq=False)
class NothingTakenBack(CountermandError):
    """The statement was asked for of an order that was never taken back."""

    number: str

    code: ClassVar[str] = "statement.nothing_taken_back"
    sentence: ClassVar[str] = gettext_noop(
        "There is nothing to state about {number}: it was not taken back."
    )
    remedy: ClassVar[str] = gettext_noop("Where it stands: countermand order show {number}.")


@dataclass(eq=False)
class NobodyWasTold(CountermandError):
    """The statement was asked for of an order that was withdrawn before anything was sent."""

    number: str

    code: ClassVar[str] = "statement.nobody_was_told"
    sentence: ClassVar[str] = gettext_noop(
        "There is nothing to state about {number}: it was withdrawn before anybody was told."
    )
    remedy: ClassVar[str] = gettext_noop("Nobody has to do anything.")


@dataclass(frozen=True, slots=True)
class StatementFigures:
    """What the ledger says about one take-back, in people; instants are aware.

    `certain` got a notice, `possible` may have got one, `corrected` were sent a correction.
    """

    certain: int
    possible: int
    corrected: int
    first_notice_at: datetime | None
    taken_back_at: datetime
    corrections_began_at: datetime | None


def fill(
    content: Mapping[str, Any],
    number: str,
    *,
    variant: Variant,
    figures: StatementFigures,
    house: House,
    language: str,
    replaced_by: str | None = None,
) -> Sentence:
    """Return the statement with its figures, and in which language it is.

    Raises StatementNotReleased, TextMissing and LanguageWithoutWords.
    """
    word_store.sentences(language)  # a language that nobody has words for is no slip to pass over
    if figures.corrections_began_at is None:
        raise StatementNotReleased(number=number)
    order = order_of(content)
    first = figures.first_notice_at
    statements = order.get("statement")
    entries = statements.get(variant.value) if isinstance(statements, Mapping) else None
    text = in_language(entries, order, language, f"statement.{variant.value}")
    language = text.language  # what is filled in follows the text, which may be a fallback
    values: dict[str, str | list[str]] = {
        "number": number,
        "title": in_language(order.get("title"), order, language, "title"),
        "organisation": house.organisation,
        "people_certain": str(figures.certain),
        "people_possible": str(figures.possible),
        "people_reached": str(figures.certain + figures.possible),
        "people_corrected": str(figures.corrected),
        "first_notice_at": moments.moment(first, house.zone, language) if first else "–",
        "taken_back_at": moments.moment(figures.taken_back_at, house.zone, language),
    }
    ours = own_words.of_ours(variant, number, figures.taken_back_at, house.zone, language)
    said = own_words.naming(" ".join(text.split()), replaced_by, instead=ours)
    return Sentence(filled(said, values), language)
