"""What delivery reports say, however they are wrapped; and that nothing sent to us can harm."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.connectors.returned_mail import report
from countermand.connectors.returned_mail.mailbox import MaildirDrop, opened
from countermand.domain.delivery import EvidenceKind

ENVELOPE = "CM-7Q4K.1.notice.0.0123456789abcdef0123"
MESSAGE_ID = f"<{ENVELOPE}@example.org>"
STATUS = f"""Reporting-MTA: dns; mail.example.org
Original-Envelope-Id: {ENVELOPE}
X-Postfix-Queue-ID: 4Xy1Zk3jQzKb
Arrival-Date: Tue,  7 Jul 2020 10:05:00 +0530 (IST)

Final-Recipient: rfc822; Asha@Example.org
Original-Recipient: rfc822;asha+40example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <asha@example.org>: Recipient
    address rejected
Last-Attempt-Date: Tue, 7 Jul 2020 10:06:00 +0530
"""


def returned(
    status: str = STATUS, *, quoted: str = f"Message-ID: {MESSAGE_ID}\nSubject: x\n"
) -> bytes:
    return f"""Return-Path: <>
From: MAILER-DAEMON@mail.example.org
Content-Type: multipart/report; report-type=delivery-status;
    boundary="=b"
MIME-Version: 1.0

This is a MIME-encapsulated message.

--=b
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you ...

--=b
Content-Type: message/delivery-status

{status}
--=b
Content-Type: text/rfc822-headers

{quoted}
--=b--
""".encode()


def test_a_returned_notice_is_known_by_its_envelope_and_by_what_it_quotes() -> None:
    (found,) = report.findings(returned())

    assert found.kind is EvidenceKind.DSN_FAILED
    assert (found.envelope_id, found.message_id) == (ENVELOPE, MESSAGE_ID)
    assert found.address == "asha@example.org"
    assert found.at == datetime(2020, 7, 7, 4, 36, tzinfo=UTC)
    assert found.detail.startswith("5.1.1 smtp; 550 5.1.1")
    assert "address rejected" in found.detail


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r\r\n", b"\r"])
def test_line_ends_of_every_kind_say_the_same(line_end: bytes) -> None:
    assert report.findings(returned().replace(b"\n", line_end)) == report.findings(returned())


@pytest.mark.parametrize("status", ["550", "550 5.1.1", "5.1", "5", "5.1.1 (bad mailbox)", "none"])
def test_what_came_back_came_back_however_its_status_is_written(status: str) -> None:
    told = STATUS.replace("Status: 5.1.1", f"Status: {status}")

    assert [each.kind for each in report.findings(returned(told))] == [EvidenceKind.DSN_FAILED]


def test_a_failure_with_the_status_of_a_success_says_nothing() -> None:
    assert report.findings(returned(STATUS.replace("Status: 5.1.1", "Status: 2.0.0"))) == ()


def test_groups_of_fields_without_an_empty_line_between_them_are_read() -> None:
    run_on = STATUS.replace("(IST)\n\n", "(IST)\n")

    assert run_on != STATUS
    assert report.findings(returned(run_on)) == report.findings(returned())


def test_no_more_recipients_are_read_than_anybody_needs() -> None:
    _, _, recipient = STATUS.partition("\n\n")

    for gap in ("\n", "\n\n"):
        many = STATUS.replace("(IST)\n\n", f"(IST)\n{gap[1:]}") + f"\n{recipient}" * 30
        assert len(report.findings(returned(many))) == 20


@pytest.mark.parametrize("names", [("XX", "XX1"), ("XX1", "XX")])
def test_a_box_whose_mark_begins_as_another_does_is_opened(names: tuple[str, str]) -> None:
    outer, inner = (name.encode() for name in names)
    wrapped = b"Content-Type: multipart/mixed; boundary=" + outer + b"\n\n--" + outer + b"\n"
    wrapped += returned().replace(b"=b", inner) + b"\n--" + outer + b"--\n"

    assert report.findings(wrapped) == report.findings(returned())


def test_a_report_that_somebody_forwarded_as_a_mail_is_read() -> None:
    forwarded = b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n\n"
    forwarded += b"see below\n--o\nContent-Type: message/rfc822\n\n" + returned() + b"\n--o--\n"

    assert report.findings(forwarded) == report.findings(returned())


def test_a_report_that_another_report_quotes_is_not_read() -> None:
    outer = returned(STATUS.replace(ENVELOPE, "theirs"), quoted="Message-ID: <x@e.org>\n")
    whole = outer.replace(b"text/rfc822-headers", b"message/rfc822")
    inner = whole.replace(b"Message-ID: <x@e.org>\n", returned().replace(b"=b", b"=c"))

    assert [(each.envelope_id, each.message_id) for each in report.findings(inner)] == [
        ("theirs", "")
    ]


BARE = b"Content-Type: text/plain\n\nMessage-ID: "


def test_a_mail_quoted_as_bare_text_names_itself() -> None:
    nameless = returned(STATUS.replace(f"Original-Envelope-Id: {ENVELOPE}\n", ""))
    bare = nameless.replace(b"Content-Type: text/rfc822-headers\n\nMessage-ID: ", BARE)

    (found,) = report.findings(bare)

    assert (found.kind, found.message_id) == (EvidenceKind.DSN_FAILED, MESSAGE_ID)
    assert report.findings(bare.replace(b"CM-7Q4K", b"XX-7Q4K")) == ()
    another = MESSAGE_ID.replace("notice.0", "notice.1")
    assert report.findings(bare.replace(BARE, BARE + f"{another}\nMessage-ID: ".encode())) == ()


def test_a_report_that_a_filter_has_wrapped_up_is_still_read() -> None:
    inner = returned()
    wrapped = b'Content-Type: multipart/mixed; boundary="outer"\n\n--outer\n' + inner
    wrapped += b"\n--outer\nContent-Type: text/plain\n\nscanned\n--outer--\n"

    assert report.findings(wrapped) == report.findings(inner)


def test_whoever_quotes_another_mail_than_the_envelope_names_is_not_believed() -> None:
    assert report.findings(returned(quoted="Message-ID: <CM-7Q4K.1.notice.0.ffff@e.org>\n")) == ()


def test_an_envelope_id_that_a_relay_made_itself_names_no_other_mail() -> None:
    (found,) = report.findings(returned(STATUS.replace(ENVELOPE, "0101018f9e-aa-000000")))

    assert (found.kind, found.message_id) == (EvidenceKind.DSN_FAILED, MESSAGE_ID)


def test_a_line_of_blanks_parts_the_fields_of_a_report_as_an_empty_one_does() -> None:
    assert report.findings(returned(STATUS.replace("\n\n", "\n \t\n"))) == report.findings(
        returned()
    )


def test_a_report_that_names_no_mail_says_nothing_about_any() -> None:
    nameless = STATUS.replace(f"Original-Envelope-Id: {ENVELOPE}\n", "")

    assert report.findings(returned(nameless, quoted="Subject: x\n")) == ()
    assert len(report.findings(returned(nameless))) == 1


@pytest.mark.parametrize(
    ("action", "status", "kind"),
    [
        ("delivered", "2.0.0", EvidenceKind.DSN_DELIVERED),
        ("delayed", "4.4.1", EvidenceKind.RELAY_LOG_ACCEPTED),
        ("relayed", "2.0.0", EvidenceKind.RELAY_LOG_ACCEPTED),
        ("Failed (too old)", "4.4.7", EvidenceKind.DSN_FAILED),
        ("failed;", "5.1.1", EvidenceKind.DSN_FAILED),
    ],
)
def test_every_action_says_what_it_says(action: str, status: str, kind: EvidenceKind) -> None:
    told = STATUS.replace("Action: failed", f"Action: {action}").replace("5.1.1\n", f"{status}\n")

    assert [each.kind for each in report.findings(returned(told))] == [kind]


# What Postfix 3.7 sends when SMTPUTF8 was asked for: other names for the same parts (RFC 6533).
GLOBAL = f"""Content-Type: multipart/report; report-type=delivery-status; boundary="=b/relay"
Content-Transfer-Encoding: 8bit

--=b/relay
Content-Type: message/global-delivery-status
Content-Transfer-Encoding: 8bit

Reporting-MTA: dns; relay.example
Original-Envelope-Id: {ENVELOPE}
Arrival-Date: Tue,  7 Jul 2020 10:05:00 +0530 (IST)

Final-Recipient: utf-8; आशा@उदाहरण.example
Original-Recipient: rfc822;आशा@उदाहरण.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--=b/relay
Content-Type: message/global-headers
Content-Transfer-Encoding: 8bit

To: <आशा@उदाहरण.example>
Message-ID: {MESSAGE_ID}

--=b/relay--
"""
# Exchange Online: words in two forms first, no envelope id, the mail itself at the end.
EXCHANGE = f"""Content-Type: multipart/report; report-type=delivery-status; boundary="_b1_"

--_b1_
Content-Type: multipart/alternative; differences=Content-Type; boundary="_b2_"

--_b2_
Content-Type: text/plain; charset="us-ascii"

Your message couldn't be delivered.

--_b2_
Content-Type: text/html; charset="us-ascii"

<p>Your message couldn't be delivered.</p>

--_b2_--

--_b1_
Content-Type: message/delivery-status

Reporting-MTA: dns;PN2PR01MB4321.INDPRD01.PROD.OUTLOOK.COM
Received-From-MTA: dns;mail.example.org
Arrival-Date: Tue, 7 Jul 2020 04:36:00 +0000

Final-Recipient: rfc822;asha@example.org
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found
X-Display-Name: Asha

--_b1_
Content-Type: message/rfc822

Message-ID: {MESSAGE_ID}
Subject: x

--_b1_--
"""
# Google: words and a picture in boxes of their own, then the status, then the mail.
GOOGLE = f"""Content-Type: multipart/report; report-type=delivery-status; boundary="0000aa01"

--0000aa01
Content-Type: multipart/related; boundary="0000aa02"

--0000aa02
Content-Type: multipart/alternative; boundary="0000aa03"

--0000aa03
Content-Type: text/plain; charset="UTF-8"

** Address not found **

--0000aa03--
--0000aa02
Content-Type: image/png; name="icon.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--0000aa02--
--0000aa01
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Mon, 06 Jul 2020 21:36:00 -0700 (PDT)
X-Original-Message-ID: {MESSAGE_ID}

Final-Recipient: rfc822; asha@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.org. (192.0.2.1, the server for the domain example.org.)
Diagnostic-Code: smtp; 550 5.1.1 No such user
Last-Attempt-Date: Mon, 06 Jul 2020 21:36:00 -0700 (PDT)

--0000aa01
Content-Type: message/rfc822

Message-ID: {MESSAGE_ID}
Subject: x

--0000aa01--
"""


@pytest.mark.parametrize(
    ("mail", "address"),
    [
        (GLOBAL, "आशा@उदाहरण.example"),
        (GLOBAL.replace("global-headers", "global"), "आशा@उदाहरण.example"),
        (EXCHANGE, "asha@example.org"),
        (GOOGLE, "asha@example.org"),
    ],
    ids=["postfix-smtputf8", "whole-mail-in-other-letters", "exchange-online", "google"],
)
def test_each_great_system_is_understood_when_it_returns_a_notice(mail: str, address: str) -> None:
    (found,) = report.findings(mail.replace("\n", "\r\n").encode())

    assert found.kind is EvidenceKind.DSN_FAILED
    assert found.message_id == MESSAGE_ID
    assert found.address == address
    assert found.detail.startswith("5.1.1")
    assert found.at is not None


def test_an_address_in_other_letters_may_be_written_in_plain_ones() -> None:
    plain = STATUS.replace("rfc822;asha+40example.org", r"utf-8;\x{0906}\x{0936}\x{093E}@e.org")

    (found,) = report.findings(returned(plain))

    assert found.address == "आशा@e.org"
    assert report.findings(returned(plain.replace("0906", "110000")))[0].address.startswith("\\x")


def test_an_answer_of_a_person_or_a_robot_is_no_report() -> None:
    assert report.findings(b"Subject: Re: notice\n\nIs this real?\n") == ()
    assert report.findings(b"Content-Type: multipart/report\n\nnothing\n") == ()


def test_a_thousand_boxes_in_boxes_are_not_opened() -> None:
    mail = returned()
    for n in range(1000):
        mark = f"m{n}".encode()
        mail = b"Content-Type: multipart/mixed; boundary=" + mark + b"\n\n--" + mark + b"\n" + mail

    assert report.findings(mail) == ()


@given(st.binary(max_size=600), st.integers(0, 900), st.integers(0, 200))
def test_nothing_that_is_sent_to_us_harms(junk: bytes, at: int, cut: int) -> None:
    mail = returned()

    for spoilt in (junk, mail[:at] + junk + mail[at + cut :]):
        assert len(report.findings(spoilt)) <= 20


def test_a_folder_is_read_once_and_nothing_of_it_is_lost_by_a_crash(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.x").write_bytes(b"one")
    (tmp_path / "new" / "2.x").write_bytes(b"two")
    reader = opened(f"maildir:{tmp_path}", "")
    assert isinstance(reader, MaildirDrop)

    crashed = reader.unread()
    next(crashed)
    crashed.close()

    assert list(reader.unread()) == [b"one", b"two"]
    assert list(reader.unread()) == []
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.x:2,S", "2.x:2,S"]
