"""What Dovecot's administration answers, as captured, is read without believing too much."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.ports import Ended, OpenSession

pytestmark = pytest.mark.enable_socket

PHONE = OpenSession("asha@amber.example", "phone-x4t9m2qa")
OF_2_3 = [{"command": "kick", "parameters": [{"name": "force"}, {"name": "mask"}]}]
OF_2_4 = [{"command": "kick", "parameters": [{"name": "passdbField"}, {"name": "mask"}]}]
NOBODY = ["error", {"type": "exitCode", "exitCode": 68}]
ASHA = {"username": "asha@amber.example", "connections": "2", "pids": "(11 12)"}
RAVI = {"username": "ravi@amber.example", "connections": "1", "pids": "(13)"}
BESIDE = {"username": "ravi@amber.example", "connections": "1", "pids": "(12)"}


class Server:
    """A doveadm that answers what it is told, and remembers what it was asked."""

    def __init__(self, commands: Any, who: list[Any], kick: Any) -> None:
        self.commands, self.who, self.kick = commands, who, kick
        self.kicked: list[Any] = []

    def answer(self, asked: list[Any]) -> list[Any]:
        found = []
        for name, how, tag in asked:
            if name == "who":
                # As 2.3.19 writes it: the first row in the list, all others beside it.
                found.append(["doveadmResponse", self.who[:1], *self.who[1:], tag])
            else:
                self.kicked.append(how)
                found.append([*self.kick, tag])
        return found


@contextmanager
def serving(server: Server) -> Iterator[Doveadm]:
    class Answering(BaseHTTPRequestHandler):
        def say(self, value: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(value if isinstance(value, bytes) else json.dumps(value).encode())

        def do_GET(self) -> None:
            self.say(server.commands)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.say(server.answer(asked))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield Doveadm((f"http://127.0.0.1:{http.server_address[1]}",), "a-key")
        http.shutdown()


ENDED = ["doveadmResponse", [{"result": "asha@amber.example"}]]


def test_2_4_ends_the_sessions_of_one_device() -> None:
    server = Server(OF_2_4, [ASHA, BESIDE], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: Ended.ENDED}

    assert server.kicked == [{"passdbField": "user_device", "mask": ["phone-x4t9m2qa"]}]


def test_2_4_is_asked_under_every_spelling_of_a_device_s_name() -> None:
    phone = OpenSession("asha@amber.example", "phone-a", ("Phone-A",))
    server = Server(OF_2_4, [ASHA], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([phone]) == {phone: Ended.ENDED}

    assert [each["mask"] for each in server.kicked] == [["phone-a"], ["Phone-A"]]


@pytest.mark.parametrize("name", ["*", "phone-?", "10.0.0.1", "10.0.0.0/8", "4711", "fe80::1"])
def test_2_4_is_not_asked_by_a_name_that_it_takes_for_others_or_for_an_address(name: str) -> None:
    phone = OpenSession("asha@amber.example", name)
    server = Server(OF_2_4, [ASHA], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([phone, PHONE]) == {phone: Ended.FAILED, PHONE: Ended.ENDED}

    assert len(server.kicked) == 1


def test_2_4_that_found_no_such_session_has_ended_none() -> None:
    nobody = ["doveadmResponse", [{"count": "0"}]]  # as 2.4.1 answers, with no error
    with serving(Server(OF_2_4, [ASHA, BESIDE], nobody)) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: Ended.NOT_OPEN}

    one = ["doveadmResponse", [{"count": "1"}]]
    with serving(Server(OF_2_4, [ASHA, BESIDE], one)) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: Ended.ENDED}


def test_2_3_ends_the_sessions_of_one_person() -> None:
    server = Server(OF_2_3, [RAVI, ASHA], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: Ended.ENDED}

    assert server.kicked == [{"mask": ["asha@amber.example"]}]


def test_2_3_ends_the_sessions_of_one_person_by_every_name_that_it_has_for_them() -> None:
    ram = OpenSession("ram@xn--i1b1b4ch5i.xn--h2brj9c", "phone-x4t9m2qa")
    names = ["ram@कंपनी.भारत", "Ram@xn--i1b1b4ch5i.xn--h2brj9c"]
    rows = [{"username": name, "pids": f"({n})"} for n, name in enumerate(names, 21)]
    wild = {"username": "*@xn--i1b1b4ch5i.xn--h2brj9c", "pids": "(23)"}
    server = Server(OF_2_3, [*rows, wild, RAVI], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([ram]) == {ram: Ended.ENDED}

    assert sorted(each["mask"] for each in server.kicked) == sorted([name] for name in names)


@pytest.mark.parametrize(
    ("who", "expected"),
    [([RAVI, ASHA, BESIDE], Ended.SHARED), ([RAVI], Ended.NOT_OPEN), ([], Ended.NOT_OPEN)],
)
def test_2_3_is_not_asked_to_end_what_is_shared_or_not_there(
    who: list[Any], expected: Ended
) -> None:
    server = Server(OF_2_3, who, ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: expected}

    assert server.kicked == []


@pytest.mark.parametrize("kick", [NOBODY, ["error", {"exitCode": 64}], ["nonsense"]])
def test_nobody_logged_in_is_done_with_and_any_other_error_is_not(kick: Any) -> None:
    with serving(Server(OF_2_4, [], kick)) as doveadm:
        found = doveadm.end([PHONE])[PHONE]

    assert found is (Ended.NOT_OPEN if kick == NOBODY else Ended.FAILED)


@pytest.mark.parametrize("commands", [[], {}, b"", b"<html>", [{"command": "who"}], [None], [[]]])
def test_a_server_of_another_kind_is_not_asked_to_end_anything(commands: Any) -> None:
    server = Server(commands, [ASHA], ENDED)
    with serving(server) as doveadm:
        assert doveadm.end([PHONE]) == {PHONE: Ended.FAILED}

    assert server.kicked == []


def test_a_server_is_asked_whether_it_answers_and_nobody_s_session_ends() -> None:
    server = Server(OF_2_4, [ASHA], ENDED)
    with serving(server) as good, serving(Server([], [], ENDED)) as other:
        both = Doveadm((*good.urls, *other.urls, "http://127.0.0.1:1", "http://nowhere:x"), "a-key")
        assert both.silent() == both.urls[1:]

    assert server.kicked == []
