from collections.abc import Iterator

import pytest

from tests.fresh_database import FreshDatabase
from tests.ledger_houses import MemoryHouse, PostgresHouse


@pytest.fixture
def memory_house() -> MemoryHouse:
    return MemoryHouse()


@pytest.fixture
def postgres_house(database: FreshDatabase) -> Iterator[PostgresHouse]:
    house = PostgresHouse(database.url)
    yield house
    house.close()
