"""Awards from prices: every order where the last points of the price search would have put it, then what still fits.

The problem. At the best prices many orders are indifferent between blocks, and all that are alike would take the same
one. Placed there one after the other, the first fill it, the rest find fragments.

The choice. The bundle that found the prices ends with weights on the points it visited; with these weights, what the
orders would buy at the points adds up to what there is, nearly: it is the solution of the linear relaxation, spread
over points. So every order draws one of the points with these weights and takes the block that it would buy there. The
orders with the largest surplus come first; whoever does not find its block any more takes the best that still fits.
What then waits is offered the rest at lower and lower guide prices, down to the asks. Guide prices steer; payments
always follow the published prices.

Left out: pricing anew what is left after a share of the orders. With a few passes it gains nothing over this.

References
----------
F. Barahona, R. Anbil, The volume algorithm: producing primal solutions with a subgradient method,
Math. Prog. 87 (2000).
P. Raghavan, C. D. Thompson, Randomized rounding, Combinatorica 7 (1987).
"""

from collections.abc import Sequence

import numpy as np

from dujiang.market.arrays import BookArrays
from dujiang.market.compiled import loop
from dujiang.market.dual import Weighted
from dujiang.market.keys import Keys
from dujiang.market.place import Hints, guide_at, place
from dujiang.market.pricing import Choices, Pricing
from dujiang.market.state import Float, Int, Posted, State

POINTS = 20
"""Most points that orders draw from."""
FILLS = (1.0, 0.5, 0.0)
"""Guide prices of the fills, as a share of the prices above the asks."""
_SIZE_POWER = 0.3
"""The sequence is by surplus over this power of the cost: 0 is by surplus, 1 by surplus over cost."""


@loop
def _draw(out: Float) -> None:
    """Write a number in [0, 1) for every row, always the same (SplitMix64 of the row)."""
    for j in range(out.shape[0]):
        z = np.uint64(j + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[j] = float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / 9007199254740992.0


@loop
def _take_over(draws: Float, low: float, high: float, choices: Choices, hints: Hints) -> None:
    """Copy the choices of the orders that drew a number in [low, high), and clear all choices for another pass."""
    for j in range(draws.shape[0]):
        if low <= draws[j] < high:
            hints.pool[j], hints.start[j], hints.option[j] = choices.pool[j], choices.start[j], choices.option[j]
        choices.pool[j] = -1
        choices.surplus[j] = 0.0


@loop
def _sort_keys(a: BookArrays, cost_sum: Float, choices: Choices, power: float, out: Float) -> None:
    """Write what the orders are sorted by: minus surplus over a power of the cost; infinite where nothing pays."""
    for j in range(out.shape[0]):
        p, t = choices.pool[j], choices.start[j]
        out[j] = np.inf
        if p >= 0:
            cost = a.gpus[j] * (cost_sum[p, t + a.slots[a.shape[j], p]] - cost_sum[p, t])
            out[j] = -choices.surplus[j] / max(cost, 1.0) ** power


class _Orders:
    """What orders would buy, pass after pass."""

    def __init__(self, a: BookArrays, keys: Keys, published: Int) -> None:
        self._a, self._pricing, self._published = a, Pricing(a, keys), published
        rows = [np.full(a.gpus.size, -1, dtype=np.int32) for _ in range(3)]
        none = np.zeros(0, dtype=np.int64)
        self.choices = Choices(np.zeros(a.gpus.size), *rows, none, none)

    def ask(self, point: tuple[Float, Float, Float, Float]) -> Choices:
        """Return what each order would buy at a point; the last answer must have been cleared."""
        self._pricing.demand(*point, posted=self._published, choices=self.choices)
        return self.choices

    def sequence(self, point: tuple[Float, Float, Float, Float], power: float, hints: Hints) -> Int:
        """Return the orders that a point or the hints let in, the most profitable at the point first."""
        choices = self.ask(point)
        sums = np.zeros((self._a.ask.shape[0], self._a.ask.shape[1] + 1))
        np.cumsum(self._a.ask + point[0], axis=1, out=sums[:, 1:])
        keys = np.empty(self._a.gpus.size)
        _sort_keys(self._a, sums, choices, power, keys)
        _take_over(keys, np.nan, np.nan, choices, hints)
        keys[(hints.pool >= 0) & (keys == np.inf)] = 0.0
        chosen = np.flatnonzero(keys < np.inf)
        return chosen[np.argsort(keys[chosen], kind="stable")]


def _normalised(mix: Sequence[Weighted]) -> list[Weighted]:
    """Return the heaviest points, weights summing to one."""
    heaviest = sorted(mix, key=lambda point: -point.weight)[:POINTS]
    total = sum(point.weight for point in heaviest)
    return [point._replace(weight=point.weight / total) for point in heaviest]


def recover(
    a: BookArrays,
    s: State,
    keys: Keys,
    point: tuple[Float, Float, Float, Float],
    mix: Sequence[Weighted],
    posted: Posted,
) -> None:
    """Fill a state with awards.

    Parameters
    ----------
    s : the state without awards, changed in place
    keys : of all orders of the book
    point : the best prices: capacity, link, budget, cap
    mix : points and weights with which the price search ended; none: all orders go by the best prices
    posted : published prices
    """
    orders = _Orders(a, keys, np.diff(posted.price_sum, axis=1))
    hints = Hints(*(np.full(a.gpus.size, -1, dtype=np.int32) for _ in range(3)))
    draws = np.empty(a.gpus.size)
    _draw(draws)
    low = 0.0
    for weighted in _normalised(mix or [Weighted(1.0, *point)]):
        _take_over(draws, low, low + weighted.weight, orders.ask(weighted.point()), hints)
        low += weighted.weight
    guide = guide_at(a, *point)
    first = orders.sequence(point, _SIZE_POWER, hints)
    place(a, s, guide, posted, first[hints.pool[first] >= 0], hints)
    for factor in FILLS:
        lower = tuple(factor * part for part in point)
        hints.pool[:] = -1
        rest = orders.sequence(lower, 1.0, hints)
        place(a, s, guide_at(a, *lower), posted, rest[s.pool[rest] < 0])


__all__ = ["recover"]
