"""The compiled loops give the answers of their slow twins."""

from fractions import Fraction

import numpy as np
import slow
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import prefix
from dujiang.market.kernels import best_responses, exact_surplus, simplex_qp, usage_of
from dujiang.market.primal import Guide, Posted, empty_state, find_block, put, take

seeds = st.integers(0, 2**32 - 1)


def random_prices(a: BookArrays, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole prices [P, T] at or above the ask, and multipliers in ppm."""
    rng = np.random.default_rng([seed, 1])
    price = a.ask + rng.choice([0, 1, MICRO], a.ask.shape) * rng.integers(0, 3, a.ask.shape)
    budget = np.where(a.limited, rng.integers(0, 2 * MICRO, a.budget.size), 0)
    return price, budget, rng.choice([0, MICRO // 3], a.cap_left.size)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_exact_surplus_is_the_best_of_all_blocks(seed: int) -> None:
    a = random_arrays(seed)
    price, budget, cap = random_prices(a, seed)
    whole, rest = exact_surplus(a, prefix(a.ask), prefix(price), budget, cap)
    for j in range(a.gpus.size):
        gains = [slow.surplus(a, price, budget, cap, j, block) for block in slow.blocks(a, price, j)]
        assert int(whole[j]) - Fraction(int(rest[j]), MICRO) == max([Fraction(0), *gains])


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_best_responses_choose_the_first_of_the_best_blocks(seed: int) -> None:
    a = random_arrays(seed)
    price, budget, cap = random_prices(a, seed)
    # floats hold these sums exactly when the multipliers are whole: then even ties must agree
    budget, cap = budget // MICRO * MICRO, cap * 0
    got = best_responses(a, prefix(a.ask), prefix(price.astype(float)), budget / MICRO, cap / MICRO)
    chosen = []
    for j in range(a.gpus.size):
        best = None
        for block in slow.blocks(a, price, j):
            gain = slow.surplus(a, price, budget, cap, j, block)
            if gain > (best[0] if best else 0):
                best = gain, block
        chosen.append(best)
    for j, best in enumerate(chosen):
        expected = (0, -1, -1, -1, 0) if best is None else (best[0], *best[1][:3], best[1].least)
        assert tuple(column[j] for column in got) == expected
    used, budgets, caps = usage_of(a, *got[1:])
    expected_used, expected_budgets, expected_caps = np.zeros(price.shape), np.zeros(a.budget.size), np.zeros(cap.size)
    for j, best in enumerate(chosen):
        if best is None:
            continue
        block = best[1]
        expected_used[block.pool, block.start : block.start + a.slots[j, block.pool]] += a.gpus[j]
        if block.option:
            expected_budgets[block.option] += block.least
            if a.cap[j, block.option] >= 0:
                expected_caps[a.cap[j, block.option]] += block.least
    np.testing.assert_array_equal(used, expected_used)
    np.testing.assert_array_equal(budgets, expected_budgets)
    np.testing.assert_array_equal(caps, expected_caps)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_find_block_takes_the_best_that_fits_what_is_left(seed: int) -> None:
    a = random_arrays(seed)
    price, budget, cap = random_prices(a, seed)
    budget, cap = budget // MICRO * MICRO, cap * 0
    posted = Posted(prefix(price), prefix(a.ask))
    guide = Guide(prefix(price.astype(float)), budget / MICRO, cap / MICRO)
    state, left = empty_state(a), slow.everything(a)
    for j in range(a.gpus.size):
        best = None
        for block in slow.blocks(a, price, j):
            if block.worth <= 0 or slow.after(a, left, j, block) is None:
                continue
            paid = slow.voucher(a, j, block)
            score = block.worth + block.ask - block.price - Fraction(int(budget[block.option]) * paid, MICRO)
            if best is None or score > best[0]:
                best = score, block, paid
        p, t, k, v, score = find_block(a, state, guide, posted, j)
        if best is None:
            assert p == -1
            continue
        assert (p, t, k, v, score) == (*best[1][:3], best[2], best[0])
        rest = slow.after(a, left, j, best[1])
        assert rest is not None
        left = rest
        put(a, state, posted, j, p, t, k, v)
        assert int(state.worth[j]) == best[1].worth
        assert {cell: int(state.free[cell]) for cell in left.free} == left.free
        assert state.budget.tolist() == [left.budget[k] for k in range(a.budget.size)]
        assert state.cap.tolist() == [left.cap[c] for c in range(a.cap_left.size)]


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_taking_back_every_award_restores_the_empty_state(seed: int) -> None:
    a = random_arrays(seed)
    posted = Posted(prefix(a.ask), prefix(a.ask))
    guide = Guide(prefix(a.ask.astype(float)), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    state = empty_state(a)
    for j in range(a.gpus.size):
        p, t, k, v, _ = find_block(a, state, guide, posted, j)
        if p >= 0:
            put(a, state, posted, j, p, t, k, v)
    for j in np.flatnonzero(state.pool >= 0):
        take(a, state, int(j))
    for left, empty in zip(state, empty_state(a), strict=True):
        np.testing.assert_array_equal(left, empty)


@given(seeds, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_simplex_qp_reaches_the_optimality_conditions(seed: int, size: int) -> None:
    """At the optimum of a concave programme over the simplex no entry in use has a smaller gradient than any other."""
    rng = np.random.default_rng(seed)
    slopes, b = rng.normal(size=(size, 4)), rng.normal(size=size)
    h = slopes @ slopes.T
    begin = np.zeros(size)
    begin[0] = 1.0
    x = simplex_qp(h, b - h @ begin, begin, 20_000)
    gradient = b - h @ x
    assert x.min() >= 0.0
    assert abs(x.sum() - 1.0) < 1e-9
    assert gradient.max() - gradient[x > 1e-9].min() < 1e-5
    value = b @ x - 0.5 * x @ h @ x
    others = rng.dirichlet(np.ones(size), 200)
    reference = others @ b - 0.5 * np.einsum("ni,ij,nj->n", others, h, others)
    assert value >= reference.max() - 1e-9
