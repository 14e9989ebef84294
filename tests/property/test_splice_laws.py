import base64
import re

from hypothesis import example, given
from hypothesis import strategies as st

from countermand.sender.splice import SplicedText, coded, filling

words = st.text(alphabet="ab.\nकि<&é", max_size=12)
values = st.one_of(words, st.lists(words, max_size=3))


@given(
    st.lists(words, min_size=1, max_size=6), st.lists(values, min_size=5, max_size=5), st.booleans()
)
@example(["", "", "", ""], ["a", "b", "", "c", "d"], False)
@example(["a", "b", "c", "d"], ["", "", "", "", ""], False)
@example(["", "x" * 200, ""], ["y" * 200, "", "", "", ""], True)
def test_a_spliced_body_says_what_the_filled_text_says(
    between: list[str], filled_in: list[str | list[str]], as_html: bool
) -> None:
    text = between[0] + "".join(f"{{s{n}}}{each}" for n, each in enumerate(between[1:]))
    given_values = {f"s{n}": value for n, value in enumerate(filled_in)}
    meant = between[0] + "".join(
        filling(filled_in[n], as_html=as_html) + each for n, each in enumerate(between[1:])
    )
    lines: list[bytes] = []

    SplicedText(text).add_coded(lines, coded(given_values, as_html=as_html))

    said = base64.b64decode(b"".join(lines).replace(b"\r\n", b""), validate=True).decode()
    assert said == meant.replace("\n", "\r\n")
    body = b"\r\n".join(lines)
    assert all(0 < len(line) <= 76 for line in body.split(b"\r\n")) or not body
    assert re.fullmatch(rb"[A-Za-z0-9+/\r\n]*={0,2}", body)
