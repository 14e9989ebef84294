"""Asks Apple devices through NanoMDM about the ordered apps alone, and knows when to ask again.

The webhook loses what it cannot deliver, so an answer that does not come is asked for again. What
was asked is durable before it is sent.
"""

from __future__ import annotations

import base64
import logging
import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from countermand.connectors.nanomdm.questions import Question
from countermand.domain.app_id import Platform, WantedApp
from countermand.domain.errors import gettext_noop
from countermand.wire.http import AnswerNotUnderstood, Http
from countermand.wire.json_documents import Record

_LOG: Final = logging.getLogger("countermand.sources")
_USER: Final = "nanomdm"
_MOST_IDS: Final = 200  # in one address
_NOBODYS: Final = "countermand-asks-whether-its-key-is-right"
_PHONE_ITEMS: Final = ("Identifier", "Name", "ShortVersion", "Version", "Installing")
# An answer comes within minutes when the device is awake; later it is asked again, ever slower.
FIRST_AGAIN: Final = timedelta(minutes=30)
LAST_AGAIN: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Asking:
    """One command that is to be sent to devices, with what it asks."""

    command_uuid: str
    question: Question
    payload: bytes


@dataclass(frozen=True, slots=True)
class NanoMdmServer:
    """One NanoMDM server."""

    http: Http
    base: str
    key: str

    def enqueue(self, enrollment_ids: Sequence[str], payload: bytes) -> None:
        """Put a command into the queues of devices, and wake them. Raises when it is refused.

        Where no device can be woken, NanoMDM answers as if nothing had been enqueued (500): one
        phone that was wiped would stand for a server that is down. So it is asked for apart.
        """
        for start in range(0, len(enrollment_ids), _MOST_IDS):
            batch = ",".join(quote(each) for each in enrollment_ids[start : start + _MOST_IDS])
            answer = self.http.json(
                "PUT",
                f"{self.base}/v1/enqueue/{batch}",
                params={"nopush": "1"},
                content=payload,
                headers={"Authorization": self._basic(), "Content-Type": "application/xml"},
            )
            self._check(answer)
            self._wake(batch)

    def _wake(self, batch: str) -> None:
        """Push; who cannot be woken finds the command at the next connect, and is asked again."""
        headers = {"Authorization": self._basic()}
        try:
            self.http.json("GET", f"{self.base}/v1/push/{batch}", headers=headers)
        except AnswerNotUnderstood as error:
            if batch == _NOBODYS:
                return
            _LOG.warning("source.not_woken host=%s why=%s", error.host, error.why)

    def probe(self) -> None:
        """Ask to wake a device that nobody has, to see that address and key are right.

        Anybody is told the version; here a wrong key is refused before the device is looked for.
        """
        self.http.json("GET", f"{self.base}/version")
        self._wake(_NOBODYS)

    def _check(self, answer: Record) -> None:
        """A whole refusal is an error; single devices that are refused are asked again."""
        if answer.has("command_error") or answer.has("error"):
            raise AnswerNotUnderstood(
                host=self.base.split("/")[2], why=gettext_noop("not enqueued")
            )

    def _basic(self) -> str:
        return f"Basic {base64.b64encode(f'{_USER}:{self.key}'.encode()).decode()}"


def ask_for(apps: Sequence[WantedApp], platform: Platform, *, command_uuid: str) -> Asking:
    """Return the question for the ordered apps; a Mac knows no choice of items."""
    identifiers = frozenset(each for app in apps for each in app.asked_for(platform))
    command: dict[str, object] = {
        "RequestType": "InstalledApplicationList",
        "Identifiers": sorted(identifiers),
    }
    if platform is not Platform.MACOS:
        command["Items"] = list(_PHONE_ITEMS)
    return Asking(command_uuid, Question(identifiers), _payload(command_uuid, command))


def ask_for_mail_name(*, command_uuid: str) -> bytes:
    """Return the command that asks a device under which name it reads mail.

    And what it is: its enrolment said so once, in a post that may have been lost.
    """
    command: dict[str, object] = {
        "RequestType": "DeviceInformation",
        "Queries": ["EASDeviceIdentifier", "DeviceName", "ProductName"],
    }
    return _payload(command_uuid, command)


def ask_again_at(asked_at: datetime, times: int) -> datetime:
    """Return when a question without an answer is put again: after ever longer pauses."""
    doublings: int = 1 << min(max(times - 1, 0), 10)
    return asked_at + min(FIRST_AGAIN * doublings, LAST_AGAIN)


def _payload(command_uuid: str, command: dict[str, object]) -> bytes:
    return plistlib.dumps({"CommandUUID": command_uuid, "Command": command})
