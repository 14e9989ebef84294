"""Mailboxes of Microsoft Graph for tests: messages, whether they were read, and their folders.

Plays the calls that withdrawing a copy needs, as their documents describe them. What was deleted
for good lies in *Recoverable items*, which a list of messages leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from countermand.testing.http_double import Answer, Asked, Reply

DELETED = "folder-deleted"
INBOX = "folder-inbox"
RECOVERABLE = "folder-recoverable"
_FILTER = re.compile(r"internetMessageId eq '(.*)'")
_FOLDER_FILTER = re.compile(r"displayName eq '(.*)'")


@dataclass
class Message:
    """One message as it lies in a mailbox."""

    id: str
    message_id: str
    is_read: bool = False
    folder: str = INBOX


@dataclass
class GraphMailboxes:
    """Mailboxes by address; `folders` are those that somebody made in them, name and id."""

    mailboxes: dict[str, list[Message]] = field(default_factory=dict)
    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    token: str = "a-token"  # noqa: S105
    throttled: int = 0
    lost: int = 0  # so many moves are done, and their answers never come

    def routes(self) -> Sequence[tuple[str, str, Answer]]:
        """Return what it answers."""
        return [
            ("GET", r"/v1.0/users/([^/]+)/mailFolders/deleteditems", self._deleted),
            ("GET", r"/v1.0/users/([^/]+)/mailFolders", self._folders),
            ("POST", r"/v1.0/users/([^/]+)/mailFolders", self._make_folder),
            ("GET", r"/v1.0/users/([^/]+)/messages", self._messages),
            ("POST", r"/v1.0/users/([^/]+)/messages/([^/]+)/move", self._move),
        ]

    def _refused(self, asked: Asked) -> Reply | None:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply.json({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        if self.throttled:
            self.throttled -= 1
            return Reply.json({"error": {"code": "TooManyRequests"}}, 429)
        if unquote(asked.found[0]) not in self.mailboxes:
            return Reply.json({"error": {"code": "ErrorInvalidUser"}}, 404)
        return None

    def _deleted(self, asked: Asked) -> Reply:
        return self._refused(asked) or Reply.json({"id": DELETED})

    def _of(self, asked: Asked) -> dict[str, str]:
        return self.folders.setdefault(unquote(asked.found[0]), {})

    def _folders(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        wanted = _FOLDER_FILTER.fullmatch(asked.one("$filter"))
        if wanted is None:
            return Reply.json({"error": {"code": "BadRequest"}}, 400)
        rows = [{"id": made} for name, made in self._of(asked).items() if name == wanted[1]]
        return Reply.json({"value": rows})

    def _make_folder(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        folders, name = self._of(asked), str(asked.json()["displayName"])
        if name in folders:
            return Reply.json({"error": {"code": "ErrorFolderExists"}}, 409)
        folders[name] = f"folder-{name.lower()}"
        return Reply.json({"id": folders[name], "displayName": name}, 201)

    def _messages(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        wanted = _FILTER.fullmatch(asked.one("$filter"))
        if wanted is None:
            return Reply.json({"error": {"code": "BadRequest"}}, 400)
        name = wanted[1].replace("''", "'")
        shown = [m for m in self.mailboxes[unquote(asked.found[0])] if m.folder != RECOVERABLE]
        rows = [m for m in shown if m.message_id == name]
        return Reply.json(
            {"value": [{"id": m.id, "isRead": m.is_read, "parentFolderId": m.folder} for m in rows]}
        )

    def _move(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        folder = asked.json().get("destinationId")
        if folder not in self._of(asked).values():
            return Reply.json({"error": {"code": "ErrorInvalidIdMalformed"}}, 400)
        for message in self.mailboxes[unquote(asked.found[0])]:
            if message.id == unquote(asked.found[1]):
                # A moved message gets another id.
                message.id, message.folder = f"{message.id}-moved", folder
                if self.lost:
                    self.lost -= 1
                    return Reply.json({"error": {"code": "UnknownError"}}, 504)
                return Reply.json({"id": message.id}, 201)
        return Reply.json({"error": {"code": "ErrorItemNotFound"}}, 404)
