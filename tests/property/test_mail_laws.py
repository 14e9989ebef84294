import email
import email.policy

from hypothesis import example, given
from hypothesis import strategies as st

from countermand.sender.compose import filled, stuffed
from countermand.testing.mail_session import _unstuffed

pieces = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"a", b"\x00"]))
contents = st.one_of(st.binary(), pieces.map(b"".join))


@given(contents)
@example(b".")
@example(b"\r\n.\r\n")
@example(b"\n.\n")
@example(b"a\r.\r")
@example(b".\r\n")
def test_no_mail_ends_before_its_dot(content: bytes) -> None:
    on_the_wire = stuffed(content)

    # As a relay reads it: nothing that ends the mail, not even for one that takes bare line ends.
    assert not on_the_wire.startswith(b".\r\n")
    assert b"\r\n.\r\n" not in on_the_wire
    assert on_the_wire.replace(b"\r\n", b"").count(b"\r") == 0
    assert on_the_wire.replace(b"\r\n", b"").count(b"\n") == 0
    assert on_the_wire.endswith(b"\r\n")


@given(contents)
def test_what_was_stuffed_is_read_back(content: bytes) -> None:
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    meant = b"\r\n".join(lines)

    arrived = _unstuffed(stuffed(content))

    assert arrived == (meant if meant.endswith(b"\r\n") else meant + b"\r\n")


@given(st.text())
def test_a_value_never_becomes_markup(value: str) -> None:
    page = filled("<p>{name}</p>", {"name": value}, as_html=True)

    inside = page.removeprefix("<p>").removesuffix("</p>")
    assert "<" not in inside
    assert ">" not in inside


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_every_subject_reads_back(subject: str) -> None:
    from countermand.sender.compose import _unstructured  # noqa: PLC0415

    raw = f"Subject: {_unstructured(subject)}\r\n\r\n".encode()
    parsed = email.message_from_bytes(raw, policy=email.policy.default)

    assert str(parsed["Subject"]).strip() == subject.strip() or subject != subject.strip()
