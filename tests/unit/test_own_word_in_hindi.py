"""An organisation calls its notices what it likes: सूचना is feminine, आदेश is not, nor is फ़ैसला.

In Hindi verbs agree with a noun, and some nouns change before a postposition. The word of the
organisation is filled in as it stands, so no verb may agree with it and no postposition follow it.
"""

from __future__ import annotations

import re

import pytest

from countermand.notices import word_store

MAILS = sorted(path.stem for path in (word_store.WORDS_FOLDER / "hi").glob("*.txt"))
WORD = "[[notice_word]] [[number]]"
POSTPOSITIONS = {"का", "के", "की", "को", "से", "ने", "में", "पर", "तक"}
# Forms that change with the gender of what they are said of.
AGREES = re.compile(
    r"(?:ता|ती|ते|चुका|चुकी|चुके|गया|गई|गए|लिया|ली|लिए|दिया|दी|दिए|भेजा|भेजी|भेजे|था|थी|थे|गा|गी|गे)$"
)


def clauses(mail: str) -> list[list[str]]:
    """The words that follow the organisation's own, to the end of each clause."""
    body = word_store.mail_source("hi", mail).body
    return [part.split() for part in re.findall(re.escape(WORD) + r"([^।:,]*)", body)]


@pytest.mark.parametrize("mail", MAILS)
def test_a_hindi_sentence_is_right_whatever_a_notice_is_called(mail: str) -> None:
    said = clauses(mail)

    assert said, "every mail names the notice once"
    for words in said:
        assert words[:1] == [] or words[0] not in POSTPOSITIONS
        assert [word for word in words if AGREES.search(word)] == []
