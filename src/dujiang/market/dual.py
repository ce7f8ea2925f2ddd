"""Prices from the Lagrangian dual: multipliers of capacity, links, budgets and caps, and the bounds that they prove.

The problem. With a price on every pool and slot the orders part company: each buys the block that pays it most. The
dual function is the value of all capacity, links, budgets and caps at their multipliers plus the sum of the orders'
surplus; it is convex and piecewise linear, any non-negative point is an upper bound on the welfare of any allocation,
and its least value is the best bound of this kind. Its subgradient at a point is what is free less what the orders
would buy (`pricing`).

Worked case. One pool of 8 accelerators in one slot, ask 1 yuan; three orders for 8 with limits of 24, 40 and 80 yuan.
At a multiplier of 4 (price 5) the order with 80 gains 40 and the one with 40 is indifferent: the dual is
8 x 4 + 0 + 40 = 72, the welfare of serving the one with 80 is 80 - 8 = 72: gap zero.

The choice. A subgradient step zigzags on this function; a proximal bundle (`bundle`) does not. Its metric scales each
multiplier by its usual size over its own supply. A large book is solved on a sample first, every n-th order in pricing
order counted n times: that costs a fraction of a pass and leaves a few passes over all orders.

Two bounds. Vouchers draw on budgets and caps, but what they are depends on payments. Counted with the least that they
can be, the bound holds for every allocation, whatever it pays. Counted as paid at the published prices, it holds for
every allocation that pays by the rule at these prices, and is tighter; it has multipliers of its own for budgets and
caps, since at given prices of capacity it is convex in them.

Left out. The rule that a contract uses a programme once: without it there are more allocations, so the bounds stay
valid.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.arrays import MAX_PRICE_UCNY, BookArrays, Int
from dujiang.market.descent import FULL_WEIGHT, WARM_WEIGHT, Descent, descend
from dujiang.market.keys import Float, Keys, sample_keys, voucher_keys
from dujiang.market.pricing import Pricers, Pricing

SAMPLES = ((20_000, 120), (140_000, 25))
"""Orders of the samples on which a large book is solved first, and most passes over each."""
FINISH = 20
"""Most passes over all orders after samples; the prices of a sample are that good."""
NEAR, _NEAR_ENOUGH = 8, 0.002
"""Passes from given prices after which a large book goes on to samples, unless those lowered the bound by no more."""
REFINE = 15
"""Most passes of a search that begins at the prices just found, only counting vouchers another way."""
_SAMPLED = 0.5
"""A sample is worth its while up to this share of the orders; the second one only up to half of that."""
MAX_RATE_PPM = 100 * MICRO
"""Highest multiplier of a budget or cap: a hundred yuan of welfare for a yuan of voucher."""
MAX_LINK_UCNY = 100_000 * MICRO
"""Highest multiplier of a link, micro-yuan per GB; the dearest tariff that a book may state."""
_LINK_WORTH = 0.3
"""Usual size of a link's multiplier, as a share of what orders pay in all per GB that they move."""
_CAP_STEP = 30.0
"""How much longer steps of a cap's multiplier are: few orders draw on one cap, so it moves them little each."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Whole multipliers; they make the certificate."""

    capacity: Int
    """[P, T] micro-yuan per GPU-hour above the ask."""
    link: Int
    """[L, T] micro-yuan per GB that starts to cross."""
    budget: Int
    """[K] ppm."""
    cap: Int
    """[C] ppm."""
    budget_paid: Int
    """[K] ppm, for the bound at these prices."""
    cap_paid: Int
    """[C] the same."""

    def point(self) -> tuple[Float, Float, Float, Float]:
        """Return capacity, link, budget and cap as floats, rates per yuan, as a pricing pass takes them."""
        return (
            self.capacity.astype(np.float64),
            self.link.astype(np.float64),
            self.budget / MICRO,
            self.cap / MICRO,
        )

    def point_paid(self) -> tuple[Float, Float, Float, Float]:
        """Return the same with the rates of the bound at the prices."""
        return (*self.point()[:2], self.budget_paid / MICRO, self.cap_paid / MICRO)


class Supply(NamedTuple):
    """What there is to be priced."""

    capacity: Int
    """[P, T] accelerators."""
    link: Int
    """[L, T] millionths of a GB."""
    budget: Int
    """[K] micro-yuan."""
    cap: Int
    """[C] micro-yuan."""


@dataclass(frozen=True, slots=True)
class DualResult:
    """Best prices found."""

    prices: Prices
    """Those to publish."""
    guide: Prices
    """Those to place awards by: best for vouchers as paid at the published prices."""
    bound_ucny: int
    """Exact dual bound at these prices, rounded up: no allocation has a greater welfare."""
    bound_at_prices_ucny: int
    """The same for allocations that pay by the rule at these prices: no greater."""
    passes: int
    """Pricing passes over all orders."""


def supply_of(a: BookArrays) -> Supply:
    """Return all that a book offers."""
    return Supply(a.capacity, a.link_left, a.budget, a.cap_left)


class _Function:
    """The dual function on one vector (capacity, links, budgets, caps), in micro-yuan."""

    def __init__(
        self,
        a: BookArrays,
        keys: Keys,
        supply: Supply,
        pricers: Pricers,
        *,
        factor: float = 1.0,
        posted: Int | None = None,
    ) -> None:
        self._a, self._pricing, self._posted = a, pricers(a, keys), posted
        self._factor = factor
        cells, link_cells = a.capacity.size, a.link_left.size
        self.ends = np.cumsum([cells, link_cells, a.budget.size, a.cap_left.size])
        budgets = np.where(a.limited, supply.budget, 0)
        parts = (supply.capacity.ravel(), supply.link.ravel() / MICRO, budgets, supply.cap)
        self.supply = np.concatenate(parts).astype(np.float64)

    def split(self, x: Float) -> tuple[Float, Float, Float, Float]:
        """Return the parts of a vector."""
        one, two, three, _ = self.ends
        shape, link_shape = self._a.capacity.shape, self._a.link_left.shape
        return x[:one].reshape(shape), x[one:two].reshape(link_shape), x[two:three], x[three:]

    def join(self, prices: Prices) -> Float:
        """Return prices as a vector."""
        return np.concatenate([part.ravel() for part in prices.point()])

    def __call__(self, x: Float) -> tuple[float, Float]:
        """Return value and subgradient at a point >= 0."""
        d = self._pricing.demand(*self.split(x), posted=self._posted)
        budgets = np.where(self._a.limited, d.budget, 0)
        use = np.concatenate([d.gpus.ravel(), d.link.ravel() / MICRO, budgets, d.cap])
        return float((self.supply * x).sum()) + self._factor * d.surplus, self.supply - self._factor * use

    def scale(self) -> Float:
        """Return the inverse metric: the size that a multiplier has over the supply that it prices; 0: held at 0."""
        a = self._a
        typical = max(float(np.median(a.ask)) if a.ask.size else 0.0, 0.01 * MICRO)
        moving = a.data > 0
        per_gb = float(np.median(a.limit[moving] / a.data[moving])) * MICRO if moving.any() else 0.0
        link = max(_LINK_WORTH * per_gb, 0.1 * MICRO)
        sizes = np.repeat([typical, link, 1.0, _CAP_STEP], np.diff(self.ends, prepend=0))
        scale = np.where(self.supply > 0, sizes / np.maximum(self.supply, 1.0), 0.0)
        _, two, three, _ = self.ends
        scale[two:three][~a.limited] = 0.0
        return scale


def _to_prices(a: BookArrays, capacity: Float, link: Float, budget: Float, cap: Float) -> Prices:
    """Turn the solver's point into whole multipliers; cut down, so prices never rise by rounding."""
    most = np.maximum(MAX_PRICE_UCNY - a.ask, 0)
    rates = [np.minimum(np.floor(rate * MICRO), MAX_RATE_PPM).astype(np.int64) for rate in (budget, cap)]
    return Prices(
        np.minimum(np.floor(capacity), most).astype(np.int64),
        np.minimum(np.floor(link), MAX_LINK_UCNY).astype(np.int64),
        *rates,
        *rates,
    )


class Solved(NamedTuple):
    """What a price search ends with."""

    prices: Prices
    passes: int
    """Over all orders."""


def solve_prices(
    a: BookArrays,
    keys: Keys,
    passes: int,
    *,
    supply: Supply | None = None,
    begin: Prices | None = None,
    posted: Int | None = None,
    tolerance: float = 1e-4,
    progress: Callable[[int, float], None] | None = None,
    pricers: Pricers = Pricing,
) -> Solved:
    """Minimise the dual function of some orders and some supply.

    Parameters
    ----------
    a : the book
    keys : the orders that take part
    passes : most pricing passes over all of them, after those over the samples of a large set
    supply : what there is; None: all that the book offers
    begin : prices to start from; None: none
    posted : [P, T] published prices by which vouchers are paid; None: vouchers count with the least that they can be
    tolerance : stop once the model promises less than this share of the value
    progress : called with the passes made and the best value in yuan
    pricers : makes the pricing passes; all of them give the same sums
    """
    supply = supply_of(a) if supply is None else supply
    whole = _Function(a, keys, supply, pricers, posted=posted)
    scale = whole.scale()
    x, weight = np.zeros(scale.size), FULL_WEIGHT
    if begin is not None:
        x, weight = whole.join(begin), WARM_WEIGHT
        x[scale == 0.0] = 0.0

    def tell(done: int, value: float) -> None:
        if progress is not None:
            progress(done, value / MICRO)

    last, before = None, 0
    if begin is not None and keys.row.size * _SAMPLED >= SAMPLES[0][0]:
        passes = min(passes, FINISH)
        if not a.cap_left.size:  # else not to a sample, which knows less of a cap than prices to begin with
            near = descend(whole, x, scale, weight, min(passes, NEAR), tolerance, tell=tell)
            if near.begun - near.value <= _NEAR_ENOUGH * abs(near.value):
                return _solved(a, whole, near, near.passes)
            x, weight, before = near.x, FULL_WEIGHT, near.passes
    if begin is None or before:
        last = _on_samples(a, keys, supply, x, weight, posted, tolerance, pricers)
    if last is not None:
        x, weight, passes = last.x, last.weight, min(passes, FINISH)
    last = descend(whole, x, scale, weight, passes, tolerance, tell=tell, carried=_carried(a, last))
    return _solved(a, whole, last, before + last.passes)


def _solved(a: BookArrays, whole: _Function, last: Descent, passes: int) -> Solved:
    return Solved(_to_prices(a, *whole.split(last.x)), passes)


def _on_samples(
    a: BookArrays,
    keys: Keys,
    supply: Supply,
    x: Float,
    weight: float,
    posted: Int | None,
    tolerance: float,
    pricers: Pricers,
) -> Descent | None:
    """Solve the samples of a large set, one after the other, beginning at `x`; None: the set is small."""
    last, orders, share = None, keys.row.size, _SAMPLED
    for count, passes in SAMPLES:
        if count > share * orders:
            break
        some = sample_keys(keys, count)
        f = _Function(a, some, supply, pricers, factor=orders / some.row.size, posted=posted)
        last = descend(f, x, f.scale(), weight, passes, 2.0 * tolerance, carried=_carried(a, last))
        x, weight, share = last.x, last.weight, share / 2.0
    return last


def _carried(a: BookArrays, last: Descent | None) -> Descent | None:
    """Return a search whose cuts are worth keeping for more orders: with caps, which few orders draw on, none is."""
    return None if a.cap_left.size else last


def _sum_of_products(one: Int, other: Int) -> int:
    """Return the sum of the products as a Python integer; the products may pass int64."""
    there = np.nonzero(other)
    return sum(x * y for x, y in zip(one[there].tolist(), other[there].tolist(), strict=True))


def exact_bounds(a: BookArrays, keys: Keys, prices: Prices, pricers: Pricers = Pricing) -> tuple[int, int]:
    """Return the dual bound and the bound at the prices, exactly, each rounded up to a micro-yuan (docs/clearing.md).

    Parameters
    ----------
    a : the book
    keys : of all its orders, at its own capacity
    prices : any whole multipliers that are not negative
    pricers : makes the pricing passes
    """
    ppm = _sum_of_products(a.capacity, prices.capacity) * MICRO + _sum_of_products(a.link_left, prices.link)
    with_vouchers, others = voucher_keys(keys, a)
    args = prices.capacity, prices.link
    bounds = []
    whole, rest = pricers(a, others).whole_surplus(*args, prices.budget, prices.cap, paid=False)
    pricing = pricers(a, with_vouchers)
    for paid, budget, cap in ((False, prices.budget, prices.cap), (True, prices.budget_paid, prices.cap_paid)):
        more, less = pricing.whole_surplus(*args, budget, cap, paid=paid)
        left = _sum_of_products(a.budget[a.limited], budget[a.limited]) + _sum_of_products(a.cap_left, cap)
        bounds.append(-(-(ppm + left + (whole + more) * MICRO - rest - less) // MICRO))
    return bounds[0], bounds[1]


def _rates_as_paid(
    a: BookArrays, keys: Keys, prices: Prices, passes: int, tolerance: float, pricers: Pricers
) -> tuple[Prices, int]:
    """Choose multipliers of budgets and caps for the bound at the prices; return them and the passes made."""
    f = _Function(a, voucher_keys(keys, a)[0], supply_of(a), pricers, posted=a.ask + prices.capacity)
    scale = f.scale()
    scale[: f.ends[1]] = 0.0  # held where they are
    start = np.concatenate([part.ravel() for part in prices.point_paid()])
    found = descend(f, start, scale, WARM_WEIGHT, passes, tolerance)
    paid = _to_prices(a, *f.split(found.x))
    return replace(prices, budget_paid=paid.budget, cap_paid=paid.cap), found.passes


def solve_dual(
    a: BookArrays,
    keys: Keys,
    passes: int,
    *,
    begin: Prices | None = None,
    tolerance: float = 1e-4,
    progress: Callable[[int, float], None] | None = None,
    pricers: Pricers = Pricing,
) -> DualResult:
    """Choose the prices of a book and work out exactly what they prove.

    Parameters
    ----------
    a : the book
    keys : of all its orders, at its own capacity
    passes, begin, tolerance, progress, pricers : see `solve_prices`
    """
    solved = solve_prices(a, keys, passes, begin=begin, tolerance=tolerance, progress=progress, pricers=pricers)
    prices, made = solved.prices, solved.passes
    if a.limited.any() or a.cap_left.size:
        posted = a.ask + prices.capacity
        few = min(passes, REFINE)
        solved = solve_prices(a, keys, few, begin=prices, posted=posted, tolerance=tolerance, pricers=pricers)
        start = replace(prices, budget_paid=solved.prices.budget, cap_paid=solved.prices.cap)
        prices, more = _rates_as_paid(a, keys, start, few, tolerance, pricers)
        made += solved.passes + more
    bound, at_prices = exact_bounds(a, keys, prices, pricers)
    if at_prices > bound:  # an early end of the search; with the same rates it is no greater
        prices = replace(prices, budget_paid=prices.budget, cap_paid=prices.cap)
        bound, at_prices = exact_bounds(a, keys, prices, pricers)
    return DualResult(prices, solved.prices, bound, at_prices, made)
