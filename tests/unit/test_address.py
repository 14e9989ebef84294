"""One form for every address: whoever is written in two ways is one person."""

import pytest

from countermand.domain.address import ascii_domain, folded_address, folded_name, shown_address
from countermand.domain.mail_limits import apart
from countermand.domain.order_parts import PeopleScope
from countermand.domain.scope import PersonFacts, names_meant
from countermand.orders.pace import Pace
from tests.order_samples import NOW

HINDI = "asha@कंपनी.भारत"
ASCII = "asha@xn--i1b1b4ch5i.xn--h2brj9c"


@pytest.mark.parametrize(
    "text", [HINDI, ASCII, "Asha@XN--I1B1B4CH5I.XN--H2BRJ9C", " mailto:asha@कंपनी。भारत "]
)
def test_a_domain_in_other_letters_has_one_form(text: str) -> None:
    assert folded_address(text) == ASCII


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("आशा@कंपनी.भारत", "आशा@xn--i1b1b4ch5i.xn--h2brj9c"),
        ("a@straße.example", "a@xn--strae-oqa.example"),  # the older rules made it strasse
        ("a@क्\u200dष.भारत", "a@xn--11b2ezcw70k.xn--h2brj9c"),  # and dropped this joiner
        ("a@an_underscore.भारत", "a@an_underscore.भारत"),
        ("a@" + "क" * 300, "a@" + "क" * 300),
        ("आशा", "आशा"),  # a key of the directory
    ],
)
def test_what_can_be_written_in_ascii_is_and_the_rest_stays(text: str, folded: str) -> None:
    assert folded_name(text) == folded


def test_no_label_grows_past_what_a_server_takes() -> None:
    assert ascii_domain("क" * 70 + ".भारत") == "क" * 70 + ".भारत"


def test_an_order_means_whoever_it_names_in_either_form() -> None:
    asha = PersonFacts(1, "emp-1", ASCII, frozenset(), "IN")

    for named in (HINDI, ASCII, "emp-1"):
        meant = PeopleScope(frozenset(), frozenset({named}), frozenset(), frozenset())
        assert names_meant(meant) & asha.names


def test_a_domain_has_one_limit_however_it_is_written() -> None:
    pace = Pace({ascii_domain("कंपनी.भारत"): 1})

    assert [pace.due(each, NOW) for each in (HINDI, ASCII)] == [NOW, NOW + apart(1)]


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (ASCII, HINDI),
        ("asha@example.org", "asha@example.org"),
        ("xn--asha@example.org", "xn--asha@example.org"),
        ("asha@xn--not-a-label-.example", "asha@xn--not-a-label-.example"),
        ("xn--i1b1b4ch5i", "xn--i1b1b4ch5i"),  # a key of the directory, and no address
    ],
)
def test_people_are_shown_a_domain_in_its_own_letters(kept: str, shown: str) -> None:
    assert shown_address(kept) == shown
