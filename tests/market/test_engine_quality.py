"""How good the awards are: against the integer programme that HiGHS solves to the end, and against simple rules."""

import numpy as np
import slow
import time_indexed
from random_books import random_arrays

from dujiang.market.dual import prefix
from dujiang.market.engine import Cleared, Effort, solve
from dujiang.market.primal import Guide, Posted, empty_state, place

EFFORT = Effort(moves_min=2000, moves_per_order=50)
BOOKS = 24


def no_clock() -> float:
    return 0.0


def middling(seed: int) -> tuple[slow.BookArrays, Cleared]:
    """Draw and clear a crowded book of 15 to 40 orders without vouchers."""
    orders = 15 + seed % 26
    a = random_arrays(seed, orders=orders, pools=3, slots=16, programmes=0)
    return a, solve(a, EFFORT, no_clock)


def test_the_engine_is_close_to_the_integer_optimum_and_the_bound_above_it() -> None:
    """Engine <= optimum <= bound; of the optimum at least 95 % on each of these books and 99.5 % on average."""
    shares = []
    for seed in range(BOOKS):
        a, cleared = middling(seed)
        optimum = time_indexed.solve(a, integer=True, seconds=60)
        assert optimum.optimal
        welfare, bound = int(cleared.state.worth.sum()) / 1e6, cleared.bound_ucny / 1e6
        slack = 1e-6 * optimum.value + 1e-5
        assert welfare <= optimum.value + slack
        assert optimum.value <= bound + slack
        shares.append(welfare / optimum.value if optimum.value else 1.0)
    assert min(shares) >= 0.95
    assert np.mean(shares) >= 0.995


def test_tiny_books_with_vouchers_are_nearly_always_cleared_to_the_optimum() -> None:
    """Against enumeration with vouchers at the published prices: 95 % at least, and mostly all of it."""
    shares = []
    for seed in range(80):
        a = random_arrays(seed, orders=5, pools=2, slots=6)
        cleared = solve(a, Effort(moves_min=500), no_clock)
        best = slow.best_welfare(a, a.ask + cleared.prices.capacity)
        shares.append(int(cleared.state.worth.sum()) / best if best else 1.0)
    assert min(shares) >= 0.95
    assert np.mean(np.array(shares) == 1.0) >= 0.9


def test_first_fit_and_greedy_stay_below_the_bound_and_mostly_below_the_engine() -> None:
    wins = 0
    for seed in range(BOOKS):
        a, cleared = middling(seed)
        price = a.ask + cleared.prices.capacity
        greedy = empty_state(a)
        zeros = np.zeros(a.budget.size), np.zeros(a.cap_left.size)
        rank = np.argsort(-a.limit.max(axis=(1, 2)) / a.gpus, kind="stable")
        place(a, greedy, Guide(prefix(a.ask.astype(float)), *zeros), Posted(prefix(price), prefix(a.ask)), rank, 0.0)
        simple = max(slow.first_fit(a, price), int(greedy.worth.sum()))
        assert simple <= cleared.bound_ucny
        wins += simple <= int(cleared.state.worth.sum())
    assert wins >= BOOKS - 1
