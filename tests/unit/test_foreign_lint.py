"""Anybody's mail is judged by the same fourteen rules as ours, and none can hurt the judge."""

from __future__ import annotations

import base64
import json
import textwrap
import unicodedata
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from countermand.cli import app as command_line
from countermand.domain.delivery import ClaimedNotice, NoticeKind, Template
from countermand.domain.presence import Presence
from countermand.notices import copy_rules, foreign_lint, foreign_mail, preview, wording
from countermand.notices.foreign_lint import Report, State
from countermand.notices.foreign_mail import MailNotReadable
from countermand.notices.wording import KnownDevice, MailFacts, Signatory
from countermand.sender.compose import Writer, compose
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2020, 7, 7, 4, 30, tzinfo=UTC)
WRITER = Writer("orders@orders.example", "Example Organisation", "help@orders.example")

# A mail such as were sent in 2020: in a hurry, to all, on a single day's notice.
HURRIED = """\
From: IT Security <noreply@corp.example>
To: All Staff <staff@corp.example>
Subject: [ACTION REQUIRED] Clips
Date: Fri, 10 Jul 2020 08:00:00 -0700
Content-Type: text/plain

Dear all,

Due to security risks Clips is no longer permitted on phones that access company email.
You must remove the app by 10 July, and do so immediately.
Click here: https://bit.ly/abc?u=123
"""


def our_own(language: str) -> bytes:
    """Return a notice of ours as it leaves, byte by byte."""
    template = next(
        each
        for each in wording.prepare_templates(
            content(), NUMBER, house=HOUSE, app_names=list(APP_NAMES.values())[:1]
        )
        if each.kind is NoticeKind.NOTICE and each.language == language
    )
    person = preview.example_person(language)
    device = KnownDevice("Galaxy A51", "4821", "Clips", Presence.PRESENT, seen_at=NOW)
    facts = MailFacts(
        issued_by=Signatory("R. Iyer", "आर. अय्यर", "Security"),
        approved_by=(Signatory("M. Khan", role="Legal"),),
        told_at=NOW,
        own_deadline_at=datetime(2020, 7, 17, 11, 30, tzinfo=UTC),
    )
    notice = ClaimedNotice(
        notice_id=1,
        claim=1,
        order_number=NUMBER,
        epoch=1,
        kind=NoticeKind.NOTICE,
        address="kiran@orders.example",
        language=language,
        template_id=1,
        values={
            "check_code": "4821 0937",
            **wording.notice_values(person, [device], facts, language),
        },
        message_id=f"<{NUMBER}.1.notice.0.abc@orders.example>",
        in_reply_to="",
        dated_at=NOW,
        attempts=0,
    )
    words = Template(1, template.subject, template.text, template.html)
    return compose(words, notice, WRITER).content


def judged(source: bytes | str) -> Report:
    raw = source.encode() if isinstance(source, str) else source
    return foreign_lint.lint(foreign_mail.read(raw, file="mail.eml"))


def keys(report: Report) -> set[str]:
    return {each.key for each in report.broken}


def built(text: str = "Hello.", page: str = "", **headers: str) -> bytes:
    mail = EmailMessage()
    mail.set_content(text)
    for name, value in {
        "From": "Security <security@corp.example>",
        "To": "Asha <asha@corp.example>",
        "Subject": "Notice CM-7Q4K",
        **headers,
    }.items():
        mail[name.replace("_", "-")] = value
    if page:
        mail.add_alternative(page, subtype="html")
    return mail.as_bytes()


@pytest.mark.parametrize("language", ["en", "hi"])
def test_our_own_mails_break_no_rule(language: str) -> None:
    report = judged(our_own(language))

    assert keys(report) == set()
    assert report.languages == (language,)
    assert report.is_demand
    assert {report.state(rule) for rule in copy_rules.RULES} == {State.KEPT}


def test_a_hurried_mail_is_told_what_to_write_instead() -> None:
    report = judged(HURRIED)

    assert {report.state(rule) for rule in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14)} == {
        State.BROKEN
    }
    assert report.state(9) is report.state(12) is State.KEPT
    examples = {each.key: each.example() for each in report.broken}
    assert examples["never_ask_missing"].startswith("In such a mail we never ask for a password")
    assert "[[" not in "".join(examples.values())


@pytest.mark.parametrize("key", copy_rules.WAYS)
def test_every_way_belongs_to_a_rule_and_names_a_way_out(key: str) -> None:
    way = copy_rules.WAYS[key]

    assert way.rule in copy_rules.RULES
    assert way.sentence
    assert way.instead


def test_a_mail_that_asks_nothing_needs_no_deadline() -> None:
    report = judged(built("Asha, on 3 July the canteen serves dosa. CM-7Q4K."))

    assert not report.is_demand
    assert {report.state(rule) for rule in (3, 4, 5, 6, 13)} == {State.NOT_NEEDED}


def test_both_languages_of_a_mail_have_to_say_it() -> None:
    english = "We never ask for a password. Please report it when something looks wrong to you."
    hindi = "जिन फ़ोन पर आपकी कंपनी-मेल खुलती है, उन सबसे Clips हटा दें। यह सूचना कंपनी की है।"
    report = judged(built(f"{english}\n\n{hindi}"))

    missing = {each.language for each in report.broken if each.key == "never_ask_missing"}
    assert set(report.languages) == {"en", "hi"}
    assert missing == {"hi"}


def test_a_language_that_is_not_known_is_not_judged_and_not_called_kept() -> None:
    text = "Bitte entfernen Sie die App von allen Telefonen. Melden Sie alles Verdächtige gern."
    report = judged(built(text, Content_Language="de"))

    assert report.not_judged == ("de",)
    assert report.state(14) is State.NOT_JUDGED


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ('<a href="https://evil.example/x">https://corp.example/x</a>', "link_not_as_shown"),
        ('<a href="https://corp.example/x?id=9">https://corp.example/x</a>', "link_traced"),
        ('<a href="https://corp.example/x" class="btn">corp.example</a>', "button"),
        ('<a href="https://corp.example/x">the portal</a>', "button"),
        ('<a title=">" href="https://evil.example">corp.example</a>', "link_not_as_shown"),
        ('<a href="https://corp.example.evil.example">corp.example</a>', "link_not_as_shown"),
        ('<img src="https://corp.example/pixel.gif">', "image_or_table"),
        ("<form action=x><input name=password></form>", "image_or_table"),
        ("<table><tr><td>Hello.</td></tr></table>", "image_or_table"),
        ('<p style="display:none">Hidden</p>', "text_hidden"),
        ("<style>p, div.H{display:none}</style><div class='a h'>Hidden</div>", "text_hidden"),
        ("<div id=h>Hidden</div><style>@media all{.x{} #h {opacity:0}}</style>", "text_hidden"),
    ],
)
def test_what_a_page_hides_is_found(page: str, key: str) -> None:
    assert key in keys(judged(built(page=f'<html lang="en"><body>{page}</body></html>')))


def test_a_style_that_hides_nothing_of_the_mail_is_no_fault() -> None:
    page = "<style>.gone{display:none} .shown{color:red}</style><p class=shown>Hello.</p>"

    assert "text_hidden" not in keys(judged(built(page=f'<html lang="en">{page}</html>')))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"From": '"boss@corp.example" <boss@evil.example>'}, "sender_disguised"),
        ({"Reply_To": "somebody@elsewhere.example"}, "answer_elsewhere"),
        ({"From": "Corp <no-reply@corp.example>"}, "no_answer_wanted"),
        ({"Subject": "[Corp] Clips"}, "subject_like_a_shop"),
        ({"Subject": "Your \u0440ayroll notice"}, "letters_disguised"),
    ],
)
def test_what_headers_hide_is_found(headers: dict[str, str], key: str) -> None:
    assert key in keys(judged(built(**headers)))


def test_a_deadline_of_the_same_day_is_found() -> None:
    text = "Asha, remove Clips from your phone by Friday 10 July 2020, 18:00 (India Standard Time)."
    report = judged(built(text, Date="Fri, 10 Jul 2020 08:00:00 +0530"))

    assert "notice_too_short" in keys(report)


def dated(deadline: str, language: str = "en") -> Report:
    """Judge a mail of Tuesday 7 July 2020, 10:00 in India, that names this deadline."""
    said = {
        "en": "Asha, from the phones on which you read your mail please remove Clips by",
        "hi": "आशा जी, जिस फ़ोन पर आपकी कंपनी-मेल खुलती है, उससे Clips हटा दें:",
    }
    return judged(built(f"{said[language]} {deadline}.", Date="Tue, 07 Jul 2020 10:00:00 +0530"))


@pytest.mark.parametrize(
    ("language", "deadline", "left"),
    [
        ("en", "Tuesday, July 7, 2020, 6:00 pm India Standard Time", 8),
        ("en", "Tuesday 7 July 2020, 6 pm IST", 8),
        ("en", "6 p.m. (India Standard Time) on Tuesday 7 July 2020", 8),
        ("en", "Tuesday 7 July, 18:00 India Standard Time", 8),
        ("en", "Tuesday 7 July, noon India Standard Time", 2),
        ("en", "Tuesday 2020-07-07, 12:30 UTC", 8),
        ("en", "Tuesday 7.7.2020, 12:30 GMT", 8),
        ("hi", "मंगलवार, 7 जुलाई 2020, शाम 6:00 बजे (भारतीय समय)", 8),
        ("hi", "मंगलवार, ७ जुलाई २०२०, शाम ६ बजे (भारतीय मानक समय)", 8),
        ("hi", "बुधवार 8 जुलाई, सुबह 10 बजे (भारतीय समय) तक", 24),
        ("hi", "मंगलवार, 7 जुलाई 2020, दोपहर 12 बजे (भारतीय समय)", 2),
    ],
)
def test_a_deadline_is_read_however_it_is_written(language: str, deadline: str, left: int) -> None:
    report = dated(deadline, language)

    told = {each.key: each.words for each in report.broken}
    assert told.get("notice_too_short") == str(left)


@pytest.mark.parametrize(
    ("language", "deadline"),
    [
        ("en", "Friday, July 10, 2020, 6:00 pm India Standard Time"),
        ("en", "Friday 10 July, 18:00 IST"),
        ("en", "Monday 13 July 2020, 9 am Pacific Daylight Time"),
        ("en", "Thursday 7 January, 18:00 IST"),  # of the next year
        ("hi", "शुक्रवार, १० जुलाई २०२०, शाम ६ बजे (भारतीय समय)"),
    ],
)
def test_a_deadline_far_enough_ahead_is_kept(language: str, deadline: str) -> None:
    assert dated(deadline, language).state(4) is State.KEPT


@pytest.mark.parametrize(
    ("language", "deadline"),
    [
        ("en", "Friday 10/07/2020, 18:00 IST"),  # or the seventh of October
        ("en", "Friday 17 July 2020, midnight IST"),  # at its beginning, or at its end
        ("en", "Thursday 17 July 2020, 18:00 IST"),  # which is a Friday
        ("en", "Friday 10 July 2020, 13:00 Samoa Time"),  # where in the world clocks say so
        ("en", "Friday 17 July 2020, 18:00 IST, and tell us within 24 hours"),
        ("en", "Friday 17 July 2020, 18:00 IST, and your tablet by 8 July"),
        ("hi", "शुक्रवार, 17 जुलाई 2020, रात 12 बजे (भारतीय समय)"),
        ("hi", "शुक्रवार, 17 जुलाई 2020, 6 बजे (भारतीय समय)"),
    ],
)
def test_a_deadline_that_nobody_can_read_is_never_called_kept(language: str, deadline: str) -> None:
    report = dated(deadline, language)

    assert report.state(4) is State.NOT_JUDGED
    assert [each.key for each in report.doubtful] == ["deadline_not_read"]


def test_without_a_date_of_the_mail_nobody_can_tell_how_far_ahead_its_deadline_is() -> None:
    report = judged(built("Asha, remove Clips by Friday 10 July 2020, 18:00 IST."))

    assert report.state(4) is State.NOT_JUDGED
    assert [each.key for each in report.doubtful] == ["date_not_read"]


@pytest.mark.parametrize(
    ("language", "deadline"),
    [
        ("en", "Friday 10 July, 18:00, in time"),
        ("hi", "शुक्रवार, 10 जुलाई 2020, शाम 6 बजे, समय पर"),
    ],
)
def test_being_in_time_is_no_time_zone(language: str, deadline: str) -> None:
    assert "deadline_incomplete" in keys(dated(deadline, language))


@pytest.mark.parametrize(
    ("words", "is_known"),
    [
        ("Galaxy A51 (…4821)", True),
        ("Galaxy A51 (...4821)", True),
        ("your card **** 4821", True),
        ("the phone ending in 48A1", True),
        ("Fax 2026 at the office", False),
        ("it all ends in tears", False),
    ],
)
def test_only_what_the_employer_knows_counts_as_that(words: str, *, is_known: bool) -> None:
    report = judged(built(f"Asha, you must remove Clips. {words}"))

    assert ("known_fact_missing" not in keys(report)) is is_known


@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        *[("CM-7Q4K", True), ("CM-JQQC", True), ("CM2026", True), ("No. 12", True)],
        *[("Windows10", False), ("iOS17", False), ("Windows 10", False)],
    ],
)
def test_a_product_is_no_number_of_a_notice(number: str, *, is_one: bool) -> None:
    report = judged(built(f"Asha, you must remove Clips ({number}).", Subject="Clips"))

    assert ("number_missing" not in keys(report)) is is_one


def test_words_for_a_part_of_the_day_or_a_length_are_no_day_of_issue() -> None:
    report = judged(built("Asha, you have a 14-day notice; 20 marketing people had 3 mayors."))

    assert "issue_date_missing" in keys(report)


JAPANESE = "皆さん、\n\nTikTokアプリを直ちに削除してください。\n期限は7月10日です。\n"


@pytest.mark.parametrize("charset", ["iso-2022-jp", "utf-8"])
def test_a_demand_in_a_language_that_is_not_known_is_never_said_to_ask_nothing(
    charset: str,
) -> None:
    head = f"From: a@corp.example\nContent-Type: text/plain; charset={charset}\n\n".encode()
    report = judged(head + JAPANESE.encode(charset))

    assert report.not_judged == ("unknown",)
    assert report.is_demand is None
    assert {report.state(rule) for rule in (1, 2, 3, 4, 5, 6, 7, 10, 13, 14)} == {State.NOT_JUDGED}


def test_a_mail_without_words_keeps_no_rule_of_words() -> None:
    report = judged(built("\n", page='<html lang="en"><img src="cid:1"></html>'))

    assert {report.state(rule) for rule in (3, 4, 7, 10, 14)} == {State.NOT_JUDGED}


def test_plain_english_is_judged_without_being_declared() -> None:
    report = judged(built("Dear all, click here"))

    assert report.languages == ("en",)
    assert not report.not_judged
    assert "never_ask_missing" in keys(report)


WRAPPED = textwrap.fill(
    "Asha, this is notice CM-7Q4K of 7 July 2026. From the phones and tablets on which you read "
    "company mail, please remove the Clips app by Friday 10 July 2026, 18:00 India time. Whoever "
    "cannot do it in these few days only has to click here, and gets more time.",
    width=72,
)
FLOWED = """\
Asha, remove Clips from your phone by Friday 10 \nJuly 2026, 18:00 India time. Or click \nhere.
"""
WRAPPED_PAGE = WRAPPED.replace("Asha,", '<html lang="en"><body><p>Asha,') + "</p></body></html>"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/plain", WRAPPED),
        ("text/plain; format=flowed", FLOWED),
        ("text/html", WRAPPED_PAGE),
    ],
)
def test_a_sentence_that_a_program_wrapped_is_read_as_one(kind: str, text: str) -> None:
    report = judged(
        "From: Security <security@corp.example>\nDate: Tue, 7 Jul 2026 10:00:00 +0530\n"
        f"Content-Type: {kind}\n\n{text}"
    )

    assert report.state(4) is State.KEPT  # the deadline stands on two lines
    assert "act_through_mail" in keys(report)  # and so does what it asks


def test_lines_that_stand_by_themselves_stay_so() -> None:
    text = (
        "Dear all,\n" + "This line is as long as a line is that somebody wrapped by hand.\n- Item"
    )

    seen = foreign_mail.read(f"Subject: x\n\n{text}\n".encode(), file="mail.eml")

    assert seen.text.splitlines() == text.splitlines()
    assert "name_missing" in keys(judged(f"Subject: x\n\n{text}\n"))


def test_a_mail_that_is_attached_speaks_for_somebody_else() -> None:
    mail = EmailMessage()
    mail["Subject"] = "For your information, CM-7Q4K"
    mail.set_content("Asha, see below.")
    attached = EmailMessage()
    attached["Subject"] = "x"
    attached.set_content("You must click here immediately!")
    attached.add_alternative(
        '<p>You must <a href="https://evil.example">click here</a></p>', "html"
    )
    mail.add_attachment(attached)

    report = judged(mail.as_bytes())

    assert not report.is_demand
    assert (
        keys(report) & {"pressing", "act_through_mail", "link_elsewhere", "parts_differ"} == set()
    )
    assert "attachment" in keys(report)


def test_headers_in_plain_letters_are_read_like_coded_ones() -> None:
    said = "\nContent-Type: text/plain; charset=utf-8\n\nआशा राव जी, यह सूचना CM-7Q4K है।\n"
    plain = "From: आर. अय्यर <a@corp.example>\nTo: आशा राव <asha@corp.example>\nSubject: ऐप" + said
    half = "From: a@corp.example\nSubject: ऐप =?utf-8?q?=28one=29?=" + said

    seen = foreign_mail.read(plain.encode(), file="mail.eml")

    assert (seen.subject, seen.sender_name, seen.to_names) == ("ऐप", "आर. अय्यर", ("आशा राव",))
    assert "name_missing" not in keys(judged(plain))
    assert foreign_mail.read(half.encode(), file="mail.eml").subject == "ऐप (one)"
    # What is in no code at all harms nobody.
    assert foreign_mail.read(b"Subject: caf\xe9\n\nx", file="m").subject == "caf\ufffd"


def test_a_mark_that_an_editor_left_before_the_first_header_harms_nothing() -> None:
    assert judged(b"\xef\xbb\xbf" + HURRIED.encode()) == judged(HURRIED)


def test_an_attachment_and_a_code_to_scan_are_found() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@corp.example", "CM-7Q4K"
    mail.set_content("Please scan the code in the file.")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="notice.pdf")

    assert {"attachment", "code_to_scan"} <= keys(judged(mail.as_bytes()))


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x00\xff" * 1000,
        b"just words, and no header at all",
        b"From: a@b.example\n" + b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 200,
        b"From: a@b.example\nContent-Type: message/rfc822\n\n" * 100,
        b"From: a@b.example\n\n" + b"x" * (foreign_mail.LARGEST_BYTES + 1),
        b"From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5000,
    ],
)
def test_what_is_no_mail_or_beyond_the_bounds_is_refused(hostile: bytes) -> None:
    with pytest.raises(MailNotReadable):
        foreign_mail.read(hostile, file="mail.eml")


@pytest.mark.parametrize(
    "page",
    [
        "<" * 75_000,
        "<a " * 50_000,
        "<!--" * 50_000,
        "<!--x>" * 37_000,
        '<a href="' * 25_000,
        "<a href='x" + "'\"" * 75_000,
        "<script>" * 25_000,
        "<style>" + ".a{" * 75_000,
        "<style>" + ".a{opacity:0}" * 20_000,
        "<style>" + "." * 200_000 + "{opacity:0}",
        "&" * 125_000,
        "&amp" * 50_000,
        "<p " + "a=" * 75_000 + ">",
        "</" * 75_000,
        "<a>" * 75_000,
    ],
)
def test_a_hostile_page_is_read_to_its_end(page: str) -> None:
    head = b"From: a@b.example\nContent-Type: text/html; charset=utf-8\n\n"
    report = judged(head + page.encode())

    assert report.broken


@pytest.mark.parametrize(
    "words",
    [
        "a" * 50_000,
        "a." * 25_000,
        "type " * 10_000,
        "type a" * 7_000,
        "ordered by " * 4_000,
        "1 " * 25_000,
        "\u0440" * 50_000,
        "A1" * 25_000,
        "remove " * 7_000,
        "<" * 50_000,
        "never ask for " * 4_000,
        "if you not " * 4_000,
        "क" * 50_000,
    ],
)
def test_hostile_words_are_read_to_their_end(words: str) -> None:
    head = b"From: a@b.example\nContent-Type: text/plain; charset=utf-8\n\n"

    report = judged(head + words.encode())

    assert report.broken or report.not_judged


@pytest.mark.parametrize(
    "header",
    [
        "Subject: =?utf-8?B?####?=",
        "Subject: =?no-such-charset?Q?x?=",
        "Subject: " + "=?utf-8?Q?a?= " * 5000,
        "Date: Fri, 99 Foo 20200 99:99:99 +9999",
        "To: " + "a@b.example, " * 20_000,
        "From: " + "(" * 20_000,
    ],
)
def test_a_hostile_header_is_read(header: str) -> None:
    report = judged(f"X-A: b\nFrom: a@b.example\n{header}\n\nHello")

    assert "name_missing" not in {each.key for each in report.broken if each.words}


def test_content_that_lies_about_its_coding_is_read() -> None:
    coded = base64.b64encode("नमस्ते".encode()).decode()
    head = (
        "From: a@b.example\nContent-Type: text/plain; charset=x\nContent-Transfer-Encoding: base64"
    )

    assert foreign_mail.read(f"{head}\n\n{coded}".encode(), file="m").text == "नमस्ते"


def test_the_verb_needs_no_installation_and_says_so_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path / "nothing-here"))
    (tmp_path / "bad.eml").write_text(HURRIED, encoding="utf-8")
    (tmp_path / "good.eml").write_bytes(our_own("hi"))

    assert command_line.run(["notice", "lint", str(tmp_path / "good.eml")]) == 0
    assert command_line.run(["notice", "lint", str(tmp_path / "missing.eml")]) == 3
    for name, unread in (("empty", b""), ("headless", b"Dear all"), ("huge", bytes(10_000_001))):
        (tmp_path / name).write_bytes(unread)
        assert command_line.run(["notice", "lint", str(tmp_path / name)]) == 3
    capsys.readouterr()
    assert command_line.run(["notice", "lint", str(tmp_path / "bad.eml"), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)

    assert {each["code"] for each in answer["broken"]} >= {"copy.pressing", "copy.link_elsewhere"}
    assert all(each["instead"] for each in answer["broken"])


def test_what_is_left_to_a_person_is_said_and_breaks_no_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = our_own("en").replace(b"Date: ", b"X-Date: ")
    (tmp_path / "undated.eml").write_bytes(whole)

    assert command_line.run(["notice", "lint", str(tmp_path / "undated.eml")]) == 0
    told = capsys.readouterr().out

    assert "? 4." in told
    assert "no date to compare the deadline with" in told
    assert "rules left to a person (?): 1." in told


def test_a_mail_that_wants_something_done_is_asked_for_a_time_and_a_consequence() -> None:
    report = judged(
        built(
            "Asha Verma, your account will be suspended unless you complete the training.",
            Subject="Action required: training by Friday",
        )
    )

    assert report.is_demand
    assert report.state(11) is State.BROKEN
    assert "deadline_incomplete" in {each.key for each in report.broken}
    assert "consequence_missing" not in {each.key for each in report.broken}


CLAIM = "आशा वर्मा जी, यह मेल फ़र्ज़ी नहीं है। कृपया ऐप हटा दें।"


@pytest.mark.parametrize(
    "sent",
    [
        unicodedata.normalize("NFC", CLAIM),
        unicodedata.normalize("NFD", CLAIM),
        CLAIM.replace("फ़", "\u095e").replace("ज़", "\u095b"),
    ],
    ids=["NFC", "NFD", "composed"],
)
def test_a_claim_to_be_genuine_is_found_in_hindi_however_its_letters_are_sent(sent: str) -> None:
    report = judged(built(sent))

    assert report.state(12) is State.BROKEN


@pytest.mark.parametrize(
    "text",
    ["यह मेल असली है।", "This is a genuine email.", "This e-mail is authentic."],
)
def test_no_mail_may_say_of_itself_that_it_is_genuine(text: str) -> None:
    assert judged(built(text)).state(12) is State.BROKEN


@pytest.mark.parametrize(
    "text", ["यह मेल असली है या नहीं, ऐसे जाँचें।", "How to check that this mail is real:"]
)
def test_how_to_check_a_mail_is_no_claim(text: str) -> None:
    assert judged(built(text)).state(12) is State.KEPT
