"""Sorting inside compiled loops that may not allocate."""

from dujiang.market.compiled import bare, loop
from dujiang.market.state import Float, Row


@bare
def _comes_before(keys: Float, i: int, k: int) -> bool:
    return bool(keys[i] < keys[k] or (keys[i] == keys[k] and i < k))


@loop
def sort_by_key(keys: Float, rank: Row, n: int) -> None:
    """Write the numbers 0 to n - 1 by ascending key into `rank`, equal keys by number (heap sort)."""
    for i in range(n):
        rank[i] = i
    for end in range(n - 1, -1, -1):
        # the first round builds the heap, every further one takes its greatest entry off
        lowest = (n - 2) // 2 if end == n - 1 else 0
        for begin in range(lowest, -1, -1):
            at = begin
            entry = rank[at]
            while True:
                child = 2 * at + 1
                if child > end:
                    break
                if child < end and _comes_before(keys, rank[child], rank[child + 1]):
                    child += 1
                if not _comes_before(keys, entry, rank[child]):
                    break
                rank[at] = rank[child]
                at = child
            rank[at] = entry
        rank[0], rank[end] = rank[end], rank[0]


__all__ = ["sort_by_key"]
