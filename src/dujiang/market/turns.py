"""Whose turn it is among like orders: the earlier time stamp, then the id, which is the order of rows (design 4.7)."""

import numpy as np

from dujiang.market.arrays import BookArrays, Int
from dujiang.market.state import State


def in_turn(a: BookArrays, s: State) -> None:
    """Hand awards of like orders to the first of them, in place; welfare, capacity, budgets and caps stay as they are.

    Orders are like each other if no rule, amount or constraint tells them apart. Of their awards the earliest start
    goes to the first row; where some of them are not served, it is the last rows.
    """
    rows, like = _alike(a)
    by_group = np.argsort(like, kind="stable")
    rows, like = rows[by_group], like[by_group]
    late = np.where(s.pool[rows] < 0, np.iinfo(np.int64).max, s.start[rows].astype(np.int64))
    ranked = rows[np.lexsort((rows, s.pool[rows], late, like))]
    moved = np.flatnonzero(rows != ranked)
    _exchange(a, s, rows[moved], ranked[moved])


def _alike(a: BookArrays) -> tuple[Int, Int]:
    """Return the rows of orders that have their like, and a number for each that like orders share.

    A contract of one order tells nobody apart. Limits differ most, so they come first: few rows are left after them.
    """
    single = np.bincount(a.contract, minlength=1)[a.contract] == 1 if a.contract.size else np.zeros(0, dtype=np.bool_)
    columns = [
        *(a.limit, a.gpus, a.release, a.deadline, a.data, a.bonus, a.shape, a.place, a.term),
        *a.room.T,
        *a.cap.T,
        np.where(single, -1, a.contract),
    ]
    rows = np.arange(a.gpus.size)
    number = np.zeros(rows.size, dtype=np.int64)
    for column in columns:
        values, code = np.unique(column[rows], return_inverse=True)
        number = np.unique(number * values.size + code.reshape(-1), return_inverse=True)[1].reshape(-1)
        shared = np.bincount(number, minlength=1)[number] > 1 if rows.size else np.zeros(0, dtype=np.bool_)
        rows, number = rows[shared], number[shared]
    return rows, number


def _exchange(a: BookArrays, s: State, to: Int, of: Int) -> None:
    """Give the awards of some orders to others, like them."""
    taken = s.option[of].copy()
    for rows, options, flag in ((of, taken, False), (to, taken, True)):
        for part in range(a.parts.shape[1]):
            programme = a.parts[options, part]
            used = programme >= 0
            s.used[a.contract[rows[used]], programme[used]] = flag
    for array in (s.pool, s.start, s.option, s.voucher, s.worth):
        array[to] = array[of]
