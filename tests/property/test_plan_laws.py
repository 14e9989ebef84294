"""Laws of plans: drawn by the digest alone, everybody once, and no deadline is ever earlier."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.order_parts import EachPersonsClock, Share
from countermand.domain.plan import Candidate, first_group, waves
from countermand.domain.presence import Presence
from countermand.domain.revision import AffectedLine, affected_root
from countermand.domain.schedule import is_quiet, outside_quiet_hours, own_deadline

numbers = st.sets(st.integers(min_value=1, max_value=10_000), min_size=1, max_size=60)
shares = st.builds(Share, st.integers(min_value=1, max_value=10_000))
digests = st.text("0123456789abcdef", min_size=4, max_size=8)
zones = st.sampled_from(
    ["Asia/Kolkata", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "UTC", "nowhere"]
)
instants = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  (Hypothesis wants naive bounds)
    max_value=datetime(2021, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def candidates(people: set[int]) -> list[Candidate]:
    languages, platforms = ("en", "hi", "ta"), ("android", "ios")
    return [
        Candidate(n, languages[n % 3], frozenset({platforms[n % 2]}), (Presence.PRESENT,))
        for n in people
    ]


@given(numbers, digests, shares, st.randoms())
def test_the_first_group_hangs_on_the_digest_and_not_on_the_order_of_people(
    people: set[int], digest: str, share: Share, chance: Any
) -> None:
    found = candidates(people)
    shuffled = list(found)
    chance.shuffle(shuffled)

    first = first_group(found, digest=digest, share=share, always=[])

    assert first == first_group(shuffled, digest=digest, share=share, always=[])
    assert first <= people
    kinds = {(c.language, *c.platforms) for c in found}
    assert kinds == {(c.language, *c.platforms) for c in found if c.person_id in first}


@given(numbers, digests, shares)
def test_everybody_is_told_once_in_waves_without_a_gap(
    people: set[int], digest: str, share: Share
) -> None:
    first = first_group(candidates(people), digest=digest, share=share, always=[])

    found = waves(people, digest=digest, first=first, share=share)

    assert set(found) == people
    assert set(found.values()) | {0} == set(range(max(found.values()) + 1))
    assert all(
        list(found.values()).count(wave) <= share.of(len(people)) for wave in found.values() if wave
    )


@given(numbers, st.randoms())
def test_the_root_of_the_list_names_its_people_and_not_their_order(
    people: set[int], chance: Any
) -> None:
    lines = [AffectedLine(f"ref{n}", n % 3, "device") for n in people]
    shuffled = list(lines)
    chance.shuffle(shuffled)

    assert affected_root(lines) == affected_root(shuffled)
    assert affected_root(lines) != affected_root(lines[1:])


@given(
    zones,
    st.none() | instants,
    st.none() | st.integers(min_value=1, max_value=500).map(lambda h: timedelta(hours=h)),
    st.none() | st.dates(date(2020, 7, 1), date(2020, 9, 1)),
    st.none() | instants,
)
def test_nobodys_own_deadline_is_earlier_than_the_orders(
    zone: str,
    told_at: datetime | None,
    own_notice: timedelta | None,
    absent_until: date | None,
    extension_until: datetime | None,
) -> None:
    deadline = EachPersonsClock(date(2020, 7, 17), time(17))

    own = own_deadline(
        deadline,
        zone,
        told_at=told_at,
        own_notice=own_notice,
        absent_until=absent_until,
        extension_until=extension_until,
    )

    assert own >= deadline.in_zone(zone)
    if told_at and own_notice:
        assert own >= told_at + own_notice
    if extension_until:
        assert own >= extension_until


@given(instants, zones, instants)
def test_no_reminder_leaves_at_night(at: datetime, zone: str, before: datetime) -> None:
    assert not is_quiet(outside_quiet_hours(at, zone, before=before), zone)
