"""Who is affected, who comes first, and when a plan no longer holds."""

from collections import Counter
from datetime import timedelta

import pytest

from countermand.domain.order_parts import Share
from countermand.domain.plan import (
    AffectedBy,
    Candidate,
    Drift,
    affected,
    first_group,
    is_surge,
    is_too_old,
    plan_faults,
    shortest_notice,
    waves,
)
from countermand.domain.presence import Presence
from tests.order_samples import NOW, read_order, whole_order

HOUR = timedelta(hours=1)


def person(
    number: int, *presences: Presence, language: str = "en", platform: str = "android"
) -> Candidate:
    return Candidate(number, language, frozenset({platform}), presences)


def test_only_proven_absence_on_every_device_leaves_somebody_out() -> None:
    found = affected(
        [
            person(1, Presence.PRESENT),
            person(2, Presence.UNKNOWN),
            person(3, Presence.UNOBSERVABLE),
            person(4, Presence.ABSENT, Presence.UNKNOWN),
            person(5, Presence.ABSENT, Presence.ABSENT),
            person(6),
        ],
        author_id=1,
        approver_id=None,
    )

    assert set(found) == {1, 2, 3, 4}


def test_author_and_one_approver_get_what_everybody_gets() -> None:
    found = affected([person(1, Presence.PRESENT)], author_id=8, approver_id=9)

    assert found == {
        1: AffectedBy.DEVICE,
        8: AffectedBy.AUTHOR,
        9: AffectedBy.APPROVER,
    }


def test_the_first_group_is_small_and_holds_author_and_approver() -> None:
    everybody = [person(number, Presence.PRESENT) for number in range(2000)]

    first = first_group(everybody, digest="d", share=Share(100), always=[3, 4])

    assert {3, 4} <= first
    assert len(first) == 20


@pytest.mark.parametrize(("people", "size"), [(3, 3), (100, 5), (1000, 10), (25_000, 200)])
def test_the_first_group_has_between_five_and_two_hundred_people(people: int, size: int) -> None:
    everybody = [person(number, Presence.PRESENT) for number in range(people)]

    assert len(first_group(everybody, digest="d", share=Share(100), always=[])) == size


def test_the_first_group_has_somebody_for_each_language_and_kind_of_device() -> None:
    kinds = [("en", "android"), ("hi", "android"), ("hi", "ios"), ("ta", "ios"), ("en", "ios")]
    everybody = [
        person(number, Presence.PRESENT, language=language, platform=platform)
        for number, (language, platform) in enumerate(kinds)
    ] + [person(number, Presence.PRESENT) for number in range(100, 600)]

    first = first_group(everybody, digest="d", share=Share(100), always=[])

    assert set(range(1, 5)) <= first


def test_everybody_is_in_one_wave_and_the_first_group_in_wave_nought() -> None:
    people = range(95)

    found = waves(people, digest="d", first=[1, 2], share=Share(1000))

    assert set(found) == set(people)
    assert {who for who, wave in found.items() if wave == 0} == {1, 2}
    sizes = [list(found.values()).count(wave) for wave in range(1, max(found.values()) + 1)]
    assert max(sizes) == 10
    assert sum(sizes) == 93


@pytest.mark.parametrize(
    ("people", "came", "went", "too_much"),
    [
        (100, 25, 0, False),
        (100, 20, 6, True),
        (10_000, 50, 0, False),
        (10_000, 30, 21, True),
        (0, 25, 0, False),
    ],
)
def test_a_plan_drifts_beyond_25_people_or_half_a_per_cent(
    people: int, came: int, went: int, *, too_much: bool
) -> None:
    before = range(people)
    after = [*range(went, people), *range(people, people + came)]

    assert Drift.between(before, after).is_too_much() is too_much


def test_a_plan_holds_for_a_day_and_not_when_the_clock_went_back() -> None:
    assert not is_too_old(NOW, NOW + 24 * HOUR)
    assert is_too_old(NOW, NOW + 24 * HOUR + timedelta(seconds=1))
    assert is_too_old(NOW, NOW - HOUR)


def test_more_late_joiners_than_the_cap_are_a_surge() -> None:
    assert not is_surge(joined_today=20, people=1000, cap_per_day=Share(200))
    assert is_surge(joined_today=21, people=1000, cap_per_day=Share(200))
    assert not is_surge(joined_today=1, people=3, cap_per_day=Share(200))


def test_whoever_is_furthest_east_has_the_least_time() -> None:
    deadline = read_order(whole_order()).deadline

    left = shortest_notice(deadline, ["Europe/Berlin", "Asia/Kolkata", "America/New_York"], NOW)

    assert left == timedelta(days=7, hours=8)  # 11:30 UTC on 17 July, from 03:30 on 10 July


def test_a_plan_names_who_would_have_too_little_time() -> None:
    # 72 hours in New York, nine and a half fewer in India.
    order = read_order(whole_order(deadline={"at": "2020-07-13T08:00", "clock": "each-person"}))

    east = plan_faults(order, languages=["en"], zones=["Asia/Kolkata"], now=NOW)
    west = plan_faults(order, languages=["en"], zones=["America/New_York"], now=NOW)

    assert [fault.code for fault in east] == ["order.deadline_too_soon"]
    assert west == ()


def test_a_language_of_the_people_without_text_is_a_fault_unless_there_is_a_fallback() -> None:
    spoken = ["en", "hi-IN", "ta"]
    plain = read_order(whole_order())
    cared_for = read_order(whole_order(fallback_language="en"))

    (fault,) = plan_faults(plain, languages=spoken, zones=["UTC"], now=NOW)

    assert dict(fault.facts)["language"] == "ta"
    assert plan_faults(cared_for, languages=spoken, zones=["UTC"], now=NOW) == ()


def test_a_wave_holds_people_of_one_group_the_smallest_first() -> None:
    everybody = range(100)
    groups = {person: "IN" if person < 70 else "GB" for person in everybody}
    found = waves(everybody, digest="d", first=[], share=Share(2000), groups=groups)

    held: dict[int, set[str]] = {}
    for person, wave in found.items():
        held.setdefault(wave, set()).add(groups[person])
    assert all(len(names) == 1 for names in held.values())
    assert held[1] == held[2] == {"GB"}
    assert set(found) == set(everybody)
    assert max(Counter(found.values()).values()) <= 20


def test_a_ramp_doubles_each_wave() -> None:
    found = waves(range(100), digest="d", first=[], share=Share(500), doubles=True)

    assert [Counter(found.values())[wave] for wave in (1, 2, 3, 4, 5)] == [5, 10, 20, 40, 25]
