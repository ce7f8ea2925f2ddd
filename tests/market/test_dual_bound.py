"""The dual bound is above every allocation, close to the best bound of its kind, and moves the way it must."""

from random import Random

import numpy as np
import slow
import time_indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import arrays, yuan
from random_books import QUICK, folder, random_arrays, random_book

from dujiang.core.money import MICRO
from dujiang.market.arrays import MAX_PRICE_UCNY, BookArrays
from dujiang.market.dual import Prices, exact_bound, solve_dual
from dujiang.market.engine import solve
from dujiang.market.outcome import Coupling

seeds = st.integers(0, 2**32 - 1)
TOLERANCE = 2e-3
"""By how much the solver may miss the best bound on these small books, as a share of it."""


def no_clock() -> float:
    return 0.0


def least_bound(a: BookArrays) -> float:
    """The least value of the dual, as the linear programme gives it, yuan."""
    return time_indexed.solve(a, integer=False).value


def some_prices(a: BookArrays, seed: int) -> Prices:
    rng = np.random.default_rng([seed, 2])
    capacity = rng.choice([0, 1, 3 * MICRO], a.ask.shape) * rng.integers(0, 2, a.ask.shape)
    budget = np.where(a.limited, rng.integers(0, 2 * MICRO, a.budget.size), 0)
    return Prices(capacity, budget, rng.integers(0, MICRO, a.cap_left.size))


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_no_allocation_of_a_tiny_book_beats_the_bound_or_the_optimum(seed: int) -> None:
    """Every allocation is tried, vouchers at the published prices; the engine is below, the bound above the best."""
    a = random_arrays(seed, orders=5, pools=2, slots=6)
    cleared = solve(a, QUICK, no_clock)
    price = a.ask + cleared.prices.capacity
    best = slow.best_welfare(a, price)
    assert int(cleared.state.worth.sum()) <= best <= cleared.bound_ucny
    assert slow.first_fit(a, price) <= best


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_any_prices_give_a_bound(seed: int) -> None:
    """Not only the solver's: whatever multipliers are published, the certificate that they make holds."""
    a = random_arrays(seed, orders=4, pools=2, slots=5)
    prices = some_prices(a, seed)
    assert slow.best_welfare(a, a.ask + prices.capacity) <= exact_bound(a, prices)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_the_exact_bound_is_the_formula_in_fractions(seed: int) -> None:
    a = random_arrays(seed)
    prices = some_prices(a, seed)
    rates = [(a.budget[k], prices.budget[k]) for k in np.flatnonzero(a.limited)]
    rates += list(zip(a.cap_left, prices.cap, strict=True))
    ppm = sum(int(left) * int(rate) for left, rate in rates)
    total = slow.Fraction(ppm, MICRO) + int((a.capacity * prices.capacity).sum())
    price = a.ask + prices.capacity
    for j in range(a.gpus.size):
        gains = [slow.surplus(a, price, prices.budget, prices.cap, j, block) for block in slow.blocks(a, price, j)]
        total += max([slow.Fraction(0), *gains])
    assert exact_bound(a, prices) == total.__ceil__()


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_the_bound_is_the_optimum_of_the_linear_programme(seed: int) -> None:
    a = random_arrays(seed, orders=14, pools=3, slots=12)
    found, least = yuan(solve_dual(a, 300).bound_ucny), least_bound(a)
    assert least * (1 - 1e-6) - 1e-5 <= found <= least * (1 + TOLERANCE) + 1e-5


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_more_room_higher_limits_and_later_deadlines_never_lower_the_bound(seed: int) -> None:
    a = random_arrays(seed, orders=10)
    before = yuan(solve_dual(a, 200).bound_ucny)
    slack = TOLERANCE * before + 1e-5
    slots = a.capacity.shape[1]
    open_ = a.limit >= 0
    for other in (
        a._replace(capacity=a.capacity + np.where(a.capacity > 0, 4, 0)),
        a._replace(limit=np.where(open_, a.limit + 2 * MICRO, a.limit)),
        a._replace(deadline=np.minimum(a.deadline + 2, slots)),
        a._replace(budget=a.budget + MICRO),
        a._replace(cap_left=a.cap_left + MICRO),
    ):
        assert yuan(solve_dual(other, 200).bound_ucny) >= before - slack


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_full_coupling_is_bounded_no_lower_than_isolated(seed: int) -> None:
    book = random_book(Random(seed))
    with folder() as f:
        full, isolated = (yuan(solve_dual(arrays(book, f / c, c), 200).bound_ucny) for c in Coupling)
    assert full >= isolated * (1 - TOLERANCE) - 1e-5


@given(seeds, st.integers(2, 1000))
@settings(max_examples=30, deadline=None)
def test_without_vouchers_the_bound_scales_with_money(seed: int, factor: int) -> None:
    """At scaled prices the bound of the scaled book is exactly the scaled bound.

    The solver's own prices scale within its tolerance only, since floats round elsewhere; and shares of scaled
    amounts are cut down elsewhere, so with vouchers nothing scales to the micro-yuan.
    """
    a = random_arrays(seed, programmes=0)
    scaled = a._replace(
        ask=a.ask * factor, carbon=a.carbon * factor, bonus=a.bonus * factor, limit=np.maximum(a.limit * factor, -1)
    )
    prices = some_prices(a, seed)
    times = Prices(prices.capacity * factor, prices.budget, prices.cap)
    assert exact_bound(scaled, times) == factor * exact_bound(a, prices)
    one, many = (yuan(solve_dual(b, 300).bound_ucny) for b in (a, scaled))
    assert abs(many / factor - one) <= TOLERANCE * one + 1e-5


def test_ten_times_the_money_in_the_files_is_ten_times_the_money_in_the_arrays() -> None:
    compared = 0
    for seed in range(30):
        book = random_book(Random(seed), plain=True)
        with folder() as f:
            one, ten = arrays(book, f / "one"), arrays(book.times_ten(), f / "ten")
        for name in ("capacity", "gpus", "slots", "release", "deadline"):
            np.testing.assert_array_equal(getattr(one, name), getattr(ten, name))
        np.testing.assert_array_equal(one.ask * 10, ten.ask)
        np.testing.assert_array_equal(np.where(one.limit > 0, one.limit * 10, one.limit), ten.limit)
        compared += int((one.limit > 0).sum())
    assert compared > 100


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_prices_stay_within_what_a_round_publishes(seed: int) -> None:
    a = random_arrays(seed)
    prices = solve_dual(a, 100).prices
    assert prices.capacity.min() >= 0
    assert (a.ask + prices.capacity).max() <= MAX_PRICE_UCNY
    assert prices.budget.min() >= 0
    assert not prices.budget[~a.limited].any()
    assert prices.cap.min(initial=0) >= 0
    assert not prices.capacity[a.capacity == 0].any()
