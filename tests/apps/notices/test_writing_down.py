"""Mails are written down as they were decided, each once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from countermand.domain.delivery import NoticeKind
from countermand.notices import actions
from countermand.notices.actions import MessageIds, NewNotice
from countermand.notices.models import Notice

pytestmark = pytest.mark.django_db
IDS = MessageIds(domain="orders.example", key=b"k" * 32)
NOW = datetime(2020, 7, 10, 2, 0, 0, 123456, tzinfo=UTC)
MAIL = NewNotice(
    order_number="CM-7Q4K",
    revision_number=1,
    kind=NoticeKind.NOTICE,
    step=0,
    person_id=7,
    address="siobhán@example.org",
    language="hi",
    wave=2,
    template_id=3,
    values={"name": "कविता", "phone": 'Ann\'s "x" \\ 100 % 📱\n, {name}', "units": "a\tb"},
    in_reply_to="<before@orders.example>",
    dated_at=NOW,
    due_at=NOW,
)


def test_a_mail_is_kept_to_the_letter() -> None:
    actions.add_notices([MAIL], ids=IDS)

    kept = Notice.objects.get()
    assert kept.values == {**MAIL.values, "check_code": IDS.check_code(MAIL)}
    assert (kept.address, kept.language, kept.wave) == (MAIL.address, "hi", 2)
    assert (kept.message_id, kept.in_reply_to) == (IDS.of(MAIL), MAIL.in_reply_to)
    assert (kept.kind, kept.step, kept.template_id) == ("notice", 0, 3)
    assert (kept.dated_at, kept.due_at) == (NOW, NOW)
    assert (kept.state, kept.exposure, kept.attempts) == ("pending", 0, 0)


def test_a_mail_that_is_there_already_stays_as_it_is() -> None:
    actions.add_notices([MAIL], ids=IDS)

    given = actions.add_notices([replace(MAIL, language="en"), replace(MAIL, step=1)], ids=IDS)

    assert given == 2
    assert set(Notice.objects.values_list("step", "language")) == {(0, "hi"), (1, "hi")}


def test_writing_down_nothing_is_no_fault() -> None:
    assert actions.add_notices([], ids=IDS) == 0
