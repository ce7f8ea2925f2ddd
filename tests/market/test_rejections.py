"""Reasons and what would have been enough, against a plain search through every block."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import MAX_UCNY, MICRO
from dujiang.market.amounts import bearable_net, haul, pay
from dujiang.market.arrays import BookArrays
from dujiang.market.causes import NOTHING, TABLE_ORDERS, search
from dujiang.market.outcome import Reason
from dujiang.market.rejections import STAGES, _tasks, place_fits
from dujiang.market.state import State, empty_state, prefix_sums

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Left:
    """A book, prices, and what some awards left of it."""

    a: BookArrays
    s: State
    prices: np.ndarray
    link_price: np.ndarray

    def found(self, threads: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return stage, limit and deadline of every order, by order."""
        numba.set_num_threads(threads)
        rows, first = _tasks(self.a, np.flatnonzero(self.s.pool < 0))
        asks, sums = prefix_sums(self.a.ask), prefix_sums(self.prices)
        found = search(self.a, self.s, self.link_price, asks, sums, place_fits(self.a), rows, first)
        numba.set_num_threads(1)
        rank = np.argsort(rows)
        assert rows[rank].tolist() == np.flatnonzero(self.s.pool < 0).tolist()
        return tuple(array[rank] for array in found)


def left_over(seed: int, *, orders: int = 8, **size: int) -> Left:
    """Draw a book and take away some of everything, as awards would; no order is served itself."""
    rng = np.random.default_rng(seed)
    a = random_arrays(seed, orders=orders, **size)
    empty = empty_state(a)
    taken = rng.choice([0.0, 0.3, 0.6, 1.0], 5)
    s = empty._replace(
        free=a.capacity - (rng.random(a.capacity.shape) < taken[0]) * rng.integers(0, 1 + a.capacity),
        link=a.link_left - (rng.random(a.link_left.shape) < taken[1]) * rng.integers(0, 1 + a.link_left),
        budget=a.budget - (a.limited * taken[2] * a.budget).astype(np.int64),
        cap=a.cap_left - (taken[3] * a.cap_left).astype(np.int64),
        used=rng.random(empty.used.shape) < taken[4] / 2,
    )
    above = rng.choice([0, 0, MICRO, 5 * MICRO], a.ask.shape) * rng.integers(0, 2)
    return Left(a, s, a.ask + above, rng.choice([0, 0, 10_000, 900_000], a.link_left.shape))


def blocks(left: Left, j: int) -> Iterator[tuple[int, int, int]]:
    """Yield pool, start and duration of every block from the release to the end of the round."""
    a = left.a
    row = a.place[j]
    for p in a.place_pool[a.place_first[row] : a.place_first[row + 1]].tolist():
        d = int(a.slots[a.shape[j], p])
        for t in range(int(a.release[j]), a.capacity.shape[1] - d + 1):
            yield p, t, d


def costs(left: Left, j: int, p: int, t: int, d: int) -> tuple[int, int, int]:
    """Return ask, price, and what the block must bring beside its price."""
    a, gpus = left.a, int(left.a.gpus[j])
    extra = int(a.carbon[p]) * gpus * d - int(a.bonus[j])
    return gpus * int(a.ask[p, t : t + d].sum()), gpus * int(left.prices[p, t : t + d].sum()), extra


def payable(left: Left, j: int, p: int, o: int, gross: int) -> tuple[bool, bool]:
    """Return whether the vouchers of an option are valid at a payment, and whether what is left pays them."""
    a, s = left.a, left.s
    part = np.zeros(a.parts.shape[1], dtype=np.int64)
    pay(a, j, p, o, gross, part)
    valid = funded = True
    for k, v in zip(a.parts[o].tolist(), part.tolist(), strict=True):
        if k >= 0:
            cap = a.cap[j, k]
            valid &= v >= max(1, a.minimum[k])
            funded &= v <= s.budget[k] and not s.used[a.contract[j], k] and (cap < 0 or v <= s.cap[cap])
    return valid, valid and funded


def slow_reason(left: Left, j: int) -> Reason:
    a, s = left.a, left.s
    stage = 0
    for p, t, d in blocks(left, j):
        stage = max(stage, 1)
        route, data = a.route[a.place[j], p], int(a.data[j])
        if t + d > a.deadline[j] or a.capacity[p, t : t + d].min() < a.gpus[j]:
            continue
        if route >= 0 and data > a.link_left[route, t]:
            continue
        stage = max(stage, 2)
        ask, price, extra = costs(left, j, p, t, d)
        own = int(a.limit[j]) - haul(data, a.tariff[a.place[j], p])
        for o in range(len(a.parts)):
            bears = bearable_net(a, j, p, o, own)
            if bears < ask:
                continue
            stage = max(stage, 3)
            valid, funded = payable(left, j, p, o, max(ask, min(price, bears)))
            if bears < price + extra or not valid:
                continue
            stage = max(stage, 4)
            if funded:
                toll = Fraction(data * int(left.link_price[route, t]), MICRO) if route >= 0 else 0
                open_ = route < 0 or (data <= s.link[route, t] and toll <= bears - price - extra)
                stage = max(stage, 6 if open_ else 5)
    if not any(True for _ in a.place_pool[a.place_first[a.place[j]] : a.place_first[a.place[j] + 1]]):
        return STAGES[0]
    return STAGES[max(stage, 1)]


def need(left: Left, j: int, p: int, t: int, d: int) -> int | None:
    """Return the least limit that pays a block that is free, by bisection; None if it is not, or none does."""
    a, s = left.a, left.s
    route, data = a.route[a.place[j], p], int(a.data[j])
    if s.free[p, t : t + d].min() < a.gpus[j] or (route >= 0 and data > s.link[route, t]):
        return None
    _, price, extra = costs(left, j, p, t, d)
    target = price + max(0, extra)
    transfer = haul(data, a.tariff[a.place[j], p])

    def pays(limit: int) -> bool:
        for o in range(len(a.parts)):
            bears = bearable_net(a, j, p, o, limit - transfer)
            if bears >= target and payable(left, j, p, o, price)[1]:
                return True
        return False

    low, high = 0, MAX_UCNY
    if not pays(high):
        return None
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


def slow_enough(left: Left, j: int) -> tuple[int, int]:
    limit = deadline = int(NOTHING)
    for p, t, d in blocks(left, j):
        least = need(left, j, p, t, d)
        if least is not None and t + d <= left.a.deadline[j]:
            limit = min(limit, least)
        if least is not None and least <= left.a.limit[j]:
            deadline = min(deadline, t + d)
    return limit, deadline


def assert_like_slow(left: Left) -> None:
    stage, limit, deadline = left.found()
    for j in range(left.a.gpus.size):
        assert STAGES[stage[j]] is slow_reason(left, j), j
        assert (limit[j], deadline[j]) == slow_enough(left, j), j


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_reason_limit_and_deadline_are_those_of_a_plain_search(seed: int) -> None:
    assert_like_slow(left_over(seed, programmes=seed % 4))


def test_tables_answer_like_single_starts() -> None:
    """Many orders of one shape over many slots, so that the tables of several levels are used."""
    for seed in range(3):
        left = left_over(seed, orders=5 * TABLE_ORDERS, pools=2, slots=40, programmes=1)
        assert np.bincount(left.a.shape).max() >= TABLE_ORDERS
        assert_like_slow(left)


def test_every_reason_happens_in_the_random_books() -> None:
    seen: Counter[Reason] = Counter()
    limits = deadlines = 0
    for seed in range(60):
        stage, limit, deadline = left_over(seed).found()
        seen.update(STAGES[n] for n in stage)
        limits += int((limit < NOTHING).sum())
        deadlines += int((deadline < NOTHING).sum())
    assert set(seen) == set(Reason), set(Reason) - set(seen)
    assert limits > 50
    assert deadlines > 50


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_what_is_enough_is_enough_and_a_micro_yuan_less_is_not(seed: int) -> None:
    """Another limit or deadline changes nothing but the order itself: the block is then affordable and free."""
    left = left_over(seed)
    _, limit, deadline = left.found()

    def again(j: int, **own: int) -> tuple[int, int]:
        changed = {name: getattr(left.a, name).copy() for name in own}
        for name, value in own.items():
            changed[name][j] = value
        _, limits, deadlines = Left(left.a._replace(**changed), left.s, left.prices, left.link_price).found()
        return int(limits[j]), int(deadlines[j])

    for j in np.flatnonzero(limit < NOTHING)[:2].tolist():
        assert again(j, limit=int(limit[j]))[1] <= left.a.deadline[j]
        if limit[j] > 1:
            assert again(j, limit=int(limit[j]) - 1)[1] > left.a.deadline[j]
    for j in np.flatnonzero(deadline < NOTHING)[:2].tolist():
        assert again(j, deadline=int(deadline[j]))[0] <= left.a.limit[j]
        assert again(j, deadline=int(deadline[j]) - 1)[0] > left.a.limit[j]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads to compare")
def test_the_number_of_threads_changes_nothing() -> None:
    left = left_over(5, orders=60, pools=4, slots=20)
    for one, two in zip(left.found(1), left.found(2), strict=True):
        assert one.tolist() == two.tolist()


def test_the_largest_amounts_do_not_wrap_around() -> None:
    """8.784e18 micro-yuan for a block, a carbon term of 2**58 on top, a transfer beyond any limit."""
    a = random_arrays(0, orders=2, pools=1, slots=8784, programmes=0, links=False)
    whole = np.array([8784, 8784])
    a = a._replace(
        capacity=np.full((1, 8784), 100_000),
        ask=np.full((1, 8784), 10_000 * MICRO),
        carbon=np.array([2**58 // (100_000 * 8784)]),
        gpus=np.array([100_000, 100_000]),
        release=np.zeros(2, dtype=np.int64),
        deadline=whole,
        limit=np.full(2, MAX_UCNY),
        data=np.array([0, 10**15]),
        bonus=np.zeros(2, dtype=np.int64),
        shape=np.zeros(2, dtype=np.int32),
        slots=np.full((1, 1), 8784, dtype=np.int32),
        place=np.array([0, 0], dtype=np.int32),
        place_first=np.array([0, 1]),
        place_pool=np.zeros(1, dtype=np.int32),
        tariff=np.full((1, 1), 10**11),
        route=np.full((1, 1), -1, dtype=np.int32),
    )
    stage, limit, deadline = Left(a, empty_state(a), a.ask, a.link_left).found()
    assert [STAGES[n] for n in stage] == [Reason.LIMIT_BELOW_ASK] * 2
    assert limit.tolist() == deadline.tolist() == [NOTHING] * 2
