"""Copies that lie unread in mailboxes, taken away after a take-back: what became of each.

A bonus, never instead of the correction: previews, forwarded copies and what was read already are
out of reach, and whoever got the notice is corrected all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

# A mailbox that did not say is asked again after so long: servers that are started anew are back.
ASKED_AGAIN_AFTER: Final = (timedelta(minutes=1), timedelta(minutes=30))


class CopyState(StrEnum):
    """What became of one copy."""

    ASKED = "asked"  # written down before the mailbox is touched
    WITHDRAWN = "withdrawn"  # it lies in our folder now; the mailbox has shown it there
    ALREADY_READ = "already_read"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"  # the mailbox did not say; it is asked again


@dataclass(frozen=True, slots=True)
class MailCopy:
    """One mail in one mailbox, by the Message-ID that no other mail has.

    `logins` are names of its owner beside the address, by which a mail server may know them.
    """

    address: str
    message_id: str
    logins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyAnswer:
    """What a mailbox showed about one copy; `detail` is a word for people who run the server."""

    copy: MailCopy
    state: CopyState
    detail: str = ""
