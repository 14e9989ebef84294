"""The canonical form is that of RFC 8785: an independent implementation agrees on every value."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.canonical_json import NotCanonical, canonical, digest

texts = st.text(st.characters(exclude_categories=["Cs"]))
# Beyond the basic plane the order of code units is not the order of characters.
keys = texts | st.text(st.sampled_from("a\r\u0080\u00f6\u20ac\ufb33\U0001f600"), max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_another_implementation_writes_the_very_same_bytes(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(texts, st.integers(0, 9), min_size=2, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, int], chance: Any) -> None:
    pairs = list(value.items())
    chance.shuffle(pairs)

    assert digest(dict(pairs)) == digest(value)


@given(values, values)
def test_values_that_differ_have_different_digests(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (digest(one) == digest(other)) is same


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, -(2**53), "\ud800", {1: 2}, {"a": {b"b"}}, [1.0], b"x"]
)
def test_what_has_no_exact_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)
