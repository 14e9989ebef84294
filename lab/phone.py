"""A phone that reads mail over ActiveSync 14.1, as real ones do: plain or packed queries, WBXML.

FolderSync -> which folder is the inbox;  Sync -> mail;  Ping or a hanging Sync -> waits for it
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from lab.wbxml import Element, element, from_bytes, to_bytes

OK: Final = 200
_INBOX_TYPE: Final = "2"
_COMMANDS: Final = {"Sync": 0, "FolderSync": 9, "Ping": 18}
_VERSION: Final = 141
_LOCALE: Final = (0x09, 0x04)  # en-US, low byte first
_TYPE: Final = "SmartPhone"


@dataclass(frozen=True, slots=True)
class Said:
    """What a server answered: the status, its plain words if it was refused, and the document."""

    status: int
    words: str
    document: Element

    @property
    def subjects(self) -> list[str]:
        """The subjects of the mails that came."""
        return [each.first("Email.Subject") for each in self.document.all("Add")]

    @property
    def bodies(self) -> list[str]:
        """The texts of the mails that came."""
        return [each.first("Base.Data") for each in self.document.all("Add")]


@dataclass
class Phone:
    """One phone of one person; `packed` says that it asks in the base64 form."""

    address: str
    login: str
    password: str
    device: str | bytes
    packed: bool = False
    patience_s: float = 60.0
    _folder_key: str = "0"
    _sync_key: str = "0"
    _inbox: str = ""
    seen: list[Said] = field(default_factory=list)

    def folder_sync(self) -> Said:
        """Ask which folders there are."""
        said = self.ask(
            "FolderSync", element("FolderSync", element("Folder.SyncKey", self._folder_key))
        )
        if said.status == OK:
            self._folder_key = said.document.first("Folder.SyncKey") or self._folder_key
            for each in said.document.all("Folder.Add"):
                if each.first("Folder.Type") == _INBOX_TYPE:
                    self._inbox = each.first("Folder.ServerId")
        return said

    def sync(self, *, hang_s: int = 0) -> Said:
        """Fetch what is new in the inbox; with `hang_s` wait for it on the server."""
        if not self._inbox:
            said = self.folder_sync()
            if said.status != OK:
                return said
        if self._sync_key == "0":
            said = self._sync(())
            if said.status != OK:
                return said
        return self._sync(self._wishes(), hang_s=hang_s)

    def _wishes(self) -> Iterable[Element]:
        body = element("Base.Type", "1"), element("Base.TruncationSize", "20000")
        options = element("FilterType", "0"), element("Base.BodyPreference", *body)
        return (
            element("GetChanges", "1"),
            element("WindowSize", "50"),
            element("Options", *options),
        )

    def _sync(self, wishes: Iterable[Element], *, hang_s: int = 0) -> Said:
        key = element("SyncKey", self._sync_key)
        collection = element("Collection", key, element("CollectionId", self._inbox), *wishes)
        parts = [element("Collections", collection)]
        if hang_s:
            parts.append(element("HeartbeatInterval", str(hang_s)))
        said = self.ask("Sync", element("Sync", *parts))
        if said.status == OK:
            self._sync_key = said.document.first("SyncKey") or self._sync_key
        return said

    def ping(self, wait_s: int) -> Said:
        """Wait on the server until something is new in the inbox."""
        folder = element(
            "Ping.Folder", element("Ping.Id", self._inbox), element("Ping.Class", "Email")
        )
        wait = element("Ping.HeartbeatInterval", str(wait_s))
        return self.ask("Ping", element("Ping", wait, element("Ping.Folders", folder)))

    def ask(self, command: str, document: Element) -> Said:
        """Put one question and keep the answer."""
        at = urlsplit(self.address)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=self.patience_s)
        basic = base64.b64encode(f"{self.login}:{self.password}".encode()).decode()
        try:
            connection.request(
                "POST",
                f"/Microsoft-Server-ActiveSync?{self.query(command)}",
                body=to_bytes(document),
                headers={
                    "Authorization": f"Basic {basic}",
                    "Content-Type": "application/vnd.ms-sync.wbxml",
                    "MS-ASProtocolVersion": "14.1",
                    "User-Agent": "Countermand-lab/1",
                    "X-MS-PolicyKey": "0",
                },
            )
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        said = _said(answer.status, answer.getheader("Content-Type") or "", content)
        self.seen.append(said)
        return said

    def query(self, command: str) -> str:
        """Return the query in the form of this phone."""
        if self.packed:
            return self._packed_query(command)
        device = self.device if isinstance(self.device, str) else self.device.hex()
        named = {"Cmd": command, "User": self.login, "DeviceId": device, "DeviceType": _TYPE}
        return urlencode(named)

    def _packed_query(self, command: str) -> str:
        device = self.device.encode() if isinstance(self.device, str) else self.device
        raw = bytes((_VERSION, _COMMANDS[command], *_LOCALE, len(device))) + device
        raw += bytes((0, len(_TYPE))) + _TYPE.encode()
        return base64.b64encode(raw).decode()


def _said(status: int, kind: str, content: bytes) -> Said:
    if "wbxml" in kind and content:
        return Said(status, "", from_bytes(content))
    return Said(status, content.decode("utf-8", "replace"), Element(""))
