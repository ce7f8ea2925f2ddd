"""Awards from prices: demand spread so that it meets supply, the richest orders placed first, then what still fits.

The problem. At the best prices many orders are indifferent between blocks, and all that are alike would take the same
one. Placed there one after the other, the first fill it, the rest find fragments, while other blocks stay empty. The
solution of the linear relaxation spreads them; prices alone do not say how.

The choice (*spread*). Orders come in many small batches, each a sample of the whole book. Every order of a batch takes
its best block at guide prices; then the guide price of each pool and slot rises or falls with what the batch took, more
or less than its share of the capacity. What all batches together take differs from the capacity only by what the guide
prices have moved in all, divided by the step: that is next to nothing, though each moved but a little. It is stochastic
subgradient descent on the dual, whose trajectory is the primal solution; the mean of its guide prices is a good dual
point, too.

Then awards are entered (*recover*): orders with the largest surplus first, each in the block that it took, or else in
the best that still fits. What waits then is offered the rest at lower guide prices, down to the asks. Guide prices
steer; payments always follow the published prices.

Left out: pricing anew what is left after a share of the orders, and drawing for every order one of the last points of
the price search by their weights. Both were tried and came out behind: 0.5 to 0.6 % and 0.4 % against 0.2 % of the
bound on 100,000 orders and 24 pools.

References
----------
A. Nedić, D. P. Bertsekas, Incremental subgradient methods for nondifferentiable optimization, SIAM J. Optim. 12 (2001).
N. R. Devanur, K. Jain, B. Sivan, C. A. Wilkens, Near optimal online algorithms and fast approximation algorithms for
resource allocation problems, J. ACM 66 (2019).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import get_num_threads

from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import loop
from dujiang.market.keys import Keys
from dujiang.market.place import Guide, Hints, fill, find_block, floor_table, guide_at, place
from dujiang.market.state import Float, Int, Posted, State, empty_state

BATCHES = 200
BATCH_LEAST = 50
"""Orders of a batch; a smaller book has fewer batches."""
EPOCHS = 2
"""How often all orders pass; the last time counts."""
STEP = 0.004
"""Change of a guide price, as a share of the ask, when a batch takes twice its share of the capacity."""
_LOWEST = 0.7
"""A guide price never falls below this share of the price above the ask with which it began."""
FILLS = (0.5, 0.0)
"""Guide prices of the fills, as a share of the prices above the asks."""
_SIZE_POWER = 0.3
"""The sequence is by surplus over this power of the cost: 0 is by surplus, 1 by surplus over cost."""

Point = tuple[Float, Float, Float, Float]
"""Capacity [P, T] micro-yuan per GPU-hour above the ask, link [L, T] micro-yuan per GB, budget [K] and cap [C] welfare
per yuan of voucher."""


class Spread(NamedTuple):
    """Where orders would go so that demand meets supply."""

    hints: Hints
    score: Float
    """[J] surplus there at the guide prices of the time, micro-yuan; 0 where nothing pays."""
    capacity: Float
    """[P, T] mean guide price above the ask."""


class _Memory(NamedTuple):
    """What one thread writes."""

    step: Int
    """[P, T + 1] changes of the accelerators taken from one slot to the next."""
    bears: Int
    """[O]."""
    parts: Int
    """[M]."""


def _memory(a: BookArrays) -> _Memory:
    pools, slots = a.capacity.shape
    whole = np.int64
    return _Memory(
        np.zeros((pools, slots + 1), dtype=whole),
        np.empty(a.allowed.shape[1], dtype=whole),
        np.empty(a.parts.shape[1], dtype=whole),
    )


@loop
def _take_best(
    a: BookArrays,
    empty: State,
    guide: Guide,
    posted: Posted,
    rows: Int,
    first: int,
    stride: int,
    hints: Hints,
    score: Float,
    m: _Memory,
) -> None:
    """Let every stride-th order take its best block."""
    for i in range(first, rows.shape[0], stride):
        j = rows[i]
        p, t, o, gain = find_block(a, empty, guide, posted, j, 0.0, m.bears, m.parts)
        hints.pool[j], hints.start[j], hints.option[j] = p, t, o
        score[j] = gain
        if p >= 0:
            m.step[p, t] += a.gpus[j]
            m.step[p, t + a.slots[a.shape[j], p]] -= a.gpus[j]


@loop
def _reprice(a: BookArrays, taken: Int, batches: int, rate: float, low: Float, level: Float, total: Float) -> None:
    """Move guide prices by what a batch took, and add them up; `taken` is cleared."""
    for p in range(level.shape[0]):
        running = 0
        for t in range(level.shape[1]):
            running += taken[p, t]
            taken[p, t] = 0
            if a.capacity[p, t] > 0:
                excess = float(running * batches) / a.capacity[p, t] - 1.0
                level[p, t] = max(low[p, t], level[p, t] + rate * a.ask[p, t] * excess)
            total[p, t] += level[p, t]
        taken[p, level.shape[1]] = 0


def spread(a: BookArrays, keys: Keys, point: Point, posted: Posted, epochs: int = EPOCHS) -> Spread:
    """Find blocks for all orders such that demand meets supply.

    Parameters
    ----------
    keys : of all orders; neighbours in pricing order are alike, so that every n-th order is a fair sample
    point : prices to begin with
    posted : published prices, which decide vouchers
    epochs : how often all orders pass
    """
    orders = a.gpus.size
    batches = max(1, min(BATCHES, orders // BATCH_LEAST))
    level, low = point[0].copy(), _LOWEST * point[0]
    sums = np.zeros((a.ask.shape[0], a.ask.shape[1] + 1))
    np.cumsum(a.ask + low, axis=1, out=sums[:, 1:])
    # never above the least cost at any guide price on the way
    guide = Guide(sums, floor_table(sums), point[1] / 1e6, point[2], point[3])
    hints = Hints(*(np.full(orders, -1, dtype=np.int32) for _ in range(3)))
    score, total = np.zeros(orders), np.zeros_like(level)
    empty = empty_state(a)
    threads = max(1, min(get_num_threads(), orders // batches // BATCH_LEAST))
    memories = [_memory(a) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(epochs):
            total[:] = 0.0
            for batch in range(batches):
                np.cumsum(a.ask + level, axis=1, out=sums[:, 1:])
                args = [
                    (a, empty, guide, posted, keys.row, batch + n * batches, threads * batches, hints, score, m)
                    for n, m in enumerate(memories)
                ]
                others = [pool.submit(_take_best, *some) for some in args[1:]]  # type: ignore[arg-type]
                _take_best(*args[0])  # type: ignore[arg-type]
                for n, other in enumerate(others, start=1):
                    other.result()
                    memories[0].step[:] += memories[n].step
                    memories[n].step[:] = 0
                _reprice(a, memories[0].step, batches, STEP, low, level, total)
    return Spread(hints, score, total / batches)


@loop
def _sort_keys(a: BookArrays, cost_sum: Float, hints: Hints, score: Float, power: float, out: Float) -> None:
    """Write what the orders are sorted by: minus surplus over a power of the cost; infinite where nothing pays."""
    for j in range(out.shape[0]):
        p, t = hints.pool[j], hints.start[j]
        out[j] = np.inf
        if p >= 0:
            cost = a.gpus[j] * (cost_sum[p, t + a.slots[a.shape[j], p]] - cost_sum[p, t])
            out[j] = -score[j] / max(cost, 1.0) ** power


def _sequence(keys: Float) -> Int:
    chosen = np.flatnonzero(keys < np.inf)
    return chosen[np.argsort(keys[chosen], kind="stable")]


def recover(a: BookArrays, s: State, point: Point, spread_: Spread, posted: Posted) -> None:
    """Fill a state with awards.

    Parameters
    ----------
    s : the state without awards, changed in place
    point : guide prices
    spread_ : where orders should go
    posted : published prices
    """
    keys = np.empty(a.gpus.size)
    guide = guide_at(a, *point)
    _sort_keys(a, guide.price_sum, spread_.hints, spread_.score, _SIZE_POWER, keys)
    place(a, s, guide, posted, _sequence(keys), spread_.hints)
    for factor in FILLS:
        fill(a, s, guide_at(a, *(factor * part for part in point)), posted)


__all__ = ["Point", "Spread", "recover", "spread"]
