"""Takes unread copies out of mailboxes of Dovecot, and believes only what the mailbox then shows.

`move` answers with nothing whatever it did, so each step is proven by a search. Only commands that
may be repeated stand in a request: a worker that breaks closes the connection without a word, and
then nobody knows.
"""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from countermand.domain.address import shown_address
from countermand.domain.withdrawal import CopyAnswer, CopyState, MailCopy

FOLDER: Final = "Withdrawn"
_PATH: Final = "/doveadm/v1"
_BATCH: Final = 50  # copies in one request
_LONGEST_S: Final = 30.0
_LARGEST_ANSWER: Final = 16 * 1024 * 1024
_OK: Final = 200
_NO_SUCH_USER: Final = 67  # EX_NOUSER of doveadm
_NO_MAILBOX: Final = "no such mailbox"
_DEFINITE: Final = frozenset({CopyState.WITHDRAWN, CopyState.ALREADY_READ})
Answers = Mapping[str, Any]


class _Unclear(Exception):
    """The server did not answer, or not in its form."""


class _Mailbox(NamedTuple):
    """One mail in the mailbox of whom a server calls so."""

    user: str
    copy: MailCopy


@dataclass(frozen=True, slots=True)
class DovecotCopies:
    """Dovecots by the addresses of their administration; satisfies `ports.CopyRemover`.

    A mailbox lies on one of them, and which one is not known here: whoever finds nothing on one is
    looked for on the next. Nor is it known by which name: the address in either spelling, or a
    login.
    """

    urls: tuple[str, ...]
    key: str
    longest_s: float = _LONGEST_S

    def withdraw(self, copies: Sequence[MailCopy]) -> Sequence[CopyAnswer]:
        """See `ports.CopyRemover`."""
        found = [CopyAnswer(each, CopyState.UNKNOWN, _NO_MAILBOX) for each in copies]
        names = [_names(each) for each in copies]
        most = max(map(len, names), default=0)
        for url, nth in product(self.urls, range(most)):
            places = [
                n
                for n, each in enumerate(found)
                if each.state not in _DEFINITE and nth < len(names[n])
            ]
            for begin in range(0, len(places), _BATCH):
                some = places[begin : begin + _BATCH]
                asked = [_Mailbox(names[n][nth], copies[n]) for n in some]
                for n, answer in zip(some, self._some(url, asked), strict=True):
                    found[n] = max(found[n], answer, key=_says)
        return found

    def _some(self, url: str, copies: Sequence[_Mailbox]) -> Iterator[CopyAnswer]:
        try:
            seen = self._ask(url, _looking(copies))
            moving = [n for n in range(len(copies)) if _may_move(seen, n)]
            if moving:
                self._ask(url, _moving([(n, copies[n]) for n in moving]))
                seen = {**seen, **self._ask(url, _looking(copies))}
        except _Unclear as unclear:
            yield from (CopyAnswer(each.copy, CopyState.UNKNOWN, str(unclear)) for each in copies)
            return
        for n, each in enumerate(copies):
            yield _answer(each.copy, seen, n)

    def _ask(self, url: str, commands: list[Any]) -> Answers:
        """Return the answers by tag."""
        parts = urlsplit(url)
        is_https = parts.scheme == "https"
        kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.longest_s)
        headers = {
            "Authorization": f"X-Dovecot-API {b64encode(self.key.encode()).decode()}",
            "Content-Type": "application/json",
        }
        try:
            connection.request("POST", _PATH, json.dumps(commands).encode(), headers)
            answer = connection.getresponse()
            if answer.status != _OK:
                raise _Unclear(f"HTTP {answer.status}")
            raw = json.loads(answer.read(_LARGEST_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Unclear(type(error).__name__) from error
        finally:
            connection.close()
        if not isinstance(raw, list) or len(raw) != len(commands):
            raise _Unclear("incomplete")
        return {str(each[-1]): each for each in raw if isinstance(each, list) and each}


def _says(answer: CopyAnswer) -> int:
    """Return how much an answer says: a server that is silent may hold what others do not find."""
    if answer.state is CopyState.UNKNOWN:
        return 0 if answer.detail == _NO_MAILBOX else 2
    return 1 if answer.state is CopyState.NOT_FOUND else 3


def _names(copy: MailCopy) -> tuple[str, ...]:
    """Return the names by which a server may know whose mailbox it is, the likeliest first."""
    return tuple(dict.fromkeys((copy.address, shown_address(copy.address), *copy.logins)))


def _looking(copies: Sequence[_Mailbox]) -> list[Any]:
    commands: list[Any] = []
    for n, (user, copy) in enumerate(copies):
        mine = ["header", "message-id", copy.message_id]
        folder = ["mailbox", FOLDER, *mine]
        commands += [
            ["search", {"user": user, "query": ["mailbox", "*", *mine]}, f"all{n}"],
            ["search", {"user": user, "query": ["mailbox", "*", "unseen", *mine]}, f"new{n}"],
            ["search", {"user": user, "query": folder}, f"ours{n}"],
        ]
    return commands


def _moving(copies: Sequence[tuple[int, _Mailbox]]) -> list[Any]:
    commands: list[Any] = []
    for n, (user, copy) in copies:
        query = ["mailbox", "*", "unseen", "header", "message-id", copy.message_id]
        move = {"user": user, "destinationMailbox": FOLDER, "query": query}
        commands += [
            ["mailboxCreate", {"user": user, "mailbox": [FOLDER]}, f"made{n}"],
            ["move", move, f"moved{n}"],
        ]
    return commands


def _may_move(seen: Answers, n: int) -> bool:
    """Tell whether a copy is unread outside our folder; without a folder nothing is in it yet."""
    return bool(_places(seen, f"new{n}") - _places(seen, f"ours{n}"))


def _answer(copy: MailCopy, seen: Answers, n: int) -> CopyAnswer:
    match seen.get(f"all{n}"):
        case ["error", {"exitCode": code}, str()] if code == _NO_SUCH_USER:
            return CopyAnswer(copy, CopyState.UNKNOWN, _NO_MAILBOX)
        case ["doveadmResponse", *_, str()]:
            pass
        case _:
            return CopyAnswer(copy, CopyState.UNKNOWN, "no answer")
    ours = _places(seen, f"ours{n}")
    elsewhere = _places(seen, f"all{n}") - ours
    if not ours and not elsewhere:
        return CopyAnswer(copy, CopyState.NOT_FOUND)
    if _places(seen, f"new{n}") - ours:
        return CopyAnswer(copy, CopyState.UNKNOWN, "still there")
    return CopyAnswer(copy, CopyState.ALREADY_READ if elsewhere else CopyState.WITHDRAWN)


def _places(seen: Answers, tag: str) -> set[tuple[str, str]]:
    """Return mailbox and number of each mail that a search found; a folder that is not is empty."""
    match seen.get(tag):
        case ["doveadmResponse", *parts, str()]:
            rows = [row for part in parts for row in (part if isinstance(part, list) else [part])]
            return {
                (str(row.get("mailbox-guid")), str(row.get("uid")))
                for row in rows
                if isinstance(row, dict) and row
            }
        case _:
            return set()
