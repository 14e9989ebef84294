"""Reading Dovecot's question without a parser gives the parsers' answer, or leaves it to them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.plain_answers import ASHA, OPEN, PAUSED, RAVI, answered, read_carefully, same

CAPTURES = Path(__file__).parents[1] / "fixtures" / "gate"
HEAD = (
    b"POST /policy?command=allow HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8481\r\n"
    b"Date: Thu, 10 Dec 2026 12:00:%02d GMT\r\n"
    b"User-Agent: dovecot/auth-policy-client\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Content-Type: application/json\r\n"
    b"Authorization: Bearer of-the-gate\r\n\r\n"
)


def sent(body: bytes, second: int = 0) -> bytes:
    """Return a question with this body as Dovecot sends it."""
    return HEAD % (second, len(body)) + body


def body_of(
    device: str, login: str = ASHA, *, protocol: str = "imap", client: str = "", **more: object
) -> bytes:
    """Return the body of a question as Dovecot writes it, its keys in order."""
    said = {"client": client, "device": device, "login": login, "protocol": protocol, **more}
    return json.dumps({**said, "session": "HTnez/Rg", "tls": False}, separators=(",", ":")).encode()


texts = st.text('abcXYZ0189-%&=?/#\\"{}:, \t\r\n\x00\x7fé', max_size=8)
devices = st.one_of(
    st.sampled_from([PAUSED, PAUSED.lower(), OPEN, "", "webmail", "WebMail", "50484f4e452d", " x"]),
    texts,
)
logins = st.one_of(st.sampled_from([ASHA, ASHA.upper(), RAVI, "", " asha", "A\\asha"]), texts)
protocols = st.one_of(st.sampled_from(["imap", "pop3", "smtp", "sieve", "lmtp", "IMAP"]), texts)
bodies = st.builds(
    lambda device, login, protocol, client: body_of(
        device, login, protocol=protocol, client=client
    ),
    devices,
    logins,
    protocols,
    texts,
)
known = st.builds(
    lambda device, login, second: sent(body_of(device, login), second),
    st.sampled_from([PAUSED, OPEN, ""]),
    st.sampled_from([ASHA, RAVI]),
    st.integers(0, 59),
)
PLAIN = sent(body_of(PAUSED))
OTHER = sent(body_of(OPEN, RAVI), 1)
# What somebody who wants to smuggle, or another version of Dovecot, would change in the head.
HEAD_CHANGES = [
    (b"POST", b"GET"),
    (b"POST", b"HEAD"),
    (b"command=allow", b"command=report"),
    (b"command=allow", b"command=allow&x=1"),
    (b"/policy", b"/auth"),
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"of-the-gate", b"of-the-gatE"),
    (b"Bearer", b"Basic"),
    (b"Content-Length: ", b"Content-Length: 0"),
    (b"Content-Length: ", b"Content-Length: +"),
    (b"Content-Length: ", b"Content-Length: 1"),
    (b"Content-Length: ", b"Content-Length:  "),
    (b"Content-Length: ", b"Content-Length: 3\r\nContent-Length: "),
    (b"Content-Length: ", b"Content-Encoding: "),
    (b"Connection: Keep-Alive", b"Connection: close"),
    (b"Connection: Keep-Alive", b"Transfer-Encoding: chunked"),
    (b"Connection: Keep-Alive", b"Connection: upgrade\r\nUpgrade: h2c"),
    (b"Connection: Keep-Alive", b"Expect: 100-continue"),
    (b"Connection: Keep-Alive", b"X-Countermand-Token: of-the-gate"),
    (b"Connection: Keep-Alive", b"X-Remote-User: ravi@amber.example"),
    (b"Connection: Keep-Alive", b"Authorization: Bearer of-the-gate"),
    (b"Date: Thu", b"Date: Thu\r\nX: y"),
    (b"Date: Thu", b"Date: Th\xfc"),
    (b"Date: Thu", b"Date: Content-Length: 5"),
    (b"\r\nDate: Thu, 10 Dec 2026 12:00:00 GMT", b""),
    (b"\r\n", b"\n"),
    (b"\r\n\r\n", b"\r\n\r\n\r\n"),
]
# The same for the body; the length is set right.
BODY_CHANGES = [
    (b'"login":', b'"device":"%b","login":' % OPEN.encode()),
    (b'"login":', b'"login":"%b","login":' % RAVI.encode()),
    (b'"login":', b'"passed":"","login":'),
    (b'"login":', b'"passed":"yes","login":'),
    (b'"login":', b'"passed":false,"login":'),
    (b'"login":', b'"mechanism":"XOAUTH2","login":'),
    (b'"login":', b'"log\\u0069n":'),
    (b'"login":', b'"login": '),
    (b'"device":', b'"Device":'),
    (b'"device":"%b"' % PAUSED.encode(), b'"device":null'),
    (b'"device":"%b"' % PAUSED.encode(), b'"device":["%b"]' % PAUSED.encode()),
    (b'"device":"%b"' % PAUSED.encode(), b'"device":{"device":"%b"}' % PAUSED.encode()),
    (PAUSED.encode(), b"50484f4e452d"),
    (PAUSED.encode(), b"50484F4E452D"),
    (
        b'"%b","login":"asha@amber.example","protocol":"imap"' % PAUSED.encode(),
        b'"50484f4e452d","login":"asha@amber.example","protocol":"lmtp"',
    ),
    (PAUSED.encode(), b"webmail"),
    (PAUSED.encode(), PAUSED.encode() + b"\\n"),
    (PAUSED.encode(), PAUSED.encode() + b"\\u0020"),
    (PAUSED.encode(), PAUSED.encode() + b" "),
    (PAUSED.encode(), PAUSED.encode() + b"\x01"),
    (b"asha", b"\\u0061sha"),
    (b"asha", b"ASHA"),
    (b"asha", "\uff41sha".encode()),
    (b"asha@amber.example", b""),
    (b'"imap"', b'"smtp"'),
    (b'"imap"', b'"lmtp"'),
    (b'"client":""', b'"client":"\\"K-9\\" \\/ \\n"'),
    (b'"client":""', b'"client":"\\x"'),
    (b'"client":""', b'"client":"\\"'),
    (b'"client":""', b'"client":7'),
    (b"false", b"true"),
    (b"false", b"False"),
    (b"false}", b"false} "),
    (b"false}", b"false}}"),
    (b"false}", b"false"),
    (b"{", b"[{"),
]


@given(st.lists(st.one_of(known, bodies.map(sent)), max_size=6))
@example([PLAIN] * 3)
def test_each_login_is_answered_as_the_parsers_would(pieces: list[bytes]) -> None:
    same(pieces)


@pytest.mark.parametrize("change", HEAD_CHANGES, ids=str)
def test_whatever_is_changed_in_the_head_is_answered_as_the_parsers_would(
    change: tuple[bytes, bytes],
) -> None:
    held_to_the_parsers(PLAIN.replace(*change))


@pytest.mark.parametrize("change", BODY_CHANGES, ids=str)
def test_whatever_is_changed_in_the_body_is_answered_as_the_parsers_would(
    change: tuple[bytes, bytes],
) -> None:
    held_to_the_parsers(sent(body_of(PAUSED).replace(*change)))


def held_to_the_parsers(changed: bytes) -> None:
    """Hold a changed question equal alone, between others, and cut in two."""
    assert changed != PLAIN
    same([PLAIN, changed, PLAIN, OTHER])
    same([changed] * 3)
    same([changed, PLAIN, changed, OTHER])
    same([PLAIN, changed + PLAIN, OTHER])
    same([PLAIN, changed[:-5], changed[-5:], PLAIN])


def test_no_byte_of_a_login_can_be_changed_unseen() -> None:
    for put in (b"", b"\r", b"\n", b"\x00", b" ", b'"', b"\\", b"{", b"\x80", b"A", b"1"):
        for at in range(len(PLAIN)):
            same([PLAIN, PLAIN[:at] + put + PLAIN[at + 1 :], PLAIN])


@given(known, st.lists(known, min_size=1, max_size=4), st.data())
def test_logins_may_be_cut_and_joined_anywhere(
    first: bytes, rest: list[bytes], draw: st.DataObject
) -> None:
    whole = b"".join(rest)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if b > a]

    same([first, *pieces])


def test_what_dovecot_sends_is_read_without_a_parser() -> None:
    asked = [(OPEN, ASHA), (OPEN, ASHA), (PAUSED, RAVI), (PAUSED, ASHA), ("", ASHA), (PAUSED, ASHA)]

    answers, carefully = read_carefully(
        sent(body_of(device, login, client='"name" "K-9"'), second)
        for second, (device, login) in enumerate(asked)
    )

    assert [b'"status": -1' in each for each in answers] == [False, False, False, True, False, True]
    assert carefully == 1


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_questions_as_they_were_seen_on_the_wire_are_read_without_a_parser(version: str) -> None:
    captured = (CAPTURES / f"dovecot-{version}-device.txt").read_text(encoding="utf-8")
    found = re.findall(r"^(POST [^{]+)(\{.*\})$", captured, re.MULTILINE)
    seen = [
        (head.replace("\n", "\r\n") + body).replace("stub-token", "of-the-gate").encode()
        for head, body in found
        if '"device":""' not in body
    ]

    _, carefully = read_carefully([*seen[:2], *seen[:2]])

    # The stranger's device is in no table, and is read carefully so that it can be shown.
    assert seen
    assert carefully == len(seen[:2]) * 2
    same(seen)
    main_password = [re.sub(rb'"device":"[^"]*"', b'"device":""', each) for each in seen[:1]]
    short = [with_true_length(each) for each in main_password]
    _, carefully = read_carefully(short * 5)
    assert carefully == 1


def with_true_length(question: bytes) -> bytes:
    head, _, body = question.partition(b"\r\n\r\n")
    true = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    return true + b"\r\n\r\n" + body


def test_whoever_shows_another_token_leaves_no_login_to_learn_from() -> None:
    stranger = PLAIN.replace(b"of-the-gate", b"of-a-thief!")

    _, _, counted = answered([stranger] * 3, plainly=True)

    assert counted[("doubts", (("kind", "stranger"),))] == 3
