"""Whatever happens to the documents of a source on their way, nothing present becomes absent.

A document may be dropped, doubled, or come in another order; any value in it may be missing, null,
or of another kind. What nobody can tell from the truth is left out: a well-formed list of apps from
which a row was cut, and a row that has a name and no identifier, as programs of Windows have.
"""

import copy
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.catalogue.queries import catalogue
from countermand.connectors.kinds import READERS
from countermand.connectors.names import SourceKind
from countermand.domain.presence import Evidence, Presence, merge
from countermand.wire.json_documents import Record
from countermand.wire.paged import PagedSource

SAMPLES: Final = Path(__file__).parent.parent / "fixtures" / "inventory"
NOW: Final = datetime(2026, 11, 24, 6, tzinfo=UTC)
TIKTOK: Final = catalogue().wanted(["tiktok"])[0]
LISTS: Final = {
    "jamf": ("jamf/mobile-devices-detail.page0.json", "jamf/computers-inventory.page0.json"),
    "fleet": ("fleet/hosts.populate_software.json",),
    "android_management": (
        "androidmanagement/devices.list.page1.json",
        "androidmanagement/devices.list.page2.json",
    ),
    "workspace": (
        "workspace/mobiledevices.list.page1.json",
        "workspace/mobiledevices.list.page2.json",
    ),
}
DOCUMENTS: Final = {
    kind: [json.loads((SAMPLES / name).read_text(encoding="utf-8")) for name in names]
    for kind, names in LISTS.items()
}
GONE: Final = object()
# No text but a long one, and no empty list: a service can say such things and mean them.
SPOILT: Final[tuple[Any, ...]] = (GONE, None, 5, True, {}, [5], [None], "x" * 5_000)
IDENTIFIERS: Final = frozenset(
    {"identifier", "bundleId", "bundle_identifier", "application_id", "packageName"}
)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(pairs):
        if key not in IDENTIFIERS:
            yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def spoil(holder: Any, key: Any, value: Any) -> None:
    if value is not GONE:
        holder[key] = copy.deepcopy(value)
    elif isinstance(holder, dict):
        holder.pop(key, None)


@st.composite
def on_their_way(draw: st.DrawFn, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents as they may arrive: some dropped or doubled, in any order, values spoilt."""
    drawn = draw(st.lists(st.integers(0, len(documents) - 1), max_size=4))
    arrived = [copy.deepcopy(documents[number]) for number in drawn]
    for _ in range(draw(st.integers(0, 3))):
        everywhere = [each for tree in arrived for each in places(tree)]
        if everywhere:
            holder, key = everywhere[draw(st.integers(0, len(everywhere) - 1))]
            spoil(holder, key, draw(st.sampled_from(SPOILT)))
    return arrived


def presences(kind: str, documents: Iterable[dict[str, Any]]) -> dict[str, Presence]:
    """What is known of each device after such documents, by the rule by which evidence merges."""
    records = [Record(f"page {number}", "", each) for number, each in enumerate(documents)]
    source = PagedSource(READERS[SourceKind(kind)](), records, [TIKTOK], NOW)
    known: dict[str, Evidence] = {}
    for report in source.reports():
        said = report.evidence(TIKTOK, source=kind, collected_at=NOW)
        before = known.get(report.source_device_id)
        known[report.source_device_id] = merge(before, said) if before else said
    return {device: evidence.presence for device, evidence in known.items()}


TRUTHS: Final = {kind: presences(kind, documents) for kind, documents in DOCUMENTS.items()}


def test_each_sample_knows_of_devices_with_the_app() -> None:
    for kind, truth in TRUTHS.items():
        assert Presence.PRESENT in truth.values(), kind


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
def test_no_damage_turns_present_into_absent(kind: str, data: st.DataObject) -> None:
    arrived = data.draw(on_their_way(DOCUMENTS[kind]))

    found = presences(kind, arrived)

    for device, truth in TRUTHS[kind].items():
        if truth is Presence.PRESENT:
            assert found.get(device) is not Presence.ABSENT, device


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_single_damage_turns_present_into_absent(kind: str) -> None:
    """The same for each value by itself, so that none is left to chance."""
    for number, document in enumerate(DOCUMENTS[kind]):
        for place in range(sum(1 for _ in places(document))):
            for value in SPOILT:
                spoilt = copy.deepcopy(DOCUMENTS[kind])
                holder, key = list(places(spoilt[number]))[place]
                spoil(holder, key, value)

                found = presences(kind, spoilt)

                for device, truth in TRUTHS[kind].items():
                    if truth is Presence.PRESENT:
                        assert found.get(device) is not Presence.ABSENT, (device, key, value)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_row_that_names_nothing_may_be_any_app(kind: str) -> None:
    spoilt = copy.deepcopy(DOCUMENTS[kind])
    for document in spoilt:
        for holder, key in list(places(document)):
            if key in {"applications", "applicationReports", "software"}:
                for row in holder[key] or ():
                    row.clear()

    found = presences(kind, spoilt)
    had_it = [device for device, truth in TRUTHS[kind].items() if truth is Presence.PRESENT]
    assert {found[device] for device in had_it} == {Presence.UNKNOWN}
