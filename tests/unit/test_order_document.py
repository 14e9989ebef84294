"""An order is read whole or refused with every fault; its digest names all of its content."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from countermand.domain.app_id import TargetKind
from countermand.domain.canonical_json import digest
from countermand.domain.errors import Fault, FaultsFound
from countermand.domain.order_document import content
from countermand.domain.order_parts import (
    EachPersonsClock,
    Go,
    OneInstant,
    Remedy,
    Send,
    Share,
    Variant,
)
from countermand.domain.phases import Enforcement
from countermand.domain.plain_values import plain
from tests.order_samples import NOW, read_order, whole_order

BOTH = {"en": "In English.", "hi": "हिंदी में।"}


def faults(now: datetime = NOW, **changes: Any) -> list[Fault]:
    with pytest.raises(FaultsFound) as refused:
        read_order(whole_order(**changes), now=now)
    return list(refused.value)


def codes(**changes: Any) -> list[str]:
    return [fault.code.removeprefix("order.") for fault in faults(**changes)]


def content_of(**changes: Any) -> dict[str, Any]:
    return content(
        read_order(whole_order(**changes)),
        affected_root="a" * 64,
        words_digest="b" * 64,
        sender={"from": "orders@example.org"},
    )


def test_a_whole_order_is_read_with_careful_defaults() -> None:
    order = read_order(whole_order())

    assert order.targets == {TargetKind.APP}
    assert order.remedies == (Remedy.REMOVE_APP,)
    assert order.rollout.go is Go.BY_PERSON
    assert order.rollout.hold == timedelta(minutes=10)
    assert order.scope.late_joiners.until == date(2021, 1, 10)
    assert [step.send for step in order.steps] == [
        Send.REMINDER,
        Send.REMINDER,
        Send.LOCK_NOTICE,
        Send.CLOSE_DOOR,
    ]


def test_an_order_that_closes_no_door_has_reminders_only() -> None:
    order = read_order(whole_order(enforcement="none"))

    assert {step.send for step in order.steps} == {Send.REMINDER}


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    found = codes(
        mode="alive", apps=["tiktak"], evidence=None, hearing=None, approvers=[], colour="red"
    )

    assert sorted(found) == [
        "app_unknown",
        "approvers_missing",
        "evidence_missing",
        "hearing_missing",
        "key_unknown",
        "value_not_understood",
    ]


def test_an_unknown_key_is_answered_with_the_nearest_one() -> None:
    fault = next(
        fault for fault in faults(review_on=None, reviewon="2021-01-10") if "unknown" in fault.code
    )

    assert ("nearest", "review_on") in fault.facts


def test_an_unknown_app_is_answered_with_the_nearest_one() -> None:
    (fault,) = faults(apps=["tiktok-light"])

    assert ("nearest", "tiktok-lite") in fault.facts


def test_where_nothing_is_near_no_word_is_suggested() -> None:
    said = [str(fault) for fault in faults(apps=["zzzzzzzzz"], qqqqqqqq="red")]

    assert len(said) == 2
    assert not any("Did you mean" in each for each in said)
    assert "tiktok-lite" in said[0] + said[1]
    assert "review_on" in said[0] + said[1]


def test_a_deadline_by_each_persons_clock_has_an_hour_for_everybody() -> None:
    deadline = read_order(whole_order()).deadline

    assert isinstance(deadline, EachPersonsClock)
    assert deadline.in_zone("Asia/Kolkata") == datetime(2020, 7, 17, 11, 30, tzinfo=UTC)


def test_a_deadline_with_a_zone_is_one_instant() -> None:
    deadline = read_order(whole_order(deadline={"at": "2020-07-17T17:00+05:30"})).deadline

    assert deadline == OneInstant(datetime(2020, 7, 17, 11, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("deadline", "found"),
    [
        (
            {"at": "2020-07-10"},
            {"deadline_hour_missing", "deadline_zone_missing", "deadline_too_soon"},
        ),
        ({"at": "2020-07-17T17:00"}, {"deadline_zone_missing"}),
        ({"at": "2020-07-17", "clock": "each-person"}, {"deadline_hour_missing"}),
        ({"at": "2020-07-13T03:29Z"}, {"deadline_too_soon"}),
        ({"clock": "each-person"}, {"deadline_missing"}),
        ({"at": "soon", "clock": "each-person"}, {"value_not_understood"}),
        ({"at": "2020-07-17T17:00Z", "clock": "each-person"}, {"deadline_two_clocks"}),
    ],
)
def test_a_deadline_needs_an_hour_a_clock_and_time_to_act(
    deadline: dict[str, str], found: set[str]
) -> None:
    assert set(codes(deadline=deadline)) == found


def test_seventy_two_hours_to_the_minute_are_enough() -> None:
    read_order(whole_order(deadline={"at": "2020-07-13T03:30Z"}))


def test_an_emergency_may_be_sooner_with_a_third_approver() -> None:
    hasty = {"deadline": {"at": "2020-07-10T18:00Z"}, "emergency": BOTH}

    assert codes(**hasty) == ["approvers_missing"]
    read_order(whole_order(**hasty, approvers=["a@x.org", "b@x.org", "c@x.org"]))


def test_refusing_until_answered_needs_a_third_approver() -> None:
    assert codes(cannot_be_checked="refuse-until-answered") == ["approvers_missing"]


def test_the_same_approver_named_twice_counts_once() -> None:
    assert codes(approvers=["a@x.org", "A@x.org"]) == ["approvers_missing"]


def test_without_people_the_audience_is_missing() -> None:
    assert codes(scope={"devices": {"reads_mail": True}}) == ["audience_missing"]
    assert codes(scope=None) == ["audience_missing"]


def test_one_language_is_enough_only_if_the_order_says_so() -> None:
    def only_english(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: only_english(item) for key, item in value.items() if key != "hi"}
        return [only_english(item) for item in value] if isinstance(value, list) else value

    order = only_english(whole_order())

    with pytest.raises(FaultsFound) as refused:
        read_order(order)
    assert [fault.code for fault in refused.value] == ["order.language_only_one"]
    assert read_order(order | {"fallback_language": "en"}).languages == {"en"}


@pytest.mark.parametrize("key", ["title", "reason", "corrections.mistake", "statement.replaced"])
def test_a_text_that_lacks_one_language_is_a_fault(key: str) -> None:
    order = whole_order()
    *parents, last = key.split(".")
    inner = order
    for parent in parents:
        inner = inner[parent]
    inner[last] = {"en": "Only English."}

    with pytest.raises(FaultsFound) as refused:
        read_order(order)
    assert [(f.code, f.key) for f in refused.value] == [("order.language_text_missing", key)]


def test_a_correction_is_needed_for_each_reason_of_taking_back() -> None:
    assert codes(corrections=None) == ["corrections_missing"] * len(Variant)


@pytest.mark.parametrize(
    ("reason", "count"),
    [
        ("One. Two.", None),
        ("Version 2.0 of it. Two!"[:-1] + ".", None),
        ("One. Two. Three.", "3"),
        ("एक। दो। तीन।", "3"),
        ("One? Two… Three. Four.", "3"),
    ],
)
def test_a_reason_has_at_most_two_sentences(reason: str, count: str | None) -> None:
    given = {"en": reason, "hi": "एक।"}
    if count is None:
        read_order(whole_order(reason=given))
        return
    (fault,) = faults(reason=given)

    assert dict(fault.facts)["count"] == count


@pytest.mark.parametrize(
    "word", ["URGENT: do it", "Do it immediately.", "Do it!", "तुरंत हटा दें", "अंतिम चेतावनी"]
)
def test_alarming_words_are_refused(word: str) -> None:
    assert codes(title={"en": word, "hi": "हिंदी"}) == ["words_alarming"]


def test_a_claimed_identifier_needs_a_signature_with_a_name() -> None:
    claimed = "android_package:com.ss.android.ugc.trill.go"
    order = {"apps": ["tiktok-lite"], "identifiers": [claimed]}
    signed = {"identifier": claimed, "signed_by": "R. Iyer"}

    assert codes(**order) == ["identifier_only_claimed"]
    accepted = read_order(whole_order(**order, signed_identifiers=[signed]))
    assert [(str(i.key), i.may_close) for i in accepted.identifiers] == [(claimed, True)]


def test_an_identifier_that_is_only_claimed_never_closes_a_door_unsigned() -> None:
    order = read_order(whole_order(apps=["tiktok-lite"]))

    assert {str(i.key): i.may_close for i in order.identifiers} == {
        "android_package:com.zhiliaoapp.musically.go": True,
        "android_package:com.ss.android.ugc.trill.go": False,
    }


def test_an_identifier_that_another_program_carries_never_closes_a_door_unsigned() -> None:
    order = read_order(whole_order(apps=["douyin"]))

    assert [i.may_close for i in order.identifiers] == [False]


def test_a_handed_over_order_names_the_policy() -> None:
    named = {"system": "Intune", "policy": "Block app", "owner": "R. Iyer"}

    assert codes(enforcement="handed-over") == ["handed_over_not_named"]
    order = read_order(whole_order(enforcement="handed-over", handed_over=named))
    assert order.enforcement is Enforcement.HANDED_OVER
    assert order.handed_over is not None


@pytest.mark.parametrize("slot", ["{0}", "{}", "{number.real}", "{secret}", "{taken_back_at:>99}"])
def test_only_known_places_can_be_filled(slot: str) -> None:
    texts = {"en": f"It is {slot} now.", "hi": "हिंदी।"}

    assert codes(corrections={v.value: BOTH for v in Variant} | {"mistake": texts}) == [
        "slot_unknown"
    ]


def test_an_order_without_a_number_has_no_content_to_approve() -> None:
    order = read_order(whole_order(number=None))

    with pytest.raises(ValueError, match="number"):
        content(order, affected_root="a", words_digest="b", sender={})


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "exercise"},
        {"enforcement": "cloud"},
        {"apps": ["tiktok-lite"]},
        {"targets": ["app", "desktop"]},
        {"scope": {"people": {"groups": ["all-staff", "board"]}}},
        {"title": {"en": "Another.", "hi": "हिंदी में।"}},
        {"reason": {"en": "In English.", "hi": "और कुछ।"}},
        {"hearing": {"asked_at": "2020-07-02"}},
        {"deadline": {"at": "2020-07-17T17:01", "clock": "each-person"}},
        {"review_on": "2021-01-11"},
        {"fallback_language": "en"},
        {"cannot_be_checked": "ask", "sending_while_paused": "refuse"},
        {"remedies": ["remove-app", "unenrol"]},
        {"rollout": {"soak": "31min"}},
        {"steps": [{"at": "-46min", "send": "lock-notice"}]},
        {"corrections": {v.value: BOTH for v in Variant} | {"mistake": {"en": "A.", "hi": "B।"}}},
        {"statement": {v.value: BOTH for v in Variant} | {"mistake": {"en": "A.", "hi": "B।"}}},
        {"approvers": ["legal@example.org", "board@example.org"]},
        {"exceptions": [{"who": "a@x.org", "until": "2020-08-01", "approved_by": "b@x.org"}]},
        {"amends": "CM-222T"},
        {"author_note": "A word to those who approve."},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_is_changed_in_an_order_changes_its_digest(change: dict[str, Any]) -> None:
    assert digest(content_of(**change)) != digest(content_of())


@pytest.mark.parametrize("key", ["affected_root", "words_digest", "sender"])
def test_list_words_and_sender_are_part_of_the_digest(key: str) -> None:
    changed = content_of() | {key: "other"}

    assert digest(changed) != digest(content_of())


def test_the_same_order_written_differently_has_the_same_digest() -> None:
    other = dict(reversed(whole_order().items()))
    other["scope"] = {"people": {"groups": "all-staff", "countries": ["*"]}}
    other["rollout"] = {"soak": "30min", "hold": "10min", "go": "by-person"}

    assert digest(content_of()) == digest(content_of(**other))


def test_equal_instants_have_one_form() -> None:
    india = datetime.fromisoformat("2020-07-17T17:00+05:30")

    assert plain(OneInstant(india)) == plain(OneInstant(india.astimezone(UTC)))


def test_shares_are_exact_and_rounded_up() -> None:
    assert Share(100).of(2000) == 20
    assert Share(50).of(201) == 2
    assert str(Share(50)) == "0.5%"
    assert str(Share(1000)) == "10%"


def test_an_hour_that_the_clock_shows_twice_counts_the_second_time() -> None:
    twice = EachPersonsClock(date(2020, 10, 25), datetime(2020, 1, 1, 2, 30, tzinfo=UTC).time())
    skipped = replace(twice, day=date(2020, 3, 29))

    assert twice.in_zone("Europe/Berlin") == datetime(2020, 10, 25, 1, 30, tzinfo=UTC)
    assert skipped.in_zone("Europe/Berlin") == datetime(2020, 3, 29, 1, 30, tzinfo=UTC)


def test_a_zone_that_nobody_knows_gets_the_last_place_on_earth() -> None:
    noon = EachPersonsClock(date(2020, 7, 17), datetime(2020, 1, 1, 12, tzinfo=UTC).time())

    for odd in ("Mars/Olympus", "", "../etc/passwd"):
        assert noon.in_zone(odd) == noon.latest()


def test_no_part_of_an_order_is_left_out_of_its_content() -> None:
    order = read_order(whole_order())

    assert set(content_of()["order"]) == {field.name for field in fields(order)}
