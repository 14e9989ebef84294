"""Is every sentence of a correction true for the person who got it?

An independent judge for tests and for the demo. It is given the plain text of a correction, as the
mail server recorded it, and what is known of the world from elsewhere; it reads the sentences with
patterns of its own and returns those that are not true. What it does not understand counts as
untrue, so that no sentence escapes. It imports nothing of the words or of their choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from countermand.testing.judge_grammar import GRAMMARS, Grammar

Rules = Mapping[str, Mapping[str, datetime | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is so for one person when a correction of `number` reaches them.

    `in_force` and `before` say, by the name of each app of the order, which other notices apply and
    their deadline for this person. `door` is the enforcement of the order (`none`, `gate`, `cloud`,
    `handed-over`), `deadline_at` the person's own deadline under it. `pausing` are the numbers of
    those notices in force that may pause mail. `own_texts` are texts that the order and the house
    wrote themselves, with `{taken_back_at}` and `{replaced_by}` left open.
    """

    number: str
    name: str
    zone: str
    variant: str
    taken_back_at: datetime
    in_force: Rules
    before: Rules
    door: str
    deadline_at: datetime | None
    pausing: frozenset[str] = frozenset()
    replacement: str | None = None
    lookup_address: str = ""
    was_reached: bool = True  # got the notice, or may have got it
    is_exercise: bool = False
    own_texts: frozenset[str] = frozenset()

    @property
    def standing(self) -> frozenset[str]:
        """Numbers of all notices that apply to this person for any of the apps."""
        return frozenset(number for rules in self.in_force.values() for number in rules)


def untrue_sentences(text: str, language: str, world: World) -> list[str]:
    """Return every sentence of a correction that is not true, or not understood, in order."""
    judge = _Judge(world=world, grammar=GRAMMARS[language])
    return [bad for line in text.splitlines() for bad in judge.untrue_in(line.strip())]


@dataclass(frozen=True, slots=True)
class _Judge:
    world: World
    grammar: Grammar
    compiled: dict[str, re.Pattern[str]] = field(default_factory=dict)

    def untrue_in(self, line: str) -> Iterator[str]:
        rest = line.removeprefix("- ").strip()
        while rest:
            length, is_true = self._first_sentence(rest)
            if not is_true:
                yield rest[:length]
            rest = rest[length:].strip()

    def _first_sentence(self, text: str) -> tuple[int, bool]:
        """Return how long the sentence at the start is, and whether it is true."""
        for own in sorted(self.world.own_texts, key=len, reverse=True):
            match = self._pattern(_open_slots(own), is_own=True).match(text)
            if match:
                return match.end(), self._holds("own", match)
        for known in sorted(self.grammar.constants, key=len, reverse=True):
            if text.startswith(known):
                return len(known), True
        for claim, pattern in self.grammar.sentences:
            match = self._pattern(pattern).match(text)
            if match:
                return match.end(), self._holds(claim, match)
        return len(text), False

    def _pattern(self, pattern: str, *, is_own: bool = False) -> re.Pattern[str]:
        if pattern not in self.compiled:
            filled = pattern.replace("<MOMENT>", f"(?P<moment>{self.grammar.moment})")
            end = r"(?=\s|$)" if is_own else ""
            self.compiled[pattern] = re.compile(filled + end)
        return self.compiled[pattern]

    def _holds(self, claim: str, match: re.Match[str]) -> bool:
        return _CLAIMS[claim](self, match)

    # -- reading ------------------------------------------------------------------------------

    def names(self, text: str) -> list[str]:
        return [part for part in re.split(self.grammar.separators, text) if part]

    def says_moment(self, text: str, at: datetime | None) -> bool:
        """Tell whether a moment as written is `at` by the clock of this person, to the minute."""
        match = re.fullmatch(self.grammar.moment, text)
        if match is None or at is None:
            return False
        local = at.astimezone(ZoneInfo(self.world.zone))
        return self.grammar.read_moment(match) == (
            *(local.year, local.month, local.day, local.hour, local.minute),
            local.weekday(),
        )


@cache
def _open_slots(own: str) -> str:
    parts = re.split(r"(\{taken_back_at\}|\{replaced_by\})", " ".join(own.split()))
    opened = {
        "{taken_back_at}": "<MOMENT>",
        "{replaced_by}": r"(?P<replacement>CM-[0-9A-Z]+)",
    }
    return "".join(opened.get(part) or re.escape(part) for part in parts)


# -- what each kind of sentence claims --------------------------------------------------------


def _nothing_stands(judge: _Judge, _match: re.Match[str]) -> bool:
    return not judge.world.standing


def _others_stand(judge: _Judge, match: re.Match[str]) -> bool:
    return set(judge.names(match["numbers"])) == judge.world.standing


def _replaced(judge: _Judge, match: re.Match[str]) -> bool:
    return judge.world.standing == {match["numbers"]} == {judge.world.replacement}


def _opening(variant: str) -> Callable[[_Judge, re.Match[str]], bool]:
    def holds(judge: _Judge, match: re.Match[str]) -> bool:
        world = judge.world
        called = match["name"].removesuffix(judge.grammar.honorific)
        told = match.groupdict().get("moment")
        was_then = told is None or judge.says_moment(told, world.taken_back_at)
        said = (called, match["number"], world.variant)
        return was_then and said == (world.name, world.number, variant)

    return holds


def _was(variant: str) -> Callable[[_Judge, re.Match[str]], bool]:
    def holds(judge: _Judge, match: re.Match[str]) -> bool:
        world = judge.world
        was_then = judge.says_moment(match["moment"], world.taken_back_at)
        return was_then and (match["number"], world.variant) == (world.number, variant)

    return holds


def _not_since(judge: _Judge, match: re.Match[str]) -> bool:
    return judge.says_moment(match["moment"], judge.world.taken_back_at)


def _free(judge: _Judge, match: re.Match[str]) -> bool:
    apps = judge.names(match["apps"])
    return bool(apps) and all(
        app in judge.world.in_force and not judge.world.in_force[app] for app in apps
    )


def _ruled(judge: _Judge, match: re.Match[str]) -> bool:
    return all(
        match["number"] in judge.world.in_force.get(app, {})
        and judge.says_moment(match["moment"], judge.world.in_force[app][match["number"]])
        for app in judge.names(match["apps"])
    )


def _ruled_undated(judge: _Judge, match: re.Match[str]) -> bool:
    return all(
        match["number"] in judge.world.in_force.get(app, {}) for app in judge.names(match["apps"])
    )


def _same_as_before(judge: _Judge, _match: re.Match[str]) -> bool:
    def stand(rules: Rules) -> dict[str, dict[str, datetime | None]]:
        return {app: dict(numbers) for app, numbers in rules.items() if numbers}

    return stand(judge.world.before) == stand(judge.world.in_force)


def _replacement_applies(judge: _Judge, match: re.Match[str]) -> bool:
    return match["number"] == judge.world.replacement and _ruled(judge, match)


def _could_have_closed(judge: _Judge) -> bool:
    deadline_at = judge.world.deadline_at
    return deadline_at is not None and deadline_at <= judge.world.taken_back_at


def _no_door(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door == "none"


def _never_closed(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door in {"none", "gate", "cloud"} and not _could_have_closed(judge)


def _our_door_open(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door == "gate"


def _cloud_door_opens(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door == "cloud"


def _being_undone(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door == "handed-over"


def _other_pauses(judge: _Judge, match: re.Match[str]) -> bool:
    number = match["number"]
    deadlines = [r[number] for r in judge.world.in_force.values() if number in r]
    return number in judge.world.pausing and any(
        judge.says_moment(match["moment"], at) for at in deadlines
    )


def _reached(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.was_reached


def _ours_let_go(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.door in {"gate", "cloud"}


def _mail_follows(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.variant == "replaced"


def _help_desk(judge: _Judge, match: re.Match[str]) -> bool:
    return match["own_text"] in judge.world.own_texts


def _look_up(judge: _Judge, match: re.Match[str]) -> bool:
    return match["address"] == f"{judge.world.lookup_address}/{judge.world.number}"


def _check_code(_judge: _Judge, _match: re.Match[str]) -> bool:
    return True  # which code it is, the look-up page says


def _exercise(judge: _Judge, _match: re.Match[str]) -> bool:
    return judge.world.is_exercise


def _own(judge: _Judge, match: re.Match[str]) -> bool:
    groups = match.groupdict()
    moment, replacement = groups.get("moment"), groups.get("replacement")
    return (moment is None or judge.says_moment(moment, judge.world.taken_back_at)) and (
        replacement is None or replacement == judge.world.replacement
    )


_CLAIMS: Final[Mapping[str, Callable[[_Judge, re.Match[str]], bool]]] = MappingProxyType(
    {
        "nothing_stands": _nothing_stands,
        "others_stand": _others_stand,
        "replaced": _replaced,
        "mistake": _opening("mistake"),
        "reason_gone": _opening("reason_gone"),
        "replaced_opening": _opening("replaced"),
        "was_mistake": _was("mistake"),
        "was_reason_gone": _was("reason_gone"),
        "was_replaced": _was("replaced"),
        "not_since": _not_since,
        "free": _free,
        "ruled": _ruled,
        "ruled_undated": _ruled_undated,
        "same_as_before": _same_as_before,
        "replacement_applies": _replacement_applies,
        "no_door": _no_door,
        "never_closed": _never_closed,
        "our_door_open": _our_door_open,
        "cloud_door_opens": _cloud_door_opens,
        "being_undone": _being_undone,
        "other_pauses": _other_pauses,
        "reached": _reached,
        "look_up": _look_up,
        "check_code": _check_code,
        "exercise": _exercise,
        "own": _own,
        "ours_let_go": _ours_let_go,
        "mail_follows": _mail_follows,
        "help_desk": _help_desk,
    }
)
