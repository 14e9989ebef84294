"""The demo's judge counts from the mail server's record and the exported log alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from demo.judging import (
    AcceptedMail,
    committed_message_ids,
    judge_take_back,
    read_record,
)

TOLD_AT = datetime(2020, 7, 10, 2, tzinfo=UTC)


def mail(seq: int, to: str, kind: str, *, reply_to: str = "", at: float = 0.0) -> AcceptedMail:
    """One accepted mail of order CM-7Q4K."""
    return AcceptedMail(
        seq=seq,
        real_at=at or float(seq),
        told_at=TOLD_AT,
        to=to,
        message_id=f"<CM-7Q4K.1.{kind}.0.{to}@x>",
        in_reply_to=reply_to,
        subject="",
        language="en",
        body_text="",
    )


def test_everybody_told_and_corrected_is_neither_missed_nor_stray() -> None:
    told = mail(1, "a@x", "notice")
    mails = [told, mail(2, "a@x", "correction", reply_to=told.message_id)]

    judged = judge_take_back(
        mails, order_number="CM-7Q4K", committed=frozenset(), stop_durable_at=1.5
    )

    assert judged.missed == ()
    assert judged.stray == ()
    assert judged.notices_after_stop == 0
    assert judged.wrong_thread == ()


def test_a_notice_without_a_correction_is_missed_unless_a_person_calls() -> None:
    mails = [mail(1, "a@x", "notice")]

    judged = judge_take_back(
        mails, order_number="CM-7Q4K", committed=frozenset(), stop_durable_at=2
    )
    called = judge_take_back(
        mails,
        order_number="CM-7Q4K",
        committed=frozenset(),
        stop_durable_at=2,
        to_call=["a@x"],
    )

    assert judged.missed == ("a@x",)
    assert called.missed == ()


def test_a_correction_to_somebody_never_told_is_stray_without_a_commitment_in_the_log() -> None:
    reply_to = "<CM-7Q4K.1.notice.0.b@x@x>"
    mails = [mail(1, "b@x", "correction", reply_to=reply_to)]

    stray = judge_take_back(mails, order_number="CM-7Q4K", committed=frozenset(), stop_durable_at=0)
    careful = judge_take_back(
        mails, order_number="CM-7Q4K", committed=frozenset({reply_to}), stop_durable_at=0
    )

    assert (stray.stray, stray.precautionary) == (("b@x",), ())
    assert (careful.stray, careful.precautionary) == ((), ("b@x",))


def test_a_notice_after_the_correction_and_after_the_stop_is_seen() -> None:
    mails = [
        mail(1, "a@x", "correction", reply_to="<CM-7Q4K.1.notice.0.a@x@x>"),
        mail(2, "a@x", "notice"),
    ]

    judged = judge_take_back(
        mails, order_number="CM-7Q4K", committed=frozenset(), stop_durable_at=1.5
    )

    assert judged.notices_after_correction == ("a@x",)
    assert judged.notices_after_stop == 1


def test_mails_of_another_order_do_not_count() -> None:
    other = AcceptedMail(1, 1.0, TOLD_AT, "a@x", "<CM-2222.1.notice.0.a@x>", "", "", "en", "")

    judged = judge_take_back(
        [other], order_number="CM-7Q4K", committed=frozenset(), stop_durable_at=0
    )

    assert judged.notices_accepted == 0
    assert judged.missed == ()


def test_a_torn_last_line_of_the_record_is_not_an_accepted_mail(tmp_path: Path) -> None:
    whole = {
        "seq": 1,
        "real_at": 1.0,
        "told_at": "2020-07-10T02:00:00+00:00",
        "to": "A@X",
        "message_id": "<CM-7Q4K.1.notice.0.h@x>",
    }
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps(whole) + '\n{"seq": 2, "to": "b', encoding="utf-8")

    mails = read_record(record)

    assert [found.to for found in mails] == ["a@x"]
    assert mails[0].kind == "notice"


def test_commitments_are_read_from_the_exported_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        json.dumps({"event": "permit.batch", "facts": {"message_ids": ["<a>", "<b>"]}})
        + "\n"
        + json.dumps({"event": "order.plan", "facts": {}}),
        encoding="utf-8",
    )

    assert committed_message_ids(log) == {"<a>", "<b>"}
