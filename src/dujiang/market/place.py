"""Placing orders in turn, each in the block that pays most at guide prices among those that still fit.

Guide prices steer; payments always follow the published prices (`Posted`). The search of one order visits its pools and
starts. Two things keep it short: a table of the least cost of a block by pool, duration and part of the week rules out
most pools at a glance, and where a slot is too full all starts before it are skipped together.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from dujiang.market.amounts import bearable, bearable_net, haul
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare, loop
from dujiang.market.state import Float, Int, Posted, Row, State, cost_between, put, vouchers_at

LONGEST = 192
"""Durations up to this have a row of their own in `Guide.floor`; longer ones are bounded by the cheapest slot."""
PARTS = 16
"""The horizon is cut into at most so many parts, of a day at least, for `Guide.floor`."""

_PIECE = 512
"""Orders that a thread takes at a time."""


class Guide(NamedTuple):
    """Prices that steer the choice of a block."""

    price_sum: Float
    """[P, T + 1] prefix sums over slots, micro-yuan per accelerator."""
    floor: Float
    """[P, D + 1, B] least cost per accelerator of a block of d slots that starts in a part; at d = 0: of one slot."""
    link: Float
    """[L, T] micro-yuan per millionth of a GB."""
    budget: Float
    """[K] welfare per yuan of voucher."""
    cap: Float
    """[C] the same."""


@bare
def part_width(slots: int) -> int:
    """Return the slots of one part of the horizon in `Guide.floor`."""
    return max(24, -(-slots // PARTS))


@njit(cache=True, parallel=True)
def floor_table(price_sum: Float) -> Float:
    """Return the least cost per accelerator by pool, duration and part of the horizon in which a block starts."""
    pools, slots = price_sum.shape[0], price_sum.shape[1] - 1
    width = part_width(slots)
    longest = min(slots, LONGEST)
    out = np.full((pools, longest + 1, -(-slots // width)), np.inf)
    for p in prange(pools):
        for b in range(out.shape[2]):
            first, end = b * width, min((b + 1) * width, slots)
            for t in range(first, end):
                out[p, 0, b] = min(out[p, 0, b], price_sum[p, t + 1] - price_sum[p, t])
            for d in range(1, longest + 1):
                least = np.inf
                for t in range(first, min(end, slots - d + 1)):
                    least = min(least, price_sum[p, t + d] - price_sum[p, t])
                out[p, d, b] = least
    return out


def guide_at(a: BookArrays, capacity: Float, link: Float, budget: Float, cap: Float) -> Guide:
    """Return the guide of some prices.

    Parameters
    ----------
    capacity, link : [P, T] micro-yuan per GPU-hour above the ask; [L, T] micro-yuan per GB
    budget, cap : [K], [C] welfare per yuan of voucher
    """
    sums = np.zeros((a.ask.shape[0], a.ask.shape[1] + 1))
    np.cumsum(a.ask + capacity, axis=1, out=sums[:, 1:])
    return Guide(sums, floor_table(sums), link / 1e6, budget, cap)


@bare
def _floor(guide: Guide, p: int, d: int, first: int, last: int) -> float:
    """Return at most what an accelerator costs in any block of d slots that starts in [first, last]."""
    width = part_width(guide.price_sum.shape[1] - 1)
    row, times = (d, 1.0) if d < guide.floor.shape[1] else (0, float(d))
    least = np.inf
    # a long block costs at least d times the cheapest slot, wherever that lies
    begin, end = (first // width, last // width + 1) if row > 0 else (0, guide.floor.shape[2])
    for b in range(begin, end):
        least = min(least, guide.floor[p, row, b])
    return times * least


@bare
def fits(a: BookArrays, s: State, j: int, p: int, t: int) -> bool:
    """Say whether what is left of capacity and link can take a block."""
    route = a.route[a.place[j], p]
    if route >= 0 and s.link[route, t] < a.data[j]:
        return False
    gpus = a.gpus[j]
    u = t + a.slots[a.shape[j], p] - 1
    while u >= t and s.free[p, u] >= gpus:
        u -= 1
    return u < t  # type: ignore[no-any-return]


@bare
def _scan_plain(
    a: BookArrays, s: State, guide: Guide, posted: Posted, j: int, p: int, d: int, net: int, fixed: int, best: float
) -> tuple[int, float]:
    """Return the best start in a pool without voucher and without limited link, and its score; -1: none."""
    gpus = a.gpus[j]
    start = -1
    t, last = a.release[j], a.deadline[j] - d
    clear = t  # no slot of [t, clear) is too full
    worth = float(net + fixed)
    while t <= last:
        score = worth - gpus * (guide.price_sum[p, t + d] - guide.price_sum[p, t])
        if score > best:
            u, least = t + d - 1, max(clear, t)
            while u >= least and s.free[p, u] >= gpus:
                u -= 1
            if u >= least:
                t = clear = u + 1
                continue
            clear = t + d
            ask = gpus * cost_between(posted.ask_sum, p, t, d)
            if ask <= net and net + fixed > ask:
                best, start = score, t
        t += 1
    return start, best


@bare
def _scan(
    a: BookArrays,
    s: State,
    guide: Guide,
    posted: Posted,
    j: int,
    p: int,
    d: int,
    bears: Int,
    highest: int,
    fixed: int,
    best: float,
    parts: Int,
) -> tuple[int, int, float]:
    """Return the best start and option in a pool and their score; start -1 if none beats `best`."""
    gpus, data = a.gpus[j], a.data[j]
    route = a.route[a.place[j], p]
    start, option = -1, 0
    t, last = a.release[j], a.deadline[j] - d
    clear = t
    while t <= last:
        steer = gpus * (guide.price_sum[p, t + d] - guide.price_sum[p, t])
        if route >= 0:
            steer += data * guide.link[route, t]
        if float(highest + fixed) - steer <= best or (route >= 0 and s.link[route, t] < data):
            t += 1
            continue
        u, least = t + d - 1, max(clear, t)
        while u >= least and s.free[p, u] >= gpus:
            u -= 1
        if u >= least:
            t = clear = u + 1
            continue
        clear = t + d
        ask = gpus * cost_between(posted.ask_sum, p, t, d)
        for o in range(bears.shape[0]):
            if bears[o] < ask or bears[o] + fixed <= ask:
                continue
            score = float(bears[o] + fixed) - steer
            if score <= best:
                continue
            if o > 0:
                if not vouchers_at(a, s, posted, j, p, t, o, bears[o], parts):
                    continue
                score -= voucher_cost(a, guide, j, o, parts)
            if score > best:
                best, start, option = score, t, o
        t += 1
    return start, option, best


@bare
def voucher_cost(a: BookArrays, guide: Guide, j: int, o: int, parts: Int) -> float:
    """Return what vouchers cost at the guide's rates, micro-yuan."""
    total = 0.0
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            break
        rate = guide.budget[k]
        if a.cap[j, k] >= 0:
            rate += guide.cap[a.cap[j, k]]
        total += rate * parts[m]
    return total


@bare
def find_block(
    a: BookArrays, s: State, guide: Guide, posted: Posted, j: int, least: float, bears: Int, parts: Int
) -> tuple[int, int, int, float]:
    """Return pool, start, option and score of the best block that fits and scores above `least`; pool -1: none.

    Parameters
    ----------
    bears, parts : [O] and [M], overwritten
    """
    row = a.place[j]
    return find_block_in(
        a, s, guide, posted, j, a.place_pool, a.place_first[row], a.place_first[row + 1], least, bears, parts
    )


@loop
def find_block_in(
    a: BookArrays,
    s: State,
    guide: Guide,
    posted: Posted,
    j: int,
    pools: Row,
    begin: int,
    end: int,
    least: float,
    bears: Int,
    parts: Int,
) -> tuple[int, int, int, float]:
    """Do as `find_block` in the compatible pools ``pools[begin:end]`` only."""
    row, shape, release, deadline = a.place[j], a.shape[j], a.release[j], a.deadline[j]
    gpus, data, limit = a.gpus[j], a.data[j], a.limit[j]
    options = a.allowed.shape[1]
    term = a.term[j]
    pool, start, option, best = -1, -1, 0, least
    for i in range(begin, end):
        p = pools[i]
        d = a.slots[shape, p]
        if release + d > deadline:
            continue
        net = limit
        if data > 0:
            net -= haul(data, a.tariff[row, p])
        if net <= 0:
            continue
        fixed = a.bonus[j] - a.carbon[p] * gpus * d
        bears[0] = highest = net
        vouchers = False
        for o in range(1, options):
            bears[o] = -1
            if a.allowed[term, o]:
                bears[o] = bearable_net(a, j, p, o, net)
                vouchers |= bears[o] >= 0
                highest = max(highest, bears[o])
        if float(highest + fixed) - gpus * _floor(guide, p, d, release, deadline - d) <= best:
            continue
        if vouchers or (a.route[row, p] >= 0 and data > 0):
            t, o, score = _scan(a, s, guide, posted, j, p, d, bears, highest, fixed, best, parts)
        else:
            o = 0
            t, score = _scan_plain(a, s, guide, posted, j, p, d, net, fixed, best)
        if t >= 0:
            pool, start, option, best = p, t, o, score
    return pool, start, option, best


class Blocks(NamedTuple):
    """A block for each of some orders."""

    score: Float
    """[N] micro-yuan; minus infinity where there is none."""
    pool: Row
    """[N]; -1 where there is none."""
    start: Row
    option: Row


def best_blocks(a: BookArrays, s: State, guide: Guide, posted: Posted, rows: Int, least: float) -> Blocks:
    """Return the block that each of some orders would take of what is left, were it alone: `find_block` on all threads.

    Unlike a pricing pass this also tells the best of bad blocks, if `least` is below zero.
    """
    blocks = Blocks(
        np.full(rows.size, -np.inf),
        np.full(rows.size, -1, dtype=np.int32),
        np.full(rows.size, -1, dtype=np.int32),
        np.zeros(rows.size, dtype=np.int32),
    )
    pieces = -(-rows.size // _PIECE)
    bears = np.empty((pieces, a.allowed.shape[1]), dtype=np.int64)
    parts = np.empty((pieces, a.parts.shape[1]), dtype=np.int64)
    _best_blocks(a, s, guide, posted, rows, least, bears, parts, blocks)
    return blocks


@njit(cache=True, error_model="numpy", parallel=True)
def _best_blocks(
    a: BookArrays,
    s: State,
    guide: Guide,
    posted: Posted,
    rows: Int,
    least: float,
    bears: Int,
    parts: Int,
    blocks: Blocks,
) -> None:
    for piece in prange(bears.shape[0]):
        begin, end = piece * _PIECE, min((piece + 1) * _PIECE, rows.shape[0])
        _piece_of_blocks(a, s, guide, posted, rows, begin, end, least, bears[piece], parts[piece], blocks)


@loop
def _piece_of_blocks(
    a: BookArrays,
    s: State,
    guide: Guide,
    posted: Posted,
    rows: Int,
    begin: int,
    end: int,
    least: float,
    bears: Int,
    parts: Int,
    blocks: Blocks,
) -> None:
    for i in range(begin, end):
        p, t, o, score = find_block(a, s, guide, posted, rows[i], least, bears, parts)
        if p >= 0:
            blocks.pool[i], blocks.start[i], blocks.option[i], blocks.score[i] = p, t, o, score


def place(
    a: BookArrays, s: State, guide: Guide, posted: Posted, order: Int, hints: "Hints | None" = None, least: float = 0.0
) -> int:
    """Place orders in turn, each in its best block that fits; return how many found one.

    Parameters
    ----------
    order : rows of orders, the first to be placed first; those with an award are passed over
    hints : the block that each order would take at the guide prices were it alone, tried before any search
    least : guide score that a block must exceed, micro-yuan
    """
    if hints is None:
        none = np.empty(0, dtype=np.int32)
        hints = Hints(none, none, none)
    bears = np.empty(a.allowed.shape[1], dtype=np.int64)
    parts = np.empty(a.parts.shape[1], dtype=np.int64)
    return int(_place(a, s, guide, posted, order, hints, least, bears, parts))


class Hints(NamedTuple):
    """Blocks that orders would take at the guide prices, each alone; rows as in the book."""

    pool: Row
    """[J]; -1: not known."""
    start: Row
    option: Row


@loop
def _place(
    a: BookArrays,
    s: State,
    guide: Guide,
    posted: Posted,
    order: Int,
    hints: Hints,
    least: float,
    bears: Int,
    parts: Int,
) -> int:
    count = 0
    for j in order:
        if s.pool[j] >= 0:
            continue
        p, t, o = -1, -1, 0
        if hints.pool.shape[0] > 0:
            p, t, o = hints.pool[j], hints.start[j], hints.option[j]
        if p >= 0 and not fits(a, s, j, p, t):
            p = -1
        if p >= 0 and o > 0 and not vouchers_at(a, s, posted, j, p, t, o, bearable(a, j, p, o), parts):
            p = -1
        if p < 0:
            p, t, o, _ = find_block(a, s, guide, posted, j, least, bears, parts)
        if p >= 0:
            put(a, s, posted, j, p, t, o)
            count += 1
    return count


def fill(a: BookArrays, s: State, guide: Guide, posted: Posted) -> None:
    """Place waiting orders in what is left, the most profitable at the guide prices first."""
    waiting = np.flatnonzero(s.pool < 0)
    found = best_blocks(a, s, guide, posted, waiting, 0.0)
    there = found.pool >= 0
    rows, p, t = waiting[there], found.pool[there], found.start[there]
    cost = guide.price_sum[p, t + a.slots[a.shape[rows], p]] - guide.price_sum[p, t]
    place(
        a, s, guide, posted, rows[np.argsort(-found.score[there] / np.maximum(a.gpus[rows] * cost, 1.0), kind="stable")]
    )


__all__ = [
    "Blocks",
    "Guide",
    "Hints",
    "best_blocks",
    "fill",
    "find_block",
    "find_block_in",
    "fits",
    "guide_at",
    "place",
]
