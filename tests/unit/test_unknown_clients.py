"""What doors saw and know nothing of: bounded in number, by the second and in time."""

from datetime import UTC, datetime, timedelta

import pytest

from countermand.domain.device_key import door_key
from countermand.gate.answerer import Door
from countermand.gate.unknown_clients import (
    EAS_DEVICE_ID,
    KEPT,
    MOST,
    MOST_NEW_A_SECOND,
    UnknownClients,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def see(saw: UnknownClients, device: str, at: datetime = NOW, login: str = "asha") -> None:
    door = Door(login, device)
    saw.see(door_key(login, device), EAS_DEVICE_ID, lambda: door, lambda: at)


def shown(saw: UnknownClients) -> list[str]:
    return [each["value"] for each in saw.shown(lambda _: False)]


def test_the_newest_are_kept_and_the_last_seen_comes_first() -> None:
    saw = UnknownClients()
    for number in range(MOST + 1):
        saw.forget(NOW)  # another second
        see(saw, f"phone-{number}")
    see(saw, "phone-1")

    assert len(shown(saw)) == MOST
    assert shown(saw)[:2] == ["phone-1", f"phone-{MOST}"]
    assert "phone-0" not in shown(saw)


def test_a_flood_of_new_names_costs_no_reading_after_a_few() -> None:
    saw = UnknownClients()
    read: list[Door] = []

    def door() -> Door:
        read.append(Door("asha", "phone"))
        return read[-1]

    for number in range(10_000):
        saw.see(door_key("asha", f"phone-{number}"), EAS_DEVICE_ID, door, lambda: NOW)

    assert len(read) == MOST_NEW_A_SECOND


def test_after_a_day_it_is_forgotten_unless_it_came_again() -> None:
    saw = UnknownClients()
    see(saw, "old")
    see(saw, "again")
    see(saw, "again", NOW + timedelta(minutes=1))

    saw.forget(NOW + KEPT + timedelta(seconds=1))

    assert shown(saw) == ["again"]


def test_what_has_become_known_is_not_shown() -> None:
    saw = UnknownClients()
    see(saw, "phone-1")

    assert saw.shown(lambda key: key == door_key("asha", "phone-1")) == []


@pytest.mark.parametrize("door", [("", "p"), ("a\nb", "p"), ("a" * 321, "p"), ("a", "p" * 301)])
def test_what_no_person_could_read_is_left_out(door: tuple[str, str]) -> None:
    saw = UnknownClients()

    see(saw, door[1], login=door[0])

    assert shown(saw) == []


def test_one_process_tells_another_once_and_some_at_a_time() -> None:
    first, further = UnknownClients(), UnknownClients()
    for number in range(MOST_NEW_A_SECOND + 1):
        further.forget(NOW)
        see(further, f"phone-{number}")
    see(first, "phone-0", NOW + timedelta(hours=1))

    told = further.take_changes()
    first.add_changes(told)
    first.add_changes(further.take_changes())

    assert len(told) == MOST_NEW_A_SECOND
    assert further.take_changes() == []
    assert len(shown(first)) == MOST_NEW_A_SECOND + 1
    newest = {each["value"]: each["at"] for each in first.shown(lambda _: False)}
    assert newest["phone-0"] == (NOW + timedelta(hours=1)).isoformat()
