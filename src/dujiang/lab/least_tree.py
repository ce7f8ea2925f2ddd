"""Waiting jobs of one kind in the order of the book: which is the first with a run time of at most so much?

A class of jobs is a row of leaves, one per job that may ever wait in it, in the order of the book. Over each sixteen of
them stands their least key, over each sixteen of those again, up to one. Entering, leaving and asking take a few
hundred comparisons at most however many wait, so a queue that only grows stays cheap. Compiled.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.lab.compiled import inlined, inside
from dujiang.market.arrays import Index, Int

ABSENT = 2**62
"""Key of a job that does not wait."""
_WIDTH = 16
_LEVELS = 16
"""More than any tree has."""


class Trees(NamedTuple):
    """One tree per class; N places in all."""

    first: Int
    """[C + 1] where the leaves of a class begin."""
    above: Int
    """[C + 1] where the inner nodes of a class begin, level by level; the last one is the root."""
    job: Index
    """[N] job of each place."""
    leaf: Int
    """[N] its key while it waits, else `ABSENT`."""
    node: Int
    """[...] least key below."""
    begin: Int
    """Scratch."""


def empty_trees(classes: int, of_place: npt.NDArray[np.integer], job: npt.NDArray[np.integer]) -> Trees:
    """Return trees in which nobody waits.

    Parameters
    ----------
    classes : number of classes
    of_place : [N] class of each place, ascending
    job : [N] job of each place, ascending within a class
    """
    size = np.bincount(of_place, minlength=classes)
    above = np.zeros(classes, dtype=np.int64)
    level = size
    while True:
        level = -(-level // _WIDTH)
        above += level
        if (level <= 1).all():
            break
        level = np.where(level > 1, level, 0)
    return Trees(
        first=np.concatenate([[0], np.cumsum(size)]).astype(np.int64),
        above=np.concatenate([[0], np.cumsum(above)]).astype(np.int64),
        job=np.ascontiguousarray(job, dtype=np.int32),
        leaf=np.full(job.size, ABSENT, dtype=np.int64),
        node=np.full(int(above.sum()), ABSENT, dtype=np.int64),
        begin=np.zeros(_LEVELS, dtype=np.int64),
    )


@inlined
def least_key(trees: Trees, c: int) -> int:
    """Return the least key that waits in a class; `ABSENT`: nobody does."""
    return trees.node[trees.above[c + 1] - 1]  # type: ignore[no-any-return]


@inside
def enter(trees: Trees, c: int, place: int, key: int) -> None:
    """Set the key of a place; `ABSENT` takes its job out."""
    trees.leaf[place] = key
    first = trees.first[c]
    size = trees.first[c + 1] - first
    at = place - first
    up = trees.above[c]
    row = trees.leaf
    while True:
        at //= _WIDTH
        least = ABSENT
        for i in range(at * _WIDTH, min((at + 1) * _WIDTH, size)):
            least = min(least, row[first + i])
        if trees.node[up + at] == least:
            return
        trees.node[up + at] = least
        size = (size + _WIDTH - 1) // _WIDTH
        if size <= 1:
            return
        row, first, up = trees.node, up, up + size


@inside
def first_up_to(trees: Trees, c: int, most: int) -> int:
    """Return the first place of a class whose key is at most `most`; -1: none."""
    up = trees.above[c]
    size = trees.first[c + 1] - trees.first[c]
    levels = 0
    while True:
        size = (size + _WIDTH - 1) // _WIDTH
        trees.begin[levels] = up
        levels += 1
        if size <= 1:
            break
        up += size
    if trees.node[up] > most:
        return -1
    at = 0
    for level in range(levels - 2, -1, -1):
        at *= _WIDTH
        while trees.node[trees.begin[level] + at] > most:
            at += 1
    at = trees.first[c] + at * _WIDTH
    while trees.leaf[at] > most:
        at += 1
    return at  # type: ignore[no-any-return]


__all__ = ["ABSENT", "Trees", "empty_trees", "enter", "first_up_to", "least_key"]
