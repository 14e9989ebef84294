import pytest

from countermand.testing.ledger_contract import NoticeLedgerContract
from tests.ledger_houses import MemoryHouse, PostgresHouse


class TestMemoryLedger(NoticeLedgerContract):
    @pytest.fixture
    def house(self, memory_house: MemoryHouse) -> MemoryHouse:
        return memory_house


class TestPostgresLedger(NoticeLedgerContract):
    @pytest.fixture
    def house(self, postgres_house: PostgresHouse) -> PostgresHouse:
        return postgres_house
