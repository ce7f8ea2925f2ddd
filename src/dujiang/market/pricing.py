"""One pricing pass: what every order would buy at given prices, were it alone. Compiled, on all threads.

For every run of pools with equal durations the pass holds the cost of every start and, level by level, the least cost
of 2, 4, 8 ... neighbouring starts; the least over any window is the lesser of two of these. Orders come sorted
(`keys`), so a table is built once for all orders of a duration, a window looked up once for all orders that share it,
and a choice of pool made once for all that differ in gang size and limit only. Orders with data look at their pools one
by one; so do orders with vouchers, at the options that could still beat the best.

Where floats decide, they decide a suggestion. With `exact` the same pass works at whole prices: floats say which blocks
may be the best, with a margin far above what they can be off, and whole numbers say which of them is; prefix sums of
prices are below 2^53, so the least cost of a window is exact already.

What a pass adds up (surplus, use of capacity, links, budgets, caps) it adds in whole numbers, so neither threads nor
the order of visits change a result. Of equal blocks the earliest start in the first pool is chosen.
`tests/market/slow.py` holds the slow twins.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from numba import get_num_threads

from dujiang.market.amounts import bearable_net, haul, least, pay
from dujiang.market.arrays import BookArrays, Flags, Index, Int
from dujiang.market.compiled import bare, folded, loop
from dujiang.market.keys import GENERAL, PLAIN, Float, Keys

Scalar = TypeVar("Scalar", np.int64, np.float64)

_MICRO = 1_000_000
_FEN = 10_000
_OVERFLOW = 4e24
"""An amount times a rate in ppm above which the product would leave int64; any surplus is below it."""
_SLACK = 10.0 * _FEN
"""By how much floats of an exact pass may be off, beside a share of what they are; far above the truth."""
_PIECE = 30_000
"""Orders in one piece of work; every thread takes the next one when it is done."""


class Point(NamedTuple):
    """Prices at which to look. In the exact pass the floats are whole numbers (rates: close to the whole ppm)."""

    cost: Float
    """[T+1, Q] prefix sums of ask and multiplier, micro-yuan per GPU-hour."""
    ask: Float
    """[T+1, Q] prefix sums of the ask."""
    link: Float
    """[L, T] micro-yuan per millionth of a GB."""
    link_even: Flags
    """[L] the link costs the same in all slots."""
    link_least: Int
    """[L] least that may start to cross in any slot."""
    budget: Float
    """[K] welfare per micro-yuan of voucher."""
    cap: Float
    """[C]."""
    posted: Float
    """[T+1, Q] prefix sums of the prices that decide payments; the cost itself in the exact pass."""
    paid: bool
    """Vouchers are counted as paid at the posted prices, not at the least that they can be."""
    exact: bool
    cost_whole: Int
    """[P, T+1], exact pass only, as are the next three."""
    ask_whole: Int
    link_whole: Int
    """[L, T] micro-yuan per GB."""
    budget_ppm: Int
    cap_ppm: Int


class Work(NamedTuple):
    """Memory of the threads, first axis."""

    table: Float
    """[threads, levels, T, Q] least cost of 2^level starts from a slot on."""
    blocked: Index
    """[threads, T+1, Q] next slot with too little capacity."""
    cheapest: Float
    """[threads, Q] least cost of the window, carbon included."""
    carbon: Float
    """[threads, Q]."""
    least_ask: Float
    """[threads, Q] least ask of any start."""
    length: Index
    """[threads, S] duration for which the table of a run stands."""
    built: Index
    """[threads, S] its levels."""
    looked: Flags
    """[threads, S] `cheapest` is of the present window."""
    amounts: Int
    """[threads, M]."""
    column: Index
    """[threads, Q] columns open to the order at hand; of these"""
    pool: Index
    """[threads, Q] the pool,"""
    net: Float
    """[threads, Q] the limit less the transfer,"""
    price: Float
    """[threads, Q] the cost of the cheapest start,"""
    outlay: Float
    """[threads, Q] the same with carbon and link, less the bonus,"""
    even: Flags
    """[threads, Q] and whether the link costs the same at every start. Of the option at hand:"""
    hope: Float
    """[threads, Q] the most that it could gain there,"""
    part: Index
    """[threads, M] its programmes,"""
    room: Float
    """[threads, M] their rooms,"""
    minimum: Float
    """[threads, M] least vouchers"""
    rate: Float
    """[threads, M] and multipliers."""
    gpus: Int
    """[threads, Q, T+1] steps of the capacity bought."""
    link: Int
    """[threads, L, T] data bought."""
    budget: Int
    """[threads, K] vouchers."""
    cap: Int
    """[threads, C]."""
    total: Int
    """[threads, 2] surplus: micro-yuan and, in the exact pass, ppm of a micro-yuan to be taken off."""


class Choices(NamedTuple):
    """What each order chose; arrays without rows: not asked for."""

    surplus: Float
    """[J] micro-yuan; 0 where nothing pays."""
    pool: Index
    """[J]; -1 where nothing pays."""
    start: Index
    option: Index
    whole: Int
    """[J] exact pass: the surplus is whole - rest / 1e6."""
    rest: Int


# ---- tables of one thread ------------------------------------------------------------------------------------------
# Unsigned loop variables: a signed index could be negative, and the test for that keeps a loop from being vectorised.


@loop
def _next_blocked(capacity: Int, column_pool: Index, uneven: Flags, gang: int, blocked: Index) -> None:
    slots = capacity.shape[1]
    for q in range(column_pool.shape[0]):
        p = column_pool[q]
        blocked[slots, q] = slots + slots
        for t in range(slots - 1, -1, -1):
            short = uneven[q] and capacity[p, t] < gang
            blocked[t, q] = t if short else blocked[t + 1, q]


@loop
def _cost_of_starts(
    cost: Float, table: Float, blocked: Index, uneven: Flags, fits_all: bool, d: int, begin: int, end: int
) -> None:
    """Fill level 0 of a run: what each start costs one accelerator, infinite where the gang does not fit."""
    length = np.uint64(d)
    for t in range(np.uint64(max(0, cost.shape[0] - d))):
        for q in range(np.uint64(begin), np.uint64(end)):
            table[0, t, q] = cost[t + length, q] - cost[t, q]
    if fits_all:
        return
    for q in range(begin, end):
        if uneven[q]:
            for t in range(cost.shape[0] - d):
                if blocked[t, q] < t + d:
                    table[0, t, q] = np.inf


@loop
def _double(table: Float, level: int, count: int, begin: int, end: int) -> None:
    """Fill a level from the one below."""
    below, above, half = np.uint64(level - 1), np.uint64(level), np.uint64(1 << (level - 1))
    for t in range(np.uint64(max(0, count))):
        for q in range(np.uint64(begin), np.uint64(end)):
            x, y = table[below, t, q], table[below, t + half, q]
            table[above, t, q] = y if y < x else x


@bare
def _least_of_two(
    table: Float, level: int, one: int, other: int, extra: Float, out: Float, begin: int, end: int
) -> None:
    level, one, other = np.uint64(level), np.uint64(one), np.uint64(other)  # type: ignore[assignment]
    for q in range(np.uint64(begin), np.uint64(end)):
        x, y = table[level, one, q], table[level, other, q]
        out[q] = (y if y < x else x) + extra[q]


@bare
def _level(starts: int) -> int:
    """Return the largest k with 2^k <= starts."""
    k = 0
    while starts >> (k + 1):
        k += 1
    return k


@loop
def _per_duration(
    a_carbon: Int,
    ask: Float,
    column_pool: Index,
    uneven_ask: Flags,
    d: int,
    carbon: Float,
    least_ask: Float,
    begin: int,
    end: int,
) -> None:
    """Note carbon and the least ask of any start for a run whose table is being built."""
    for q in range(begin, end):
        carbon[q] = float(a_carbon[column_pool[q]]) * d
        lowest = ask[d, q]
        if uneven_ask[q]:
            for t in range(1, ask.shape[0] - d):
                lowest = min(lowest, ask[t + d, q] - ask[t, q])
        least_ask[q] = lowest


@bare
def _first_start(table: Float, q: int, release: int, starts: int) -> int:
    """Return the first of the cheapest starts of a window in a column."""
    k = _level(starts)
    at, other = release, release + starts - (1 << k)
    if table[k, other, q] < table[k, at, q]:
        at = other
    value = table[k, at, q]
    while k > 0:
        k -= 1
        if table[k, at, q] != value:
            at += 1 << k
    return at


@bare
def _window_least(table: Float, q: int, release: int, starts: int) -> float:
    """Return the least cost of a window in a column."""
    k = _level(starts)
    return min(table[k, release, q], table[k, release + starts - (1 << k), q])  # type: ignore[no-any-return]


# ---- one block -----------------------------------------------------------------------------------------------------


@bare
def _bearable_float(
    share: Int,
    v: int,
    p: int,
    n: int,
    part: Index,
    room: Float,
    minimum: Float,
    ceiling: float,
    net: float,
    slack: float,
) -> float:
    """Return about `bearable`; -1 where the option is closed. `slack`: how far below a minimum still counts."""
    if n == 0:
        return net
    most = net / (1.0 - ceiling) if ceiling < 1.0 else np.inf
    if n == 1:  # by far the usual case
        one = share[v, part[0], p]
        most = min(most, net + room[0])
        if one < _MICRO:
            most = min(most, net * 1e6 / (_MICRO - one))
        reach = min(most * one * 1e-6, room[0], most * ceiling)
        return most if reach + slack >= max(minimum[0], 1.0) else -1.0
    for chosen in range(1 << n):
        amount, shares = net, 0
        for i in range(n):
            if chosen >> i & 1:
                shares += share[v, part[i], p]
            else:
                amount += room[i]
        if shares < _MICRO:
            most = min(most, amount * 1e6 / (_MICRO - shares))
    left = most * ceiling
    for i in range(n):
        paid = min(most * share[v, part[i], p] * 1e-6, room[i], left)
        if paid + slack < max(minimum[i], 1.0):
            return -1.0
        left -= paid
    return most


@bare
def _gain(
    share: Int,
    v: int,
    p: int,
    n: int,
    part: Index,
    room: Float,
    minimum: Float,
    rate: Float,
    ceiling: float,
    paid: bool,
    most: float,
    ask: float,
    cost: float,
    posted: float,
    other: float,
    slack: float,
) -> float:
    """Return about what a block gains.

    `most`: effective limit; `ask`, `cost`, `posted`: of the whole block; `other`: carbon and link less bonus. Minus
    infinity where the limit does not bear the ask or, with vouchers as paid, one of them misses its minimum.
    """
    if most + slack < ask:
        return -np.inf
    value = most - cost - other
    gross = max(ask, min(posted, most)) if paid else ask
    left = gross * ceiling
    for i in range(n):
        amount = min(gross * share[v, part[i], p] * 1e-6, room[i], left)
        left -= amount
        if paid and amount + slack < max(minimum[i], 1.0):
            return -np.inf
        value -= rate[i] * (amount if paid else max(amount, minimum[i]))
    return value


@loop
def _whole_gain(a: BookArrays, x: Point, j: int, p: int, t: int, o: int, most: int, amounts: Int) -> tuple[int, int]:
    """Return exactly what a block gains, ``whole - rest / 1e6`` with 0 <= rest < 1e6; whole 0 where it gains nothing.

    `most` is the effective limit, exact. Whether the gang fits is for the caller to know.
    """
    d = a.slots[a.shape[j], p]
    gpus = a.gpus[j]
    ask = gpus * (x.ask_whole[p, t + d] - x.ask_whole[p, t])
    if most < ask:
        return 0, 0
    cost = gpus * (x.cost_whole[p, t + d] - x.cost_whole[p, t])
    whole = most - cost - a.carbon[p] * gpus * d + a.bonus[j]
    if whole <= 0:
        return 0, 0
    rest = 0
    if o > 0:
        if x.paid:
            pay(a, j, p, o, max(ask, min(cost, most)), amounts)
        else:
            least(a, j, p, o, ask, amounts)
        for i in range(a.parts.shape[1]):
            k = a.parts[o, i]
            if k < 0:
                break
            amount = amounts[i]
            if x.paid and amount < max(a.minimum[k], 1):
                return 0, 0
            rate = x.budget_ppm[k]
            if a.cap[j, k] >= 0:
                rate += x.cap_ppm[a.cap[j, k]]
            if float(amount) * float(rate) > _OVERFLOW:
                return 0, 0
            small = (amount % _MICRO) * rate
            whole -= (amount // _MICRO) * rate + small // _MICRO
            rest += small % _MICRO
            if whole <= 0:
                return 0, 0
    route = a.route[a.place[j], p]
    if route >= 0 and a.data[j] > 0:
        data, rate = a.data[j], x.link_whole[route, t]
        if data > a.link_left[route, t] or float(data) * float(rate) > _OVERFLOW:
            return 0, 0
        small = (data % _MICRO) * rate
        whole -= (data // _MICRO) * rate + small // _MICRO
        rest += small % _MICRO
    whole -= rest // _MICRO
    return (whole, rest % _MICRO) if whole > 0 else (0, 0)


# ---- one order -----------------------------------------------------------------------------------------------------


@loop
def _cheapest_column(
    cheapest: Float, gates: Float, gate: int, runs: Index, first: int, last: int, run_first: Index, column_pool: Index
) -> tuple[int, float]:
    """Return the column with the least cost per accelerator, of equal ones that of the first pool; -1: none."""
    row = np.uint64(gate)
    best = np.inf
    best_q = -1
    for r in range(first, last):
        begin, end = run_first[runs[r]], run_first[runs[r] + 1]
        run = np.inf
        for q in range(np.uint64(begin), np.uint64(end)):
            total = cheapest[q] + gates[row, q]
            run = total if total < run else run
        if run > best or run == np.inf:
            continue
        for q in range(begin, end):
            if cheapest[q] + gates[gate, q] == run:
                if run < best or column_pool[q] < column_pool[best_q]:
                    best_q = q
                break
        best = run
    return best_q, best


@loop
def _cheapest_with_data(
    cheapest: Float,
    gates: Float,
    gate: int,
    runs: Index,
    first: int,
    last: int,
    run_first: Index,
    column_pool: Index,
    tariff: Float,
    place: int,
    gpus: float,
    data: float,
) -> tuple[int, float]:
    """Return the column with the least cost and transfer, and that sum; -1: none."""
    row, tariff_row = np.uint64(gate), np.uint64(place)
    best = np.inf
    best_q = -1
    for r in range(first, last):
        begin, end = run_first[runs[r]], run_first[runs[r] + 1]
        run = np.inf
        for q in range(np.uint64(begin), np.uint64(end)):
            total = gpus * (cheapest[q] + gates[row, q]) + np.rint(data * tariff[tariff_row, q]) * _FEN
            run = total if total < run else run
        if run > best or run == np.inf:
            continue
        for q in range(begin, end):
            if gpus * (cheapest[q] + gates[gate, q]) + np.rint(data * tariff[place, q]) * _FEN == run:
                if run < best or column_pool[q] < column_pool[best_q]:
                    best_q = q
                break
        best = run
    return best_q, best


@folded
def _whole_surplus(a: BookArrays, keys: Keys, w: Work, n: int, i: int, best: float) -> int:
    """Return the exact surplus of an order without vouchers, bonus or limited link; `best`: its least cost about."""
    j = keys.row[i]
    gate = keys.gate[i]
    place = keys.gate_place[gate]
    wide = 1e-14 * best + (3.0 * _FEN if keys.data[i] > 0.0 else 1.0)
    if keys.limit[i] <= best - wide:
        return 0
    gpus, release = a.gpus[j], keys.release[i]
    surplus = 0
    for r in range(keys.gate_first[gate], keys.gate_first[gate + 1]):
        s = keys.gate_run[r]
        d = w.length[n, s]
        starts = keys.deadline[i] - release - d + 1
        if starts <= 0:
            continue
        for q in range(keys.run_first[s], keys.run_first[s + 1]):
            transfer = np.rint(keys.data[i] * keys.tariff[place, q]) * _FEN
            if keys.gpus[i] * (w.cheapest[n, q] + keys.gates[gate, q]) + transfer > best + wide:
                continue
            p = keys.column_pool[q]
            cost = int(_window_least(w.table[n], q, release, starts)) + a.carbon[p] * d
            surplus = max(surplus, a.limit[j] - haul(a.data[j], a.tariff[place, p]) - gpus * cost)
    return surplus


class _Best(NamedTuple):
    """The best block of an order so far."""

    value: float
    """About what it gains; in the exact pass no more than that."""
    column: int
    start: int
    option: int
    whole: int
    rest: int


@bare
def _block(value: float, column: int, start: int, option: int, whole: int, rest: int) -> _Best:
    """Make a record of one type, whatever the widths of the numbers."""
    return _Best(float(value), np.int64(column), np.int64(start), np.int64(option), np.int64(whole), np.int64(rest))  # type: ignore[arg-type]


@bare
def _beats(column_pool: Index, best: _Best, value: float, q: int, t: int) -> bool:
    """Tell whether a block is better, or as good in an earlier pool or at an earlier start."""
    if value != best.value or best.column < 0:
        return value > best.value
    p, best_p = column_pool[q], column_pool[best.column]
    return p < best_p or (p == best_p and t < best.start)


@folded
def _exactly(
    a: BookArrays, x: Point, best: _Best, j: int, p: int, q: int, t: int, o: int, most: int, amounts: Int
) -> _Best:
    """Return the better of the best block and one more, compared in whole numbers."""
    whole, rest = _whole_gain(a, x, j, p, t, o, most, amounts)
    if whole > best.whole or (whole == best.whole and rest < best.rest):
        return _block(float(whole - 1), q, t, o, whole, rest)
    return best


@folded
def _open_columns(a: BookArrays, keys: Keys, x: Point, w: Work, n: int, i: int) -> int:
    """Note the columns that an order could use and what they cost it; return how many."""
    gate = keys.gate[i]
    place = keys.gate_place[gate]
    gpus, data, limit, bonus = keys.gpus[i], keys.data[i], keys.limit[i], keys.bonus[i]
    count = 0
    for r in range(keys.gate_first[gate], keys.gate_first[gate + 1]):
        s = keys.gate_run[r]
        for q in range(keys.run_first[s], keys.run_first[s + 1]):
            if w.cheapest[n, q] + keys.gates[gate, q] == np.inf:
                continue
            net, even, link = limit, True, 0.0
            if data > 0.0:
                net -= np.rint(data * keys.tariff[place, q]) * _FEN
                if net <= -_FEN:  # in the exact pass it may be off by a fen; below, a limit of 0 bears no ask
                    continue
                route = a.route[place, keys.column_pool[q]]
                if route >= 0:
                    even = x.link_even[route] and data <= x.link_least[route]
                    link = data * x.link[route, 0] if even else 0.0
            price = gpus * (w.cheapest[n, q] - w.carbon[n, q])
            w.column[n, count], w.pool[n, count] = q, keys.column_pool[q]
            w.net[n, count], w.price[n, count], w.even[n, count] = net, price, even
            w.outlay[n, count] = price + (gpus * w.carbon[n, q] - bonus + link)
            count += 1
    return count


@folded
def _open_option(
    a: BookArrays, keys: Keys, x: Point, order: int, o: int, part: Index, room: Float, minimum: Float, rate: Float
) -> int:
    """Note the parts of an option; return how many, -1 if the order has no room for one of them."""
    n = 0
    for i in range(a.parts.shape[1]):
        k = a.parts[o, i]
        if k < 0:
            break
        if keys.room[order, k] <= 0.0:
            return -1
        part[n], room[n], minimum[n] = k, keys.room[order, k], float(a.minimum[k])
        rate[n] = x.budget[k]
        if keys.cap[order, k] >= 0:
            rate[n] += x.cap[keys.cap[order, k]]
        n += 1
    return n


@bare
def _hope(
    share: Int,
    v: int,
    parts: int,
    part: Index,
    rooms: float,
    ceiling: int,
    pool: Index,
    net: Float,
    outlay: Float,
    count: int,
    out: Float,
) -> float:
    """Note the most that an option could gain in each column, and return the most of all.

    No more is bearable than by all shares together, or by all rooms; the vouchers' own price is left out.
    """
    best = -np.inf
    for c in range(count):
        together, smallest = 0, _MICRO
        for m in range(parts):
            one = share[v, part[m], pool[c]]
            together += one
            smallest = min(smallest, one)
        together = min(together, ceiling)
        most = net[c] + rooms
        if together < _MICRO:
            most = min(most, net[c] * 1e6 / (_MICRO - together))
        out[c] = most - outlay[c] if smallest > 0 else -np.inf
        best = max(best, out[c])
    return best


@folded
def _better_start(
    a: BookArrays,
    keys: Keys,
    x: Point,
    w: Work,
    n: int,
    i: int,
    c: int,
    o: int,
    parts: int,
    ceiling: float,
    best: _Best,
) -> _Best:
    """Return the better of the best block so far and those of one option in one column.

    The option is looked at with the cheapest start of the window. Where another start could be better (the ask or the
    link varies over time, or a voucher as paid there misses its minimum) and it is promising, all starts are.
    """
    j, q, p, v = keys.row[i], w.column[n, c], w.pool[n, c], keys.term[i]
    net, cost, even = w.net[n, c], w.price[n, c], w.even[n, c]
    other = w.outlay[n, c] - cost
    gpus, release = keys.gpus[i], keys.release[i]
    d = a.slots[keys.shape[i], p]
    starts = keys.deadline[i] - release - d + 1
    exact, paid, share = x.exact, x.paid, a.share
    table, part, room, minimum, rate = w.table[n], w.part[n], w.room[n], w.minimum[n], w.rate[n]
    slack = _SLACK + 1e-11 * (abs(net) + cost + abs(other)) if exact else 0.0
    most = _bearable_float(share, v, p, parts, part, room, minimum, ceiling, net, slack) if net > -slack else -1.0
    if most < 0.0 and not (exact and parts == 0 and net > -slack):
        return best
    wide = slack + 1e-11 * most if exact else 0.0
    value = most - cost - other
    if value + wide < best.value:
        return best
    first, posted = -1, cost
    if paid and parts > 0:
        first = _first_start(table, q, release, starts)
        posted = gpus * (x.posted[first + d, q] - x.posted[first, q])
    all_starts = not even or (keys.uneven_ask[q] and (parts > 0 or keys.bonus[i] > 0.0))
    if paid and exact and parts > 1:
        all_starts = True  # rounding may make the dearer of two starts the better one
    else:
        ask = gpus * w.least_ask[n, q]
        here = _gain(share, v, p, parts, part, room, minimum, rate, ceiling, paid, most, ask, cost, posted, other, wide)
        if here > -np.inf:
            value = here
        elif paid and parts > 0:
            all_starts = True
        else:
            return best
        if value + wide < best.value:
            return best
        if exact and paid and parts > 0 and not all_starts:  # only where the voucher surely reaches its minimum there
            sure = _gain(
                share, v, p, parts, part, room, minimum, rate, ceiling, paid, most, ask, cost, posted, other, -wide
            )
            all_starts = sure == -np.inf
    whole_most = 0
    if exact:
        whole_most = bearable_net(a, j, p, o, a.limit[j] - haul(a.data[j], a.tariff[a.place[j], p]))
        if whole_most < 0:
            return best
    if not all_starts:
        if first < 0:
            first = _first_start(table, q, release, starts)
        if exact:
            return _exactly(a, x, best, j, p, q, first, o, whole_most, w.amounts[n])
        return _block(value, q, first, o, 0, 0) if _beats(keys.column_pool, best, value, q, first) else best
    route = a.route[keys.gate_place[keys.gate[i]], p] if keys.data[i] > 0.0 else -1
    for t in range(release, release + starts):
        price = gpus * table[0, t, q]
        if price == np.inf or (route >= 0 and a.data[j] > a.link_left[route, t]):
            continue
        extra = other if even else other + keys.data[i] * x.link[route, t]
        if most - price - extra + wide < best.value:
            continue
        if exact:
            best = _exactly(a, x, best, j, p, q, t, o, whole_most, w.amounts[n])
            continue
        ask = gpus * (x.ask[t + d, q] - x.ask[t, q])
        posted = gpus * (x.posted[t + d, q] - x.posted[t, q])
        value = _gain(
            share, v, p, parts, part, room, minimum, rate, ceiling, paid, most, ask, price, posted, extra, 0.0
        )
        if _beats(keys.column_pool, best, value, q, t):
            best = _block(value, q, t, o, 0, 0)
    return best


@folded
def _best_of_order(a: BookArrays, keys: Keys, x: Point, w: Work, n: int, i: int) -> _Best:
    """Return the best block of an order of any kind; column -1: nothing pays."""
    best = _block(0.0, -1, -1, 0, 0, 0)
    count = _open_columns(a, keys, x, w, n, i)
    v = keys.term[i]
    hope, part, room = w.hope[n], w.part[n], w.room[n]
    for u in range(keys.usable_first[v], keys.usable_first[v + 1]):
        o = keys.usable[u]
        parts = _open_option(a, keys, x, i, o, part, room, w.minimum[n], w.rate[n])
        if parts < 0:
            continue
        rooms = 0.0
        for m in range(parts):
            rooms += room[m]
        most = _hope(a.share, v, parts, part, rooms, a.ceiling[o], w.pool[n], w.net[n], w.outlay[n], count, hope)
        slack = 2.0 * _SLACK + 1e-10 * (keys.limit[i] + abs(most)) if x.exact else 0.0
        if most + slack < best.value:
            continue
        ceiling = a.ceiling[o] * 1e-6
        for c in range(count):
            if hope[c] + slack >= best.value:
                best = _better_start(a, keys, x, w, n, i, c, o, parts, ceiling, best)
    return best


@folded
def _buy_vouchers(a: BookArrays, x: Point, w: Work, n: int, j: int, q: int, p: int, t: int, o: int) -> None:
    """Add the vouchers of a block to the use of its thread."""
    d = a.slots[a.shape[j], p]
    amounts = w.amounts[n]
    gross = a.gpus[j] * int(x.ask[t + d, q] - x.ask[t, q])
    if x.paid:
        most = bearable_net(a, j, p, o, a.limit[j] - haul(a.data[j], a.tariff[a.place[j], p]))
        gross = max(gross, min(a.gpus[j] * int(x.posted[t + d, q] - x.posted[t, q]), most))
        pay(a, j, p, o, gross, amounts)
    else:
        least(a, j, p, o, gross, amounts)
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            break
        w.budget[n, k] += amounts[m]
        if a.cap[j, k] >= 0:
            w.cap[n, a.cap[j, k]] += amounts[m]


# ---- all orders ----------------------------------------------------------------------------------------------------


@loop
def _visit(a: BookArrays, keys: Keys, x: Point, w: Work, n: int, begin: int, end: int, choices: Choices) -> None:
    """Price a stretch of orders on thread n."""
    fit, shape, release, deadline, gate = -1, -1, -1, -1, -1
    unit, unit_q, unit_t = 0.0, -1, -1
    known = False  # the cheapest column of the present window and gate
    write, write_whole = choices.pool.shape[0] > 0, choices.whole.shape[0] > 0
    exact = x.exact
    slots = a.capacity.shape[1]
    table, blocked, cheapest, carbon, least_ask = w.table[n], w.blocked[n], w.cheapest[n], w.carbon[n], w.least_ask[n]
    length, built, looked, bought = w.length[n], w.built[n], w.looked[n], w.gpus[n]
    run_first, runs, gate_first, column_pool = keys.run_first, keys.gate_run, keys.gate_first, keys.column_pool
    gates, of_slots = keys.gates, a.slots
    total, total_rest = 0, 0
    length[:] = -1
    for i in range(begin, end):
        if keys.fit[i] != fit:
            fit, shape = keys.fit[i], -1
            length[:] = -1
            if fit > 0:
                _next_blocked(keys.capacity, column_pool, keys.uneven, keys.fit_gpus[fit], blocked)
        if keys.shape[i] != shape:
            shape, release = keys.shape[i], -1
            for s in range(length.shape[0]):
                d = of_slots[shape, column_pool[run_first[s]]]
                if d != length[s]:
                    length[s], built[s] = d, 0
        if keys.release[i] != release or keys.deadline[i] != deadline:
            release, deadline, gate = keys.release[i], keys.deadline[i], -1
            looked[:] = False
        if keys.gate[i] != gate:
            gate, known = keys.gate[i], False
            for r in range(gate_first[gate], gate_first[gate + 1]):
                s = runs[r]
                if looked[s]:
                    continue
                looked[s] = True
                d, q, q_end = length[s], run_first[s], run_first[s + 1]
                starts = deadline - release - d + 1
                if starts <= 0:
                    cheapest[q:q_end] = np.inf
                    continue
                if built[s] == 0:
                    built[s] = 1
                    _cost_of_starts(x.cost, table, blocked, keys.uneven, fit == 0, d, q, q_end)
                    _per_duration(a.carbon, x.ask, column_pool, keys.uneven_ask, d, carbon, least_ask, q, q_end)
                k = _level(starts)
                while built[s] <= k:
                    _double(table, built[s], slots + 1 - d - (1 << built[s]) + 1, q, q_end)
                    built[s] += 1
                _least_of_two(table, k, release, release + starts - (1 << k), carbon, cheapest, q, q_end)
        kind = keys.kind[i]
        option = 0
        if kind == GENERAL:
            best = _best_of_order(a, keys, x, w, n, i)
            q, t, value, option = best.column, best.start, best.value, best.option
            whole, rest = best.whole, best.rest
        else:
            if kind == PLAIN:
                if not known:
                    unit_q, unit = _cheapest_column(
                        cheapest, gates, gate, runs, gate_first[gate], gate_first[gate + 1], run_first, column_pool
                    )
                    unit_t, known = -1, True
                q, value, t = unit_q, keys.limit[i] - keys.gpus[i] * unit, unit_t
            else:
                q, cost = _cheapest_with_data(
                    cheapest,
                    gates,
                    gate,
                    runs,
                    gate_first[gate],
                    gate_first[gate + 1],
                    run_first,
                    column_pool,
                    keys.tariff,
                    keys.gate_place[gate],
                    keys.gpus[i],
                    keys.data[i],
                )
                value, t = keys.limit[i] - cost, -1
            if q < 0:
                continue
            whole, rest = 0, 0
            if exact:
                whole = _whole_surplus(a, keys, w, n, i, keys.limit[i] - value)
            elif value <= 0.0:
                continue
            elif t < 0:
                t = _first_start(table, q, release, deadline - release - of_slots[shape, column_pool[q]] + 1)
                unit_t = t if kind == PLAIN else unit_t
        if exact:
            total += whole
            total_rest += rest
            if write_whole:
                choices.whole[keys.row[i]] = whole
                choices.rest[keys.row[i]] = rest
        elif q >= 0:
            p = column_pool[q]
            d = of_slots[shape, p]
            total += int(np.rint(value))
            gpus = int(keys.gpus[i])
            bought[q, t] += gpus
            bought[q, t + d] -= gpus
            if kind == GENERAL:
                j = keys.row[i]
                route = a.route[a.place[j], p]
                if route >= 0:
                    w.link[n, route, t] += a.data[j]
                if option > 0:
                    _buy_vouchers(a, x, w, n, j, q, p, t, option)
            if write:
                j = keys.row[i]
                choices.surplus[j], choices.pool[j], choices.start[j], choices.option[j] = value, p, t, option
    w.total[n, 0] += total
    w.total[n, 1] += total_rest


def prefix(rates: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return [P, T+1] prefix sums over slots of [P, T] rates."""
    out = np.zeros((rates.shape[0], rates.shape[1] + 1), dtype=rates.dtype)
    np.cumsum(rates, axis=1, out=out[:, 1:])
    return out


class Demand(NamedTuple):
    """What all orders together would buy at some prices."""

    surplus: int
    """Sum of what they gain, micro-yuan."""
    gpus: Int
    """[P, T] accelerators."""
    link: Int
    """[L, T] data that starts to cross, millionths of a GB."""
    budget: Int
    """[K] vouchers, micro-yuan."""
    cap: Int
    """[C] the same under each cap."""


class Pricer(Protocol):
    """Pricing passes over one set of keys, wherever they are made: the sums that a price search needs."""

    def demand(self, capacity: Float, link: Float, budget: Float, cap: Float, *, posted: Int | None = None) -> Demand:
        """See `Pricing.demand`."""

    def whole_surplus(self, capacity: Int, link: Int, budget_ppm: Int, cap_ppm: Int, *, paid: bool) -> tuple[int, int]:
        """See `Pricing.whole_surplus`."""


Pricers = Callable[[BookArrays, Keys], Pricer]
"""Makes a pricer; `Pricing` makes its passes in this process."""

_NO_TABLE = np.zeros((0, 0), dtype=np.int64)
_NO_ROW = np.zeros(0, dtype=np.int64)


def _no_choices(orders: int, whole: int) -> Choices:
    """Return choices of nothing, for so many orders, and room for so many exact surpluses."""
    return Choices(
        surplus=np.zeros(orders),
        pool=np.full(orders, -1, dtype=np.int32),
        start=np.full(orders, -1, dtype=np.int32),
        option=np.zeros(orders, dtype=np.int32),
        whole=np.zeros(whole, dtype=np.int64),
        rest=np.zeros(whole, dtype=np.int64),
    )


def _work(a: BookArrays, keys: Keys, threads: int) -> Work:
    (pools, slots), runs, parts = a.capacity.shape, keys.run_first.size - 1, a.parts.shape[1]

    def floats(*shape: int) -> Float:
        return np.empty((threads, *shape))

    def indices(*shape: int) -> Index:
        return np.zeros((threads, *shape), dtype=np.int32)

    def sums(*shape: int) -> Int:
        return np.zeros((threads, *shape), dtype=np.int64)

    def flags(*shape: int) -> Flags:
        return np.zeros((threads, *shape), dtype=np.bool_)

    return Work(
        table=floats(keys.levels, slots, pools),
        blocked=indices(slots + 1 if keys.uneven.any() else 0, pools),
        cheapest=floats(pools),
        carbon=floats(pools),
        least_ask=floats(pools),
        length=indices(runs),
        built=indices(runs),
        looked=flags(runs),
        amounts=sums(parts),
        column=indices(pools),
        net=floats(pools),
        price=floats(pools),
        outlay=floats(pools),
        hope=floats(pools),
        pool=indices(pools),
        even=flags(pools),
        part=indices(parts),
        room=floats(parts),
        minimum=floats(parts),
        rate=floats(parts),
        gpus=sums(pools, slots + 1),
        link=sums(*a.link_left.shape),
        budget=sums(a.budget.size),
        cap=sums(a.cap_left.size),
        total=sums(2),
    )


class Pricing:
    """Pricing passes over one set of keys; keeps the memory of the threads between passes."""

    def __init__(self, a: BookArrays, keys: Keys) -> None:
        self._a, self._keys = a, keys
        self._threads = get_num_threads()
        self._others = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None
        self._work = _work(a, keys, self._threads)
        self._ask = self._by_column(a.ask)
        self._link_least = a.link_left.min(axis=1, initial=np.iinfo(np.int64).max)

    def demand(
        self,
        capacity: Float,
        link: Float,
        budget: Float,
        cap: Float,
        *,
        posted: Int | None = None,
        choices: Choices | None = None,
    ) -> Demand:
        """Return what all orders would buy.

        Parameters
        ----------
        capacity : [P, T] multipliers above the ask, micro-yuan per GPU-hour
        link : [L, T] multipliers, micro-yuan per GB
        budget, cap : [K], [C] welfare per yuan of voucher
        posted : [P, T] prices per GPU-hour that decide payments, and so vouchers; None: vouchers count with the least
            that they can be
        choices : filled with what every order would buy
        """
        x = Point(
            cost=self._by_column(self._a.ask + capacity),
            ask=self._ask,
            link=link * 1e-6,
            link_even=(link == link[:, :1]).all(axis=1),
            link_least=self._link_least,
            budget=budget,
            cap=cap,
            posted=self._ask if posted is None else self._by_column(posted),
            paid=posted is not None,
            exact=False,
            cost_whole=_NO_TABLE,
            ask_whole=_NO_TABLE,
            link_whole=_NO_TABLE,
            budget_ppm=_NO_ROW,
            cap_ppm=_NO_ROW,
        )
        self._visit_all(x, _no_choices(0, 0) if choices is None else choices)
        w = self._work
        gpus = np.empty(self._a.capacity.shape, dtype=np.int64)
        gpus[self._keys.column_pool] = np.cumsum(w.gpus.sum(axis=0), axis=1)[:, :-1]
        total = int(w.total[:, 0].sum())
        return Demand(total, gpus, w.link.sum(axis=0), w.budget.sum(axis=0), w.cap.sum(axis=0))

    def whole_surplus(
        self, capacity: Int, link: Int, budget_ppm: Int, cap_ppm: Int, *, paid: bool, choices: Choices | None = None
    ) -> tuple[int, int]:
        """Return the sum of what all orders gain at whole prices, exactly: ``whole - rest / 1e6``.

        `capacity` [P, T] and `link` [L, T] in micro-yuan, rates in ppm; `paid`: vouchers as paid at these prices.
        """
        cost = self._by_column(self._a.ask + capacity)
        x = Point(
            cost=cost,
            ask=self._ask,
            link=link * 1e-6,  # type: ignore[arg-type]
            link_even=(link == link[:, :1]).all(axis=1),
            link_least=self._link_least,
            budget=budget_ppm / _MICRO,
            cap=cap_ppm / _MICRO,
            posted=cost,
            paid=paid,
            exact=True,
            cost_whole=prefix(self._a.ask + capacity),
            ask_whole=prefix(self._a.ask),
            link_whole=link,
            budget_ppm=budget_ppm,
            cap_ppm=cap_ppm,
        )
        self._visit_all(x, _no_choices(0, 0) if choices is None else choices)
        # as Python integers: with a million orders the two together may pass int64
        return sum(self._work.total[:, 0].tolist()), sum(self._work.total[:, 1].tolist())

    def surplus_of_each(
        self, capacity: Int, link: Int, budget_ppm: Int, cap_ppm: Int, *, paid: bool
    ) -> tuple[Int, Int]:
        """Return `whole_surplus` of every order of the book apart: [J] whole, [J] rest; 0 for those not in the keys."""
        choices = _no_choices(0, self._a.gpus.size)
        self.whole_surplus(capacity, link, budget_ppm, cap_ppm, paid=paid, choices=choices)
        return choices.whole, choices.rest

    def _by_column(self, rates: Float | Int) -> Float:
        """Return [T+1, Q] prefix sums of [P, T] rates."""
        return np.ascontiguousarray(prefix(rates.astype(np.float64))[self._keys.column_pool].T)

    def _visit_all(self, x: Point, choices: Choices) -> None:
        w, orders = self._work, self._keys.row.size
        for array in (w.gpus, w.link, w.budget, w.cap, w.total):
            array[:] = 0
        pieces = max(self._threads, orders // _PIECE)
        waiting = iter(range(pieces))

        def work(n: int) -> None:
            for piece in waiting:
                begin, end = orders * piece // pieces, orders * (piece + 1) // pieces
                _visit(self._a, self._keys, x, w, n, begin, end, choices)

        others = [] if self._others is None else [self._others.submit(work, n) for n in range(1, self._threads)]
        work(0)
        for other in others:
            other.result()


def best_responses(
    a: BookArrays,
    keys: Keys,
    capacity: Float,
    link: Float,
    budget: Float,
    cap: Float,
    *,
    posted: Int | None = None,
) -> Choices:
    """Return what each order of the keys would buy at given prices (see `Pricing.demand`), were it alone."""
    choices = _no_choices(a.gpus.size, 0)
    Pricing(a, keys).demand(capacity, link, budget, cap, posted=posted, choices=choices)
    return choices
