import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from countermand.domain.delivery import EXPIRES, ClaimedNotice, NoticeKind, Template
from countermand.sender.compose import AddressNotUsable, SlotNotFilled, Writer, compose

WRITER = Writer("orders@example.org", "कंपनी सूचना", "help@example.org")
HINDI = Template(
    1,
    "कंपनी सूचना: {matter} — यह विषय एक पंक्ति से लंबा है, ताकि उसे बाँटना पड़े",
    "नमस्ते {name},\nये डिवाइस:\n{devices}\n",
    "<p>नमस्ते {name}</p><ul>{devices}</ul>",
)


def notice(address: str = "asha@example.org", **values: str | list[str]) -> ClaimedNotice:
    return ClaimedNotice(
        notice_id=7,
        claim=1,
        order_number="CM-7Q4K",
        epoch=1,
        kind=NoticeKind.CORRECTION,
        address=address,
        language="hi",
        template_id=1,
        values={"matter": "TikTok", "name": "आशा", "devices": ["Pixel <8>", "iPad"], **values},
        message_id="<CM-7Q4K.1.correction.0.abc@example.org>",
        in_reply_to="<CM-7Q4K.1.notice.0.abc@example.org>",
        dated_at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
        attempts=0,
    )


def read(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_reads_back_as_it_was_meant() -> None:
    mail = read(compose(HINDI, notice(), WRITER).content)

    text, page = (part.get_content() for part in mail.iter_parts())
    assert mail["Subject"].startswith("कंपनी सूचना: TikTok — यह विषय")
    assert mail["From"] == "कंपनी सूचना <orders@example.org>"
    assert text == "नमस्ते आशा,\r\nये डिवाइस:\r\n- Pixel <8>\r\n- iPad\r\n"
    assert page == "<p>नमस्ते आशा</p><ul><li>Pixel &lt;8&gt;</li><li>iPad</li></ul>"
    assert [part.defects for part in mail.walk()] == [[], [], []]


def test_the_headers_that_machines_need_are_there() -> None:
    mail = read(compose(HINDI, notice(), WRITER).content)

    assert mail["Message-ID"] == "<CM-7Q4K.1.correction.0.abc@example.org>"
    assert mail["In-Reply-To"] == mail["References"] == "<CM-7Q4K.1.notice.0.abc@example.org>"
    assert mail["Date"] == "Fri, 20 Nov 2026 09:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "hi"
    assert mail["Reply-To"] == "help@example.org"


def test_a_correction_hints_at_what_it_supersedes_and_a_notice_at_its_end() -> None:
    correction = read(compose(HINDI, notice(), WRITER).content)
    first = notice(**{EXPIRES: "2026-12-10T11:30:00+00:00"})
    told = read(compose(HINDI, first._replace(kind=NoticeKind.NOTICE), WRITER).content)

    assert correction["Supersedes"] == "<CM-7Q4K.1.notice.0.abc@example.org>"
    assert correction["Expires"] is None
    assert told["Expires"] == "Thu, 10 Dec 2026 11:30:00 +0000"
    assert told["Supersedes"] is None


def test_the_same_row_gives_the_same_bytes() -> None:
    assert compose(HINDI, notice(), WRITER) == compose(HINDI, notice(), WRITER)


def test_no_line_is_longer_than_mail_allows() -> None:
    content = compose(HINDI, notice(), WRITER).content

    assert max(len(line) for line in content.split(b"\r\n")) <= 78
    assert content.isascii()


def test_a_value_cannot_smuggle_a_header_in() -> None:
    mail = read(compose(HINDI, notice(matter="x\r\nBcc: all@example.org"), WRITER).content)

    assert mail["Bcc"] is None


def test_a_slot_without_a_value_sends_nothing() -> None:
    with pytest.raises(SlotNotFilled):
        compose(Template(1, "s", "{missing}", "h"), notice(), WRITER)


@pytest.mark.parametrize(
    "address",
    ["", "asha", "a b@example.org", "a@b\r\nRCPT TO:<c@d>", "<a@b>", "a@b@c", "a" * 320 + "@b"],
)
def test_an_address_that_breaks_a_command_sends_nothing(address: str) -> None:
    with pytest.raises(AddressNotUsable):
        compose(HINDI, notice(address), WRITER)


def test_a_place_holder_for_an_address_that_was_given_on_is_no_address() -> None:
    """A relay might take it and try for days, and its person count as told meanwhile."""
    with pytest.raises(AddressNotUsable):
        compose(HINDI, notice("given-on-7@invalid"), WRITER)


def test_an_address_in_other_letters_needs_a_relay_that_takes_them() -> None:
    assert compose(HINDI, notice("आशा@example.org"), WRITER).needs_smtputf8
    assert not compose(HINDI, notice(), WRITER).needs_smtputf8


def test_a_domain_in_other_letters_is_written_so_that_any_relay_takes_it() -> None:
    writer = Writer("orders@कंपनी.भारत", "कंपनी", "help@कंपनी.भारत")

    mail = compose(HINDI, notice("asha@कंपनी.भारत"), writer)

    assert not mail.needs_smtputf8
    assert (mail.mail_from, mail.recipient) == (
        "orders@xn--i1b1b4ch5i.xn--h2brj9c",
        "asha@xn--i1b1b4ch5i.xn--h2brj9c",
    )
    head = mail.content.partition(b"\r\n\r\n")[0].decode("ascii")
    assert "To: asha@xn--i1b1b4ch5i.xn--h2brj9c\r\n" in head
    assert "Reply-To: help@xn--i1b1b4ch5i.xn--h2brj9c\r\n" in head
