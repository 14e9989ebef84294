"""Asks Fleet where the ordered apps are, and for its hosts without their software.

Titles are read by name and identifier, hosts by title: which other apps a person has is never
asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from countermand.connectors.fleet.source import ASKED
from countermand.domain.app_id import Matcher, Platform, WantedApp
from countermand.domain.errors import gettext_noop
from countermand.wire.http import MOST_PAGES, AnswerNotUnderstood, Http, NotThere
from countermand.wire.json_documents import Record, refuse_error

PAGE: Final = 100
_ID_KEYS: Final = ("bundle_identifier", "application_id")
_KEPT: Final = ("name", "version", *_ID_KEYS)


@dataclass(frozen=True, slots=True)
class FleetServer:
    """One Fleet server."""

    http: Http
    base: str
    token: str

    def documents(self, apps: Sequence[WantedApp]) -> Iterator[Record]:
        """Yield all hosts, each with the ordered apps that it has and with what was asked."""
        software, asked = self._software(apps), _asked_for(apps)
        for page in self._pages("/hosts", {"device_mapping": "true"}, "hosts"):
            yield _with_software(page, software, asked)

    def refresh(self, host_ids: Iterable[str]) -> None:
        """Ask hosts to look anew; what they find can be read a few minutes later."""
        for number in host_ids:
            if number.isdigit():
                with contextlib.suppress(NotThere):
                    self._ask("POST", f"/hosts/{number}/refetch", {})

    def again(self, host_ids: Iterable[str], apps: Sequence[WantedApp]) -> Iterator[Record]:
        """Yield single hosts with the ordered apps that they have, to follow a hint."""
        titles = list(self._titles(Matcher(tuple(apps))))
        for number in host_ids:
            if not number.isdigit():
                continue
            try:
                answer = self._ask("GET", f"/hosts/{number}", {"exclude_software": "true"})
            except NotThere:
                continue
            host = answer.value.get("host")
            if not isinstance(host, dict):
                raise AnswerNotUnderstood(host=self.base.split("/")[2], why=gettext_noop("no host"))
            page = Record(answer.file, answer.place, {"hosts": [host]})
            rows = [_kept(each) for each in titles if self._has(host, each)]
            yield _with_software(page, {host.get("id", -1): rows}, _asked_for(apps))

    def _has(self, host: Mapping[str, Any], title: Record) -> bool:
        """Whether a title is on one host; hosts are searched by what names this one."""
        word = host.get("uuid") or host.get("hardware_serial") or host.get("hostname") or ""
        params = {"software_title_id": title.text("id", longest=20), "query": str(word)}
        return any(
            row.value.get("id") == host.get("id")
            for page in self._pages("/hosts", params, "hosts")
            for row in page.records("hosts") or ()
        )

    def probe(self) -> None:
        """Ask for one host, to see that address and token are right."""
        self._ask("GET", "/hosts", {"per_page": 1})

    def _software(self, apps: Sequence[WantedApp]) -> dict[int, list[dict[str, Any]]]:
        """Return the ordered apps by host."""
        matcher = Matcher(tuple(apps))
        found: dict[int, list[dict[str, Any]]] = {}
        for title in self._titles(matcher):
            row = _kept(title)
            params = {"software_title_id": title.text("id", longest=20)}
            for page in self._pages("/hosts", params, "hosts"):
                for host in page.records("hosts") or ():
                    number = host.value.get("id")
                    if isinstance(number, int):
                        found.setdefault(number, []).append(row)
        return found

    def _titles(self, matcher: Matcher) -> Iterator[Record]:
        for page in self._pages("/software/titles", {}, "software_titles"):
            for title in page.records("software_titles") or ():
                identifier = next((text for key in _ID_KEYS if (text := _plain(title, key))), "")
                if matcher.mentions(identifier, "" if identifier else _plain(title, "name")):
                    yield title

    def _pages(self, path: str, params: dict[str, Any], list_key: str) -> Iterator[Record]:
        before = ""
        for number in range(MOST_PAGES):
            paged = params | {"page": number, "per_page": PAGE, "order_key": "id"}
            page = self._ask("GET", path, paged)
            refuse_error(page, list_key=list_key)
            rows = page.value[list_key]
            first = str(rows[0]) if rows else ""
            if rows and first == before:
                raise AnswerNotUnderstood(
                    host=self.base.split("/")[2], why=gettext_noop("pages in a circle")
                )
            before = first
            more = len(rows) >= PAGE or page.is_true("meta", "has_next_results")
            value = {**page.value, "meta": {"has_next_results": more and bool(rows)}}
            yield Record(page.file, page.place, value)
            if not rows or not more:
                return

    def _ask(self, method: str, path: str, params: dict[str, Any]) -> Record:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.base}/api/v1/fleet{path}"
        return self.http.json(method, url, headers=headers, params=params)


def _asked_for(apps: Sequence[WantedApp]) -> list[str]:
    """Return the identifiers that the ordered apps have on any platform."""
    return sorted(
        {each for app in apps for platform in Platform for each in app.asked_for(platform)}
    )


def _kept(title: Record) -> dict[str, Any]:
    return {key: title.value[key] for key in _KEPT if isinstance(title.value.get(key), str)}


def _plain(title: Record, key: str) -> str:
    found = title.value.get(key)
    return found if isinstance(found, str) else ""


def _with_software(
    page: Record, software: dict[int, list[dict[str, Any]]], asked: list[str]
) -> Record:
    hosts = [
        {**host.value, "software": software.get(host.value.get("id", -1), []), ASKED: asked}
        for host in page.records("hosts") or ()
    ]
    return Record(page.file, page.place, {**page.value, "hosts": hosts})
