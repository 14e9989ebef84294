"""What a device password looks like, where it is found, and who may have one."""

import itertools
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.domain import device_password
from countermand.domain.device_stages import Stage, stage_of

WORDS = re.compile(r"[2-9a-hj-km-np-z]{4}(-[2-9a-hj-km-np-z]{4}){4}")


def test_a_password_is_five_groups_without_letters_that_look_alike() -> None:
    fresh = device_password.fresh(os.urandom(device_password.RANDOM_BYTES), kind="phone")

    assert WORDS.fullmatch(fresh.text)
    assert fresh.text.startswith(f"{fresh.tag}-")
    assert re.fullmatch(r"phone-[2-9a-z]{8}", fresh.device_name)


def test_every_letter_is_as_likely_as_any_other() -> None:
    # Of 256 bytes 248 are used: eight for each of the 31 letters.
    drawn = [list(device_password._letters(bytes([byte]))) for byte in range(256)]
    letters = list(itertools.chain.from_iterable(drawn))

    assert len(letters) == 248
    assert {letters.count(letter) for letter in letters} == {8}


@given(st.binary(min_size=200, max_size=200).filter(lambda raw: len(set(raw)) > 50))
def test_the_name_of_the_device_says_nothing_about_the_password(random: bytes) -> None:
    fresh = device_password.fresh(random, kind="../../etc")

    assert fresh.device_name.startswith("device-")
    assert len(fresh.text) == 24


@pytest.mark.parametrize(
    "login",
    ["asha@amber.example", "o'neil+post@amber.example", "अशा@example.org", "a_b-c.d@x.example"],
)
def test_an_ordinary_login_fits_the_mail_server(login: str) -> None:
    assert device_password.fits_mail_server(login)


@pytest.mark.parametrize(
    "login",
    ["", "*@amber.example", "as?a@amber.example", "a\tb@x.example", "a\nb@x.example", "a/b@x.y",
     "a:b@x.example", "no-address", "a b@x.example", "a\x00@x.example"],
)  # fmt: skip
def test_a_login_that_means_more_to_a_mail_server_does_not(login: str) -> None:
    assert not device_password.fits_mail_server(login)


def test_logins_spread_over_the_files() -> None:
    found = [device_password.shard_of(f"p{n}@amber.example") for n in range(40_960)]
    sizes = [found.count(shard) for shard in range(0, device_password.SHARDS, 64)]

    assert all(0 <= shard < device_password.SHARDS for shard in found)
    assert max(sizes) < 40


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ({}, Stage.ACTIVESYNC_ONLY),
        ({"*": Stage.VOLUNTEERS}, Stage.VOLUNTEERS),
        ({"pilots": Stage.NEW_DEVICES}, Stage.NEW_DEVICES),
        ({"*": Stage.VOLUNTEERS, "pilots": Stage.MAIN_PASSWORD_LIMITED},
         Stage.MAIN_PASSWORD_LIMITED),
        ({"*": Stage.NEW_DEVICES, "pilots": Stage.ACTIVESYNC_ONLY}, Stage.NEW_DEVICES),
        ({"others": Stage.MAIN_PASSWORD_LIMITED}, Stage.ACTIVESYNC_ONLY),
    ],
)  # fmt: skip
def test_somebody_stands_where_their_furthest_group_stands(
    stages: dict[str, Stage], expected: Stage
) -> None:
    assert stage_of({"pilots", "all-staff"}, stages) is expected


def test_only_the_last_stage_changes_what_the_main_password_opens() -> None:
    assert [stage for stage in Stage if stage.limits_main_password] == [Stage.MAIN_PASSWORD_LIMITED]
    assert [stage for stage in Stage if not stage.issues] == [Stage.ACTIVESYNC_ONLY]


def test_a_mail_server_may_call_a_person_by_every_spelling_and_login() -> None:
    found = device_password.names_in_files(
        "ram@xn--p1b6ci4b4b3a.xn--h2brj9c", ["ram", r"corp\ram", "r a m", "ram/x", "r*", "ram"]
    )

    assert found == ("ram@xn--p1b6ci4b4b3a.xn--h2brj9c", "ram@उदाहरण.भारत", "ram", r"corp\ram")
