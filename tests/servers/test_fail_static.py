"""The variant for nginx that keeps a door refused for a minute when the gate dies."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.gates import Entry, OddGate, all_that_shuts, odd_gate, real_gate
from lab.ground import DEPLOY, Server, until
from lab.nginx import FAIL_STATIC, address, nginx_that_asks
from lab.people import ASHA, LAPTOP, PHONE, RAVI, Person
from lab.phone import Phone


@pytest.fixture
def odd() -> Iterator[OddGate]:
    with odd_gate() as gate:
        yield gate


@pytest.fixture
def nginx(odd: OddGate) -> Iterator[Server]:
    with nginx_that_asks(odd.port, gate_file=FAIL_STATIC) as server:
        yield server


def asks(server: Server, device: str = PHONE, person: Person = ASHA) -> int:
    return Phone(address(server), person.login, person.password, device).folder_sync().status


@pytest.mark.parametrize("trouble", [500, 503, 404])
def test_a_refused_phone_stays_refused_while_the_gate_is_in_trouble(
    odd: OddGate, nginx: Server, trouble: int
) -> None:
    odd.be(403)
    assert asks(nginx) == 403

    odd.be(trouble)

    assert asks(nginx) == 403
    assert asks(nginx, LAPTOP) == 200  # another device of hers
    assert asks(nginx, PHONE, RAVI) == 200  # the same device of somebody else


def test_with_a_dead_gate_whoever_was_not_refused_reads_mail() -> None:
    with ExitStack() as stack:
        gate = stack.enter_context(real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]))
        nginx = stack.enter_context(nginx_that_asks(gate.port, gate_file=FAIL_STATIC))
        assert asks(nginx) == 403
        assert asks(nginx, LAPTOP) == 200

        gate.kill()

        assert asks(nginx) == 403
        assert asks(nginx, LAPTOP) == 200
        assert asks(nginx, PHONE, RAVI) == 200


def test_no_remembered_refusal_is_used_while_the_gate_answers(odd: OddGate, nginx: Server) -> None:
    for status in (403, 204, 403, 204):
        odd.be(status)

        assert asks(nginx) == (403 if status == 403 else 200)
        assert len(odd.asked) == 1  # asked anew, each time

    odd.be(500)  # its last word was yes
    assert asks(nginx) == 200


def test_a_remembered_refusal_ends_by_itself(odd: OddGate) -> None:
    # As shipped after 59 s; here the same lines with two.
    shipped = (DEPLOY / "nginx" / FAIL_STATIC).read_text(encoding="utf-8")
    assert "proxy_cache_valid 204 403 59s;" in shipped
    short = {"204 403 59s": "204 403 2s"}
    with nginx_that_asks(odd.port, gate_file=FAIL_STATIC, gate_changes=short) as nginx:
        odd.be(403)
        assert asks(nginx) == 403
        odd.be(500)

        until("the end of the refusal", lambda: asks(nginx) == 200, limit_s=60)


def test_its_folder_stands_where_nginx_keeps_its_own() -> None:
    # nginx makes the last folder of a path alone: as shipped it has to start as it is.
    built = subprocess.run(["nginx", "-V"], check=True, capture_output=True, encoding="utf-8")
    own = re.search(r"--http-proxy-temp-path=(\S+)/proxy", built.stderr)
    shipped = (DEPLOY / "nginx" / FAIL_STATIC).read_text(encoding="utf-8")
    kept = re.search(r"^proxy_cache_path (\S+)/countermand ", shipped, re.MULTILINE)

    assert own
    assert kept
    assert kept[1] == own[1]


def test_a_slow_gate_opens_nothing_that_was_refused_and_shuts_nothing(odd: OddGate) -> None:
    short = {"proxy_read_timeout 20s": "proxy_read_timeout 3s"}
    with nginx_that_asks(odd.port, gate_file=FAIL_STATIC, gate_changes=short) as nginx:
        odd.be(403)
        assert asks(nginx) == 403

        odd.be(204, wait_s=6.0)

        assert asks(nginx) == 403
        assert asks(nginx, LAPTOP) == 200
