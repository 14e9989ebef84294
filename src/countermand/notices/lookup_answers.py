"""What the look-up page answers: whether a mail is genuine, and then the six things one can say.

That a mail was genuine is half of the truth once its notice was taken back: how the notice stands
now is said with it, and only one that is in force looks so.

Nobody is signed in. Whoever typed a right code gets a proof inside the page, which comes back in
the body of the next request and stands in no address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from countermand.domain.check_code import Verdict
from countermand.domain.presence import Answer
from countermand.notices import lookup_notice, word_store
from countermand.notices.lookup_templates import render
from countermand.notices.order_words import House
from countermand.notices.public_notice import PublicNotice, PublicState


@dataclass(frozen=True, slots=True)
class AskedDevice:
    """A device that a person is asked about, and what they last said of it."""

    id: int
    name: str
    short_id: str
    said: Answer | None = None
    can_look: bool = False  # its source can be asked about this one device


@dataclass(frozen=True, slots=True)
class Asked:
    """What one person is asked about one notice; `proof` is theirs, and for a while."""

    number: str
    proof: str
    devices: tuple[AskedDevice, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What was just noted, of which device; nothing said: a look at it was asked for."""

    device: AskedDevice
    said: Answer | None = None


@dataclass(frozen=True, slots=True)
class _DeviceText:
    id: int
    label: str
    told: str
    can_look: bool


@dataclass(frozen=True, slots=True)
class _AnswerText:
    language: str
    level: str
    sub: str
    notice_word: str
    title: str
    means: tuple[str, ...]
    devices: tuple[_DeviceText, ...]
    choices: tuple[tuple[str, str], ...]


_LOOKS: Final[Mapping[Verdict, str]] = {
    Verdict.GENUINE: "",  # as its notice stands
    Verdict.NOT_GENUINE: "withdrawn",
    Verdict.TEST_MAIL: "",
    Verdict.NO_CODE: "",
    Verdict.TOO_OFTEN: "",
    Verdict.SLOWED: "",
    Verdict.REPORTED: "",
    Verdict.REPORTS_SLOWED: "",
    Verdict.CANNOT_SAY: "",
    Verdict.NOTED: "in_force",
    Verdict.NOTED_HELP: "in_force",
    Verdict.LOOK_ASKED: "in_force",
    Verdict.LOOK_WAITS: "",
    Verdict.CANNOT_LOOK: "",
    Verdict.PROVE_AGAIN: "",
}


def answer_page(
    verdict: Verdict,
    *,
    number: str,
    house: House,
    notice: PublicNotice | None = None,
    asked: Asked | None = None,
    noted: Noted | None = None,
    language: str = "",
) -> str:
    """Return the page that answers a check, a report, or an answer.

    `number` is one that has a page, or ""; `notice` is that of a genuine mail, as it stands now;
    what is `asked` stands below as buttons. `language` is the one in which somebody wrote to us,
    and comes first if we have it.
    """
    languages = word_store.languages_from(language)
    texts = [
        _text(verdict, each, house, asked, noted, notice=notice, is_first=place == 0)
        for place, each in enumerate(languages)
    ]
    return render(
        "answer.html",
        title=texts[0].title,
        house=house,
        written=None,
        languages=languages,
        pages=texts,
        number=number,
        look=_look(notice) if notice else _LOOKS[verdict],
        newer=notice.newer if notice else "",
        asked=asked,
    )


def _look(notice: PublicNotice) -> str:
    is_drill = notice.is_exercise and not notice.is_over
    return "" if is_drill else notice.state.value


def _stands(notice: PublicNotice) -> str:
    """Return which words say how the notice of a genuine mail stands; "" for one in force."""
    if notice.is_exercise and not notice.is_over:
        return "_exercise"
    return "" if notice.state is PublicState.IN_FORCE else f"_{notice.state}"


def _text(
    verdict: Verdict,
    language: str,
    house: House,
    asked: Asked | None,
    noted: Noted | None,
    *,
    notice: PublicNotice | None,
    is_first: bool,
) -> _AnswerText:
    say = word_store.page_words(language)
    means = say[f"answer.{verdict}_means"].format(
        help_desk=house.help_desk,
        device=label(noted.device, language) if noted else "",
        said=say[f"own.{noted.said}"] if noted and noted.said else "",
    )
    now = lookup_notice.means(notice, house, language) if notice and _stands(notice) else ()
    return _AnswerText(
        language=language,
        level="h1" if is_first else "h2",
        sub="h2" if is_first else "h3",
        notice_word=house.word_in(language),
        title=say[f"answer.{verdict}{_stands(notice) if notice else ''}"],
        means=(*now, means),
        devices=tuple(_device(each, language) for each in asked.devices) if asked else (),
        choices=tuple((answer.value, say[f"own.{answer}"]) for answer in Answer),
    )


def _device(device: AskedDevice, language: str) -> _DeviceText:
    say = word_store.page_words(language)
    told = say["own.told"].format(said=say[f"own.{device.said}"]) if device.said else ""
    return _DeviceText(
        id=device.id, label=label(device, language), told=told, can_look=device.can_look
    )


def label(device: AskedDevice, language: str) -> str:
    """Return how a device is called, as the mails call it."""
    name = device.name.strip() or word_store.sentences(language)["device.nameless"]
    return f"{name} (…{device.short_id})" if device.short_id else name
