"""The exact mode: against enumeration, against a plainly written programme, and every step that makes it small."""

import numpy as np
import pytest
import slow
import time_indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import QUICK, random_arrays

from dujiang.core.money import MICRO
from dujiang.market import exact, rows
from dujiang.market.arrays import BY_ORDER, BookArrays
from dujiang.market.columns import Columns, Rates, classes, empty_columns, list_blocks
from dujiang.market.dual import Prices, exact_bounds
from dujiang.market.engine import Cleared, solve
from dujiang.market.exact import ExactResult, Limits, solve_exact
from dujiang.market.keys import build_keys
from dujiang.market.rows import CELL, ORDER, Rows, components, needed, rows_of
from dujiang.market.state import State, empty_state, posted_prices, put

AMPLE = Limits(seconds=60.0)
seeds = st.integers(0, 10**9)


def no_clock() -> float:
    return 0.0


def random_prices(a: BookArrays, seed: int) -> Prices:
    """Draw multipliers that no dual would choose: what is proven must not depend on them."""
    rng = np.random.default_rng(seed)

    def some(shape: tuple[int, ...], most: int) -> np.ndarray:
        return rng.integers(0, most, shape) * (rng.random(shape) < 0.5)

    return Prices(
        capacity=some(a.capacity.shape, 3 * MICRO),
        link=some(a.link_left.shape, MICRO // 10),
        budget=some(a.budget.shape, MICRO),
        cap=some(a.cap_left.shape, MICRO),
        budget_paid=some(a.budget.shape, MICRO),
        cap_paid=some(a.cap_left.shape, MICRO),
    )


def no_prices(a: BookArrays) -> Prices:
    return Prices(*(np.zeros_like(array) for array in (a.capacity, a.link_left, *2 * (a.budget, a.cap_left))))


def nothing_served(a: BookArrays, prices: Prices) -> Cleared:
    return Cleared(empty_state(a), prices, *exact_bounds(a, build_keys(a), prices), 0, 0, False, {})


def repeated(a: BookArrays, seed: int) -> BookArrays:
    """Return a book of as many orders, some the same several times over, at times with contracts of their own."""
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.integers(0, a.gpus.size, a.gpus.size))
    again = a._replace(**{name: np.ascontiguousarray(getattr(a, name)[picked]) for name in BY_ORDER})
    return again._replace(contract=np.arange(picked.size, dtype=np.int32)) if rng.random() < 0.5 else again


def assert_consistent(a: BookArrays, prices: Prices, s: State) -> None:
    """Entering the awards of a state anew gives the same state, and nothing is overdrawn."""
    again = empty_state(a)
    posted = posted_prices(a, prices.capacity)
    for j in np.flatnonzero(s.pool >= 0).tolist():
        put(a, again, posted, j, int(s.pool[j]), int(s.start[j]), int(s.option[j]))
    for name, ours, theirs in zip(State._fields, s, again, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert all(left.min(initial=0) >= 0 for left in (s.free, s.link, s.budget, s.cap))


def assert_proven(a: BookArrays, cleared: Cleared, result: ExactResult, best_ucny: float) -> None:
    welfare = int(result.state.worth.sum())
    assert result.optimal
    assert not result.cut_short
    assert welfare == pytest.approx(best_ucny, rel=1e-9, abs=2.0)
    assert int(cleared.state.worth.sum()) <= welfare <= result.bound_at_prices_ucny <= cleared.bound_at_prices_ucny
    assert welfare <= result.bound_ucny <= cleared.bound_ucny
    assert result.bound_at_prices_ucny - welfare <= 1e-5 * welfare + 100
    assert_consistent(a, cleared.prices, result.state)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_tiny_books_with_every_feature_come_out_as_enumeration_says(seed: int) -> None:
    a = random_arrays(seed, orders=1 + seed % 5, pools=2, slots=6)
    a = repeated(a, seed) if seed % 3 == 0 else a
    prices = random_prices(a, seed)
    cleared = nothing_served(a, prices)
    assert_proven(a, cleared, solve_exact(a, cleared, AMPLE, no_clock), slow.best_welfare(a, a.ask + prices.capacity))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_engine_exact_mode_and_bounds_stand_in_this_order(seed: int) -> None:
    """Also with the engine's own prices and awards to start from, which leave most blocks out."""
    a = random_arrays(seed, orders=6 + seed % 20, pools=3, slots=12)
    a = repeated(a, seed) if seed % 2 else a
    cleared = solve(a, QUICK, no_clock)
    best = time_indexed.solve(a, integer=True, price=a.ask + cleared.prices.capacity)
    assert best.optimal
    assert_proven(a, cleared, solve_exact(a, cleared, AMPLE, no_clock), best.value * MICRO)


def one_slot(gpus: list[int], limits_cny: list[int], capacity: int) -> BookArrays:
    """One pool and slot, no ask, no vouchers."""
    n = len(gpus)
    a = random_arrays(1, orders=n, pools=1, slots=1, programmes=0, links=False)
    zeros = np.zeros(n, dtype=np.int64)
    return a._replace(
        capacity=np.array([[capacity]]),
        ask=np.zeros((1, 1), dtype=np.int64),
        carbon=np.zeros(1, dtype=np.int64),
        gpus=np.array(gpus),
        release=zeros,
        deadline=zeros + 1,
        limit=np.array(limits_cny) * MICRO,
        data=zeros,
        bonus=zeros,
        shape=zeros.astype(np.int32),
        slots=np.ones((1, 1), dtype=np.int32),
        place=zeros.astype(np.int32),
        place_first=np.array([0, 1]),
        place_pool=np.zeros(1, dtype=np.int32),
        tariff=np.zeros((1, 1), dtype=np.int64),
        route=np.full((1, 1), -1, dtype=np.int32),
    )


def test_the_example_without_a_supporting_price_is_proven_optimal() -> None:
    """3 accelerators; 2 for 10, 2 for 9, 1 for 4: the dual says 14.5, the truth is 14."""
    a = one_slot([2, 2, 1], [10, 9, 4], 3)
    cleared = solve(a, QUICK, no_clock)
    assert cleared.bound_ucny >= 14.4 * MICRO
    result = solve_exact(a, cleared, AMPLE, no_clock)
    assert result.optimal
    assert result.state.worth.sum() == 14 * MICRO
    assert 14 * MICRO <= result.bound_ucny <= 14 * MICRO + 100


def test_capacity_that_no_gang_can_use_is_cut_down() -> None:
    """13 accelerators wanted in eights: one order is served, and no search is needed to know it."""
    a = one_slot([8, 8, 8], [10, 9, 8], 13)
    result = solve_exact(a, nothing_served(a, random_prices(a, 0)), AMPLE, no_clock)
    assert result.optimal
    assert result.state.worth.sum() == 10 * MICRO
    assert result.nodes <= 1


@pytest.mark.parametrize("short", [0, 1])
def test_a_budget_is_not_overdrawn_by_a_micro_yuan(short: int) -> None:
    """Two vouchers of 200 million yuan each: the solver's tolerance must stay below the least that money has."""
    ask = 400_000_000 * MICRO
    a = one_slot([1, 1], [900_000_000, 900_000_000], 2)._replace(
        ask=np.array([[ask]]),
        contract=np.arange(2, dtype=np.int32),
        term=np.zeros(2, dtype=np.int32),
        share=np.full((1, 1, 1), 500_000),
        allowed=np.ones((1, 2), dtype=np.bool_),
        room=np.full((2, 1), ask),
        cap=np.full((2, 1), -1, dtype=np.int32),
        parts=np.array([[-1], [0]], dtype=np.int32),
        ceiling=np.full(2, MICRO),
        budget=np.array([ask - short]),
        limited=np.ones(1, dtype=np.bool_),
        minimum=np.zeros(1, dtype=np.int64),
    )
    cleared = nothing_served(a, no_prices(a))
    result = solve_exact(a, cleared, AMPLE, no_clock)
    assert_consistent(a, cleared.prices, result.state)
    assert (result.state.option > 0).sum() == 2 - short
    assert (result.state.pool >= 0).all()
    assert result.optimal


def test_a_book_without_orders_is_served_to_the_optimum() -> None:
    a = random_arrays(3, orders=4, pools=2, slots=6)
    a = a._replace(**{name: getattr(a, name)[:0] for name in BY_ORDER})
    result = solve_exact(a, solve(a, QUICK, no_clock), AMPLE, no_clock)
    assert result.optimal
    assert result.bound_ucny == 0


def test_without_time_nothing_is_claimed() -> None:
    a = random_arrays(3, orders=12, pools=3, slots=12)
    cleared = solve(a, QUICK, no_clock)
    result = solve_exact(a, cleared, Limits(seconds=0.0), no_clock)
    assert result.cut_short
    assert not result.optimal
    assert result.bound_ucny == cleared.bound_ucny
    assert result.bound_at_prices_ucny == cleared.bound_at_prices_ucny
    np.testing.assert_array_equal(result.state.pool, cleared.state.pool)


def test_a_limit_of_nodes_gives_the_same_result_twice_and_a_valid_bound() -> None:
    a = random_arrays(11, orders=30, pools=3, slots=16, programmes=0)
    cleared = nothing_served(a, random_prices(a, 1))
    first, second = (solve_exact(a, cleared, Limits(nodes=1), no_clock) for _ in range(2))
    assert not first.cut_short
    np.testing.assert_array_equal(first.state.start, second.state.start)
    assert first.bound_ucny == second.bound_ucny
    assert first.bound_ucny >= solve_exact(a, cleared, AMPLE, no_clock).state.worth.sum()


def test_a_book_with_too_many_blocks_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    a = random_arrays(3, orders=12, pools=3, slots=12)
    cleared = nothing_served(a, random_prices(a, 1))
    monkeypatch.setattr(exact, "MAX_COLUMNS", 2)
    result = solve_exact(a, cleared, AMPLE, no_clock)
    assert result.columns > 2
    assert not result.optimal
    assert not result.cut_short
    assert result.bound_at_prices_ucny == cleared.bound_at_prices_ucny


def everything_of(a: BookArrays, prices: Prices) -> tuple[Columns, Rows, np.ndarray, np.ndarray]:
    """Return all columns and rows of a book, the class of each column and the orders of each class."""
    s, posted = empty_state(a), posted_prices(a, prices.capacity)
    rates = Rates(np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    member, first = classes(a)
    best, least = np.zeros(a.gpus.size), np.full(a.gpus.size, -np.inf)
    count = list_blocks(a, s, posted, rates, first, least, best, empty_columns(0, a.parts.shape[1]))
    c = empty_columns(count, a.parts.shape[1])
    list_blocks(a, s, posted, rates, first, least, best, c)
    of_column = np.searchsorted(first, c.order)
    members = np.bincount(member, minlength=first.size)
    return c, rows_of(a, s, posted, rates, c, of_column, members, best[first]), of_column, members


@settings(max_examples=150, deadline=None)
@given(seeds, st.data())
def test_rows_that_are_left_out_rule_nothing_out(seed: int, data: st.DataObject) -> None:
    """Whole numbers that satisfy the rows that are kept satisfy all, and the other way round."""
    a = repeated(random_arrays(seed, orders=8, pools=2, slots=8), seed)
    c, full, member, members = everything_of(a, random_prices(a, seed))
    few = needed(full, a, c, member, members)
    for attempt in range(8):
        rng = np.random.default_rng(data.draw(seeds) + attempt)
        x = np.zeros(c.order.size, dtype=np.int64)
        for group in range(members.size):
            mine = np.flatnonzero(member == group)
            if mine.size:
                np.add.at(x, rng.choice(mine, rng.integers(0, members[group] + 1)), 1)
        assert exact._fits(few, x) == exact._fits(full, x)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=5))
def test_reachable_sums_are_those_of_whole_gangs(right: int, gangs: list[tuple[int, int]]) -> None:
    sums = {0}
    for size, count in gangs:
        sums = {total + size * n for total in sums for n in range(count + 1)}
    sizes, counts = (np.array(column) for column in zip(*gangs, strict=True))
    assert rows._reachable(right, sizes, counts) == max(total for total in sums if total <= right)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=12))
def test_components_are_what_entries_connect(columns: list[list[int]]) -> None:
    part = [set(uses) for uses in columns]
    for _ in columns:  # so often at most until nothing grows
        part = [set().union(*(other for other in part if mine & other)) for mine in part]
    row = np.array([r for uses in columns for r in uses])
    column = np.array([number for number, uses in enumerate(columns) for _ in uses])
    none = np.zeros(10, dtype=np.int64)
    ours = components(Rows(row, column, row, none, none, none, none, none), len(columns))
    for i, mine in enumerate(part):
        for j, other in enumerate(part):
            assert (ours[i] == ours[j]) == (mine == other)


def test_rows_say_what_they_are() -> None:
    a = random_arrays(4, orders=8, pools=2, slots=8)
    c, full, member, _ = everything_of(a, random_prices(a, 4))
    assert c.order.size
    assert (full.kind == ORDER).sum() == np.unique(member).size
    cells = full.cell[full.kind == CELL]
    np.testing.assert_array_equal(full.right[full.kind == CELL], a.capacity.ravel()[cells])
