"""What every `ports.NoticeLedger` promises; subclass it and give it a `house` fixture.

class TestMemoryLedger(NoticeLedgerContract):
    @pytest.fixture
    def house(self) -> LedgerHouse: ...
"""

from __future__ import annotations

import pytest

from countermand.testing.ledger_holdings_contract import HoldingPromises
from countermand.testing.ledger_house import LedgerHouse
from countermand.testing.ledger_sending_contract import SendingPromises
from countermand.testing.ledger_stop_contract import StopPromises


class NoticeLedgerContract(SendingPromises, StopPromises, HoldingPromises):
    """All promises, each to a ledger in which one order is being sent by one sender."""

    @pytest.fixture(autouse=True)
    def _begin(self, house: LedgerHouse) -> None:
        house.mailing()
        house.lease()
