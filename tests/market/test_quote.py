"""Quotes against a search that tries every start in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import MICRO
from dujiang.market.amounts import haul
from dujiang.market.arrays import BookArrays
from dujiang.market.quote import Quotes, Tables, best_quotes, fill_quotes, quote_tables

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=150, deadline=None)

Block = tuple[int, int, int, int, int]
"""Total, pool, start, gross, ask."""


def drawn(seed: int, **sizes: int) -> tuple[BookArrays, np.ndarray, Tables]:
    """Draw a book with asks in whole yuan, prices, many of them equal, and what is left of pools and links."""
    rng = np.random.default_rng(seed)
    a = random_arrays(seed, **sizes)
    a = a._replace(ask=a.ask // MICRO * MICRO)
    price = a.ask + rng.choice([0, 0, 500_000, 1_000_000, 1_500_000], a.ask.shape)
    free = np.minimum(a.capacity, rng.choice([0, 2, 4, 8, 12], a.capacity.shape))
    left = a.link_left * rng.integers(0, 2, a.link_left.shape)
    return a, price, quote_tables(price, a.ask, free, left)


def blocks_of(a: BookArrays, price: np.ndarray, tables: Tables, j: int) -> list[Block]:
    """List every start that has room, slot by slot."""
    out = []
    r = a.place[j]
    for p in a.place_pool[a.place_first[r] : a.place_first[r + 1]].tolist():
        d, route = int(a.slots[a.shape[j], p]), a.route[r, p]
        for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
            span = slice(t, t + d)
            if (tables.free[p, span] < a.gpus[j]).any() or (route >= 0 and tables.link_left[route, t] < a.data[j]):
                continue
            gross, ask = (int(a.gpus[j]) * int(rate[p, span].sum()) for rate in (price, a.ask))
            out.append((gross + haul(int(a.data[j]), int(a.tariff[r, p])), p, t, gross, ask))
    return out


def single(a: BookArrays, tables: Tables, j: int) -> Quotes:
    """Quote one order; its duration is given in hours of a pool at speed 1.0 for each pool."""
    r = a.place[j]
    pools = a.place_pool[a.place_first[r] : a.place_first[r + 1]]
    hours = 720_720_000_000  # divisible by every duration here
    speed = hours // a.slots[a.shape[j]].astype(np.int64)
    out = np.empty((6, pools.size), dtype=np.int64)
    order = (int(a.gpus[j]), hours, int(a.release[j]), int(a.deadline[j]), int(a.data[j]))
    sums = (tables.price_sum, tables.ask_sum, tables.free, tables.lowest, tables.link_left)
    fill_quotes(pools, a.tariff[r, pools], a.route[r, pools], speed, *sums, order, out)
    return Quotes(*out)


@given(seeds)
@few
def test_a_quote_names_the_earliest_of_the_cheapest_starts_with_room_in_each_pool(seed: int) -> None:
    a, price, tables = drawn(seed)
    for j in range(a.gpus.size):
        blocks = blocks_of(a, price, tables, j)
        quotes = single(a, tables, j)
        found = [
            (gross + transfer, pool, start, gross, ask)
            for pool, start, _, gross, ask, transfer in zip(*(field.tolist() for field in quotes), strict=True)
            if start >= 0
        ]
        assert found == [min(b for b in blocks if b[1] == p) for p in sorted({b[1] for b in blocks})]
        assert (quotes.slots == a.slots[a.shape[j], quotes.pool]).all()
        assert (quotes.gross[quotes.start < 0] == 0).all()


@given(seeds)
@few
def test_a_batch_finds_the_cheapest_quote_of_each_order_the_first_pool_of_several(seed: int) -> None:
    a, price, tables = drawn(seed, orders=12, pools=5)
    best = best_quotes(a, tables)
    for j in range(a.gpus.size):
        total, p, t, gross, ask = min(blocks_of(a, price, tables, j), default=(0, -1, -1, 0, 0))
        found = tuple(int(field[j]) for field in best)
        assert found == (p, t, gross, ask, total - gross)


def test_the_random_quotes_meet_every_case() -> None:
    """The properties above are worth what they compare: full pools, full links, ties and closed windows all occur."""
    seen = set()
    for seed in range(60):
        a, price, tables = drawn(seed)
        for j in range(a.gpus.size):
            blocks = blocks_of(a, price, tables, j)
            quotes = single(a, tables, j)
            totals = [b[0] for b in blocks]
            at_most = [b for b in blocks if b[0] == min(totals)]
            seen |= {"quoted"} if blocks else {"no room anywhere"}
            seen |= {"tie between pools"} if len({b[1] for b in at_most}) > 1 else set()
            seen |= {"tie between starts"} if len(at_most) > len({b[1] for b in at_most}) else set()
            seen |= {"no room in one"} if (quotes.start < 0).any() and blocks else set()
            seen |= {"transfer"} if (quotes.transfer > 0).any() else set()
            empty = tables._replace(link_left=a.link_left * 0)
            seen |= {"full link"} if len(blocks_of(a, price, empty, j)) < len(blocks) else set()
            for p, t in {(b[1], b[2]) for b in blocks}:
                starts = [b for b in blocks if b[1] == p]
                seen |= {"dearer start, for room"} if len(starts) == 1 and t > a.release[j] else set()
    cases = {"quoted", "no room anywhere", "tie between pools", "tie between starts", "no room in one", "transfer"}
    assert cases | {"full link", "dearer start, for room"} <= seen
