"""What the fixture `database` (tests/apps/conftest.py) gives to a test."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """One database of one test: the address of the program, and that of a sender."""

    url: str
    sender_url: str
