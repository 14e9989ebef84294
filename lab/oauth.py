"""A server that knows tokens, and a mail server's words for asking it: what OAuth takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from lab.ground import HERE, open_folder
from lab.people import ASHA

TOKEN_OF_ASHA: Final = "a-token-of-asha"
MECHANISMS: Final = "auth_mechanisms = plain login xoauth2 oauthbearer\n"
_ASKS: Final = """introspection_mode = post
introspection_url = http://{here}:{port}/
username_attribute = username
active_attribute = active
active_value = true
"""


class _Introspection(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        is_hers = asked.get("token") == [TOKEN_OF_ASHA]
        said = json.dumps({"active": is_hers, "username": ASHA.login if is_hers else ""}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A server that knows Asha's token, and the file in which Dovecot 2.3 reads where it is."""

    port: int
    file: Path

    @property
    def passdb(self) -> str:
        """What Dovecot 2.3 puts before its other passdbs."""
        mechanisms = "mechanisms = xoauth2 oauthbearer"
        return f"passdb {{{{\n  driver = oauth2\n  {mechanisms}\n  args = {self.file}\n}}}}\n"

    @property
    def passdb24(self) -> str:
        """What Dovecot 2.4 puts before its other passdbs."""
        asks = _ASKS.format(here=HERE, port=self.port)
        mechanisms = "mechanisms_filter = xoauth2 oauthbearer"
        return f"oauth2 {{{{\n{asks}}}}}\npassdb oauth2 {{{{\n  {mechanisms}\n}}}}\n"


@contextmanager
def token_server() -> Iterator[Tokens]:
    """Start it on a free port."""
    with open_folder("oauth") as folder, ThreadingHTTPServer((HERE, 0), _Introspection) as server:
        file = folder / "dovecot-oauth2.conf.ext"
        file.write_text(_ASKS.format(here=HERE, port=server.server_port), encoding="ascii")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Tokens(server.server_port, file)
        server.shutdown()
