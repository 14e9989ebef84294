"""Asks Jamf Pro for its devices, page by page, LENIENT, so that one bad device spoils no page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from countermand.domain.errors import gettext_noop
from countermand.wire.http import MOST_PAGES, AnswerNotUnderstood, Http
from countermand.wire.json_documents import Record
from countermand.wire.tokens import Token

PAGE: Final = 200
_MOBILE: Final = "/api/v2/mobile-devices/detail"
_COMPUTERS: Final = "/api/v3/computers-inventory"
_MOBILE_SECTIONS: Final = ("GENERAL", "USER_AND_LOCATION", "HARDWARE", "APPLICATIONS")
_COMPUTER_SECTIONS: Final = (*_MOBILE_SECTIONS, "OPERATING_SYSTEM")


@dataclass(frozen=True, slots=True)
class JamfServer:
    """One Jamf Pro server."""

    http: Http
    base: str
    token: Token

    def documents(self) -> Iterator[Record]:
        """Yield all pages of mobile devices and of computers."""
        yield from self._pages(_MOBILE, _MOBILE_SECTIONS, {"processing": "LENIENT"})
        yield from self._pages(_COMPUTERS, _COMPUTER_SECTIONS, {})

    def again(self, device_ids: Iterable[str]) -> Iterator[Record]:
        """Yield single devices, by ids such as `mobile:11`, to follow a hint."""
        for device in device_ids:
            kind, _, number = device.partition(":")
            if not number.isdigit():
                continue
            path, key = (_MOBILE, "mobileDeviceId") if kind == "mobile" else (_COMPUTERS, "id")
            sections = _MOBILE_SECTIONS if kind == "mobile" else _COMPUTER_SECTIONS
            lenient = {"processing": "LENIENT"} if kind == "mobile" else {}
            more: dict[str, Any] = {**lenient, "filter": f"{key}=={number}"}
            yield self._ask(path, sections, 0, more)

    def probe(self) -> None:
        """Ask for one device of each kind, to see that address, key and permissions are right."""
        for path in (_MOBILE, _COMPUTERS):
            self._ask(path, ("GENERAL",), 0, {"page-size": 1})

    def _pages(
        self, path: str, sections: tuple[str, ...], more: dict[str, Any]
    ) -> Iterator[Record]:
        read, before = 0, ""
        for number in range(MOST_PAGES):
            page = self._ask(path, sections, number, more)
            yield page
            results, total = page.value.get("results"), page.value.get("totalCount")
            if not isinstance(results, list) or not results:
                return
            first = str(results[0])
            if first == before:  # a server that answers the same page for ever
                raise AnswerNotUnderstood(host=self._host, why=gettext_noop("pages in a circle"))
            read, before = read + len(results), first
            if not isinstance(total, int) or read >= total:
                return

    def _ask(
        self, path: str, sections: tuple[str, ...], number: int, more: dict[str, Any]
    ) -> Record:
        params = {"section": list(sections), "page": number, "page-size": PAGE, "sort": "id:asc"}
        if path == _MOBILE:
            params["sort"] = "mobileDeviceId:asc"
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self.http.json("GET", self.base + path, headers=headers, params=params | more)

    @property
    def _host(self) -> str:
        return self.base.split("/")[2]
