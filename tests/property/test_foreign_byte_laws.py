"""No bytes whatever make a reader break: it answers, or says in its own words why not.

A short form of `make fuzz`, which runs the same laws with many more examples.
"""

import base64
import json
import plistlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.catalogue.queries import catalogue
from countermand.connectors.kinds import READERS
from countermand.connectors.nanomdm import hook
from countermand.connectors.nanomdm.questions import ListedQuestions, Question
from countermand.connectors.nanomdm.source import NanoMdmReader
from countermand.domain.errors import Fault
from countermand.domain.inventory import DeviceReport
from countermand.domain.presence import Evidence, Presence, merge
from countermand.wire import plists
from countermand.wire.json_documents import Faulty, Record, document
from countermand.wire.paged import PagedSource

SAMPLES = Path(__file__).parent.parent / "fixtures" / "inventory"
NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])[0]
BUNDLE = "com.zhiliaoapp.musically"
SEEDS = {
    kind: [path.read_bytes() for path in sorted((SAMPLES / folder).glob("*.json"))]
    for kind, folder in (
        ("jamf", "jamf"),
        ("fleet", "fleet"),
        ("nanomdm", "nanomdm"),
        ("android_management", "androidmanagement"),
        ("workspace", "workspace"),
    )
}


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A sample with bytes changed, cut out, doubled, or put in."""
    raw = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        if not raw:
            break
        start = draw(st.integers(0, len(raw) - 1))
        end = min(len(raw), start + draw(st.integers(0, 200)))
        new = draw(
            st.binary(max_size=8)
            | st.just(bytes(raw[start:end]) * 2)
            | st.sampled_from([b"null", b"[]", b"{}", b'""', b"1e999", b"true", b"-1", b"\\u0000"])
        )
        raw[start:end] = new
    return bytes(raw)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def misshapen(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A sample in which some value is another one, of another kind perhaps."""
    tree = json.loads(draw(st.sampled_from(seeds)))
    places = list(_places(tree))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places))
        holder[key] = draw(values)
    return json.dumps(tree).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(pairs):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def read(kind: Callable[[], Any], raw: bytes) -> tuple[PagedSource, list[DeviceReport]] | None:
    try:
        page: Record | Fault = document("answer", raw)
    except Faulty as faulty:
        page = faulty.fault
    source = PagedSource(kind(), [page], [TIKTOK], NOW)
    return source, list(source.reports())


@pytest.mark.parametrize("kind", SEEDS)
@given(data=st.data())
def test_a_damaged_answer_never_breaks_a_reader(kind: str, data: st.DataObject) -> None:
    seeds = SEEDS[kind]
    raw = data.draw(damaged(seeds) | misshapen(seeds))

    found = read(READERS[next(k for k in READERS if k.value == kind)], raw)

    assert found is not None
    for report in found[1]:
        texts = (report.source_device_id, report.name, report.os_version, *report.owners)
        assert not any("\0" in text or len(text) > 400 for text in texts)
        assert all(c < "\ud800" or c > "\udfff" for text in texts for c in text)


@given(st.binary(max_size=400) | damaged([plistlib.dumps({"a": [1, b"x", True, {"b": "c"}]})]))
def test_no_bytes_break_the_reader_of_property_lists(raw: bytes) -> None:
    try:
        plists.of_bytes(raw)
    except plists.NoPropertyList:
        return


@given(st.binary(max_size=300), st.text(max_size=60))
def test_no_post_passes_the_hook_without_its_key(body: bytes, signature: str) -> None:
    with pytest.raises(hook.EventRefused):
        hook.taken_in(body, signature, key=b"key", now=NOW)


# -- Drop, double, reorder, forge: nothing becomes absent without proof --------------------------


def event(number: int, at: datetime, payload: dict[str, Any], **more: Any) -> Record:
    told = {
        "ids": {"id": "D", "type": more.get("kind", "Device")},
        "status": more.get("status", "Acknowledged"),
        "command_uuid": more.get("command", ""),
        "raw_payload": base64.b64encode(plistlib.dumps(payload)).decode(),
    }
    value = {
        "topic": more.get("topic", "mdm.Connect"),
        "event_id": str(number),
        "created_at": at.isoformat(),
        "acknowledge_event": told,
    }
    return Record(f"event-{number}", "", value)


FULL = Question(TIKTOK.asked_for(next(iter(p for p in TIKTOK.identifiers[2].platforms))))
QUESTIONS = ListedQuestions(
    {
        ("D", "ours"): FULL,
        ("D", "foreign"): Question(frozenset({"org.example.payroll"})),
        ("D", "managed"): Question(None, managed_only=True),
    }
)
HERE = {"InstalledApplicationList": [{"Identifier": BUNDLE, "Installing": False}]}
EMPTY: dict[str, Any] = {"InstalledApplicationList": []}
hours = st.integers(0, 20).map(lambda h: NOW - timedelta(hours=h))


@st.composite
def worthless(draw: st.DrawFn) -> Record:
    """An event that proves nothing about apps, however it looks."""
    number = draw(st.integers(100, 10_000))
    how = draw(
        st.sampled_from(
            [
                {"command": "foreign"},
                {"command": "managed"},
                {"command": "not ours"},
                {"command": "ours", "status": "NotNow"},
                {"command": "ours", "status": "Error"},
                {"command": "ours", "kind": "User Enrollment (Device)"},
                {"command": "ours", "kind": "Shared iPad"},
            ]
        )
    )
    return event(number, draw(hours), EMPTY, **how)


def presence_after(events: list[Record]) -> Presence:
    source = PagedSource(NanoMdmReader(QUESTIONS), events, [TIKTOK], NOW)
    known: Evidence | None = None
    for report in source.reports():
        said = report.evidence(TIKTOK, source="nanomdm", collected_at=NOW)
        known = said if known is None else merge(known, said)
    return known.presence if known else Presence.UNKNOWN


@given(hours, st.lists(worthless(), max_size=6), st.data())
def test_worthless_messages_in_any_order_make_nothing_absent(
    seen_at: datetime, noise: list[Record], data: st.DataObject
) -> None:
    seen = event(1, seen_at, HERE, command="ours")
    history = data.draw(st.permutations([seen, *noise, *noise[:2]]))

    assert presence_after(list(history)) is Presence.PRESENT


@given(hours, hours, st.lists(worthless(), max_size=3), st.data())
def test_only_our_own_question_answered_later_makes_an_app_absent(
    seen_at: datetime, empty_at: datetime, noise: list[Record], data: st.DataObject
) -> None:
    seen = event(1, seen_at, HERE, command="ours")
    gone = event(2, empty_at, EMPTY, command="ours")
    told = data.draw(st.permutations([seen, gone, gone, *noise]))

    is_absent = presence_after(list(told)) is Presence.ABSENT

    assert is_absent == (empty_at > seen_at)


@given(hours, hours, st.data())
def test_a_dropped_message_never_proves_absence(
    seen_at: datetime, empty_at: datetime, data: st.DataObject
) -> None:
    told = [event(1, seen_at, HERE, command="ours"), event(2, empty_at, EMPTY, command="ours")]
    kept = data.draw(st.lists(st.sampled_from(told), max_size=1))

    found = presence_after(kept)

    assert (found is Presence.ABSENT) == (kept == [told[1]])
