"""What is known about apps: identifiers with their evidence, out of the file that is shipped.

Works without a database and without a network. A fact of the file is never widened here: an
identifier that is only claimed stays claimed, and one that is known to be wrong is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, ClassVar, Final

from countermand.domain.app_id import (
    AppIdentifier,
    Grade,
    IdentifierKey,
    IdentifierKind,
    Platform,
    SignedIdentifier,
    WantedApp,
)
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.nearest import nearest_word

_FILE: Final = "apps.toml"


@dataclass(frozen=True, slots=True)
class NotToBeUsed:
    """An identifier that circulates under an app's name and means something else."""

    app_id: str
    key: IdentifierKey
    why: str


@dataclass(frozen=True, slots=True)
class CatalogueApp:
    """One app (or one family of editions that an order names together)."""

    app_id: str
    name: str
    publisher: str
    owner_country: str
    owner_country_as_stated_by: str
    identifiers: tuple[AppIdentifier, ...]
    name_hi: str = ""
    do_not_use: tuple[NotToBeUsed, ...] = ()
    network_names: str = ""
    note: str = ""


@dataclass(eq=False)
class UnknownApp(CountermandError):
    """No app of the catalogue has this id."""

    app_id: str
    known: str

    code: ClassVar[str] = "app.unknown"
    sentence: ClassVar[str] = gettext_noop("The catalogue knows no app “{app_id}”.")
    remedy: ClassVar[str] = gettext_noop("Write one of these: {known}.")


@dataclass(eq=False)
class UnknownAppButNear(UnknownApp):
    """No app of the catalogue has this id, and one is near."""

    suggestion: str

    remedy: ClassVar[str] = gettext_noop("The nearest one is “{suggestion}”.")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All apps by id; satisfies what the order document asks of a catalogue."""

    apps: Mapping[str, CatalogueApp]
    sources: Mapping[str, str]
    unresolved_names: Mapping[str, str]  # name on a public list: why no identifier is tied to it

    def app(self, app_id: str) -> CatalogueApp:
        """Return an app; raise UnknownApp with the nearest id otherwise."""
        try:
            return self.apps[app_id]
        except KeyError:
            known = ", ".join(self.apps)
            if near := self.nearest(app_id):
                raise UnknownAppButNear(app_id=app_id, known=known, suggestion=near) from None
            raise UnknownApp(app_id=app_id, known=known) from None

    def knows(self, app_id: str) -> bool:
        """Whether there is such an app."""
        return app_id in self.apps

    def nearest(self, app_id: str) -> str | None:
        """Return the id that was probably meant, also when a name was written, or None."""
        by_name = {app.name.casefold(): key for key, app in self.apps.items()}
        by_name |= {app.name_hi: key for key, app in self.apps.items() if app.name_hi}
        text = " ".join(app_id.split()).casefold()
        if text in by_name:
            return by_name[text]
        return nearest_word(text.replace(" ", "-"), self.apps)

    def identifiers(
        self, app_id: str, platform: Platform | None = None
    ) -> tuple[AppIdentifier, ...]:
        """Return the identifiers of an app, of one platform if asked so."""
        every = self.app(app_id).identifiers
        return tuple(i for i in every if platform is None or platform in i.platforms)

    def refused(self, key: IdentifierKey) -> NotToBeUsed | None:
        """Return why an identifier must not be used, or None if nothing is held against it."""
        against = (entry for app in self.apps.values() for entry in app.do_not_use)
        return next((entry for entry in against if entry.key == key), None)

    def wanted(
        self, app_ids: Iterable[str], signed: Iterable[SignedIdentifier] = ()
    ) -> tuple[WantedApp, ...]:
        """Return what sources may look for: the named apps, and what orders signed for them."""
        by_app: dict[str, list[SignedIdentifier]] = {}
        for one in signed:
            by_app.setdefault(one.app_id, []).append(one)
        return tuple(
            WantedApp(
                app_id=app_id,
                identifiers=self.app(app_id).identifiers,
                names=_names_of(self.app(app_id)),
                signed=tuple(by_app.get(app_id, ())),
            )
            for app_id in sorted(set(app_ids))
        )


def _names_of(app: CatalogueApp) -> tuple[str, ...]:
    """Return the names by which a list without identifiers may call the app.

    Only a plain name: one that joins several editions would never stand in a list as it is.
    """
    plain = not any(mark in app.name for mark in "/(,")
    return (app.name,) if plain else ()


@cache
def catalogue() -> Catalogue:
    """Read the shipped catalogue, once a process."""
    text = resources.files("countermand.catalogue").joinpath("data", _FILE).read_text("utf-8")
    return _parsed(tomllib.loads(text))


def _parsed(document: Mapping[str, Any]) -> Catalogue:
    apps = (_app(entry) for entry in document["apps"])
    return Catalogue(
        apps=MappingProxyType({app.app_id: app for app in apps}),
        sources=MappingProxyType(dict(document["sources"])),
        unresolved_names=MappingProxyType(
            {entry["name"]: entry["reason"] for entry in document["unresolved_names"]}
        ),
    )


def _app(entry: Mapping[str, Any]) -> CatalogueApp:
    return CatalogueApp(
        app_id=entry["id"],
        name=entry["name"],
        publisher=entry["publisher"],
        owner_country=entry["owner_country"],
        owner_country_as_stated_by=entry["owner_country_as_stated_by"],
        identifiers=tuple(_identifier(entry["id"], i) for i in entry["identifiers"]),
        name_hi=entry.get("name_hi", ""),
        do_not_use=tuple(
            NotToBeUsed(entry["id"], _key(bad), bad["why"]) for bad in entry.get("do_not_use", ())
        ),
        network_names=entry.get("network_names", ""),
        note=entry.get("note", ""),
    )


def _identifier(app_id: str, entry: Mapping[str, Any]) -> AppIdentifier:
    return AppIdentifier(
        app_id=app_id,
        key=_key(entry),
        grade=Grade.of_status(entry["status"]),
        status=entry["status"],
        edition=entry.get("edition", ""),
        note=entry.get("note", ""),
        known_collision=entry.get("known_collision", ""),
    )


def _key(entry: Mapping[str, Any]) -> IdentifierKey:
    return IdentifierKey(IdentifierKind(entry["kind"]), entry["id"])
