"""An author's own words about a take-back say only what is so when they are read.

`{replaced_by}` names the order that stands in place of the one taken back. Where none stands, not
yet or not any more, no word put there makes a true sentence: the sentences that name it are left
out, and one of ours says what is so.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Final

from countermand.notices import moments, word_store

ANOTHER: Final = "{replaced_by}"

# A stop ends no sentence after one or two letters (“Dr.”, “R.”), nor after Devanagari (“डॉ.”).
# Too few ends leave a word more out; one too many would leave half a sentence.
_END: Final = re.compile(
    r"(?:(?<=[A-Za-z0-9}\)\"”’])(?<!\b[A-Za-z])(?<!\b[A-Za-z]{2})\.|[!?।])[\"”’)]*\s+(?=\S)"
)


def naming(text: str, replacement: str | None, *, instead: str) -> str:
    """Return `text` with the number of the order that stands in place of another.

    Without one, `instead` takes the place of the first sentence that would name it, and the others
    that would are left out.
    """
    if replacement:
        return text.replace(ANOTHER, replacement)
    said = []
    for sentence in _sentences(text):
        if ANOTHER not in sentence:
            said.append(sentence)
        elif instead not in said:
            said.append(instead)
    return " ".join(each for each in said if each)


def of_ours(variant: str, number: str, at: datetime, zone: str, language: str) -> str:
    """Return our own sentence about a take-back at this instant, as this zone reads it."""
    said = word_store.sentences(language)[f"taken_back.{variant}"]
    return said.format(number=number, taken_back_at=moments.moment(at, zone, said.language))


def _sentences(text: str) -> list[str]:
    ends = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    return [text[a:b].strip() for a, b in pairwise(ends)]
