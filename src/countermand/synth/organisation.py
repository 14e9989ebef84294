"""The invented organisation itself: the same seed gives the same people and devices, always.

Every person has a stream of chance of their own, so the first 2,000 people stay who they are when
more join. No clock and no network: the time of the export is an argument.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Final

from countermand.domain.app_id import Grade, IdentifierKind, Platform, WantedApp
from countermand.domain.presence import Coverage
from countermand.synth.names import (
    GROUP_OF_UNIT,
    PLACES,
    SMALL_GROUPS,
    UNITS,
    UNRELATED_APPS,
    Place,
)

DEFAULT_MIX: Final[Mapping[str, float]] = MappingProxyType({"hi": 0.45, "en": 0.55})
_PHONES: Final = (Platform.IOS, Platform.ANDROID)
_APPLE: Final = frozenset({Platform.IOS, Platform.IPADOS, Platform.MACOS})
_POCKET: Final = frozenset({Platform.IOS, Platform.IPADOS, Platform.ANDROID})
_REPORTS_PER_MANAGER: Final = 8


@dataclass(frozen=True, slots=True)
class SynthPerson:
    """One invented person, as a directory would export them."""

    uid: str
    name: str
    local_name: str
    address: str
    upn: str
    language: str
    country: str
    zone: str
    groups: tuple[str, ...]
    unit: str
    manager: str
    absent_until: date | None


@dataclass(frozen=True, slots=True)
class SynthApp:
    """A row about an app on a device; `is_ordered` for the app that the organisation is about."""

    identifier: str
    name: str
    version: str
    is_ordered: bool = False


@dataclass(frozen=True, slots=True)
class SynthDevice:
    """One invented device, as an inventory would export it."""

    device_id: str
    owner: str
    platform: Platform
    os_version: str
    ownership: str
    name: str
    eas_id: str
    serial: str
    inventory_at: datetime
    last_seen: datetime
    coverage: Coverage
    apps: tuple[SynthApp, ...] = ()

    @property
    def carries(self) -> bool:
        """Whether the ordered app is listed on it."""
        return any(app.is_ordered for app in self.apps)


@dataclass(frozen=True, slots=True)
class Organisation:
    """People and devices at one time."""

    as_of: datetime
    people: tuple[SynthPerson, ...]
    devices: tuple[SynthDevice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to invent. `spread` is the share of phones and tablets that list the app."""

    seed: str
    as_of: datetime
    app: WantedApp
    app_name: str
    spread: float = 0.12
    languages: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIX)
    domain: str = "example.org"


def invent(recipe: Recipe, people: int) -> Organisation:
    """Invent an organisation of `people` people and their devices."""
    everyone = tuple(_person(recipe, number) for number in range(1, people + 1))
    devices = tuple(
        device
        for number, person in enumerate(everyone, 1)
        for device in _devices(recipe, number, person)
    )
    return Organisation(as_of=recipe.as_of, people=everyone, devices=devices)


def after_removal(
    before: Organisation, *, seed: str, share: float, as_of: datetime
) -> Organisation:
    """Take the inventory anew: a share of the devices that listed the app lists it no longer.

    Raise or lower `share` and nobody changes sides: who removes it at 0.4 does so at 0.9.
    """
    later = tuple(_later(device, seed, share, as_of) for device in before.devices)
    return Organisation(as_of=as_of, people=before.people, devices=later)


def _later(device: SynthDevice, seed: str, share: float, as_of: datetime) -> SynthDevice:
    chance = Random(f"{seed}/after/{device.device_id}")  # noqa: S311 - invents, secures nothing
    removed = chance.random() < share
    inventory_at = as_of - timedelta(minutes=chance.randrange(1, 360))
    kept = tuple(app for app in device.apps if not (removed and app.is_ordered))
    return replace(device, apps=kept, inventory_at=inventory_at, last_seen=inventory_at)


def _person(recipe: Recipe, number: int) -> SynthPerson:
    chance = Random(f"{recipe.seed}/person/{number}")  # noqa: S311 - invents, secures nothing
    language = _drawn(chance, recipe.languages)
    place = _place(chance, language)
    given, local_given = chance.choice(place.given)
    family, local_family = chance.choice(place.family)
    family, local_family = family.replace("-", " "), local_family.replace("-", " ")
    account = f"{_ascii(given)}.{_ascii(family)}{number}"
    unit = chance.choice(UNITS)
    absent = chance.random() < 0.03  # noqa: PLR2004 - three in a hundred are away
    return SynthPerson(
        uid=_uid(number),
        name=f"{given} {family}",
        local_name=_local_name(place, local_given, local_family),
        address=f"{account}@{recipe.domain}",
        upn=f"{account}@corp.{recipe.domain}",
        language=language,
        country=place.country,
        zone=chance.choice(place.zones),
        groups=_groups(chance, unit),
        unit=unit,
        manager=_uid((number - 2) // _REPORTS_PER_MANAGER + 1) if number > 1 else "",
        absent_until=recipe.as_of.date() + timedelta(days=chance.randrange(2, 20))
        if absent
        else None,
    )


def _uid(number: int) -> str:
    return f"p{number:06d}"


def _drawn(chance: Random, shares: Mapping[str, float]) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]


def _place(chance: Random, language: str) -> Place:
    base = language.partition("-")[0]
    fitting = [p for p in PLACES if base in {tag.partition("-")[0] for tag in p.languages}]
    fitting = fitting or list(PLACES)
    # Where a language is spoken first, more of its speakers live.
    weights = [p.weight * (4 if p.languages[0].startswith(base) else 1) for p in fitting]
    return chance.choices(fitting, weights)[0]


def _local_name(place: Place, given: str, family: str) -> str:
    if not given:
        return ""
    return f"{family}{given}" if place.family_first else f"{given} {family}"


def _groups(chance: Random, unit: str) -> tuple[str, ...]:
    groups = ["all-staff"]
    if unit in GROUP_OF_UNIT:
        groups.append(GROUP_OF_UNIT[unit])
    if chance.random() < 0.02:  # noqa: PLR2004 - two in a hundred
        groups.append(chance.choice(SMALL_GROUPS))
    return tuple(groups)


def _ascii(text: str) -> str:
    spelt = text.replace("ß", "ss").replace("ø", "o")
    plain = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    return "".join(c for c in plain.lower() if c.isalnum())


def _devices(recipe: Recipe, number: int, person: SynthPerson) -> Iterator[SynthDevice]:
    chance = Random(f"{recipe.seed}/devices/{number}")  # noqa: S311 - invents, secures nothing
    count = chance.choices((0, 1, 2, 3), (3, 67, 26, 4))[0]
    for place in range(count):
        yield _device(recipe, chance, person, f"d-{number:06d}-{place + 1}", first=place == 0)


def _device(
    recipe: Recipe, chance: Random, person: SynthPerson, device_id: str, *, first: bool
) -> SynthDevice:
    if first:
        android = 0.68 if person.country in {"IN", "BD", "BR"} else 0.42
        platform = Platform.ANDROID if chance.random() < android else Platform.IOS
    else:
        platform = chance.choices(
            (Platform.WINDOWS, Platform.IPADOS, Platform.MACOS, Platform.ANDROID, Platform.LINUX),
            (46, 18, 14, 18, 4),
        )[0]
    personal = platform in _POCKET and chance.random() < 0.5  # noqa: PLR2004 - a half
    coverage = _coverage(chance, platform, personal=personal)
    inventory_at = _taken_at(chance, recipe.as_of)
    last_seen = min(inventory_at + timedelta(minutes=chance.randrange(0, 30)), recipe.as_of)
    return SynthDevice(
        device_id=device_id,
        owner=person.address,
        platform=platform,
        os_version=_OS_VERSIONS[platform],
        ownership="personal" if personal else "corporate",
        name=_device_name(person, platform),
        eas_id=_eas_id(chance, platform),
        serial="" if personal else f"SX{chance.randrange(36**8):012X}",
        inventory_at=inventory_at,
        last_seen=last_seen,
        coverage=coverage,
        apps=_apps(recipe, chance, platform, coverage),
    )


_OS_VERSIONS: Final = MappingProxyType(
    {
        Platform.IOS: "19.1",
        Platform.IPADOS: "19.1",
        Platform.ANDROID: "16",
        Platform.WINDOWS: "10.0.26200.6901",
        Platform.MACOS: "26.1",
        Platform.LINUX: "13",
    }
)
_MODELS: Final = MappingProxyType(
    {
        Platform.IOS: "iPhone",
        Platform.IPADOS: "iPad",
        Platform.ANDROID: "Android",
        Platform.WINDOWS: "Laptop",
        Platform.MACOS: "MacBook",
        Platform.LINUX: "Workstation",
    }
)


def _device_name(person: SynthPerson, platform: Platform) -> str:
    if person.language == "hi" and person.local_name:
        return f"{person.local_name.split()[0]} का {_MODELS[platform]}"
    return f"{_MODELS[platform]} of {person.name.split()[0]}"


def _coverage(chance: Random, platform: Platform, *, personal: bool) -> Coverage:
    """Return what an inventory sees: of personal devices often the managed apps only."""
    if not personal:
        return Coverage.FULL
    if chance.random() < 0.55:  # noqa: PLR2004 - a little more than half agreed to be looked at
        return Coverage.FULL
    return Coverage.WORK_PROFILE_ONLY if platform is Platform.ANDROID else Coverage.MANAGED_ONLY


def _taken_at(chance: Random, as_of: datetime) -> datetime:
    if chance.random() < 0.03:  # noqa: PLR2004 - three in a hundred have lain in a drawer
        return as_of - timedelta(days=chance.randrange(20, 60), minutes=chance.randrange(600))
    return as_of - timedelta(minutes=chance.randrange(1, 20 * 60))


def _eas_id(chance: Random, platform: Platform) -> str:
    if platform not in _POCKET or chance.random() < 0.06:  # noqa: PLR2004 - some report none
        return ""
    if platform is Platform.ANDROID:
        return f"androidc{chance.randrange(10**9, 10**10)}"
    return f"{chance.getrandbits(128):032X}"


def _apps(
    recipe: Recipe, chance: Random, platform: Platform, coverage: Coverage
) -> tuple[SynthApp, ...]:
    kind = "android" if platform is Platform.ANDROID else "computer"
    if platform in _APPLE and platform is not Platform.MACOS:
        kind = "apple"
    others: Sequence[tuple[str, str]] = UNRELATED_APPS[kind]
    some = chance.sample(others, chance.randrange(1, len(others) + 1))
    apps = [SynthApp(identifier, name, "1.0") for identifier, name in some]
    carries = chance.random() < recipe.spread
    identifiers = _identifiers(recipe.app, platform)
    identifier = chance.choice(identifiers) if identifiers else ""
    if carries and identifier and platform in _POCKET and coverage is Coverage.FULL:
        version = f"{chance.randrange(30, 45)}.{chance.randrange(10)}.0"
        apps.append(SynthApp(identifier, recipe.app_name, version, is_ordered=True))
    return tuple(apps)


def _identifiers(app: WantedApp, platform: Platform) -> tuple[str, ...]:
    """Return the sure identifiers of the app that an inventory of such a device would list."""
    return tuple(
        identifier.value
        for identifier in app.identifiers
        if identifier.grade is Grade.CONFIRMED
        and platform in identifier.platforms
        and identifier.kind in {IdentifierKind.ANDROID_PACKAGE, IdentifierKind.APPLE_BUNDLE_ID}
    )
