"""Ends exactly the sessions of devices whose door shut, as exactly as this Dovecot can.

    2.4   kick one device by its field; nobody else notices
    2.3   kick one person, unless their process serves somebody else, too

A 2.3 is asked by the name that it says itself: a domain in other letters has two spellings. What
version it is, the server says itself. Every command is harmless when repeated; a dropped
connection means "nobody knows".
"""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from countermand.domain.device_key import normal_login
from countermand.ports import Ended, OpenSession

DEVICE_FIELD: Final = "user_device"
_PATH: Final = "/doveadm/v1"
_BY_FIELD: Final = "passdbField"
_BATCH: Final = 50  # commands in one request
_LONGEST_S: Final = 5.0
_LARGEST_ANSWER: Final = 64 * 1024 * 1024  # everybody who is logged in, on a large server
_OK: Final = 200
_NOBODY_LOGGED_IN: Final = 68  # EX_NOHOST of doveadm: no such session
_WILD: Final = frozenset("*?")
_ADDRESS: Final = re.compile(r"[0-9./]+|0[xX][0-9a-fA-F./xX]*|.*:.*")
_NUMBER: Final = re.compile(r"\d+")
# The strongest answer counts where several servers were asked.
_WEIGHT: Final = (Ended.NOT_OPEN, Ended.ENDED, Ended.SHARED, Ended.FAILED)


class _Unclear(Exception):
    """The server did not answer, or not in its form."""


@dataclass(frozen=True, slots=True)
class Doveadm:
    """All servers of one installation, and the key to their administration."""

    urls: tuple[str, ...]
    key: str
    longest_s: float = _LONGEST_S

    def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
        """End these at every server; a server that fails leaves its answer open."""
        found = dict.fromkeys(sessions, Ended.NOT_OPEN)
        for url in self.urls:
            server = _Server(url, self.key, self.longest_s)
            for each, outcome in server.end(sessions).items():
                found[each] = max(found[each], outcome, key=_WEIGHT.index)
        return found

    def silent(self) -> tuple[str, ...]:
        """Return the servers that do not say how they end sessions; nothing is ended by asking."""
        servers = [_Server(url, self.key, self.longest_s) for url in self.urls]
        return tuple(server.url for server in servers if not server.answers())


@dataclass(frozen=True, slots=True)
class _Server:
    url: str
    key: str
    longest_s: float

    def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
        try:
            knows_devices = self._knows_devices()
            who = {} if knows_devices else self._people_by_process()
        except _Unclear:
            return dict.fromkeys(sessions, Ended.FAILED)
        if knows_devices:
            devices = [(each, how) for each in sessions for how in _device(each)]
            return {**dict.fromkeys(sessions, Ended.FAILED), **self._kick(devices)}
        names = _spelled(frozenset().union(*who.values()))
        shared = frozenset().union(*(people for people in who.values() if len(people) > 1))
        found = {}
        wanted = []
        for each in sessions:
            called = names.get(normal_login(each.login), frozenset())
            found[each] = Ended.SHARED if called & shared else Ended.NOT_OPEN
            wanted += [(each, _one_person(name)) for name in sorted(called - shared)]
        for each, outcome in self._kick(wanted).items():
            found[each] = max(found[each], outcome, key=_WEIGHT.index)
        return found

    def answers(self) -> bool:
        try:
            self._knows_devices()
        except (_Unclear, ValueError):  # an address that is none
            return False
        return True

    def _knows_devices(self) -> bool:
        commands = self._ask("GET", None)
        kicks = [each for each in commands if _get(each, "command") == "kick"]
        if not kicks:
            raise _Unclear
        return any(
            _get(parameter, "name") == _BY_FIELD for parameter in _get(kicks[0], "parameters") or ()
        )

    def _people_by_process(self) -> Mapping[int, frozenset[str]]:
        [answer] = self._ask("POST", [["who", {}, "who"]])
        found: dict[int, frozenset[str]] = {}
        for row in _rows(answer):
            login = str(_get(row, "username"))
            for process in map(int, _NUMBER.findall(str(_get(row, "pids")))):
                found[process] = found.get(process, frozenset()) | {login}
        return found

    def _kick(
        self, wanted: Sequence[tuple[OpenSession, dict[str, Any]]]
    ) -> Mapping[OpenSession, Ended]:
        found: dict[OpenSession, Ended] = {}
        for batch in _batches(wanted):
            commands = [["kick", how, str(n)] for n, (_, how) in enumerate(batch)]
            try:
                answers = {_tag(each): each for each in self._ask("POST", commands)}
            except _Unclear:
                answers = {}
            for n, (session, _) in enumerate(batch):
                outcome = _outcome(answers.get(str(n)))
                found[session] = max(found.get(session, outcome), outcome, key=_WEIGHT.index)
        return found

    def _ask(self, method: str, commands: list[Any] | None) -> list[Any]:
        parts = urlsplit(self.url)
        is_https = parts.scheme == "https"
        kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.longest_s)
        headers = {
            "Authorization": f"X-Dovecot-API {b64encode(self.key.encode()).decode()}",
            "Content-Type": "application/json",
        }
        body = None if commands is None else json.dumps(commands).encode()
        try:
            connection.request(method, _PATH, body=body, headers=headers)
            answer = connection.getresponse()
            raw = json.loads(answer.read(_LARGEST_ANSWER)) if answer.status == _OK else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Unclear from error
        finally:
            connection.close()
        if not isinstance(raw, list) or (commands and len(raw) != len(commands)):
            raise _Unclear
        return raw


def _device(session: OpenSession) -> list[dict[str, Any]]:
    names = (session.device_name, *session.other_spellings)
    return [{_BY_FIELD: DEVICE_FIELD, "mask": [name]} for name in names if _names_one(name)]


def _names_one(name: str) -> bool:
    """Tell whether Dovecot takes this for one name: it knows wild characters, and addresses."""
    return not _WILD & set(name) and not _ADDRESS.fullmatch(name)


def _one_person(name: str) -> dict[str, Any]:
    return {"mask": [name]}


def _spelled(names: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return how the server calls everybody, by the one form in which logins are compared.

    A domain in other letters has two spellings, and it may know a person by either or by both. A
    name that would stand for other people as well is no name to end sessions by.
    """
    found: dict[str, frozenset[str]] = {}
    for name in names:
        if not _WILD & set(name):
            key = normal_login(name)
            found[key] = found.get(key, frozenset()) | {name}
    return found


def _outcome(answer: Any) -> Ended:
    match answer:
        case ["doveadmResponse", [{"count": "0" | 0}], str()]:  # of 2.4: no such session
            return Ended.NOT_OPEN
        case ["doveadmResponse", *_, str()]:
            return Ended.ENDED
        case ["error", {"exitCode": code}, str()] if code == _NOBODY_LOGGED_IN:
            return Ended.NOT_OPEN
        case _:
            return Ended.FAILED


def _tag(answer: Any) -> str:
    match answer:
        case [_, *_, str() as tag]:
            return tag
        case _:
            return ""


def _rows(answer: Any) -> list[Any]:
    """Return the rows of an answer; 2.3 lays all but the first of `who` beside its list."""
    match answer:
        case ["doveadmResponse", *parts, str()]:
            return [row for part in parts for row in (part if isinstance(part, list) else [part])]
        case _:
            raise _Unclear


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _batches(
    items: Sequence[tuple[OpenSession, dict[str, Any]]],
) -> Iterator[Sequence[tuple[OpenSession, dict[str, Any]]]]:
    for begin in range(0, len(items), _BATCH):
        yield items[begin : begin + _BATCH]
