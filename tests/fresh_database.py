"""What the fixture `database` (tests/apps/conftest.py) gives to a test."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """One database of one test: the addresses of the program, of a sender and of a gate."""

    url: str
    sender_url: str
    gate_url: str
