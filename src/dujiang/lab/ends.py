"""Jobs at work in every pool, the one that ends first on top: a binary heap per pool. Compiled."""

from typing import NamedTuple

import numpy as np

from dujiang.lab.compiled import inlined, inside
from dujiang.market.arrays import Index, Int

FOREVER = 2**62
"""Second that never comes."""


class Ends(NamedTuple):
    """Heaps over P pools, by end, equal ends by job; changed in place."""

    first: Int
    """[P + 1] where the heap of a pool begins."""
    size: Int
    """[P] jobs at work."""
    end: Int
    """[N] second at which it gives its accelerators back."""
    job: Index
    """[N]."""
    ahead: Int
    """Scratch for `look_ahead`: places of the heap."""
    held: Int
    """[1] entries of `ahead`."""


def no_ends(most: Int) -> Ends:
    """Return heaps with room for `most` jobs in each pool."""
    first = np.concatenate([[0], np.cumsum(most)]).astype(np.int64)
    return Ends(
        first=first,
        size=np.zeros(most.size, dtype=np.int64),
        end=np.full(int(first[-1]), FOREVER, dtype=np.int64),
        job=np.full(int(first[-1]), -1, dtype=np.int32),
        ahead=np.zeros(int(most.max(initial=0)) + 2, dtype=np.int64),
        held=np.zeros(1, dtype=np.int64),
    )


@inlined
def next_end(ends: Ends, p: int) -> int:
    """Return when the first job of a pool ends; `FOREVER`: none is at work."""
    return ends.end[ends.first[p]] if ends.size[p] > 0 else FOREVER


@inlined
def _before(ends: Ends, x: int, y: int) -> bool:
    return bool(ends.end[x] < ends.end[y] or (ends.end[x] == ends.end[y] and ends.job[x] < ends.job[y]))


@inlined
def _sink(ends: Ends, first: int, count: int, at: int, end: int, job: int) -> None:
    """Put an entry into the hole at `at` or further down."""
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and _before(ends, first + child + 1, first + child):
            child += 1
        x = first + child
        if ends.end[x] > end or (ends.end[x] == end and ends.job[x] > job):
            break
        ends.end[first + at], ends.job[first + at] = ends.end[x], ends.job[x]
        at = child
    ends.end[first + at], ends.job[first + at] = end, job


@inside
def push(ends: Ends, p: int, end: int, job: int) -> None:
    """Enter a job."""
    first = ends.first[p]
    at = ends.size[p]
    ends.size[p] += 1
    while at > 0:
        above = (at - 1) // 2
        x = first + above
        if ends.end[x] < end or (ends.end[x] == end and ends.job[x] < job):
            break
        ends.end[first + at], ends.job[first + at] = ends.end[x], ends.job[x]
        at = above
    ends.end[first + at], ends.job[first + at] = end, job


@inside
def pop(ends: Ends, p: int) -> int:
    """Take the job that ends first off the heap and return it."""
    first = ends.first[p]
    job = ends.job[first]
    ends.size[p] -= 1
    count = ends.size[p]
    if count > 0:
        _sink(ends, first, count, 0, ends.end[first + count], ends.job[first + count])
    return job  # type: ignore[no-any-return]


@inside
def heapify(ends: Ends, p: int, count: int) -> None:
    """Make a heap of the first entries of a pool, whatever their order."""
    first = ends.first[p]
    ends.size[p] = count
    for at in range(count // 2 - 1, -1, -1):
        _sink(ends, first, count, at, ends.end[first + at], ends.job[first + at])


@inlined
def look_ahead(ends: Ends, p: int) -> None:
    """Begin to go through the jobs of a pool by end, without taking any off (`ahead_end`, `step_ahead`)."""
    ends.held[0] = 0
    if ends.size[p] > 0:
        ends.ahead[0] = ends.first[p]
        ends.held[0] = 1


@inlined
def ahead_end(ends: Ends) -> int:
    """Return the end of the job at hand; `FOREVER` after the last."""
    return ends.end[ends.ahead[0]] if ends.held[0] > 0 else FOREVER


@inside
def step_ahead(ends: Ends, p: int) -> int:
    """Return the job at hand and go on to the next: a heap of those places of the heap that may come next."""
    place = ends.ahead[0]
    first = ends.first[p]
    child = 2 * (place - first) + 1
    # the left child takes the parent's place at the top and sinks; the right one rises from the end
    if child < ends.size[p]:
        _sink_ahead(ends, ends.held[0], first + child)
        if child + 1 < ends.size[p]:
            _rise_ahead(ends, first + child + 1)
    else:
        ends.held[0] -= 1
        if ends.held[0] > 0:
            _sink_ahead(ends, ends.held[0], ends.ahead[ends.held[0]])
    return ends.job[place]  # type: ignore[no-any-return]


@inlined
def _sink_ahead(ends: Ends, count: int, entry: int) -> None:
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and _before(ends, ends.ahead[child + 1], ends.ahead[child]):
            child += 1
        if not _before(ends, ends.ahead[child], entry):
            break
        ends.ahead[at] = ends.ahead[child]
        at = child
    ends.ahead[at] = entry


@inlined
def _rise_ahead(ends: Ends, entry: int) -> None:
    at = ends.held[0]
    ends.held[0] += 1
    while at > 0:
        above = (at - 1) // 2
        if not _before(ends, entry, ends.ahead[above]):
            break
        ends.ahead[at] = ends.ahead[above]
        at = above
    ends.ahead[at] = entry


__all__ = [
    *("FOREVER", "Ends", "ahead_end", "heapify", "look_ahead", "next_end", "no_ends", "pop", "push", "step_ahead"),
]
