"""The dual bounds are above every allocation, close to the best of their kind, and move the way they must."""

from math import ceil
from random import Random

import numpy as np
import slow
import time_indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import arrays, yuan
from random_books import folder, random_arrays, random_book, some_prices
from test_pricing import threads

from dujiang.core.money import MICRO
from dujiang.market.arrays import MAX_PRICE_UCNY, BookArrays
from dujiang.market.book_arrays import book_arrays as arrays_of
from dujiang.market.dual import DualResult, Prices, Supply, exact_bounds, solve_dual, solve_prices
from dujiang.market.keys import build_keys
from dujiang.market.outcome import Coupling
from lab_cases import Job, lab_case

seeds = st.integers(0, 2**32 - 1)
TOLERANCE = 4e-3
"""By how much the search may miss the best bound on these small books, as a share of it."""


def solved(a: BookArrays, passes: int = 300) -> DualResult:
    return solve_dual(a, build_keys(a), passes, tolerance=1e-6)


def least_bound(a: BookArrays) -> float:
    """The least value of the dual, as the linear programme gives it, yuan."""
    return time_indexed.solve(a, integer=False).value


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_no_allocation_of_a_tiny_book_beats_the_bounds(seed: int) -> None:
    """Every allocation is tried, vouchers at the published prices."""
    a = random_arrays(seed, orders=5, pools=2, slots=6)
    result = solved(a, 60)
    best = slow.best_welfare(a, a.ask + result.prices.capacity)
    assert best <= result.bound_at_prices_ucny <= result.bound_ucny


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_any_prices_give_bounds(seed: int) -> None:
    """Not only the search's: whatever multipliers are published, the certificates that they make hold."""
    a = random_arrays(seed, orders=4, pools=2, slots=5, programmes=seed % 4)
    prices = some_prices(a, seed)
    bound, at_prices = exact_bounds(a, build_keys(a), prices)
    assert slow.best_welfare(a, a.ask + prices.capacity) <= min(bound, at_prices)


@given(seeds, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_exact_bounds_are_the_formula_in_fractions(seed: int, programmes: int) -> None:
    a = random_arrays(seed, programmes=programmes)
    prices = some_prices(a, seed)
    expected = tuple(ceil(slow.bound(a, prices, paid=paid)) for paid in (False, True))
    assert exact_bounds(a, build_keys(a), prices) == expected


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_the_bound_is_the_optimum_of_the_linear_programme(seed: int) -> None:
    a = random_arrays(seed, orders=14, pools=3, slots=12)
    found, least = yuan(solved(a).bound_ucny), least_bound(a)
    assert least * (1 - 1e-6) - 1e-5 <= found <= least * (1 + TOLERANCE) + 1e-3


def test_a_crowd_of_like_blocks_for_one_pool_is_priced_to_the_optimum() -> None:
    """Steps that went too far and back again once ended this search after two passes, at 2.4 times the best."""
    day, hour = 26, 3600
    crowd = [Job(0, 12 * hour, 4, limit_cny=4 * 12 * (3 + n), deadline_s=day * hour) for n in range(8)]
    case = lab_case(crowd, {"a": 4}, slots=day)
    a = arrays_of(case.book, case.terms, Coupling.FULL)
    found = yuan(solved(a).bound_ucny)
    assert found <= least_bound(a) * (1 + TOLERANCE)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_more_room_higher_limits_and_later_deadlines_never_lower_the_least_bound(seed: int) -> None:
    a = random_arrays(seed, orders=10)
    before = yuan(solved(a).bound_ucny)
    slack = TOLERANCE * before + 1e-3
    for other in (
        a._replace(capacity=a.capacity + np.where(a.capacity > 0, 4, 0)),
        a._replace(limit=a.limit + 2 * MICRO),
        a._replace(deadline=np.minimum(a.deadline + 2, a.capacity.shape[1])),
        a._replace(budget=a.budget + np.where(a.limited, MICRO, 0)),
        a._replace(cap_left=a.cap_left + MICRO),
        a._replace(link_left=a.link_left + MICRO),
    ):
        assert least_bound(other) >= least_bound(a) * (1 - 1e-6) - 1e-5
        assert yuan(solved(other).bound_ucny) >= before - slack


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_full_coupling_is_bounded_no_lower_than_isolated(seed: int) -> None:
    book = random_book(Random(seed))
    with folder() as f:
        full, isolated = (yuan(solved(arrays(book, f / c, c), 200).bound_ucny) for c in Coupling)
    assert full >= isolated * (1 - TOLERANCE) - 1e-3


@given(seeds, st.integers(2, 1000))
@settings(max_examples=30, deadline=None)
def test_without_vouchers_and_data_the_bound_scales_with_money(seed: int, factor: int) -> None:
    """At scaled prices the bound of the scaled book is exactly the scaled bound.

    The search's own prices scale within its tolerance only, since floats round elsewhere; shares of scaled amounts are
    cut down elsewhere and transfers rounded elsewhere, so these do not scale to the micro-yuan.
    """
    a = random_arrays(seed, programmes=0, links=False)
    names = ("ask", "carbon", "bonus", "limit")
    scaled = a._replace(**{name: getattr(a, name) * factor for name in names})
    prices = some_prices(a, seed)
    times = Prices(prices.capacity * factor, *(getattr(prices, name) for name in Prices.__slots__[1:]))
    (one, _), (many, _) = (exact_bounds(b, build_keys(b), x) for b, x in ((a, prices), (scaled, times)))
    assert many == factor * one
    first, second = (yuan(solved(b).bound_ucny) for b in (a, scaled))
    assert abs(second / factor - first) <= TOLERANCE * first + 1e-3


def test_ten_times_the_money_in_the_files_is_ten_times_the_money_in_the_arrays() -> None:
    orders = 0
    for seed in range(30):
        book = random_book(Random(seed), plain=True)
        with folder() as f:
            one, ten = arrays(book, f / "one"), arrays(book.times_ten(), f / "ten")
        for name in one._fields:
            times = 10 if name in ("ask", "limit", "tariff") else 1
            np.testing.assert_array_equal(getattr(one, name) * times, getattr(ten, name))
        orders += one.gpus.size
    assert orders > 100


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_prices_stay_within_what_a_round_publishes(seed: int) -> None:
    a = random_arrays(seed)
    result = solved(a, 100)
    for prices in (result.prices, result.guide):
        assert all(getattr(prices, name).min(initial=0) >= 0 for name in Prices.__slots__)
        assert (a.ask + prices.capacity).max() <= MAX_PRICE_UCNY
        assert not prices.budget[~a.limited].any()
        assert not prices.budget_paid[~a.limited].any()
        assert not prices.capacity[a.capacity == 0].any()
        assert not prices.link[a.link_left == 0].any()


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_what_is_left_can_be_priced_apart(seed: int) -> None:
    """With all there is and all orders it is the same search; with nothing left there is nothing to price."""
    a = random_arrays(seed, orders=10)
    keys = build_keys(a)
    whole = Supply(a.capacity, a.link_left, a.budget, a.cap_left)
    one, other = (solve_prices(a, keys, 50, supply=supply).prices for supply in (None, whole))
    for name in Prices.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    none = Supply(*(part * 0 for part in whole))
    assert not any(getattr(solve_prices(a, keys, 50, supply=none).prices, name).any() for name in Prices.__slots__)


def test_the_same_book_has_the_same_prices_on_one_thread_and_on_two() -> None:
    a = random_arrays(5, orders=300, pools=6, slots=24, programmes=3)
    with threads(1):
        one = solved(a, 40)
    with threads(2):
        two = solved(a, 40)
    assert (one.bound_ucny, one.bound_at_prices_ucny, one.passes) == (
        two.bound_ucny,
        two.bound_at_prices_ucny,
        two.passes,
    )
    for name in Prices.__slots__:
        np.testing.assert_array_equal(getattr(one.prices, name), getattr(two.prices, name))


def test_a_warm_start_from_the_answer_ends_at_once() -> None:
    a = random_arrays(5, orders=300, pools=6, slots=24, programmes=0)
    keys = build_keys(a)
    cold = solve_prices(a, keys, 300, tolerance=1e-4)
    warm = solve_prices(a, keys, 300, tolerance=1e-3, begin=cold.prices)
    assert warm.passes < cold.passes / 3


def test_the_worked_case_has_no_gap() -> None:
    """One pool of 8 in one slot at 1 yuan; orders for 8 with 24, 40 and 80 yuan: the bound is 72, price 5 or more."""
    a = random_arrays(0, orders=3, pools=1, slots=1, programmes=0, links=False)
    a = a._replace(
        capacity=np.array([[8]]),
        ask=np.array([[MICRO]]),
        carbon=np.zeros(1, dtype=np.int64),
        gpus=np.array([8, 8, 8]),
        release=np.zeros(3, dtype=np.int64),
        deadline=np.ones(3, dtype=np.int64),
        limit=np.array([24, 40, 80]) * MICRO,
        bonus=np.zeros(3, dtype=np.int64),
        slots=np.ones_like(a.slots),
        place=np.zeros(3, dtype=np.int32),
        place_first=np.array([0, 1]),
        place_pool=np.zeros(1, dtype=np.int32),
    )
    result = solved(a)
    assert abs(yuan(result.bound_ucny) - 72) < 1e-3
    assert 4 <= yuan(int(result.prices.capacity[0, 0])) <= 9
