"""A check code can be said on the telephone, in any script, and stands for one mail alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from countermand.domain import check_code
from countermand.domain.delivery import NoticeKind
from countermand.notices.actions import MessageIds, NewNotice
from tests.order_words_samples import NUMBER

NOW = datetime(2020, 7, 7, 4, 30, tzinfo=UTC)
IDS = MessageIds(domain="example.org", key=b"a key of this installation")


def row(**changes: object) -> NewNotice:
    values = {
        "order_number": NUMBER,
        "revision_number": 1,
        "kind": NoticeKind.NOTICE,
        "step": 0,
        "person_id": 7,
        "address": "asha@example.org",
        "language": "hi",
        "wave": 0,
        "template_id": 1,
        "values": {},
        "in_reply_to": "",
        "dated_at": NOW,
        "due_at": NOW,
        **changes,
    }
    return NewNotice(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "typed",
    ["4821 0937", "48210937", "4821-0937", " 4 8 2 1 0 9 3 7 ", "४८२१ ०९३७", "4821.0937"],
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert check_code.typed(typed) == "4821 0937"


@pytest.mark.parametrize("typed", ["", "4821", "4821 09371", "abcdefgh", "9" * 5000, "²" * 3])
def test_what_is_no_code_is_kept_as_none(typed: str) -> None:
    assert check_code.typed(typed) == ""


def test_every_code_has_eight_digits_in_two_groups() -> None:
    for number in (0, 1, 10**8 - 1, 2**255 + 12345):
        code = check_code.from_number(number)
        assert re.fullmatch(r"\d{4} \d{4}", code)
        assert check_code.typed(code) == code


def test_each_mail_has_its_own_code_and_every_try_of_it_the_same() -> None:
    others = [
        row(kind=NoticeKind.REMINDER),
        row(kind=NoticeKind.CORRECTION),
        row(step=1),
        row(person_id=8),
        row(address="asha@elsewhere.example"),
        row(order_number="CM-2X9M"),
    ]

    assert IDS.check_code(row()) == IDS.check_code(row())
    assert len({IDS.check_code(each) for each in [row(), *others]}) == 1 + len(others)
    assert IDS.check_code(row()) != MessageIds("example.org", b"another key").check_code(row())
