"""Looking for parameters that do best: points spread evenly, then closer ones around those that nothing beats.

A frontier shows what more of the goal costs; one number would hide it.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dujiang.lab.design import Search
from dujiang.lab.sums import Float
from dujiang.sim.assumption import component_rng

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
MOST_DIMENSIONS = len(_PRIMES)
SPREAD_SHARE = 0.5
"""Part of the evaluations that are spread evenly; the rest refines."""
_ROUNDS = 4
_FIRST_STEP, _LAST_STEP = 0.2, 0.03
"""Standard deviation of a step in the first and the last round of refinement, over the width of an axis."""


def dimensions(search: Search) -> int:
    """Return how many numbers make a point; a split among n takes n - 1."""
    return len(search.axes) + (0 if search.split is None else len(search.split.among) - 1)


def halton(count: int, width: int, seed: int) -> Float:
    """Return points of the Halton sequence, shifted by a draw (Cranley and Patterson 1976) and wrapped around.

    Parameters
    ----------
    count : number of points
    width : dimensions, at most `MOST_DIMENSIONS`
    seed : of the shift

    Returns
    -------
    (count, width), in [0, 1)
    """
    points = np.zeros((count, width))
    for column, base in enumerate(_PRIMES[:width]):
        left, weight = np.arange(1, count + 1), 1.0 / base
        while left.any():
            points[:, column] += weight * (left % base)
            left, weight = left // base, weight / base
    shifted: Float = (points + component_rng(seed, "search-shift").random(width)) % 1.0
    return shifted


def rounds(search: Search) -> list[int]:
    """Return how many points each round evaluates; the first is spread evenly."""
    first = max(1, math.ceil(search.evaluations * SPREAD_SHARE))
    rest = search.evaluations - first
    sizes = [rest // _ROUNDS + (n < rest % _ROUNDS) for n in range(_ROUNDS)]
    return [first, *(size for size in sizes if size)]


def refined(around: Float, count: int, number: int, seed: int) -> Float:
    """Return points near others: each takes its turn, and a step that leaves the cube is reflected back into it.

    Parameters
    ----------
    around : (n, width), the points that nothing beats, n > 0
    count : number of points
    number : of the round, from 1; later rounds take smaller steps
    seed : of the steps
    """
    share = (number - 1) / max(1, _ROUNDS - 1)
    step = _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** share
    normal = component_rng(seed, f"search-steps-{number}").standard_normal((count, around.shape[1]))
    moved = np.abs(around[np.arange(count) % len(around)] + step * normal) % 2.0
    reflected: Float = np.minimum(moved, 2.0 - moved)
    return reflected


def values_at(search: Search, unit: Float) -> dict[str, Any]:
    """Return the parameters at a point of the unit cube.

    Parameters
    ----------
    unit : (width,), each from 0 to 1
    """
    values: dict[str, Any] = {}
    for axis, share in zip(search.axes, unit, strict=False):
        value = axis.low + float(share) * (axis.high - axis.low)
        if axis.whole:
            values[axis.key] = min(math.floor(axis.high), max(math.ceil(axis.low), round(value)))
        else:
            places = 6 if axis.high - axis.low < 1000 else 2
            values[axis.key] = min(axis.high, max(axis.low, round(value, places)))
    if search.split is not None:
        cuts = np.sort(unit[len(search.axes) :])
        ends = [0.0, *(round(float(cut) * search.split.total_cny, 2) for cut in cuts), search.split.total_cny]
        parts = [round(high - low, 2) for low, high in pairwise(ends)]
        values.update(zip(search.split.among, parts, strict=True))
    return values


def frontier(cost: Sequence[float | None], goal: Sequence[float | None], *, maximise: bool) -> list[int]:
    """Return the points that no other beats in both, by rising cost; of equal ones the first.

    Parameters
    ----------
    cost : less is better; None or NaN: not known, never on the frontier
    goal : more is better, or less if not `maximise`
    """
    known = [n for n, pair in enumerate(zip(cost, goal, strict=True)) if all(v is not None and v == v for v in pair)]
    sign = -1.0 if maximise else 1.0
    best, found = math.inf, []
    for n in sorted(known, key=lambda n: (cost[n], sign * (goal[n] or 0.0), n)):
        if sign * (goal[n] or 0.0) < best:
            best = sign * (goal[n] or 0.0)
            found.append(n)
    return found


def best_of(search: Search, cost: Sequence[float | None], goal: Sequence[float | None]) -> int | None:
    """Return the point that does best for the goal within what it may cost; None if no point may be had."""
    on = [
        n
        for n in frontier(cost, goal, maximise=search.maximise)
        if search.at_most is None or (cost[n] or 0.0) <= search.at_most
    ]
    # Along the frontier more is paid for more of the goal.
    return on[-1] if on else None


def measure_at(point: Mapping[str, Any], key: str) -> float | None:
    """Return the mean of a measure or effect of a point of a study's document."""
    found = point["measures"].get(key) or point["effects"].get(key) or {}
    mean: float | None = found.get("mean")
    return mean


__all__ = [
    *("MOST_DIMENSIONS", "best_of", "dimensions", "frontier", "halton", "measure_at", "refined", "rounds"),
    "values_at",
]
