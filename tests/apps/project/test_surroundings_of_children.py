"""What `up` hands to its children: never more than each needs."""

from pathlib import Path

import pytest

from countermand.project.up import Up, Wishes


@pytest.mark.parametrize("role", ["", "sender", "gate"])
def test_no_child_sees_a_token_and_no_sender_or_gate_the_address_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    for name in ("DATABASE_URL", "COUNTERMAND_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://owner:secret@127.0.0.1/all")
    for lesser in ("sender", "gate"):
        address = f"postgresql://{lesser}@127.0.0.1/all"
        monkeypatch.setenv(f"COUNTERMAND_{lesser.upper()}_DATABASE_URL", address)
    monkeypatch.setenv("COUNTERMAND_TOKEN", "cmt_mine")
    up = Up(Wishes(data=tmp_path), say=lambda _: None)
    up._choose_database()

    given = up._programs.environment(role=role)

    assert not any("cmt_mine" in value for value in given.values())
    seen = [value for value in given.values() if value.startswith("postgresql://")]
    assert seen == [
        f"postgresql://{role}@127.0.0.1/all" if role else "postgresql://owner:secret@127.0.0.1/all"
    ]
