"""Compiled loops of the clearing: plain arrays in and out. `tests/market/slow.py` holds the slow twins.

Costs are prefix sums over slots, so the cost of any block is one subtraction. A block that its pool could not hold even
if nobody else were served is no choice: that keeps the bound valid and tightens it. Every loop visits pools, starts and
options in ascending order and replaces its best only by a strictly better one: the earliest start in the first pool
wins a tie, whatever the number of threads.
"""

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from dujiang.market.arrays import BookArrays

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

_MICRO = 1_000_000
_OVERFLOW = 4e24
"""Voucher times multiplier, ppm, above which the product would leave int64; any surplus is below it."""


@njit(cache=True)
def share_of(amount: int, share: int) -> int:
    """Return ``amount * share / 1e6`` cut down, without overflow for amounts to 9e18 and shares to 1e6."""
    return (amount // _MICRO) * share + (amount % _MICRO) * share // _MICRO


@njit(cache=True)
def least_voucher(a: BookArrays, j: int, p: int, k: int, ask: int) -> int:
    """Return the least that an option's voucher can be: the block costs at least its ask."""
    return max(a.minimum[k], min(share_of(ask, a.share[j, p, k]), a.room[j, k]))


@njit(cache=True)
def last_blocked(free: Int, gpus: int, begin: int, end: int, default: int) -> int:
    """Return the last slot of [begin, end) with fewer than `gpus` free, else `default`."""
    for t in range(min(end, free.shape[0]) - 1, begin - 1, -1):
        if free[t] < gpus:
            return t
    return default


@njit(parallel=True, cache=True)
def best_responses(
    a: BookArrays, ask_sum: Int, price_sum: Float, budget_price: Float, cap_price: Float
) -> tuple[Float, Int, Int, Int, Float]:
    """Return what each order would buy at given prices, were it alone.

    Parameters
    ----------
    a : the book
    ask_sum, price_sum : [P, T+1] prefix sums of ask and price over slots, micro-yuan per GPU-hour
    budget_price, cap_price : [K+1], [C] price of one yuan of voucher, dimensionless

    Returns
    -------
    surplus [J] micro-yuan, 0 where nothing pays; pool, start, option [J] (-1: none); least voucher [J] micro-yuan
    """
    orders, pools = a.slots.shape
    options = a.limit.shape[2]
    surplus = np.zeros(orders)
    pool = np.full(orders, -1, dtype=np.int64)
    start = np.full(orders, -1, dtype=np.int64)
    option = np.full(orders, -1, dtype=np.int64)
    voucher = np.zeros(orders)
    for j in prange(orders):
        gpus = a.gpus[j]
        for p in range(pools):
            d = a.slots[j, p]
            if d == 0:
                continue
            highest = a.limit[j, p, :].max()
            fixed = float(a.bonus[j] - a.carbon[p] * gpus * d)
            blocked = last_blocked(a.capacity[p], gpus, a.release[j], a.release[j] + d - 1, -1)
            for t in range(a.release[j], a.deadline[j] - d + 1):
                if a.capacity[p, t + d - 1] < gpus:
                    blocked = t + d - 1
                if blocked >= t:
                    continue
                cost = gpus * (price_sum[p, t + d] - price_sum[p, t])
                if highest - cost + fixed <= surplus[j]:
                    continue
                ask = gpus * (ask_sum[p, t + d] - ask_sum[p, t])
                for k in range(options):
                    limit = a.limit[j, p, k]
                    if limit < ask:
                        continue
                    value = limit - cost + fixed
                    least = 0.0
                    if k > 0:
                        least = float(least_voucher(a, j, p, k, ask))
                        rate = budget_price[k]
                        if a.cap[j, k] >= 0:
                            rate += cap_price[a.cap[j, k]]
                        value -= rate * least
                    if value > surplus[j]:
                        surplus[j] = value
                        pool[j], start[j], option[j] = p, t, k
                        voucher[j] = least
    return surplus, pool, start, option, voucher


@njit(parallel=True, cache=True)
def exact_surplus(a: BookArrays, ask_sum: Int, price_sum: Int, budget_ppm: Int, cap_ppm: Int) -> tuple[Int, Int]:
    """Return each order's greatest surplus at integer prices, exactly.

    Returns
    -------
    whole [J] micro-yuan and rest [J] ppm of a micro-yuan, the surplus being ``whole - rest / 1e6``; both 0 where
    nothing pays
    """
    orders, pools = a.slots.shape
    options = a.limit.shape[2]
    whole = np.zeros(orders, dtype=np.int64)
    rest = np.zeros(orders, dtype=np.int64)
    for j in prange(orders):
        gpus = a.gpus[j]
        for p in range(pools):
            d = a.slots[j, p]
            if d == 0:
                continue
            fixed = a.bonus[j] - a.carbon[p] * gpus * d
            blocked = last_blocked(a.capacity[p], gpus, a.release[j], a.release[j] + d - 1, -1)
            for t in range(a.release[j], a.deadline[j] - d + 1):
                if a.capacity[p, t + d - 1] < gpus:
                    blocked = t + d - 1
                if blocked >= t:
                    continue
                cost = gpus * (price_sum[p, t + d] - price_sum[p, t])
                ask = gpus * (ask_sum[p, t + d] - ask_sum[p, t])
                for k in range(options):
                    limit = a.limit[j, p, k]
                    if limit < ask or limit - cost + fixed < whole[j]:
                        continue
                    value = limit - cost + fixed
                    part = 0
                    if k > 0:
                        least = least_voucher(a, j, p, k, ask)
                        rate = budget_ppm[k]
                        if a.cap[j, k] >= 0:
                            rate += cap_ppm[a.cap[j, k]]
                        if float(least) * rate > _OVERFLOW:
                            continue  # the voucher alone costs more than any limit
                        small = (least % _MICRO) * rate
                        value -= (least // _MICRO) * rate + small // _MICRO
                        part = small % _MICRO
                    if value >= 1 and (value > whole[j] or (value == whole[j] and part < rest[j])):
                        whole[j], rest[j] = value, part
    return whole, rest


@njit(cache=True)
def usage_of(a: BookArrays, pool: Int, start: Int, option: Int, voucher: Float) -> tuple[Float, Float, Float]:
    """Return the use of capacity [P, T], budgets [K+1] and caps [C] by a choice of blocks (pool -1: none)."""
    pools, slots = a.capacity.shape
    steps = np.zeros((pools, slots + 1))
    budgets = np.zeros(a.budget.shape[0])
    caps = np.zeros(a.cap_left.shape[0])
    for j in range(pool.shape[0]):
        p = pool[j]
        if p < 0:
            continue
        steps[p, start[j]] += a.gpus[j]
        steps[p, start[j] + a.slots[j, p]] -= a.gpus[j]
        k = option[j]
        if k > 0:
            budgets[k] += voucher[j]
            if a.cap[j, k] >= 0:
                caps[a.cap[j, k]] += voucher[j]
    used = np.zeros((pools, slots))
    for p in range(pools):
        running = 0.0
        for t in range(slots):
            running += steps[p, t]
            used[p, t] = running
    return used, budgets, caps


@njit(cache=True)
def simplex_qp(h: Float, gradient: Float, alpha: Float, steps: int) -> Float:
    """Maximise a concave quadratic over the simplex from `alpha` by exact pairwise steps (SMO).

    `h` is the negated Hessian, `gradient` the gradient at `alpha` (changed in place).
    """
    n = gradient.shape[0]
    x = alpha.copy()
    for _ in range(steps):
        up = 0
        for i in range(1, n):
            if gradient[i] > gradient[up]:
                up = i
        down = -1
        for i in range(n):
            if x[i] > 0.0 and (down < 0 or gradient[i] < gradient[down]):
                down = i
        slope = gradient[up] - gradient[down]
        if slope <= 1e-12 * (1.0 + abs(gradient[up])):
            break
        curve = h[up, up] + h[down, down] - 2.0 * h[up, down]
        step = x[down] if curve <= 0.0 else min(x[down], slope / curve)
        x[up] += step
        x[down] -= step
        if x[down] < 1e-15:
            x[down] = 0.0
        for i in range(n):
            gradient[i] -= step * (h[i, up] - h[i, down])
    return x
