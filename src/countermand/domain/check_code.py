"""The check code of a mail: short enough to be said on the telephone, and worth nothing to others.

Eight digits, because digits are said alike by everybody and typed on any phone. It counts only
together with the address that the mail went to, so a code out of one's own mail proves nothing
about the mail of somebody else; and so few tries are heard that guessing is hopeless.
"""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from enum import StrEnum
from typing import Final

DIGITS: Final = 8
_TYPED_MOST: Final = 40
# So often may a code for one address be wrong, and codes for one order in all, within this time.
WITHIN: Final = timedelta(minutes=15)
WRONG_FOR_ONE_ADDRESS: Final = 5
WRONG_FOR_ONE_ORDER: Final = 1000
# How long a right code lets somebody answer, and how many answers of one person are heard.
ANSWER_WITHIN: Final = timedelta(minutes=30)
ANSWERS_OF_ONE_PERSON: Final = 60  # within WITHIN
# How often the person of one device may have it looked at.
LOOK_AGAIN_AFTER: Final = timedelta(minutes=10)
# Of people who take a notice for forged: so many, and so great a share of those told, pause it.
DOUBTS_PER_CENT: Final = 1.0


class Said(StrEnum):
    """What somebody told on the look-up page, as it is kept."""

    GENUINE = "genuine"
    NOT_GENUINE = "not_genuine"
    REPORT = "report"


class Verdict(StrEnum):
    """What the page answers."""

    GENUINE = "genuine"
    NOT_GENUINE = "not_genuine"
    TOO_OFTEN = "too_often"
    REPORTED = "reported"
    CANNOT_SAY = "cannot_say"  # the record of mails does not answer
    NOTED = "noted"  # an answer that opens
    NOTED_HELP = "noted_help"  # an answer that asks for help
    LOOK_ASKED = "look_asked"  # a source looks at the device now
    LOOK_WAITS = "look_waits"  # it was asked to a moment ago
    CANNOT_LOOK = "cannot_look"  # no source of it can be asked about one device
    PROVE_AGAIN = "prove_again"  # the proof is too old, or forged, or nothing is asked any more


def from_number(number: int) -> str:
    """Return the code that a great random number stands for, in two groups: `4821 0937`."""
    digits = f"{number % 10**DIGITS:0{DIGITS}d}"
    return f"{digits[:4]} {digits[4:]}"


def typed(text: str) -> str:
    """Return a code as it is kept, whatever stands between its digits and in whatever script.

    What cannot be a code comes back as it is not kept anywhere: the empty text.
    """
    digits = "".join(
        str(unicodedata.digit(character))
        for character in text[:_TYPED_MOST]
        if unicodedata.digit(character, None) is not None
    )
    return f"{digits[:4]} {digits[4:]}" if len(digits) == DIGITS else ""
