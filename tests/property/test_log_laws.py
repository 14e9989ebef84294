"""Whatever byte of a log is changed, whatever line is moved: it is found."""

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from countermand.audit.verifying import verify
from tests.log_samples import SIGNER, lines_of, taken_back

LINES = lines_of(taken_back().entries)
WHOLE = b"".join(LINES)


def is_sound(log: bytes) -> bool:
    return verify(BytesIO(log), pinned=SIGNER.verifier).is_sound


def test_the_log_that_is_spoilt_below_was_sound() -> None:
    assert is_sound(WHOLE)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found(place: int, change: int) -> None:
    spoilt = bytearray(WHOLE)
    spoilt[place] ^= change

    assert not is_sound(bytes(spoilt))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_log_that_is_cut_off_is_found(length: int) -> None:
    assert not is_sound(WHOLE[:length])


@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1))
def test_two_lines_that_changed_places_are_found(one: int, other: int) -> None:
    lines = [*LINES]
    lines[one], lines[other] = lines[other], lines[one]

    assert is_sound(b"".join(lines)) == (one == other)


@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES)))
def test_a_line_that_is_repeated_or_left_out_is_found(line: int, place: int) -> None:
    left_out = [*LINES]
    del left_out[line]
    repeated = [*LINES]
    repeated.insert(place, LINES[line])

    # A head that is left out in the middle hides nothing: the next one covers the same entries.
    inner_head = LINES[line].startswith(b'{"kind":"head"') and line != len(LINES) - 2
    assert is_sound(b"".join(left_out)) == inner_head
    assert not is_sound(b"".join(repeated))
