"""The log's tree gives the answers that the standard and other programs give."""

import pytest

from countermand.domain import merkle_log
from countermand.domain.merkle_log import ProofImpossible, Range

# The seven entries that the test programs of certificate transparency use, with their roots
# for the first 1 to 8 entries (RFC 6962 and RFC 9162 share the hashing).
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle_log.leaf_hash(entry) for entry in ENTRIES]


def test_the_empty_log_has_the_hash_of_nothing_as_its_root() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert merkle_log.root([]).hex() == empty


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_the_known_one(size: int) -> None:
    assert merkle_log.root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_a_path_to_an_entry_is_the_known_one() -> None:
    proof = merkle_log.inclusion_proof(LEAVES, 5)

    assert [each.hex() for each in proof] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_a_proof_of_growth_is_the_known_one() -> None:
    proof = merkle_log.consistency_proof(LEAVES, 6)

    assert [each.hex() for each in proof] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_an_entry_cannot_pass_for_a_pair_of_hashes() -> None:
    pair = LEAVES[0] + LEAVES[1]

    assert merkle_log.leaf_hash(pair) != merkle_log.node_hash(LEAVES[0], LEAVES[1])


@pytest.mark.parametrize("index", [-1, 8])
def test_no_proof_is_made_for_an_entry_that_is_not_there(index: int) -> None:
    with pytest.raises(ProofImpossible):
        merkle_log.inclusion_proof(LEAVES, index)


def test_a_range_with_a_subtree_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="subtree"):
        Range(3, (LEAVES[0],))
