"""What must hold for a log of any size: it proves what it has, and nothing else."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain import merkle_log
from countermand.domain.merkle_log import Range

entries = st.lists(st.binary(max_size=12), min_size=1, max_size=70)


def tree_root(leaves: list[bytes]) -> bytes:
    """The root by the definition in words: split at the greatest power of two below the size."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    pair = tree_root(leaves[:split]) + tree_root(leaves[split:])
    return hashlib.sha256(b"\x01" + pair).digest()


def hashed(entries: list[bytes]) -> list[bytes]:
    return [merkle_log.leaf_hash(entry) for entry in entries]


@given(entries)
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    assert merkle_log.root(hashed(entries)) == tree_root(entries)


@given(entries, st.data())
def test_a_range_grows_to_the_same_root_whatever_the_batches(
    entries: list[bytes], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(entries)))
    leaves = hashed(entries)

    grown = Range().extend(leaves[:cut]).extend(leaves[cut:])

    assert grown.root() == tree_root(entries)


@given(entries, st.data())
def test_every_entry_is_proven_and_no_other_in_its_place(
    entries: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    leaves = hashed(entries)
    root = merkle_log.root(leaves)

    proof = merkle_log.inclusion_proof(leaves, index)

    def included(leaf: bytes, at: int, path: tuple[bytes, ...]) -> bool:
        return merkle_log.is_included(leaf, index=at, size=len(leaves), proof=path, root_hash=root)

    assert included(leaves[index], index, proof)
    assert not included(merkle_log.leaf_hash(b"another" * 3), index, proof)
    assert not included(leaves[index], index, (*proof, leaves[0]))
    assert not proof or not included(leaves[index], index, proof[:-1])


@given(entries, st.data())
def test_growth_is_proven_and_a_changed_past_is_not(
    entries: list[bytes], data: st.DataObject
) -> None:
    earlier = data.draw(st.integers(1, len(entries)))
    leaves = hashed(entries)
    changed = data.draw(st.integers(0, earlier - 1))
    forged = [*leaves]
    forged[changed] = merkle_log.leaf_hash(b"forged" * 3)

    def consistent(old: list[bytes], new: list[bytes]) -> bool:
        return merkle_log.is_consistent(
            earlier=earlier,
            earlier_root=merkle_log.root(old[:earlier]),
            size=len(new),
            root_hash=merkle_log.root(new),
            proof=merkle_log.consistency_proof(new, earlier),
        )

    assert consistent(leaves, leaves)
    assert not consistent(leaves, forged)


@given(entries, st.data())
def test_a_flipped_bit_anywhere_changes_the_root(entries: list[bytes], data: st.DataObject) -> None:
    filled = [index for index, entry in enumerate(entries) if entry]
    if not filled:
        return
    index = data.draw(st.sampled_from(filled))
    bit = data.draw(st.integers(0, 8 * len(entries[index]) - 1))
    flipped = bytearray(entries[index])
    flipped[bit // 8] ^= 1 << bit % 8
    other = [*entries[:index], bytes(flipped), *entries[index + 1 :]]

    assert merkle_log.root(hashed(other)) != merkle_log.root(hashed(entries))
