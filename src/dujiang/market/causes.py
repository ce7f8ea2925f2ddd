"""Compiled search for why orders were not served, and for what would have been enough; see `market.rejections`.

For one shape (duration by pool) the cost of a block at every start is one subtraction of prefix sums, and what a pool
holds or has left over a block is a sliding minimum. Tables of the least cost and the most room over runs of 1, 2, 4, …
starts then answer for a whole window at once. Their answer is optimistic where capacity varies, a link is limited or a
voucher helps; only where the optimistic answer would change what is known are single starts looked at. So most orders
cost a few comparisons per pool. Orders share nothing, so the number of threads changes nothing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from dujiang.core.money import MAX_UCNY, MICRO
from dujiang.market.amounts import bearable, bearable_net, haul, pay, share_of
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare, loop
from dujiang.market.state import State

Int = npt.NDArray[np.int64]
Row = npt.NDArray[np.int32]
Stage = npt.NDArray[np.int8]
Flag = npt.NDArray[np.bool_]

NOTHING = np.iinfo(np.int64).max
"""No limit, or no deadline, would be enough."""
MAX_LIMIT = MAX_UCNY
"""Highest limit that a book can state."""
_ENDLESS = 2**62
"""Rooms together count as no more than this."""

# How far an order came in the chain of reasons; a block of the last stage could have been had but for the others.
INCOMPATIBLE, COMPATIBLE, FITS, BEARS_ASK, BEARS_PRICE, FUNDED, CARRIED = range(7)

TASK_ORDERS = 1024
"""Orders of one shape that are looked at together; the tables of a pool are built once for each task."""
TABLE_ORDERS = 24
"""Orders from which tables pay; below, every window is looked at start by start."""


class Found(NamedTuple):
    """What is known of the orders that are looked at, by their place among them."""

    stage: Stage
    """How far each came in the chain of reasons."""
    limit: Int
    """Least limit that would have been enough, micro-yuan; NOTHING: none."""
    deadline: Int
    """Least deadline, slot; NOTHING: none."""
    relief: Int
    """Most that vouchers can still pay for each, whatever it costs, micro-yuan."""


class Blocks(NamedTuple):
    """Blocks of one duration in one pool by start, counted from `first`; row k of a table spans 2**k starts."""

    first: int
    count: int  # type: ignore[assignment]
    ask: Int
    """[levels, starts] least cost at the ask, micro-yuan per accelerator."""
    price: Int
    """[levels, starts] least cost at the prices."""
    offered: Int
    """[levels, starts] most accelerators that hold through a block, were nobody served."""
    free: Int
    """[levels, starts] the same of what is left."""


@bare
def _levels(count: int) -> int:
    """Return the number of tables for so many starts."""
    levels = 1
    while (1 << levels) <= count:
        levels += 1
    return levels


@loop
def _block_sums(sums: Int, first: int, count: int, d: int, out: Int) -> None:
    for i in range(count):
        out[i] = sums[first + i + d] - sums[first + i]


@loop
def _block_least(values: Int, first: int, count: int, d: int, queue: Int, out: Int) -> None:
    """Write the least of `d` values from every start on, by a queue of candidates."""
    head = tail = 0
    for u in range(first, first + count + d - 1):
        while tail > head and values[queue[tail - 1]] >= values[u]:
            tail -= 1
        queue[tail] = u
        tail += 1
        begin = u - d + 1
        if begin >= first:
            if queue[head] < begin:
                head += 1
            out[begin - first] = values[queue[head]]


@loop
def _tabulate(b: Blocks, levels: int) -> None:
    for k in range(1, levels):
        half = 1 << (k - 1)
        for i in range(b.count - (1 << k) + 1):
            b.ask[k, i] = min(b.ask[k - 1, i], b.ask[k - 1, i + half])
            b.price[k, i] = min(b.price[k - 1, i], b.price[k - 1, i + half])
            b.offered[k, i] = max(b.offered[k - 1, i], b.offered[k - 1, i + half])
            b.free[k, i] = max(b.free[k - 1, i], b.free[k - 1, i + half])


@bare
def _level(width: int, levels: int) -> int:
    k = levels - 1
    while (1 << k) > width:
        k -= 1
    return k


@bare
def _least(table: Int, lo: int, hi: int) -> int:
    """Return the least over entries lo to hi of the lowest level, both included."""
    k = _level(hi - lo + 1, table.shape[0])
    best = table[k, hi - (1 << k) + 1]
    for i in range(lo, hi - (1 << k) + 1, 1 << k):
        best = min(best, table[k, i])
    return best  # type: ignore[no-any-return]


@bare
def _most(table: Int, lo: int, hi: int) -> int:
    k = _level(hi - lo + 1, table.shape[0])
    best = table[k, hi - (1 << k) + 1]
    for i in range(lo, hi - (1 << k) + 1, 1 << k):
        best = max(best, table[k, i])
    return best  # type: ignore[no-any-return]


@bare
def _cheapest(b: Blocks, link: Int, route: int, data: int, lo: int, hi: int, gpus: int) -> int:
    """Return the start of the cheapest block that is free, the first of equals; -1 if none is.

    Parameters
    ----------
    link : [L, T] what limited links still carry
    route : the link that the data crosses; -1: none that is limited
    """
    best = -1
    for i in range(lo, hi + 1):
        cheaper = best < 0 or b.price[0, i] < b.price[0, best]
        if cheaper and b.free[0, i] >= gpus and (route < 0 or link[route, b.first + i] >= data):
            best = i
    return best


@bare
def _next(b: Blocks, link: Int, route: int, data: int, lo: int, hi: int, gpus: int, most: int) -> int:
    """Return the first start from `lo` on of a free block at no more than a price; hi + 1 if there is none."""
    for i in range(lo, hi + 1):
        if b.free[0, i] >= gpus and b.price[0, i] <= most and (route < 0 or link[route, b.first + i] >= data):
            return i
    return hi + 1


@njit(cache=True)
def _greatest_shares(a: BookArrays) -> Int:
    """Return [V, P] the greatest share that vouchers can bear together, ppm."""
    out = np.zeros((a.share.shape[0], a.share.shape[2]), dtype=np.int64)
    for v in range(out.shape[0]):
        for o in range(1, a.parts.shape[0]):
            if not a.allowed[v, o]:
                continue
            for p in range(out.shape[1]):
                total = 0
                for m in range(a.parts.shape[1]):
                    if a.parts[o, m] >= 0:
                        total += a.share[v, a.parts[o, m], p]
                out[v, p] = max(out[v, p], min(total, a.ceiling[o]))
    return out


@bare
def _valid(a: BookArrays, j: int, o: int, part: Int) -> bool:
    """Return whether every voucher of an option reaches what its programme pays at least."""
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k >= 0 and part[m] < max(a.minimum[k], 1):
            return False
    return True


@bare
def _funded(a: BookArrays, s: State, j: int, o: int, part: Int) -> bool:
    """Return whether what is left of budgets and caps pays the vouchers, and the contract has not used them."""
    for m in range(a.parts.shape[1]):
        k = a.parts[o, m]
        if k < 0:
            continue
        if part[m] > s.budget[k] or s.used[a.contract[j], k]:
            return False
        if a.cap[j, k] >= 0 and part[m] > s.cap[a.cap[j, k]]:
            return False
    return True


@bare
def _over_link(a: BookArrays, s: State, link_price: Int, j: int, route: int, t: int, gain: int) -> bool:
    """Return whether a link has room left for the data and its price leaves the block no loss."""
    if route < 0 or a.data[j] == 0:
        return True
    if a.data[j] > s.link[route, t]:
        return False
    # link price per GB, data in millionths: compare gain with price * data / 1e6, rounded up, in two parts
    whole, rest = divmod(a.data[j], MICRO)
    if link_price[route, t] > 0 and whole > gain // link_price[route, t]:
        return False
    return whole * link_price[route, t] + -((-rest * link_price[route, t]) // MICRO) <= gain  # type: ignore[no-any-return]


@loop
def _stage(
    a: BookArrays, s: State, link_price: Int, b: Blocks, j: int, p: int, d: int, stage: int, bears: Int, part: Int
) -> int:
    """Return how far an order comes in one pool in its window, at least the stage that it has."""
    gpus = a.gpus[j]
    route = a.route[a.place[j], p]
    extra = a.carbon[p] * gpus * d - a.bonus[j]
    highest = -1
    for o in range(bears.size):
        bears[o] = bearable(a, j, p, o)
        highest = max(highest, bears[o])
    for i in range(a.release[j] - b.first, a.deadline[j] - d - b.first + 1):
        t = b.first + i
        if b.offered[0, i] < gpus or (route >= 0 and a.data[j] > a.link_left[route, t]):
            continue
        stage = max(stage, FITS)
        ask, price = gpus * b.ask[0, i], gpus * b.price[0, i]
        if highest < ask:
            continue
        stage = max(stage, BEARS_ASK)
        if highest < price + extra:
            continue
        for o in range(bears.size):
            if bears[o] < ask or bears[o] < price + extra:
                continue
            pay(a, j, p, o, max(ask, min(price, bears[o])), part)
            if not _valid(a, j, o, part):
                continue
            stage = max(stage, BEARS_PRICE)
            if not _funded(a, s, j, o, part):
                continue
            stage = max(stage, FUNDED)
            if _over_link(a, s, link_price, j, route, t, bears[o] - price - extra):
                return CARRIED
    return stage


@bare
def _own_means(a: BookArrays, j: int, p: int, o: int, target: int) -> int:
    """Return the least limit, transfer taken off, at which the effective limit of an option reaches a gross amount.

    The inverse of `amounts.bearable`, set of parts by set of parts.
    """
    most = target - share_of(target, a.ceiling[o])
    width = a.parts.shape[1]
    for chosen in range(1 << width):
        share, rooms, lost = 0, 0, -1
        for m in range(width):
            k = a.parts[o, m]
            if k >= 0 and chosen >> m & 1:
                share += a.share[a.term[j], k, p]
                lost += 1
            elif k >= 0:
                rooms = min(rooms + a.room[j, k], _ENDLESS)
        most = max(most, target - share_of(target, min(share, MICRO)) - rooms + max(lost, 0))
    return most


@bare
def _rises(a: BookArrays, j: int, p: int, o: int) -> bool:
    """Return whether no voucher of an option falls as the payment rises; a ceiling may cost one a micro-yuan."""
    total = 0
    for m in range(a.parts.shape[1]):
        if a.parts[o, m] >= 0:
            total += a.share[a.term[j], a.parts[o, m], p]
    return total <= a.ceiling[o] or a.parts.shape[1] == 1 or a.parts[o, 1] < 0  # type: ignore[no-any-return]


@loop
def _need(a: BookArrays, s: State, j: int, p: int, d: int, price: int, below: int, part: Int) -> tuple[int, bool]:
    """Return the least limit with which an order pays a price in a pool, vouchers that are left taken off.

    Parameters
    ----------
    j, p, d : order, pool, duration there
    price : cost of a block at the published prices, micro-yuan
    below : only a limit below this is looked for
    part : [M] scratch

    Returns
    -------
    micro-yuan, transfer included, NOTHING if no limit that a book can state is below `below` and enough; and whether a
    higher price might need less, because only there a voucher reaches its minimum
    """
    carried = haul(a.data[j], a.tariff[a.place[j], p])
    if carried >= MAX_LIMIT:
        return NOTHING, False
    target = price + max(0, a.carbon[p] * a.gpus[j] * d - a.bonus[j])
    least, more = min(target, min(below, MAX_LIMIT + 1) - carried), False
    for o in range(1, a.parts.shape[0]):
        if not a.allowed[a.term[j], o]:
            continue
        own = max(_own_means(a, j, p, o, target), 1)
        if own >= least:
            continue
        pay(a, j, p, o, price, part)
        valid = _valid(a, j, o, part)
        more = more or not valid or not _rises(a, j, p, o)
        if valid and _funded(a, s, j, o, part) and bearable_net(a, j, p, o, own) >= target:
            least = own
    need = carried + max(least, 1)
    return (need if need < below and need <= MAX_LIMIT else NOTHING), more


@bare
def _relief(a: BookArrays, s: State, j: int) -> int:
    """Return the most that vouchers can still pay for an order, whatever it costs, micro-yuan."""
    most = 0
    for o in range(1, a.parts.shape[0]):
        total = 0
        if a.allowed[a.term[j], o]:
            for m in range(a.parts.shape[1]):
                k = a.parts[o, m]
                if k >= 0 and s.used[a.contract[j], k]:
                    total = 0
                    break
                if k >= 0:
                    left = min(a.room[j, k], s.budget[k])
                    if a.cap[j, k] >= 0:
                        left = min(left, s.cap[a.cap[j, k]])
                    total = min(total + left, _ENDLESS)
        most = max(most, total)
    return most


@bare
def _most_price(limit: int, extra: int, share: int, gpus: int) -> int:
    """Return a price per accelerator above which no limit up to this one is enough, whatever vouchers pay."""
    if share >= MICRO:
        return NOTHING
    most = ((limit + 1.0) * (MICRO / (MICRO - share)) * (1.0 + 1e-9) - max(0, extra)) / gpus + 1.0
    return int(min(most, 9e18))


@loop
def _enough_limit(a: BookArrays, s: State, b: Blocks, j: int, p: int, d: int, share: int, best: int, part: Int) -> int:
    """Return the least limit that pays a block which is still free in the window, if it is below the best so far."""
    lo, hi = a.release[j] - b.first, a.deadline[j] - d - b.first
    gpus, data, route = a.gpus[j], a.data[j], a.route[a.place[j], p]
    i = _cheapest(b, s.link, route, data, lo, hi, gpus)
    if i < 0:
        return best
    cheapest = b.price[0, i]
    need, more = _need(a, s, j, p, d, gpus * cheapest, best, part)
    best = min(best, need)
    extra = a.carbon[p] * gpus * d - a.bonus[j]
    i = lo - 1
    last = cheapest
    while more and i < hi:
        i = _next(b, s.link, route, data, i + 1, hi, gpus, _most_price(best, extra, share, gpus))
        if i <= hi and b.price[0, i] != last:
            last = b.price[0, i]
            need, _ = _need(a, s, j, p, d, gpus * last, best, part)
            best = min(best, need)
    return best


@loop
def _enough_deadline(
    a: BookArrays, s: State, b: Blocks, j: int, p: int, d: int, share: int, best: int, part: Int
) -> int:
    """Return the end of the first free block that the limit pays, if it is before the best so far."""
    lo, hi = a.release[j] - b.first, min(b.first + b.count - 1, best - 1 - d) - b.first
    gpus, data, route = a.gpus[j], a.data[j], a.route[a.place[j], p]
    most = _most_price(a.limit[j], a.carbon[p] * gpus * d - a.bonus[j], share, gpus)
    last = -1
    i = _next(b, s.link, route, data, lo, hi, gpus, most)
    while i <= hi:
        price = b.price[0, i]
        if price != last:
            last = price
            need, more = _need(a, s, j, p, d, gpus * price, a.limit[j] + 1, part)
            if need < NOTHING:
                return b.first + i + d
            if not more:
                most = min(most, price - 1)
        i = _next(b, s.link, route, data, i + 1, hi, gpus, most)
    return best


@loop
def _look(
    a: BookArrays,
    s: State,
    link_price: Int,
    b: Blocks,
    p: int,
    d: int,
    fits: Flag,
    greatest: Int,
    rows: Int,
    begin: int,
    end: int,
    found: Found,
    bears: Int,
    part: Int,
) -> None:
    """Look at some orders of one duration in one pool; single starts only where the tables leave it open."""
    stage, limit, deadline = found.stage, found.limit, found.deadline
    for n in range(begin, end):
        j = rows[n]
        r = a.place[j]
        lo, hi = a.release[j] - b.first, a.deadline[j] - d - b.first
        if not fits[r, p] or lo >= b.count:
            continue
        gpus, share, data = a.gpus[j], greatest[a.term[j], p], a.data[j]
        extra = a.carbon[p] * gpus * d - a.bonus[j]
        carried = haul(data, a.tariff[r, p])
        own = a.limit[j] - carried
        if stage[n] < CARRIED and hi >= lo and _most(b.offered, lo, hi) >= gpus:
            cost = 0
            if stage[n] >= FITS:
                cost = gpus * _least(b.ask, lo, hi)
            if stage[n] >= BEARS_ASK:
                cost = max(cost, gpus * _least(b.price, lo, hi) + extra)
            if stage[n] < FITS or (own > 0 and cost <= (own + 1.0) * _lift(share)):
                stage[n] = _stage(a, s, link_price, b, j, p, d, stage[n], bears, part)
        last = min(b.count - 1, deadline[n] - 1 - d - b.first)
        if _most(b.free, lo, b.count - 1) < gpus or carried >= MAX_LIMIT:
            continue
        if hi >= lo and _most(b.free, lo, hi) >= gpus:
            price = gpus * _least(b.price, lo, hi)
            bar = float(limit[n]) - carried
            if price + max(0, extra) <= (bar + 1.0) * _lift(share) and price < bar + found.relief[n]:
                limit[n] = _enough_limit(a, s, b, j, p, d, share, limit[n], part)
        if own > 0 and last >= lo and _most(b.free, lo, last) >= gpus:
            price = gpus * _least(b.price, lo, last)
            if price + max(0, extra) <= (own + 1.0) * _lift(share) and price <= float(own) + found.relief[n]:
                deadline[n] = _enough_deadline(a, s, b, j, p, d, share, deadline[n], part)


@bare
def _lift(share: int) -> float:
    """Return how many times its own means an order can pay at most, vouchers of a share at its side."""
    return MICRO / (MICRO - share) * (1.0 + 1e-9) if share < MICRO else np.inf


@njit(cache=True)
def _blocks(a: BookArrays, s: State, ask_sum: Int, price_sum: Int, p: int, d: int, first: int, levels: int) -> Blocks:
    """Return the blocks of one duration in one pool from a first start to the end of the round."""
    count = a.capacity.shape[1] - d - first + 1
    levels = min(levels, _levels(count))
    b = Blocks(
        first,
        count,
        np.empty((levels, count), dtype=np.int64),
        np.empty((levels, count), dtype=np.int64),
        np.empty((levels, count), dtype=np.int64),
        np.empty((levels, count), dtype=np.int64),
    )
    queue = np.empty(count + d, dtype=np.int64)
    _block_sums(ask_sum[p], first, count, d, b.ask[0])
    _block_sums(price_sum[p], first, count, d, b.price[0])
    _block_least(a.capacity[p], first, count, d, queue, b.offered[0])
    _block_least(s.free[p], first, count, d, queue, b.free[0])
    _tabulate(b, levels)
    return b


@njit(parallel=True, cache=True)
def search(
    a: BookArrays,
    s: State,
    link_price: Int,
    ask_sum: Int,
    price_sum: Int,
    fits: Flag,
    rows: Int,
    first: Int,
) -> tuple[Stage, Int, Int]:
    """Look at orders that were not served.

    Parameters
    ----------
    a, s : the book and what its awards leave
    link_price : [L, T] micro-yuan per GB
    ask_sum, price_sum : [P, T + 1] prefix sums of asks and published prices, micro-yuan per accelerator
    fits : [R, P] whether orders of a place row may use a pool
    rows : [n] orders, those of one shape next to each other
    first : [tasks + 1] tasks as runs of `rows`, each of one shape

    Returns
    -------
    by `rows`: how far each came in the chain of reasons; the least limit, micro-yuan, and the least deadline, slot,
    that would have been enough, `NOTHING` if none would
    """
    greatest = _greatest_shares(a)
    pools, slots = a.capacity.shape
    stage = np.zeros(rows.size, dtype=np.int8)
    limit = np.full(rows.size, NOTHING, dtype=np.int64)
    deadline = np.full(rows.size, NOTHING, dtype=np.int64)
    relief = np.zeros(rows.size, dtype=np.int64)
    for task in prange(first.size - 1):
        begin, end = first[task], first[task + 1]
        found = Found(stage, limit, deadline, relief)
        part = np.zeros(a.parts.shape[1], dtype=np.int64)
        bears = np.zeros(a.parts.shape[0], dtype=np.int64)
        shape = a.shape[rows[begin]]
        release = slots
        for n in range(begin, end):
            relief[n] = _relief(a, s, rows[n])
            release = min(release, a.release[rows[n]])
        levels = 64 if end - begin >= TABLE_ORDERS else 1
        for p in range(pools):
            d = a.slots[shape, p]
            wanted = 0
            for n in range(begin, end):
                if fits[a.place[rows[n]], p]:
                    wanted += 1
                    stage[n] = max(stage[n], COMPATIBLE)
            if wanted > 0 and release + d <= slots:
                b = _blocks(a, s, ask_sum, price_sum, p, d, release, levels)
                _look(a, s, link_price, b, p, d, fits, greatest, rows, begin, end, found, bears, part)
    return stage, limit, deadline
