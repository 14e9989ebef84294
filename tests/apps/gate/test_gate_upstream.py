"""Another policy server is asked first; dead, slow or lying, it keeps mail from nobody."""

import asyncio
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from countermand.data_folder import DataFolder
from countermand.gate.counts import Counts
from countermand.gate.protocol import Response
from countermand.gate.upstream import Address, Upstream
from tests.gate_world import ASHA, RunningGate, make_folder, running_gate

BODY = {
    "login": ASHA,
    "device": "phone-7f3a",
    "protocol": "imap",
    "pwhash": "034d",
    "remote": "203.0.113.9",
    "tls": "yes",
}
Answer = tuple[int, bytes]


class Asked:
    """What came to the other server."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.pause = threading.Event()


@contextmanager
def policy_server(answer: Callable[[], Answer]) -> Iterator[tuple[str, Asked]]:
    """A policy server that answers as it is told; a status of 0 stands for silence."""
    asked = Asked()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.seen.append((self.path, dict(self.headers.items()), body))
            status, said = answer()
            if status == 0:
                asked.pause.wait(60)
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/policy", asked
    finally:
        asked.pause.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return make_folder(tmp_path / "data")


def policy(gate: RunningGate, command: str = "allow") -> dict[str, Any]:
    body = json.dumps(BODY).encode()
    status, said = gate.ask("POST", f"/policy?command={command}", body=body)
    assert status == 200
    answer: dict[str, Any] = json.loads(said)
    return answer


def counted(gate: RunningGate, outcome: str) -> bool:
    _, said = gate.ask("GET", "/metrics", control=True)
    return f'upstream_total{{outcome="{outcome}"}}'.encode() in said


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        ({"status": -1, "msg": "too many guesses"}, {"status": -1, "msg": "too many guesses"}),
        ({"status": -7, "msg": "a\r\nforged line"}, {"status": -1, "msg": "aforged line"}),
        ({"status": 5, "msg": ""}, {"status": 5, "msg": ""}),
        ({"status": 0, "msg": "welcome"}, {"status": 0, "msg": ""}),
    ],
)
def test_its_refusals_and_delays_go_back_to_dovecot(
    folder: DataFolder, said: dict[str, Any], passed_on: dict[str, Any]
) -> None:
    with (
        policy_server(lambda: (200, json.dumps(said).encode())) as (url, asked),
        running_gate(folder, policy_upstream=url, policy_upstream_header="X-Key: word") as gate,
    ):
        assert policy(gate) == passed_on
        assert policy(gate) == passed_on  # over the same connection

    path, headers, body = asked.seen[0]
    assert path == "/policy?command=allow"
    assert headers["X-Key"] == "word"
    assert json.loads(body) == BODY  # every field that its penalties need


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((500, b'{"status":-1,"msg":"x"}'), "not_understood"),
        ((200, b'{"status":"-1","msg":"x"}'), "not_understood"),
        ((200, b'{"status":true,"msg":"x"}'), "not_understood"),
        ((200, b"not JSON"), "not_understood"),
        ((200, b"[" * 9000), "not_understood"),
        ((200, b'{"msg":"x"}'), "not_understood"),
        ((200, b'{"status":-1,"msg":"' + b"x" * 200_000 + b'"}'), "not_understood"),
        ((0, b""), "too_slow"),
    ],
    ids=["500", "word", "truth", "text", "deep", "none", "endless", "silent"],
)
def test_a_lying_or_silent_server_leaves_our_own_answer_and_is_counted(
    folder: DataFolder, answer: Answer, outcome: str
) -> None:
    with (
        policy_server(lambda: answer) as (url, _),
        running_gate(folder, policy_upstream=url) as gate,
    ):
        assert policy(gate) == {"status": 0, "msg": ""}
        assert counted(gate, outcome)


def test_a_dead_server_leaves_our_own_answer_and_is_counted(folder: DataFolder) -> None:
    with policy_server(lambda: (200, b"")) as (url, _):
        pass
    with running_gate(folder, policy_upstream=url) as gate:
        assert policy(gate) == {"status": 0, "msg": ""}
        assert counted(gate, "unreachable")


def test_reports_are_handed_on_and_nobody_waits_for_them(folder: DataFolder) -> None:
    with (
        policy_server(lambda: (200, b'{"status":0,"msg":""}')) as (url, asked),
        running_gate(folder, policy_upstream=url) as gate,
    ):
        assert policy(gate, "report") == {"status": 0, "msg": ""}
        gate.until("handed on", lambda: counted(gate, "reported"))

    assert asked.seen[0][0] == "/policy?command=report"


@pytest.mark.parametrize("address", ["10.0.0.5:8084/policy", "ftp://10.0.0.5", "http://a:x"])
def test_an_address_that_is_none_keeps_no_gate_from_answering(
    folder: DataFolder, address: str
) -> None:
    with running_gate(folder, policy_upstream=address) as gate:
        assert policy(gate) == {"status": 0, "msg": ""}
        assert counted(gate, "no_address")


@pytest.mark.enable_socket
def test_certificates_are_read_once_and_not_for_each_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    make = ssl.create_default_context

    def counting() -> ssl.SSLContext:
        nonlocal made
        made += 1
        return make()

    monkeypatch.setattr(ssl, "create_default_context", counting)
    with policy_server(lambda: (200, b"")) as (url, _):  # it speaks no TLS, and is asked anew
        address = Address.parse(url.replace("http://", "https://"))
        counts = Counts()
        upstream = Upstream(address, counts)

        async def ask() -> None:
            for _ in range(3):
                await upstream.ask_first(b"", b"{}", then=lambda: Response(HTTPStatus.OK))

        asyncio.run(ask())

    assert counts.get("upstream", outcome="unreachable") == 3
    assert made == 1
