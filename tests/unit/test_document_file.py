"""The YAML of an order: plain values with lines, and nothing that YAML could smuggle in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.errors import FaultsFound
from countermand.orders.document_file import LARGEST_FILE, load


def refused(text: str | bytes) -> tuple[str, int | None]:
    with pytest.raises(FaultsFound) as fault:
        load(text, name="order.yaml")
    (only,) = fault.value
    return only.code, only.line


def test_each_key_has_its_line_and_lists_are_numbered_from_one() -> None:
    mapping, lines = load("a: 1\nb:\n  - x\n  - c: {d: e}\n")

    assert mapping == {"a": 1, "b": ["x", {"c": {"d": "e"}}]}
    assert (lines["a"], lines["b"], lines["b.1"], lines["b.2.c"], lines["b.2.c.d"]) == (
        1,
        2,
        3,
        4,
        4,
    )


def test_dates_shares_and_odd_numbers_stay_the_text_that_was_written() -> None:
    mapping, _ = load("a: 2020-07-10\nb: 2%\nc: 0x10\nd: 1e3\ne: 010\nf: yes\ng: 1.5\n")

    assert list(mapping.values()) == ["2020-07-10", "2%", "0x10", "1e3", "010", "yes", "1.5"]


def test_null_true_false_and_whole_numbers_are_understood_unless_quoted() -> None:
    mapping, _ = load("a: null\nb: ~\nc:\nd: true\ne: -7\nf: 'true'\ng: '7'\n")

    assert list(mapping.values()) == [None, None, None, True, -7, "true", "7"]


def test_a_mark_at_the_beginning_of_a_file_is_no_fault() -> None:
    assert load(b"\xef\xbb\xbfa: 1\n")[0] == {"a": 1}


def test_hindi_is_read_as_it_is_written() -> None:
    text = "\u0915\u0902\u092a\u0928\u0940-\u092e\u0947\u0932"

    assert load(f"hi: {text}\n")[0] == {"hi": text}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: &x 1\nb: *x\n", "file.alias", 1),
        ("a: 1\nb: *x\n", "file.alias", 2),
        ("a: !!python/name:os.system x\n", "file.tag", 1),
        ("a: 1\na: 2\n", "file.key_twice", 2),
        ("a: 1\n? [x]\n: 2\n", "file.key_odd", 2),
        ("a: 1\n---\nb: 2\n", "file.two_documents", 2),
        ("a: 1\nb: [\n", "file.not_yaml", 3),
        ("a: 1\nb: \x07\n", "file.not_yaml", 2),
        ("- a\n", "file.no_keys", 1),
        ("", "file.no_keys", 1),
    ],
)
def test_what_is_odd_is_refused_with_its_line(text: str, code: str, line: int) -> None:
    assert refused(text) == (code, line)


def test_a_file_that_is_too_big_is_refused_before_it_is_read() -> None:
    assert refused("#" * (LARGEST_FILE + 1)) == ("file.too_big", None)


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    assert refused("a: " + "[" * 1000 + "]" * 1000)[0] == "file.too_deep"


def test_a_file_with_too_many_values_is_refused() -> None:
    assert refused("a: [" + "1," * 30_000 + "]")[0] == "file.too_deep"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_encoding_is_named_as_the_fault(encoding: str) -> None:
    assert refused("a: 1\n".encode(encoding))[0] in {"file.encoding", "file.not_yaml"}


def test_the_first_byte_that_is_not_utf_8_has_its_line() -> None:
    assert refused(b"a: 1\nb: caf\xe9\n") == ("file.encoding", 2)


@given(st.binary(max_size=60) | st.text("abc:-[]{}&*!|>'\"#%@`\n ,?\t\u0915", max_size=60))
def test_whatever_is_in_a_file_it_is_read_or_refused(text: str | bytes) -> None:
    try:
        mapping, lines = load(text)
    except FaultsFound:
        return

    assert set(mapping) <= set(lines)
