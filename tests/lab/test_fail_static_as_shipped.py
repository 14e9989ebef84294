"""The shipped fail-static file itself: a refusal outlives a dead gate by a minute at most."""

import time
from contextlib import ExitStack
from typing import Final

import pytest

from lab.gates import Entry, all_that_shuts, odd_gate, real_gate
from lab.ground import Server, until
from lab.nginx import FAIL_STATIC, address, nginx_that_asks
from lab.people import ASHA, LAPTOP, PHONE
from lab.phone import Phone

BOUND_S: Final = 60.0

pytestmark = pytest.mark.timeout(300)


def asks(server: Server, device: str = PHONE) -> int:
    return Phone(address(server), ASHA.login, ASHA.password, device).folder_sync().status


def test_sixty_seconds_after_the_gate_died_nobody_is_refused() -> None:
    with ExitStack() as stack:
        gate = stack.enter_context(real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]))
        nginx = stack.enter_context(nginx_that_asks(gate.port, gate_file=FAIL_STATIC))
        assert asks(nginx) == 403
        refused_at = time.monotonic()  # or a little earlier
        gate.kill()

        assert asks(nginx) == 403 or time.monotonic() > refused_at + BOUND_S
        assert asks(nginx, LAPTOP) == 200
        until(
            "the end of the minute, with a phone that asks all the while",
            lambda: asks(nginx) == 200 or time.monotonic() > refused_at + BOUND_S,
            limit_s=120,
        )

        assert asks(nginx) == 200
        assert asks(nginx, LAPTOP) == 200


def test_sixty_seconds_of_trouble_are_the_longest_that_a_refusal_lasts() -> None:
    with odd_gate() as odd, nginx_that_asks(odd.port, gate_file=FAIL_STATIC) as nginx:
        odd.be(403)
        assert asks(nginx) == 403
        refused_at = time.monotonic()
        odd.be(500)

        until(
            "the end of the minute, with a phone that asks all the while",
            lambda: asks(nginx) == 200 or time.monotonic() > refused_at + BOUND_S,
            limit_s=120,
        )

        assert asks(nginx) == 200
