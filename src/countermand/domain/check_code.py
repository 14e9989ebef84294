"""The check code of a mail: short enough to be said on the telephone, and worth nothing to others.

Eight digits, because digits are said alike by everybody and typed on any phone. It counts only
together with the address that the mail went to, so a code out of one's own mail proves nothing
about the mail of somebody else; and so few tries are heard that guessing is hopeless.

Wrong tries are counted by address, by the network that asks, and by order, over a quarter of an
hour. The first bound stops one guesser; the others only slow down, so that nobody keeps all from
checking: beyond them one try is heard now and then, and of those networks alone that made hardly
a mistake. Of one person's code at most 15 wrong tries are heard in a quarter of an hour for each
address of theirs (1,440 a day: one chance in 69,000), of all codes of an order 1,000 (96,000 a day:
one in a thousand that any is found), from however many networks.

Reports are counted by network in the same way, and apart from wrong tries: an office in which
everybody reports the same forged mail goes on checking.
"""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from enum import StrEnum
from typing import Final

DIGITS: Final = 8
# Stands in previews and test mails; a mail to somebody may carry it by chance, and is genuine then.
OF_TESTS: Final = "4821 0937"
_TYPED_MOST: Final = 40
# So often may a code be wrong within this time: for one address, from one network and from all.
WITHIN: Final = timedelta(minutes=15)
WRONG_FOR_ONE_ADDRESS: Final = 5
WRONG_FOR_ONE_ADDRESS_IN_ALL: Final = 15
# Beyond these, as many more are heard within the same time, one by one.
WRONG_FROM_ONE_NETWORK: Final = 100
WRONG_FOR_ONE_ORDER: Final = 500
REPORTS_FROM_ONE_NETWORK: Final = WRONG_FROM_ONE_NETWORK
# While an order is slowed, a network that was wrong oftener than this is not heard; for each of
# its people who found theirs to be genuine it may be wrong once more.
WRONG_OF_A_NEWCOMER: Final = 3
FRIENDS_FOR: Final = timedelta(days=1)
# What is older is asked for by no limit of these.
LIMITS_LOOK_BACK: Final = max(WITHIN, FRIENDS_FOR)
# How long a report stays that names nobody here, or no order: somebody is to look at it.
REPORTS_KEPT: Final = timedelta(days=30)
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
    TEST_MAIL = "test_mail"  # the code is that of previews and test mails
    NO_CODE = "no_code"  # none was typed, so nothing was compared
    TOO_OFTEN = "too_often"
    SLOWED = "slowed"  # so many are wrong just now that this try was not looked at
    REPORTED = "reported"
    REPORTS_SLOWED = "reports_slowed"  # so many come from this network that this one was not noted
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
