"""What Apple devices were asked, by device and command: their answers do not repeat the question.

Nor do they say what kind of device they come from, which only its enrolment tells. One command can
go to many devices under one id, so both together are the key. What nobody here asked proves
presence at most: its filter is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from countermand.domain.app_id import Platform
from countermand.wire.json_documents import Record


@dataclass(frozen=True, slots=True)
class Question:
    """A list of apps that was asked for; `identifiers` is None when all were."""

    identifiers: frozenset[str] | None
    managed_only: bool = False


class Questions(Protocol):
    """Remembers what was asked."""

    def asked(self, enrollment_id: str, command_uuid: str) -> Question | None:
        """Return the question, None when it is not one of ours."""
        ...

    def platform(self, enrollment_id: str) -> Platform | None:
        """Return what a device is known to run, None when nothing is known."""
        ...


class ListedQuestions:
    """Questions that stand in a file of commands, or in memory."""

    def __init__(self, questions: Mapping[tuple[str, str], Question] | None = None) -> None:
        self._questions = dict(questions or {})

    def asked(self, enrollment_id: str, command_uuid: str) -> Question | None:
        """Return the question, None when it is not one of ours."""
        return self._questions.get((enrollment_id, command_uuid))

    def platform(self, enrollment_id: str) -> Platform | None:  # noqa: ARG002  (a file does not say)
        """Return None: the events beside a file of commands say it themselves."""
        return None

    def add(self, document: Record) -> None:
        """Take up a file of commands, as it was written when they were sent. Raises Faulty."""
        for key in document.value:
            if not key.startswith("_") and document.has(key, "command_uuid"):
                self._add_one(document, key)

    def _add_one(self, document: Record, key: str) -> None:
        if document.text(key, "command", "RequestType") != "InstalledApplicationList":
            return
        device = document.text(key, "enrollment_id", longest=200)
        command = document.text(key, "command_uuid", longest=200)
        named = document.has(key, "command", "Identifiers")
        self._questions[device, command] = Question(
            frozenset(document.texts(key, "command", "Identifiers")) if named else None,
            managed_only=document.is_true(key, "command", "ManagedAppsOnly"),
        )


def is_list_of_commands(document: Record) -> bool:
    """Whether a file lists commands that were sent."""
    values = [each for each in document.value.values() if isinstance(each, dict)]
    return bool(values) and all("command" in each and "command_uuid" in each for each in values)
