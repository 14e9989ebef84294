"""One way of asking servers for all sources: bounded, patient, and honest about what it got.

Time-outs for every step; a few more tries with growing, jittered pauses; `Retry-After` is obeyed;
answers have a largest size; redirects go to allowed hosts alone and lose what proves who we are.
An answer that cannot be used is an error with a code, never an empty list.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.wire import json_documents
from countermand.wire.hosts import AllowedHosts, GuardedNetwork, HostNotAllowed, tls
from countermand.wire.json_documents import Faulty, Record

TRIES: Final = 5
LONGEST_PAUSE_S: Final = 60.0
LONGEST_RETRY_AFTER_S: Final = 600.0
LONGEST_ANSWER_S: Final = 900.0
MOST_REDIRECTS: Final = 3
MOST_PAGES: Final = 100_000
_TIME_OUT: Final = httpx.Timeout(30.0, connect=10.0, pool=10.0)
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
_NOT_ALLOWED: Final = frozenset({401, 403})
_GONE: Final = frozenset({404, 410})

# By themselves they write down every address with its query: signed links, and names of devices.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(eq=False)
class SourceUnavailable(CountermandError):
    """A source does not answer for now; nothing was changed, and another try is worth it."""

    host: str
    why: str

    code: ClassVar[str] = "source.unavailable"
    sentence: ClassVar[str] = gettext_noop("{host} does not answer as it should: {why}.")
    remedy: ClassVar[str] = gettext_noop(
        "What was known stays. It is tried again by itself; look at “countermand sources status”."
    )


@dataclass(eq=False)
class SourceRefused(CountermandError):
    """A source does not let us in; a person has to act."""

    host: str
    status: int

    code: ClassVar[str] = "source.refused"
    sentence: ClassVar[str] = gettext_noop("{host} does not let us in (HTTP {status}).")
    remedy: ClassVar[str] = gettext_noop(
        "Look at the key and at the permissions that the page on this source names."
    )


@dataclass(eq=False)
class AnswerNotUnderstood(CountermandError):
    """A source answered something that cannot be used; nothing was changed."""

    host: str
    why: str

    code: ClassVar[str] = "source.answer_not_understood"
    sentence: ClassVar[str] = gettext_noop("The answer of {host} cannot be used: {why}.")
    remedy: ClassVar[str] = gettext_noop("What was known stays. Look whether the source has moved.")


@dataclass(eq=False)
class NotThere(AnswerNotUnderstood):
    """A source knows nothing at this address: a device that it has let go, or a wrong address."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How time passes between tries; tests let it pass at once."""

    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random  # noqa: S311  (spreads tries, hides nothing)
    monotonic: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Http:
    """Asks the servers of one source."""

    hosts: AllowedHosts
    ca_file: str = ""
    waiting: Waiting = field(default_factory=Waiting)
    tries: int = TRIES
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(
            transport=_Transport(self.hosts, self.ca_file),
            timeout=_TIME_OUT,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "Countermand", "Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def json(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Record:
        """Ask for one JSON object. Raises SourceUnavailable, SourceRefused, AnswerNotUnderstood."""
        raw = self.raw(method, url, headers=headers, most=json_documents.MOST_BYTES, **body)
        host = _host(url)
        try:
            return json_documents.document(_plain(url), raw)
        except Faulty as faulty:
            raise AnswerNotUnderstood(host=host, why=faulty.fault.code) from None

    def raw(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        most: int,
        **body: Any,
    ) -> bytes:
        """Ask for bytes, `most` of them at the largest."""
        parts: list[bytes] = []
        for chunk in self._chunks(
            method, url, headers=headers, most=most, restart=parts.clear, **body
        ):
            parts.append(chunk)  # noqa: PERF402  (the list is emptied before each try)
        return b"".join(parts)

    def into_file(
        self, url: str, path: Path, *, most: int, headers: Mapping[str, str] | None = None
    ) -> None:
        """Fetch a file, `most` bytes at the largest; what stands in the link is never shown."""
        with path.open("wb") as file:

            def restart() -> None:
                file.seek(0)
                file.truncate()

            for chunk in self._chunks("GET", url, headers=headers, most=most, restart=restart):
                file.write(chunk)

    def _chunks(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None,
        most: int,
        restart: Callable[[], None],
        **body: Any,
    ) -> Iterator[bytes]:
        """Yield the body of the answer that counts; `restart` is called before each try."""
        for attempt in range(1, self.tries + 1):
            restart()
            try:
                with self._answer(method, url, headers=headers, **body) as answer:
                    if not self._must_wait(answer, attempt, method):
                        yield from _bounded(answer, most, self.waiting.monotonic)
                        return
            except (httpx.TransportError, httpcore.NetworkError) as error:
                if attempt == self.tries:
                    raise SourceUnavailable(host=_host(url), why=type(error).__name__) from None
                self._pause(attempt, None)
        raise SourceUnavailable(host=_host(url), why=gettext_noop("too many tries"))

    @contextlib.contextmanager
    def _answer(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, **body: Any
    ) -> Iterator[httpx.Response]:
        """Send one request, and follow a few redirects without what proves who we are."""
        sent = dict(headers or {})
        for _ in range(MOST_REDIRECTS + 1):
            self.hosts.check(url)
            request = self._client.build_request(method, url, headers=sent, **body)
            answer = self._client.send(request, stream=True)
            try:
                if not answer.is_redirect:
                    yield answer
                    return
                aim = urljoin(url, answer.headers.get("location", ""))
                if method != "GET":
                    raise AnswerNotUnderstood(host=_host(url), why=gettext_noop("redirect"))
                if _server(aim) != _server(url):
                    sent = {}
                url, body = aim, {}
            finally:
                answer.close()
        raise AnswerNotUnderstood(host=_host(url), why=gettext_noop("redirects"))

    def _must_wait(self, answer: httpx.Response, attempt: int, method: str) -> bool:
        """Decide by the status: use it, pause and try again, or give up."""
        host, status = str(answer.url.host), answer.status_code
        if answer.is_success:
            return False
        if status in _NOT_ALLOWED:
            raise SourceRefused(host=host, status=status)
        # What was not accepted may be sent again; a 502 to a POST may have been carried out.
        again = status in _TRY_AGAIN and (method in {"GET", "PUT"} or status in {429, 503})
        if status in _GONE:
            raise NotThere(host=host, why=f"HTTP {status}")
        if not again:
            raise AnswerNotUnderstood(host=host, why=f"HTTP {status}")
        if attempt == self.tries:
            raise SourceUnavailable(host=host, why=f"HTTP {status}")
        told = answer.headers.get("retry-after", "")
        self._pause(attempt, retry_after(told, now=answer.headers.get("date", "")))
        return True

    def _pause(self, attempt: int, told_s: float | None) -> None:
        grown = min(LONGEST_PAUSE_S, 2.0 ** (attempt - 1))
        own = grown * (0.5 + self.waiting.jitter() / 2)
        self.waiting.sleep(max(own, told_s or 0.0))


class _Transport(httpx.HTTPTransport):
    """httpx's own transport, on a network that is guarded."""

    def __init__(self, hosts: AllowedHosts, ca_file: str) -> None:
        context = tls(ca_file)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=8,
            max_keepalive_connections=4,
            keepalive_expiry=15.0,
            network_backend=GuardedNetwork(hosts),
        )


def retry_after(text: str, *, now: str = "") -> float | None:
    """Read how many seconds a server asks us to wait, at most ten minutes; None if it says none.

    An instant counts from `now`, which is what the server's own clock said.
    """
    words = text.strip()
    if words.isascii() and words.isdigit():
        return min(float(words[:10]), LONGEST_RETRY_AFTER_S)
    try:
        until, since = parsedate_to_datetime(words), parsedate_to_datetime(now)
        wait_s = (until.astimezone(UTC) - since.astimezone(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


def _bounded(answer: httpx.Response, most: int, monotonic: Callable[[], float]) -> Iterator[bytes]:
    """Yield the decoded body; the bytes are counted while they come out, so a bomb is cut off."""
    left = most
    started = monotonic()
    try:
        for chunk in answer.iter_bytes(65_536):
            left -= len(chunk)
            if left < 0:
                raise AnswerNotUnderstood(host=str(answer.url.host), why=gettext_noop("too large"))
            if monotonic() - started > LONGEST_ANSWER_S:
                raise SourceUnavailable(host=str(answer.url.host), why=gettext_noop("too slow"))
            yield chunk
    except httpx.DecodingError:
        raise AnswerNotUnderstood(host=str(answer.url.host), why=gettext_noop("encoding")) from None


def next_pages(first: str, *, ask: Callable[[str], tuple[Record, str]]) -> Iterator[Record]:
    """Follow pages by their addresses; raise AnswerNotUnderstood when they lead in a circle."""
    seen: set[str] = set()
    url = first
    while url:
        if url in seen or len(seen) >= MOST_PAGES:
            raise AnswerNotUnderstood(host=_host(first), why=gettext_noop("pages in a circle"))
        seen.add(url)
        page, url = ask(url)
        yield page


def token_pages(first: str, *, ask: Callable[[dict[str, str]], Record]) -> Iterator[Record]:
    """Follow pages of which each names the token of the next, as Google's do.

    `ask` is given the parameter that asks for a page, none for the first.
    """

    def by_token(url: str) -> tuple[Record, str]:
        told = url.partition("#")[2]
        page = ask({"pageToken": told} if told else {})
        token = page.text("nextPageToken")
        return page, f"{first}#{token}" if token else ""

    yield from next_pages(first, ask=by_token)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "?")[:100]
    except ValueError:
        return "?"


def _server(url: str) -> tuple[str, int]:
    """Return host and port: another port is another server, written out or not."""
    try:
        parts = urlsplit(url)
        return _host(url), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "?", 0


def _plain(url: str) -> str:
    """Return an address without its query: signatures and keys stand there."""
    return url.split("?", maxsplit=1)[0][:300]


__all__ = [
    "AnswerNotUnderstood",
    "HostNotAllowed",
    "Http",
    "SourceRefused",
    "SourceUnavailable",
    "Waiting",
]
