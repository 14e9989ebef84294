"""Only what is signed, ours, newest and fresh may shut a door, and a stop beats it at once."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countermand.domain.published_states import (
    PublishedOrder,
    StatesNotUnderstood,
    payload,
    read,
)
from countermand.gate.keys import GateKeys
from countermand.gate.order_states import OrderStates, Received, SignedSet
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

NUMBER = "CM-7Q4K"
NOW_MS = 1_800_000_000_000
AT = datetime(2026, 12, 10, tzinfo=UTC)
CURRENT = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
NEXT = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYS = GateKeys(
    pinned={"current": CURRENT.public_key(), "next": NEXT.public_key()}, entry_key=b"e" * 32
)
ORDER = PublishedOrder(
    number=NUMBER,
    phase="enforcing",
    enforcement="gate",
    exercise=False,
    epoch=2,
    stop_hash=hashlib.sha256(b"the code").hexdigest(),
)


@dataclass
class ToldTime:
    boot_ms: int = 5_000_000
    now_ms: int = NOW_MS

    def since_boot_ms(self) -> int:
        return self.boot_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def boot_id(self) -> str:
        return "this start"

    def passes(self, seconds: float) -> None:
        self.boot_ms += int(seconds * 1000)
        self.now_ms += int(seconds * 1000)


@pytest.fixture
def time() -> ToldTime:
    return ToldTime()


@pytest.fixture
def states(time: ToldTime) -> OrderStates:
    return OrderStates(keys=KEYS, instance="ours", time=time)


def signed(
    sequence: int = 1,
    *orders: PublishedOrder,
    key: Ed25519PrivateKey = CURRENT,
    key_id: str = "current",
    **changed: Any,
) -> SignedSet:
    given = {"instance": "ours", "issued_ms": NOW_MS, "valid_for_s": 900, **changed}
    content = payload(orders or (ORDER,), sequence=sequence, **given)
    return SignedSet(content, key.sign(content), key_id)


def shuts(states: OrderStates) -> bool:
    facts = states.facts().get(NUMBER)
    return (
        facts is not None
        and facts.valid
        and not facts.withdrawn
        and facts.epoch > facts.stopped_epoch
    )


def test_nothing_known_shuts_nothing(states: OrderStates) -> None:
    assert not shuts(states)


def test_a_signed_set_shuts_for_as_long_as_it_says(states: OrderStates, time: ToldTime) -> None:
    assert states.receive(signed(), at_once=True) is Received.ACCEPTED

    time.passes(899.9)
    assert shuts(states)
    time.passes(0.1)
    assert not shuts(states)


def test_both_pinned_keys_are_believed_and_no_other(states: OrderStates) -> None:
    assert states.receive(signed(1, key=NEXT, key_id="next"), at_once=True) is Received.ACCEPTED
    for forged in (
        signed(2, key=STRANGER),
        signed(2, key=STRANGER, key_id="stranger"),
        replace(signed(2), payload=signed(3).payload),
        replace(signed(2), signature=b""),
    ):
        assert states.receive(forged, at_once=True) is Received.NOT_SIGNED


def test_an_older_set_never_wins_and_never_lengthens(states: OrderStates, time: ToldTime) -> None:
    states.receive(signed(5, replace(ORDER, withdrawn=True)), at_once=True)
    time.passes(800)

    assert states.receive(signed(4), at_once=True) is Received.NOT_NEWER
    assert states.receive(signed(5), at_once=True) is Received.NOT_NEWER
    assert not shuts(states)
    assert states.good_for_ms == 100_000


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"instance": "another"}, Received.OTHER_INSTANCE),
        ({"issued_ms": NOW_MS + 61_000}, Received.CLOCKS_DISAGREE),
        ({"issued_ms": NOW_MS - 61_000}, Received.CLOCKS_DISAGREE),
    ],
    ids=["instance", "clock behind", "clock ahead"],
)
def test_what_does_not_fit_shuts_nothing(
    states: OrderStates, changed: dict[str, Any], expected: Received
) -> None:
    assert states.receive(signed(**changed), at_once=True) is expected
    assert not shuts(states)


def test_what_may_have_waited_is_good_for_the_rest_of_its_time(
    states: OrderStates, time: ToldTime
) -> None:
    old = signed(issued_ms=NOW_MS - 600_000)

    assert states.receive(old, at_once=False) is Received.ACCEPTED
    time.passes(299)
    assert shuts(states)
    time.passes(1)
    assert not shuts(states)


def test_what_waited_too_long_shuts_nothing(states: OrderStates) -> None:
    assert states.receive(signed(issued_ms=NOW_MS - 900_000), at_once=False) is Received.EXPIRED
    assert not shuts(states)


def test_setting_the_clock_back_lengthens_nothing(states: OrderStates, time: ToldTime) -> None:
    states.receive(signed(), at_once=True)
    time.passes(900)
    time.now_ms -= 3_600_000

    assert not shuts(states)


@pytest.mark.parametrize("seconds", [-86_400, -61, 61, 86_400])
def test_a_time_of_day_that_leaps_shuts_nothing_until_the_next_set(
    states: OrderStates, time: ToldTime, seconds: int
) -> None:
    # By it deadlines are judged: one that lies ahead would be over at once.
    states.receive(signed(), at_once=True)
    time.passes(10)
    assert shuts(states)

    time.now_ms += seconds * 1000

    assert not shuts(states)
    assert states.good_for_ms == 0
    assert states.receive(signed(2, issued_ms=time.now_ms), at_once=True) is Received.ACCEPTED
    assert shuts(states)


def test_a_time_of_day_that_is_set_right_by_little_changes_nothing(
    states: OrderStates, time: ToldTime
) -> None:
    states.receive(signed(), at_once=True)

    time.now_ms += 59_000

    assert shuts(states)


def test_a_gate_that_starts_again_after_a_leap_shuts_nothing(
    states: OrderStates, time: ToldTime, tmp_path: Path
) -> None:
    states.receive(signed(), at_once=True)
    states.remember(tmp_path / "states.json", signed())
    time.now_ms += 86_400_000
    again = OrderStates(keys=KEYS, instance="ours", time=time)

    again.recall(tmp_path / "states.json")

    assert not shuts(again)


def take_back() -> Fence:
    return Fence(NUMBER, TAKEN_BACK_EPOCH, withdrawn=True, at=AT, by=1, because="")


def test_a_stop_beats_every_set_before_and_after_it(states: OrderStates) -> None:
    states.receive(signed(1), at_once=True)
    states.add_stop(take_back())
    assert not shuts(states)

    states.receive(signed(2, replace(ORDER, epoch=99)), at_once=True)
    assert not shuts(states)


def test_a_pause_pressed_after_a_take_back_takes_nothing_from_it(states: OrderStates) -> None:
    states.add_stop(take_back())
    states.add_stop(Fence(NUMBER, 2, withdrawn=False, at=AT, by=1, because=""))

    states.receive(signed(1, replace(ORDER, epoch=99)), at_once=True)
    assert not shuts(states)


def test_a_stop_that_vanishes_from_the_disk_is_not_forgotten(states: OrderStates) -> None:
    states.receive(signed(), at_once=True)
    states.stop([take_back()])
    states.stop([])

    assert not shuts(states)


def test_a_pause_is_outgrown_by_a_higher_epoch(states: OrderStates) -> None:
    states.receive(signed(1), at_once=True)
    states.stop([Fence(NUMBER, 2, withdrawn=False, at=AT, by=1, because="")])
    assert not shuts(states)

    states.receive(signed(2, replace(ORDER, epoch=3)), at_once=True)
    assert shuts(states)


def test_a_stop_that_cannot_be_read_shuts_nothing(states: OrderStates) -> None:
    states.receive(signed(), at_once=True)

    states.stop([], unreadable=[NUMBER])
    assert not shuts(states)
    states.stop([])
    assert shuts(states)
    states.stop_everything()
    assert not shuts(states)


def test_the_code_of_an_order_is_known_even_when_its_state_has_expired(
    states: OrderStates, time: ToldTime
) -> None:
    states.receive(signed(), at_once=True)
    time.passes(5000)

    assert states.order_of_code(NUMBER, "the code")
    assert not states.order_of_code(NUMBER, "a guess")
    assert not states.order_of_code("CM-0000", "the code")


def test_an_order_without_a_code_is_stopped_by_none(states: OrderStates) -> None:
    states.receive(signed(1, replace(ORDER, stop_hash="")), at_once=True)

    assert not states.order_of_code(NUMBER, "")


def another(time: ToldTime) -> OrderStates:
    """Another process of the same gate."""
    return OrderStates(keys=KEYS, instance="ours", time=time)


def test_what_one_process_got_another_trusts_for_just_as_long(
    states: OrderStates, time: ToldTime
) -> None:
    states.receive(signed(), at_once=True)
    time.passes(600)
    other = another(time)

    assert other.hear(states.told(signed())) is Received.ACCEPTED

    time.passes(299)
    assert shuts(other)
    time.passes(1)
    assert not shuts(other)


def test_what_one_process_doubts_shuts_nothing_in_another(
    states: OrderStates, time: ToldTime
) -> None:
    other = another(time)
    states.receive(signed(1), at_once=True)
    other.hear(states.told(signed(1)))
    assert shuts(other)
    late = signed(2, issued_ms=NOW_MS - 61_000)

    assert states.receive(late, at_once=True) is Received.CLOCKS_DISAGREE
    other.hear(states.told(late))

    assert not shuts(states)
    assert not shuts(other)


def test_what_is_torn_in_memory_or_forged_is_no_list(states: OrderStates, time: ToldTime) -> None:
    states.receive(signed(), at_once=True)
    told = states.told(signed())
    other = another(time)

    for torn in (told[:-9], told[9:], b"[]", b"", told.replace(b"enforcing", b"ENFORCING")):
        assert other.hear(torn) in {Received.NOT_UNDERSTOOD, Received.NOT_SIGNED}
    assert not shuts(other)


def test_a_file_that_nobody_signed_lengthens_nothing(
    states: OrderStates, time: ToldTime, tmp_path: Path
) -> None:
    path = tmp_path / "states.json"
    states.receive(signed(), at_once=True)
    states.remember(path, replace(signed(2), signature=b"forged"))
    time.passes(890)

    assert states.recall(path) is Received.NOT_SIGNED
    path.write_text(path.read_text().replace(str(states.good_for_ms + time.boot_ms), "9" * 12))
    assert states.recall(path) is Received.NOT_SIGNED

    time.passes(10)
    assert not shuts(states)


def test_entries_that_are_too_far_behind_shut_nothing_in_any_process(
    states: OrderStates, time: ToldTime
) -> None:
    states.receive(signed(), at_once=True)
    other = another(time)
    for is_so in (True, False):
        states.entries_too_old = is_so
        other.hear(states.told(signed()))

        assert shuts(states) is not is_so
        assert shuts(other) is not is_so


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[]", b'{"form":"another"}', b"\xff"],
    ids=["empty", "object", "list", "form", "bytes"],
)
def test_what_cannot_be_read_is_no_state(damage: bytes) -> None:
    with pytest.raises(StatesNotUnderstood):
        read(damage)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"epoch":2', b'"epoch":"2"'),
        (b'"exercise":false', b'"exercise":0'),
        (b',"withdrawn":false', b""),
        (b'"valid_for_s":900', b'"valid_for_s":900.5'),
    ],
    ids=["text", "number", "missing", "fraction"],
)
def test_a_fact_of_another_type_is_no_state(old: bytes, new: bytes) -> None:
    content = signed().payload
    assert old in content

    with pytest.raises(StatesNotUnderstood):
        read(content.replace(old, new))


def test_what_was_signed_is_read_back_as_it_was() -> None:
    assert read(signed(7).payload).orders == {NUMBER: ORDER}
