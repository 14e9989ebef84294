"""Turns the values of the rules into plain ones that have exactly one canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import singledispatch
from typing import Any

from countermand.domain.app_id import IdentifierKey
from countermand.domain.order_number import OrderNumber
from countermand.domain.order_parts import Share, Texts


@singledispatch
def plain(value: Any) -> Any:
    """Turn a value into null, booleans, whole numbers, text, lists and mappings.

    Dataclasses become mappings, durations seconds, sets sorted lists; instants are written in
    UTC, so that equal instants have one form. Raises TypeError for anything else.
    """
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} has no plain form")
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


@plain.register
def _unchanged(value: bool | int | None) -> Any:  # noqa: FBT001 (that is its value)
    return value


@plain.register
def _text(value: str) -> Any:
    return str(value)


@plain.register
def _by_text(value: OrderNumber | IdentifierKey | Share | date | time) -> Any:
    return value.isoformat() if isinstance(value, date | time) else str(value)


@plain.register
def _instant(value: datetime) -> Any:
    return value.astimezone(UTC).isoformat()


@plain.register
def _seconds(value: timedelta) -> Any:
    return value // timedelta(seconds=1)


@plain.register
def _texts(value: Texts) -> Any:
    return dict(value.entries)


@plain.register
def _set(value: frozenset) -> Any:  # type: ignore[type-arg]  # singledispatch wants the bare class
    return sorted(plain(item) for item in value)


@plain.register
def _list(value: list | tuple) -> Any:  # type: ignore[type-arg]  # the same
    return [plain(item) for item in value]


@plain.register
def _mapping(value: Mapping) -> Any:  # type: ignore[type-arg]  # the same
    return {str(key): plain(item) for key, item in value.items()}
