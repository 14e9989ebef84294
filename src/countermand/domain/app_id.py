"""How an app is recognised: identifiers that belong to a platform, each with its evidence.

The promise: an identifier is compared exactly, on its own platforms, case kept; and only a
`confirmed` one that no other program is known to carry may close a door by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, Self, TypeVar

from countermand.domain.errors import CountermandError, gettext_noop


class Platform(StrEnum):
    """What a device runs."""

    IOS = "ios"
    IPADOS = "ipados"
    MACOS = "macos"
    ANDROID = "android"
    WINDOWS = "windows"
    LINUX = "linux"
    CHROMEOS = "chromeos"
    OTHER = "other"


class IdentifierKind(StrEnum):
    """Which register an identifier comes from."""

    ANDROID_PACKAGE = "android_package"
    APPLE_BUNDLE_ID = "apple_bundle_id"  # iPhone and iPad
    MAC_BUNDLE_ID = "mac_bundle_id"
    APP_STORE_ID = "app_store_id"  # a number; inventories do not carry it: look-up and links only
    WINDOWS_STORE_ID = "windows_store_id"
    WINDOWS_PACKAGE_FAMILY = "windows_package_family"
    WINGET_ID = "winget_id"
    WEB_ORIGIN = "web_origin"
    INTUNE_NAME = "intune_name"  # a bare name, as Intune's bulk report gives it
    NAME = "name"  # a bare name, from any other source


class Grade(StrEnum):
    """How sure it is that an identifier belongs to the app."""

    CONFIRMED = "confirmed"
    CLAIMED = "claimed"
    RECALLED = "recalled"

    @classmethod
    def of_status(cls, status: str) -> Grade:
        """Read the grade out of a status text such as `confirmed by tiktok-h1, delta`.

        Anything that does not begin with a known grade counts as the weakest.
        """
        first = status.strip().split(" ", 1)[0].rstrip(",;:.").lower()
        return _GRADES.get(first, cls.RECALLED)


class TargetKind(StrEnum):
    """What an order means: the phone app, the program on a computer, or the site."""

    APP = "app"
    DESKTOP = "desktop"
    WEB = "web"


_GRADES: Final = MappingProxyType({grade.value: grade for grade in Grade})
_PHONES: Final = frozenset({Platform.IOS, Platform.IPADOS})
_ANDROID: Final = frozenset({Platform.ANDROID, Platform.CHROMEOS})
_WINDOWS: Final = frozenset({Platform.WINDOWS})
EVERY_PLATFORM: Final = frozenset(Platform)

PLATFORMS_OF: Final[MappingProxyType[IdentifierKind, frozenset[Platform]]] = MappingProxyType(
    {
        IdentifierKind.ANDROID_PACKAGE: _ANDROID,
        # A Mac with Apple's own processor runs programs of the iPhone, under the same id.
        IdentifierKind.APPLE_BUNDLE_ID: _PHONES | {Platform.MACOS},
        IdentifierKind.MAC_BUNDLE_ID: frozenset({Platform.MACOS}),
        IdentifierKind.APP_STORE_ID: _PHONES,
        IdentifierKind.WINDOWS_STORE_ID: _WINDOWS,
        IdentifierKind.WINDOWS_PACKAGE_FAMILY: _WINDOWS,
        IdentifierKind.WINGET_ID: _WINDOWS,
        IdentifierKind.WEB_ORIGIN: EVERY_PLATFORM,
        IdentifierKind.INTUNE_NAME: EVERY_PLATFORM,
        IdentifierKind.NAME: EVERY_PLATFORM,
    }
)
"""On which devices an identifier of a kind can be met."""

_TARGET_OF: Final = MappingProxyType(
    {
        IdentifierKind.MAC_BUNDLE_ID: TargetKind.DESKTOP,
        IdentifierKind.WINDOWS_STORE_ID: TargetKind.DESKTOP,
        IdentifierKind.WINDOWS_PACKAGE_FAMILY: TargetKind.DESKTOP,
        IdentifierKind.WINGET_ID: TargetKind.DESKTOP,
        IdentifierKind.WEB_ORIGIN: TargetKind.WEB,
    }
)
_LISTED: Final = frozenset(
    {
        IdentifierKind.ANDROID_PACKAGE,
        IdentifierKind.APPLE_BUNDLE_ID,
        IdentifierKind.MAC_BUNDLE_ID,
        IdentifierKind.WINDOWS_PACKAGE_FAMILY,
    }
)
"""Kinds that inventories carry; the others serve for look-up and links."""

BARE_NAMES: Final = frozenset({IdentifierKind.INTUNE_NAME, IdentifierKind.NAME})


@dataclass(eq=False)
class IdentifierNotUnderstood(CountermandError):
    """A text that is no identifier of the form `kind:value`."""

    text: str

    code: ClassVar[str] = "app.identifier_not_understood"
    sentence: ClassVar[str] = gettext_noop("“{text}” is no app identifier.")
    remedy: ClassVar[str] = gettext_noop(
        "Write the kind, a colon and the value, such as android_package:com.example.clips."
    )


@dataclass(frozen=True, slots=True, order=True)
class IdentifierKey:
    """A kind and a value, such as `android_package:com.example.clips`; compared exactly."""

    kind: IdentifierKind
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind:value`; raise IdentifierNotUnderstood otherwise."""
        kind, colon, value = text.strip().partition(":")
        if not colon or kind not in _KINDS or not value or value != value.strip():
            raise IdentifierNotUnderstood(text=text)
        return cls(_KINDS[kind], value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


_KINDS: Final = MappingProxyType({kind.value: kind for kind in IdentifierKind})


@dataclass(frozen=True, slots=True)
class AppIdentifier:
    """One identifier of one catalogue app, with the words of its evidence.

    `status` is the evidence as recorded; `known_collision` says which other program is known to
    carry the same identifier (empty: none).
    """

    app_id: str
    key: IdentifierKey
    grade: Grade
    status: str = ""
    edition: str = ""
    note: str = ""
    known_collision: str = ""

    @property
    def kind(self) -> IdentifierKind:
        """The register that the identifier comes from."""
        return self.key.kind

    @property
    def value(self) -> str:
        """The identifier itself, case kept."""
        return self.key.value

    @property
    def platforms(self) -> frozenset[Platform]:
        """The devices on which it can be met."""
        return PLATFORMS_OF[self.key.kind]

    @property
    def is_listed(self) -> bool:
        """Whether inventories carry identifiers of this kind."""
        return self.key.kind in _LISTED

    @property
    def target(self) -> TargetKind:
        """Whether it means the phone app, a program on a computer, or the site."""
        return _TARGET_OF.get(self.key.kind, TargetKind.APP)

    @property
    def may_close(self) -> bool:
        """Whether a sighting may close a door without anybody's signature in the order."""
        return (
            self.grade is Grade.CONFIRMED
            and not self.known_collision
            and self.key.kind not in BARE_NAMES
        )


@dataclass(frozen=True, slots=True)
class SignedIdentifier:
    """An identifier or bare name that a named person signed in an order.

    A bare name counts together with its publisher; an empty publisher matches any.
    """

    app_id: str
    key: IdentifierKey
    publisher: str = ""


@dataclass(frozen=True, slots=True)
class AppMatch:
    """Why a row of an inventory counts as an ordered app.

    `by_signature`: it may close only in an order where a named person signed it.
    """

    app_id: str
    key: IdentifierKey
    may_close: bool
    by_signature: bool = False


@dataclass(frozen=True, slots=True)
class WantedApp:
    """An app that a live order names: all that a source may look for, and nothing else.

    `names` are bare names; a match by name never closes a door unless it is signed.
    """

    app_id: str
    identifiers: tuple[AppIdentifier, ...] = ()
    names: tuple[str, ...] = ()
    signed: tuple[SignedIdentifier, ...] = ()

    def asked_for(self, platform: Platform) -> frozenset[str]:
        """Everything that is looked for on this platform when a source can be asked."""
        ours = (i.value for i in self.identifiers if platform in i.platforms and i.is_listed)
        signed = (s.key.value for s in self.signed if platform in PLATFORMS_OF[s.key.kind])
        return frozenset((*ours, *signed))

    def must_be_asked(self, platform: Platform) -> frozenset[str]:
        """Everything that a question must have named before silence proves absence.

        An identifier that is only recalled is asked for, but nobody has shown that it exists: a
        question without it may prove absence. Where nothing better is known, all of it counts.
        """
        proven = frozenset(
            i.value
            for i in self.identifiers
            if platform in i.platforms and i.is_listed and i.grade is not Grade.RECALLED
        )
        signed = frozenset(
            s.key.value
            for s in self.signed
            if s.key.kind not in BARE_NAMES and platform in PLATFORMS_OF[s.key.kind]
        )
        return (proven | signed) or self.asked_for(platform)


@dataclass(frozen=True, slots=True)
class Matcher:
    """Finds the ordered apps in rows of an inventory; everything else is dropped unseen."""

    apps: tuple[WantedApp, ...]
    _by_value: dict[str, tuple[AppIdentifier, ...]] = field(init=False, repr=False, compare=False)
    _by_name: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _signed: dict[str, tuple[SignedIdentifier, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        identifiers = ((i.value, i) for app in self.apps for i in app.identifiers)
        names = ((_folded(name), app.app_id) for app in self.apps for name in app.names)
        signed = ((_signed_key(s), s) for app in self.apps for s in app.signed)
        object.__setattr__(self, "_by_value", _grouped(identifiers))
        object.__setattr__(self, "_by_name", _grouped(names))
        object.__setattr__(self, "_signed", _grouped(signed))

    def mentions(self, value: str, name: str = "") -> bool:
        """Whether a row could be an ordered app on some platform; if not, it is dropped unseen."""
        folded = _folded(name)
        by_id = value in self._by_value or value in self._signed
        return by_id or folded in self._by_name or folded in self._signed

    def by_identifier(self, platform: Platform, value: str) -> tuple[AppMatch, ...]:
        """Match an identifier exactly, case kept, on the platforms where it can be met."""
        found = [
            AppMatch(i.app_id, i.key, i.may_close)
            for i in self._by_value.get(value, ())
            if platform in i.platforms
        ]
        found += [
            AppMatch(s.app_id, s.key, may_close=True, by_signature=True)
            for s in self._signed.get(value, ())
            if s.key.kind not in BARE_NAMES and platform in PLATFORMS_OF[s.key.kind]
        ]
        return _strongest(found)

    def by_name(
        self, name: str, publisher: str = "", *, kind: IdentifierKind = IdentifierKind.NAME
    ) -> tuple[AppMatch, ...]:
        """Match a bare name as a whole; it may close only if name and publisher are signed."""
        folded = _folded(name)
        key = IdentifierKey(kind, name.strip())
        found = [AppMatch(app, key, may_close=False) for app in self._by_name.get(folded, ())]
        found += [
            AppMatch(s.app_id, key, may_close=True, by_signature=True)
            for s in self._signed.get(folded, ())
            if s.key.kind in BARE_NAMES and _folded(s.publisher) in {"", _folded(publisher)}
        ]
        return _strongest(found)


def signature_covers(
    signed: Iterable[SignedIdentifier], *, app_id: str, key: IdentifierKey, publisher: str
) -> bool:
    """Whether one of these signatures, all of one order, lets such a sighting close a door."""
    ours = [s for s in signed if s.app_id == app_id]
    if key.kind not in BARE_NAMES:
        return any(s.key == key for s in ours)
    return any(
        s.key.kind in BARE_NAMES
        and _folded(s.key.value) == _folded(key.value)
        and _folded(s.publisher) in {"", _folded(publisher)}
        for s in ours
    )


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _signed_key(signed: SignedIdentifier) -> str:
    value = signed.key.value
    return _folded(value) if signed.key.kind in BARE_NAMES else value


T = TypeVar("T")


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    groups: dict[str, tuple[T, ...]] = {}
    for key, value in pairs:
        groups[key] = (*groups.get(key, ()), value)
    return groups


def _strongest(found: list[AppMatch]) -> tuple[AppMatch, ...]:
    """Keep one match an app: one that may close, if there is one."""
    best: dict[str, AppMatch] = {}
    for match in found:
        if match.app_id not in best or (match.may_close and not best[match.app_id].may_close):
            best[match.app_id] = match
    return tuple(best.values())
