"""How good the awards are: against the integer programme that HiGHS solves to the end, and against simple rules."""

import numpy as np
import pytest
import time_indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import MICRO
from dujiang.market.engine import Effort, gap_of, solve
from dujiang.market.simple_rules import Rule, allocate
from dujiang.market.state import posted_prices
from dujiang.market.turns import in_turn

EFFORT = Effort(moves=4000)
BOOKS = 16


def no_clock() -> float:
    return 0.0


def test_the_engine_is_close_to_the_integer_optimum_and_the_bound_above_it() -> None:
    """Engine <= optimum <= bound on crowded books without vouchers; of the optimum at least 99 % on average."""
    shares = []
    for seed in range(BOOKS):
        a = random_arrays(seed, orders=15 + seed % 26, pools=3, slots=16, programmes=0)
        cleared = solve(a, EFFORT, no_clock)
        best = time_indexed.solve(a, integer=True)
        welfare, bound = int(cleared.state.worth.sum()) / MICRO, cleared.bound_ucny / MICRO
        assert welfare <= best.value * (1 + 1e-6) + 1e-6
        assert best.value <= bound * (1 + 1e-6) + 1e-6
        shares.append(welfare / best.value if best.value else 1.0)
    assert min(shares) >= 0.95
    assert np.mean(shares) >= 0.99


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_no_simple_rule_is_better_at_the_same_prices(seed: int) -> None:
    a = random_arrays(seed, orders=4 + seed % 25, pools=3, slots=16)
    cleared = solve(a, EFFORT, no_clock)
    posted = posted_prices(a, cleared.prices.capacity)
    welfare = int(cleared.state.worth.sum())
    assert welfare >= max(int(allocate(a, posted, rule).worth.sum()) for rule in Rule)
    assert gap_of(cleared.bound_ucny, welfare) >= 0
    assert welfare <= cleared.bound_at_prices_ucny <= cleared.bound_ucny


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_the_same_book_is_cleared_the_same_and_a_warm_start_is_no_worse_a_bound(seed: int) -> None:
    a = random_arrays(seed, orders=20, pools=3, slots=16)
    one, two = (solve(a, EFFORT, no_clock) for _ in range(2))
    for name in ("pool", "start", "option", "voucher"):
        np.testing.assert_array_equal(getattr(one.state, name), getattr(two.state, name))
    assert one.bound_ucny == two.bound_ucny
    warm = solve(a, EFFORT, no_clock, warm=one.prices)
    assert warm.bound_ucny <= one.bound_ucny * (1 + 1e-3) + 1


@pytest.mark.parametrize("seed", range(8))
def test_like_orders_take_turns_and_nothing_else_changes(seed: int) -> None:
    """Every order twice: of each pair the first row is served first, and the sums stay as they were."""
    a = random_arrays(seed, orders=12, pools=2, slots=12)
    twice = np.repeat(np.arange(a.gpus.size), 2)
    per_order = ("gpus", "release", "deadline", "limit", "data", "bonus", "shape", "place", "term", "room", "cap")
    a = a._replace(
        **{name: np.ascontiguousarray(getattr(a, name)[twice]) for name in per_order},
        contract=np.arange(twice.size, dtype=np.int32),
    )
    s = solve(a, EFFORT, no_clock).state
    if not (s.pool >= 0).any():
        pytest.skip("nobody can be served in this book")
    first, second = s.pool[::2] >= 0, s.pool[1::2] >= 0
    assert not (second & ~first).any()
    both = first & second
    assert (s.start[::2][both] <= s.start[1::2][both]).all()
    before = [array.copy() for array in s]
    in_turn(a, s)
    for old, new in zip(before, s, strict=True):
        np.testing.assert_array_equal(old, new)
    used = np.zeros_like(s.used)
    for j in np.flatnonzero(s.option > 0):
        for k in a.parts[s.option[j]]:
            if k >= 0:
                used[a.contract[j], k] = True
    np.testing.assert_array_equal(used, s.used)
