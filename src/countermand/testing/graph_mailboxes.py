"""Mailboxes of Microsoft Graph for tests: messages, whether they were read, and a folder to go to.

Plays the three calls that withdrawing a copy needs, as their documents describe them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from countermand.testing.http_double import Answer, Asked, Reply

DELETED = "folder-deleted"
INBOX = "folder-inbox"
_FILTER = re.compile(r"internetMessageId eq '(.*)'")


@dataclass
class Message:
    """One message as it lies in a mailbox."""

    id: str
    message_id: str
    is_read: bool = False
    folder: str = INBOX


@dataclass
class GraphMailboxes:
    """Mailboxes by address; `read_meanwhile` are messages that their owner opens at the move."""

    mailboxes: dict[str, list[Message]] = field(default_factory=dict)
    token: str = "a-token"  # noqa: S105
    throttled: int = 0

    def routes(self) -> Sequence[tuple[str, str, Answer]]:
        """Return what it answers."""
        return [
            ("GET", r"/v1.0/users/([^/]+)/mailFolders/deleteditems", self._folder),
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

    def _folder(self, asked: Asked) -> Reply:
        return self._refused(asked) or Reply.json({"id": DELETED})

    def _messages(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        wanted = _FILTER.fullmatch(asked.one("$filter"))
        if wanted is None:
            return Reply.json({"error": {"code": "BadRequest"}}, 400)
        name = wanted[1].replace("''", "'")
        rows = [m for m in self.mailboxes[unquote(asked.found[0])] if m.message_id == name]
        return Reply.json(
            {"value": [{"id": m.id, "isRead": m.is_read, "parentFolderId": m.folder} for m in rows]}
        )

    def _move(self, asked: Asked) -> Reply:
        refused = self._refused(asked)
        if refused is not None:
            return refused
        if asked.json().get("destinationId") != "deleteditems":
            return Reply.json({"error": {"code": "ErrorInvalidIdMalformed"}}, 400)
        for message in self.mailboxes[unquote(asked.found[0])]:
            if message.id == unquote(asked.found[1]):
                # A moved message gets another id.
                message.id, message.folder = f"{message.id}-moved", DELETED
                return Reply.json({"id": message.id}, 201)
        return Reply.json({"error": {"code": "ErrorItemNotFound"}}, 404)
