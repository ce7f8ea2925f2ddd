"""Prices of one round at the slots of another: by the hour that a slot stands for, else by week, else by day."""

from dataclasses import fields, replace
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_rules import cleared
from random_books import folder, random_book

from dujiang.exchange.clearing import Round
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.dual import Prices
from dujiang.market.last_prices import last_prices, source_slots
from dujiang.market.outcome import Coupling, Outcome

randoms = st.integers(0, 2**32 - 1).map(Random)


@pytest.mark.parametrize(
    "slot, hours, earlier, source",
    [
        (5, 0, 168, 5),
        (5, 3, 168, 8),
        (160, 10, 168, 2),  # one past the end: a week back
        (0, 400, 168, 64),  # two weeks back
        (5, 40, 44, 21),  # too short for a week: a day back
        (5, 90, 44, 23),
        (3, 40, 20, 19),  # shorter than a day: the last
        (0, -3, 168, 165),  # before the beginning, likewise
        (0, -3, 44, 21),
        (0, -3, 20, 0),
    ],
)
def test_the_slot_that_stands_for_another(slot: int, hours: int, earlier: int, source: int) -> None:
    assert source_slots(slot + 1, hours, earlier)[slot] == source


@given(st.integers(1, 60), st.integers(-500, 500), st.integers(1, 400))
@settings(max_examples=300, deadline=None)
def test_every_slot_has_one_at_the_same_hour_wherever_there_is_any(count: int, hours: int, earlier: int) -> None:
    source = source_slots(count, hours, earlier)
    assert ((source >= 0) & (source < earlier)).all()
    for slot, found in enumerate(source.tolist()):
        apart = slot + hours - found
        if any((slot + hours - t) % 168 == 0 for t in range(earlier)):
            assert apart % 168 == 0
        elif earlier >= 24:
            assert apart % 24 == 0
        if 0 <= slot + hours < earlier:
            assert apart == 0


def carried(round_: Round, outcome: Outcome, hours: int) -> tuple[BookArrays, Prices]:
    a = book_arrays(round_.book, round_.terms, Coupling.FULL)
    return a, last_prices(outcome, hours, round_.book, round_.terms, a)


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_the_same_book_gets_back_what_was_published(rng: Random) -> None:
    with folder() as place:
        round_, outcome, _ = cleared(random_book(rng), place / "book")
    a, prices = carried(round_, outcome, 0)
    published = outcome.prices["ucny_per_gpu_hour"].to_numpy().reshape(a.ask.shape)
    assert (a.ask + prices.capacity == published).all()
    assert prices.link.ravel().tolist() == outcome.link_prices["ucny_per_gb"].to_list()
    for field in fields(prices):  # of the one type for which the loops are compiled
        array = getattr(prices, field.name)
        assert (array.dtype, array.flags.c_contiguous, array.flags.writeable) == (np.int64, True, True), field.name
    terms = round_.terms
    rates = {
        (row[0], row[1]): row[2:]
        for row in outcome.multipliers.select(
            "programme_id", "enterprise_id", "multiplier_ppm", "multiplier_paid_ppm"
        ).iter_rows()
    }
    for k, name in enumerate(terms.programme_ids):
        assert (prices.budget[k], prices.budget_paid[k]) == rates.get((name, None), (0, 0))
    for c, (k, name) in enumerate(zip(terms.cap_programme.tolist(), terms.cap_enterprise, strict=True)):
        assert (prices.cap[c], prices.cap_paid[c]) == rates.get((terms.programme_ids[k], name), (0, 0))


def test_a_price_is_never_below_the_ask_and_what_was_not_there_begins_at_nothing() -> None:
    with folder() as place:
        round_, outcome, _ = cleared(random_book(Random(1)), place / "book")
    first = round_.book.pools["pool_id"][0]
    other = outcome.prices.filter(pl.col("pool_id") != first).with_columns(ucny_per_gpu_hour=pl.lit(-5, pl.Int64))
    a, prices = carried(round_, replace(outcome, prices=other), 7)
    assert not prices.capacity.any()
    high = outcome.prices.with_columns(ucny_per_gpu_hour=pl.lit(2**62, pl.Int64))
    a, prices = carried(round_, replace(outcome, prices=high), 7)
    assert (a.ask + prices.capacity == 10**10).all()
