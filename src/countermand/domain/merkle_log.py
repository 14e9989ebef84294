"""A log whose head commits to every entry, and short proofs that it only ever grew (RFC 9162).

A leaf is hashed with a leading 0, a pair of hashes with a leading 1, so that neither can pass for
the other. `Range` keeps the roots of the whole subtrees of a log's first `size` entries: about
twenty hashes for a million entries are enough to add more and to know the root.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from countermand.domain.errors import CountermandError, gettext_noop

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


@dataclass(eq=False)
class ProofImpossible(CountermandError):
    """A proof was asked for about entries that the log does not have."""

    wanted: int
    size: int

    code: ClassVar[str] = "log.proof_impossible"
    sentence: ClassVar[str] = gettext_noop("The log has {size} entries; {wanted} is not in it.")
    remedy: ClassVar[str] = gettext_noop("Ask about an entry that the log has.")


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Range:
    """The roots of the whole subtrees over the first `size` leaves, from left to right."""

    size: int = 0
    subtrees: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.subtrees) != self.size.bit_count():
            raise ValueError("one subtree for every bit of the size")
        if any(len(each) != HASH_BYTES for each in self.subtrees):
            raise ValueError("a subtree's root is a hash")

    def add(self, leaf: bytes) -> Self:
        """Return the range with one more leaf hash at its end."""
        subtrees = list(self.subtrees)
        size = self.size
        # Every trailing one of the size is a subtree that the new leaf completes.
        while size & 1:
            leaf = node_hash(subtrees.pop(), leaf)
            size >>= 1
        return type(self)(self.size + 1, (*subtrees, leaf))

    def extend(self, leaves: Iterable[bytes]) -> Self:
        """Return the range with these leaf hashes at its end."""
        grown = self
        for leaf in leaves:
            grown = grown.add(leaf)
        return grown

    def root(self) -> bytes:
        """Return the root of the tree over all leaves."""
        if not self.subtrees:
            return EMPTY_ROOT
        root = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            root = node_hash(left, root)
        return root


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    return Range().extend(leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the path that proves leaf `index` to be in the tree over all `leaves`.

    Raises ProofImpossible.
    """
    if not 0 <= index < len(leaves):
        raise ProofImpossible(wanted=index, size=len(leaves))
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    if index < split:
        return (*inclusion_proof(leaves[:split], index), root(leaves[split:]))
    return (*inclusion_proof(leaves[split:], index - split), root(leaves[:split]))


def is_included(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> bool:
    """Tell whether `proof` shows `leaf` at `index` in the tree of `size` leaves (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    sides = _sides(index, size - 1, len(proof))
    if sides is None:
        return False
    computed = leaf
    for sibling, is_left in zip(proof, sides, strict=True):
        computed = node_hash(sibling, computed) if is_left else node_hash(computed, sibling)
    return computed == root_hash


def consistency_proof(leaves: Sequence[bytes], earlier: int) -> tuple[bytes, ...]:
    """Return the proof that the tree over `leaves` begins with the one over `leaves[:earlier]`.

    Raises ProofImpossible when `earlier` is not between 1 and the number of leaves.
    """
    if not 0 < earlier <= len(leaves):
        raise ProofImpossible(wanted=earlier, size=len(leaves))
    return _subproof(leaves, earlier, is_whole=True)


def _subproof(leaves: Sequence[bytes], earlier: int, *, is_whole: bool) -> tuple[bytes, ...]:
    if earlier == len(leaves):
        return () if is_whole else (root(leaves),)
    split = _split(len(leaves))
    if earlier <= split:
        inner = _subproof(leaves[:split], earlier, is_whole=is_whole)
        return (*inner, root(leaves[split:]))
    inner = _subproof(leaves[split:], earlier - split, is_whole=False)
    return (*inner, root(leaves[:split]))


def is_consistent(
    *, earlier: int, earlier_root: bytes, size: int, root_hash: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether `proof` shows that the log only grew from `earlier` to `size` (2.1.4.2)."""
    if not 0 < earlier <= size:
        return False
    if earlier == size:
        return not proof and earlier_root == root_hash
    # A whole subtree is its own proof, and is left out of the path.
    path = [earlier_root, *proof] if earlier.bit_count() == 1 else list(proof)
    position, last = earlier - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    sides = _sides(position, last, len(path) - 1)
    if sides is None:
        return False
    old = new = path[0]
    for sibling, is_left in zip(path[1:], sides, strict=True):
        if is_left:
            old = node_hash(sibling, old)
        new = node_hash(sibling, new) if is_left else node_hash(new, sibling)
    return old == earlier_root and new == root_hash


def _sides(position: int, last: int, length: int) -> tuple[bool, ...] | None:
    """Tell for each sibling of a path whether it stands on the left of what was computed.

    `position` and `last` are places on the lowest level that the path begins at. None when a path
    of this length does not end exactly at the root.
    """
    sides = []
    for _ in range(length):
        if last == 0:
            return None
        is_left = bool(position & 1) or position == last
        sides.append(is_left)
        if is_left:
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        position >>= 1
        last >>= 1
    return tuple(sides) if last == 0 and length >= 0 else None


def _split(size: int) -> int:
    """Return the greatest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)
