"""A gate that is told of a stop says whether it took it over; no gate is waited for."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from countermand.stop.gates import Obstacle, Telling, with_code, with_token

FENCE = Fence(
    "CM-7Q4K",
    TAKEN_BACK_EPOCH,
    withdrawn=True,
    at=datetime(2026, 7, 10, tzinfo=UTC),
    by=1,
    because="भूल",
)
PATIENCE_S = 60.0


@contextmanager
def gate_that_says(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A gate that gives one of these answers to each connection, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(PATIENCE_S)
                    said = b""
                    while b"}" not in said:
                        said += connection.recv(4096)
                    asked.append(said)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        thread.join(PATIENCE_S)


def test_a_gate_is_told_the_stop_with_the_token_and_its_yes_is_kept() -> None:
    with gate_that_says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (url, asked):
        [said] = Telling([url], [with_token(FENCE, "of-the-gate")]).answers(PATIENCE_S)

    assert (said.url, said.acknowledged, said.why) == (url, True, "")
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /stop HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer of-the-gate" in head
    assert f"\r\nContent-Length: {len(body)}".encode() in head
    assert Fence.from_json(body) == FENCE


def test_where_the_token_is_refused_the_code_is_shown() -> None:
    no, yes = b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"
    with gate_that_says(no, yes) as (url, asked):
        ways = [with_token(FENCE, "wrong"), with_code("CM-7Q4K", "a-code")]
        [said] = Telling([url], ways).answers(PATIENCE_S)

    assert said.acknowledged
    assert said.obstacle is None
    assert [each.split(b" ")[1] for each in asked] == [b"/stop", b"/stop-code"]
    assert b"Authorization" not in asked[1]


def test_a_gate_on_this_machine_is_told_before_any_thread_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held_back: list[threading.Thread] = []

    def hold_back(self: threading.Thread) -> None:
        held_back.append(self)

    monkeypatch.setattr(threading.Thread, "start", hold_back)
    with socket.create_server(("127.0.0.1", 0)) as server:
        telling = Telling([f"http://127.0.0.1:{server.getsockname()[1]}"], [with_token(FENCE, "t")])
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            told = connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for each in held_back:
            each.run()
        [said] = telling._answers.values()

    assert Fence.from_json(told.partition(b"\r\n\r\n")[2]) == FENCE
    assert said.acknowledged


@pytest.mark.parametrize(
    ("answer", "why", "obstacle"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP 403", Obstacle.TOKEN_REFUSED),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "HTTP 500", Obstacle.REFUSED),
        (b"", "ValueError", Obstacle.NO_ANSWER),
        (b"220 mail.example.org ESMTP\r\n", "ValueError", Obstacle.NO_ANSWER),
        (b"HTTP/1.1 yes\r\n", "ValueError", Obstacle.NO_ANSWER),
        (b"x" * 5000, "ValueError", Obstacle.NO_ANSWER),
    ],
)
def test_a_gate_that_does_not_say_yes_has_not_taken_it_over(
    answer: bytes, why: str, obstacle: Obstacle
) -> None:
    with gate_that_says(answer) as (url, _):
        [said] = Telling([url], [with_token(FENCE, "t")]).answers(PATIENCE_S)

    assert not said.acknowledged
    assert said.why.startswith(why)
    assert said.obstacle is obstacle


def test_a_wrong_code_says_nothing_of_our_token_and_unsays_nothing() -> None:
    no = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    both = [with_token(FENCE, "wrong"), with_code("CM-7Q4K", "a-code")]
    with gate_that_says(no) as (url, _):
        [by_code] = Telling([url], both[1:]).answers(PATIENCE_S)
    with gate_that_says(no, no) as (url, _):
        [by_both] = Telling([url], both).answers(PATIENCE_S)

    assert by_code.obstacle is Obstacle.REFUSED
    assert by_both.obstacle is Obstacle.TOKEN_REFUSED


def test_a_gate_that_is_away_or_silent_keeps_nobody_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in (free, silent)]
        away, quiet = Telling(urls, [with_token(FENCE, "t")]).answers(0.0)

    assert not away.acknowledged
    assert not quiet.acknowledged
    assert away.obstacle is quiet.obstacle is Obstacle.NO_ANSWER
    # Of a gate that said nothing it is not said either that it wrote anything down.
    assert not away.durable
    assert not quiet.durable


@pytest.mark.parametrize(
    ("answer", "durable"),
    [
        (b'{"open": true, "durable": false}', False),
        (b'{"open": true, "durable": true}', True),
        (b"", True),
        (b"[1]}", True),
    ],
    ids=["a full disk", "a sound disk", "an older gate", "no object"],
)
def test_a_gate_whose_disk_took_nothing_is_told_apart(answer: bytes, *, durable: bool) -> None:
    with gate_that_says(b"HTTP/1.1 200 OK\r\n\r\n" + answer) as (url, _):
        [said] = Telling([url], [with_token(FENCE, "t")]).answers(PATIENCE_S)

    assert said.acknowledged
    assert said.durable is durable
