"""Awards: priced slices first, then ruin and recreate, always feasible, exact in every constraint.

Placement takes orders in turn and gives each the block that pays most at guide prices, among those that still fit the
free capacity, the budgets, the caps and the once-per-contract rule. Payments, and so vouchers, follow from the
published prices, which are fixed before the first placement; a voucher is therefore known exactly when it is placed,
and no repair is needed. Guide prices only steer; they are re-solved on what is left after each slice.

Ruin and recreate then removes a few neighbouring awards again and again, offers the hole to them and to unserved
neighbours in another order and under perturbed guide prices, and keeps what is not worse (late acceptance by a small,
falling temperature). Its random numbers come from a counter-based generator with a stated seed; the number of moves,
not the clock, ends it, so the same book gives the same bytes.

References
----------
G. Schrimpf et al., Record breaking optimization results using the ruin and recreate principle,
J. Comput. Phys. 159 (2000).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dujiang.market.arrays import BookArrays, Int
from dujiang.market.kernels import last_blocked, share_of

Float = npt.NDArray[np.float64]


class State(NamedTuple):
    """Awards so far and what they leave; changed in place."""

    pool: Int
    """[J] pool of the award; -1: none."""
    start: Int
    option: Int
    voucher: Int
    """[J] micro-yuan."""
    worth: Int
    """[J] welfare of the award, micro-yuan."""
    free: Int
    """[P, T]."""
    budget: Int
    """[K+1] left."""
    cap: Int
    """[C] left."""
    used: npt.NDArray[np.bool_]
    """[contracts, K+1] the contract has used the programme."""


class Guide(NamedTuple):
    """Prices that steer the choice of a block."""

    price_sum: Float
    """[P, T+1] prefix sums, micro-yuan per GPU-hour."""
    budget: Float
    """[K+1] welfare per yuan of voucher."""
    cap: Float
    """[C] the same."""


class Guides(NamedTuple):
    """Several guides, stacked along the first axis: moves pick one at random."""

    price_sum: Float
    budget: Float
    cap: Float


class Posted(NamedTuple):
    """Published prices and asks, as exact prefix sums: they decide payments."""

    price_sum: Int
    ask_sum: Int


def empty_state(a: BookArrays) -> State:
    """Return the state with no award."""
    orders = a.gpus.shape[0]
    contracts = int(a.contract.max()) + 1 if orders else 0
    return State(
        pool=np.full(orders, -1, dtype=np.int64),
        start=np.full(orders, -1, dtype=np.int64),
        option=np.zeros(orders, dtype=np.int64),
        voucher=np.zeros(orders, dtype=np.int64),
        worth=np.zeros(orders, dtype=np.int64),
        free=a.capacity.copy(),
        budget=a.budget.copy(),
        cap=a.cap_left.copy(),
        used=np.zeros((contracts, a.budget.shape[0]), dtype=np.bool_),
    )


@njit(cache=True)
def voucher_at(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, k: int) -> int:
    """Return the voucher of an option at the published prices; -1 if what is left does not allow it."""
    d = a.slots[j, p]
    gross = min(a.gpus[j] * (posted.price_sum[p, t + d] - posted.price_sum[p, t]), a.limit[j, p, k])
    voucher = min(share_of(gross, a.share[j, p, k]), a.room[j, k])
    c = a.cap[j, k]
    if voucher <= 0 or voucher < a.minimum[k] or voucher > s.budget[k] or s.used[a.contract[j], k]:
        return -1
    if c >= 0 and voucher > s.cap[c]:
        return -1
    return voucher


@njit(cache=True)
def find_block(a: BookArrays, s: State, guide: Guide, posted: Posted, j: int) -> tuple[int, int, int, int, float]:
    """Return pool, start, option, voucher and score of the best block that still fits; pool -1 if none pays."""
    best_p, best_t, best_k, best_v = -1, -1, 0, 0
    best = 0.0
    found = False
    gpus = a.gpus[j]
    for p in range(a.slots.shape[1]):
        d = a.slots[j, p]
        if d == 0 or a.release[j] + d > a.deadline[j]:
            continue
        carbon = a.carbon[p] * gpus * d
        highest = float(a.limit[j, p, :].max() - carbon + a.bonus[j])
        blocked = last_blocked(s.free[p], gpus, a.release[j], a.release[j] + d - 1, -1)
        for t in range(a.release[j], a.deadline[j] - d + 1):
            if s.free[p, t + d - 1] < gpus:
                blocked = t + d - 1
            if blocked >= t:
                continue
            steer = gpus * (guide.price_sum[p, t + d] - guide.price_sum[p, t])
            if found and highest - steer <= best:
                continue
            ask = gpus * (posted.ask_sum[p, t + d] - posted.ask_sum[p, t])
            for k in range(a.limit.shape[2]):
                limit = a.limit[j, p, k]
                if limit < ask or limit - ask - carbon + a.bonus[j] <= 0:
                    continue
                score = float(limit - carbon + a.bonus[j]) - steer
                if found and score <= best:
                    continue
                voucher = 0
                if k > 0:
                    voucher = voucher_at(a, s, posted, j, p, t, k)
                    if voucher < 0:
                        continue
                    rate = guide.budget[k]
                    if a.cap[j, k] >= 0:
                        rate += guide.cap[a.cap[j, k]]
                    score -= rate * voucher
                if not found or score > best:
                    found = True
                    best = score
                    best_p, best_t, best_k, best_v = p, t, k, voucher
    return best_p, best_t, best_k, best_v, best


@njit(cache=True)
def put(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, k: int, voucher: int) -> None:
    """Enter an award."""
    d = a.slots[j, p]
    gpus = a.gpus[j]
    s.pool[j], s.start[j], s.option[j], s.voucher[j] = p, t, k, voucher
    ask = gpus * (posted.ask_sum[p, t + d] - posted.ask_sum[p, t])
    s.worth[j] = a.limit[j, p, k] - ask - a.carbon[p] * gpus * d + a.bonus[j]
    for u in range(t, t + d):
        s.free[p, u] -= gpus
    if k > 0:
        s.budget[k] -= voucher
        if a.cap[j, k] >= 0:
            s.cap[a.cap[j, k]] -= voucher
        s.used[a.contract[j], k] = True


@njit(cache=True)
def take(a: BookArrays, s: State, j: int) -> None:
    """Remove an award."""
    p, t, k = s.pool[j], s.start[j], s.option[j]
    for u in range(t, t + a.slots[j, p]):
        s.free[p, u] += a.gpus[j]
    if k > 0:
        s.budget[k] += s.voucher[j]
        if a.cap[j, k] >= 0:
            s.cap[a.cap[j, k]] += s.voucher[j]
        s.used[a.contract[j], k] = False
    s.pool[j], s.start[j], s.option[j], s.voucher[j], s.worth[j] = -1, -1, 0, 0, 0


@njit(cache=True)
def place(a: BookArrays, s: State, guide: Guide, posted: Posted, order: Int, least: float) -> int:
    """Place orders in turn, each in its best block with a score of at least `least`; return how many."""
    count = 0
    for j in order:
        if s.pool[j] >= 0:
            continue
        p, t, k, v, score = find_block(a, s, guide, posted, j)
        if p >= 0 and score >= least:
            put(a, s, posted, j, p, t, k, v)
            count += 1
    return count


@njit(cache=True)
def _random(state: npt.NDArray[np.uint64]) -> np.uint64:
    """SplitMix64: one 64-bit state, full period, the same numbers on every machine."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def _below(state: npt.NDArray[np.uint64], n: int) -> int:
    # signed, since compiled arithmetic of signed with unsigned falls to floats
    return int(np.int64(_random(state) >> np.uint64(1)) % n)


@njit(cache=True)
def _unit(state: npt.NDArray[np.uint64]) -> float:
    return float(_random(state) >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True)
def _usable_pool(a: BookArrays, j: int, rng: npt.NDArray[np.uint64]) -> int:
    """Return a random pool that could take an order within its window; -1 if there is none."""
    pools = a.slots.shape[1]
    offset = _below(rng, pools)
    for i in range(pools):
        p = (offset + i) % pools
        if a.slots[j, p] > 0 and a.release[j] + a.slots[j, p] <= a.deadline[j]:
            return p
    return -1


@njit(cache=True)
def _hole(a: BookArrays, s: State, seed: int, rng: npt.NDArray[np.uint64]) -> tuple[int, int, int]:
    """Return pool and slots around which a move works: where the order runs, else a random block that it could take."""
    p = s.pool[seed]
    if p >= 0:
        begin, end = s.start[seed], s.start[seed] + a.slots[seed, p]
    else:
        p = _usable_pool(a, seed, rng)
        if p < 0:
            return -1, 0, 0
        begin = a.release[seed] + _below(rng, a.deadline[seed] - a.slots[seed, p] - a.release[seed] + 1)
        end = begin + a.slots[seed, p]
    margin = _below(rng, 12)
    return p, begin - margin, end + margin


@njit(cache=True)
def _ruin(a: BookArrays, s: State, live: Int, size: int, rng: npt.NDArray[np.uint64], chosen: Int) -> tuple[int, int]:
    """Choose awards to remove and unserved orders to try; return how many of each stand in `chosen`, in this order.

    The first of those to try is the seed of the move if it is unserved.
    """
    seed = live[_below(rng, live.shape[0])]
    p, begin, end = _hole(a, s, seed, rng)
    if p < 0:
        return 0, 0
    other = _usable_pool(a, seed, rng)
    removed, offset = 0, _below(rng, live.shape[0])
    for i in range(live.shape[0]):
        j = live[(offset + i) % live.shape[0]]
        if removed >= size:
            break
        q = s.pool[j]
        near = q in (p, other) and s.start[j] < end and s.start[j] + a.slots[j, q] > begin
        if q >= 0 and (j == seed or near):
            chosen[removed] = j
            removed += 1
    tried, offset = 0, _below(rng, live.shape[0])
    if s.pool[seed] < 0:
        chosen[removed] = seed
        tried = 1
    for i in range(live.shape[0]):
        j = live[(offset + i) % live.shape[0]]
        if tried >= size:
            break
        fits = a.slots[j, p] > 0 or a.slots[j, other] > 0
        if s.pool[j] < 0 and j != seed and fits and a.release[j] < end and a.deadline[j] > begin:
            chosen[removed + tried] = j
            tried += 1
    return removed, tried


@njit(cache=True)
def _rank(ranks: Float, chosen: Int, n: int, first: int, rng: npt.NDArray[np.uint64]) -> Int:
    """Return the order in which a move offers its hole: by one of the ranks with noise; `first` leads every other time.

    An order that the prices leave no surplus ranks last by them, however often it is tried; that is why there are
    several ranks.
    """
    keys = np.empty(n)
    r = _below(rng, ranks.shape[0])
    noise = 0.6 * _unit(rng)
    for i in range(n):
        keys[i] = ranks[r, chosen[i]] * (1.0 + noise * (_unit(rng) - 0.5))
    if first >= 0 and _below(rng, 2) == 0:
        keys[first] = np.inf
    return np.argsort(-keys, kind="mergesort")


@njit(cache=True)
def improve(
    a: BookArrays,
    s: State,
    guides: Guides,
    posted: Posted,
    live: Int,
    ranks: Float,
    rng: npt.NDArray[np.uint64],
    moves: int,
    size: int,
    hot: float,
    cold: float,
) -> int:
    """Ruin and recreate for a number of moves; return the change of welfare, micro-yuan.

    Parameters
    ----------
    live : orders that could be served at all
    ranks : [R, J] positive sort keys of the recreate step, highest first; a move picks a row
    size : most awards removed by a move
    hot, cold : loss accepted at the first and the last move, micro-yuan
    """
    chosen = np.empty(2 * size + 2, dtype=np.int64)
    old = np.empty((4, 2 * size + 2), dtype=np.int64)
    total = 0
    for move in range(moves):
        removed, tried = _ruin(a, s, live, 1 + _below(rng, size), rng, chosen)
        n = removed + tried
        if n == 0:
            continue
        before = 0
        for i in range(n):
            j = chosen[i]
            old[0, i], old[1, i], old[2, i], old[3, i] = s.pool[j], s.start[j], s.option[j], s.voucher[j]
            before += s.worth[j]
            if s.pool[j] >= 0:
                take(a, s, j)
        after = 0
        g = _below(rng, guides.price_sum.shape[0])
        guide = Guide(guides.price_sum[g], guides.budget[g], guides.cap[g])
        for i in _rank(ranks, chosen, n, removed if tried > 0 else -1, rng):
            j = chosen[i]
            p, t, k, v, _ = find_block(a, s, guide, posted, j)
            if p >= 0:
                put(a, s, posted, j, p, t, k, v)
                after += s.worth[j]
        heat = hot * (cold / hot) ** (move / moves)
        if after >= before or float(before - after) < -heat * np.log(_unit(rng) + 1e-300):
            total += after - before
            continue
        for i in range(n):
            if s.pool[chosen[i]] >= 0:
                take(a, s, chosen[i])
        for i in range(n):
            if old[0, i] >= 0:
                put(a, s, posted, chosen[i], old[0, i], old[1, i], old[2, i], old[3, i])
    return total
