"""Only what is signed, ours, newest and fresh may shut a door, and a stop beats it at once."""

import hashlib
import json
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
from countermand.domain.verdict import order_bytes
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
    said = (
        facts is not None
        and facts.valid
        and not facts.withdrawn
        and facts.epoch > facts.stopped_epoch
    )
    # By these doors are answered, so they say the same at every instant.
    rule = states.rules().get(order_bytes(NUMBER))
    assert (rule is not None and rule.open_because is None) is said
    return said


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
        ({"issued_ms": NOW_MS + 60_001}, Received.CLOCKS_DISAGREE),
        ({"issued_ms": NOW_MS - 60_001}, Received.CLOCKS_DISAGREE),
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


@pytest.mark.parametrize("by_ms", [-86_400_000, -60_001, 60_001, 86_400_000])
def test_a_time_of_day_that_leaps_shuts_nothing_until_the_next_set(
    states: OrderStates, time: ToldTime, by_ms: int
) -> None:
    # By it deadlines are judged: one that lies ahead would be over at once.
    states.receive(signed(), at_once=True)
    time.passes(10)
    assert shuts(states)

    time.now_ms += by_ms

    assert not shuts(states)
    assert states.good_for_ms == 0
    assert states.receive(signed(2, issued_ms=time.now_ms), at_once=True) is Received.ACCEPTED
    assert shuts(states)


@pytest.mark.parametrize("by_ms", [-60_000, 60_000])
def test_a_time_of_day_that_is_set_right_by_a_minute_at_most_changes_nothing(
    states: OrderStates, time: ToldTime, by_ms: int
) -> None:
    assert states.receive(signed(issued_ms=NOW_MS - by_ms), at_once=True) is Received.ACCEPTED

    time.now_ms += by_ms

    assert shuts(states)


def test_it_is_said_how_old_a_list_is_and_for_how_long_lists_are_good(
    states: OrderStates, time: ToldTime
) -> None:
    assert (states.age_ms, states.longest_ms, states.good_for_ms) == (0, 900_000, 0)

    states.receive(signed(issued_ms=NOW_MS - 5_000, valid_for_s=60), at_once=True)
    time.passes(10)

    assert (states.age_ms, states.longest_ms, states.good_for_ms) == (15_000, 60_000, 45_000)
    time.now_ms = NOW_MS - 60_000
    assert states.age_ms == 0


def test_a_gate_that_starts_again_after_a_leap_shuts_nothing(
    states: OrderStates, time: ToldTime, tmp_path: Path
) -> None:
    states.receive(signed(), at_once=True)
    states.remember(tmp_path / "states.json", signed())
    time.now_ms += 86_400_000
    again = OrderStates(keys=KEYS, instance="ours", time=time)

    again.recall(tmp_path / "states.json")

    assert not shuts(again)


def on_disk(states: OrderStates, time: ToldTime, path: Path, **changed: Any) -> OrderStates:
    """Return a gate that begins with what another one kept, changed a little."""
    states.receive(signed(), at_once=True)
    states.remember(path, signed())
    kept = {**json.loads(path.read_text(encoding="utf-8")), **changed}
    said = {name: value for name, value in kept.items() if value != "gone"}
    path.write_text(json.dumps(said), encoding="utf-8")
    again = OrderStates(keys=KEYS, instance="ours", time=time)
    assert again.recall(path) is Received.ACCEPTED
    return again


@pytest.mark.parametrize("until_ms", [10**15, 5_000_000 + 900_001])
def test_what_was_kept_is_never_good_for_longer_than_its_list_says(
    states: OrderStates, time: ToldTime, tmp_path: Path, until_ms: int
) -> None:
    again = on_disk(states, time, tmp_path / "states.json", good_until_ms=until_ms)

    assert again.good_for_ms == 900_000


def test_what_a_gate_of_before_kept_without_the_time_of_day_is_good_as_long_as_it_was(
    states: OrderStates, time: ToldTime, tmp_path: Path
) -> None:
    again = on_disk(states, time, tmp_path / "states.json", wall_ahead_ms="gone")

    assert again.good_for_ms == 900_000
    assert shuts(again)
    time.now_ms += 61_000
    assert not shuts(again)


def test_on_another_start_of_the_machine_the_time_of_day_alone_tells(
    states: OrderStates, time: ToldTime, tmp_path: Path
) -> None:
    time.passes(300)

    again = on_disk(states, time, tmp_path / "states.json", boot_id="another", good_until_ms=0)

    assert again.good_for_ms == 600_000


@pytest.mark.parametrize("kept", ["{no", "[7]", '{"payload": 7}'])
def test_what_was_kept_and_cannot_be_read_is_no_list(
    states: OrderStates, tmp_path: Path, kept: str
) -> None:
    (tmp_path / "states.json").write_text(kept, encoding="utf-8")

    assert states.recall(tmp_path / "states.json") is Received.NOT_UNDERSTOOD
    assert states.sequence == 0
    assert states.recall(tmp_path / "missing.json") is None


def test_a_signed_list_of_another_form_is_none(states: OrderStates) -> None:
    content = signed().payload.replace(b"states/v1", b"states/v2")

    arrived = SignedSet(content, CURRENT.sign(content), "current")

    assert states.receive(arrived, at_once=True) is Received.NOT_UNDERSTOOD
    assert not shuts(states)


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
    states.stop([])
    assert shuts(states)


def test_the_others_are_rung_for_what_was_not_known_and_for_nothing_else(
    states: OrderStates,
) -> None:
    # What is said here decides whether the other processes of a gate look, too.
    states.receive(signed(), at_once=True)

    assert states.add_stop(take_back())
    assert not states.add_stop(take_back())
    assert not states.stop([take_back()])
    assert states.stop([], unreadable=[NUMBER])
    assert not states.stop([], unreadable=[NUMBER])
    assert states.stop([], unreadable=[NUMBER, "CM-2K7Q"])
    assert states.stop([])
    assert not states.stop([])
    states.stop_everything()
    assert states.stop([])
    assert not states.stop([])


def test_every_stop_that_was_ever_seen_is_told_once(states: OrderStates) -> None:
    pause = Fence("CM-2K7Q", 2, withdrawn=False, at=AT, by=1, because="")

    states.stop([take_back(), pause])
    states.stop([pause])

    assert sorted(states.fences(), key=lambda each: each.number) == [pause, take_back()]


def test_what_came_of_lists_is_counted_by_the_words_that_the_doctor_looks_for() -> None:
    words = "accepted not_newer not_signed not_understood other_instance expired clocks_disagree"

    assert [each.value for each in Received] == words.split()


def test_it_is_said_how_many_stops_cannot_be_read(states: OrderStates) -> None:
    assert states.stops_unreadable == 0
    states.stop([], unreadable=[NUMBER, "CM-2K7Q"])
    assert states.stops_unreadable == 2
    states.stop([])
    states.stop_everything()
    assert states.stops_unreadable == 1
    states.stop([])
    assert states.stops_unreadable == 0


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
