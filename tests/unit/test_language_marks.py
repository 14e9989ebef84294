"""Words of another language are marked while a mail is made, and no mark leaves."""

from datetime import UTC, datetime
from email import message_from_bytes

from countermand.domain.delivery import ClaimedNotice, NoticeKind, Template
from countermand.domain.language_marks import as_html, marked, without
from countermand.sender.compose import Writer, compose, filled


def test_words_of_the_texts_own_language_are_not_marked() -> None:
    assert marked("So.", "en", within="en") == "So."
    assert marked("", "en", within="hi") == ""


def test_marks_become_spans_in_html_and_nothing_in_plain_text() -> None:
    text = f"Basi. {marked('So & so.', 'en', within='sw')} Ndiyo."
    values: dict[str, str | list[str]] = {"one": text, "many": [text, "Ndiyo"]}

    assert without(text) == "Basi. So & so. Ndiyo."
    assert filled("{one}", values) == "Basi. So & so. Ndiyo."
    assert filled("{many}", values) == "- Basi. So & so. Ndiyo.\n- Ndiyo"
    in_html = 'Basi. <span lang="en">So &amp; so.</span> Ndiyo.'
    assert filled("{one}", values, as_html=True) == in_html
    assert filled("{many}", values, as_html=True) == f"<li>{in_html}</li><li>Ndiyo</li>"
    assert as_html("Ndiyo.") == "Ndiyo."


def test_a_mail_as_it_leaves_carries_no_mark() -> None:
    value = marked("So.", "en", within="sw")
    template = Template(1, "{one}", "Basi {one}", "<p>Basi {one}</p><ul>{many}</ul>")
    notice = ClaimedNotice(
        1,
        1,
        "CM-7Q4K",
        1,
        NoticeKind.NOTICE,
        "p1@example.org",
        "sw",
        1,
        {"one": value, "many": [value]},
        "<m@example.org>",
        "",
        datetime(2026, 11, 20, tzinfo=UTC),
        0,
    )

    mail = compose(template, notice, Writer("orders@example.org", "Example", "help@example.org"))

    parts = message_from_bytes(mail.content)
    assert parts["Subject"] == "So."
    text, page = (part.get_payload(decode=True) for part in parts.walk() if not part.is_multipart())
    assert text == b"Basi So."
    so = b'<span lang="en">So.</span>'
    assert page == b"<p>Basi " + so + b"</p><ul><li>" + so + b"</li></ul>"
