"""What was taken away is forgotten once every gate knows, and in a week at the latest."""

from datetime import timedelta
from pathlib import Path

import pytest

from countermand.enforcement import door_counts, purging
from countermand.enforcement.actions import Publisher, clear, compile_entries
from countermand.enforcement.door_counts import Said
from countermand.enforcement.models import DoorEntry, FeedMark
from countermand.enforcement.queries import feed_version
from tests.gate_world import ORDER, door, make_folder, now

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
GATES = ("http://g1", "http://g2")


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher.load(make_folder(tmp_path))


def heard(gate: str, version: int) -> None:
    door_counts.keep(Said(gate, "", {}, version), now=now())


def taken_away(publisher: Publisher) -> None:
    compile_entries(
        ORDER, [door("phone-a"), door("b", device_id=2)], publisher=publisher, now=now()
    )
    clear(ORDER, publisher=publisher, now=now())
    compile_entries("CM-2222", [door("phone-c")], publisher=publisher, now=now())


def test_a_mark_stays_until_every_gate_has_read_past_it(publisher: Publisher) -> None:
    taken_away(publisher)
    newest = feed_version()

    assert purging.purge(GATES, now=now()) == 0
    heard(GATES[0], newest)
    assert purging.purge(GATES, now=now()) == 0
    heard(GATES[1], 1)
    assert purging.purge(GATES, now=now()) == 0
    heard(GATES[1], newest)
    assert purging.purge(GATES, now=now()) == 2

    assert [row.device_key for row in DoorEntry.objects.all()] == ["phone-c"]


def test_of_its_newest_version_a_gate_may_have_read_a_part_only(publisher: Publisher) -> None:
    compile_entries(ORDER, [door("phone-a")], publisher=publisher, now=now())
    clear(ORDER, publisher=publisher, now=now())
    for gate in GATES:
        heard(gate, feed_version())

    assert purging.purge(GATES, now=now()) == 0


def test_after_a_week_no_gate_is_waited_for(publisher: Publisher) -> None:
    taken_away(publisher)
    begin = now()

    assert purging.purge(GATES, now=begin) == 0
    assert purging.purge(GATES, now=begin + purging.LONGEST - DAY) == 0
    assert purging.purge(GATES, now=begin + purging.LONGEST) == 2
    assert purging.purge((), now=begin + purging.LONGEST) == 0


def test_what_stands_is_never_purged(publisher: Publisher) -> None:
    taken_away(publisher)
    begin = now()
    purging.purge((), now=begin)

    purging.purge((), now=begin + 10 * DAY)

    assert DoorEntry.objects.filter(deleted=False).count() == 1
    assert not DoorEntry.objects.filter(deleted=True).exists()


def test_the_marks_of_time_stay_few(publisher: Publisher) -> None:
    begin = now()
    for hour in range(0, 24 * 12, 24):
        changed = door("phone-a", closes_at=begin + timedelta(hours=hour))
        compile_entries(ORDER, [changed], publisher=publisher, now=begin)
        purging.purge((), now=begin + timedelta(hours=hour))

    assert FeedMark.objects.count() <= 7 + 1
