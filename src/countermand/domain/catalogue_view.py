"""What the rules need to know of the app catalogue, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from countermand.domain.app_id import AppIdentifier, IdentifierKey


class WrongIdentifier(Protocol):
    """An identifier that circulates under an app's name and means something else."""

    @property
    def key(self) -> IdentifierKey: ...
    @property
    def why(self) -> str: ...


class AppView(Protocol):
    """One edition of an app."""

    @property
    def app_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def identifiers(self) -> Sequence[AppIdentifier]: ...
    @property
    def do_not_use(self) -> Sequence[WrongIdentifier]: ...


class CatalogueView(Protocol):
    """All apps by their catalogue id; `catalogue.queries.catalogue()` is one."""

    @property
    def apps(self) -> Mapping[str, AppView]: ...


def editions_named(catalogue: CatalogueView, name: str) -> tuple[str, ...]:
    """Return the ids of all editions whose name begins with `name`, whatever the case."""
    folded = " ".join(name.split()).casefold()
    return tuple(
        sorted(
            app.app_id
            for app in catalogue.apps.values()
            if folded and f"{app.name.casefold()} ".startswith(f"{folded} ")
        )
    )
