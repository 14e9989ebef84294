"""What tests of verbs have in common: the program that answers their command lines."""

from collections.abc import Iterator

import pytest

from tests import verb_server as server
from tests.verb_server import VerbServer


@pytest.fixture(scope="session")
def verb_server() -> Iterator[VerbServer]:
    with server.running() as running:
        yield running
