"""Which names to log in with are kept of a person: folded as doors fold them, and none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.device_key import normal_login
from countermand.domain.directory import logins_beside

ADDRESS = "asha@example.org"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("AVerma", "averma"),
        ("Asha@CORP.example.org", "asha@corp.example.org"),
        (r"CORP\AVerma", r"corp\averma"),  # whole: in another domain it may be somebody else's
        ("\uff41\uff53\uff48\uff41", "asha"),
        ("आशा@कंपनी.भारत", "आशा@xn--i1b1b4ch5i.xn--h2brj9c"),
    ],
)
def test_a_login_is_kept_as_doors_fold_it(name: str, kept: str) -> None:
    assert logins_beside(ADDRESS, (name,)) == (kept,)


@pytest.mark.parametrize(
    "name", ["", "  ", ADDRESS, "Asha@Example.Org", "a" * 321, "a\x00b", "asha\u2028k", "a\tb"]
)
def test_the_address_itself_and_what_is_no_login_are_left_out(name: str) -> None:
    assert logins_beside(ADDRESS, (name, "")) == ()


def test_an_address_that_doors_fold_differently_is_no_login_beside_itself() -> None:
    assert logins_beside("straße@example.org", ("strasse@example.org",)) == ()


@given(st.lists(st.text(max_size=12)))
def test_logins_are_their_own_folded_form_each_once_and_never_the_address(names: list[str]) -> None:
    found = logins_beside(ADDRESS, names)

    assert len(set(found)) == len(found)
    assert ADDRESS not in found
    assert all(normal_login(login) == login and login for login in found)
