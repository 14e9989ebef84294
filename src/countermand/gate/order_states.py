"""Which orders may shut a door now: signed, newest, unexpired, and under no stop seen anywhere.

    signed by a pinned key, of our instance, readable, newer      -> taken over, good for a while
    anything else                                                 -> left out and counted
    no state, or its time is over, or the clocks disagree         -> nothing shuts
    the time of day was moved since it was taken over             -> nothing shuts until the next

A stop beats every state at once and stays for the life of the process, whatever is signed later,
until a state of a higher epoch says that the order was resumed. A take-back stays for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from countermand.data_folder import FileDamaged, read_json, write_json
from countermand.domain.published_states import (
    VALID_FOR_S,
    PublishedOrder,
    PublishedStates,
    StatesNotUnderstood,
    read,
)
from countermand.domain.verdict import OrderRule, OrderStateFacts, order_bytes, rule_of
from countermand.gate.keys import GateKeys
from countermand.gate.machine_time import MachineTime
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

_CLOCKS_AGREE_MS: Final = 60_000
_NOTHING: Final[Mapping[str, OrderStateFacts]] = MappingProxyType({})
_NO_RULES: Final[Mapping[bytes, OrderRule]] = MappingProxyType({})


class Received(StrEnum):
    """What came of a set of states that arrived."""

    ACCEPTED = "accepted"
    NOT_NEWER = "not_newer"
    NOT_SIGNED = "not_signed"
    NOT_UNDERSTOOD = "not_understood"
    OTHER_INSTANCE = "other_instance"
    EXPIRED = "expired"
    CLOCKS_DISAGREE = "clocks_disagree"


class Lack(StrEnum):
    """What a gate lacks that can refuse nobody."""

    ORDERS = "no_orders"
    NEWER_ORDERS = "orders_too_old"  # or the clocks disagree
    STOPS = "stops_unreadable"
    NEWER_DOORS = "doors_too_old"
    DOORS = "no_doors"


@dataclass(frozen=True, slots=True)
class SignedSet:
    """A set of states as it travels: bytes, signature, and which key it claims."""

    payload: bytes
    signature: bytes
    key_id: str


class OrderStates:
    """All orders as this gate knows them."""

    def __init__(self, *, keys: GateKeys, instance: str, time: MachineTime) -> None:
        """Know nothing yet: until a state arrives nothing shuts."""
        self._keys = keys
        self._instance = instance
        self._time = time
        self._states: PublishedStates | None = None
        self._good_until_ms = 0  # since boot
        self._wall_ahead_ms = 0  # of the time since boot, when the states were taken over
        self._fences: dict[str, Fence] = {}
        self._unreadable: frozenset[str] = frozenset()
        self._nothing_readable = False
        # What is known of doors is too far behind to shut any.
        self.entries_too_old = False
        self._facts: Mapping[str, OrderStateFacts] = _NOTHING
        self._rules: Mapping[bytes, OrderRule] = _NO_RULES
        # A set may arrive in one thread while a stop arrives in another: neither may win by chance.
        self._changing = threading.Lock()

    @property
    def sequence(self) -> int:
        """Return the number of the newest set, 0 before the first."""
        return self._states.sequence if self._states else 0

    @property
    def good_for_ms(self) -> int:
        """Return how long the states are still trusted, 0 when they are not."""
        now_ms = self._time.since_boot_ms()
        return 0 if self._clock_was_moved(now_ms) else max(0, self._good_until_ms - now_ms)

    @property
    def longest_ms(self) -> int:
        """Return how long a list of orders is good for."""
        return (self._states.valid_for_s if self._states else VALID_FOR_S) * 1000

    @property
    def age_ms(self) -> int:
        """Return how long ago the newest set was published, as far as the clocks agree; else 0."""
        if self._states is None:
            return 0
        return max(0, self._time.wall_ms() - self._states.issued_ms)

    def order(self, number: str) -> PublishedOrder | None:
        """Return what was last published about one order, expired or not."""
        return self._states.orders.get(number) if self._states else None

    def facts(self) -> Mapping[str, OrderStateFacts]:
        """Return the orders that may shut doors now, by number; empty in every doubt."""
        return self._facts if self._is_trusted() else _NOTHING

    def rules(self) -> Mapping[bytes, OrderRule]:
        """Return the same as the verdict reads it, worked out once for each change of an order."""
        return self._rules if self._is_trusted() else _NO_RULES

    def _is_trusted(self) -> bool:
        if self._nothing_readable or self.entries_too_old:
            return False
        now_ms = self._time.since_boot_ms()  # once: every turn of a gate asks here
        return now_ms < self._good_until_ms and not self._clock_was_moved(now_ms)

    @property
    def lack(self) -> Lack | None:
        """Return why no order can shut a door now; None while orders are trusted."""
        if self._states is None:
            return Lack.ORDERS
        if self.good_for_ms == 0:
            return Lack.NEWER_ORDERS
        if self._nothing_readable:
            return Lack.STOPS
        return Lack.NEWER_DOORS if self.entries_too_old else None

    def _clock_was_moved(self, now_ms: int) -> bool:
        """Tell whether the time of day leapt since the states came: by it deadlines are judged."""
        moved_ms = self._time.wall_ms() - now_ms - self._wall_ahead_ms
        return not -_CLOCKS_AGREE_MS <= moved_ms <= _CLOCKS_AGREE_MS

    def receive(self, arrived: SignedSet, *, at_once: bool) -> Received:
        """Take a set of states over if it is genuine and newer.

        `at_once` says that it cannot have waited on its way to us, so that its age is the
        disagreement of two clocks. A set whose age is in doubt is kept and shuts nothing.
        """
        return self._receive(arrived, at_once=at_once)

    def _receive(
        self, arrived: SignedSet, *, at_once: bool, kept: tuple[int, int] | None = None
    ) -> Received:
        """Do so; `kept` is what was found of it before, on this start of the machine.

        Until when it is good, and how far the time of day was ahead of the time since boot then:
        both in milliseconds.
        """
        states = self._checked(arrived)
        if isinstance(states, Received):
            return states
        now_ms, wall_ms = self._time.since_boot_ms(), self._time.wall_ms()
        result, good_for_ms = _trust(states, wall_ms - states.issued_ms, at_once=at_once)
        until_ms, wall_ahead_ms = now_ms + good_for_ms, wall_ms - now_ms
        if kept is not None:
            until_ms = min(kept[0], now_ms + states.valid_for_s * 1000)
            wall_ahead_ms = kept[1]
        is_taken = self._take(states, until_ms, wall_ahead_ms)
        return result if is_taken else Received.NOT_NEWER

    def _checked(self, arrived: SignedSet) -> PublishedStates | Received:
        if not self._keys.is_signed(arrived.key_id, arrived.payload, arrived.signature):
            return Received.NOT_SIGNED
        try:
            states = read(arrived.payload)
        except StatesNotUnderstood:
            return Received.NOT_UNDERSTOOD
        if states.instance != self._instance:
            return Received.OTHER_INSTANCE
        return states

    def _take(self, states: PublishedStates, good_until_ms: int, wall_ahead_ms: int) -> bool:
        """Take a set over, unless it is no newer than what is known."""
        with self._changing:
            if states.sequence <= self.sequence:
                return False
            self._states = states
            self._refresh()
            self._good_until_ms = good_until_ms
            self._wall_ahead_ms = wall_ahead_ms
            return True

    def stop(self, fences: Iterable[Fence], *, unreadable: Iterable[str] = ()) -> bool:
        """Take stops over; what was stopped once is never forgotten, only outgrown.

        `unreadable` are numbers whose stop is there and cannot be read: they shut nothing. Returns
        whether anything of it was not known.
        """
        with self._changing:
            changed = {fence.number for fence in fences if self._merge(fence)}
            spoiled = frozenset(unreadable)
            changed |= self._unreadable ^ spoiled
            is_more = bool(changed) or self._nothing_readable
            self._unreadable = spoiled
            self._nothing_readable = False
            self._refresh_some(changed)
            return is_more

    def add_stop(self, fence: Fence) -> bool:
        """Take one more stop over; returns whether it says more than was known."""
        with self._changing:
            is_more = self._merge(fence)
            if is_more:
                self._refresh_some([fence.number])
            return is_more

    def _merge(self, fence: Fence) -> bool:
        standing = self._fences.get(fence.number)
        self._fences[fence.number] = merged = standing.merged(fence) if standing else fence
        return merged != standing

    def fences(self) -> tuple[Fence, ...]:
        """Return every stop that was ever seen."""
        return tuple(self._fences.values())

    @property
    def stops_unreadable(self) -> int:
        """Return how many stops cannot be read just now; a folder that cannot be counts as one."""
        return max(len(self._unreadable), int(self._nothing_readable))

    def stop_everything(self) -> None:
        """Shut nothing until stops can be read again."""
        self._nothing_readable = True

    def order_of_code(self, number: str, code: str) -> bool:
        """Tell whether `code` is the emergency code of order `number`."""
        order = self.order(number)
        if order is None or not order.stop_hash:
            return False
        shown = hashlib.sha256(code.encode()).hexdigest()
        return hmac.compare_digest(shown, order.stop_hash)

    def _refresh(self) -> None:
        orders = self._states.orders.values() if self._states else ()
        self._facts = {order.number: self._fenced(order) for order in orders}
        self._rules = {order_bytes(number): rule_of(each) for number, each in self._facts.items()}

    def _refresh_some(self, numbers: Iterable[str]) -> None:
        """Work these orders out again; a stop costs the same however many orders there are."""
        orders = self._states.orders if self._states else {}
        facts = {number: self._fenced(orders[number]) for number in numbers if number in orders}
        rules = {order_bytes(number): rule_of(each) for number, each in facts.items()}
        # Put in the place of the old ones: somebody may be reading them.
        self._facts = {**self._facts, **facts}
        self._rules = {**self._rules, **rules}

    def _fenced(self, order: PublishedOrder) -> OrderStateFacts:
        if order.number in self._unreadable:
            return order.facts(valid=True, stopped_epoch=TAKEN_BACK_EPOCH)
        fence = self._fences.get(order.number)
        if fence is None:
            return order.facts(valid=True)
        return order.facts(valid=True, stopped_epoch=fence.stopped_epoch, withdrawn=fence.withdrawn)

    def remember(self, path: Path, arrived: SignedSet) -> None:
        """Write the newest set to disk, with how long it is good on this start of the machine."""
        write_json(path, self._kept(arrived))

    def told(self, arrived: SignedSet) -> bytes:
        """Return what `remember` writes and more, for the other processes of this gate."""
        told = {**self._kept(arrived), "entries_too_old": self.entries_too_old}
        return json.dumps(told).encode()

    def _kept(self, arrived: SignedSet) -> dict[str, Any]:
        return {
            "payload": arrived.payload.decode(),
            "signature": b64encode(arrived.signature).decode(),
            "key_id": arrived.key_id,
            "boot_id": self._time.boot_id(),
            "good_until_ms": self._good_until_ms,
            "wall_ahead_ms": self._wall_ahead_ms,
        }

    def recall(self, path: Path) -> Received | None:
        """Take over what `remember` wrote, None if there is nothing.

        On the same start of the machine it is good as long as it was; after another start only
        the time of day can tell, and a doubt opens. What cannot be read is no state.
        """
        try:
            raw = read_json(path)
        except (FileDamaged, OSError):
            return Received.NOT_UNDERSTOOD
        return self._recall(raw) if raw else None

    def hear(self, told: bytes) -> Received:
        """Take over what another process of this gate got, just as it trusts it."""
        try:
            raw = json.loads(told)
            self.entries_too_old = raw["entries_too_old"] is True
        except (ValueError, KeyError, TypeError, RecursionError):
            return Received.NOT_UNDERSTOOD
        return self._recall(raw)

    def _recall(self, raw: Any) -> Received:
        try:
            arrived = _signed_set(raw)
            # An older gate wrote no second number.
            ahead_now_ms = self._time.wall_ms() - self._time.since_boot_ms()
            kept = int(raw["good_until_ms"]), int(raw.get("wall_ahead_ms", ahead_now_ms))
            same_start = raw["boot_id"] == self._time.boot_id() != ""
        except (KeyError, TypeError, ValueError, AttributeError, NotBase64):
            return Received.NOT_UNDERSTOOD
        return self._receive(arrived, at_once=False, kept=kept if same_start else None)


def _signed_set(raw: Mapping[str, Any]) -> SignedSet:
    return SignedSet(
        payload=raw["payload"].encode(),
        signature=b64decode(raw["signature"], validate=True),
        key_id=raw["key_id"],
    )


def _trust(states: PublishedStates, age_ms: int, *, at_once: bool) -> tuple[Received, int]:
    """Return what an arrived set is worth, and for how many milliseconds."""
    if age_ms < -_CLOCKS_AGREE_MS or (at_once and age_ms > _CLOCKS_AGREE_MS):
        return Received.CLOCKS_DISAGREE, 0
    good_for_ms = states.valid_for_s * 1000 - max(0, age_ms)
    if good_for_ms <= 0:
        return Received.EXPIRED, 0
    return Received.ACCEPTED, good_for_ms
