"""Minimising a convex function of non-negative variables with a proximal bundle: how long the steps are, when to stop.

A step is as long as the metric times a weight. Steps that bring a fair share of what the cuts promised make it longer,
several that bring next to nothing make it shorter. Short steps promise little even far from the optimum, so a small
promise ends a search only at full weight, or the third time.

A search over a sample can hand its cuts to one over all: they are cuts of nearly the same function, moved to its value
at the point that both know. They guide and prove nothing, and go when they mislead.
"""

from collections.abc import Callable
from typing import NamedTuple

from dujiang.market.bundle import Bundle, Float

Function = Callable[[Float], tuple[float, Float]]
"""Gives value and a subgradient at a point."""

CUTS = 12
"""Cuts kept; more gain little."""
FULL_WEIGHT, WARM_WEIGHT = 0.2, 0.02
"""Length of the first step without and with a point to start from."""
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-5, 1e4
_SERIOUS = 0.1
"""Share of the predicted decrease that makes a step a serious one (Kiwiel's m)."""
_GOOD = 0.3
"""Share of the predicted decrease from which the next step may be longer."""
_NULLS = 4
"""Steps in a row that were not serious, after which the next is shorter; after twice as many, cuts of another search
go."""
_DOUBTS = 2
"""How often a search goes on with longer steps when it seems to be over."""


class Descent(NamedTuple):
    """What a search ends with."""

    x: Float
    """The best point."""
    value: float
    begun: float
    """The value where the search began."""
    weight: float
    """Length of the next step."""
    passes: int
    """Evaluations."""
    bundle: Bundle


def descend(
    function: Function,
    x: Float,
    scale: Float,
    weight: float,
    passes: int,
    tolerance: float,
    *,
    tell: Callable[[int, float], None] | None = None,
    carried: Descent | None = None,
) -> Descent:
    """Minimise a function over x >= 0.

    Parameters
    ----------
    function : convex
    x : where to begin
    scale : diagonal of the inverse metric; entries of 0 stay where they are
    weight : length of the first step
    passes : most evaluations
    tolerance : stop once the cuts promise less than this share of the value
    tell : called with the evaluations made and the best value
    carried : end of a search over nearly the same function, which found `x`
    """
    best, slope = function(x)
    begun = best
    bundle = own = _own_cuts(x, best, slope)
    if carried is not None:
        bundle = carried.bundle
        bundle.lift(best - carried.value)
        bundle.add(slope, best - float((slope * x).sum()))
    done, nulls, doubts = 1, 0, 0
    while done < passes:
        candidate, model = bundle.step(x, scale, weight)
        predicted = best - model
        if predicted <= tolerance * abs(best):
            if weight >= FULL_WEIGHT or doubts == _DOUBTS:
                break
            weight, nulls, doubts = min(10.0 * weight, FULL_WEIGHT), 0, doubts + 1
            continue
        value, found = function(candidate)
        done += 1
        bundle.add(found, value - float((found * candidate).sum()))
        if best - value >= _SERIOUS * predicted:
            if best - value >= _GOOD * predicted:
                weight = min(weight * 2.0, _MOST_WEIGHT)
            x, best, slope, nulls = candidate, value, found, 0
        else:
            nulls += 1
            if nulls % _NULLS == 0:
                weight = max(weight * 0.5, _LEAST_WEIGHT)
            if nulls == 2 * _NULLS and bundle is not own:
                bundle = own = _own_cuts(x, best, slope)
        if tell is not None:
            tell(done, best)
    return Descent(x, best, begun, weight, done, bundle)


def _own_cuts(x: Float, value: float, slope: Float) -> Bundle:
    bundle = Bundle(x.size, CUTS)
    bundle.add(slope, value - float((slope * x).sum()))
    return bundle
