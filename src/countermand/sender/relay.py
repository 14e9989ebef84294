"""How a relay is reached, and how a connection to it begins: greeting, TLS, login.

    220 -> EHLO -> STARTTLS, certificate proven -> EHLO again -> AUTH -> ready for mails

No secret is sent without TLS, none is ever logged, and what a relay says to a login is not
logged either: some repeat what they were sent.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from countermand.config import Settings
from countermand.loopback import LOOPBACK
from countermand.sender.link import Link, LinkLost, ServerReply
from countermand.sender.tls import context_for
from countermand.wire import xoauth2

CONNECT_S: Final = 30.0
COMMAND_S: Final = 300.0  # RFC 5321, 4.5.3.2
_OK: Final = range(200, 300)
_GO_ON: Final = 334


class RelayTls(StrEnum):
    """When a connection is encrypted."""

    AUTO = "auto"  # STARTTLS, but for a relay on this machine
    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"  # from the first byte, as on port 465


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the relay. With `token_file`, XOAUTH2 with the token that stands there now."""

    user: str
    password: str = field(default="", repr=False)
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mails are handed over. TLS is never left out because the relay does not offer it."""

    host: str
    port: int
    tls: RelayTls = RelayTls.NONE
    ca_file: Path | None = None
    login: Login | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the relay that the settings name."""
        host, _, port = settings.relay.rpartition(":")
        token = settings.relay_token_path
        login = Login(settings.relay_user, settings.relay_password, Path(token) if token else None)
        return cls(
            host.strip("[]"),
            int(port),
            tls=RelayTls(settings.relay_tls),
            ca_file=Path(settings.relay_ca) if settings.relay_ca else None,
            login=login if settings.relay_user else None,
        )

    @property
    def starts_tls(self) -> bool:
        """Whether STARTTLS must succeed before anything is said."""
        wanted = self.tls is RelayTls.AUTO and self.host not in LOOPBACK
        return wanted or self.tls is RelayTls.STARTTLS


async def opened(relay: Relay, name: str) -> tuple[Link, frozenset[str]]:
    """Connect as `name`; return the link and what the relay offers. Raises LinkLost."""
    link = await Link.connect(relay.host, relay.port, within_s=CONNECT_S)
    try:
        return link, await _begun(link, relay, name)
    except BaseException:
        link.abort()
        raise


async def _begun(link: Link, relay: Relay, name: str) -> frozenset[str]:
    if relay.tls is RelayTls.IMPLICIT:
        await link.start_tls(_context(relay), relay.host, within_s=CONNECT_S)
    greeting = await link.reply(within_s=COMMAND_S)
    if greeting.code not in _OK:
        raise LinkLost(f"the relay said {greeting.text}")
    offers = await _hello(link, name)
    if relay.starts_tls:
        await _start_tls(link, relay, offers)
        offers = await _hello(link, name)
    if relay.login is not None:
        await _log_in(link, relay.login, offers)
    return _names(offers)


async def _start_tls(link: Link, relay: Relay, offers: tuple[str, ...]) -> None:
    if "STARTTLS" not in _names(offers):
        raise LinkLost("the relay offers no TLS")
    started = await _said(link, "STARTTLS")
    if started.code not in _OK:
        raise LinkLost(f"the relay said {started.text}")
    if link.spoke_unasked():  # said before TLS by whoever stands in between
        raise LinkLost("the relay spoke before TLS")
    await link.start_tls(_context(relay), relay.host, within_s=CONNECT_S)


def _context(relay: Relay) -> ssl.SSLContext:
    try:
        return context_for(relay.ca_file)
    except OSError as error:
        raise LinkLost(f"the certificates of the relay cannot be read: {error.strerror}") from error


async def _hello(link: Link, name: str) -> tuple[str, ...]:
    hello = await _said(link, f"EHLO {name}")
    if hello.code not in _OK:
        raise LinkLost(f"the relay said {hello.text}")
    return hello.lines[1:]


def _names(offers: tuple[str, ...]) -> frozenset[str]:
    return frozenset(line.split(" ")[0].upper() for line in offers)


async def _said(link: Link, command: str) -> ServerReply:
    await link.write(f"{command}\r\n".encode())
    return await link.reply(within_s=COMMAND_S)


async def _log_in(link: Link, login: Login, offers: tuple[str, ...]) -> None:
    """Authenticate (RFC 4954). Raises LinkLost without what the relay said."""
    if not link.is_secret:
        raise LinkLost("no login without TLS")
    ways = {
        way.upper() for line in offers if line.upper().startswith("AUTH ") for way in line.split()
    }
    if login.token_file is not None:
        said = await _with_token(link, login, login.token_file)
    elif "PLAIN" in ways:
        plain = f"\0{login.user}\0{login.password}"
        said = await _said(link, f"AUTH PLAIN {_coded(plain.encode())}")
    elif "LOGIN" in ways:
        said = await _said(link, "AUTH LOGIN")
        for answer in (login.user, login.password):
            if said.code == _GO_ON:
                said = await _said(link, _coded(answer.encode()))
    else:
        raise LinkLost("the relay offers no login that we know")
    if said.code not in _OK:
        raise LinkLost(f"the relay refused the login ({said.code})")


async def _with_token(link: Link, login: Login, token_file: Path) -> ServerReply:
    try:
        token = await asyncio.to_thread(token_file.read_text, encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise LinkLost("the file with the relay's token cannot be read") from None
    coded = _coded(xoauth2.first_words(login.user, token.encode()))
    said = await _said(link, f"AUTH XOAUTH2 {coded}")
    if said.code == _GO_ON:
        said = await _said(link, "")
    return said


def _coded(said: bytes) -> str:
    return base64.b64encode(said).decode()
