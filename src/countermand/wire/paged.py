"""One load of a source that answers in JSON: pages and messages in, device reports out.

The same code reads files that somebody saved and answers that were fetched just now. What lists
only a part of the devices says so: nobody is then taken for gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from countermand.domain.app_id import Matcher, Platform, WantedApp
from countermand.domain.errors import Fault
from countermand.domain.inventory import DeviceReport, MatchedApp, RejectedRow
from countermand.fault_list import FaultList
from countermand.row_faults import unnamed, why
from countermand.wire.json_documents import Faulty, Record

_LONGEST_NAME: Final = 400


@dataclass(frozen=True, slots=True)
class Page:
    """One document, told apart: `records` are devices or messages about them.

    `list_name` groups the pages of one list; `is_last` closes it; `is_first` begins it (None: the
    page does not say); `total` is how many devices the source says it holds. Of a source with
    several lists `beside` names the others; an empty page without a name is any of them. A message
    (`is_message`) is no part of a list. `look_again` names devices about which the document is a
    hint and no proof. `unread` says which of several messages cannot be read; the others count.
    """

    records: Sequence[Record] = ()
    list_name: str = ""
    is_last: bool = True
    is_first: bool | None = None
    total: int | None = None
    beside: tuple[str, ...] = ()
    is_message: bool = False
    look_again: tuple[str, ...] = ()
    unread: tuple[Fault, ...] = ()


class DocumentReader(Protocol):
    """What one connector knows about its documents; raises Faulty for what it cannot read."""

    @property
    def kind(self) -> str: ...
    def page(self, document: Record) -> Page: ...
    def device_id(self, record: Record) -> str: ...
    def reports(
        self, record: Record, *, matcher: Matcher, as_of: datetime
    ) -> Iterable[DeviceReport]: ...


@dataclass(slots=True)
class Listing:
    """How far one list has come; `begun` is None while no page said whether it is the first."""

    listed: set[str] = field(default_factory=set)
    begun: bool | None = None
    ended: bool = False
    total: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its last page came, and as many devices as it says that there are."""
        is_begun = self.begun is not False
        return is_begun and self.ended and (self.total is None or len(self.listed) >= self.total)

    @property
    def tells_its_beginning(self) -> bool:
        """Whether pages before those that came could not be missing unnoticed."""
        return self.begun is not None or self.total is not None

    def took(
        self,
        ids: Iterable[str],
        *,
        is_last: bool,
        total: int | None,
        is_first: bool | None = None,
    ) -> None:
        """Count one page, in whatever order they come; one that comes twice counts once."""
        self.listed.update(ids)
        if is_first is not None:
            self.begun = self.begun or is_first
        self.ended = self.ended or is_last
        if total is not None:  # it may change while pages are fetched; nobody is gone for that
            self.total = max(total, self.total or 0)


@dataclass(slots=True)
class PagedSource:
    """One load. After `reports()` is used up, the other members are complete."""

    reader: DocumentReader
    documents: Iterable[Record | Fault]
    apps: Sequence[WantedApp]
    as_of: datetime
    source: str = ""
    is_listing: bool = True  # False: whatever comes is only a part
    faults: FaultList = field(default_factory=FaultList)
    rejected: list[RejectedRow] = field(default_factory=list)
    look_again: set[str] = field(default_factory=set)
    _lists: dict[str, Listing] = field(default_factory=dict)
    _beside: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """The name under which what is said here is kept."""
        return self.source or self.reader.kind

    @property
    def is_whole(self) -> bool:
        """Whether every device of the source was listed, so that others are gone."""
        lists = self._lists.values()
        return (
            self.is_listing
            and bool(lists)
            and all(each.is_whole for each in lists)
            and ("" in self._lists or self._beside <= self._lists.keys())
        )

    @property
    def tells_its_beginning(self) -> bool:
        """Whether pages before those that are here could not be missing unnoticed."""
        return all(each.tells_its_beginning for each in self._lists.values())

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what is said about devices; what cannot be read is kept in `rejected`."""
        matcher = Matcher(tuple(self.apps))
        for document in self._each():
            if isinstance(document, Fault):
                self.faults.add(document)
                continue
            try:
                page = self.reader.page(document)
            except Faulty as faulty:
                self.faults.add(faulty.fault)
                continue
            self._note(page)
            for record in page.records:
                yield from self._of(record, matcher)

    def _each(self) -> Iterator[Record | Fault]:
        """Yield the documents; one that cannot be fetched as what it is ends the load."""
        try:
            yield from self.documents
        except Faulty as faulty:
            yield faulty.fault

    def _note(self, page: Page) -> None:
        self.look_again.update(page.look_again)
        self.rejected += unnamed(page.unread)
        if page.is_message:
            self.is_listing = False
            return
        self._beside.update(page.beside)
        self._lists.setdefault(page.list_name, Listing()).took(
            map(self._id_of, page.records) if page.total is not None else (),
            is_last=page.is_last,
            total=page.total,
            is_first=page.is_first,
        )

    def _of(self, record: Record, matcher: Matcher) -> Iterator[DeviceReport]:
        try:
            yield from self.reader.reports(record, matcher=matcher, as_of=self.as_of)
        except Faulty as faulty:
            faults = (faulty.fault,)
            self.rejected.append(RejectedRow(self._id_of(record), why(faults), faults))

    def _id_of(self, record: Record) -> str:
        try:
            return self.reader.device_id(record)
        except Faulty:
            return ""


def _plain(row: Record, key: str) -> str:
    """Return a text, or nothing where it is none: the row may be about an app of nobody's order."""
    found = row.value.get(key)
    return found if isinstance(found, str) and len(found) <= _LONGEST_NAME else ""


@dataclass(frozen=True, slots=True)
class AppList:
    """The ordered apps in the list of one device.

    `is_whole` is false where any row may have been an ordered app and cannot be told: the list
    then proves no absence.
    """

    matched: tuple[MatchedApp, ...] = ()
    is_whole: bool = False


def app_list(
    rows: Iterable[Record] | None,
    *,
    matcher: Matcher,
    platform: Platform,
    id_keys: Sequence[str],
    version_key: str,
    name_key: str = "name",
) -> AppList:
    """Find the ordered apps in a list of apps; nothing of the others leaves this function.

    A row without an identifier is matched by its whole name, which closes nothing by itself.
    """
    if rows is None:
        return AppList()
    found: list[MatchedApp] = []
    is_whole = True
    for row in rows:
        identifier = next((text for key in id_keys if (text := _plain(row, key))), "")
        name = _plain(row, name_key)
        if not matcher.mentions(identifier, "" if identifier else name):
            is_whole = is_whole and bool(identifier or name)
            continue
        if identifier:
            matches = matcher.by_identifier(platform, identifier)
        else:
            matches = matcher.by_name(name)
        is_whole = is_whole and bool(matches)  # ordered elsewhere: is this the platform it says?
        version = row.text(version_key)[:50]
        shown = row.text(name_key)[:200]
        found += [MatchedApp(match=match, name=shown, version=version) for match in matches]
    return AppList(tuple(dict.fromkeys(found)), is_whole)
