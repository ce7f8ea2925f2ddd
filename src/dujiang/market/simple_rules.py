"""Simple rules of allocation: first come first fit, and greedy by value or by value per GPU-hour.

What a broker without prices would do. They serve as further points from which improvement may start, so that a
clearing is never worse than any of them, and as peers in the benchmark. Vouchers follow the same published prices.
"""

from enum import StrEnum

import numpy as np

from dujiang.market.amounts import bearable_net, haul
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare, loop
from dujiang.market.place import guide_at, place
from dujiang.market.state import Int, Posted, State, cost_between, empty_state, put, vouchers_at


class Rule(StrEnum):
    """The rules."""

    FIRST_FIT = "first-fit"
    """Orders as they come, each at the earliest start, there in the first pool that fits and whose ask it bears."""
    VALUE = "value"
    """By limit, each in the block that adds most welfare."""
    DENSITY = "density"
    """By limit per GPU-slot, each in the block that adds most welfare."""


def allocate(a: BookArrays, posted: Posted, rule: Rule) -> State:
    """Return the awards that a rule makes."""
    s = empty_state(a)
    if rule is Rule.FIRST_FIT:
        bears = np.empty(a.allowed.shape[1], dtype=np.int64)
        parts = np.empty(a.parts.shape[1], dtype=np.int64)
        _first_fit(a, s, posted, bears, parts)
        return s
    key = a.limit.astype(np.float64)
    if rule is Rule.DENSITY:
        key /= a.gpus * a.slots.min(axis=1, initial=a.capacity.shape[1])[a.shape]
    nothing = [np.zeros(array.shape) for array in (a.capacity, a.link_left, a.budget, a.cap_left)]
    place(a, s, guide_at(a, *nothing), posted, np.argsort(-key, kind="stable"))
    return s


@bare
def first_start(a: BookArrays, s: State, j: int, p: int, begin: int, before: int) -> int:
    """Return the earliest start in a pool that fits and lies in [begin, before); -1: none."""
    d = a.slots[a.shape[j], p]
    route = a.route[a.place[j], p]
    gpus, last = a.gpus[j], min(a.deadline[j] - d, before - 1)
    t = begin
    clear = t  # no slot of [t, clear) is too full
    while t <= last:
        u = max(clear, t)
        while u < t + d and s.free[p, u] >= gpus:
            u += 1
        if u < t + d:
            t = clear = u + 1
            continue
        clear = u
        if route < 0 or s.link[route, t] >= a.data[j]:
            return t
        t += 1
    return -1


@bare
def _dearest_option(a: BookArrays, s: State, posted: Posted, j: int, p: int, t: int, bears: Int, parts: Int) -> int:
    """Return the usable option with the highest effective limit; -1 if none bears the ask."""
    d = a.slots[a.shape[j], p]
    ask = a.gpus[j] * cost_between(posted.ask_sum, p, t, d)
    fixed = a.bonus[j] - a.carbon[p] * a.gpus[j] * d
    net = a.limit[j] - haul(a.data[j], a.tariff[a.place[j], p])
    best, most = -1, -1
    for o in range(bears.shape[0]):
        bears[o] = bearable_net(a, j, p, o, net)
        usable = bears[o] >= ask and bears[o] + fixed > ask and bears[o] > most
        if usable and (o == 0 or vouchers_at(a, s, posted, j, p, t, o, bears[o], parts)):
            best, most = o, bears[o]
    return best


@loop
def _first_fit(a: BookArrays, s: State, posted: Posted, bears: Int, parts: Int) -> None:
    for j in range(a.gpus.shape[0]):
        row = a.place[j]
        pool, start, option = -1, a.deadline[j], 0
        for i in range(a.place_first[row], a.place_first[row + 1]):
            p = a.place_pool[i]
            t = first_start(a, s, j, p, a.release[j], start)
            while t >= 0:
                o = _dearest_option(a, s, posted, j, p, t, bears, parts)
                if o >= 0:
                    pool, start, option = p, t, o
                    break
                t = first_start(a, s, j, p, t + 1, start)
        if pool >= 0:
            put(a, s, posted, j, pool, start, option)


__all__ = ["Rule", "allocate"]
