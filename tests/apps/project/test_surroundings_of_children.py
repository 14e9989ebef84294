"""What `up` hands to its children: never more than each needs."""

from pathlib import Path

import pytest

from countermand.project.up import Up, Wishes


@pytest.mark.parametrize("is_sender", [True, False])
def test_no_child_sees_a_token_and_no_sender_the_address_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_sender: bool
) -> None:
    for name in ("DATABASE_URL", "COUNTERMAND_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://owner:secret@127.0.0.1/all")
    monkeypatch.setenv("COUNTERMAND_SENDER_DATABASE_URL", "postgresql://sender@127.0.0.1/all")
    monkeypatch.setenv("COUNTERMAND_TOKEN", "cmt_mine")
    up = Up(Wishes(data=tmp_path), say=lambda _: None)
    up._choose_database()

    given = up._programs.environment(sender=is_sender)

    assert not any("cmt_mine" in value for value in given.values())
    assert any("owner:secret" in value for value in given.values()) is not is_sender
