"""A question of any shape gets an answer or a closed connection, in order and within bounds."""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import countermand.gate
from countermand.gate.protocol import LONGEST_BODY, Connection, Listener, Request, Response

ALLOWED = {200, 204, 400, 403, 404, 429}


class Wire(asyncio.Transport):
    """Keeps what was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Echo:
    """Answers with what it was asked, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def respond(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(HTTPStatus.OK, request.target + b"|" + request.body)


def talk(*pieces: bytes, echo: Echo | None = None) -> Wire:
    """Send pieces over one connection and return what came back."""

    async def said() -> Wire:
        listener = Listener((echo or Echo()).respond, frozenset({b"x-kept"}))
        connection, wire = Connection(listener), Wire()
        connection.connection_made(wire)
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(None)
        assert not listener.open
        return wire

    return asyncio.run(said())


class Turn:
    """A turn of an event loop: what was asked for in it is done when it is over."""

    def __init__(self) -> None:
        self._asked: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        self._asked.append(call)

    def over(self) -> None:
        asked, self._asked = self._asked, []
        for each in asked:
            each()


def in_turns(*, echo: Echo, number: int) -> tuple[Turn, Listener, list[tuple[Connection, Wire]]]:
    """Return so many connections to a listener that answers in turns."""
    turn, listener = Turn(), Listener(echo.respond, frozenset())
    listener.answer_in_turns(turn.soon)
    found = []
    for _ in range(number):
        connection, wire = listener.connection(), Wire()
        connection.connection_made(wire)
        found.append((connection, wire))
    return turn, listener, found


def bodies(wire: Wire) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in wire.written.split(b"HTTP/1.1 ")[1:]]


def get(target: str, **headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: gate", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def post(target: str, body: bytes) -> bytes:
    return f"POST {target} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_questions_in_one_piece_are_answered_in_their_order() -> None:
    wire = talk(post("/a", b"1") + get("/b") + post("/c", b"3"))

    assert bodies(wire) == [b"/a|1", b"/b|", b"/c|3"]
    assert not wire.closed


def test_a_question_in_single_bytes_is_the_same_question() -> None:
    whole = post("/a", b"body") + get("/b")

    assert talk(*(bytes([each]) for each in whole)).written == talk(whole).written


def test_only_wanted_headers_are_kept_and_all_of_a_name() -> None:
    echo = Echo()
    talk(
        b"GET / HTTP/1.1\r\nX-Kept: one\r\nAuthorization: Basic c2VjcmV0\r\nx-kept: two\r\n\r\n",
        echo=echo,
    )

    assert echo.asked[0].headers == {b"x-kept": [b"one", b"two"]}


def test_nothing_of_one_question_is_left_in_the_next() -> None:
    echo = Echo()
    talk(
        post("/a", b"1") + b"GET /b HTTP/1.1\r\nX-Kept: 1\r\n\r\n" + b"GET /c HTTP/1.1\r\n\r\n",
        echo=echo,
    )

    assert [each.headers for each in echo.asked] == [{}, {b"x-kept": b"1"}, {}]
    assert [each.body for each in echo.asked] == [b"1", b"", b""]


def test_a_long_body_is_not_kept_and_is_named_too_long() -> None:
    echo = Echo()
    talk(post("/a", b"x" * (LONGEST_BODY + 1)), echo=echo)

    assert echo.asked[0].oversized
    assert len(echo.asked[0].body) <= LONGEST_BODY


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /" + b"a" * 300_000,
        b"GET / HTTP/1.1\r\nX-Kept: " + b"a" * 300_000,
        b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n" + b"a" * 300_000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000,
    ],
    ids=["target", "header", "body", "chunks"],
)
def test_a_question_without_end_closes_the_connection(endless: bytes) -> None:
    pieces = [endless[start : start + 4096] for start in range(0, len(endless), 4096)]

    assert talk(*pieces).closed


def test_whoever_does_not_listen_is_not_heard() -> None:
    async def said() -> tuple[bool, bool]:
        connection, wire = Connection(Listener(Echo().respond, frozenset())), Wire()
        connection.connection_made(wire)
        connection.pause_writing()
        paused = wire.reading
        connection.resume_writing()
        return paused, wire.reading

    assert asyncio.run(said()) == (False, True)


def test_connection_close_is_obeyed_and_nothing_is_said_after_it() -> None:
    wire = talk(get("/a", Connection="close") + get("/b"))

    assert bodies(wire) == [b"/a|"]
    assert wire.closed


def test_a_head_question_gets_no_body() -> None:
    assert bodies(talk(b"HEAD /a HTTP/1.1\r\n\r\n")) == [b""]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_get_a_known_status_or_a_closed_connection(pieces: list[bytes]) -> None:
    wire = talk(*pieces)

    for status in re.findall(rb"HTTP/1\.1 (\d{3})", wire.written):
        assert int(status) in ALLOWED


def test_statuses_that_harm_a_phone_do_not_exist_in_the_code() -> None:
    """401 asks for the password again, 449 loops, 500 wipes caches, 140 and wipe words erase."""
    folder = Path(countermand.gate.__file__).parent
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    # Said to supervisors at a port that no front asks.
    files["control.py"], unready = re.subn(
        r"HTTPStatus\.SERVICE_UNAVAILABLE", "", files["control.py"]
    )
    text = "\n".join(files.values())

    used = set(re.findall(r"HTTPStatus\.([A-Z_]+)", text))
    assert {HTTPStatus[name].value for name in used} <= ALLOWED
    assert unready == 1
    for number in ("401", "449", "456", "500", "503"):
        assert not re.search(rf"\b{number}\b", text), number
    assert not re.search(r"wipe|wbxml|UNAUTHORIZED", text, re.IGNORECASE)


def test_a_connection_too_many_is_not_taken_and_is_told_of() -> None:
    told: list[str] = []
    listener = Listener(Echo().respond, set(), 2, too_many=lambda: told.append("one"))
    wires = [Wire() for _ in range(3)]
    for wire in wires:
        listener.connection().connection_made(wire)

    assert [wire.closed for wire in wires] == [False, False, True]
    assert told == ["one"]


def test_all_that_was_read_in_a_turn_is_answered_when_the_turn_is_over() -> None:
    echo = Echo()
    turn, _, [(one, to_one), (two, to_two)] = in_turns(echo=echo, number=2)

    one.data_received(get("/1"))
    two.data_received(get("/2"))
    asked_while_reading = list(echo.asked)
    turn.over()

    assert not asked_while_reading
    assert (bodies(to_one), bodies(to_two)) == ([b"/1|"], [b"/2|"])


@given(st.lists(st.integers(1, 60), max_size=6), st.lists(st.booleans(), min_size=7, max_size=7))
def test_answers_are_the_same_however_questions_fall_into_pieces_and_turns(
    cuts: list[int], ends: list[bool]
) -> None:
    whole, echo = post("/a", b"1") + get("/b") + post("/c", b"3"), Echo()
    turn, _, [(connection, wire)] = in_turns(echo=echo, number=1)

    begin = 0
    for length, is_over in zip([*cuts, len(whole)], ends, strict=False):
        if whole[begin : begin + length]:
            connection.data_received(whole[begin : begin + length])
        begin += length
        if is_over:
            turn.over()
    turn.over()

    assert bodies(wire) == [b"/a|1", b"/b|", b"/c|3"]


def test_nobody_is_asked_for_who_left_within_the_turn() -> None:
    echo = Echo()
    turn, _, [(gone, to_gone), (stays, to_stays)] = in_turns(echo=echo, number=2)

    gone.data_received(get("/gone"))
    stays.data_received(get("/stays"))
    gone.connection_lost(None)
    turn.over()

    assert [each.target for each in echo.asked] == [b"/stays"]
    assert (bodies(to_gone), bodies(to_stays)) == ([], [b"/stays|"])


class Faulty(Echo):
    """Fails at one target."""

    def respond(self, request: Request) -> Response:
        if request.target == b"/fault":
            raise RuntimeError
        return super().respond(request)


def test_a_fault_in_one_answer_closes_its_connection_and_no_other() -> None:
    turn, _, [(bad, to_bad), (good, to_good)] = in_turns(echo=Faulty(), number=2)

    bad.data_received(get("/fault"))
    good.data_received(get("/good"))
    turn.over()
    good.data_received(get("/again"))
    turn.over()

    assert to_bad.closed
    assert bodies(to_good) == [b"/good|", b"/again|"]
