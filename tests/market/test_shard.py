"""Passes over stretches of the orders, added up, are one pass over all of them, bit for bit. No Ray is needed here."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays, some_prices

from dujiang.market import dual as dual_module
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.dual import solve_dual
from dujiang.market.engine import Effort, solve
from dujiang.market.keys import Float, Keys, build_keys, sample_keys, take_keys, voucher_keys
from dujiang.market.pricing import Demand, Pricing
from dujiang.market.shard import Frame, Shard, added, blocks, frame_of, positions_in, stretches, taken_from

seeds = st.integers(0, 2**32 - 1)
FEW = 300
"""Bytes of a block: an order or two."""


def frozen(record: Frame) -> Frame:
    """Return a frame as it arrives elsewhere: arrays that cannot be written."""
    for part in record:
        for array in part:
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
    return record


class Sharded:
    """A pricer made of shards in this process."""

    def __init__(self, a: BookArrays, whole: Keys, part: Keys, workers: int) -> None:
        self.shards = []
        positions = positions_in(part, whole, a.gpus.size)
        for stretch in stretches(whole.row.size, workers):
            shard, at = Shard(frozen(frame_of(a, whole)), stretch.end - stretch.begin), 0
            for block in blocks(a, whole, stretch, FEW):
                shard.fill(at, block)
                at += block.keys[0].size
            assert at == stretch.end - stretch.begin
            inside = positions[(positions >= stretch.begin) & (positions < stretch.end)]
            shard.take(0, inside - stretch.begin)
            self.shards.append(shard)

    def demand(self, capacity: Float, link: Float, budget: Float, cap: Float, *, posted: Int | None = None) -> Demand:
        return added([shard.demand(0, capacity, link, budget, cap, posted) for shard in self.shards])

    def whole_surplus(self, *prices: Int, paid: bool) -> tuple[int, int]:
        whole, rest = zip(*(shard.whole_surplus(0, *prices, paid) for shard in self.shards), strict=True)
        return sum(whole), sum(rest)


def sharded(workers: int, asked: list[int] | None = None) -> Callable[[BookArrays, Keys], Sharded]:
    """Return what makes such pricers; the first keys that it is asked for are those of the book."""
    whole: list[Keys] = []

    def pricer(a: BookArrays, keys: Keys) -> Sharded:
        whole.append(keys)
        if asked is not None:
            asked.append(keys.row.size)
        return Sharded(a, whole[0], keys, workers)

    return pricer


@given(seeds, st.integers(0, 3), st.integers(1, 7), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_sums_of_all_stretches_are_those_of_one_pass(seed: int, programmes: int, workers: int, paid: bool) -> None:
    a = random_arrays(seed, orders=25, programmes=programmes)
    prices, keys = some_prices(a, seed), build_keys(a)
    posted = a.ask + prices.capacity if paid else None
    rates = (prices.budget_paid, prices.cap_paid) if paid else (prices.budget, prices.cap)
    for part in (keys, *voucher_keys(keys, a), sample_keys(keys, 7)):
        one, many = Pricing(a, part), Sharded(a, keys, part, workers)
        for x, y in zip(
            one.demand(*prices.point(), posted=posted), many.demand(*prices.point(), posted=posted), strict=True
        ):
            np.testing.assert_array_equal(x, y)
            assert type(x) is type(y)
        args = prices.capacity, prices.link, *rates
        assert one.whole_surplus(*args, paid=paid) == many.whole_surplus(*args, paid=paid)


@given(st.integers(0, 50), st.integers(1, 9))
def test_stretches_cover_every_order_once(orders: int, workers: int) -> None:
    cut = stretches(orders, workers)
    assert len(cut) == workers
    assert [n for s in cut for n in range(s.begin, s.end)] == list(range(orders))


def test_the_engine_clears_alike_with_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """With vouchers and caps, and a sample: every kind of keys that the price search asks for."""
    monkeypatch.setattr(dual_module, "SAMPLES", ((40, 20), (50, 10)))
    a = random_arrays(11, orders=200, pools=5, slots=24, programmes=3)
    effort = Effort(passes=25, moves=400)
    asked: list[int] = []
    local = solve(a, effort, lambda: 0.0)
    spread = solve(a, effort, lambda: 0.0, pricers=sharded(3, asked))
    assert {40, 50, 200} < set(asked)
    assert spread.bound_ucny == local.bound_ucny
    assert spread.bound_at_prices_ucny == local.bound_at_prices_ucny
    for field in dataclasses.fields(local.prices):
        np.testing.assert_array_equal(getattr(spread.prices, field.name), getattr(local.prices, field.name))
    for x, y in zip(spread.state, local.state, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_frame_holds_nothing_of_single_orders() -> None:
    """A field with a row for each order that a shard did not know would be sent to all, and be looked up wrongly."""
    a = random_arrays(2, orders=101)
    assert len({*(array.shape[:1] for array in a)} - {(101,)}) > 3
    for record in frame_of(a, build_keys(a)):
        assert not [array for array in record if isinstance(array, np.ndarray) and array.shape[:1] == (101,)]


def test_what_was_taken_from_a_book_is_known() -> None:
    a = random_arrays(3)
    whole, some = build_keys(a), np.array([1, 4])
    assert taken_from(whole, whole)
    assert taken_from(take_keys(whole, some), whole)
    assert not taken_from(build_keys(a), whole)
    np.testing.assert_array_equal(positions_in(take_keys(whole, some), whole, a.gpus.size), some)


def test_the_search_hands_every_pass_to_the_pricers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it makes passes of its own, or a book past one machine would still be priced there."""
    a = random_arrays(5, orders=40, programmes=2)
    pricers = sharded(2)
    keys = build_keys(a)
    expected = solve_dual(a, keys, 10)
    built = pricers(a, keys)  # the shards below use `Pricing` through `shard`, the search must not
    assert built.shards
    monkeypatch.delattr(dual_module, "Pricing")
    assert solve_dual(a, keys, 10, pricers=pricers).bound_ucny == expected.bound_ucny
