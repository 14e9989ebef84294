"""Reads what sources post by themselves: who sent it is proven, and it is a hint at most.

None of these posts is believed about an app: it names devices that are then looked at with our own
key. Two kinds of proof: a shared key (in a header, or in the address where a source can send no
header), and the signed identity that Google sends along (`wire.google_identity`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

from countermand.connectors.android_management.source import AndroidManagementReader
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.names import SourceKind
from countermand.connectors.workspace import source as workspace
from countermand.domain.app_id import Matcher, WantedApp
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.field_texts import instant
from countermand.wire.json_documents import Record, document
from countermand.wire.paged import DocumentReader

MOST_BYTES: Final = 2 * 1024**2
OLDEST: Final = timedelta(hours=24)
AHEAD: Final = timedelta(minutes=10)
KEY_HEADER: Final = "x-countermand-key"
_CHANNEL_TOKEN: Final = "x-goog-channel-token"  # noqa: S105  (the name of a header)


@dataclass(eq=False)
class PostRefused(CountermandError):
    """A post that proves nothing about where it comes from, or comes too late."""

    why: str

    code: ClassVar[str] = "source.post_refused"
    sentence: ClassVar[str] = gettext_noop("A post of a source was refused: {why}.")
    remedy: ClassVar[str] = gettext_noop("Compare the key and the clocks of both servers.")


@dataclass(frozen=True, slots=True)
class Post:
    """One post as it came in; names of headers are in small letters."""

    body: bytes
    headers: Mapping[str, str]
    key: str = ""  # out of the address


@dataclass(frozen=True, slots=True)
class Hinted:
    """The devices that a post names; `number` is the same when it comes again."""

    number: str
    devices: tuple[str, ...]


def check_key(post: Post, key: str) -> None:
    """Raise PostRefused unless the post shows the shared key."""
    if not key or not any(
        hmac.compare_digest(shown.encode(), key.encode()) for shown in _shown(post.headers)
    ) | hmac.compare_digest(post.key.encode(), key.encode()):
        raise PostRefused(why=gettext_noop("wrong key"))


def _shown(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield what may be the key: Jamf sends what one asks for, Google a token of the channel."""
    yield headers.get(KEY_HEADER, "")
    yield headers.get(_CHANNEL_TOKEN, "")
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        yield rest.strip()
    if kind.lower() == "basic":
        try:
            login = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return
        yield login.partition(":")[2]


def read(
    kind: SourceKind,
    post: Post,
    *,
    options: Mapping[str, Any],
    apps: Sequence[WantedApp],
    now: datetime,
) -> Hinted:
    """Return what a proven post hints at. Raises PostRefused, Faulty."""
    if len(post.body) > MOST_BYTES:
        raise PostRefused(why=gettext_noop("too large"))
    number = hashlib.sha256(post.body).hexdigest()
    if kind is SourceKind.WORKSPACE:
        return Hinted(number, _workspace(post, apps))
    told = document("webhook", post.body)
    if kind is SourceKind.ANDROID_MANAGEMENT:
        return _android(told, options)
    if kind not in _LISTED:
        raise PostRefused(why=gettext_noop("this kind of source posts nothing"))
    reader, time_of = _LISTED[kind]
    at = time_of(told)
    if at is None or at > now + AHEAD or at < now - OLDEST:
        raise PostRefused(why=gettext_noop("too old, or from a clock that is ahead"))
    return Hinted(number, reader.page(told).look_again)


_TimeOf = Callable[[Record], datetime | None]


def _jamf_time(told: Record) -> datetime | None:
    found = told.value.get("webhook")
    written = found.get("eventTimestamp") if isinstance(found, dict) else None
    if isinstance(written, bool) or not isinstance(written, int):
        return None
    try:
        return datetime.fromtimestamp(written / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _fleet_time(told: Record) -> datetime | None:
    return instant(told.text("timestamp", longest=60), zone_if_none=UTC)


_LISTED: Final[Mapping[SourceKind, tuple[DocumentReader, _TimeOf]]] = MappingProxyType(
    {
        SourceKind.JAMF: (JamfReader(), _jamf_time),
        SourceKind.FLEET: (FleetReader(), _fleet_time),
    }
)


def _workspace(post: Post, apps: Sequence[WantedApp]) -> tuple[str, ...]:
    """Return the device of an activity about an ordered app; opening a channel tells nothing."""
    if post.headers.get("x-goog-resource-state") == "sync" or not post.body:
        return ()
    activity = document("webhook", post.body)
    return workspace.hints(activity, Matcher(tuple(apps)))


def _android(told: Record, options: Mapping[str, Any]) -> Hinted:
    """Return the device of a message; the content itself is left aside, it is asked for anew."""
    wanted = str(options.get("subscription") or "")
    if wanted and told.text("subscription") != wanted:
        raise PostRefused(why=gettext_noop("another subscription"))
    number = told.text("message", "messageId", longest=200)
    if not number:
        raise PostRefused(why=gettext_noop("no number"))
    reader = AndroidManagementReader()
    own = f"{options.get('enterprise')}/devices/"
    names = [reader.device_id(record) for record in reader.page(told).records]
    if not all(name.startswith(own) and "/" not in name[len(own) :] for name in names):
        raise PostRefused(why=gettext_noop("another enterprise"))
    return Hinted(number, tuple(names))
