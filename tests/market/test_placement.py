"""Every state on the way to the awards keeps every rule, told by the slow twins; and what the steps promise."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import slow
from benchmarks.markets import market
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays, some_prices

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.dual import Prices
from dujiang.market.engine import Effort, gap_of, solve
from dujiang.market.improve import appraisal, guides, improve, nearby, scratch
from dujiang.market.keys import build_keys
from dujiang.market.place import best_blocks, fill, guide_at
from dujiang.market.recovery import recover, spread
from dujiang.market.simple_rules import Rule, allocate
from dujiang.market.sorting import sort_by_key
from dujiang.market.splitmix import seeded
from dujiang.market.state import Posted, State, copied, empty_state, posted_prices, put, take
from dujiang.market.turns import pull_forward
from lab_cases import HOUR, Job, Pool, lab_case, voucher

BOOKS = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 10**6)


def book(seed: int, orders: int = 14) -> tuple[BookArrays, Prices, Posted]:
    """Draw a crowded book with every feature and some prices, good or bad."""
    a = random_arrays(seed, orders=orders, pools=3, slots=9)
    prices = some_prices(a, seed)
    return a, prices, posted_prices(a, prices.capacity)


def assert_holds(a: BookArrays, prices: Prices, s: State) -> None:
    """Enter the awards one by one into the slow twin of a state; each must be a block that fits, and the rest agree."""
    left: slow.Used | None = slow.everything(a)
    for j in np.flatnonzero(s.pool >= 0).tolist():
        key = (int(s.pool[j]), int(s.start[j]), int(s.option[j]))
        (block,) = (b for b in slow.blocks(a, a.ask + prices.capacity, j) if (b.pool, b.start, b.option) == key)
        amounts = slow.vouchers(a, j, block)
        assert amounts == s.voucher[j, : len(amounts or ())].tolist()
        assert not s.voucher[j, len(amounts) :].any()
        assert block.worth == s.worth[j] > 0
        left = slow.after(a, left, j, block)
        assert left is not None
    waiting = s.pool < 0
    for array, nothing in ((s.worth, 0), (s.voucher, 0), (s.start, -1), (s.option, 0)):
        assert (array[waiting] == nothing).all()
    assert left.free == slow.everything(a._replace(capacity=s.free)).free
    assert left.link == slow.everything(a._replace(link_left=s.link)).link
    assert list(left.budget.values()) == s.budget.tolist()
    assert list(left.cap.values()) == s.cap.tolist()
    assert left.contracts == {(int(c), int(k)) for c, k in zip(*np.nonzero(s.used), strict=True)}


@BOOKS
@given(SEEDS)
def test_recovered_awards_hold(seed: int) -> None:
    a, prices, posted = book(seed)
    s = empty_state(a)
    point = prices.point_paid()
    recover(a, s, point, spread(a, build_keys(a), point, posted), posted)
    assert_holds(a, prices, s)


@BOOKS
@given(SEEDS)
def test_nothing_is_left_that_would_still_fit(seed: int) -> None:
    """After the fill at the asks no waiting order has a block that fits and adds welfare."""
    a, prices, posted = book(seed)
    s = empty_state(a)
    fill(a, s, guide_at(a, *(0.0 * part for part in prices.point_paid())), posted)
    left = slow.everything(a)
    for j in np.flatnonzero(s.pool >= 0).tolist():
        key = (int(s.pool[j]), int(s.start[j]), int(s.option[j]))
        block = next(b for b in slow.blocks(a, a.ask + prices.capacity, j) if (b.pool, b.start, b.option) == key)
        left = slow.after(a, left, j, block)
    for j in np.flatnonzero(s.pool < 0).tolist():
        for block in slow.blocks(a, a.ask + prices.capacity, j):
            assert block.worth <= 0 or slow.after(a, left, j, block) is None


@BOOKS
@given(SEEDS, st.sampled_from(Rule))
def test_awards_of_simple_rules_hold(seed: int, rule: Rule) -> None:
    a, prices, posted = book(seed)
    assert_holds(a, prices, allocate(a, posted, rule))


@BOOKS
@given(SEEDS)
def test_first_fit_is_the_earliest_start_of_the_first_pool(seed: int) -> None:
    a, prices, posted = book(seed)
    s = allocate(a, posted, Rule.FIRST_FIT)
    left = slow.everything(a)
    for j in range(a.gpus.size):
        fits = [
            b
            for b in slow.blocks(a, a.ask + prices.capacity, j)
            if b.worth > 0 and slow.after(a, left, j, b) is not None
        ]
        best = min(fits, key=lambda b: (b.start, b.pool, -b.worth, b.option), default=None)
        found = (s.pool[j], s.start[j], s.option[j])
        assert found == ((-1, -1, 0) if best is None else (best.pool, best.start, best.option))
        if best is not None:
            left = slow.after(a, left, j, best)


def searched(seed: int, moves: int) -> tuple[BookArrays, Prices, Posted, State, int, int]:
    """Improve the awards of first fit; return also the welfare before and what the search says it added."""
    a, prices, posted = book(seed)
    s = allocate(a, posted, Rule.FIRST_FIT)
    before = int(s.worth.sum())
    several = guides(a, prices.point_paid())
    worth = appraisal(a, posted, several)
    near = nearby(a, s, worth.live, worth.pull)
    gained = 0
    if worth.live.size:
        gained = improve(a, s, near, several, posted, worth, scratch(a), seeded(seed), moves, 4, 3e7, 1e5)
        listed = sorted(lists(near))
        assert listed == np.flatnonzero(s.pool >= 0).tolist()
        assert near.count.tolist() == np.bincount(s.pool[listed], minlength=a.capacity.shape[0]).tolist()
        for first, end, waiting in zip(near.first, near.first[1:], near.waiting, strict=False):
            assert (s.pool[near.member[first : first + waiting]] < 0).all()
            assert (s.pool[near.member[first + waiting : end]] >= 0).all()
    return a, prices, posted, s, before, gained


def lists(near) -> Iterator[int]:
    """Walk the lists of awards."""
    for j in near.head[near.head >= 0].tolist():
        while j >= 0:
            yield j
            j = int(near.following[j])


@BOOKS
@given(SEEDS)
def test_awards_hold_after_any_number_of_moves_and_the_gain_is_what_was_said(seed: int) -> None:
    a, prices, _, s, before, gained = searched(seed, 1 + seed % 300)
    assert_holds(a, prices, s)
    assert int(s.worth.sum()) == before + gained


@BOOKS
@given(SEEDS)
def test_the_best_block_is_the_best_of_all_that_fit(seed: int) -> None:
    """Against the slow twin: score at guide prices, in what other awards leave, vouchers as paid."""
    a, prices, posted = book(seed)
    s = allocate(a, posted, Rule.FIRST_FIT)
    left = slow.everything(a)
    for j in np.flatnonzero(s.pool >= 0).tolist():
        key = (int(s.pool[j]), int(s.start[j]), int(s.option[j]))
        block = next(b for b in slow.blocks(a, a.ask + prices.capacity, j) if (b.pool, b.start, b.option) == key)
        left = slow.after(a, left, j, block)
    waiting = np.flatnonzero(s.pool < 0)
    found = best_blocks(a, s, guide_at(a, *prices.point_paid()), posted, waiting, 0.0)
    for i, j in enumerate(waiting.tolist()):
        gains = [
            float(slow.gain(a, prices, j, b, paid=True))
            for b in slow.blocks(a, a.ask + prices.capacity, j)
            if b.worth > 0 and slow.after(a, left, j, b) is not None
        ]
        best = max(gains, default=0.0)
        assert (found.pool[i] >= 0) == (best > 0) or abs(best) < 1e-3
        if found.pool[i] >= 0:
            assert found.score[i] == pytest.approx(best, abs=1e-3)


@BOOKS
@given(SEEDS)
def test_an_award_taken_back_leaves_no_trace(seed: int) -> None:
    a, _, posted = book(seed)
    s = allocate(a, posted, Rule.VALUE)
    before = copied(s)
    for j in np.flatnonzero(s.pool >= 0):
        block = int(s.pool[j]), int(s.start[j]), int(s.option[j])
        take(a, s, j)
        assert s.pool[j] == -1
        put(a, s, posted, j, *block)
    for old, new in zip(before, s, strict=True):
        np.testing.assert_array_equal(old, new)


@given(st.lists(st.sampled_from([0.0, 1.0, -2.5, np.inf, -np.inf, 3.25]), max_size=40))
def test_sorting_is_stable(values: list[float]) -> None:
    keys, rank = np.array(values, dtype=np.float64), np.zeros(max(1, len(values)), dtype=np.int32)
    sort_by_key(keys, rank, len(values))
    assert rank[: len(values)].tolist() == np.argsort(keys, kind="stable").tolist()


def test_demand_is_spread_so_that_it_meets_supply() -> None:
    """What all orders take in the last round is within a few per cent of the capacity where it has a price."""
    a = market(20_000, 6, 96, load=1.5, seed=3)
    cleared = solve(a, Effort(moves=0), lambda: 0.0)
    point = cleared.prices.point_paid()
    hints = spread(a, build_keys(a), point, posted_prices(a, cleared.prices.capacity)).hints
    taken = np.zeros((6, 97))
    rows = np.flatnonzero(hints.pool >= 0)
    p, t = hints.pool[rows], hints.start[rows]
    np.add.at(taken, (p, t), a.gpus[rows])
    np.add.at(taken, (p, t + a.slots[a.shape[rows], p]), -a.gpus[rows])
    taken = np.cumsum(taken, axis=1)[:, :-1]
    priced = cleared.prices.capacity > 0
    assert priced.mean() > 0.3
    off = np.abs(taken - a.capacity)[priced].sum() / a.capacity[priced].sum()
    assert off < 0.08
    assert gap_of(cleared.bound_ucny, int(cleared.state.worth.sum())) < 0.012


_PROGRAM = """
import hashlib
from benchmarks.markets import market
from dujiang.market.engine import Effort, solve
a = market(3000, 8, 72, programmes=3, links=True, skew=0.5, uneven=0.3, seed=5)
r = solve(a, Effort(passes=15, moves=3000), lambda: 0.0)
digest = hashlib.sha256()
for array in (*r.state, r.prices.capacity, r.prices.link, r.prices.budget, r.prices.cap_paid):
    digest.update(array.tobytes())
print(digest.hexdigest(), r.bound_ucny, r.bound_at_prices_ucny)
"""


def test_the_number_of_threads_changes_nothing() -> None:
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "NUMBA_NUM_THREADS": threads, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(outputs) == 1


def paid(a: BookArrays, posted: Posted, s: State) -> list[int]:
    """What each order pays for its block at the published prices, transfer included; 0 without an award."""
    out = []
    for j in range(a.gpus.size):
        p, t = int(s.pool[j]), int(s.start[j])
        d = int(a.slots[a.shape[j], p])
        price = int(a.gpus[j]) * int(posted.price_sum[p, t + d] - posted.price_sum[p, t])
        out.append(price + slow.transfer(a, j, p) if p >= 0 else 0)
    return out


@BOOKS
@given(SEEDS)
def test_pulled_forward_nobody_starts_later_pays_more_or_is_worth_less(seed: int) -> None:
    a, prices, posted = book(seed)
    s = allocate(a, posted, Rule.VALUE)
    before = copied(s)
    pull_forward(a, s, posted)
    assert_holds(a, prices, s)
    assert s.worth.tolist() == before.worth.tolist()
    assert s.option.tolist() == before.option.tolist()
    assert (s.voucher == before.voucher).all()
    assert (s.start <= before.start).all()
    assert all(now <= then for now, then in zip(paid(a, posted, s), paid(a, posted, before), strict=True))


def test_an_award_is_pulled_into_the_first_gap_of_any_pool() -> None:
    a = market(60, 6, 48, load=0.3, seed=2)
    posted = posted_prices(a, np.zeros_like(a.ask))
    s = empty_state(a)
    latest = [j for j in range(60) if a.deadline[j] - a.release[j] > a.slots[a.shape[j]].max()]
    for j in latest:  # alone in its pool, as late as it may
        p = int(a.place_pool[a.place_first[a.place[j]]])
        t = int(a.deadline[j] - a.slots[a.shape[j], p])
        if (s.free[p, t : a.deadline[j]] >= a.gpus[j]).all():
            put(a, s, posted, j, p, t, 0)
    served = np.flatnonzero(s.pool >= 0)
    before = (s.start - a.release)[served].mean()
    pull_forward(a, s, posted)
    assert served.size > 5
    assert before > 5
    assert (s.start - a.release)[served].mean() < before / 5


def test_an_award_with_a_voucher_moves_only_to_where_it_pays_as_much() -> None:
    firms = pl.DataFrame({"enterprise_id": ["e0"], "employees": [10]})
    jobs = [Job(0, 2 * HOUR, 1, limit_cny=100)]
    starts = {}
    for ask in (2.0, 1.5):
        pools = [Pool("a", "a", 4), Pool("b", "b", 4, ask)]
        case = lab_case(jobs, pools, slots=24, programmes=[voucher(rate=0.5)], firms=firms, capacity=[("a", 0, 0)])
        a = book_arrays(case.book, case.terms, case.coupling)
        posted = posted_prices(a, np.zeros_like(a.ask))
        s = empty_state(a)
        put(a, s, posted, 0, 0, 6, 1)
        pull_forward(a, s, posted)
        assert s.voucher[0, 0] == 2 * MICRO
        starts[ask] = (int(s.pool[0]), int(s.start[0]))
    assert starts == {2.0: (1, 0), 1.5: (0, 1)}
