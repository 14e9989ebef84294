"""`gate ask` asks the gate where the settings say that it is, over TLS where they say so."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from countermand.cli.gate import GateHasOtherToken, GateNotReachable, question
from countermand.environment import load

_SAID = {"paused": False, "order": None, "reason": "no_entry", "device": "none", "at": "now"}
TLS_HANDSHAKE = 22


@contextmanager
def listener(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Keep what came first over one connection, and answer with these bytes."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(60)


@pytest.mark.enable_socket
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_speaks_as_the_address_says(scheme: str, tmp_path: Path) -> None:
    body = json.dumps(_SAID).encode()
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with listener(plain if scheme == "http" else b"") as (port, heard):
        settings = replace(load({}, data=tmp_path), gates=(f"{scheme}://127.0.0.1:{port}",))
        if scheme == "http":
            assert question(settings, login="asha@amber.example", device="")["paused"] is False
        else:
            with pytest.raises(GateNotReachable):
                question(settings, login="asha@amber.example", device="")

    assert (heard[0][0] == TLS_HANDSHAKE) is (scheme == "https")


@pytest.mark.enable_socket
def test_a_gate_that_does_not_take_the_token_is_not_said_to_be_silent(tmp_path: Path) -> None:
    with listener(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as (port, _):
        settings = replace(load({}, data=tmp_path), gates=(f"http://127.0.0.1:{port}",))

        with pytest.raises(GateHasOtherToken):
            question(settings, login="asha@amber.example", device="")
