"""What the publisher says to all gates: the state of every order, for a stated time.

The signature covers exactly the bytes that `payload` returns. `issued_ms` is the issuing machine's
own time and never the time told to a demonstration: how long a state is good for is a promise
between machines. A gate reads what it understands; what it cannot read is no state, and no state
is an open door.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, ClassVar, Final

from countermand.domain.canonical_json import canonical
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.verdict import MINIMUM_NOTICE, OrderStateFacts

VALID_FOR_S: Final = 900
_FORM: Final = "countermand order states/v1"


@dataclass(eq=False)
class StatesNotUnderstood(CountermandError):
    """A signed set of states has another form than this version reads."""

    why: str

    code: ClassVar[str] = "gate.states_not_understood"
    sentence: ClassVar[str] = gettext_noop("The list of orders cannot be read: {why}.")
    remedy: ClassVar[str] = gettext_noop("Use the same version for the worker and for all gates.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedOrder:
    """One order as gates need it; `stop_hash` is the SHA-256 (hex) of its emergency code.

    `minimum_notice_s` is how long before its door closes a person must have been told.
    `sending_while_paused` lets a device send while it may not read.
    """

    number: str
    phase: str
    enforcement: str
    exercise: bool
    epoch: int
    stopped_epoch: int = 0
    withdrawn: bool = False
    digest: str = ""
    stop_hash: str = ""
    minimum_notice_s: int = MINIMUM_NOTICE // timedelta(seconds=1)
    sending_while_paused: bool = True

    def facts(
        self, *, valid: bool, stopped_epoch: int = 0, withdrawn: bool = False
    ) -> OrderStateFacts:
        """Return the state for a verdict, raised by a fence that was seen elsewhere."""
        return OrderStateFacts(
            number=self.number,
            phase=self.phase,
            enforcement=self.enforcement,
            epoch=self.epoch,
            stopped_epoch=max(self.stopped_epoch, stopped_epoch),
            withdrawn=self.withdrawn or withdrawn,
            valid=valid,
            exercise=self.exercise,
            minimum_notice=timedelta(seconds=self.minimum_notice_s),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedStates:
    """One signed set: all orders at once, numbered, so that an older set never wins."""

    instance: str
    sequence: int
    issued_ms: int
    valid_for_s: int
    orders: Mapping[str, PublishedOrder]


_TYPES: Final[Mapping[str, type]] = {
    each.name: {"str": str, "int": int, "bool": bool}[str(each.type)]
    for each in fields(PublishedOrder)
}


def payload(
    orders: Iterable[PublishedOrder],
    *,
    instance: str,
    sequence: int,
    issued_ms: int,
    valid_for_s: int = VALID_FOR_S,
) -> bytes:
    """Return the bytes to sign."""
    listed = sorted((asdict(order) for order in orders), key=lambda order: str(order["number"]))
    return canonical(
        {
            "form": _FORM,
            "instance": instance,
            "sequence": sequence,
            "issued_ms": issued_ms,
            "valid_for_s": valid_for_s,
            "orders": listed,
        }
    )


def read(signed: bytes) -> PublishedStates:
    """Read a payload. Raises StatesNotUnderstood; check the signature first."""
    try:
        raw = json.loads(signed)
        if raw["form"] != _FORM:
            raise StatesNotUnderstood(why=gettext_noop("its form is of another version"))
        orders = [_order(each) for each in raw["orders"]]
        return PublishedStates(
            instance=_typed(raw["instance"], str),
            sequence=_typed(raw["sequence"], int),
            issued_ms=_typed(raw["issued_ms"], int),
            valid_for_s=_typed(raw["valid_for_s"], int),
            orders={order.number: order for order in orders},
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StatesNotUnderstood(why=f"{type(error).__name__}: {error}") from None


def _order(raw: Any) -> PublishedOrder:
    return PublishedOrder(**{name: _typed(raw[name], kind) for name, kind in _TYPES.items()})


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
