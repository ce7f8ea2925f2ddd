"""Prices from the Lagrangian dual: a proximal bundle method over capacity, budget and cap multipliers.

The problem. With a price on every pool and slot the orders part company: each buys the block that pays it most. The
dual function is the value of all capacity, budgets and caps at their multipliers plus the sum of the orders' surplus;
it is convex and piecewise linear, any non-negative point is an upper bound on the welfare of any allocation, and its
least value is the best bound of this kind. Its subgradient at a point is what is free less what the orders would buy.

Worked case. One pool of 8 accelerators in one slot, ask 1 yuan; three orders for 8 with limits of 24, 40 and 80 yuan.
At a multiplier of 4 (price 5) the order with 80 gains 40 and the one with 40 is indifferent: the dual is
8 x 4 + 0 + 40 = 72, the welfare of serving the one with 80 is 80 - 8 = 72: gap zero.

The choice. A subgradient step zigzags on this function. A bundle keeps the last cuts (value and subgradient) and
steps to the minimum of their upper envelope plus a proximal term; the metric of that term scales each multiplier by
its own size over its own supply. Cuts beyond `CUTS` fold into one aggregate. Left out: sampling, warm start.

References
----------
K. C. Kiwiel, Proximity control in bundle methods for convex nondifferentiable minimization, Math. Prog. 46 (1990).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dujiang.core.money import MICRO
from dujiang.market.arrays import MAX_PRICE_UCNY, BookArrays, Int
from dujiang.market.kernels import best_responses, exact_surplus, simplex_qp, usage_of

Float = npt.NDArray[np.float64]
Scalar = TypeVar("Scalar", np.int64, np.float64)

CUTS = 24
"""Cuts kept; more cost time in the small quadratic problem and gain little."""
_SERIOUS = 0.1
"""Share of the predicted decrease that makes a step a serious one (Kiwiel's m)."""
MAX_RATE_PPM = 100 * MICRO
"""Highest multiplier of a budget or cap: a hundred yuan of welfare for a yuan of voucher."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Integer multipliers; they make the certificate."""

    capacity: Int
    """[P, T] micro-yuan per GPU-hour above the ask."""
    budget: Int
    """[K+1] ppm."""
    cap: Int
    """[C] ppm."""


@dataclass(frozen=True, slots=True)
class DualResult:
    """Best prices found."""

    prices: Prices
    bound_ucny: int
    """Exact dual bound at these prices, rounded up."""
    passes: int
    """Pricing passes over all orders."""


def prefix(rates: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return [P, T+1] prefix sums over slots of [P, T] rates."""
    zeros = np.zeros((rates.shape[0], 1), dtype=rates.dtype)
    return np.ascontiguousarray(np.concatenate([zeros, np.cumsum(rates, axis=1)], axis=1))


class _Function:
    """The dual function on the vector (capacity, budgets, caps), in micro-yuan."""

    def __init__(self, a: BookArrays, free: Int, budget: Int, cap_left: Int) -> None:
        self.a = a
        self.cells = a.capacity.size
        self.shape = a.capacity.shape
        self.options = a.budget.shape[0]
        self.limited = a.limited
        self.supply = np.concatenate([free.ravel(), np.where(a.limited, budget, 0), cap_left]).astype(np.float64)
        self.ask_sum = prefix(a.ask)

    def __call__(self, x: Float) -> tuple[float, Float]:
        """Return value and subgradient at a point >= 0."""
        price_sum = prefix(self.a.ask + x[: self.cells].reshape(self.shape))
        budget_price = x[self.cells : self.cells + self.options]
        cap_price = x[self.cells + self.options :]
        surplus, pool, start, option, voucher = best_responses(self.a, self.ask_sum, price_sum, budget_price, cap_price)
        used, budgets, caps = usage_of(self.a, pool, start, option, voucher)
        use = np.concatenate([used.ravel(), np.where(self.limited, budgets, 0.0), caps])
        return float(self.supply @ x + surplus.sum()), self.supply - use

    def scale(self) -> Float:
        """Return the inverse metric: the size that a multiplier has over the supply that it prices."""
        typical = max(float(np.median(self.a.ask)), 0.01 * MICRO)
        size = np.concatenate([np.full(self.cells, typical), np.ones(self.supply.size - self.cells)])
        scale = np.where(self.supply > 0, size / np.maximum(self.supply, 1.0), 0.0)
        scale[self.cells : self.cells + self.options][~self.limited] = 0.0
        return scale


class _Bundle:
    """Cuts of the dual function: `value >= intercept + slope @ x`."""

    def __init__(self, size: int) -> None:
        self.slopes = np.zeros((0, size))
        self.intercepts = np.zeros(0)
        self.alpha = np.zeros(0)

    def add(self, slope: Float, intercept: float) -> None:
        """Take a cut; fold the lightest ones into an aggregate when there are too many."""
        if len(self.alpha) >= CUTS:
            total = self.alpha @ self.slopes
            level = float(self.alpha @ self.intercepts)
            keep = np.sort(np.argsort(-self.alpha, kind="stable")[: CUTS - 2])
            self.slopes = np.vstack([self.slopes[keep], total])
            self.intercepts = np.append(self.intercepts[keep], level)
            self.alpha = np.append(np.zeros(len(keep)), 1.0)
        self.slopes = np.vstack([self.slopes, slope])
        self.intercepts = np.append(self.intercepts, intercept)
        self.alpha = np.append(self.alpha, 0.0) if len(self.alpha) else np.ones(1)

    def step(self, centre: Float, scale: Float, weight: float) -> tuple[Float, float]:
        """Return the proximal minimiser over x >= 0 and the model's value there.

        The clipping at zero makes the dual of the small problem piecewise quadratic; the set of clipped entries is
        held, the quadratic solved, the set updated, a few times over.
        """
        x = np.maximum(0.0, centre - weight * scale * (self.alpha @ self.slopes))
        for _ in range(8):
            moving = x > 0.0
            metric = weight * scale * moving
            scaled = self.slopes * metric
            h = scaled @ self.slopes.T
            b = self.intercepts + self.slopes @ np.where(moving, centre, 0.0)
            self.alpha = simplex_qp(h, b - h @ self.alpha, self.alpha, 400)
            previous = x
            x = np.maximum(0.0, centre - weight * scale * (self.alpha @ self.slopes))
            if np.array_equal(x > 0.0, previous > 0.0):
                break
        return x, float((self.intercepts + self.slopes @ x).max())


def exact_bound(a: BookArrays, prices: Prices) -> int:
    """Return the dual bound at integer prices, exactly, rounded up to a micro-yuan.

    No allocation of this book can have a greater welfare (design 4.5): see docs/clearing.md.
    """
    whole, rest = exact_surplus(a, prefix(a.ask), prefix(a.ask + prices.capacity), prices.budget, prices.cap)
    value = sum((a.capacity.astype(object) * prices.capacity.astype(object)).ravel().tolist())
    value += sum(int(w) for w in whole)
    ppm = -sum(int(r) for r in rest)
    ppm += sum(int(b) * int(m) for b, m in zip(a.budget[a.limited], prices.budget[a.limited], strict=True))
    ppm += sum(int(c) * int(m) for c, m in zip(a.cap_left, prices.cap, strict=True))
    return int(value + -(-ppm // MICRO))


def _to_integers(f: _Function, x: Float) -> Prices:
    """Turn the solver's point into integer multipliers; cut down, so prices never rise by rounding."""
    capacity = np.minimum(np.floor(x[: f.cells].reshape(f.shape)), MAX_PRICE_UCNY - f.a.ask).astype(np.int64)
    rates = np.minimum(np.floor(x[f.cells :] * MICRO), MAX_RATE_PPM).astype(np.int64)
    return Prices(np.maximum(capacity, 0), rates[: f.options], rates[f.options :])


def solve_dual(
    a: BookArrays,
    passes: int,
    *,
    free: Int | None = None,
    budget: Int | None = None,
    cap_left: Int | None = None,
    begin: Prices | None = None,
    tolerance: float = 1e-4,
    progress: Callable[[int, float], None] | None = None,
) -> DualResult:
    """Minimise the dual function.

    Parameters
    ----------
    a : the book
    passes : most pricing passes
    free, budget, cap_left : supply to price, if not that of the book (what is left after some awards)
    begin : prices to start from
    tolerance : stop once the model promises less than this share of the value
    progress : called with the pass and the best value in yuan

    Returns
    -------
    the prices of the best point, integer, and the exact bound there (of the whole book)
    """
    f = _Function(
        a,
        a.capacity if free is None else free,
        a.budget if budget is None else budget,
        a.cap_left if cap_left is None else cap_left,
    )
    scale = f.scale()
    centre = np.zeros(f.supply.size)
    if begin is not None:
        centre = np.concatenate([begin.capacity.ravel(), begin.budget / MICRO, begin.cap / MICRO]).astype(np.float64)
        centre[scale == 0.0] = 0.0
    best, slope = f(centre)
    bundle = _Bundle(f.supply.size)
    bundle.add(slope, best - float(slope @ centre))
    weight, done, null_steps = 1.0, 1, 0
    while done < passes:
        x, model = bundle.step(centre, scale, weight)
        predicted = best - model
        if predicted <= tolerance * abs(best):
            break
        value, slope = f(x)
        done += 1
        bundle.add(slope, value - float(slope @ x))
        if best - value >= _SERIOUS * predicted:
            if best - value >= 0.5 * predicted:
                weight = min(weight * 2.0, 1e4)
            centre, best, null_steps = x, value, 0
        else:
            null_steps += 1
            if null_steps >= 4:
                weight, null_steps = max(weight * 0.5, 1e-4), 0
        if progress is not None:
            progress(done, best / MICRO)
    prices = _to_integers(f, centre)
    return DualResult(prices, exact_bound(a, prices), done)
