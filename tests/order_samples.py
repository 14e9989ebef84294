"""A small catalogue and a whole order as plain values, for tests that need one."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.app_id import AppIdentifier, Grade, IdentifierKey
from countermand.domain.order_document import read
from countermand.domain.order_parts import OrderDocument

NOW: Final = datetime(2020, 7, 10, 3, 30, tzinfo=UTC)


def identifier(app: str, key: str, grade: Grade, collision: str = "") -> AppIdentifier:
    return AppIdentifier(app, IdentifierKey.parse(key), grade, known_collision=collision)


@dataclass(frozen=True)
class Wrong:
    key: IdentifierKey
    why: str


@dataclass(frozen=True)
class App:
    app_id: str
    name: str
    identifiers: tuple[AppIdentifier, ...]
    do_not_use: tuple[Wrong, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    apps: Mapping[str, App]


APPS: Final = (
    App(
        "tiktok",
        "TikTok",
        (
            identifier("tiktok", "android_package:com.zhiliaoapp.musically", Grade.CONFIRMED),
            identifier("tiktok", "apple_bundle_id:com.zhiliaoapp.musically", Grade.CONFIRMED),
            identifier("tiktok", "apple_bundle_id:com.ss.iphone.ugc.Ame", Grade.RECALLED),
            identifier("tiktok", "windows_store_id:9NH2GPH4JZS4", Grade.CONFIRMED),
            identifier("tiktok", "web_origin:https://www.tiktok.com", Grade.RECALLED),
        ),
    ),
    App(
        "tiktok-lite",
        "TikTok Lite",
        (
            identifier(
                "tiktok-lite", "android_package:com.zhiliaoapp.musically.go", Grade.CONFIRMED
            ),
            identifier("tiktok-lite", "android_package:com.ss.android.ugc.trill.go", Grade.CLAIMED),
        ),
    ),
    App(
        "douyin",
        "Douyin",
        (
            identifier(
                "douyin",
                "android_package:com.ss.android.ugc.aweme",
                Grade.CONFIRMED,
                "a camera program",
            ),
        ),
        do_not_use=(
            Wrong(IdentifierKey.parse("app_store_id:641062073"), "a typing error of the maker"),
        ),
    ),
)
CATALOGUE: Final = Catalogue(MappingProxyType({app.app_id: app for app in APPS}))

_BOTH: Final = {"en": "In English.", "hi": "हिंदी में।"}
_WHOLE: Final[dict[str, Any]] = {
    "countermand": "order/v1",
    "number": "CM-7Q4K",
    "mode": "live",
    "enforcement": "gate",
    "apps": ["tiktok"],
    "targets": ["app"],
    "scope": {"people": {"groups": ["all-staff"]}},
    "title": _BOTH,
    "reason": _BOTH,
    "evidence": [
        {"claim": _BOTH, "said_by": "A ministry", "said_on": "2020-06-29", "grade": "stated"}
    ],
    "hearing": {"asked_at": "2020-07-01"},
    "deadline": {"at": "2020-07-17T17:00", "clock": "each-person"},
    "review_on": "2021-01-10",
    "corrections": {"mistake": _BOTH, "reason_gone": _BOTH, "replaced": _BOTH},
    "statement": {"mistake": _BOTH, "reason_gone": _BOTH, "replaced": _BOTH},
    "approvers": ["legal@example.org", "council@example.org"],
}


def whole_order(**changes: Any) -> dict[str, Any]:
    """Return the values of an order without fault, with these keys set, or left out if None."""
    order = deepcopy(_WHOLE) | changes
    return {key: value for key, value in order.items() if value is not None}


def read_order(mapping: dict[str, Any], *, now: datetime = NOW) -> OrderDocument:
    """Read an order given as values; there are no lines then."""
    return read(mapping, {}, file=None, catalogue=CATALOGUE, now=now)
