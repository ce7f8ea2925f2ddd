"""Admission at posted prices against a plain replay that tries every block of every order in turn."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_books import random_arrays

from dujiang.core.money import MICRO
from dujiang.market.admission import admit
from dujiang.market.amounts import bearable, haul, pay
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import Prices
from dujiang.market.engine import Cleared
from dujiang.market.quote import best_quotes, quote_tables

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=150, deadline=None)


def no_clock() -> float:
    return 0.0


def posted(a: BookArrays, seed: int) -> Prices:
    """Draw prices, most of them low enough for somebody, and multipliers."""
    rng = np.random.default_rng(seed)
    rates = (rng.integers(0, 2 * MICRO, size) for size in (a.budget.size, a.cap_left.size) * 2)
    return Prices(
        rng.choice([0, 0, 400_000, 1_700_000, 6_000_000], a.ask.shape),
        rng.integers(0, MICRO, a.link_left.shape),
        *rates,
    )


class Award(NamedTuple):
    pool: int
    start: int
    option: int
    voucher: tuple[int, ...]


class Ledger:
    """What is left while orders are admitted one after the other."""

    def __init__(self, a: BookArrays, prices: Prices) -> None:
        self.a, self.price = a, a.ask + prices.capacity
        self.free, self.link = a.capacity.copy(), a.link_left.copy()
        self.budget, self.cap = a.budget.copy(), a.cap_left.copy()
        self.contracts: set[tuple[int, int]] = set()

    def vouchers(self, j: int, p: int, o: int, gross: int) -> list[int] | None:
        """Return what the parts of an option pay; None if the programmes cannot or need not."""
        a = self.a
        out = np.zeros(a.parts.shape[1], dtype=np.int64)
        pay(a, j, p, o, gross, out)
        for k, amount in zip(a.parts[o].tolist(), out.tolist(), strict=True):
            if k < 0:
                continue
            c = a.cap[j, k]
            short = amount > self.budget[k] or (c >= 0 and amount > self.cap[c])
            if amount < max(1, a.minimum[k]) or short or (int(a.contract[j]), k) in self.contracts:
                return None
        return out.tolist()

    def best(self, j: int) -> Award | None:
        """Return the block with the greatest surplus of those that the order can pay, the first of equals."""
        a, found, most = self.a, None, -1
        r, gpus = a.place[j], int(a.gpus[j])
        for p in a.place_pool[a.place_first[r] : a.place_first[r + 1]].tolist():
            d, route = int(a.slots[a.shape[j], p]), int(a.route[r, p])
            for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
                full = (self.free[p, t : t + d] < gpus).any()
                if full or (route >= 0 and self.link[route, t] < a.data[j]):
                    continue
                price = gpus * int(self.price[p, t : t + d].sum())
                for o in range(a.parts.shape[0]):
                    limit = int(bearable(a, j, p, o))
                    surplus = limit - price - int(a.carbon[p]) * gpus * d
                    if limit < 0 or surplus <= most:
                        continue
                    vouchers = self.vouchers(j, p, o, price)
                    if vouchers is not None:
                        found, most = Award(p, t, o, tuple(vouchers)), surplus
        return found

    def enter(self, j: int, award: Award) -> None:
        a, (p, t, o, vouchers) = self.a, award
        self.free[p, t : t + a.slots[a.shape[j], p]] -= a.gpus[j]
        route = a.route[a.place[j], p]
        if route >= 0:
            self.link[route, t] -= a.data[j]
        for k, amount in zip(a.parts[o].tolist(), vouchers, strict=True):
            if k >= 0:
                self.budget[k] -= amount
                self.contracts.add((int(a.contract[j]), k))
                if a.cap[j, k] >= 0:
                    self.cap[a.cap[j, k]] -= amount


def replayed(a: BookArrays, prices: Prices) -> tuple[dict[int, Award], Ledger]:
    ledger, awards = Ledger(a, prices), {}
    for j in range(a.gpus.size):
        award = ledger.best(j)
        if award is not None:
            awards[j] = award
            ledger.enter(j, award)
    return awards, ledger


def awards_of(cleared: Cleared) -> dict[int, Award]:
    s = cleared.state
    return {
        j: Award(int(s.pool[j]), int(s.start[j]), int(s.option[j]), tuple(s.voucher[j].tolist()))
        for j in np.flatnonzero(s.pool >= 0).tolist()
    }


def drawn(seed: int) -> tuple[BookArrays, Prices]:
    a = random_arrays(seed, orders=12)
    return a, posted(a, seed)


@given(seeds)
@few
def test_each_order_in_turn_gets_the_best_block_that_it_can_pay_and_that_is_left(seed: int) -> None:
    a, prices = drawn(seed)
    cleared = admit(a, prices, no_clock)
    expected, ledger = replayed(a, prices)
    assert awards_of(cleared) == expected
    left = (cleared.state.free, cleared.state.link, cleared.state.budget, cleared.state.cap)
    for ours, theirs in zip(left, (ledger.free, ledger.link, ledger.budget, ledger.cap), strict=True):
        assert (ours == theirs).all()
    assert min((array.min(initial=0) for array in left), default=0) >= 0


@given(seeds)
@few
def test_every_award_pays_its_price_and_no_allocation_passes_the_bounds(seed: int) -> None:
    a, prices = drawn(seed)
    cleared = admit(a, prices, no_clock)
    welfare = 0
    for j, (p, t, o, vouchers) in awards_of(cleared).items():
        span = slice(t, t + int(a.slots[a.shape[j], p]))
        price, ask = (int(a.gpus[j]) * int(rate[p, span].sum()) for rate in (a.ask + prices.capacity, a.ask))
        transfer = haul(int(a.data[j]), int(a.tariff[a.place[j], p]))
        assert price + transfer - sum(vouchers) <= a.limit[j]
        carbon = int(a.carbon[p]) * int(a.gpus[j]) * (span.stop - span.start)
        welfare += bearable(a, j, p, o) - ask - carbon + int(a.bonus[j])
    assert welfare == cleared.state.worth.sum() <= cleared.bound_at_prices_ucny <= cleared.bound_ucny
    assert (cleared.prices.capacity == prices.capacity).all()
    assert (cleared.prices.link == prices.link).all()
    assert not cleared.cut_short


@given(seeds)
@few
def test_who_can_pay_what_a_quote_says_is_admitted(seed: int) -> None:
    a, prices = drawn(seed)
    tables = quote_tables(a.ask + prices.capacity, a.ask, a.capacity, a.link_left)
    best = best_quotes(a, tables)
    total = best.gross + best.transfer
    # one arrival alone, without vouchers and carbon term; its limit is the quote, or a micro-yuan less
    for j in np.flatnonzero((best.pool >= 0) & (best.gross > 0)).tolist():
        for short in (0, 1):
            limit = np.where(np.arange(a.gpus.size) == j, total - short, 0)
            alone = a._replace(limit=limit, carbon=a.carbon * 0, allowed=a.allowed & (np.arange(len(a.parts)) == 0))
            s = admit(alone, prices, no_clock).state
            assert (s.pool >= 0).tolist() == [i == j and not short for i in range(a.gpus.size)]
            assert short or (s.pool[j], s.start[j]) == (best.pool[j], best.start[j])


def test_the_random_admissions_meet_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(80):
        a, prices = drawn(seed)
        awards, ledger = replayed(a, prices)
        alone = {j: Ledger(a, prices).best(j) for j in range(a.gpus.size)}
        seen["refused at these prices"] += sum(award is None for award in alone.values())
        seen["somebody was before"] += sum(award is not None and awards.get(j) != award for j, award in alone.items())
        seen["nothing left"] += sum(award is not None and j not in awards for j, award in alone.items())
        seen["several vouchers"] += sum((a.parts[award.option] >= 0).sum() > 1 for award in awards.values())
        seen["voucher"] += sum(award.option > 0 for award in awards.values())
        seen["contract used"] += bool(ledger.contracts)
        seen["carbon"] += bool(a.carbon.any() and awards)
        seen["bonus"] += bool(a.bonus.any() and awards)
        seen["link"] += bool((ledger.link < a.link_left).any())
    assert all(count > 0 for count in seen.values()), seen
