"""The look-up page: right on disk at every instant, readable by everybody, true when withdrawn."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from countermand.domain.phases import Phase
from countermand.notices.lookup import write
from countermand.notices.order_words import order_of
from countermand.notices.public_notice import PublicNotice, PublicState, public_state
from countermand.notices.wording import Signatory
from countermand.stop.lookup_page import show_withdrawn
from tests.order_words_samples import HOUSE, NUMBER, content

NOW = datetime(2020, 7, 10, 9, 30, tzinfo=UTC)
VOID = {"meta", "link", "br", "input"}


def notice(state: PublicState, number: str = NUMBER, **more: Any) -> PublicNotice:
    return PublicNotice(
        number=number,
        content=content(),
        app_names=("Clips",),
        state=state,
        issued_by=Signatory("R. Iyer", "आर. अय्यर", "Security"),
        approved_by=(Signatory("M. Khan"),),
        since=NOW,
        changed_at=NOW if state in {PublicState.WITHDRAWN, PublicState.ENDED} else None,
        **more,
    )


def written(folder: Path, *notices: PublicNotice, zone: str = "UTC") -> Path:
    write(folder, notices, house=replace(HOUSE, zone=zone), now=NOW)
    return folder


def pages(folder: Path) -> dict[str, bytes]:
    """Everything that lies in the folder, the prepared pages too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Page(HTMLParser):
    """Checks nesting while it reads, and notes what accessibility asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize("state", PublicState)
def test_every_page_is_sound_and_speaks_both_languages(tmp_path: Path, state: PublicState) -> None:
    folder = written(tmp_path, notice(state))

    for name in (f"{NUMBER}.html", "index.html", "no-such-notice.html"):
        text = (folder / name).read_text(encoding="utf-8")
        page = Page(text)
        assert text.startswith("<!doctype html>")
        assert page.all("html")[0]["lang"] == "en"
        assert [section["lang"] for section in page.all("section")] == ["en", "hi"]
        assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
        assert len(page.all("h1")) == 1
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        for link in page.all("a"):
            target = str(link["href"])
            assert (folder / target).exists() or target.removeprefix("#") in ids
        assert not page.all("script")
        forms = page.all("form")
        assert [(form["method"], form["action"]) for form in forms] == [("post", "check")] * 2
        labelled = {str(label["for"]) for label in page.all("label")}
        shown = [field for field in page.all("input") if field.get("type") != "hidden"]
        assert labelled == {str(field["id"]) for field in shown}
        assert [field["value"] for field in page.all("input") if field not in shown] == ["en", "hi"]
        assert not page.all("img")
        assert not re.search(r"\{[a-z_]+\}|\[\[|style=|http", text)


def test_headings_go_down_one_step_at_a_time(tmp_path: Path) -> None:
    folder = written(tmp_path, notice(PublicState.IN_FORCE))
    page = Page((folder / f"{NUMBER}.html").read_text(encoding="utf-8"))

    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_withdrawn_notice_says_what_that_means(tmp_path: Path) -> None:
    folder = written(tmp_path, notice(PublicState.WITHDRAWN, variant="mistake"))
    text = (folder / f"{NUMBER}.html").read_text(encoding="utf-8")

    for said in ("Withdrawn", "वापस लिया गया", "It was sent by mistake.", "यह ग़लती से भेजी गई थी।"):
        assert said in text
    assert "What to do" not in text
    assert "if none does, the app may be installed again" in text


def test_a_replaced_notice_names_the_one_that_stands_and_leads_to_it(tmp_path: Path) -> None:
    newer = notice(PublicState.IN_FORCE, "CM-2X9M")
    replaced = notice(PublicState.WITHDRAWN, variant="replaced", replaced_by="CM-2X9M")
    text = (written(tmp_path, replaced, newer) / f"{NUMBER}.html").read_text(encoding="utf-8")

    assert "Notice CM-2X9M stands in its place." in text
    assert "इसकी जगह अब सूचना CM-2X9M है।" in text
    assert '<a href="CM-2X9M.html">कंपनी सूचना CM-2X9M</a>' in text
    assert "could take its place" not in text
    assert "जगह ले सके" not in text


def test_a_replaced_notice_says_so_while_the_other_one_is_still_to_come(tmp_path: Path) -> None:
    replaced = notice(PublicState.WITHDRAWN, variant="replaced")
    text = (written(tmp_path, replaced) / f"{NUMBER}.html").read_text(encoding="utf-8")

    assert "It was taken back so that another notice could take its place." in text
    assert "stands in its place" not in text


@pytest.mark.parametrize(
    ("enforcement", "told"),
    [("gate", True), ("cloud", True), ("handed-over", False), ("none", False)],
)
def test_a_paused_notice_says_that_it_shuts_nothing_meanwhile(
    tmp_path: Path, enforcement: str, *, told: bool
) -> None:
    paused = notice(PublicState.PAUSED)
    paused = replace(paused, content={**order_of(paused.content), "enforcement": enforcement})
    text = (written(tmp_path, paused) / f"{NUMBER}.html").read_text(encoding="utf-8")

    said = "While mails are on hold, this notice pauses company mail on no device."
    assert (said in text) is told  # what somebody else closes goes on
    assert ("यह सूचना किसी भी डिवाइस पर कंपनी-मेल नहीं रोकती।" in text) is told
    in_force = (written(tmp_path, notice(PublicState.IN_FORCE)) / f"{NUMBER}.html").read_text()
    assert said not in in_force


def test_a_take_back_shows_at_once_without_database_or_templates(tmp_path: Path) -> None:
    folder = written(
        tmp_path, notice(PublicState.IN_FORCE), notice(PublicState.IN_FORCE, "CM-2X9M")
    )

    assert show_withdrawn(folder, NUMBER, NOW)

    page = (folder / f"{NUMBER}.html").read_text(encoding="utf-8")
    listing = (folder / "index.html").read_text(encoding="utf-8")
    assert "Withdrawn" in page
    assert "2020-07-10 09:30 UTC" in page
    assert "taken-back-at" not in page
    assert f"<!--state:{NUMBER}:en-->Withdrawn<!--/state-->" in listing
    assert f"<!--state:{NUMBER}:hi-->वापस लिया गया<!--/state-->" in listing
    assert "<!--state:CM-2X9M:en-->In force<!--/state-->" in listing
    assert "In force" in (folder / "CM-2X9M.html").read_text(encoding="utf-8")


def test_every_instant_is_told_by_the_clock_of_the_house(tmp_path: Path) -> None:
    written(tmp_path, notice(PublicState.IN_FORCE), zone="Asia/Kolkata")
    standing = (tmp_path / f"{NUMBER}.html").read_text(encoding="utf-8")
    listing = (tmp_path / "index.html").read_text(encoding="utf-8")
    show_withdrawn(tmp_path, NUMBER, NOW)
    taken_back = (tmp_path / f"{NUMBER}.html").read_text(encoding="utf-8")

    for page in (standing, listing):
        assert "Friday 10 July 2020, 15:00 (India Standard Time)" in page
        assert "दोपहर 3:00 बजे (भारतीय मानक समय)" in page
        assert "Universal" not in page
    assert taken_back.count("2020-07-10 15:00 Asia/Kolkata") >= 2
    assert "UTC" not in taken_back


def test_a_page_that_was_prepared_without_a_zone_shows_the_instant_all_the_same(
    tmp_path: Path,
) -> None:
    written(tmp_path, notice(PublicState.IN_FORCE))
    prepared = tmp_path / ".prepared" / f"{NUMBER}.html"
    old = prepared.read_text(encoding="utf-8").replace("taken-back-at UTC", "taken-back-at")
    prepared.write_text(old, encoding="utf-8")

    show_withdrawn(tmp_path, NUMBER, NOW)

    assert "2020-07-10 09:30 UTC" in (tmp_path / f"{NUMBER}.html").read_text(encoding="utf-8")


def test_showing_it_twice_changes_nothing_more(tmp_path: Path) -> None:
    folder = written(tmp_path, notice(PublicState.IN_FORCE))
    show_withdrawn(folder, NUMBER, NOW)
    once = {path.name: path.read_bytes() for path in folder.glob("*.html")}

    show_withdrawn(folder, NUMBER, NOW)

    assert {path.name: path.read_bytes() for path in folder.glob("*.html")} == once


@pytest.mark.parametrize("number", ["CM-NONE", "../../etc/passwd", ""])
def test_a_number_without_a_page_is_answered_with_no(tmp_path: Path, number: str) -> None:
    folder = written(tmp_path, notice(PublicState.IN_FORCE))

    assert not show_withdrawn(folder, number, NOW)


def test_a_broken_write_leaves_the_old_page_readable(tmp_path: Path) -> None:
    folder = written(tmp_path, notice(PublicState.IN_FORCE))
    before = (folder / f"{NUMBER}.html").read_bytes()

    with pytest.raises(KeyError):
        write(
            folder,
            [notice(PublicState.WITHDRAWN, variant="no such variant")],
            house=HOUSE,
            now=NOW,
        )

    assert (folder / f"{NUMBER}.html").read_bytes() == before
    assert not list(folder.glob(".*.html*"))


def test_a_page_that_says_the_same_stays_and_one_that_does_not_is_written_anew(
    tmp_path: Path,
) -> None:
    other = notice(PublicState.IN_FORCE, "CM-2X9M")
    written(tmp_path, notice(PublicState.IN_FORCE), other)
    before = pages(tmp_path)
    paused = notice(PublicState.PAUSED)
    later = NOW + timedelta(hours=3)

    write(tmp_path, [paused, other], house=HOUSE, now=later)

    after = pages(tmp_path)
    changed = {name for name, page in after.items() if page != before[name]}
    assert changed == {f"{NUMBER}.html", "index.html"}
    for name in changed:
        assert "12:30" in after[name].decode()


def test_what_was_withdrawn_before_anybody_was_told_leaves_no_page(tmp_path: Path) -> None:
    folder = written(tmp_path, notice(PublicState.PREPARED), notice(PublicState.ENDED, "CM-2X9M"))

    written(folder, notice(PublicState.ENDED, "CM-2X9M"))

    assert {path.name for path in folder.rglob("CM-*")} == {"CM-2X9M.html", "CM-2X9M.states.json"}
    assert not show_withdrawn(folder, NUMBER, NOW)


def test_what_an_order_says_cannot_become_markup(tmp_path: Path) -> None:
    hostile = '<script>alert("x")</script>'
    bad = PublicNotice(
        number=NUMBER,
        content=content(title={"en": hostile, "hi": hostile}, reason={"en": hostile}),
        app_names=(hostile,),
        state=PublicState.IN_FORCE,
        issued_by=Signatory(hostile),
        since=NOW,
    )

    folder = written(tmp_path, bad)

    for name in (f"{NUMBER}.html", "index.html"):
        assert "<script" not in (folder / name).read_text(encoding="utf-8")


def test_nobody_finds_a_page_of_what_nobody_was_told() -> None:
    shown = {phase for phase in Phase if public_state(phase) is not None}

    assert Phase.WITHDRAWN not in shown
    assert Phase.DRAFT not in shown
    assert public_state(Phase.STOPPING) is PublicState.WITHDRAWN


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast_enough(scheme: str) -> None:
    css = (Path(write.__code__.co_filename).parent / "templates" / "lookup.css").read_text("utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark)
    )

    for name in ("ink", "quiet", "link", "in-force", "withdrawn"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in ("focus", "line"):
        assert contrast(colours[name], colours["paper"]) >= 3, name


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2.2 counts it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
