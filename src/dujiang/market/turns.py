"""Last steps that change no welfare: awards start as early as they can, and of like orders the first gets the earliest.

Welfare does not see when an order runs, so a search leaves that to chance; people do see it. Whose turn it is among
like orders is the earlier time stamp, then the id, which is the order of rows (design 4.7).
"""

import numpy as np

from dujiang.market.amounts import bearable, haul
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.compiled import bare, loop
from dujiang.market.simple_rules import first_start
from dujiang.market.state import Posted, State, cost_between, put, take


def pull_forward(a: BookArrays, s: State, posted: Posted) -> None:
    """Start awards earlier, where that is worth the same and the firm pays no more, in place."""
    awarded = np.flatnonzero(s.pool >= 0)
    _pull_forward(a, s, posted, awarded[np.argsort(s.start[awarded], kind="stable")])


@loop
def _pull_forward(a: BookArrays, s: State, posted: Posted, order: Int) -> None:
    for j in order:
        p, now, o, worth = s.pool[j], s.start[j], s.option[j], s.worth[j]
        if now <= a.release[j]:
            continue
        price = cost_between(posted.price_sum, p, now, a.slots[a.shape[j], p]) * a.gpus[j]
        paid = price + haul(a.data[j], a.tariff[a.place[j], p])
        take(a, s, j)
        best, start = p, now
        for i in range(a.place_first[a.place[j]], a.place_first[a.place[j] + 1]):
            q = a.place_pool[i]
            if q != p and o > 0 and not _paid_alike(a, j, p, q, o):
                continue
            t = first_start(a, s, j, q, a.release[j], start)
            while t >= 0:
                then = cost_between(posted.price_sum, q, t, a.slots[a.shape[j], q]) * a.gpus[j]
                same = then == price if o > 0 else then + haul(a.data[j], a.tariff[a.place[j], q]) <= paid
                if same and _worth(a, posted, j, q, t, o) == worth:
                    best, start = q, t
                    break
                t = first_start(a, s, j, q, t + 1, start)
        put(a, s, posted, j, best, start, o)


@bare
def _paid_alike(a: BookArrays, j: int, p: int, q: int, o: int) -> bool:
    """Say whether vouchers pay the same of the same price in two pools: equal shares, and equal cost of moving data."""
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            break
        if a.share[a.term[j], k, p] != a.share[a.term[j], k, q]:
            return False
    return a.tariff[a.place[j], p] == a.tariff[a.place[j], q]  # type: ignore[no-any-return]


@bare
def _worth(a: BookArrays, posted: Posted, j: int, p: int, t: int, o: int) -> int:
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
    return bearable(a, j, p, o) - ask - a.carbon[p] * a.gpus[j] * d + a.bonus[j]  # type: ignore[no-any-return]


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
