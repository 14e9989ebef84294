"""The script beside the relay brings fresh tokens, and never loses the old one to a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "relay" / "renew-token"
SECRET = "s3cret-word"


class TokenAddress(ThreadingHTTPServer):
    """Gives the token that it is told, and notes down what it was asked."""

    status = 200
    answer: object = None
    asked: list[tuple[str, dict[str, list[str]]]]


class _Answers(BaseHTTPRequestHandler):
    server: TokenAddress

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append((self.path, form))
        content = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[TokenAddress]:
    with TokenAddress(("127.0.0.1", 0), _Answers) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def renew(folder: Path, address: TokenAddress) -> subprocess.CompletedProcess[str]:
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    words = ["example.org", "the-client", str(secret), str(folder / "token")]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env={**os.environ, "AUTHORITY": f"http://127.0.0.1:{address.server_port}"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_fresh_token_takes_the_place_of_the_old_one(
    address: TokenAddress, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("old\n", encoding="utf-8")
    address.answer = {"access_token": "fresh", "expires_in": 3599}

    assert renew(tmp_path, address).returncode == 0

    assert (tmp_path / "token").read_text(encoding="utf-8") == "fresh\n"
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    path, form = address.asked[0]
    assert path == "/example.org/oauth2/v2.0/token"
    assert form["client_secret"] == [SECRET]
    assert form["grant_type"] == ["client_credentials"]


@pytest.mark.parametrize(
    ("status", "answer"), [(401, {"error": "invalid_client"}), (200, {}), (200, "nonsense")]
)
def test_without_a_new_token_the_old_one_stays_and_no_secret_is_said(
    address: TokenAddress, tmp_path: Path, status: int, answer: object
) -> None:
    (tmp_path / "token").write_text("old\n", encoding="utf-8")
    address.status, address.answer = status, answer

    ended = renew(tmp_path, address)

    assert ended.returncode == 1
    assert ended.stderr.startswith("no new token")
    assert SECRET not in ended.stdout + ended.stderr
    assert (tmp_path / "token").read_text(encoding="utf-8") == "old\n"
