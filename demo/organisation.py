"""The invented organisation, and its inventories as they will stand at each turn of the story.

They are invented in a process of its own, the first while the stage is set up, the others while
the story is told: an inventory of Friday does not depend on what is done about it. Files and
people are those of `countermand synth`.
"""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from countermand.catalogue.queries import catalogue
from countermand.synth import files
from countermand.synth.organisation import Organisation as Invented
from countermand.synth.organisation import Recipe, after_removal, invent
from demo.doors import leave_out, read_phones

FRIDAY = datetime.fromisoformat("2020-07-10T02:00Z")  # 07:30 in India
MONDAY = datetime.fromisoformat("2020-07-13T03:00Z")
JOINED = datetime.fromisoformat("2020-07-21T04:00Z")
EVE = datetime.fromisoformat("2020-07-23T01:00Z")
MORNING_AFTER = datetime.fromisoformat("2020-07-24T05:30Z")
NOON = MORNING_AFTER + timedelta(hours=6)

_NEWCOMERS = 30
_HOUR = timedelta(hours=1)
_APP = "tiktok"
_APP_NAME = catalogue().app(_APP).name
_INVENTED_BY_HAND = 8  # examples/july-2020/people.csv


@dataclass(frozen=True, slots=True)
class Turn:
    """An inventory to write: when it is taken, and which share has removed the app by then."""

    name: str
    people: int
    seed: str
    at: datetime
    removed: float | None = None  # None: nobody was asked yet


@dataclass(frozen=True, slots=True)
class Written:
    """What a folder holds: how many devices, and who joined after Monday (an address, or "")."""

    devices: int
    late: str


@dataclass
class Organisation:
    """Folders of invented people and devices, by the turn of the story at which they are true."""

    folder: Path
    people: int
    seed: str
    _coming: dict[str, Future[Written]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin to invent the organisation as it stands on Friday."""
        self._invent_all(("friday", FRIDAY - _HOUR, None))

    def go_on(self) -> None:
        """Begin to invent what comes later, in the order in which it is needed."""
        self._invent_all(
            ("monday", MONDAY - _HOUR, None),
            ("joined", JOINED, 0.0),
            ("eve", EVE, 0.6),
            ("morning", MORNING_AFTER, 0.6),
            ("noon", NOON, 0.9),
        )

    def _invent_all(self, *wanted: tuple[str, datetime, float | None]) -> None:
        # A fresh process: this one has threads, and a database of its own.
        one_by_one = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        for name, at, removed in wanted:
            turn = Turn(name, self.people - _INVENTED_BY_HAND, self.seed, at, removed)
            self._coming[name] = one_by_one.submit(_write, self.folder / name, turn)
        one_by_one.shutdown(wait=False)

    def devices(self, name: str) -> int:
        """Wait until a folder is written; return how many devices it holds."""
        return self._coming[name].result().devices

    def late(self) -> str:
        """Return the address of the one who joins late, carrying the app; "" if nobody does."""
        return self._coming["joined"].result().late

    def path(self, name: str) -> Path:
        """Wait until a folder is written, and return it."""
        self.devices(name)
        return self.folder / name


def _write(folder: Path, turn: Turn) -> Written:
    """Write the organisation as it stands at that turn."""
    if turn.removed is None:
        stands = _invented(turn.seed, turn.at, turn.people)
    else:
        before = _invented(turn.seed, MONDAY - _HOUR, turn.people + _NEWCOMERS)
        stands = after_removal(before, seed=turn.seed, share=turn.removed, as_of=turn.at)
    files.write(stands, folder)
    late = "" if turn.removed is None else _let_one_join(folder)
    return Written(len(stands.devices), late)


def _let_one_join(folder: Path) -> str:
    """Leave one newcomer in an invented inventory: a surge of them would pause the order."""
    late, others = _newcomers(folder.parent)
    gone = {phone.source_id for phone in read_phones(folder, _APP_NAME) if phone.owner in others}
    leave_out(folder / "people.csv", "email", others)
    leave_out(folder / "devices.csv", "device_id", gone)
    leave_out(folder / "apps.csv", "device_id", gone)
    return late


@lru_cache(maxsize=1)
def _newcomers(root: Path) -> tuple[str, frozenset[str]]:
    """Return who of the new people joins, and the addresses of all others, as first invented."""
    known = {phone.owner for phone in read_phones(root / "monday", _APP_NAME)}
    phones = read_phones(root / "joined", _APP_NAME)
    fresh = [phone for phone in phones if phone.owner not in known]
    late = next((phone.owner for phone in fresh if phone.carries), "")
    return late, frozenset(phone.owner for phone in fresh) - {late}


@lru_cache(maxsize=2)
def _invented(seed: str, as_of: datetime, people: int) -> Invented:
    recipe = Recipe(
        seed=seed,
        as_of=as_of,
        app=catalogue().wanted([_APP])[0],
        app_name=_APP_NAME,
        languages={"hi": 0.45, "en": 0.55},
    )
    return invent(recipe, people)
