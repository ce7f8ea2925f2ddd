"""Quotes: what an order would cost now in each compatible pool, from the posted prices and what is left (design 4.8).

A quote is of one order alone and reserves nothing. It names, per pool, the earliest of the cheapest starts in the
order's window at which every slot still has room and, on a link of limited capacity, its data may still start to cross.
It says what everybody would pay there: the gross amount to the centre at the posted prices and the transfer to the
carrier. Vouchers are no part of it, and neither is a limit: what an enterprise would pay itself depends on programmes
whose money others draw on too. An admission (`market.admission`) uses both.

The tables of a desk are prefix sums of prices, so the cost of a block is one subtraction. Where a pool has room for the
gang in all slots, the search is a plain minimum; elsewhere room is looked at only where a start beats the best so far.
A batch visits the pool with the least possible cost first and leaves out all that cannot be better.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays, Index, Int
from dujiang.market.compiled import bare, loop

MOST = np.iinfo(np.int64).max


class Tables(NamedTuple):
    """Prepared tables over pools and slots; what is left is counted as it is when they are made."""

    price_sum: Int
    """[P, T + 1] prefix sums of the posted prices, micro-yuan per accelerator."""
    ask_sum: Int
    """[P, T + 1] the same of the asks."""
    cheapest: Int
    """[P] lowest posted price of any slot, micro-yuan per GPU-hour."""
    free: Int
    """[P, T] accelerators left."""
    lowest: Int
    """[P] accelerators left in the fullest slot."""
    link_left: Int
    """[L, T] data that may still start to cross, millionths of a GB."""


def quote_tables(price: Int, ask: Int, free: Int, link_left: Int) -> Tables:
    """Prepare tables.

    Parameters
    ----------
    price, ask : [P, T] posted prices and asks, micro-yuan per GPU-hour; at least one slot
    free : [P, T] accelerators left
    link_left : [L, T] data that may still start to cross, millionths of a GB
    """
    return Tables(
        price_sum=_sums(price),
        ask_sum=_sums(ask),
        cheapest=price.min(axis=1),
        free=np.ascontiguousarray(free),
        lowest=free.min(axis=1),
        link_left=np.ascontiguousarray(link_left),
    )


def _sums(rates: Int) -> Int:
    out = np.zeros((rates.shape[0], rates.shape[1] + 1), dtype=np.int64)
    np.cumsum(rates, axis=1, out=out[:, 1:])
    return out


@bare
def _cheapest_start(
    price_sum: Int,
    free: Int,
    roomy: bool,
    link_left: Int,
    route: int,
    first: int,
    count: int,
    d: int,
    gpus: int,
    data: int,
) -> tuple[int, int]:
    """Return the earliest of the cheapest starts that have room, and its cost per accelerator; start -1: none has.

    Parameters
    ----------
    price_sum, free : of the pool, [T + 1] and [T]
    roomy : every slot of the pool has room for the gang
    link_left, route : what may start to cross, and the row of the link that the data take; -1: nothing limits it
    first, count : first start and number of starts of the window
    """
    begins = price_sum[first : first + count]
    ends = price_sum[first + d : first + d + count]
    least, n = MOST, 0
    for i in range(count):
        least = min(least, ends[i] - begins[i])
    while ends[n] - begins[n] > least:
        n += 1
    if _has_room(free, roomy, link_left, route, first + n, d, gpus, data):
        return first + n, least
    least, start = MOST, -1
    i, clear = 0, first  # no slot of [first + i, clear) is too full
    while i < count:
        cost = ends[i] - begins[i]
        t = first + i
        i += 1
        if cost >= least or (route >= 0 and link_left[route, t] < data):
            continue
        u, seen = t + d - 1, max(clear, t)
        while u >= seen and free[u] >= gpus:
            u -= 1
        if u >= seen:
            clear = u + 1
            i = clear - first
        else:
            clear = t + d
            start, least = t, cost
    return start, least


@bare
def _has_room(free: Int, roomy: bool, link_left: Int, route: int, t: int, d: int, gpus: int, data: int) -> bool:
    if route >= 0 and link_left[route, t] < data:
        return False
    if not roomy:
        for u in range(t, t + d):
            if free[u] < gpus:
                return False
    return True


class Quotes(NamedTuple):
    """What one order would cost in each compatible pool; one entry each, pools ascending, amounts in micro-yuan."""

    pool: Int
    """Row of the pool."""
    start: Int
    """Earliest of the cheapest starts with room; -1: there is none in the window."""
    slots: Int
    """Duration."""
    gross: Int
    """To the centre at the posted prices; 0 without a start."""
    ask: Int
    """Of that the cost at the asks."""
    transfer: Int
    """To the carrier."""


class Best(NamedTuple):
    """The cheapest of all quotes of each order, the first pool of several; [J], amounts in micro-yuan."""

    pool: Index
    """Row of the pool; -1: no pool has room in the window."""
    start: Index
    gross: Int
    ask: Int
    transfer: Int


@loop
def fill_quotes(
    pools: Index,
    tariff: Int,
    route: Index,
    speed: Int,
    price_sum: Int,
    ask_sum: Int,
    free: Int,
    lowest: Int,
    link_left: Int,
    order: tuple[int, int, int, int, int],
    out: Int,
) -> None:
    """Fill in `out` [6, n] as the fields of `Quotes`.

    Parameters
    ----------
    pools, tariff, route : [n] compatible pools, what moving data there costs (micro-yuan per GB), limited link or -1
    speed : [P] millionths of the reference
    price_sum, ask_sum, free, lowest, link_left : of `Tables`, one by one: a record would take longer to hand over
    order : accelerators, millionths of an hour at speed 1.0, first slot, deadline, millionths of a GB
    """
    gpus, hours_micro, release, deadline, data = order
    for n in range(pools.shape[0]):
        p = pools[n]
        d = -(-hours_micro // speed[p])
        count = min(deadline, free.shape[1]) - d - release + 1
        over = route[n] if data > 0 else -1
        out[0, n], out[1, n], out[2, n], out[3, n], out[4, n] = p, -1, d, 0, 0
        out[5, n] = haul(data, tariff[n])
        if count <= 0:
            continue
        t, cost = _cheapest_start(
            price_sum[p], free[p], lowest[p] >= gpus, link_left, over, release, count, d, gpus, data
        )
        if t >= 0:
            out[1, n] = t
            out[3, n] = gpus * cost
            out[4, n] = gpus * (ask_sum[p, t + d] - ask_sum[p, t])


@bare
def _try_pool(a: BookArrays, tables: Tables, j: int, p: int) -> tuple[int, int, int]:
    """Return start, gross amount and transfer of an order in a pool; start -1: there is no room."""
    r, gpus, data = a.place[j], a.gpus[j], a.data[j]
    d = a.slots[a.shape[j], p]
    count = a.deadline[j] - d - a.release[j] + 1
    if count <= 0:
        return -1, 0, 0
    roomy, over = tables.lowest[p] >= gpus, a.route[r, p] if data > 0 else -1
    t, cost = _cheapest_start(
        tables.price_sum[p], tables.free[p], roomy, tables.link_left, over, a.release[j], count, d, gpus, data
    )
    return t, 0 if t < 0 else gpus * cost, haul(data, a.tariff[r, p])


@bare
def _bound(a: BookArrays, tables: Tables, j: int, p: int) -> int:
    """Return at most what an order costs in a pool; MOST where its window is too short."""
    d = a.slots[a.shape[j], p]
    if a.release[j] + d > a.deadline[j]:
        return MOST
    return a.gpus[j] * d * tables.cheapest[p] + haul(a.data[j], a.tariff[a.place[j], p])  # type: ignore[no-any-return]


@loop
def _best_of(a: BookArrays, tables: Tables, j: int) -> tuple[int, int, int, int]:
    """Return pool, start, gross amount and transfer of the cheapest quote of an order; pool -1: no pool has room."""
    r = a.place[j]
    begin, end = a.place_first[r], a.place_first[r + 1]
    likely, lowest = -1, MOST
    for i in range(begin, end):
        bound = _bound(a, tables, j, a.place_pool[i])
        if bound < lowest:
            likely, lowest = i, bound
    pool, start, gross, transfer, total = -1, -1, 0, 0, MOST
    # The likely pool first, then the others in turn; of equal quotes the first pool counts.
    for n in range(begin - 1, end):
        i = likely if n < begin else n
        if i < 0 or n == likely:
            continue
        p = a.place_pool[i]
        bound = _bound(a, tables, j, p)
        if bound > total or (bound == total and p > pool):
            continue
        t, amount, carried = _try_pool(a, tables, j, p)
        if t >= 0 and (amount + carried < total or (amount + carried == total and p < pool)):
            pool, start, gross, transfer, total = p, t, amount, carried, amount + carried
    return pool, start, gross, transfer


@njit(cache=True, error_model="numpy", parallel=True)
def _best(a: BookArrays, tables: Tables, pools: Index, starts: Index, gross: Int, ask: Int, transfer: Int) -> None:
    # Arrays one by one: what a parallel loop writes into the arrays of a record is lost.
    for j in prange(a.gpus.shape[0]):
        p, t, gross[j], transfer[j] = _best_of(a, tables, j)
        pools[j], starts[j] = p, t
        if p >= 0:
            ask[j] = a.gpus[j] * (tables.ask_sum[p, t + a.slots[a.shape[j], p]] - tables.ask_sum[p, t])


def best_quotes(a: BookArrays, tables: Tables) -> Best:
    """Return each order's cheapest quote, every order as if it were alone.

    Parameters
    ----------
    a : the orders and where they may run; the book's own capacity, limits and vouchers play no part
    tables : prices and what is left
    """
    orders = a.gpus.shape[0]
    best = Best(
        *(np.full(orders, -1, dtype=np.int32) for _ in range(2)),  # type: ignore[arg-type]
        *(np.zeros(orders, dtype=np.int64) for _ in range(3)),
    )
    _best(a, tables, *best)
    return best
