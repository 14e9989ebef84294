"""Takes in what NanoMDM's webhook posts: proven by its key, not too old, and once only.

The signature covers the body and carries no time, so age is judged by the event's own time and a
second copy by its number.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.field_texts import instant
from countermand.wire import json_documents
from countermand.wire.json_documents import Faulty, Record

MOST_BYTES: Final = 8 * 1024**2
OLDEST: Final = timedelta(hours=24)
AHEAD: Final = timedelta(minutes=10)


@dataclass(eq=False)
class EventRefused(CountermandError):
    """An event that proves nothing about where it comes from, or comes too late."""

    why: str

    code: ClassVar[str] = "source.event_refused"
    sentence: ClassVar[str] = gettext_noop("An event was refused: {why}.")
    remedy: ClassVar[str] = gettext_noop("Compare the key and the clocks of both servers.")


def taken_in(body: bytes, signature: str, *, key: bytes, now: datetime) -> Record:
    """Return a genuine, recent event. Raises EventRefused.

    `signature` is the header `X-Hmac-Signature`. Whether it came before is for the caller to know.
    """
    if len(body) > MOST_BYTES:
        raise EventRefused(why=gettext_noop("too large"))
    expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    if not key or not hmac.compare_digest(expected.encode(), signature.strip().encode()):
        raise EventRefused(why=gettext_noop("wrong signature"))
    try:
        event = json_documents.document("webhook", body)
        at = instant(event.text("created_at"))
        number = event.text("event_id", longest=200)
    except Faulty as faulty:
        raise EventRefused(why=faulty.fault.code) from None
    if at is None or not number:
        raise EventRefused(why=gettext_noop("no time or number"))
    if at > now + AHEAD or at < now - OLDEST:
        raise EventRefused(why=gettext_noop("too old, or from a clock that is ahead"))
    return event
