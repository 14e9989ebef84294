"""What was found out about a mail elsewhere: a delivery report, a line of the relay's log.

A finding names the mail by what only its own copies carry: Message-ID, envelope id, or the queue
id that the relay gave us for it. None of them can be guessed by whoever would like a mail to look
undelivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from countermand.domain.delivery import EvidenceKind
from countermand.domain.errors import CountermandError, gettext_noop


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody else says of one mail. `at` is when they say it happened."""

    kind: EvidenceKind
    at: datetime | None
    detail: str
    message_id: str = ""
    envelope_id: str = ""
    queue_id: str = ""
    address: str = ""  # the mailbox it is about, if that is said; folded to lower case
    meant_for: str = ""  # to whom that copy was sent, before aliases; a copy for another may exist


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail that the relay has accepted and still holds for `recipients`, in lower case."""

    queue_id: str
    recipients: frozenset[str]


@dataclass(eq=False)
class QueueUnavailable(CountermandError):
    """The relay's queue cannot be looked into, or lets nobody take mails out of it."""

    why: str

    code: ClassVar[str] = "relay.queue_unavailable"
    sentence: ClassVar[str] = gettext_noop(
        "Mails that wait at the relay cannot be fetched back ({why})."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Whoever they reach is corrected all the same. Look at the setting relay_queue_command."
    )
