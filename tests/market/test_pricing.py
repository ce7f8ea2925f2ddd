"""The pricing pass gives the answers of its slow twin: exactly at whole prices, and as floats where they are exact."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numba
import numpy as np
import pytest
import slow
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays, some_prices

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import Prices
from dujiang.market.keys import GENERAL, PLAIN, WITH_DATA, build_keys, sample_keys, take_keys, voucher_keys
from dujiang.market.pricing import Pricing, best_responses, prefix

seeds = st.integers(0, 2**32 - 1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    yield
    numba.set_num_threads(before)


def exact(a: BookArrays, prices: Prices, *, paid: bool) -> tuple[np.ndarray, np.ndarray]:
    budget, cap = (prices.budget_paid, prices.cap_paid) if paid else (prices.budget, prices.cap)
    return Pricing(a, build_keys(a)).surplus_of_each(prices.capacity, prices.link, budget, cap, paid=paid)


@given(seeds, st.integers(0, 3), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_exact_surplus_is_that_of_the_best_of_all_blocks(seed: int, programmes: int, paid: bool) -> None:
    a = random_arrays(seed, programmes=programmes)
    if seed % 3 == 0:  # where a slot costs nothing there is no voucher, so the cheapest start is not the best
        a = a._replace(ask=np.zeros_like(a.ask))
    prices = some_prices(a, seed)
    whole, rest = exact(a, prices, paid=paid)
    for j in range(a.gpus.size):
        assert int(whole[j]) - Fraction(int(rest[j]), MICRO) == slow.best_block(a, prices, j, paid=paid)[0]


@given(seeds, st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_floats_choose_a_best_block_and_add_up_what_it_draws(seed: int, programmes: int) -> None:
    """Vouchers are floats there, so the choice may be off by what floats are: it gains as much as the best."""
    a = random_arrays(seed, programmes=programmes)
    prices = some_prices(a, seed)
    chosen = best_responses(a, build_keys(a), *prices.point())
    demand = Pricing(a, build_keys(a)).demand(*prices.point())
    gpus, link = np.zeros(a.capacity.shape, dtype=int), np.zeros(a.link_left.shape, dtype=int)
    budget, cap = np.zeros(a.budget.size, dtype=int), np.zeros(a.cap_left.size, dtype=int)
    for j in range(a.gpus.size):
        value, _ = slow.best_block(a, prices, j)
        assert abs(chosen.surplus[j] - float(value)) <= 10.0
        if chosen.pool[j] < 0:
            continue
        found = (chosen.pool[j], chosen.start[j], chosen.option[j])
        block = next(b for b in slow.blocks(a, a.ask + prices.capacity, j) if b[:3] == found)
        gained = slow.gain(a, prices, j, block, paid=False)
        assert gained is not None
        assert abs(float(gained - value)) <= 10.0
        gpus[block.pool, block.start : block.start + a.slots[a.shape[j], block.pool]] += a.gpus[j]
        if slow.route_of(a, j, block.pool) >= 0:
            link[slow.route_of(a, j, block.pool), block.start] += a.data[j]
        amounts = slow.least_parts(a, j, block.pool, block.option, block.ask)
        for amount, k in zip(amounts, slow.programmes(a, block.option), strict=True):
            budget[k] += amount
            if a.cap[j, k] >= 0:
                cap[a.cap[j, k]] += amount
    for got, expected in zip(demand[1:], (gpus, link, budget, cap), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert abs(demand.surplus - chosen.surplus.sum()) <= a.gpus.size


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_of_equal_blocks_the_earliest_start_in_the_first_pool_is_chosen(seed: int) -> None:
    """Without vouchers floats hold everything exactly here, so even ties must agree."""
    a = random_arrays(seed, programmes=0)
    rng = np.random.default_rng([seed, 3])
    a = a._replace(
        ask=rng.integers(1, 3, a.ask.shape) * MICRO, carbon=a.carbon * 0, tariff=a.tariff // 10**5 * 10**5, data=a.data
    )
    prices = some_prices(a, seed)
    prices = Prices(prices.capacity // MICRO * MICRO, prices.link * 0, *(prices.budget,) * 1, *(prices.cap,) * 3)
    chosen = best_responses(a, build_keys(a), *prices.point())
    for j in range(a.gpus.size):
        _, block = slow.best_block(a, prices, j)
        expected = (-1, -1, 0) if block is None else block[:3]
        assert (chosen.pool[j], chosen.start[j], chosen.option[j]) == expected


@given(seeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_threads_and_the_set_of_keys_change_nothing(seed: int, paid: bool) -> None:
    a = random_arrays(seed, orders=40, pools=5, slots=14)
    prices = some_prices(a, seed)
    posted = a.ask + prices.capacity if paid else None
    keys = build_keys(a)
    with threads(1):
        one = Pricing(a, keys).demand(*prices.point(), posted=posted)
        exact_one = exact(a, prices, paid=paid)
    with threads(2):
        two = Pricing(a, keys).demand(*prices.point(), posted=posted)
        np.testing.assert_array_equal(exact_one, exact(a, prices, paid=paid))
    pieces = [Pricing(a, part).demand(*prices.point(), posted=posted) for part in voucher_keys(keys, a)]
    for x, y, *parts in zip(one, two, *pieces, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(x, sum(parts))


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_changes_nothing(seed: int) -> None:
    a = random_arrays(seed, orders=20)
    prices = some_prices(a, seed)
    order = np.random.default_rng(seed).permutation(a.gpus.size)
    of_orders = ("gpus", "release", "deadline", "limit", "data", "bonus", "shape", "place", "contract", "term", "room")
    other = a._replace(**{name: getattr(a, name)[order] for name in (*of_orders, "cap")})
    one, two = (Pricing(b, build_keys(b)).demand(*prices.point()) for b in (a, other))
    for x, y in zip(one, two, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(exact(a, prices, paid=True), exact(other, prices, paid=True), strict=True):
        np.testing.assert_array_equal(x[order], y)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_what_must_fit_may_be_what_other_awards_leave(seed: int) -> None:
    a = random_arrays(seed, programmes=1)
    prices = some_prices(a, seed)
    left = np.maximum(a.capacity - np.random.default_rng(seed).integers(0, 6, a.capacity.shape), 0)
    rows = np.arange(a.gpus.size) % 2 == 0
    got = best_responses(a, build_keys(a, rows=rows, capacity=left), *prices.point())
    expected = best_responses(a._replace(capacity=left), build_keys(a._replace(capacity=left)), *prices.point())
    for x, y in zip(got[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(x[rows], y[rows])
    assert (got.pool[~rows] == -1).all()


def test_the_random_arrays_have_every_kind_of_order() -> None:
    kinds = [build_keys(random_arrays(seed, programmes=seed % 3)).kind for seed in range(20)]
    assert set(np.concatenate(kinds).tolist()) == {PLAIN, WITH_DATA, GENERAL}


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_keys_are_sorted_and_a_sample_is_a_part_of_them(seed: int) -> None:
    a = random_arrays(seed, orders=60, pools=4, slots=12)
    keys = build_keys(a)
    fields = np.stack([keys.fit, keys.shape, keys.release, keys.deadline, keys.gate, keys.row])
    assert (np.lexsort(fields[::-1]) == np.arange(keys.row.size)).all()
    assert sorted(keys.row.tolist()) == list(range(a.gpus.size))
    some = sample_keys(keys, 20)
    assert some.row.size == 20
    assert set(some.row.tolist()) <= set(keys.row.tolist())
    assert sample_keys(keys, 1000).row.size == a.gpus.size
    empty = take_keys(keys, np.zeros(keys.row.size, dtype=bool))
    assert Pricing(a, empty).demand(*some_prices(a, seed).point()).surplus == 0


@pytest.mark.parametrize("orders", [0, 1])
def test_empty_and_single_books_can_be_priced(orders: int) -> None:
    a = random_arrays(7, orders=max(orders, 1))
    rows = np.arange(a.gpus.size) < orders
    keys = build_keys(a, rows=rows)
    prices = some_prices(a, 7)
    assert Pricing(a, keys).demand(*prices.point()).surplus >= 0
    assert keys.row.size == orders


def test_prefix_sums_begin_with_zero() -> None:
    np.testing.assert_array_equal(prefix(np.array([[1, 2, 3], [4, 5, 6]])), [[0, 1, 3, 6], [0, 4, 9, 15]])
