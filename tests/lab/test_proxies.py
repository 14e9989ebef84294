"""Traefik, Envoy and Caddy before the gate: its words reach the phone, its troubles never do."""

import base64
import http.client
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from countermand.gate.counts import Counts
from countermand.gate.down_logs import DownLogs
from lab.gates import Entry, OddGate, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, TOKEN, Server, held_port, until
from lab.nginx import address
from lab.people import ASHA, LAPTOP, PHONE, RAVI, Person
from lab.phone import Phone, Said
from lab.proxies import DOWN_LOG, PROXIES, Groupware, groupware

PASSWORD = "a password that nobody may see"
BASIC = "Basic " + base64.b64encode(f"{ASHA.login}:{PASSWORD}".encode()).decode()


@dataclass
class Site:
    proxy: Server
    groupware: Groupware

    def phone(self, device: str = PHONE, *, packed: bool = False) -> Phone:
        return Phone(address(self.proxy), ASHA.login, PASSWORD, device, packed=packed)

    def raw(self, method: str, path: str, body: bytes = b"", **more: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HERE, self.proxy.port, timeout=60)
        headers = {"Authorization": BASIC, "Cookie": "session=secret"}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(params=sorted(PROXIES), scope="module")
def proxy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def odd() -> Iterator[OddGate]:
    with odd_gate() as gate:
        yield gate


@pytest.fixture(scope="module")
def before_odd(proxy: str, odd: OddGate) -> Iterator[Site]:
    with groupware() as behind, PROXIES[proxy](odd.port, behind.port) as server:
        yield Site(server, behind)


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    if "before_odd" in request.fixturenames:
        request.getfixturevalue("odd").be(204)
        site = request.getfixturevalue("before_odd")
        site.groupware.status = 200
        site.groupware.got.clear()


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as running:
        yield running


def refused(said: Said) -> bool:
    assert said.status in {200, 403}
    return said.status == 403


def test_the_story_behind_a_proxy(proxy: str) -> None:
    with ExitStack() as stack:
        gate = stack.enter_context(real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]))
        behind = stack.enter_context(groupware())
        site = Site(stack.enter_context(PROXIES[proxy](gate.port, behind.port)), behind)

        for packed in (False, True):
            said = site.phone(packed=packed).folder_sync()
            assert refused(said)
            assert "Mail is paused on this device." in said.words  # the gate's own words
            assert "इस डिवाइस पर मेल रुकी है।" in said.words
        assert not refused(site.phone(LAPTOP).folder_sync())
        colleague = Phone(address(site.proxy), RAVI.login, RAVI.password, PHONE)
        assert not refused(colleague.folder_sync())
        query = site.phone().query("Sync")
        assert site.raw("OPTIONS", f"/Microsoft-Server-ActiveSync?{query}")[0] == 200
        assert site.raw("GET", "/webmail/")[0] == 200

        gate.take_back()

        until("mail", lambda: not refused(site.phone().folder_sync()))
        gate.kill()
        assert not refused(site.phone().folder_sync())


@pytest.mark.parametrize("order", [(RAVI, ASHA), (ASHA, RAVI)])
def test_a_second_name_opens_no_door(gate: RealGate, proxy: str, order: tuple[Person, ...]) -> None:
    path = f"/Microsoft-Server-ActiveSync?Cmd=FolderSync&DeviceId={PHONE}"
    with groupware() as behind, PROXIES[proxy](gate.port, behind.port) as server:
        connection = http.client.HTTPConnection(HERE, server.port, timeout=60)
        connection.putrequest("POST", path)
        for person in order:
            word = base64.b64encode(f"{person.login}:{PASSWORD}".encode()).decode()
            connection.putheader("Authorization", f"Basic {word}")
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        got = connection.getresponse().status
        connection.close()
        # One that hands on a single name has asked about that one.
        assert got == 403 or behind.got[0].count("Basic ") == 1


def test_a_dead_gate_lets_everybody_in(proxy: str) -> None:
    with (
        held_port() as nobody,
        groupware() as behind,
        PROXIES[proxy](nobody, behind.port) as server,
    ):
        site = Site(server, behind)
        assert site.raw("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync", b"a letter") == (
            200,
            b"mail",
        )
        assert "b'a letter'" in behind.got[0]
        assert len(behind.got) == 1


def test_whom_nobody_answers_is_let_in_and_counted_by_the_gate_that_is_back(proxy: str) -> None:
    with (
        held_port() as nobody,
        groupware() as behind,
        PROXIES[proxy](nobody, behind.port) as server,
    ):
        for _ in range(3):
            assert not refused(Site(server, behind).phone().folder_sync())
        # The lab itself asks Traefik once, to know when it has begun.
        asked = 3 + (proxy == "traefik")
        log = server.folder / DOWN_LOG
        until("the lines", lambda: log.exists() and log.read_bytes().count(b"\n") >= asked)
        counts = Counts()

        DownLogs([log], counts).look()

        assert counts.get("gate_down_answers", log=DOWN_LOG) == asked
        assert ASHA.login not in log.read_text(encoding="utf-8")  # it names nobody
        assert PHONE not in log.read_text(encoding="utf-8")
        assert HERE not in log.read_text(encoding="utf-8")


def test_an_odd_answer_is_counted_too_and_a_plain_one_is_not(odd: OddGate, proxy: str) -> None:
    odd.be(204)
    with groupware() as behind, PROXIES[proxy](odd.port, behind.port) as server:
        for status in (200, 204, 403, 302, 404, 500):
            odd.be(status, b"" if status == 204 else b"what a gate says")
            Site(server, behind).phone().folder_sync()
        counts = Counts()
        down = DownLogs([server.folder / DOWN_LOG], counts)

        def counted() -> int:
            down.look()
            return counts.get("gate_down_answers")

        until("what is odd", lambda: counted() >= 3)
        assert counted() == 3


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 418, 429, 449, 500, 502, 503])
def test_every_odd_answer_lets_people_in(odd: OddGate, before_odd: Site, status: int) -> None:
    odd.be(status, b"" if status == 204 else b"what a gate says in trouble")

    said = before_odd.raw("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync", b"a letter")

    assert said == (200, b"mail")
    assert "b'a letter'" in before_odd.groupware.got[0]  # whole, and once
    assert len(before_odd.groupware.got) == 1


@pytest.mark.parametrize("order", ["", "blocked by policy"])
def test_a_no_of_something_else_in_the_gate_s_place_lets_people_in(
    odd: OddGate, before_odd: Site, proxy: str, order: str
) -> None:
    """But for Traefik, which has no way to look at a header of the answer."""
    odd.be(403, b"You may not see this page.", X_Countermand_Order=order)

    status, _ = before_odd.raw("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync", b"a letter")

    assert status == (403 if proxy == "traefik" else 200)


def test_a_slow_gate_lets_people_in(odd: OddGate, proxy: str) -> None:
    odd.be(403, b"too late", wait_s=4.0)
    with groupware() as behind, PROXIES[proxy](odd.port, behind.port, patient=False) as server:
        said = Site(server, behind).raw("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync")

    assert said == (200, b"mail")


def test_the_question_says_who_asks_for_what_and_nothing_more(
    odd: OddGate, before_odd: Site
) -> None:
    path = "/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId=ABC"

    before_odd.raw("POST", path, b"a letter")

    [asked] = odd.asked
    assert path in asked
    assert TOKEN in asked
    assert BASIC in asked  # the gate takes the name, and drops the rest
    assert "session=secret" not in asked
    assert "a letter" not in asked
    assert TOKEN not in before_odd.groupware.got[0]


def test_a_phone_cannot_say_that_it_asked_for_something_else(
    odd: OddGate, before_odd: Site
) -> None:
    path = "/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId=ABC"

    before_odd.raw(
        "POST",
        path,
        X_Forwarded_Uri="/webmail/",
        X_Original_URI="/webmail/",
        X_Forwarded_Method="OPTIONS",
        X_Original_Method="OPTIONS",
    )

    assert path in odd.asked[0]
    assert "/webmail/" not in odd.asked[0]
    assert "OPTIONS" not in odd.asked[0]


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_the_groupwares_own_troubles_stay_its_own(before_odd: Site, status: int) -> None:
    before_odd.groupware.status = status

    assert before_odd.raw("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync")[0] == status
    assert len(before_odd.groupware.got) == 1


def test_a_groupware_that_hangs_up_is_not_asked_twice(before_odd: Site) -> None:
    before_odd.groupware.status = 0

    said = before_odd.raw("POST", "/Microsoft-Server-ActiveSync?Cmd=SendMail", b"a letter")

    assert said[0] in {502, 503}
    assert len(before_odd.groupware.got) == 1  # or the letter would leave twice
