"""Reading without a parser gives exactly the parser's answer, or leaves the question to it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.plain_answers import ASHA, OPEN, PAUSED, RAVI, answered, read_carefully, same

PLAIN = (
    b"GET /auth HTTP/1.1\r\n"
    b"Authorization: Bearer of-the-gate\r\n"
    b"X-Original-URI: /Microsoft-Server-ActiveSync?Cmd=Sync&User=asha&DeviceId=%b&DeviceType=P\r\n"
    b"X-Original-Method: POST\r\n"
    b"X-Remote-User: %b\r\n"
    b"Host: countermand_gate\r\n\r\n"
)

devices = st.one_of(
    st.sampled_from([PAUSED, PAUSED.lower(), OPEN, OPEN.upper(), "", "50484f4e452d", "a%41", "Ä"]),
    st.text("abcXYZ0189-%&=?/#\\ \t\r\n\x00é", max_size=8),
).map(str.encode)
logins = st.one_of(
    st.sampled_from([ASHA, ASHA.upper(), RAVI, "", " asha", "AMBER\\asha", "ÄSHA@amber.example"]),
    st.text("abc@.X0\\ \t\r\n\x00:é", max_size=8),
).map(str.encode)
usual = st.builds(lambda device, login: PLAIN % (device, login), devices, logins)
known = st.builds(
    lambda device, login: PLAIN % (device.encode(), login.encode()),
    st.sampled_from([PAUSED, OPEN]),
    st.sampled_from([ASHA, RAVI]),
)
# What somebody who wants to smuggle would change.
CHANGES = [
    (b"GET", b"HEAD"),
    (b"GET", b"POST"),
    (b"/auth", b"/auth/"),
    (b"/auth", b"/policy"),
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"HTTP/1.1", b"HTTP/2.0"),
    (b"of-the-gate", b"of-the-gatE"),
    (b"of-the-gate", b"of-the-gate, Bearer x"),
    (b"Bearer", b"bearer"),
    (b"Bearer", b"Basic"),
    (b"POST", b"OPTIONS"),
    (b"POST", b"GET"),
    (b"POST", b"options"),
    (b"POST", b"POST "),
    (b"X-Original-Method: POST\r\n", b""),
    (b"X-Original-URI", b"x-original-uri"),
    (b"X-Original-URI: ", b"X-Original-URI:"),
    (b"X-Original-URI: ", b"X-Original-URI : "),
    (b"X-Original-URI: ", b"X-Original-URI: /webmail\r\nX-Original-URI: "),
    (b"X-Remote-User: ", b"X-Remote-User: ravi@amber.example\r\nX-Remote-User: "),
    (b"X-Remote-User: ", b"X-Remote-User:\r\n "),
    (b"DeviceId=", b"deviceid="),
    (b"DeviceId=", b"deviceid=7f3a9b0d3e4f5061&DeviceId="),
    (b"DeviceId=", b"DeviceId=%41&DeviceId="),
    (b"DeviceId=", b"DeviceId&DeviceId="),
    (b"&DeviceId=", b"?DeviceId="),
    (b"Cmd=Sync&User=asha", b"User=asha&Cmd=Sync"),
    (b"Cmd=Sync&User=asha", b"Cmd=&User="),
    (b"Cmd=Sync&User=asha", b"Cmd=deviceid&User=deviceid=7f3a9b0d3e4f5061"),
    (b"Cmd=Sync&User=asha", b"Cmd=Sync&User=asha&SaveInSent=T"),
    (b"User=asha&", b"User=asha&DEVICEID=7f3a9b0d3e4f5061&"),
    (b"User=asha&", b"User=asha&DeviceId=7f3a9b0d3e4f5061&"),
    (b"Cmd=Sync&User", b"Cmd=Sync&DeviceId=7f3a9b0d3e4f5061&User"),
    (b"Microsoft", b"microsoft"),
    (b"/Microsoft", b"//Microsoft"),
    (b"?Cmd", b"#?Cmd"),
    (b"Host: ", b"Content-Length: 0\r\nHost: "),
    (b"Host: ", b"Content-Length: 5\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: chunked\r\nHost: "),
    (b"Host: ", b"Connection: close\r\nHost: "),
    (b"Host: ", b"Connection: upgrade\r\nUpgrade: h2c\r\nHost: "),
    (b"Host: ", b"Expect: 100-continue\r\nHost: "),
    (b"Host: ", b"X-Forwarded-Uri: /Microsoft-Server-ActiveSync?DeviceId=x\r\nHost: "),
    (b"Host: ", b"Remote-User: ravi@amber.example\r\nHost: "),
    (b"Host: ", b"X-Countermand-Token: of-the-gate\r\nHost: "),
    (b"Host: ", b"Authorization: Bearer of-the-gate\r\nHost: "),
    (b"Host: countermand_gate", b"Host: a\tb"),
    (b"Host: countermand_gate\r\n", b"Host: countermand_gate\n"),
    (b"\r\n", b"\n"),
    (b"\r\n\r\n", b"\r\n\r\n\r\n"),
    (b"\r\n\r\n", b"\r\n\r\n\r"),
    (b"\r\n\r\n", b"\r\n"),
    (b"asha@amber.example", b"AMBER\\asha"),
    (b"asha@amber.example", b"asha@amber.example\r\nConnection: close"),
    (b"asha@amber.example", b"asha@amber.example\r\nX-Remote-User: ravi@amber.example"),
    (b"AB45C9B0D3E4F506", b"50484f4e452d41"),
    (b"AB45C9B0D3E4F506", b"50484F4E452D41&DeviceId=AB45C9B0D3E4F506"),
    (b"AB45C9B0D3E4F506", b"AB45C9B0D3E4F506&DeviceId=7f3a9b0d3e4f5061"),
]
changes = st.sampled_from(CHANGES)
changed = st.builds(lambda question, change: question.replace(*change), known, changes)
questions = st.one_of(known, usual, changed)


@given(st.lists(questions, max_size=6))
@example([PLAIN % (PAUSED.encode(), ASHA.encode())] * 3)
def test_a_question_in_each_piece_is_answered_as_the_parser_would(pieces: list[bytes]) -> None:
    same(pieces)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_is_changed_in_a_question_is_answered_as_the_parser_would(
    change: tuple[bytes, bytes],
) -> None:
    plain = PLAIN % (PAUSED.encode(), ASHA.encode())
    other = PLAIN % (OPEN.encode(), RAVI.encode())
    changed_one = plain.replace(*change)
    assert changed_one != plain

    same([plain, changed_one, plain, other])
    same([changed_one] * 3)
    same([(PLAIN % (OPEN.encode(), ASHA.encode())).replace(*change)] * 3)
    same([changed_one, plain, changed_one, other])
    same([plain, changed_one + plain, other])
    same([plain, changed_one[:-5], changed_one[-5:], plain])
    same([plain, changed_one[:40], plain])


def test_no_byte_of_a_question_can_be_changed_unseen() -> None:
    plain = PLAIN % (PAUSED.encode(), ASHA.encode())
    for put in (b"", b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b"\\", b"&", b"\x80", b"A"):
        for at in range(len(plain)):
            same([plain, plain[:at] + put + plain[at + 1 :], plain])


@given(known, st.lists(questions, min_size=1, max_size=4), st.data())
def test_pieces_may_be_cut_and_joined_anywhere(
    first: bytes, rest: list[bytes], draw: st.DataObject
) -> None:
    whole = b"".join(rest)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if b > a]

    same([first, *pieces])


@given(known, st.lists(st.tuples(known, st.integers(0, 400), st.binary(max_size=3)), max_size=4))
def test_a_byte_put_anywhere_changes_nothing_else(
    first: bytes, spoiled: list[tuple[bytes, int, bytes]]
) -> None:
    same([first, *(each[:at] + put + each[at + 1 :] for each, at, put in spoiled)])


def test_what_our_proxy_sends_is_read_without_the_parser() -> None:
    answers, carefully = read_carefully(
        PLAIN % (device.encode(), login.encode())
        for device, login in ((OPEN, ASHA), (OPEN, ASHA), (PAUSED, RAVI), (PAUSED, ASHA))
    )

    assert [each[:3] for each in answers] == [b"204", b"204", b"204", b"403"]
    assert carefully == 1


def test_whoever_shows_another_token_leaves_nothing_to_learn_from() -> None:
    stranger = (PLAIN % (PAUSED.encode(), ASHA.encode())).replace(b"of-the-gate", b"of-a-thief")

    written, _, counted = answered([stranger] * 3, plainly=True)

    assert written.count(b"HTTP/1.1 204") == 3
    assert counted[("doubts", (("kind", "stranger"),))] == 3
