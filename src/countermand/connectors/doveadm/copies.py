r"""Takes unread copies out of mailboxes of Dovecot, and believes only what the mailbox then shows.

`move` answers with nothing whatever it did, so each step is proven by a search. Only commands that
may be repeated stand in a request: a worker that breaks closes the connection without a word, and
then nobody knows.

What its owner deleted unread stays where it is, marked as deleted or in a mailbox whose use is
\Trash: it counts as not found, for we did not take it away.
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
_INBOX: Final = "INBOX"
_USE: Final = "/private/specialuse"  # RFC 5464, 6154; it needs no METADATA in Dovecot
_TRASH: Final = "\\Trash"
_DELETED: Final = "\\Deleted"
_DEFINITE: Final = frozenset({CopyState.WITHDRAWN, CopyState.ALREADY_READ})
Answers = Mapping[str, Any]
Row = Mapping[str, Any]


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
            if using := _asking_for_use(copies, seen):
                seen = {**seen, **self._ask(url, using)}
            if moving := _moving(copies, seen):
                self._ask(url, moving)
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
        fields = ["mailbox", "mailbox-guid", "uid", "flags"]
        unread = {"user": user, "field": fields, "query": ["mailbox", "*", "unseen", *mine]}
        commands += [
            ["search", {"user": user, "query": ["mailbox", "*", *mine]}, f"all{n}"],
            ["fetch", unread, f"new{n}"],
            ["search", {"user": user, "query": folder}, f"ours{n}"],
        ]
    return commands


def _asking_for_use(copies: Sequence[_Mailbox], seen: Answers) -> list[Any]:
    """Ask what the mailboxes are for in which a copy lies unread; nobody deletes into INBOX."""
    asked = {}
    for n, (user, _) in enumerate(copies):
        for row in _unread(seen, n):
            if not _is_marked_deleted(row) and row.get("mailbox") != _INBOX:
                wanted = {"user": user, "mailbox": row.get("mailbox"), "key": _USE}
                asked[_use_of(row, n)] = wanted
    return [["mailboxMetadataGet", wanted, tag] for tag, wanted in asked.items()]


def _moving(copies: Sequence[_Mailbox], seen: Answers) -> list[Any]:
    commands: list[Any] = []
    for n, (user, copy) in enumerate(copies):
        mine = ["unseen", "undeleted", "header", "message-id", copy.message_id]
        sources = sorted(
            {str(row.get("mailbox-guid")) for row in _unread(seen, n) if _may_go(seen, n, row)}
        )
        if sources:
            commands.append(["mailboxCreate", {"user": user, "mailbox": [FOLDER]}, f"made{n}"])
        for guid in sources:
            query = ["mailbox-guid", guid, *mine]
            move = {"user": user, "destinationMailbox": FOLDER, "query": query}
            commands.append(["move", move, f"moved{n}/{guid}"])
    return commands


def _answer(copy: MailCopy, seen: Answers, n: int) -> CopyAnswer:
    match seen.get(f"all{n}"):
        case ["error", {"exitCode": code}, str()] if code == _NO_SUCH_USER:
            return CopyAnswer(copy, CopyState.UNKNOWN, _NO_MAILBOX)
        case ["doveadmResponse", *_, str()]:
            pass
        case _:
            return CopyAnswer(copy, CopyState.UNKNOWN, "no answer")
    ours = _places(_rows(seen, f"ours{n}"))
    elsewhere = _places(_rows(seen, f"all{n}")) - ours
    unread = _unread(seen, n)
    deleted = [row for row in unread if _is_deleted(seen, n, row)]
    if _places(unread) - _places(deleted):
        return CopyAnswer(copy, CopyState.UNKNOWN, "still there")
    if elsewhere - _places(deleted):
        return CopyAnswer(copy, CopyState.ALREADY_READ)
    if ours:
        return CopyAnswer(copy, CopyState.WITHDRAWN)
    return CopyAnswer(copy, CopyState.NOT_FOUND, "deleted by its owner" if deleted else "")


def _unread(seen: Answers, n: int) -> list[Row]:
    """Return the unread mails outside our folder."""
    ours = _places(_rows(seen, f"ours{n}"))
    return [row for row in _rows(seen, f"new{n}") if not _places([row]) <= ours]


def _is_deleted(seen: Answers, n: int, row: Row) -> bool:
    return _is_marked_deleted(row) or _TRASH in _use(seen, n, row).split()


def _may_go(seen: Answers, n: int, row: Row) -> bool:
    """Tell whether a copy may be moved: not out of a mailbox of which nobody knows the use."""
    is_known = row.get("mailbox") == _INBOX or bool(_rows(seen, _use_of(row, n)))
    return is_known and not _is_deleted(seen, n, row)


def _is_marked_deleted(row: Row) -> bool:
    return _DELETED in str(row.get("flags")).split()


def _use_of(row: Row, n: int) -> str:
    return f"use{n}/{row.get('mailbox-guid')}"


def _use(seen: Answers, n: int, row: Row) -> str:
    return " ".join(str(told.get("value")) for told in _rows(seen, _use_of(row, n)))


def _places(rows: Sequence[Row]) -> set[tuple[str, str]]:
    """Return mailbox and number of each of these mails."""
    return {(str(row.get("mailbox-guid")), str(row.get("uid"))) for row in rows}


def _rows(seen: Answers, tag: str) -> list[Row]:
    """Return what a command told; of a folder that is not there it tells nothing."""
    match seen.get(tag):
        case ["doveadmResponse", *parts, str()]:
            rows = [row for part in parts for row in (part if isinstance(part, list) else [part])]
            return [row for row in rows if isinstance(row, dict) and row]
        case _:
            return []
