"""A third language is one folder of words and one catalogue, with a stated fallback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from countermand import i18n
from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import Variant
from countermand.notices import lookup, moments, statement, word_store
from countermand.notices.copy_lint import lint_order
from countermand.notices.preview import PreviewMail, Signed, previews
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.notices.statement import StatementFigures
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


def portuguese_order() -> dict[str, object]:
    order = content(languages=["en", "pt"], apps=["clips", "clips-lite"])
    order["order"]["title"]["pt"] = "Clips nos telefones"
    return order


@pytest.fixture
def portuguese(swahili: Path) -> Path:
    """Add a language of which only the notice is translated, as it stands in the documentation."""
    folder = swahili.parent / "pt"
    folder.mkdir()
    about = 'locale = "pt_PT"\nmoment = "EEEE, d MMMM y, HH:mm"\nfallback = "en"\n'
    (folder / "language.toml").write_text(about, encoding="utf-8")
    notice = (swahili.parent / "en" / "notice.txt").read_text(encoding="utf-8")
    (folder / "notice.txt").write_text(
        notice.replace("this is", "esta é").replace("## What to do", "## O que fazer"),
        encoding="utf-8",
    )
    word_store.forget()
    return folder


def in_portuguese(kind: NoticeKind) -> str:
    written = previews(
        portuguese_order(), NUMBER, house=HOUSE, app_names=APP_NAMES, signed=SIGNED, now=NOW
    )
    return "\n".join(m.text for m in written if (m.kind, m.language) == (kind, "pt"))


def test_a_sentence_that_falls_back_has_dates_zones_and_lists_in_its_own_language(
    portuguese: Path,
) -> None:
    notice = in_portuguese(NoticeKind.NOTICE)

    assert "esta é Company notice CM-7Q4K of 23 novembro 2026." in notice
    assert "sexta-feira, 17 julho 2020, 17:00 (" in notice
    assert "Clips was seen on Monday 23 November 2026, 09:00 (Greenwich Mean Time)" in notice
    assert "Remove Clips and Clips Lite from every phone" in notice
    assert "We asked the maker of the app on 20 June 2020." in notice
    assert "looked at again on 10 January 2021" in notice


@pytest.mark.parametrize("kind", [k for k in NoticeKind if k is not NoticeKind.NOTICE])
def test_a_mail_that_falls_back_is_in_that_language_throughout(
    portuguese: Path, kind: NoticeKind
) -> None:
    (portuguese / "sentences.toml").write_text(
        '[check]\nnever_ask = "Nunca pedimos palavras-passe."\n', encoding="utf-8"
    )
    word_store.forget()
    mail = in_portuguese(kind)

    assert "November 2026" in mail or "July 2020" in mail
    for word in ("novembro", "julho", "segunda-feira", "telefones", "Nunca pedimos", " e Clips"):
        assert word not in mail


def test_a_page_that_falls_back_has_its_dates_in_the_language_it_fell_back_to(
    portuguese: Path, tmp_path: Path
) -> None:
    public = PublicNotice(
        number=NUMBER,
        content=portuguese_order(),
        app_names=("Clips", "Clips Lite"),
        state=PublicState.WITHDRAWN,
        issued_by=Signatory("R. Iyer"),
        approved_by=(Signatory("M. Khan"), Signatory("S. Das")),
        variant="mistake",
        since=NOW,
        changed_at=NOW,
    )
    lookup.write(tmp_path / "pages", [public], house=HOUSE, now=NOW)

    page = (tmp_path / "pages" / f"{NUMBER}.html").read_text(encoding="utf-8")
    assert "November 2026" in page
    assert "M. Khan and S. Das" in page
    for word in ("novembro", "segunda-feira", "M. Khan e S. Das"):
        assert word not in page


def statement_in(language: str) -> word_store.Sentence:
    figures = StatementFigures(
        certain=2,
        possible=0,
        corrected=2,
        first_notice_at=NOW,
        taken_back_at=NOW,
        corrections_began_at=NOW,
    )
    return statement.fill(
        portuguese_order(),
        NUMBER,
        variant=Variant.MISTAKE,
        figures=figures,
        house=HOUSE,
        language=language,
    )


def test_a_statement_that_falls_back_is_in_that_language_throughout_and_says_so(
    portuguese: Path,
) -> None:
    said = statement_in("pt")

    assert "took notice CM-7Q4K back on Monday 23 November 2026, 09:00 (Coordinated" in said
    assert said.language == "en"


def test_a_language_that_is_not_there_is_refused_with_those_that_are(portuguese: Path) -> None:
    with pytest.raises(word_store.LanguageWithoutWords) as refused:
        statement_in("fr")

    sentence, _ = i18n.told(refused.value, "en")
    assert sentence == "There are no mail texts in the language “fr”, only in: en, hi, pt, sw."


def test_one_catalogue_is_enough_for_the_screens(tmp_path: Path) -> None:
    known = i18n.LOCALE_FOLDER / "hi" / "LC_MESSAGES" / "countermand.mo"
    for language in ("hi", "sw"):
        (tmp_path / language / "LC_MESSAGES").mkdir(parents=True)
        shutil.copy(known, tmp_path / language / "LC_MESSAGES" / "countermand.mo")

    assert i18n.offered(tmp_path) == ("en", "hi", "sw")
    assert i18n.LANGUAGES == ("en", "hi")


class _Spoken(HTMLParser):
    """Collects the text of a page with the language in which a screen reader speaks it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.spoken: list[tuple[str, str]] = []
        self._languages: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "!doctype"}:
            inherited = self._languages[-1] if self._languages else ""
            self._languages.append(dict(attrs).get("lang") or inherited)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "!doctype"}:
            self._languages.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.spoken.append((self._languages[-1], data.strip()))

    def language_of(self, words: str) -> set[str]:
        return {language for language, text in self.spoken if words in text}


def test_every_sentence_that_falls_back_says_its_language_in_html_and_nowhere_else(
    swahili: Path,
) -> None:
    everything = mails()
    notice = next(m for m in everything if (m.kind, m.language) == (NoticeKind.NOTICE, "sw"))
    page = _Spoken(notice.html)

    assert page.language_of("La kufanya") == {"sw"}
    assert page.language_of("ilionekana") == {"sw"}
    assert page.language_of("we never ask for a password") == {"en"}
    assert page.language_of("Company mail pauses on that device only") == {"en"}
    for mail in everything:
        assert not any("\ue000" <= c <= "\uf8ff" for c in mail.subject + mail.text + mail.html)
        if mail.language != "sw":
            assert 'lang="sw"' not in mail.html


def test_a_value_of_one_person_that_falls_back_says_its_language(swahili: Path) -> None:
    (swahili / "sentences.toml").write_text('[device]\nnameless = "Kifaa"\n', encoding="utf-8")
    word_store.forget()
    notice = next(m for m in mails() if (m.kind, m.language) == (NoticeKind.NOTICE, "sw"))

    page = _Spoken(notice.html)
    [seen] = [text for _, text in page.spoken if "Galaxy A51" in text]

    assert page.language_of(seen) == {"en"}
    assert seen in notice.text


def test_a_text_that_the_author_left_to_the_fallback_says_its_language(swahili: Path) -> None:
    notice = next(m for m in mails() if (m.kind, m.language) == (NoticeKind.NOTICE, "sw"))
    reason = SWAHILI["order"]["reason"]["en"]

    assert reason in notice.text
    assert _Spoken(notice.html).language_of(reason.split(".")[0]) == {"en"}
