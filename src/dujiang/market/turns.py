"""Whose turn it is among like orders: the earlier time stamp, then the id, which is the order of rows (design 4.7)."""

import numpy as np

from dujiang.market.arrays import BookArrays, Int
from dujiang.market.state import State


def in_turn(a: BookArrays, s: State) -> None:
    """Hand awards of like orders to the first of them, in place; welfare, capacity, budgets and caps stay as they are.

    Orders are like each other if no rule, amount or constraint tells them apart. Of their awards the earliest start
    goes to the first row; where some of them are not served, it is the last rows.
    """
    like = _alike(a)
    sizes = np.bincount(like)
    served = np.bincount(like, weights=s.pool >= 0).astype(np.int64)
    torn = np.flatnonzero((sizes > 1) & (served > 0))
    if not torn.size:
        return
    rows = np.flatnonzero(np.isin(like, torn))
    rows = rows[np.argsort(like[rows], kind="stable")]
    late = np.where(s.pool[rows] < 0, np.iinfo(np.int64).max, s.start[rows].astype(np.int64))
    ranked = rows[np.lexsort((rows, s.pool[rows], late, like[rows]))]
    moved = np.flatnonzero(rows != ranked)
    _exchange(a, s, rows[moved], ranked[moved])


def _alike(a: BookArrays) -> Int:
    """Return [J] numbers that like orders share. A contract of one order tells nobody apart."""
    single = np.bincount(a.contract, minlength=1)[a.contract] == 1 if a.contract.size else np.zeros(0, dtype=np.bool_)
    columns = [
        *(a.gpus, a.release, a.deadline, a.limit, a.data, a.bonus, a.shape, a.place, a.term),
        *a.room.T,
        *a.cap.T,
        np.where(single, -1, a.contract),
    ]
    number = np.zeros(a.gpus.size, dtype=np.int64)
    for column in columns:
        values, code = np.unique(column, return_inverse=True)
        if values.size > 1:
            number = np.unique(number * values.size + code.reshape(-1), return_inverse=True)[1].reshape(-1)
    return number


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
