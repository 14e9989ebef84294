"""Order numbers can be read out on a telephone: one slip never names another order.

A number is `CM-` and four to eight characters of an alphabet without look-alikes (no 0 and O, no
1, I and L, neither B beside 8 nor G, S, Z beside 6, 5, 2) and without vowels, so that it never
spells a word. The last character is a check character: each position has its own weight modulo
the prime 23, so any one wrong character and any two swapped ones are recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.nearest import nearest_word

PREFIX: Final = "CM"
ALPHABET: Final = "23456789CDFHJKMNPQRTWXY"
SHORTEST: Final = 4
LONGEST: Final = 8
# The weighted sum of a right number leaves this rest: CM-7Q4K, the number in every example, is one.
_REST: Final = 19
_MISREAD: Final = str.maketrans({"B": "8", "G": "6", "S": "5", "Z": "2"})
_DASHES: Final = re.compile(r"[\s\u2010-\u2015\u2212_-]+")


@dataclass(eq=False)
class OrderNumberNotUnderstood(CountermandError):
    """The text has not the form of an order number."""

    text: str

    code: ClassVar[str] = "order_number.not_understood"
    sentence: ClassVar[str] = gettext_noop("“{text}” is not an order number.")
    remedy: ClassVar[str] = gettext_noop("A number looks like CM-7Q4K; copy it from the notice.")


@dataclass(eq=False)
class CheckCharacterWrong(CountermandError):
    """The text looks like an order number, but its check character does not fit."""

    text: str

    code: ClassVar[str] = "order_number.check_character"
    sentence: ClassVar[str] = gettext_noop("{text} cannot be right: a character is mistyped.")
    remedy: ClassVar[str] = gettext_noop("Compare each character with the notice and type again.")


def _weighted_sum(body: str) -> int:
    """Sum the characters, each times its place counted from the right, starting with 1."""
    return sum(
        weight * ALPHABET.index(character)
        for weight, character in enumerate(reversed(body), start=1)
    )


@dataclass(frozen=True, slots=True, order=True)
class OrderNumber:
    """A number such as `CM-7Q4K`. Build one with `parse` or `generate`; then it is valid."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number as people type it: any case, any dash or none, with or without `CM`.

        Raises OrderNumberNotUnderstood, or CheckCharacterWrong when only a character is wrong.
        """
        # Longer input is no number; what is shown of it stays short.
        shown = text.strip()[:40]
        body = _DASHES.sub("", shown.upper())
        if len(body) > SHORTEST:
            body = body.removeprefix(PREFIX)
        body = body.translate(_MISREAD)
        if not SHORTEST <= len(body) <= LONGEST or not set(body) <= set(ALPHABET):
            raise OrderNumberNotUnderstood(text=shown)
        if _weighted_sum(body) % len(ALPHABET) != _REST:
            raise CheckCharacterWrong(text=f"{PREFIX}-{body}")
        return cls(f"{PREFIX}-{body}")

    def __str__(self) -> str:
        return self.text


def generate(random_bytes: bytes, *, length: int = SHORTEST) -> OrderNumber:
    """Make a number of `length` characters out of at least 16 random bytes.

    Numbers of four characters are 12,167; the caller tries again when one is taken.
    """
    if len(random_bytes) < 16 or not SHORTEST <= length <= LONGEST:  # noqa: PLR2004
        raise ValueError("a number needs 16 random bytes and four to eight characters")
    rest = int.from_bytes(random_bytes, "big")
    chosen = ""
    for _ in range(length - 1):
        rest, place = divmod(rest, len(ALPHABET))
        chosen += ALPHABET[place]
    check = (_REST - _weighted_sum(chosen + ALPHABET[0])) % len(ALPHABET)
    return OrderNumber(f"{PREFIX}-{chosen}{ALPHABET[check]}")


def nearest(number: str, known: Iterable[str]) -> str | None:
    """Return the known number that `number` was most likely meant to be, if one is near."""
    body = _DASHES.sub("", number.strip()[:40].upper()).removeprefix(PREFIX).translate(_MISREAD)
    return nearest_word(f"{PREFIX}-{body}", known, at_most=2)
