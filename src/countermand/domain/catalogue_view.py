"""What the rules need to know of the app catalogue, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from countermand.domain.app_id import AppIdentifier


@dataclass(frozen=True, slots=True)
class CatalogueApp:
    """One edition of an app, as the catalogue has it.

    `do_not_use` are identifiers (`kind:value`) that were seen to be wrong, each with the reason.
    """

    app_id: str
    name: str
    identifiers: tuple[AppIdentifier, ...] = ()
    do_not_use: Mapping[str, str] = field(default_factory=dict)
    local_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_collisions(self) -> tuple[str, ...]:
        """What else is known to carry an identifier of this app."""
        return tuple(i.known_collision for i in self.identifiers if i.known_collision)


@dataclass(frozen=True, slots=True)
class CatalogueView:
    """The catalogue at one version, by catalogue id."""

    apps: Mapping[str, CatalogueApp]
    version: str = ""

    def named(self, name: str) -> tuple[str, ...]:
        """Return the ids of all editions whose name begins with `name`, whatever the case."""
        folded = " ".join(name.split()).casefold()
        return tuple(
            sorted(
                app.app_id
                for app in self.apps.values()
                if folded and f"{app.name.casefold()} ".startswith(f"{folded} ")
            )
        )


EMPTY: Final = CatalogueView(apps=MappingProxyType({}))
