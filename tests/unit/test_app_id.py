"""How apps are recognised, and which identifiers may close a door."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.catalogue.queries import UnknownApp, UnknownAppButNear, catalogue
from countermand.domain.app_id import (
    BARE_NAMES,
    PLATFORMS_OF,
    Grade,
    IdentifierKey,
    IdentifierKind,
    IdentifierNotUnderstood,
    Matcher,
    Platform,
    SignedIdentifier,
    WantedApp,
)
from countermand.domain.catalogue_view import editions_named

APPS = catalogue()
TIKTOK = "com.zhiliaoapp.musically"


def matcher(*apps: str, signed: tuple[SignedIdentifier, ...] = ()) -> Matcher:
    return Matcher(APPS.wanted(apps, signed))


def test_every_kind_of_identifier_says_where_it_can_be_met() -> None:
    assert set(PLATFORMS_OF) == set(IdentifierKind)


@given(st.sampled_from(IdentifierKind), st.text(min_size=1).filter(lambda t: t == t.strip()))
def test_the_text_of_an_identifier_reads_back(kind: IdentifierKind, value: str) -> None:
    key = IdentifierKey(kind, value)

    assert IdentifierKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "tiktok", "app:x", "android_package:", "android_package: x"])
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(IdentifierNotUnderstood):
        IdentifierKey.parse(text)


@pytest.mark.parametrize(
    ("status", "grade"),
    [
        ("confirmed by tiktok-h1, delta", Grade.CONFIRMED),
        ("claimed by ban-hm only; unconfirmed", Grade.CLAIMED),
        ("recalled", Grade.RECALLED),
        ("recalled, confirmed by nobody", Grade.RECALLED),
        ("surely confirmed", Grade.RECALLED),
        ("", Grade.RECALLED),
    ],
)
def test_a_grade_is_what_a_status_begins_with_and_otherwise_the_weakest(
    status: str, grade: Grade
) -> None:
    assert Grade.of_status(status) is grade


def test_an_identifier_is_matched_exactly_and_case_is_kept() -> None:
    tiktok = matcher("tiktok")

    assert tiktok.by_identifier(Platform.ANDROID, TIKTOK)
    assert not tiktok.by_identifier(Platform.ANDROID, TIKTOK.upper())
    assert not tiktok.by_identifier(Platform.ANDROID, f"{TIKTOK}.go")
    assert not tiktok.by_identifier(Platform.WINDOWS, TIKTOK)
    assert matcher("uc-browser").by_identifier(Platform.ANDROID, "com.UCMobile.intl")
    assert not matcher("uc-browser").by_identifier(Platform.ANDROID, "com.ucmobile.intl")


def test_a_bare_name_is_matched_whole_and_may_not_close() -> None:
    tiktok = matcher("tiktok")

    assert [m.may_close for m in tiktok.by_name(" tiktok ")] == [False]
    assert not tiktok.by_name("TikTok Studio")
    assert not tiktok.by_name("Tick Tock Timer")


def test_a_signed_name_closes_with_its_publisher_alone() -> None:
    key = IdentifierKey(IdentifierKind.INTUNE_NAME, "TikTok")
    signed = matcher("tiktok", signed=(SignedIdentifier("tiktok", key, "TikTok Ltd."),))

    assert [m.may_close for m in signed.by_name("TikTok", "tiktok ltd.")] == [True]
    assert [m.may_close for m in signed.by_name("TikTok", "Somebody Else")] == [False]
    assert [m.may_close for m in signed.by_name("TikTok")] == [False]


def test_a_claimed_identifier_warns_until_it_is_signed() -> None:
    package = "com.ss.android.ugc.trill.go"
    signature = SignedIdentifier(
        "tiktok-lite", IdentifierKey(IdentifierKind.ANDROID_PACKAGE, package)
    )

    unsigned = matcher("tiktok-lite").by_identifier(Platform.ANDROID, package)
    signed = matcher("tiktok-lite", signed=(signature,)).by_identifier(Platform.ANDROID, package)

    assert [m.may_close for m in unsigned] == [False]
    assert [m.may_close for m in signed] == [True]


def test_an_identifier_that_another_program_carries_may_not_close() -> None:
    found = matcher("douyin").by_identifier(Platform.ANDROID, "com.ss.android.ugc.aweme")
    other = matcher("douyin").by_identifier(Platform.ANDROID, "com.ss.android.ugc.aweme.lite")

    assert [m.may_close for m in found] == [False]
    assert [m.may_close for m in other] == [True]


def test_a_complete_answer_has_looked_for_what_the_order_means_on_that_platform() -> None:
    key = IdentifierKey(IdentifierKind.NAME, "TikTok")
    wanted = WantedApp("tiktok", APPS.identifiers("tiktok"), (), (SignedIdentifier("tiktok", key),))

    assert TIKTOK in wanted.asked_for(Platform.IOS)
    assert "com.ss.android.ugc.trill" not in wanted.asked_for(Platform.IOS)
    assert "TikTok" in wanted.asked_for(Platform.LINUX)


def test_the_catalogue_holds_what_was_counted_when_it_was_made() -> None:
    grades = [i.grade for app in APPS.apps.values() for i in app.identifiers]

    assert len(APPS.apps) == 67
    assert {grade: grades.count(grade) for grade in Grade} == {
        Grade.CONFIRMED: 112,
        Grade.CLAIMED: 27,
        Grade.RECALLED: 26,
    }
    assert len(APPS.unresolved_names) == 10


def test_no_identifier_is_both_used_and_forbidden_under_one_name() -> None:
    for app in APPS.apps.values():
        forbidden = {entry.key for entry in app.do_not_use}
        assert forbidden.isdisjoint(identifier.key for identifier in app.identifiers)


def test_nothing_that_may_close_is_a_bare_name_claimed_or_shared() -> None:
    for app in APPS.apps.values():
        for identifier in app.identifiers:
            if identifier.may_close:
                assert identifier.kind not in BARE_NAMES
                assert identifier.status.startswith("confirmed")
                assert not identifier.known_collision


def test_a_forbidden_identifier_says_why() -> None:
    wrong = IdentifierKey(IdentifierKind.APP_STORE_ID, "641062073")

    refused = APPS.refused(wrong)

    assert refused is not None
    assert refused.app_id == "tiktok-companions"
    assert "typing error" in refused.why
    assert APPS.refused(IdentifierKey(IdentifierKind.APP_STORE_ID, "1641062073")) is None


@pytest.mark.parametrize("written", ["tik-tok", "TikTok", "टिकटॉक", "tiktk"])
def test_an_unknown_app_is_answered_with_the_one_that_was_probably_meant(written: str) -> None:
    with pytest.raises(UnknownAppButNear) as error:
        APPS.app(written)

    assert error.value.suggestion == "tiktok"


def test_an_app_that_is_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(UnknownApp, match="tiktok-lite") as error:
        APPS.app("something-else-entirely")

    assert not isinstance(error.value, UnknownAppButNear)


def test_editions_are_separate_entries() -> None:
    assert editions_named(APPS, "TikTok") == ("tiktok", "tiktok-companions", "tiktok-lite")
    lite = IdentifierKey(IdentifierKind.ANDROID_PACKAGE, f"{TIKTOK}.go")
    assert lite in {identifier.key for identifier in APPS.identifiers("tiktok-lite")}
    assert lite not in {identifier.key for identifier in APPS.identifiers("tiktok")}


def test_whoever_writes_a_hindi_name_is_told_which_app_has_it() -> None:
    assert APPS.nearest("टिकटॉक") == "tiktok"
