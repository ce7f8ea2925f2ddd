"""Blocks of time in pools, for many orders at once: costs, what holds through them, and the best over whole windows.

Orders that run equally long in a pool form a group. The cost of a block at every start is one subtraction of sums;
least and most over a window of starts come from tables over runs of 1, 2, 4, … starts. Where that is not enough, all
starts of some orders are laid out as a matrix, orders by starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dujiang.verify.amounts import Exact, exact
from dujiang.verify.cells import Ints
from dujiang.verify.options import Options

Flags = npt.NDArray[np.bool_]

MATRIX = 1 << 20
"""Entries of a matrix that are worked on at a time."""


class Ladder:
    """Least or most over any run of neighbouring values."""

    def __init__(self, values: Exact, pick: Callable[[Exact, Exact], Exact]) -> None:
        self._pick = pick
        levels = [values]
        while 2 ** len(levels) <= len(values):
            half, below = 2 ** (len(levels) - 1), levels[-1]
            row = below.copy()
            row[: len(values) - half] = pick(below[: len(values) - half], below[half:])
            levels.append(row)
        self._table = np.stack(levels)

    def over(self, first: Ints, last: Ints) -> Exact:
        """Return the pick over values first to last, both included."""
        level = np.frexp((last - first + 1).astype(np.float64))[1].astype(np.int64) - 1
        picked: Exact = self._pick(self._table[level, first], self._table[level, last - 2**level + 1])
        return picked


@dataclass(frozen=True, slots=True)
class Posted:
    """The published prices beside the asks, each also as sums from slot 0, so that a block is one subtraction."""

    price: Ints
    """[P, T] micro-yuan per GPU-hour."""
    link_price: Ints
    """[L, T] multipliers of limited links, micro-yuan per GB."""
    price_sum: Exact
    """[P, T + 1] micro-yuan per accelerator."""
    ask_sum: Exact
    """The same of the asks."""


def posted(options: Options, price: Ints, link_price: Ints) -> Posted:
    """Return published prices in the form in which the rules use them; exact whatever stands in the file."""
    highest = max(_reach(price), _reach(options.ask)) * (options.book.slots + 1)
    reach = 4 * highest * max(1, int(options.book.orders.gpus.max(initial=1)))
    return Posted(price, link_price, _sums(exact(price, reach)), _sums(exact(options.ask, reach)))


def _reach(values: Ints) -> int:
    return max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))


def _sums(rates: Exact) -> Exact:
    zero = np.zeros((len(rates), 1), dtype=rates.dtype)
    return np.concatenate([zero, np.cumsum(rates, axis=1, dtype=rates.dtype)], axis=1)


@dataclass(frozen=True, slots=True)
class Group:
    """Orders of one duration in one pool, and the blocks there by start."""

    pool: int
    slots: int
    orders: Ints
    first: Ints
    """By order, its first start."""
    last: Ints
    """By order, the last start that its deadline allows; may be before the first."""
    ask: Exact
    """By start, micro-yuan per accelerator."""
    price: Exact
    """The same at the published prices."""
    held: Ints
    """By start, accelerators that hold through the block."""

    def pick(self, rows: Flags | Ints) -> "Group":
        """Return the group with some of its orders."""
        fixed = self.ask, self.price, self.held
        return Group(self.pool, self.slots, self.orders[rows], self.first[rows], self.last[rows], *fixed)


def groups(options: Options, posted_: Posted, orders: Ints, capacity: Ints) -> Iterator[Group]:
    """Yield some orders by pool and duration, those left out that the pool could not run before the round ends.

    Parameters
    ----------
    options, posted_ : of the round
    orders : rows to look at
    capacity : [P, T] accelerators of which blocks are to hold some
    """
    book = options.book.orders
    slots = options.book.slots
    for p in range(len(options.pools)):
        able = orders[options.fits[book.place[orders], p]]
        duration = options.run_slots(able, p)
        inside = book.release[able] + duration <= slots
        able, duration = able[inside], duration[inside]
        holding = Ladder(capacity[p], np.minimum)
        rank = np.argsort(duration, kind="stable")
        for some in np.split(rank, np.flatnonzero(np.diff(duration[rank])) + 1):
            if some.size:
                d, rows = int(duration[some[0]]), able[some]
                starts = np.arange(slots - d + 1)
                yield Group(
                    p,
                    d,
                    rows,
                    book.release[rows],
                    options.deadline[rows] - d,
                    posted_.ask_sum[p, d:] - posted_.ask_sum[p, :-d],
                    posted_.price_sum[p, d:] - posted_.price_sum[p, :-d],
                    holding.over(starts, starts + d - 1),
                )


def matrices(group: Group, last: Ints) -> Iterator[tuple[Ints, Ints, Flags]]:
    """Yield all starts of the orders of a group up to a last one, some orders at a time.

    Yields
    ------
    which orders of the group; [orders, starts] starts; and whether each is a start of its order at all
    """
    width = last - group.first + 1
    rank = np.argsort(-width, kind="stable")  # rows of like width stand together, so little of a matrix is wasted
    begin = 0
    while begin < rank.size:
        most = max(1, int(width[rank[begin]]))
        some = rank[begin : begin + max(1, MATRIX // most)]
        starts = group.first[some][:, None] + np.arange(most)
        yield some, np.minimum(starts, len(group.held) - 1), starts <= last[some][:, None]
        begin += some.size
