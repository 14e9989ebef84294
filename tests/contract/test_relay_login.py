"""How a connection to a relay begins, against a scripted relay with real TLS."""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from countermand.config import Settings
from countermand.project import mail_probes
from countermand.sender.link import Link, LinkLost
from countermand.sender.relay import Login, Relay, RelayTls, opened
from countermand.testing.certificates import CertificateFiles, for_loopback

SECRET = "s3cret-word"


@dataclass
class ScriptedRelay:
    """Offers what it is told, takes one login, and notes down every command."""

    files: CertificateFiles
    offers: tuple[str, ...] = ("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN XOAUTH2")
    after_starttls: bytes = b"220 go on\r\n"
    takes_login: bool = True
    heard: list[str] = field(default_factory=list)
    heard_before_tls: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    port: int = 0

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files.certificate, self.files.key)
        return context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await self.session(reader, writer)
        writer.close()

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.example ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            secret = writer.get_extra_info("sslcontext") is not None
            (self.heard if secret else self.heard_before_tls).append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                lines = ["relay.example", *self.offers]
                text = "".join(f"250-{each}\r\n" for each in lines[:-1]) + f"250 {lines[-1]}\r\n"
                writer.write(text.encode())
            elif verb == "STARTTLS":
                writer.write(self.after_starttls)
                await writer.drain()
                await writer.start_tls(self.context())
            elif line == "AUTH LOGIN":
                writer.write(b"334 VXNlcm5hbWU6\r\n")
                self.heard.append((await reader.readline()).decode().strip())
                writer.write(b"334 UGFzc3dvcmQ6\r\n")
                self.heard.append((await reader.readline()).decode().strip())
                writer.write(self.verdict())
            elif verb == "AUTH":
                if not self.takes_login and "XOAUTH2" in line:
                    writer.write(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
                    self.heard.append((await reader.readline()).decode().strip())
                writer.write(self.verdict())
            else:
                await self.take_mail(verb, reader, writer)
            await writer.drain()

    async def take_mail(
        self, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if verb in ("MAIL", "RCPT"):
            writer.write(b"250 ok\r\n")
        elif verb == "DATA":
            writer.write(b"354 go on\r\n")
            self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"250 queued\r\n")

    def verdict(self) -> bytes:
        if self.takes_login:
            return b"235 2.7.0 ok\r\n"
        return f"535 5.7.8 no: {SECRET}\r\n".encode()


@contextlib.asynccontextmanager
async def a_relay(folder: Path, *, implicit: bool = False) -> AsyncIterator[ScriptedRelay]:
    relay = ScriptedRelay(for_loopback(folder))
    server = await asyncio.start_server(
        relay.serve, "127.0.0.1", 0, ssl=relay.context() if implicit else None
    )
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()


def to(relay: ScriptedRelay, **more: object) -> Relay:
    facts = {"tls": RelayTls.STARTTLS, "ca_file": relay.files.authority, **more}
    return Relay("127.0.0.1", relay.port, **facts)  # type: ignore[arg-type]


async def begin(relay: Relay) -> frozenset[str]:
    link, offers = await opened(relay, "sender-1")
    link.abort()
    return offers


def decoded(word: str) -> str:
    return base64.b64decode(word).decode()


def test_everything_after_starttls_is_secret(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            offers = await begin(to(relay, login=Login("sender", SECRET)))

            assert "PIPELINING" in offers
            assert relay.heard_before_tls == ["EHLO sender-1", "STARTTLS"]
            assert relay.heard[0] == "EHLO sender-1"
            assert decoded(relay.heard[1].split(" ")[2]) == f"\0sender\0{SECRET}"

    asyncio.run(story())


def test_a_probe_goes_the_way_that_notices_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            settings = Settings(
                data=tmp_path,
                relay=f"127.0.0.1:{relay.port}",
                relay_tls="starttls",
                relay_ca=str(relay.files.authority),
                relay_user="sender",
                relay_password=SECRET,
            )
            content = b"Subject: probe\r\n\r\n.a line with a dot\r\n"
            await asyncio.to_thread(mail_probes.hand_over, settings, "probe@example.org", content)

            assert relay.heard_before_tls == ["EHLO probe", "STARTTLS"]
            assert "RCPT TO:<probe@example.org>" in relay.heard
            assert relay.mails == [b"Subject: probe\r\n\r\n..a line with a dot\r\n.\r\n"]

    asyncio.run(story())


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path, implicit=True) as relay:
            await begin(to(relay, tls=RelayTls.IMPLICIT))

            assert relay.heard_before_tls == []
            assert relay.heard == ["EHLO sender-1"]

    asyncio.run(story())


def test_a_relay_with_another_certificate_gets_no_login(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            with pytest.raises(LinkLost, match="TLS with the relay failed"):
                await begin(to(relay, ca_file=None, login=Login("sender", SECRET)))

            assert relay.heard == []

    asyncio.run(story())


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            relay.files = for_loopback(tmp_path, misnamed=True)
            with pytest.raises(LinkLost, match="TLS with the relay failed"):
                await begin(to(relay))

            assert relay.heard == []

    asyncio.run(story())


def test_a_relay_that_offers_no_tls_gets_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            relay.offers = ("PIPELINING", "AUTH PLAIN")
            with pytest.raises(LinkLost, match="offers no TLS"):
                await begin(to(relay, login=Login("sender", SECRET)))

            assert relay.heard_before_tls == ["EHLO sender-1"]

    asyncio.run(story())


def test_what_was_said_before_tls_is_not_taken_for_the_relays_word(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            relay.after_starttls = b"220 go on\r\n250-relay.example\r\n250 AUTH PLAIN\r\n"
            with pytest.raises(LinkLost, match="before TLS"):
                await begin(to(relay))

    asyncio.run(story())


def test_no_password_without_tls(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            with pytest.raises(LinkLost, match="no login without TLS"):
                await begin(to(relay, tls=RelayTls.NONE, login=Login("sender", SECRET)))

            assert relay.heard_before_tls == ["EHLO sender-1"]

    asyncio.run(story())


def test_login_where_plain_is_not_offered(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            relay.offers = ("STARTTLS", "AUTH LOGIN")
            await begin(to(relay, login=Login("sender", SECRET)))

            assert [decoded(word) for word in relay.heard[2:]] == ["sender", SECRET]

    asyncio.run(story())


def test_the_token_is_read_anew_for_every_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            token = tmp_path / "token"
            aimed = to(relay, login=Login("sender@example.org", token_file=token))
            for word in ("first", "second"):
                token.write_text(f"{word}\n", encoding="utf-8")
                await begin(aimed)

            logins = [line.split(" ")[2] for line in relay.heard if line.startswith("AUTH")]
            assert [decoded(login) for login in logins] == [
                "user=sender@example.org\x01auth=Bearer first\x01\x01",
                "user=sender@example.org\x01auth=Bearer second\x01\x01",
            ]

    asyncio.run(story())


@pytest.mark.parametrize("with_token", [False, True])
def test_a_refused_login_says_why_without_a_secret(tmp_path: Path, with_token: bool) -> None:
    async def story() -> None:
        async with a_relay(tmp_path) as relay:
            relay.takes_login = False
            token = tmp_path / "token"
            token.write_text(SECRET, encoding="utf-8")
            login = Login("sender", SECRET, token if with_token else None)

            with pytest.raises(LinkLost) as refused:
                await begin(to(relay, login=login))

            assert str(refused.value) == "the relay refused the login (535)"
            assert SECRET not in repr(login)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("tls", "host", "starts"),
    [
        (RelayTls.AUTO, "127.0.0.1", False),
        (RelayTls.AUTO, "relay.example.org", True),
        (RelayTls.NONE, "relay.example.org", False),
        (RelayTls.STARTTLS, "localhost", True),
    ],
)
def test_only_a_relay_on_this_machine_is_spared_tls_unasked(
    tls: RelayTls, host: str, starts: bool
) -> None:
    assert Relay(host, 25, tls=tls).starts_tls is starts


class TwoAddresses(asyncio.SelectorEventLoop):
    """Resolves every name to a closed port, and then to what it is asked for."""

    closed: int

    async def getaddrinfo(self, host: object, port: object, **wanted: object) -> Any:
        kind, stream = socket.AF_INET, socket.SOCK_STREAM
        return [(kind, stream, 6, "", ("127.0.0.1", each)) for each in (self.closed, port)]


def test_a_relay_of_which_one_machine_is_down_is_reached_at_the_other() -> None:
    """A name with two addresses is asked in the same order every time."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"220 the other\r\n")

    async def story() -> None:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = await Link.connect("relay.example", port, within_s=5.0)
        greeting = await link.reply(within_s=5.0)

        link.abort()
        server.close()
        assert greeting.code == 220

    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        TwoAddresses.closed = unheard.getsockname()[1]
        with asyncio.Runner(loop_factory=TwoAddresses) as runner:
            runner.run(story())
            with pytest.raises(LinkLost, match="ConnectionRefusedError"):
                runner.run(Link.connect("relay.example", TwoAddresses.closed, within_s=5.0))
