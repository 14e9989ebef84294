"""A phone is recognised in every spelling that servers were seen to make of its id."""

import pytest

from countermand.domain.device_key import door_key, normal_device, normal_login


@pytest.mark.parametrize(
    "spelling",
    [
        "v140Device",
        "V140DEVICE",
        " v140Device ",
        b"v140Device",
        b"v140Device".hex(),
        b"v140Device".hex().encode(),
    ],
    ids=repr,
)
def test_text_and_its_hexadecimal_form_meet(spelling: str | bytes) -> None:
    assert normal_device(spelling) == "v140device"


def test_raw_bytes_and_their_hexadecimal_form_meet() -> None:
    raw = bytes.fromhex("5f0c9a11e8d2aa5bbf0139d81c77e402")

    assert normal_device(raw) == normal_device(raw.hex()) == normal_device(raw.hex().upper())


def test_short_ids_of_digits_are_left_alone() -> None:
    assert normal_device("3132") == "3132"


def test_nothing_is_nothing() -> None:
    assert normal_device("") == normal_device(b"") == normal_device("  ") == ""


def test_logins_are_folded() -> None:
    assert normal_login(" Asha@Amber.Example ") == "asha@amber.example"


@pytest.mark.parametrize(
    "domain", ["उदाहरण.भारत", "xn--p1b6ci4b4b3a.xn--h2brj9c", "XN--P1B6CI4B4B3A.xn--h2brj9c"]
)
def test_a_domain_in_either_spelling_is_the_same_login(domain: str) -> None:
    assert normal_login(f"Asha@{domain}") == "asha@xn--p1b6ci4b4b3a.xn--h2brj9c"


@pytest.mark.parametrize("domain", ["straße.de", "xn--strae-oqa.de", "Straße.DE"])
def test_no_login_is_looked_up_under_somebody_elses_domain(domain: str) -> None:
    assert normal_login(f"asha@{domain}") == "asha@xn--strae-oqa.de"
    assert normal_login("asha@strasse.de") == "asha@strasse.de"


def test_the_same_phone_of_two_people_has_two_keys() -> None:
    assert door_key("asha@amber.example", "phone") != door_key("ravi@amber.example", "phone")


def test_a_name_cannot_run_over_into_the_device() -> None:
    assert door_key("asha", "b") != door_key("ash", "ab")
