"""What a person most likely meant: the known word with the fewest slips of the finger."""

from __future__ import annotations

from collections.abc import Iterable


def slips(left: str, right: str) -> int:
    """Count insertions, omissions, replacements and swapped neighbours between two words."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        above, row = row, [i]
        for j, b in enumerate(right, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]


def nearest_word(word: str, known: Iterable[str], *, at_most: int | None = None) -> str | None:
    """Return the known word nearest to `word`, or None when none is near.

    Near means at most `at_most` slips; without it, a third of the word's length, at least one.
    Of words equally near, the first in alphabetical order is returned.
    """
    limit = max(1, len(word) // 3) if at_most is None else at_most
    best = min(((slips(word, other), other) for other in set(known)), default=None)
    return best[1] if best is not None and best[0] <= limit else None
