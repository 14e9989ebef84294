"""A small HTTP server on this machine that plays somebody else's, over TLS if wished.

Public, for authors of connectors: give it routes, ask it what it was asked.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    found: tuple[str, ...] = ()  # what the groups of the route matched

    def one(self, name: str, default: str = "") -> str:
        """Return one parameter of the address."""
        values = self.query.get(name, ())
        return values[0] if values else default

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """Answer with JSON."""
        told = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(json.dumps(value).encode(), status, {"Content-Type": "application/json", **told})


Answer = Callable[[Asked], Reply]


class HttpDouble:
    """Plays a server while the `with` block lasts; `asked` lists every request in order."""

    def __init__(
        self, routes: Sequence[tuple[str, str, Answer]], *, authority: TestAuthority | None = None
    ) -> None:
        """Answer by `routes`: method, a pattern of the whole path, what answers."""
        self._routes = [(method, re.compile(path), answer) for method, path, answer in routes]
        self.asked: list[Asked] = []
        self._failing: Reply | None = None
        self._scheme = "https" if authority else "http"
        self._server = ThreadingHTTPServer((ADDRESS, 0), self._handler())
        if authority:
            self._server.socket = authority.context().wrap_socket(
                self._server.socket, server_side=True
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def base(self) -> str:
        """The address of the server, without a slash at its end."""
        return f"{self._scheme}://{ADDRESS}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def fail(self, status: int, body: bytes = b"{}") -> None:
        """Answer everything so from now on."""
        self._failing = Reply(body, status)

    def answer(self, asked: Asked) -> Reply:
        """Find what answers a request."""
        if self._failing is not None:
            self.asked.append(asked)
            return self._failing
        for method, path, answer in self._routes:
            found = path.fullmatch(asked.path)
            if method == asked.method and found:
                told = Asked(
                    asked.method, asked.path, asked.query, asked.headers, asked.body, found.groups()
                )
                self.asked.append(told)
                return answer(told)
        self.asked.append(asked)
        return Reply.json({"error": {"code": "NotFound"}}, 404)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = double.answer(
                    Asked(
                        self.command,
                        unquote(parts.path),
                        parse_qs(parts.query, keep_blank_values=True),
                        headers,
                        self.rfile.read(size),
                    )
                )
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Keep still: a test looks at `asked`."""

        return Handler


class TestAuthority:
    """A certificate for this machine, and the file by which a client comes to trust it."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        """Write key and certificate into `folder`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Countermand test")])
        start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.IPAddress(ipaddress.ip_address(ADDRESS)),
                        x509.DNSName("localhost"),
                    ]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self._key_file = folder / "key.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def context(self) -> ssl.SSLContext:
        """Return how a server proves itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, self._key_file)
        return context
