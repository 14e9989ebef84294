"""Phones and mail programs of the demo: they put real questions to the real gate.

Every question has the shape that nginx or Dovecot gives it: ActiveSync with a plain query, with a
base64 query (MS-ASHTTP 2.2.1.1.1.1), or Dovecot's policy question in JSON.
"""

from __future__ import annotations

import base64
import csv
import http.client
import json
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

REFUSED: Final = 403
_SYNC: Final = 0
_GATE_BACK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Phone:
    """One device as the inventory file says: whose it is, and whether the app is listed on it."""

    source_id: str
    owner: str
    active_sync_id: str
    platform: str
    inventory_at: datetime
    carries: bool


def read_phones(folder: Path, app_name: str) -> list[Phone]:
    """Read `devices.csv` and `apps.csv`; a phone carries the app that is called `app_name`."""
    with (folder / "apps.csv").open(encoding="utf-8-sig", newline="") as rows:
        carrying = {row["device_id"] for row in csv.DictReader(rows) if row["app_name"] == app_name}
    with (folder / "devices.csv").open(encoding="utf-8-sig", newline="") as rows:
        return [
            Phone(
                source_id=row["device_id"],
                owner=row["owner_email"].lower(),
                active_sync_id=row["eas_device_id"],
                platform=row["platform"],
                inventory_at=datetime.fromisoformat(row["inventory_at"]),
                carries=row["device_id"] in carrying,
            )
            for row in csv.DictReader(rows)
        ]


def away_on(folder: Path, day: date) -> set[str]:
    """Return who is away on a day, by `people.csv`; they have later deadlines of their own."""
    with (folder / "people.csv").open(encoding="utf-8-sig", newline="") as rows:
        return {
            row["email"].lower()
            for row in csv.DictReader(rows)
            if row["absent_until"] and date.fromisoformat(row["absent_until"]) >= day
        }


def leave_out(file: Path, column: str, values: AbstractSet[str]) -> None:
    """Write a CSV file again without the rows whose `column` is one of `values`."""
    with file.open(encoding="utf-8-sig", newline="") as rows:
        reader = csv.DictReader(rows)
        names = list(reader.fieldnames or ())
        kept = [row for row in reader if row[column].lower() not in values]
    with file.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.DictWriter(rows, names)
        writer.writeheader()
        writer.writerows(kept)


class Doors:
    """One kept connection to the gate, as a mail server keeps it."""

    def __init__(self, url: str, token: str) -> None:
        """Ask the gate at `url`, showing `token`."""
        self._url = url
        self._token = token
        self._link: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let the connection go."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def is_paused(self, phone: Phone, *, base64_query: bool = False) -> bool:
        """Ask as nginx asks before ActiveSync; True when the phone is told 403."""
        if base64_query:
            raw = bytes([141, _SYNC, 9, 4, len(phone.active_sync_id)])
            raw += phone.active_sync_id.encode() + bytes([0, 5]) + b"Phone"
            query = base64.b64encode(raw).decode()
        else:
            query = f"Cmd=Sync&User={quote(phone.owner)}&DeviceId={phone.active_sync_id}"
            query += "&DeviceType=Phone"
        headers = {
            "X-Original-URI": f"/Microsoft-Server-ActiveSync?{query}",
            "X-Remote-User": phone.owner,
        }
        status, _ = self._ask("GET", "/auth", headers, None)
        return status == REFUSED

    def imap_answer(self, phone: Phone) -> tuple[bool, str]:
        """Ask as Dovecot asks after the password; return whether it is refused, and the words."""
        question = {
            "login": phone.owner,
            "device": phone.active_sync_id,
            "protocol": "imap",
            "client": "",
            "session": "demo",
        }
        headers = {"Content-Type": "application/json"}
        _, body = self._ask("POST", "/policy?command=allow", headers, json.dumps(question).encode())
        answer = json.loads(body)
        return int(answer["status"]) < 0, str(answer.get("msg", ""))

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        # While the gate is down a mail server lets everybody in; the demo waits and asks again.
        limit = time.monotonic() + _GATE_BACK_S
        while True:
            try:
                link = self._link or self._connect()
                link.request(
                    method,
                    path,
                    body=body,
                    headers={**headers, "Authorization": f"Bearer {self._token}"},
                )
                response = link.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException):
                self.close()
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        assert parts.hostname is not None  # noqa: S101 - our own address
        self._link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        return self._link
