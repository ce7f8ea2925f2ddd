"""Ruin and recreate: small holes are opened in a feasible allocation again and again, and filled in another way.

A move begins with an order. If it waits, room is made for it where that costs least at the prices (*squeeze*), or a
hole is opened around a random block that it could take; if it runs, around its block. Awards that overlap the hole,
there and in one further pool, are removed and offered again together with waiting orders nearby, in one of several
sequences and at one of several guide prices. A loss is accepted with a probability that falls with it and with time
(simulated annealing). Neighbours are found through lists of awards by pool and start and of waiting orders by place and
release, so the cost of a move does not grow with the book. Random numbers are counted from a stated seed, moves end the
search: the same book gives the same bytes.

References
----------
G. Schrimpf et al., Record breaking optimization results using the ruin and recreate principle,
J. Comput. Phys. 159 (2000).
J. Christiaens, G. Vanden Berghe, Slack induction by string removals for vehicle routing problems,
Transportation Science 54 (2020): many small ruins beat few large ones.
"""

from typing import NamedTuple

import numpy as np

from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import bare, loop
from dujiang.market.place import Guide, best_blocks, find_block_in, guide_at
from dujiang.market.sorting import sort_by_key
from dujiang.market.splitmix import Seed, below, unit
from dujiang.market.state import Float, Int, Posted, Row, State, empty_state, put, take

FACTORS = (0.0, 0.4, 0.8, 1.0)
"""Guide prices, as shares of the prices above the asks."""
SQUEEZE = 0.9
"""Share of moves begun by a waiting order that make room for it rather than open a hole."""
WAITS = 0.8
"""Share of moves that look for a waiting order to begin with."""
MOST = 4_096
"""Most awards and waiting orders that a move looks at."""
SQUEEZED = 256
"""About how many awards are looked at to make room for one order."""
_SPREAD = 24
"""Slots of one list of waiting orders."""
_REACH = 3
"""Lists before the hole in which waiting orders are looked for."""
_SHY = 0.25
"""A waiting order that falls short of the prices by this share of its cost is taken into a move with chance 1 / e."""


class Guides(NamedTuple):
    """Several guides, stacked along the first axis: moves pick one at random."""

    price_sum: Float
    floor: Float
    link: Float
    budget: Float
    cap: Float


class Appraisal(NamedTuple):
    """What a search should know of the orders; all but `ranks` [J]."""

    live: Int
    """Rows of the orders that could be served at all."""
    appeal: Float
    """Chance that a waiting order is taken into a move when met; near 1 where the prices nearly let it in."""
    pull: Float
    """Weight with which an order begins a move."""
    ranks: Float
    """[., J] positive sort keys of the recreate step, highest first; a move picks a row."""


def guides(a: BookArrays, point: tuple[Float, Float, Float, Float]) -> Guides:
    """Return guides at several shares of some prices: capacity, link, budget, cap."""
    several = [guide_at(a, *(factor * part for part in point)) for factor in FACTORS]
    return Guides(*(np.stack(parts) for parts in zip(*several, strict=True)))


def appraisal(a: BookArrays, posted: Posted, several: Guides) -> Appraisal:
    """Return what a search should know of the orders: what they are worth in an empty market, and at the prices."""
    rows, empty = np.arange(a.gpus.size), empty_state(a)
    at_asks, at_prices = (Guide(*(part[i] for part in several)) for i in (0, -1))
    free = best_blocks(a, empty, at_asks, posted, rows, 0.0)
    priced = best_blocks(a, empty, at_prices, posted, rows, -np.inf)
    worth = np.where(free.pool >= 0, free.score, 0.0)
    pool, start = np.maximum(priced.pool, 0), np.maximum(priced.start, 0)
    length = np.where(priced.pool >= 0, a.slots[a.shape, pool], 0)
    sums = at_prices.price_sum
    cost = np.maximum(a.gpus * (sums[pool, start + length] - sums[pool, start]), 1.0)
    margin = np.where(priced.pool >= 0, priced.score / cost, -1.0)
    size = a.gpus * np.maximum(length, 1).astype(np.float64)
    appeal = np.maximum(np.exp(np.minimum(margin, 0.0) / _SHY), 0.05)
    ranks = np.stack([1.0 + np.maximum(margin, -0.99), 1.0 + worth, (1.0 + worth) / size, size, np.ones(rows.size)])
    return Appraisal(np.flatnonzero(worth > 0), appeal, np.sqrt(1.0 + worth) * appeal, ranks)


class Nearby(NamedTuple):
    """Where awards and live orders are found; changed in place.

    Live orders stand in lists by place row and part of the week of their release; in every list those that wait come
    first.
    """

    head: Row
    """[P, T] an award that starts there; -1: none."""
    following: Row
    """[J] next award that starts in the same pool and slot; -1: none."""
    previous: Row
    """[J] the one before it; -1: it is the head."""
    longest: Int
    """[P] longest duration of a live order."""
    count: Int  # type: ignore[assignment]
    """[P] awards."""
    member: Row
    """Live orders by list."""
    position: Row
    """[J] where an order stands in `member`; -1: not live."""
    first: Int
    """[R * W + 1] where the lists begin, W to a place row."""
    waiting: Int
    """[R * W] orders of a list that wait."""
    place_of: Row
    """Place rows by pool."""
    place_sum: Int
    """Live orders of a pool's place rows so far, this one included."""
    pool_first: Int
    """[P + 1] of `place_of` and `place_sum`."""
    begins: Int
    """Live orders, and"""
    pull_sum: Float
    """their weights, summed up."""


class Scratch(NamedTuple):
    """Memory of a search."""

    chosen: Row
    """[N] orders of a move: those removed, then those that wait."""
    where: Row
    """[N] pool in which a waiting order is tried; -1: everywhere."""
    old: Row
    """[3, N] awards removed: pool, start, option."""
    rank: Row
    """[N]."""
    keys: Float
    """[N]."""
    mark: Row
    """[J] 1 while an order stands among those that a move tries."""
    short: Float
    """[T + 1]."""
    bears: Int
    """[O]."""
    parts: Int
    """[M]."""


def scratch(a: BookArrays) -> Scratch:
    """Allocate the memory of a search."""
    return Scratch(
        chosen=np.empty(MOST, dtype=np.int32),
        where=np.empty(MOST, dtype=np.int32),
        old=np.empty((3, MOST), dtype=np.int32),
        rank=np.empty(MOST, dtype=np.int32),
        keys=np.empty(MOST),
        mark=np.zeros(a.gpus.size, dtype=np.int32),
        short=np.empty(a.capacity.shape[1] + 1),
        bears=np.empty(a.allowed.shape[1], dtype=np.int64),
        parts=np.empty(a.parts.shape[1], dtype=np.int64),
    )


def lists_of_place(slots: int) -> int:
    """Return how many lists of live orders a place row has."""
    return -(-slots // _SPREAD)


def nearby(a: BookArrays, s: State, live: Int, pull: Float) -> Nearby:
    """Enter awards and live orders into lists."""
    pools, slots = a.capacity.shape
    rows, width = a.place_first.size - 1, lists_of_place(slots)
    number = a.place[live].astype(np.int64) * width + a.release[live] // _SPREAD
    by_list = np.lexsort((live, s.pool[live] >= 0, number))
    member = live[by_list].astype(np.int32)
    position = np.full(a.gpus.size, -1, dtype=np.int32)
    position[member] = np.arange(member.size)
    count = np.bincount(a.place[live], minlength=rows)
    row_of = np.repeat(np.arange(rows), np.diff(a.place_first))
    kept = count[row_of] > 0
    place_of = row_of[kept][np.argsort(a.place_pool[kept], kind="stable")]
    pool_first = np.concatenate([[0], np.cumsum(np.bincount(a.place_pool[kept], minlength=pools))])
    total = np.concatenate([[0], np.cumsum(count[place_of])])
    longest = a.slots[np.unique(a.shape[live])].max(axis=0, initial=1)
    near = Nearby(
        head=np.full((pools, slots), -1, dtype=np.int32),
        following=np.full(a.gpus.size, -1, dtype=np.int32),
        previous=np.full(a.gpus.size, -1, dtype=np.int32),
        longest=np.minimum(longest, slots).astype(np.int64),
        count=np.zeros(pools, dtype=np.int64),
        member=member,
        position=position,
        first=np.concatenate([[0], np.cumsum(np.bincount(number, minlength=rows * width))]).astype(np.int64),
        waiting=np.bincount(number[s.pool[live] < 0], minlength=rows * width).astype(np.int64),
        place_of=place_of.astype(np.int32),
        place_sum=(total[1:] - np.repeat(total[pool_first[:-1]], np.diff(pool_first))).astype(np.int64),
        pool_first=pool_first.astype(np.int64),
        begins=live.astype(np.int64),
        pull_sum=np.cumsum(pull[live]),
    )
    _list_awards(s, near)
    return near


@loop
def _list_awards(s: State, near: Nearby) -> None:
    for j in range(s.pool.shape[0]):
        if s.pool[j] >= 0:
            _link(s, near, j)


@bare
def _link(s: State, near: Nearby, j: int) -> None:
    p, t = s.pool[j], s.start[j]
    first = near.head[p, t]
    near.following[j], near.previous[j] = first, -1
    near.count[p] += 1
    if first >= 0:
        near.previous[first] = j
    near.head[p, t] = j


@bare
def _swap(near: Nearby, j: int, to: int) -> None:
    """Exchange the places of an order and of the one that stands at `to`."""
    at = near.position[j]
    other = near.member[to]
    near.member[to], near.member[at] = j, other
    near.position[j], near.position[other] = to, at


@bare
def _list_of(a: BookArrays, j: int) -> int:
    return a.place[j] * -(-a.capacity.shape[1] // _SPREAD) + a.release[j] // _SPREAD  # type: ignore[no-any-return]


@bare
def _enter(a: BookArrays, s: State, near: Nearby, posted: Posted, j: int, p: int, t: int, o: int) -> None:
    """Enter an award, also into the lists."""
    put(a, s, posted, j, p, t, o)
    _link(s, near, j)
    if near.position[j] >= 0:
        i = _list_of(a, j)
        near.waiting[i] -= 1
        _swap(near, j, near.first[i] + near.waiting[i])


@bare
def _leave(a: BookArrays, s: State, near: Nearby, j: int) -> None:
    """Remove an award, also from the lists."""
    after, before = near.following[j], near.previous[j]
    near.count[s.pool[j]] -= 1
    if before >= 0:
        near.following[before] = after
    else:
        near.head[s.pool[j], s.start[j]] = after
    if after >= 0:
        near.previous[after] = before
    take(a, s, j)
    if near.position[j] >= 0:
        i = _list_of(a, j)
        _swap(near, j, near.first[i] + near.waiting[i])
        near.waiting[i] += 1


@bare
def _usable_pool(a: BookArrays, j: int, rng: Seed) -> int:
    """Return a random pool that could take an order within its window; -1 if there is none."""
    row = a.place[j]
    first = a.place_first[row]
    count = a.place_first[row + 1] - first
    if count == 0:
        return -1
    offset = below(rng, count)
    for i in range(count):
        p = a.place_pool[first + (offset + i) % count]
        if a.release[j] + a.slots[a.shape[j], p] <= a.deadline[j]:
            return p  # type: ignore[no-any-return]
    return -1


@bare
def _hole(a: BookArrays, s: State, seed: int, rng: Seed) -> tuple[int, int, int]:
    """Return pool and slots around which a move works: where the order runs, else a random block that it could take."""
    p = s.pool[seed]
    if p >= 0:
        begin = s.start[seed]
    else:
        p = _usable_pool(a, seed, rng)
        if p < 0:
            return -1, 0, 0
        begin = a.release[seed] + below(rng, a.deadline[seed] - a.slots[a.shape[seed], p] - a.release[seed] + 1)
    end = begin + a.slots[a.shape[seed], p]
    margin = below(rng, 8)
    return p, begin - margin, end + margin


@bare
def _awards_in(
    a: BookArrays, near: Nearby, p: int, begin: int, end: int, seed: int, rng: Seed, out: Row, n: int, most: int
) -> int:
    """Append awards of a pool that overlap [begin, end), but for the seed; return the number of entries.

    Where there would be many more than `most`, only some starts, spread evenly, are looked at.
    """
    first, last = max(0, begin - near.longest[p] + 1), min(end, near.head.shape[1])
    stride = max(1, near.count[p] * (last - first) // (near.head.shape[1] * most))
    for t in range(first + below(rng, stride), last, stride):
        j = near.head[p, t]
        while j >= 0:
            if j != seed and t + a.slots[a.shape[j], p] > begin:
                if n >= out.shape[0] // 2:
                    return n
                out[n] = j
                n += 1
            j = near.following[j]
    return n


@bare
def _keep_some(chosen: Row, begin: int, end: int, size: int, rng: Seed) -> int:
    """Keep a random `size` of the entries [begin, end); return the new end."""
    if end - begin <= size:
        return end
    for i in range(size):
        other = begin + i + below(rng, end - begin - i)
        chosen[begin + i], chosen[other] = chosen[other], chosen[begin + i]
    return begin + size


@bare
def _waiting_order(a: BookArrays, near: Nearby, appeal: Float, p: int, begin: int, end: int, rng: Seed) -> int:
    """Return a random waiting order that may use a pool and whose window touches [begin, end); -1 if none was met."""
    left, right = near.pool_first[p], near.pool_first[p + 1]
    if left == right:
        return -1
    pick = below(rng, near.place_sum[right - 1])
    while left < right:
        middle = (left + right) // 2
        if near.place_sum[middle] <= pick:
            left = middle + 1
        else:
            right = middle
    slots = a.capacity.shape[1]
    first = max(0, begin // _SPREAD - _REACH)
    last = min(end - 1, slots - 1) // _SPREAD
    i = near.place_of[left] * -(-slots // _SPREAD) + first + below(rng, last - first + 1)
    if near.waiting[i] == 0:
        return -1
    j = near.member[near.first[i] + below(rng, near.waiting[i])]
    if a.release[j] >= end or a.deadline[j] <= begin or a.release[j] + a.slots[a.shape[j], p] > a.deadline[j]:
        return -1
    return j if unit(rng) < appeal[j] else -1


@bare
def _seed(s: State, near: Nearby, rng: Seed, waits: bool) -> int:
    """Return a random live order, one with more at stake more often; one that waits, if that is asked, and soon met."""
    j = -1
    for _ in range(8):
        pick = unit(rng) * near.pull_sum[-1]
        left, right = 0, near.pull_sum.shape[0] - 1
        while left < right:
            middle = (left + right) // 2
            if near.pull_sum[middle] <= pick:
                left = middle + 1
            else:
                right = middle
        j = near.begins[left]
        if not waits or s.pool[j] < 0:
            break
    return j


@bare
def _cheapest_squeeze(a: BookArrays, s: State, posted: Posted, j: int, rng: Seed, short: Float) -> tuple[int, int]:
    """Return the pool and start that cost a waiting order least if what is in its way is paid for; -1: none.

    What is in the way is weighed with a random factor, so that the answers differ. `short`: [T + 1], overwritten.
    """
    row, gpus = a.place[j], a.gpus[j]
    pool, start, best = -1, -1, 1e29
    for i in range(a.place_first[row], a.place_first[row + 1]):
        p = a.place_pool[i]
        d = a.slots[a.shape[j], p]
        first, last = a.release[j], a.deadline[j] - d
        if last < first:
            continue
        transfer = haul(a.data[j], a.tariff[row, p])
        weight = 0.4 + 1.2 * unit(rng)
        total = 0.0
        for u in range(first, last + d):
            short[u] = total
            lacking = gpus - s.free[p, u]
            if a.capacity[p, u] < gpus:
                total += 1e30
            elif lacking > 0:
                total += lacking * float(posted.price_sum[p, u + 1] - posted.price_sum[p, u])
        short[last + d] = total
        for t in range(first, last + 1):
            ask = float(gpus * (posted.ask_sum[p, t + d] - posted.ask_sum[p, t]) + transfer)
            cost = ask + weight * (short[t + d] - short[t])
            if cost < best and ask < a.limit[j] + a.bonus[j]:
                pool, start, best = p, t, cost
    return pool, start


@bare
def _squeeze(a: BookArrays, s: State, near: Nearby, j: int, p: int, t: int, rng: Seed, w: Scratch) -> int:
    """Choose awards whose removal makes room for a block of a waiting order, the poorer first; return how many."""
    d = a.slots[a.shape[j], p]
    met = _awards_in(a, near, p, t, t + d, j, rng, w.old[0], 0, SQUEEZED)
    for i in range(met):
        k = w.old[0, i]
        w.keys[i] = (0.5 + unit(rng)) * s.worth[k] / (a.gpus[k] * a.slots[a.shape[k], p])
    sort_by_key(w.keys, w.rank, met)
    for u in range(t, t + d):
        w.short[u] = a.gpus[j] - s.free[p, u]
    removed = 0
    for i in range(met):
        k = w.old[0, w.rank[i]]
        begin, end = max(t, s.start[k]), min(t + d, s.start[k] + a.slots[a.shape[k], p])
        helps = False
        for u in range(begin, end):
            helps |= w.short[u] > 0
        if helps:
            for u in range(begin, end):
                w.short[u] -= a.gpus[k]
            w.chosen[removed] = k
            removed += 1
    return removed


@bare
def _ruin(
    a: BookArrays, s: State, near: Nearby, posted: Posted, appeal: Float, size: int, rng: Seed, w: Scratch
) -> tuple[int, int]:
    """Choose awards to remove and waiting orders to try; return how many of each stand in `w.chosen`, in this order.

    The first of those to try is the order that began the move if it waits.
    """
    seed = _seed(s, near, rng, unit(rng) < WAITS)
    p, other, removed = -1, -1, 0
    if s.pool[seed] < 0 and unit(rng) < SQUEEZE:
        p, begin = _cheapest_squeeze(a, s, posted, seed, rng, w.short)
        if p < 0:
            return 0, 0
        end = begin + a.slots[a.shape[seed], p]
        removed = _squeeze(a, s, near, seed, p, begin, rng, w)
    else:
        p, begin, end = _hole(a, s, seed, rng)
        if p < 0:
            return 0, 0
        runs = 0
        if s.pool[seed] >= 0:
            w.chosen[0] = seed
            runs = 1
        met = _awards_in(a, near, p, begin, end, seed, rng, w.chosen, runs, 4 * size)
        other = _usable_pool(a, seed, rng) if below(rng, 2) == 0 else -1
        if other >= 0 and other != p:
            met = _awards_in(a, near, other, begin, end, seed, rng, w.chosen, met, 4 * size)
        removed = _keep_some(w.chosen, runs, met, size, rng)
    for i in range(removed):
        w.where[i] = -1
    tried = 0
    if s.pool[seed] < 0:
        w.chosen[removed], w.where[removed], w.mark[seed] = seed, -1, 1
        tried = 1
    for i in range(size + 2):
        at = other if other >= 0 and i % 2 == 1 else p
        j = _waiting_order(a, near, appeal, at, begin, end, rng)
        if j >= 0 and w.mark[j] == 0:
            w.chosen[removed + tried], w.where[removed + tried], w.mark[j] = j, at, 1
            tried += 1
    for i in range(removed, removed + tried):
        w.mark[w.chosen[i]] = 0
    return removed, tried


@bare
def _sequence(ranks: Float, n: int, first: int, rng: Seed, w: Scratch) -> None:
    """Write into `w.rank` in what sequence a move offers its hole: by one of the ranks with noise; `first` may lead.

    An order that the prices leave no surplus ranks last by them, however often it is tried; that is why there are
    several ranks.
    """
    r = below(rng, ranks.shape[0])
    noise = 0.8 * unit(rng)
    for i in range(n):
        w.keys[i] = -ranks[r, w.chosen[i]] * (1.0 + noise * (unit(rng) - 0.5))
    if first >= 0 and below(rng, 2) == 0:
        w.keys[first] = -np.inf
    sort_by_key(w.keys, w.rank, n)


@loop
def improve(
    a: BookArrays,
    s: State,
    near: Nearby,
    guides: Guides,
    posted: Posted,
    worth: Appraisal,
    w: Scratch,
    rng: Seed,
    moves: int,
    size: int,
    hot: float,
    cold: float,
) -> int:
    """Make a number of moves; return the change of welfare, micro-yuan.

    Parameters
    ----------
    near : lists that agree with the state; kept so
    size : most awards removed by a move that opens a hole
    hot, cold : loss accepted at the first and the last move, micro-yuan
    """
    total = 0
    heat = hot
    cooling = (cold / hot) ** (1.0 / max(moves, 1))
    for _ in range(moves):
        heat *= cooling
        removed, tried = _ruin(a, s, near, posted, worth.appeal, 1 + below(rng, size), rng, w)
        n = removed + tried
        if n == 0:
            continue
        _sequence(worth.ranks, n, removed if tried > 0 else -1, rng, w)
        before = 0
        for i in range(removed):
            j = w.chosen[i]
            w.old[0, i], w.old[1, i], w.old[2, i] = s.pool[j], s.start[j], s.option[j]
            before += s.worth[j]
            _leave(a, s, near, j)
        after = 0
        g = below(rng, guides.price_sum.shape[0])
        guide = Guide(guides.price_sum[g], guides.floor[g], guides.link[g], guides.budget[g], guides.cap[g])
        for k in range(n):
            i = w.rank[k]
            j = w.chosen[i]
            pools, first, last = w.where, i, i + 1
            if w.where[i] < 0:
                pools, first, last = a.place_pool, a.place_first[a.place[j]], a.place_first[a.place[j] + 1]
            p, t, o, _score = find_block_in(a, s, guide, posted, j, pools, first, last, 0.0, w.bears, w.parts)
            if p >= 0:
                _enter(a, s, near, posted, j, p, t, o)
                after += s.worth[j]
        if after >= before or float(before - after) < -heat * np.log(unit(rng) + 1e-300):
            total += after - before
            continue
        for i in range(n):
            if s.pool[w.chosen[i]] >= 0:
                _leave(a, s, near, w.chosen[i])
        for i in range(removed):
            _enter(a, s, near, posted, w.chosen[i], w.old[0, i], w.old[1, i], w.old[2, i])
    return total
