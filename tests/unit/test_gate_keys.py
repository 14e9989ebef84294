"""A key is changed as docs/reference/gate.md says, and no gate believes nobody meanwhile."""

from pathlib import Path

from countermand.gate import keys
from countermand.gate.keys import GateKeys, PublisherKey

CONTENT = b"a list of orders"


def believes(gate: GateKeys, signer: PublisherKey) -> bool:
    return gate.is_signed(signer.key_id, CONTENT, signer.sign(CONTENT))


def test_a_key_is_changed_without_a_moment_in_which_nobody_is_believed(tmp_path: Path) -> None:
    keys.make(tmp_path)
    old, gate = PublisherKey.load(tmp_path), GateKeys.load(tmp_path)
    assert believes(gate, old)

    (tmp_path / keys.PRIVATE_NEXT).rename(tmp_path / keys.PRIVATE)
    signer = PublisherKey.load(tmp_path)
    assert signer.key_id != old.key_id
    assert believes(gate, signer)  # which was not started again

    (tmp_path / keys.PINNED).unlink()
    keys.make(tmp_path)
    started_again = GateKeys.load(tmp_path)
    assert PublisherKey.load(tmp_path).key_id == signer.key_id
    assert believes(started_again, signer)
    assert believes(started_again, PublisherKey.load(tmp_path, keys.PRIVATE_NEXT))
    assert not believes(started_again, old)
    assert started_again.entry_key == gate.entry_key
