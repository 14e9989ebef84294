"""Laws of order numbers: they are read back, and one slip is always noticed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from countermand.domain.order_number import (
    ALPHABET,
    CheckCharacterWrong,
    OrderNumber,
    generate,
    nearest,
)

numbers = st.builds(
    generate, st.binary(min_size=16, max_size=16), length=st.integers(min_value=4, max_value=8)
)


@given(numbers)
def test_a_number_is_read_back_from_its_text(number: OrderNumber) -> None:
    assert OrderNumber.parse(str(number)) == number
    assert OrderNumber.parse(number.text.lower().replace("-", " ")) == number


@given(numbers, st.data())
def test_one_wrong_character_is_always_noticed(number: OrderNumber, data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=3, max_value=len(number.text) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET))
    assume(wrong != number.text[place])

    with pytest.raises(CheckCharacterWrong):
        OrderNumber.parse(number.text[:place] + wrong + number.text[place + 1 :])


@given(numbers, st.data())
def test_two_swapped_characters_are_always_noticed(
    number: OrderNumber, data: st.DataObject
) -> None:
    places = st.integers(min_value=3, max_value=len(number.text) - 1)
    first, second = sorted((data.draw(places), data.draw(places)))
    assume(number.text[first] != number.text[second])
    swapped = list(number.text)
    swapped[first], swapped[second] = swapped[second], swapped[first]

    with pytest.raises(CheckCharacterWrong):
        OrderNumber.parse("".join(swapped))


@given(st.lists(numbers, max_size=5))
def test_the_nearest_of_a_known_number_is_itself(known: list[OrderNumber]) -> None:
    for number in known:
        assert nearest(number.text, [each.text for each in known]) == number.text
