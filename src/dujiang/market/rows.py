"""Columns of blocks and the rows that bind them: what is scarce, once per order, once per contract.

A row that cannot be exceeded, or that a neighbouring slot implies, is left out; capacity that no set of gangs could
use exactly is cut down to what one could. Columns that share no row with others are components of their own.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numba import njit

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.columns import Columns, Flags, Float, Int, Rates, shared_contracts
from dujiang.market.state import Posted, State


class Rows(NamedTuple):
    """Constraints ``sum(value * x) <= right`` as entries, in whole numbers."""

    row: Int
    """[E] row of an entry."""
    column: Int
    value: Int
    right: Int
    """[R] right-hand side: orders, accelerators, millionths of a GB, micro-yuan."""
    unit: Float
    """[R] size of the unit in which a solver sees the row: 1, or a million for data and money."""
    price: Float
    """[R] multiplier, micro-yuan per one of `right`; of an order, its greatest surplus."""
    kind: Int
    """[R] ORDER, CELL or what else it is."""
    cell: Int
    """[R] pool times slots plus slot of a CELL."""

    def of(self, columns: Flags) -> "Rows":
        """Return the rows of some columns, which are numbered anew."""
        kept = columns[self.column]
        present, row = np.unique(self.row[kept], return_inverse=True)
        number = np.cumsum(columns) - 1
        entries = (row.reshape(-1), number[self.column[kept]], self.value[kept])
        return Rows._make((*entries, *(array[present] for array in self[3:])))


ORDER, CELL, OTHER = 0, 1, 2


class _Kind(NamedTuple):
    """Rows of one kind, numbered by key."""

    key: Int
    column: Int
    value: Int
    right: Int
    unit: float
    price: Float


def _spans(c: Columns, slots: Int) -> tuple[Int, Int]:
    """Return, for every slot of every column, the column and the slot."""
    column = np.repeat(np.arange(c.order.size), slots)
    first = np.cumsum(slots) - slots
    return column, np.arange(column.size) - first[column] + c.start[column]


def _cells(a: BookArrays, s: State, posted: Posted, c: Columns) -> _Kind:
    slots = a.slots[a.shape[c.order], c.pool].astype(np.int64)
    column, slot = _spans(c, slots)
    key = c.pool[column] * a.capacity.shape[1] + slot
    price = np.diff(posted.price_sum - posted.ask_sum, axis=1).astype(np.float64).ravel()
    return _Kind(key, column, a.gpus[c.order][column], s.free.ravel(), 1.0, price)


def _routes(a: BookArrays, s: State, rates: Rates, c: Columns) -> _Kind:
    route = a.route[a.place[c.order], c.pool].astype(np.int64)
    column = np.flatnonzero((route >= 0) & (a.data[c.order] > 0))
    key = route[column] * a.capacity.shape[1] + c.start[column]
    return _Kind(key, column, a.data[c.order[column]], s.link.ravel(), MICRO, rates.link.ravel())


def _draws(a: BookArrays, c: Columns) -> tuple[Int, Int, Int]:
    """Return column, programme and amount of every voucher part."""
    programme = a.parts[c.option]
    column, part = np.nonzero(programme >= 0)
    return column, programme[column, part].astype(np.int64), c.voucher[column, part]


def _contracts(a: BookArrays, c: Columns, column: Int, programme: Int) -> _Kind:
    """Rows of contracts that several orders share; equal orders with contracts of their own are one class."""
    shared = shared_contracts(a)[c.order[column]]
    column, programme = column[shared], programme[shared]
    programmes = a.budget.size
    key = a.contract[c.order[column]].astype(np.int64) * programmes + programme
    size = (int(a.contract.max(initial=-1)) + 1) * programmes
    ones = np.ones(key.size, dtype=np.int64)
    return _Kind(key, column, ones, np.ones(size, dtype=np.int64), 1.0, np.zeros(size))


def rows_of(
    a: BookArrays, s: State, posted: Posted, rates: Rates, c: Columns, member: Int, members: Int, surplus: Float
) -> Rows:
    """Return all rows that some column has an entry in.

    Parameters
    ----------
    a, s : the book and what may be used
    posted, rates : published prices and multipliers
    c : columns
    member : [N] class of each column
    members : [classes] orders in each class
    surplus : [classes] greatest reduced welfare of the class, micro-yuan, not negative
    """
    every = np.arange(c.order.size)
    column, programme, amount = _draws(a, c)
    limited = a.limited[programme]
    cap = a.cap[c.order[column], programme].astype(np.int64) if column.size else np.zeros(0, dtype=np.int64)
    capped = cap >= 0
    kinds = [
        _Kind(member, every, np.ones(every.size, dtype=np.int64), members, 1.0, surplus),
        _cells(a, s, posted, c),
        _routes(a, s, rates, c),
        _Kind(programme[limited], column[limited], amount[limited], s.budget, MICRO, rates.budget),
        _Kind(cap[capped], column[capped], amount[capped], s.cap, MICRO, rates.cap),
        _contracts(a, c, column, programme),
    ]
    parts, first = [], 0
    for number, kind in enumerate(kinds):
        keys, row = np.unique(kind.key, return_inverse=True)
        parts.append(
            Rows(
                row.reshape(-1) + first,
                kind.column,
                kind.value,
                kind.right[keys],
                np.full(keys.size, float(kind.unit)),
                kind.price[keys],
                np.full(keys.size, min(number, OTHER)),
                keys,
            )
        )
        first += keys.size
    return Rows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


@njit(cache=True)
def _root(parent: Int, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def _join(row: Int, column: Int, rows: int, columns: int) -> Int:
    """Return for every column the least row that entries connect it with."""
    parent = np.arange(rows)
    last = np.full(columns, -1, dtype=np.int64)
    for e in range(row.shape[0]):
        r, c = row[e], column[e]
        if last[c] >= 0:
            x, y = _root(parent, r), _root(parent, last[c])
            parent[max(x, y)] = min(x, y)
        last[c] = r
    for c in range(columns):
        last[c] = _root(parent, last[c])
    return last


def components(rows: Rows, columns: int) -> Int:
    """Return [N] the component of each column; columns of different components share no row."""
    return np.unique(_join(rows.row, rows.column, rows.right.size, columns), return_inverse=True)[1].reshape(-1)


def _most_used(rows: Rows, member: Int, members: Int) -> Float:
    """Return [R] the most that the orders could use of a row: each class its largest entry, once per order."""
    pair = rows.row * members.size + member[rows.column]
    keys, group = np.unique(pair, return_inverse=True)
    largest = np.zeros(keys.size, dtype=np.int64)
    np.maximum.at(largest, group.reshape(-1), rows.value)
    weight = largest * members[keys % members.size].astype(np.float64)
    used: Float = np.bincount(keys // members.size, weights=weight, minlength=rows.right.size).astype(np.float64)
    return used


def _implied(rows: Rows, c: Columns, ends: Int, slots: int) -> Flags:
    """Return [R] whether a neighbouring slot of the same pool, with no more capacity, holds the same columns or more.

    That is the slot before if no column starts at this one, and the next slot that is left if none ends until there.
    """
    out = np.zeros(rows.right.size, dtype=np.bool_)
    row_of = {int(cell): r for r, cell in enumerate(rows.cell) if rows.kind[r] == CELL}
    starts = set((c.pool * slots + c.start).tolist())
    stops = np.unique(c.pool * slots + ends)
    left: list[int] = []
    for cell in sorted(row_of):
        before = row_of.get(cell - 1) if cell % slots else None
        if before is not None and cell not in starts and rows.right[row_of[cell]] >= rows.right[before]:
            out[row_of[cell]] = True
        else:
            left.append(cell)
    for cell, after in itertools.pairwise(left):
        stop = int(np.searchsorted(stops, cell, side="right"))
        ended = cell // slots != after // slots or (stop < stops.size and stops[stop] <= after)
        if not ended and rows.right[row_of[cell]] >= rows.right[row_of[after]]:
            out[row_of[cell]] = True
    return out


def _reachable(right: int, sizes: Int, counts: Int) -> int:
    """Return the greatest sum of so many gangs that does not pass `right`."""
    sums = 1
    mask = (1 << (right + 1)) - 1
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        step, left = 1, min(count, right // size)
        while left > 0:  # in powers of two: as many shifts as digits
            take = min(step, left)
            sums |= (sums << (take * size)) & mask
            left -= take
            step *= 2
        if sums >> right & 1:
            return right
    return sums.bit_length() - 1


def _cut_down(rows: Rows, member: Int, members: Int, which: Flags) -> Int:
    """Return [R] right-hand sides, those of chosen rows cut to what whole gangs can use."""
    right = rows.right.copy()
    chosen = which[rows.row]
    pair = np.unique(np.stack([rows.row[chosen], member[rows.column[chosen]], rows.value[chosen]]), axis=1)
    bounds = np.searchsorted(pair[0], np.arange(rows.right.size + 1))
    for r in np.flatnonzero(which):
        row = slice(bounds[r], bounds[r + 1])
        sizes, group = np.unique(pair[2, row], return_inverse=True)
        counts = np.bincount(group.reshape(-1), weights=members[pair[1, row]]).astype(np.int64)
        right[r] = _reachable(int(right[r]), sizes, counts)
    return right


def needed(rows: Rows, a: BookArrays, c: Columns, member: Int, members: Int) -> Rows:
    """Return the rows that an integer programme needs, their right-hand sides cut down; entries by column."""
    ends = c.start + a.slots[a.shape[c.order], c.pool]
    scarce = (rows.kind == ORDER) | (_most_used(rows, member, members) > rows.right)
    scarce &= ~_implied(rows, c, ends, a.capacity.shape[1])
    right = _cut_down(rows, member, members, scarce & (rows.kind == CELL))
    kept = scarce[rows.row]
    number = np.cumsum(scarce) - 1
    row, column, value = number[rows.row[kept]], rows.column[kept], rows.value[kept]
    by_column = np.lexsort((row, column))
    ours = (row[by_column], column[by_column], value[by_column], right[scarce])
    return Rows(*ours, *(array[scarce] for array in rows[4:]))
