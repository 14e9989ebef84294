"""Takes unread copies out of Microsoft 365 mailboxes, and believes only what Graph then shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from countermand.domain.errors import CountermandError
from countermand.domain.withdrawal import CopyAnswer, CopyState, MailCopy

GRAPH: Final = "https://graph.microsoft.com/v1.0"
_DELETED: Final = "deleteditems"
_NO_MAILBOX: Final = 404
_OK: Final = range(200, 300)


class _Unclear(Exception):
    """Graph did not answer, or refused."""


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
            deleted = self._folder(copy.address)
            found = self._look(copy)
            waiting = [m for m in found if not m["isRead"] and m["parentFolderId"] != deleted]
            for message in waiting:
                self._move(copy.address, str(message["id"]))
            if waiting:
                found = self._look(copy)
        except _Unclear as unclear:
            return CopyAnswer(copy, CopyState.UNKNOWN, str(unclear))
        return CopyAnswer(copy, _state(found, deleted))

    def _folder(self, address: str) -> str:
        path = f"/users/{_quoted(address)}/mailFolders/{_DELETED}?$select=id"
        return str(self._ask("GET", path).get("id", ""))

    def _look(self, copy: MailCopy) -> list[Mapping[str, Any]]:
        wanted = copy.message_id.replace("'", "''")
        condition = f"internetMessageId eq '{wanted}'"
        query = f"$filter={_quoted(condition)}"
        path = f"/users/{_quoted(copy.address)}/messages?{query}&$select=id,isRead,parentFolderId"
        rows = self._ask("GET", path).get("value")
        if not isinstance(rows, list) or not all(_is_whole(row) for row in rows):
            raise _Unclear("not understood")
        return rows

    def _move(self, address: str, message: str) -> None:
        path = f"/users/{_quoted(address)}/messages/{_quoted(message)}/move"
        self._ask("POST", path, {"destinationId": _DELETED})

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


def _state(found: Sequence[Mapping[str, Any]], deleted: str) -> CopyState:
    elsewhere = [message for message in found if message["parentFolderId"] != deleted]
    if not found:
        return CopyState.NOT_FOUND
    if any(not message["isRead"] for message in elsewhere):
        return CopyState.UNKNOWN
    if elsewhere or any(message["isRead"] for message in found):
        return CopyState.ALREADY_READ
    return CopyState.WITHDRAWN


def _is_whole(row: object) -> bool:
    return isinstance(row, dict) and {"id", "isRead", "parentFolderId"} <= set(row)


def _quoted(text: str) -> str:
    return quote(text, safe="")
