"""Asks the Android Management API for devices, and Pub/Sub for messages about them.

The list is the slow repair, messages are the stream; a message is acknowledged only after what it
said is durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from countermand.wire.http import Http, NotThere, token_pages
from countermand.wire.json_documents import Record, refuse_error
from countermand.wire.tokens import Token

SCOPE: Final = "https://www.googleapis.com/auth/androidmanagement"
PUBSUB_SCOPE: Final = "https://www.googleapis.com/auth/pubsub"
PAGE: Final = 100  # the most that the interface gives
_ONE: Final = (
    "name,managementMode,ownership,state,lastStatusReportTime,"
    "lastPolicySyncTime,enrollmentTokenData,softwareInfo/androidVersion,"
    "hardwareInfo(model,serialNumber,enterpriseSpecificId),"
    "applicationReports(packageName,displayName,versionName,state)"
)
_FIELDS: Final = f"nextPageToken,devices({_ONE})"


@dataclass(frozen=True, slots=True)
class AndroidManagementServer:
    """One enterprise, and the subscription through which it tells."""

    http: Http
    token: Token
    enterprise: str  # enterprises/LC…
    base: str = "https://androidmanagement.googleapis.com"
    pubsub: str = "https://pubsub.googleapis.com"

    def documents(self) -> Iterator[Record]:
        """Yield all pages of devices, with no more fields than are read."""
        first = f"{self.base}/v1/{quote(self.enterprise)}/devices"

        def ask(which: dict[str, str]) -> Record:
            params: dict[str, Any] = {"pageSize": PAGE, "fields": _FIELDS}
            page = self._ask("GET", first, params=params | which)
            if page.value:
                refuse_error(page, list_key="devices")
            return page

        yield from token_pages(first, ask=ask)

    def again(self, names: Iterable[str]) -> Iterator[Record]:
        """Yield single devices by their names, to follow a hint; unknown ones are left out.

        They are given as lists of one, in the form in which all are.
        """
        own = f"{self.enterprise}/devices/"
        for name in names:
            number = name.removeprefix(own)
            if number == name or "/" in number:
                continue
            url = f"{self.base}/v1/{quote(own)}{quote(number, safe='')}"
            try:
                found = self._ask("GET", url, params={"fields": _ONE})
            except NotThere:
                continue
            yield Record(found.file, found.place, {"devices": [found.value]})

    def probe(self) -> None:
        """Ask for one device, to see that key and permissions are right."""
        url = f"{self.base}/v1/{quote(self.enterprise)}/devices"
        self._ask("GET", url, params={"pageSize": 1, "fields": "devices/name"})

    def pull(self, subscription: str, *, most: int = 100) -> Record:
        """Fetch messages that wait; an answer without any has an empty list."""
        url = f"{self.pubsub}/v1/{quote(subscription)}:pull"
        answer = self._ask("POST", url, json={"maxMessages": most})
        return Record(answer.file, answer.place, {"receivedMessages": [], **answer.value})

    def acknowledge(self, subscription: str, answer: Record) -> None:
        """Say that messages were taken in; call it only after that is durable."""
        received = answer.records("receivedMessages") or ()
        ids = [text for each in received if (text := each.text("ackId"))]
        if ids:
            self._acknowledge(subscription, ids)

    def _acknowledge(self, subscription: str, ids: Sequence[str]) -> None:
        url = f"{self.pubsub}/v1/{quote(subscription)}:acknowledge"
        self._ask("POST", url, json={"ackIds": list(ids)})

    def _ask(self, method: str, url: str, **body: Any) -> Record:
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self.http.json(method, url, headers=headers, **body)
