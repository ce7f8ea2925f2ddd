"""Simple rules that a centre could follow without a clearing, as compiled loops: what the engine has to beat.

They know no scarcity prices. Everybody pays the ask, which stretches the vouchers furthest, and every constraint of the
clearing holds: capacity, links, budgets, caps, one use of a programme by a contract.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

from dujiang.market.amounts import bearable
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.state import Posted, State, cost_between, empty_state, posted_prices, put, vouchers_at


@njit(cache=True)
def _worth(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, o: int, part: Int) -> int:
    """Return the welfare of a block with an option; 0 if the option is closed or does not bear the ask."""
    limit = bearable(a, j, p, o)
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
    if limit < ask or (o > 0 and not vouchers_at(a, s, posted, j, p, t, o, limit, part)):
        return 0
    return max(0, limit - ask - a.carbon[p] * a.gpus[j] * d + a.bonus[j])


@njit(cache=True)
def _next_start(a: BookArrays, s: State, j: int, p: int, t: int) -> int:
    """Return the first start from slot `t` on that fits; the deadline if there is none."""
    d = a.slots[a.shape[j], p]
    route = a.route[a.place[j], p]
    while t + d <= a.deadline[j]:
        full = -1
        for u in range(t + d - 1, t - 1, -1):
            if s.free[p, u] < a.gpus[j]:
                full = u
                break
        if full < 0 and (route < 0 or s.link[route, t] >= a.data[j]):
            return t
        t = max(full, t) + 1
    return a.deadline[j]


@njit(cache=True)
def _first_fit(a: BookArrays, s: State, posted: Posted, order: Int) -> None:
    part = np.zeros(a.parts.shape[1], dtype=np.int64)
    for j in order:
        pools = a.place_pool[a.place_first[a.place[j]] : a.place_first[a.place[j] + 1]]
        best_p, best_t, best_o = -1, a.deadline[j], 0
        for p in pools:
            t = _next_start(a, s, j, p, a.release[j])
            while t < best_t:
                for o in range(a.parts.shape[0]):
                    if _worth(a, s, posted, j, p, t, o, part) > 0:
                        best_p, best_t, best_o = p, t, o
                        break
                t = _next_start(a, s, j, p, t + 1)
        if best_p >= 0:
            put(a, s, posted, j, best_p, best_t, best_o)


@njit(cache=True)
def _best_fit(a: BookArrays, s: State, posted: Posted, order: Int) -> None:
    part = np.zeros(a.parts.shape[1], dtype=np.int64)
    for j in order:
        best, best_p, best_t, best_o = 0, -1, 0, 0
        for p in a.place_pool[a.place_first[a.place[j]] : a.place_first[a.place[j] + 1]]:
            t = _next_start(a, s, j, p, a.release[j])
            while t < a.deadline[j]:
                for o in range(a.parts.shape[0]):
                    worth = _worth(a, s, posted, j, p, t, o, part)
                    if worth > best:
                        best, best_p, best_t, best_o = worth, p, t, o
                t = _next_start(a, s, j, p, t + 1)
        if best_p >= 0:
            put(a, s, posted, j, best_p, best_t, best_o)


def _allocated(a: BookArrays, rule: Callable[[BookArrays, State, Posted, Int], None], order: Int) -> State:
    s = empty_state(a)
    rule(a, s, posted_prices(a, np.zeros_like(a.ask)), order.astype(np.int64))
    assert s.free.min(initial=0) >= 0
    assert s.budget.min(initial=0) >= 0
    assert s.cap.min(initial=0) >= 0
    return s


def _served(a: BookArrays, rule: Callable[[BookArrays, State, Posted, Int], None], order: Int) -> int:
    return int(_allocated(a, rule, order).worth.sum())


def first_fit_state(a: BookArrays) -> State:
    """Serve as they come, each at the earliest start, there in the first pool."""
    return _allocated(a, _first_fit, np.arange(a.gpus.size))


def first_fit(a: BookArrays) -> int:
    """Return the welfare of `first_fit_state`, micro-yuan."""
    return int(first_fit_state(a).worth.sum())


def greedy_by_value(a: BookArrays) -> int:
    """Return the welfare, micro-yuan, of serving the highest limits first, each in the block that adds most."""
    return _served(a, _best_fit, np.argsort(-a.limit, kind="stable"))


def greedy_by_density(a: BookArrays) -> int:
    """Return the same with the highest limits per GPU-slot first."""
    shortest = a.slots.min(axis=1)[a.shape]
    return _served(a, _best_fit, np.argsort(-a.limit / (a.gpus * shortest), kind="stable"))


RULES: dict[str, Callable[[BookArrays], int]] = {
    "first fit": first_fit,
    "greedy by value": greedy_by_value,
    "greedy by density": greedy_by_density,
}
