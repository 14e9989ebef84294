"""Order numbers: how they are typed, mistyped, and found again."""

import pytest

from countermand.domain.order_number import (
    CheckCharacterWrong,
    OrderNumber,
    OrderNumberNotUnderstood,
    generate,
    nearest,
)


@pytest.mark.parametrize(
    "typed",
    ["CM-7Q4K", "cm-7q4k", " CM 7Q4K ", "CM7Q4K", "7q4k", "CM\u20137Q4K", "CM - 7Q4K"],
)
def test_a_number_is_understood_as_people_type_it(typed: str) -> None:
    assert OrderNumber.parse(typed).text == "CM-7Q4K"


def test_a_character_that_looks_like_another_is_read_as_the_one_there_is() -> None:
    number = generate(bytes(15) + b"\x06")  # holds an 8

    assert "8" in number.text
    assert OrderNumber.parse(number.text.replace("8", "B")) == number


@pytest.mark.parametrize(
    "typed", ["", "CM-", "CM-7Q4", "CM-7Q4K7Q4K7", "CM-7Q4O", "CM-7Q4É", "१२३४"]
)
def test_what_is_no_number_is_not_understood(typed: str) -> None:
    with pytest.raises(OrderNumberNotUnderstood):
        OrderNumber.parse(typed)


def test_a_wrong_check_character_is_recognised() -> None:
    with pytest.raises(CheckCharacterWrong):
        OrderNumber.parse("CM-7Q4J")


def test_the_nearest_number_is_offered() -> None:
    known = ["CM-7Q4K", "CM-2222", "CM-XYXY"]

    assert nearest("cm-7q4j", known) == "CM-7Q4K"
    assert nearest("CM-Q74K", known) == "CM-7Q4K"
    assert nearest("CM-HHHH", known) is None
    assert nearest("CM-7Q4K", []) is None


def test_a_number_is_made_of_enough_chance() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        generate(b"short")
