"""The blocks of a small book as columns of an integer programme, those that cannot matter left out.

A block that is in an allocation better than the one at hand loses, against the best that its order could do at the
prices, no more than what bound and allocation are apart; every other one is left out (reduced-cost fixing). The sums
for that are floats, with a slack far above what they can be off: a block too many does no harm.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dujiang.market.amounts import bearable
from dujiang.market.arrays import BookArrays
from dujiang.market.state import Posted, State, cost_between, vouchers_at

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Rates(NamedTuple):
    """Multipliers with which a block is looked at alone."""

    link: Float
    """[L, T] micro-yuan per millionth of a GB."""
    budget: Float
    """[K] welfare per yuan of voucher."""
    cap: Float
    """[C] the same."""


class Columns(NamedTuple):
    """Blocks of orders, by order, pool, option and start."""

    order: Int
    """[N] row of the order, the first one of its class."""
    pool: Int
    start: Int
    option: Int
    voucher: Int
    """[N, M] what each part of the option pays at the prices, micro-yuan; nothing is meant where it has no part."""
    worth: Int
    """[N] welfare, micro-yuan; positive."""
    reduced: Float
    """[N] welfare less what the block takes at the multipliers, micro-yuan."""

    def pick(self, chosen: Flags | Int) -> "Columns":
        """Return some of the columns."""
        return Columns._make(array[chosen] for array in self)


@njit(cache=True)
def list_blocks(
    a: BookArrays, s: State, posted: Posted, rates: Rates, orders: Int, least: Float, best: Float, out: Columns
) -> int:
    """List the blocks of some orders that fit, pay and reach a reduced welfare; return how many there are.

    Parameters
    ----------
    a : the book
    s : what the orders may use; a block has to fit it alone
    posted, rates : published prices, multipliers of what is not charged
    orders : [n] rows to look at
    least : [J] reduced welfare that a block must reach, micro-yuan
    best : [J] greatest reduced welfare of an order's blocks so far; written
    out : columns to fill in; those beyond its length are counted only

    Returns
    -------
    the number of blocks
    """
    count = 0
    room = out.order.shape[0]
    part = np.zeros(a.parts.shape[1], dtype=np.int64)
    for j in orders:
        gpus = a.gpus[j]
        r = a.place[j]
        for i in range(a.place_first[r], a.place_first[r + 1]):
            p = a.place_pool[i]
            d = a.slots[a.shape[j], p]
            if a.release[j] + d > a.deadline[j]:
                continue
            route = a.route[r, p]
            fixed = a.bonus[j] - a.carbon[p] * gpus * d
            for o in range(a.parts.shape[0]):
                limit = bearable(a, j, p, o)
                if limit < 0:
                    continue
                fits_from = a.release[j]
                for u in range(a.release[j], a.release[j] + d - 1):
                    if s.free[p, u] < gpus:
                        fits_from = u + 1
                for t in range(a.release[j], a.deadline[j] - d + 1):
                    if s.free[p, t + d - 1] < gpus:
                        fits_from = t + d
                    if fits_from > t or (route >= 0 and a.data[j] > s.link[route, t]):
                        continue
                    ask = gpus * cost_between(posted.ask_sum, p, t, d)
                    worth = limit - ask + fixed
                    if limit < ask or worth <= 0:
                        continue
                    if o > 0 and not vouchers_at(a, s, posted, j, p, t, o, limit, part):
                        continue
                    value = float(worth - (gpus * cost_between(posted.price_sum, p, t, d) - ask))
                    if route >= 0:
                        value -= rates.link[route, t] * a.data[j]
                    for m in range(a.parts.shape[1]):
                        k = a.parts[o, m]
                        if k >= 0:
                            value -= rates.budget[k] * part[m]
                            if a.cap[j, k] >= 0:
                                value -= rates.cap[a.cap[j, k]] * part[m]
                    best[j] = max(best[j], value)
                    if value < least[j]:
                        continue
                    if count < room:
                        out.order[count] = j
                        out.pool[count] = p
                        out.start[count] = t
                        out.option[count] = o
                        out.voucher[count] = part
                        out.worth[count] = worth
                        out.reduced[count] = value
                    count += 1
    return count


def empty_columns(count: int, parts: int) -> Columns:
    """Return columns to be filled in."""
    return Columns(
        order=np.zeros(count, dtype=np.int64),
        pool=np.zeros(count, dtype=np.int64),
        start=np.zeros(count, dtype=np.int64),
        option=np.zeros(count, dtype=np.int64),
        voucher=np.zeros((count, parts), dtype=np.int64),
        worth=np.zeros(count, dtype=np.int64),
        reduced=np.zeros(count),
    )


def shared_contracts(a: BookArrays) -> Flags:
    """Return [J] whether other orders belong to the contract of an order."""
    return np.bincount(a.contract, minlength=1)[a.contract] > 1


def classes(a: BookArrays) -> tuple[Int, Int]:
    """Return the class of each order, and each class's first row, ascending.

    Nothing tells orders of one class apart: they have the same blocks with the same welfare and draw on the same caps.
    A contract that several orders share keeps them apart from others.
    """
    same = (a.shape, a.place, a.gpus, a.release, a.deadline, a.limit, a.data, a.bonus, a.term)
    columns = [*same, np.where(shared_contracts(a), a.contract, -1), *a.room.T, *a.cap.T]
    keys = np.stack([np.asarray(column, dtype=np.int64) for column in columns], axis=1)
    _, first, member = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(first, kind="stable")
    place = np.empty_like(rank)
    place[rank] = np.arange(rank.size)
    return place[member.reshape(-1)], first[rank]
