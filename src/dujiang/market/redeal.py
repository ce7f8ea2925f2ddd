"""Who of an enterprise's orders gets the vouchers: awards keep their blocks, the money under a cap is dealt anew.

The problem. A voucher is worth the same to an order wherever it runs, but what it takes from cap and budget follows the
price of the block. A cap pays for a few vouchers only, so which ones is a small knapsack, and the order in which awards
are entered fills it anyhow.

The choice. Cap by cap, all vouchers of its programme are taken back from the enterprise's awards and dealt again in
another sequence: by welfare per yuan, by welfare, and both with noise; each award takes the option that gains most of
those that still fit, budgets counted at their multipliers. The best deal is kept. An award that cannot run without the
voucher goes out if it gets none.
"""

from typing import NamedTuple

import numpy as np

from dujiang.market.amounts import bearable
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare, loop
from dujiang.market.sorting import sort_by_key
from dujiang.market.splitmix import Seed, unit
from dujiang.market.state import Flag, Float, Int, Posted, Row, State, cost_between, put, take, vouchers_at

MOST = 64
"""Most awards of one cap among which vouchers are dealt."""
DEALS = 8
"""How often the vouchers of a cap are dealt."""


class _Table(NamedTuple):
    """The awards of one cap."""

    order: Row
    """[N] rows."""
    pool: Row
    start: Row
    option: Row
    """[N] as dealt best so far."""
    free: Flag
    """[N] the award can run without a voucher."""
    gain: Float
    """[N] what the voucher adds to welfare, micro-yuan."""
    price: Float
    """[N] what it draws."""
    keys: Float
    rank: Row
    parts: Int
    """[M]."""


def _table(a: BookArrays) -> _Table:
    rows = [np.zeros(MOST, dtype=np.int32) for _ in range(5)]
    numbers = [np.zeros(MOST) for _ in range(3)]
    return _Table(*rows[:4], np.zeros(MOST, dtype=np.bool_), *numbers, rows[4], np.zeros(a.parts.shape[1], np.int64))


@bare
def _value(a: BookArrays, s: State, budget: Float, j: int) -> float:
    """Return the welfare of an award less its vouchers at the multipliers of the budgets."""
    value = float(s.worth[j])
    for m in range(a.parts.shape[1]):
        k = a.parts[s.option[j], m]
        if k >= 0:
            value -= budget[k] * s.voucher[j, m]
    return value


@bare
def _holds(a: BookArrays, o: int, k: int) -> bool:
    held = False
    for m in range(a.parts.shape[1]):
        held |= a.parts[o, m] == k
    return held


@bare
def _lay_out(a: BookArrays, s: State, posted: Posted, k: int, members: Row, x: _Table) -> int:
    """Enter the awards that could hold a voucher of a programme into the table; return how many."""
    n = 0
    for j in members:
        if s.pool[j] < 0 or n >= MOST or a.room[j, k] <= 0:
            continue
        p, t, d = s.pool[j], s.start[j], a.slots[a.shape[j], s.pool[j]]
        bears = bearable(a, j, p, k + 1)
        if bears < 0 and not _holds(a, s.option[j], k):
            continue
        ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
        price = a.gpus[j] * cost_between(posted.price_sum, p, t, d)
        alone = bearable(a, j, p, 0)
        fixed = a.bonus[j] - a.carbon[p] * a.gpus[j] * d
        x.order[n], x.pool[n], x.start[n], x.option[n] = j, p, t, s.option[j]
        x.free[n] = alone >= ask and alone + fixed > ask
        x.gain[n] = float(bears - alone if x.free[n] else bears + fixed - ask)
        x.price[n] = max(float(max(ask, min(price, bears))) * a.share[a.term[j], k, p], 1.0)
        n += 1
    return n


@bare
def _best_option(a: BookArrays, s: State, posted: Posted, budget: Float, j: int, p: int, t: int, parts: Int) -> int:
    """Return the option of a block that gains most of those that still fit; -1: none."""
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
    fixed = a.bonus[j] - a.carbon[p] * a.gpus[j] * d
    option, best = -1, -np.inf
    for o in range(a.allowed.shape[1]):
        bears = bearable(a, j, p, o) if a.allowed[a.term[j], o] else -1
        if bears < ask or bears + fixed <= ask or float(bears) <= best:
            continue
        value = float(bears)
        if o > 0:
            if not vouchers_at(a, s, posted, j, p, t, o, bears, parts):
                continue
            for m in range(a.parts.shape[1]):
                if a.parts[o, m] >= 0:
                    value -= budget[a.parts[o, m]] * parts[m]
        if value > best:
            option, best = o, value
    return option


@bare
def _deal(a: BookArrays, s: State, posted: Posted, budget: Float, k: int, n: int, x: _Table) -> float:
    """Take the vouchers of a programme back and give them out by `x.rank`; return the value of the awards."""
    for i in range(n):
        j = x.order[i]
        if s.pool[j] >= 0 and _holds(a, s.option[j], k):
            take(a, s, j)
            if x.free[i]:
                put(a, s, posted, j, x.pool[i], x.start[i], 0)
    value = 0.0
    for i in range(n):
        j = x.order[x.rank[i]]
        p, t = x.pool[x.rank[i]], x.start[x.rank[i]]
        if s.pool[j] >= 0:
            take(a, s, j)
        o = _best_option(a, s, posted, budget, j, p, t, x.parts)
        if o >= 0:
            put(a, s, posted, j, p, t, o)
            value += _value(a, s, budget, j)
    return value


@bare
def _lay_back(a: BookArrays, s: State, posted: Posted, n: int, x: _Table) -> None:
    """Give the awards the options noted in the table; -1: no award."""
    for i in range(n):
        if s.pool[x.order[i]] >= 0:
            take(a, s, x.order[i])
    for i in range(n):
        if x.option[i] >= 0:
            put(a, s, posted, x.order[i], x.pool[i], x.start[i], x.option[i])


@bare
def _deal_often(
    a: BookArrays, s: State, posted: Posted, budget: Float, k: int, n: int, deals: int, rng: Seed, x: _Table
) -> None:
    """Deal the vouchers of a programme among the awards of the table a number of times and keep the best deal."""
    best = 0.0
    for i in range(n):
        best += _value(a, s, budget, x.order[i])
    improved = True
    for deal in range(deals):
        noise = 0.0 if deal < 2 else 0.8
        for i in range(n):
            by = 1.0 if deal % 2 == 1 else x.price[i]
            x.keys[i] = -x.gain[i] / by * (1.0 + noise * (unit(rng) - 0.5))
        sort_by_key(x.keys, x.rank, n)
        value = _deal(a, s, posted, budget, k, n, x)
        improved = value > best
        if improved:
            best = value
            for i in range(n):
                x.option[i] = s.option[x.order[i]] if s.pool[x.order[i]] >= 0 else -1
    if not improved:
        _lay_back(a, s, posted, n, x)


@loop
def _redeal(
    a: BookArrays,
    s: State,
    posted: Posted,
    budget: Float,
    first: Int,
    member: Row,
    deals: int,
    rng: Seed,
    x: _Table,
) -> None:
    for c in range(a.cap_left.shape[0]):
        k = a.cap_programme[c]
        n = _lay_out(a, s, posted, k, member[first[c] : first[c + 1]], x)
        if n > 1 or (n == 1 and not _holds(a, x.option[0], k)):
            _deal_often(a, s, posted, budget, k, n, deals, rng, x)


def redeal(a: BookArrays, s: State, posted: Posted, budget: Float, rng: Seed, deals: int = DEALS) -> None:
    """Deal the vouchers under all caps anew; the value of the awards never falls.

    Parameters
    ----------
    s : awards, changed in place; some may go out, if others gain more
    budget : [K] welfare per yuan of voucher at which budgets are spared
    """
    served = np.flatnonzero(s.pool >= 0)
    order, programme = np.nonzero((a.cap[served] >= 0) & (a.room[served] > 0))
    cap = a.cap[served][order, programme]
    member = served[order][np.argsort(cap, kind="stable")].astype(np.int32)
    first = np.concatenate([[0], np.cumsum(np.bincount(cap, minlength=a.cap_left.size))]).astype(np.int64)
    _redeal(a, s, posted, budget, first, member, deals, rng, _table(a))


__all__ = ["redeal"]
