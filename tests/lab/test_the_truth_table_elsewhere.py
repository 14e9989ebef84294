"""The table of `tests/servers` again, through the proxies that come from PyPI and Dovecot 2.4."""

from collections.abc import Iterator

import pytest

from lab import mailbox
from lab.dovecot24 import dovecot24_that_asks
from lab.gates import RealGate, real_gate
from lab.people import ASHA
from lab.proxies import PROXIES, groupware
from tests.truth_cells import CELLS, PERSON, REFUSED, active_sync, by_login, webmail


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    with real_gate(each.entry() for each in CELLS) as running:
        yield running


@pytest.mark.parametrize("proxy", sorted(PROXIES))
def test_exactly_one_family_of_cases_is_refused_behind_a_proxy(gate: RealGate, proxy: str) -> None:
    with groupware() as behind, PROXIES[proxy](gate.port, behind.port) as server:
        for packed in (False, True):
            refused = [cell for cell in CELLS if active_sync(server, cell.device, packed=packed)]

            assert refused == [REFUSED]
        assert {webmail(server, cell.device) for cell in CELLS} == {"mail"}


def test_exactly_one_family_of_cases_is_refused_under_dovecot_24(gate: RealGate) -> None:
    with dovecot24_that_asks(gate.port, people=[PERSON]) as dovecot:
        for logs_in, port in ((mailbox.login, dovecot.port), (mailbox.pop3_login, dovecot.pop3)):
            refused = [
                cell
                for cell in CELLS
                if by_login(logs_in(port, ASHA.login, PERSON.devices[cell.device]))
            ]

            assert refused == [REFUSED]
