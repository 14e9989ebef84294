"""Takes unread copies out of Microsoft 365 mailboxes, and believes only what Graph then shows.

They are moved to a folder of ours: in *Deleted items* nobody could tell what we took away from what
its owner had deleted unread. That stays where it is, and counts as not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from countermand.domain.errors import CountermandError
from countermand.domain.withdrawal import CopyAnswer, CopyState, MailCopy

GRAPH: Final = "https://graph.microsoft.com/v1.0"
FOLDER: Final = "Withdrawn"
_DELETED: Final = "deleteditems"
_OK: Final = range(200, 300)


class _Unclear(Exception):
    """Graph did not answer, or refused."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the copies of one mail lie: in our folder, deleted by their owner, or elsewhere."""

    ours: Sequence[Mapping[str, Any]]
    deleted: Sequence[Mapping[str, Any]]
    elsewhere: Sequence[Mapping[str, Any]]

    @property
    def waiting(self) -> Sequence[Mapping[str, Any]]:
        """What may be moved."""
        return [message for message in self.elsewhere if not message["isRead"]]


@dataclass(frozen=True, slots=True)
class GraphCopies:
    """One tenant; `token` returns a bearer token, `http` has its limits and time-outs set.

    Where no token is given, nothing is known of a copy.

    Satisfies `ports.CopyRemover`.
    """

    http: httpx.Client
    token: Callable[[], str]
    base: str = GRAPH

    def withdraw(self, copies: Sequence[MailCopy]) -> Sequence[CopyAnswer]:
        """See `ports.CopyRemover`."""
        return [self._one(each) for each in copies]

    def _one(self, copy: MailCopy) -> CopyAnswer:
        try:
            deleted, ours = self._deleted(copy.address), self._ours(copy.address)
            found = self._look(copy, deleted, ours)
            if found.waiting:
                ours = ours or self._made(copy.address)
                for message in found.waiting:
                    self._move(copy.address, str(message["id"]), ours)
                found = self._look(copy, deleted, ours)
        except _Unclear as unclear:
            return CopyAnswer(copy, CopyState.UNKNOWN, str(unclear))
        return _answer(copy, found)

    def _deleted(self, address: str) -> str:
        path = f"/users/{_quoted(address)}/mailFolders/{_DELETED}?$select=id"
        return _id(self._ask("GET", path))

    def _ours(self, address: str) -> str:
        """Return our folder; empty where it was never needed."""
        query = _filter("displayName", FOLDER)
        rows = self._rows(f"/users/{_quoted(address)}/mailFolders?{query}&$select=id", ["id"])
        return _id(rows[0]) if rows else ""

    def _made(self, address: str) -> str:
        """Make our folder; where somebody made it meanwhile, the next round finds it."""
        path = f"/users/{_quoted(address)}/mailFolders"
        return _id(self._ask("POST", path, {"displayName": FOLDER}))

    def _look(self, copy: MailCopy, deleted: str, ours: str) -> _Found:
        fields = ("id", "isRead", "parentFolderId")
        query = f"{_filter('internetMessageId', copy.message_id)}&$select={','.join(fields)}"
        rows = self._rows(f"/users/{_quoted(copy.address)}/messages?{query}", fields)
        return _Found(
            ours=[row for row in rows if row["parentFolderId"] == ours],
            deleted=[row for row in rows if row["parentFolderId"] == deleted],
            elsewhere=[row for row in rows if row["parentFolderId"] not in {ours, deleted}],
        )

    def _move(self, address: str, message: str, folder: str) -> None:
        path = f"/users/{_quoted(address)}/messages/{_quoted(message)}/move"
        self._ask("POST", path, {"destinationId": folder})

    def _rows(self, path: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
        rows = self._ask("GET", path).get("value")
        if not isinstance(rows, list):
            raise _Unclear("not understood")
        if not all(isinstance(row, dict) and set(fields) <= set(row) for row in rows):
            raise _Unclear("not understood")
        return rows

    def _ask(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        try:
            headers = {"Authorization": f"Bearer {self.token()}"}
            answer = self.http.request(method, self.base + path, json=body, headers=headers)
            if answer.status_code not in _OK:
                raise _Unclear(f"HTTP {answer.status_code}")
            value = answer.json()
        except (httpx.HTTPError, CountermandError, OSError, ValueError) as error:
            raise _Unclear(type(error).__name__) from error
        if not isinstance(value, dict):
            raise _Unclear("not understood")
        return value


def _answer(copy: MailCopy, found: _Found) -> CopyAnswer:
    if found.waiting:
        return CopyAnswer(copy, CopyState.UNKNOWN, "still there")
    seen = [*found.ours, *found.deleted, *found.elsewhere]
    if any(message["isRead"] for message in seen):
        return CopyAnswer(copy, CopyState.ALREADY_READ)
    if found.ours:
        return CopyAnswer(copy, CopyState.WITHDRAWN)
    return CopyAnswer(copy, CopyState.NOT_FOUND, "deleted by its owner" if found.deleted else "")


def _id(row: Mapping[str, Any]) -> str:
    """Return the id of a folder; without one nothing can be told apart."""
    found = row.get("id")
    if not isinstance(found, str) or not found:
        raise _Unclear("not understood")
    return found


def _filter(field: str, value: str) -> str:
    wanted = value.replace("'", "''")
    condition = f"{field} eq '{wanted}'"
    return f"$filter={_quoted(condition)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")
