"""A third language is one folder of words and one catalogue, with a stated fallback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countermand import i18n
from countermand.domain.delivery import NoticeKind
from countermand.notices import lookup, moments, word_store
from countermand.notices.copy_lint import lint_order
from countermand.notices.preview import PreviewMail, Signed, previews
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.notices.wording import Signatory
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SIGNED = Signed(Signatory("R. Iyer", "आर. अय्यर", "Security"))
SWAHILI = content(
    languages=["en", "sw"],
    title={"en": "Clips on phones", "sw": "Clips kwenye simu"},
)


@pytest.fixture
def swahili(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Add a language of which only the notice, two sentences and one page word are translated."""
    shutil.copytree(word_store.WORDS_FOLDER, tmp_path / "words")
    folder = tmp_path / "words" / "sw"
    folder.mkdir()
    (folder / "language.toml").write_text(
        'locale = "sw_KE"\nmoment = "EEEE d MMMM y, HH:mm"\nfallback = "en"\n', encoding="utf-8"
    )
    notice = (tmp_path / "words" / "en" / "notice.txt").read_text(encoding="utf-8")
    (folder / "notice.txt").write_text(
        notice.replace("## What to do", "## La kufanya"), encoding="utf-8"
    )
    (folder / "sentences.toml").write_text(
        '[device]\nnameless = "Kifaa"\npresent = "{device}: {app} ilionekana {when}."\n',
        encoding="utf-8",
    )
    (folder / "page.toml").write_text('[name]\nlanguage = "Kiswahili"\n', encoding="utf-8")
    monkeypatch.setattr(word_store, "WORDS_FOLDER", tmp_path / "words")
    word_store.forget()
    yield folder
    monkeypatch.undo()
    word_store.forget()


def mails() -> list[PreviewMail]:
    return previews(SWAHILI, NUMBER, house=HOUSE, app_names=APP_NAMES, signed=SIGNED, now=NOW)


def test_one_folder_is_enough_for_its_mails(swahili: Path) -> None:
    notice = next(
        mail for mail in mails() if (mail.kind, mail.language) == (NoticeKind.NOTICE, "sw")
    )

    assert "La kufanya:" in notice.text
    assert "Clips kwenye simu" in notice.subject
    assert "Clips ilionekana" in notice.text
    assert "Ijumaa 17 Julai 2020, 17:00" in notice.text
    assert '<html lang="sw"' in notice.html


def test_what_is_not_translated_comes_in_the_stated_language_and_says_so(swahili: Path) -> None:
    reminder = next(
        mail for mail in mails() if (mail.kind, mail.language) == (NoticeKind.REMINDER, "sw")
    )

    assert reminder.text.startswith("Reminder:")
    assert '<html lang="en"' in reminder.html


def test_its_mails_may_be_released(swahili: Path) -> None:
    faults = lint_order(SWAHILI, NUMBER, house=HOUSE, app_names=APP_NAMES, signed=SIGNED, now=NOW)

    assert faults == ()


def test_it_stands_on_the_look_up_page(swahili: Path, tmp_path: Path) -> None:
    public = PublicNotice(
        number=NUMBER,
        content=SWAHILI,
        app_names=("Clips",),
        state=PublicState.IN_FORCE,
        issued_by=Signatory("R. Iyer"),
        since=NOW,
    )
    lookup.write(tmp_path / "pages", [public], house=HOUSE, now=NOW)

    page = (tmp_path / "pages" / f"{NUMBER}.html").read_text(encoding="utf-8")
    assert "Kiswahili" in page
    assert 'lang="sw"' in page


def test_a_language_without_a_fallback_has_to_be_whole(swahili: Path) -> None:
    (swahili / "language.toml").unlink()
    word_store.forget()

    with pytest.raises(word_store.LanguageWithoutWords):
        mails()


def test_a_day_in_it_is_read_as_its_locale_writes_it(swahili: Path) -> None:
    assert moments.moment(NOW, "Africa/Nairobi", "sw").startswith("Jumatatu 23 Novemba 2026, 12:00")


def test_one_catalogue_is_enough_for_the_screens(tmp_path: Path) -> None:
    known = i18n.LOCALE_FOLDER / "hi" / "LC_MESSAGES" / "countermand.mo"
    for language in ("hi", "sw"):
        (tmp_path / language / "LC_MESSAGES").mkdir(parents=True)
        shutil.copy(known, tmp_path / language / "LC_MESSAGES" / "countermand.mo")

    assert i18n.offered(tmp_path) == ("en", "hi", "sw")
    assert i18n.LANGUAGES == ("en", "hi")
