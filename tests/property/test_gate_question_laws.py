"""The quick way to read a proxy's question never differs from the careful way."""

import base64
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from countermand.domain.device_key import door_key
from countermand.gate.fronts import forward_auth
from countermand.gate.protocol import Headers, Request

TOKEN = b"Bearer of-the-gate"
words = st.text("abcXYZ019-_.~%+&=?/\\ é", max_size=12)
hexadecimal = st.binary(min_size=1, max_size=20).map(bytes.hex)
hidden = st.text("PHONE-7f3a", min_size=4, max_size=12).map(lambda text: text.encode().hex())
ids = st.one_of(words, hexadecimal, hexadecimal.map(str.upper), hidden)
names = st.sampled_from(["DeviceId", "deviceid", "Cmd", "User", "DeviceType", "XDeviceId", ""])
pairs = st.builds("{}={}".format, names, st.one_of(ids, ids.map(quote)))
packed = st.binary(max_size=40).map(
    lambda raw: base64.b64encode(b"\x8d\x09\x09\x04" + raw).decode()
)
queries = st.one_of(st.lists(pairs, max_size=4).map("&".join), packed)
paths = st.sampled_from(
    [
        "/Microsoft-Server-ActiveSync?",
        "/microsoft-server-activesync?",
        "/Microsoft-Server-ActiveSync",
        "https://mail.example/Microsoft-Server-ActiveSync?",
        "/webmail?",
        "",
    ]
)
logins = st.one_of(
    st.sampled_from(["asha@amber.example", "AMBER\\asha", "", " asha ", "ÄSHA@amber.example"]),
    words,
)
methods = st.sampled_from(["POST", "OPTIONS", "GET", "options", ""])


def headers_of(path: str, query: str, login: str, method: str) -> Headers:
    return {
        b"x-original-uri": (path + query).encode(),
        b"x-remote-user": login.encode(),
        b"x-original-method": method.encode(),
        b"authorization": TOKEN,
    }


@given(paths, queries, logins, methods)
@example("/Microsoft-Server-ActiveSync?", "DeviceId=SEC17CD1A3E9E3F2", "asha@amber.example", "POST")
@example("/Microsoft-Server-ActiveSync?", "DeviceId=50484f4e452d", "asha@amber.example", "POST")
def test_where_the_quick_way_reads_a_question_the_careful_way_reads_the_same(
    path: str, query: str, login: str, method: str
) -> None:
    headers = headers_of(path, query, login, method)

    quick = forward_auth.plain_key(headers)

    asked = forward_auth.question(Request(b"GET", b"/auth", headers))
    careful = [door_key(each.login, each.device) for each in asked.doors]
    assert quick is None or [quick] == careful


@given(hexadecimal.filter(lambda text: len(text) > 24), st.emails())
@example(bytes.hex(b"a phone of a.k."), "Y@A.kg")
@example(bytes.hex(b" " * 13), "Y@A.kg")
def test_what_phones_really_ask_is_read_the_quick_way(device: str, login: str) -> None:
    query = f"Cmd=Sync&User={quote(login)}&DeviceId={device}&DeviceType=iPhone"
    headers = headers_of("/Microsoft-Server-ActiveSync?", query, login, "POST")

    quick = forward_auth.plain_key(headers)

    asked = forward_auth.question(Request(b"GET", b"/auth", headers))
    [door] = asked.doors
    # An id whose digits spell text, blanks among it, is left to the careful way, and nothing else.
    if all(0x20 <= byte < 0x7F for byte in bytes.fromhex(device)):
        assert quick is None
    else:
        assert quick == door_key(door.login, door.device)


@given(
    st.sampled_from(
        [
            (b"x-original-uri", [b"/Microsoft-Server-ActiveSync?DeviceId=a", b"/webmail"]),
            (b"x-forwarded-uri", b"/Microsoft-Server-ActiveSync?DeviceId=b"),
            (b"remote-user", b"ravi@amber.example"),
            (b"x-forwarded-method", b"OPTIONS"),
        ]
    )
)
def test_a_header_more_than_usual_is_left_to_the_careful_way(
    added: tuple[bytes, bytes | list[bytes]],
) -> None:
    name, value = added
    headers = headers_of("/Microsoft-Server-ActiveSync?", "DeviceId=a", "asha", "POST")
    headers[name] = value

    assert forward_auth.plain_key(headers) is None
