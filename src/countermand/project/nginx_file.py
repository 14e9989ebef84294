"""What an nginx's configuration says about the gate: doors, the question, what is remembered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from countermand.i18n import gettext as _
from countermand.project.front_faults import (
    ODD_STATUSES,
    Block,
    Fault,
    milliseconds,
    odd_answers,
    refuses_nobody,
    too_long,
)

_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{};]|[^\s{};"\']+')
_IN_TROUBLE: Final = frozenset({500, 502, 504})
_ODD: Final = ODD_STATUSES - {499}  # which nginx cannot catch
# Empty in the question of auth_request, which is where keys are made of them.
_EMPTY_THERE: Final = re.compile(r"\$\{?(?:args|query_string)\b")
_PERSON: Final = re.compile(r"\$\{?(?:remote_user|http_x_remote_user)\b")
_REQUEST: Final = re.compile(r"\$\{?(?:request_uri|http_x_original_uri)\b")
# What a location says of them goes before what its server says.
_HANDED_DOWN: Final = (
    "auth_request",
    "error_page",
    "proxy_connect_timeout",
    "proxy_read_timeout",
)
_WAITS: Final = (("proxy_connect_timeout", "300ms"), ("proxy_read_timeout", "1s"))
_LISTED: Final = 5
_ORDER: Final = "x_countermand_order"
_SHORTEST_PING_MS: Final = 30 * 60_000
_LONGEST_MEMORY_MS: Final = 60_000
_LONGEST_USE_MS: Final = 1_000


def nginx_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong in what `nginx -T` printed, or in a file."""
    top = _read(text)
    blocks = list(top.walk())
    places = [each for each in blocks if each.words[:1] == ("location",)]
    asking = [each for each in places if _asks(each)]
    if not asking:
        yield Fault(
            _("nginx asks no gate."),
            _("Take over the files of deploy/nginx, and the lines of its README."),
        )
        return
    names = {place.get("auth_request") for place in asking}
    questions = [each for each in places if each.words[-1] in names]
    # The question is asked beside a request, and never asks by itself; so is where it leads.
    beside = {each.words[-1] for each in questions}
    beside |= {value.split()[-1] for each in questions for value in each.all("error_page")}
    yield from _doors(places, [each for each in asking if each.words[-1] not in beside])
    yield from _ways_past(blocks, asking)
    open_at = {each.words[-1] for each in places if each.get("return").startswith("2")}
    looks_at_order = {
        each.words[-1]
        for each in places
        if any(_ORDER in " ".join(inside.words).lower() for inside in each.walk())
    }
    for each in questions:
        yield from _question(each, open_at, looks_at_order)
    yield from _hanging(places, asking)
    for each in (*questions, *_between(questions, blocks)):
        yield from _memory(each)


def _read(text: str) -> Block:
    plain = "\n".join(
        line.partition(" #")[0] for line in text.splitlines() if line.strip()[:1] != "#"
    )
    top = Block()
    stack = [top]
    words: list[str] = []
    for word in _WORD.findall(plain):
        if word == "{":
            inner = Block(words=tuple(words))
            stack[-1].blocks.append(inner)
            stack.append(inner)
        elif word == "}":
            if len(stack) > 1:
                stack.pop()
        elif word == ";":
            if words:
                stack[-1].settings.append((words[0], " ".join(words[1:])))
        else:
            words.append(word)
            continue
        words = []
    _hand_down(top)
    return top


def _hand_down(block: Block) -> None:
    """Let a block inside have what it does not say by itself, as nginx does."""
    for each in block.blocks:
        for name in _HANDED_DOWN:
            if not each.all(name):
                each.settings += [(name, value) for value in block.all(name)]
        _hand_down(each)


def _asks(place: Block) -> bool:
    return place.get("auth_request", "off") != "off"


def _doors(places: Sequence[Block], asking: Sequence[Block]) -> Iterator[Fault]:
    for each in places:
        name = " ".join(each.words)
        if "microsoft-server-activesync" in name.lower() and not _asks(each):
            yield Fault(
                _("ActiveSync is reached without a question ({place}).").format(place=name),
                _("Put auth_request into this location."),
            )
    lacking = [
        " ".join(each.words)
        for each in asking
        if not any("500" in value.split()[:-1] for value in each.all("error_page"))
    ]
    if lacking:
        yield Fault(
            _(
                "Phones get 500 when something else listens where the gate should be: {places}."
            ).format(places=", ".join(lacking)),
            _("Put error_page 500 into the location that asks; deploy/README.md shows it."),
        )


def _ways_past(blocks: Sequence[Block], asking: Sequence[Block]) -> Iterator[Fault]:
    """Yield where another yes is enough: then the no of the gate is none."""
    for each in blocks:
        inside = [each, *each.walk()]
        if each.get("satisfy") == "any" and any(place in inside for place in asking):
            yield Fault(
                _("Whoever another rule lets in is not refused by the gate ({place}).").format(
                    place=" ".join(each.words)
                ),
                _("Set {name} to {value}.").format(name="satisfy", value="all"),
            )


def _hanging(places: Sequence[Block], asking: Sequence[Block]) -> Iterator[Fault]:
    """Yield where a phone that waits for mail is hung up on."""
    doors = [each for each in asking if "microsoft-server-activesync" in each.words[-1].lower()]
    names = {each.get("try_files").rpartition(" ")[2] for each in doors}
    for each in (*doors, *(place for place in places if place.words[-1] in names)):
        wait = milliseconds(each.get("proxy_read_timeout", "60s"))
        if each.get("proxy_pass") and wait is not None and wait < _SHORTEST_PING_MS:
            yield Fault(
                _("Phones that wait for mail get 504 after {wait} ms ({place}).").format(
                    wait=wait, place=" ".join(each.words)
                ),
                _("Set {name} to {value}.").format(name="proxy_read_timeout", value="3600s"),
            )


def _told_apart(place: Block, looks_at_order: Collection[str]) -> bool:
    """Tell whether only a no that names an order counts as the gate's."""
    return any(
        value.split()[-1] in looks_at_order
        for value in place.all("error_page")
        if str(HTTPStatus.FORBIDDEN.value) in value.split()[:-1]
    )


def _let_in(place: Block, open_at: Collection[str]) -> set[int]:
    """Return the statuses of the gate that a question turns into a yes."""
    if place.get("proxy_intercept_errors", "off") != "on":
        return set()
    return {
        int(word)
        for value in place.all("error_page")
        if value.split()[-1] in open_at
        for word in value.split()
        if word.isdecimal()
    }


def _question(
    place: Block, open_at: Collection[str], looks_at_order: Collection[str]
) -> Iterator[Fault]:
    caught = _let_in(place, open_at)
    whole = _(
        "Take over countermand-doors.conf whole; all but the gate's own no lets people in there."
    )
    if not caught >= _IN_TROUBLE:
        yield Fault(_("Phones get 500 when the gate does not answer or is in trouble."), whole)
    elif missed := sorted(_ODD - caught):
        yield odd_answers(_listed(missed), whole)
    if HTTPStatus.FORBIDDEN in caught:
        yield refuses_nobody(whole)
    elif not _told_apart(place, looks_at_order):
        yield odd_answers(str(HTTPStatus.FORBIDDEN.value), whole)
    sent = dict(value.partition(" ")[::2] for value in place.all("proxy_set_header"))
    if "Authorization" not in sent:
        hands_on = place.get("proxy_pass_request_headers", "on") == "on"
        yield Fault(
            _("The password of every phone goes to the gate.")
            if hands_on
            else _(
                "The question carries no token: the gate does not answer it, and all are let in."
            ),
            _("Set the header Authorization to the gate's token in the question."),
        )
    for name, wanted in _WAITS:
        remedy = _("Set {name} to {value}.").format(name=name, value=wanted)
        yield from too_long(milliseconds(place.get(name, "60s")), remedy)


def _listed(statuses: Sequence[int]) -> str:
    """Return the first of many statuses."""
    first = ", ".join(str(each) for each in statuses[:_LISTED])
    return f"{first}, …" if len(statuses) > _LISTED else first


def _between(questions: Sequence[Block], blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield the servers of this nginx that stand between the question and the gate."""
    asked = {urlsplit(each.get("proxy_pass")).netloc for each in questions}
    for each in blocks:
        if each.words[:1] == ("upstream",) and each.words[-1] in asked:
            asked |= {server.split()[0] for server in each.all("server")}
    for each in blocks:
        if each.words == ("server",) and asked & {at.split()[0] for at in each.all("listen")}:
            yield each


def _memory(place: Block) -> Iterator[Fault]:
    """Yield what is wrong with a cache of the gate's answers, if this block has one."""
    lines = [pair for each in (place, *place.walk()) for pair in each.settings]
    said = dict(lines)
    if said.get("proxy_cache", "off") == "off":
        return
    key = said.get("proxy_cache_key", "")
    whole = _("Use the whole request in proxy_cache_key, as deploy/nginx does.")
    if _EMPTY_THERE.search(key):
        yield Fault(_("All devices of a person are one in the cache: $args is empty there."), whole)
    elif not (_PERSON.search(key) and _REQUEST.search(key)):
        yield Fault(_("Several people or devices are one in the cache."), whole)
    kept = [milliseconds(value.split()[-1]) for name, value in lines if name == "proxy_cache_valid"]
    longest = max((each for each in kept if each is not None), default=0)
    cure = _("Take over countermand-gate-cached.conf whole.")
    if longest > _LONGEST_MEMORY_MS or said.get("proxy_cache_use_stale", "off") != "off":
        yield Fault(
            _("A remembered refusal lasts longer than a minute after the gate's last word."), cure
        )
    if longest > _LONGEST_USE_MS and not said.get("proxy_cache_bypass"):
        yield Fault(
            _("A remembered refusal is used while the gate answers: a take-back is felt late."),
            cure,
        )
