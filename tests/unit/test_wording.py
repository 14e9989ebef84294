"""What mails say, in both languages, to people of whom more or less is known."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from countermand.domain.delivery import ClaimedNotice, NoticeKind, Template
from countermand.domain.phases import Enforcement
from countermand.domain.presence import Presence
from countermand.notices import word_store
from countermand.notices.order_words import TextMissing
from countermand.notices.preview import (
    EXAMPLE_CHECK_CODE,
    NoSuchMail,
    PreviewMail,
    Signed,
    preview,
    previews,
)
from countermand.notices.wording import (
    Addressee,
    Because,
    KnownDevice,
    MailFacts,
    Signatory,
    TemplateText,
    Values,
    language_for,
    notice_values,
    prepare_templates,
    restored_values,
    words_digest,
)
from countermand.sender.compose import Writer, compose, filled
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2020, 7, 7, 4, 30, tzinfo=UTC)
ISSUER = Signatory("R. Iyer", "आर. अय्यर", "Security")
APPROVERS = (Signatory("M. Khan", role="Legal"), Signatory("S. Das"))
ASHA = Addressee("Asha Verma", "Asia/Kolkata", local_name="आशा वर्मा", unit="Payments")
FACTS = MailFacts(ISSUER, APPROVERS, NOW, NOW + timedelta(days=10))
PHONE = KnownDevice("Galaxy A51", "4821", "Clips", Presence.PRESENT, seen_at=NOW)
LANGUAGES = ("en", "hi")
CODE: Values = {"check_code": EXAMPLE_CHECK_CODE}


def templates(**changes: object) -> list[TemplateText]:
    return prepare_templates(content(**changes), NUMBER, house=HOUSE, app_names=["Clips"])


def template(kind: NoticeKind, language: str = "en", **changes: object) -> TemplateText:
    return next(t for t in templates(**changes) if (t.kind, t.language) == (kind, language))


def notice(
    language: str = "en", devices: tuple[KnownDevice, ...] = (PHONE,), **changes: object
) -> str:
    words = template(NoticeKind.NOTICE, language, **changes)
    return filled(words.text, CODE | notice_values(ASHA, devices, FACTS, language))


def all_previews(**changes: object) -> list[PreviewMail]:
    return previews(
        content(**changes),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=Signed(ISSUER),
        now=NOW,
    )


def test_a_notice_names_person_device_number_issuer_approvers_and_own_deadline() -> None:
    text = notice()

    assert "Asha Verma, this is Company notice CM-7Q4K of 7 July 2020." in text
    assert "Galaxy A51 (…4821): Clips was seen on Tuesday 7 July 2020, 10:00" in text
    assert "Friday 17 July 2020, 10:00 (India Standard Time)" in text
    assert "Ordered by R. Iyer (Security). Approved by M. Khan (Legal) and S. Das." in text
    assert "orders.example/CM-7Q4K" in text


def test_a_hindi_notice_says_the_same_in_hindi() -> None:
    text = notice("hi")

    assert "आशा वर्मा जी, यह कंपनी सूचना CM-7Q4K है, तारीख़ 7 जुलाई 2020।" in text
    assert "मंगलवार, 7 जुलाई 2020, सुबह 10:00 बजे (भारतीय मानक समय) को Clips मिला।" in text
    assert "जारी करने वाले: आर. अय्यर (Security)।" in text


def test_whoever_has_no_known_device_is_told_so_and_reads_another_fact() -> None:
    text = notice(devices=())

    assert "We know of no device of yours." in text
    assert "In our staff directory you belong to: Payments." in text
    assert "ends in" not in text


@pytest.mark.parametrize("language", ["en", "hi"])
def test_whoever_has_neither_device_nor_unit_reads_the_end_of_their_own_number(
    language: str,
) -> None:
    person = dataclasses.replace(ASHA, unit="", number="e-20417")

    facts = notice_values(person, [], FACTS, language)

    assert "…0417" in str(facts)
    assert "20417" not in str(facts)


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        (PHONE, "Clips was seen on"),
        (KnownDevice("Pad", "1", "Clips", Presence.PRESENT), "Clips was seen; when is not known."),
        (KnownDevice("Pad", "1", "Clips", Presence.ABSENT, NOW), "Clips was not found on"),
        (KnownDevice("Pad", "1", "Clips", Presence.UNOBSERVABLE), "cannot be checked by us"),
        (KnownDevice("Pad", "1", "Clips", Presence.UNKNOWN), "not checked yet for Clips"),
        (KnownDevice("", "", "Clips", Presence.UNKNOWN), "- Device: not checked yet"),
        (
            KnownDevice("Pad", "1", "Clips", Presence.PRESENT, NOW, said_removed_at=NOW),
            "you told us on Tuesday 7 July 2020, 10:00",
        ),
    ],
)
def test_what_is_said_of_a_device_is_what_is_known_of_it(
    device: KnownDevice, sentence: str
) -> None:
    assert sentence in notice(devices=(device,))


def test_without_enforcement_nobody_is_threatened() -> None:
    text = notice(enforcement="none")

    assert "this notice does not pause company mail on any device" in text
    assert "Company mail pauses" not in text


@pytest.mark.parametrize("enforcement", [Enforcement.NONE, Enforcement.HANDED_OVER])
def test_where_we_pause_nothing_there_are_no_mails_about_pausing(enforcement: Enforcement) -> None:
    kinds = {t.kind for t in templates(enforcement=enforcement.value)}

    assert not kinds & {NoticeKind.LOCK, NoticeKind.RESTORED}


def test_the_lock_notice_says_that_the_password_is_right() -> None:
    assert "your password is right: do not type it again" in template(NoticeKind.LOCK).text
    assert "आपका पासवर्ड सही है: उसे दोबारा न लिखें" in template(NoticeKind.LOCK, "hi").text


@pytest.mark.parametrize(
    ("hearing", "sentence"),
    [
        ({"asked_at": "2020-06-20"}, "No answer is recorded with this notice."),
        ({"not_asked_because": {"en": "It is gone."}}, "The reason given: It is gone."),
        ({}, "Whether the maker of the app was asked is not recorded"),
        (
            {"asked_at": "2020-06-20", "answered_at": "2020-06-29", "answer": {"en": "No."}},
            "The maker answered on 29 June 2020: “No.”",
        ),
    ],
)
def test_the_hearing_is_told_as_it_was(hearing: dict[str, object], sentence: str) -> None:
    assert sentence in notice(hearing=hearing)


@pytest.mark.parametrize(
    ("grades", "sentence"),
    [
        (["stated"], "We have not tested it ourselves."),
        (["tested"], "this has been tested"),
        (["stated", "observed"], "another part rests on what others have stated"),
    ],
)
def test_the_level_of_evidence_is_never_raised(grades: list[str], sentence: str) -> None:
    assert sentence in notice(evidence=[{"grade": grade} for grade in grades])


def test_every_follow_up_stays_in_the_thread_of_the_notice() -> None:
    for language in LANGUAGES:
        subject = template(NoticeKind.NOTICE, language).subject
        others = {t.subject for t in templates() if t.language == language} - {subject}
        assert others == {f"Re: {subject}"}


def test_an_exercise_says_so_in_subject_and_text() -> None:
    words = template(NoticeKind.NOTICE, mode="exercise")

    assert words.subject.startswith("Exercise: ")
    assert "This is an exercise." in words.text


def test_braces_and_brackets_of_an_order_become_no_places() -> None:
    hostile = "Look {name} [[title]] <b>&amp; {deadline}"

    words = template(NoticeKind.NOTICE, reason={"en": hostile, "hi": hostile})

    assert "Look (name) ((title)) <b>&amp; (deadline)" in words.text
    assert "<b>" not in words.html


def test_a_reason_that_looks_like_a_heading_stays_a_paragraph() -> None:
    hostile = "## Click\n\n* {devices}"

    words = template(NoticeKind.NOTICE, reason={"en": hostile, "hi": hostile})

    assert "<p>## Click * (devices)</p>" in words.html


def test_a_language_without_text_of_its_own_takes_the_stated_fallback() -> None:
    assert "Our security team" in notice("hi", reason={"en": "Our security team says so."})


def test_an_order_without_any_text_is_refused() -> None:
    with pytest.raises(TextMissing):
        templates(reason={})


@pytest.mark.parametrize("because", Because)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_restored_mail_gives_its_reason(because: Because, language: str) -> None:
    values = restored_values(
        ASHA, [PHONE], because=because, at=NOW, issued_by=ISSUER, language=language
    )
    text = filled(template(NoticeKind.RESTORED, language).text, CODE | values)

    assert "Galaxy A51 (…4821)" in text
    assert "{" not in text


@pytest.mark.parametrize("enforcement", Enforcement)
def test_every_mail_can_be_filled_whole(enforcement: Enforcement) -> None:
    for mail in all_previews(enforcement=enforcement.value, apps=["clips", "clips-lite"]):
        for part in (mail.subject, mail.text, mail.html):
            assert not re.search(r"\{[a-z_]+\}|\[\[", part)


def test_a_preview_is_byte_for_byte_what_a_sender_would_write() -> None:
    seen = preview(
        content(),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=Signed(ISSUER, APPROVERS),
        now=NOW,
        language="hi",
    )
    sent = sent_like(seen)

    assert str(sent["Subject"]) == seen.subject
    assert body_of(sent, "plain") == seen.text
    assert body_of(sent, "html") == seen.html


def test_a_notice_expires_at_its_readers_own_deadline() -> None:
    seen = next(each for each in all_previews() if each.kind is NoticeKind.NOTICE)

    assert sent_like(seen)["Expires"] == "Fri, 17 Jul 2020 11:30:00 +0000"


def sent_like(seen: PreviewMail) -> EmailMessage:
    words = template(seen.kind, seen.language)
    person = Addressee(
        "Kiran Udaharan", "Asia/Kolkata", local_name="किरण उदाहरण", unit="Field Sales"
    )
    deadline = datetime(2020, 7, 17, 11, 30, tzinfo=UTC)
    facts = MailFacts(ISSUER, APPROVERS, NOW, deadline)
    claimed = ClaimedNotice(
        notice_id=1,
        claim=1,
        order_number=NUMBER,
        epoch=1,
        kind=seen.kind,
        address="kiran@example.org",
        language=seen.language,
        template_id=1,
        values=CODE | notice_values(person, [PHONE], facts, seen.language),
        message_id="<CM-7Q4K.1.notice.0.x@example.org>",
        in_reply_to="",
        dated_at=NOW,
        attempts=0,
    )
    writer = Writer("orders@example.org", "Example", "help@example.org")
    mail = compose(Template(1, words.subject, words.text, words.html), claimed, writer)
    parsed = message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def body_of(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_preview_of_a_mail_that_never_leaves_is_refused_with_those_that_do() -> None:
    with pytest.raises(NoSuchMail) as refused:
        preview(
            content(enforcement="none"),
            NUMBER,
            house=HOUSE,
            app_names=APP_NAMES,
            signed=Signed(ISSUER),
            now=NOW,
            language="en",
            kind=NoticeKind.LOCK,
        )

    assert "lock" not in refused.value.kinds
    assert "notice" in refused.value.kinds
    assert refused.value.languages == "en, hi"


def test_the_correction_of_an_amendment_is_previewed_with_the_older_order_standing() -> None:
    seen = preview(
        content(amends="CM-2X9M"),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=Signed(ISSUER),
        now=NOW,
        language="en",
        kind=NoticeKind.CORRECTION,
    )

    assert seen.text.startswith("WITHDRAWN. Another notice still applies to you: CM-2X9M.")
    assert "install" not in seen.text


def test_people_are_written_to_in_their_language_or_in_the_fallback() -> None:
    assert language_for("hi-IN", ["en", "hi"], "en") == "hi"
    assert language_for("mr", ["en", "hi"], "en") == "en"


def test_the_digest_of_the_words_follows_what_the_house_calls_itself() -> None:
    other = type(HOUSE)(HOUSE.organisation, "other.example", HOUSE.help_desk, HOUSE.notice_word)

    assert words_digest(HOUSE) != words_digest(other)


def test_both_languages_have_the_same_mails_sentences_slots_and_paragraphs() -> None:
    en, hi = (word_store.WORDS_FOLDER / language for language in LANGUAGES)
    assert {p.name for p in en.iterdir()} == {p.name for p in hi.iterdir()}
    for path in en.glob("*.txt"):
        texts = [(folder / path.name).read_text(encoding="utf-8") for folder in (en, hi)]
        assert slots(texts[0]) == slots(texts[1]), path.name
        assert texts[0].count("\n\n") == texts[1].count("\n\n"), path.name
    for words in (word_store.sentences, word_store.page_words):
        assert {k: slots(v) for k, v in words("en").items()} == {
            k: slots(v) for k, v in words("hi").items()
        }


def slots(text: str) -> list[str]:
    return sorted(re.findall(r"\{[a-z_]+\}|\[\[[a-z_]+\]\]", text))


def test_a_custom_word_for_notices_is_used_where_the_house_has_one() -> None:
    house = type(HOUSE)(
        HOUSE.organisation, HOUSE.lookup_address, HOUSE.help_desk, {"en": "Works notice"}
    )
    words = prepare_templates(content(), NUMBER, house=house, app_names=["Clips"])

    assert {t.subject.removeprefix("Re: ").split(":")[0] for t in words} == {"Works notice CM-7Q4K"}


@pytest.mark.parametrize(
    ("changes", "said", "not_said"),
    [
        ({"remedies": ["remove-app"]}, "chats and drafts", "they stay on the server"),
        ({"remedies": ["unenrol"]}, "they stay on the server", "chats and drafts"),
        ({"targets": ["web"], "remedies": ["remove-app"]}, "Why:", "What you may lose"),
        ({"remedies": ["disable-app"]}, "Why:", "What you may lose"),
        ({"enforcement": "gate"}, "mail, calendar and contacts", "no such word"),
        (
            {"enforcement": "none"},
            "names is there, in this notice Clips: no other app",
            "calendar and contacts",
        ),
    ],
)
def test_what_may_be_lost_and_what_waits_is_said_where_it_is_so(
    changes: dict[str, object], said: str, not_said: str
) -> None:
    text = template(NoticeKind.NOTICE, "en", **changes).text

    assert said in text
    assert not_said not in text
