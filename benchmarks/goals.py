"""The goals of the clearing: seconds, certified gap and memory of large books, each in a process of its own.

Seconds are those of `solve`: from the arrays of a book to awards, prices and certificate, building of index structures
included; reading files is `benchmarks.reading`. Compilation is done before, on a small market with the same features.
"""

import resource
import statistics
import time
from typing import Any, NamedTuple

import numpy as np
from benchmarks.markets import market

from dujiang.core.money import MICRO
from dujiang.market.arrays import BY_ORDER, BookArrays
from dujiang.market.engine import Cleared, Effort, gap_of, solve

TIMES = 3


class Goal(NamedTuple):
    """One book and what it must not exceed."""

    name: str
    market: dict[str, Any]
    seconds: float
    gap: float
    memory_mb: float | None = None
    new_share: float = 0.0
    """Of orders that are new since a round whose prices are at hand; 0: a round without prices to begin from."""


GOALS = (
    Goal("5k x 24", {"orders": 5_000}, 3.0, 0.012, 500),
    Goal("100k x 24", {"orders": 100_000}, 1.2, 0.005, 500),
    Goal("1M x 24", {"orders": 1_000_000}, 8.0, 0.003, 1000),
    Goal("1M x 120", {"orders": 1_000_000, "pools": 120}, 15.0, 0.005, 1500),
    Goal("100k x 24, 4 programmes, caps", {"orders": 100_000, "programmes": 4}, 4.0, 0.015, 700),
    Goal("100k x 24 again, 1 % new", {"orders": 100_000}, 0.4, 0.005, None, 0.01),
)
QUICK = GOALS[:2]


def some_orders(a: BookArrays, rows: np.ndarray) -> BookArrays:
    """Return the book with some of its orders, all else as it is."""
    return a._replace(**{name: np.ascontiguousarray(getattr(a, name)[rows]) for name in BY_ORDER})


def warm_up(**features: Any) -> float:
    """Compile, or load what is compiled, for markets with these features; return the seconds that it took."""
    begin = time.perf_counter()
    small = {**features, "orders": 400, "pools": min(int(features.get("pools", 24)), 24)}
    solve(market(**small), Effort(), time.perf_counter)
    return time.perf_counter() - begin


def figures(a: BookArrays, cleared: Cleared) -> dict[str, Any]:
    """Return welfare and gaps of a clearing."""
    welfare = int(cleared.state.worth.sum())
    return {
        "welfare_cny": welfare / MICRO,
        "gap": gap_of(cleared.bound_ucny, welfare),
        "gap_at_prices": gap_of(cleared.bound_at_prices_ucny, welfare),
        "served_share": float((cleared.state.pool >= 0).mean()) if a.gpus.size else 0.0,
        "utilisation": 1.0 - float(cleared.state.free.sum()) / max(float(a.capacity.sum()), 1.0),
    }


def measure(goal: Goal) -> dict[str, Any]:
    """Clear the book of a goal three times."""
    warm_up(**goal.market)
    fresh = round(goal.new_share * goal.market["orders"])
    a = market(**{**goal.market, "orders": goal.market["orders"] + fresh})
    arrays_mb = sum(array.nbytes for array in a) / 1e6
    before = None
    if fresh:
        kept = np.arange(goal.market["orders"])
        before = solve(some_orders(a, kept), Effort(), time.perf_counter).prices
        a = some_orders(a, kept + fresh)
    runs = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        cleared = solve(a, Effort(), time.perf_counter, warm=before)
        runs.append((time.perf_counter() - begin, cleared))
    seconds = statistics.median(run[0] for run in runs)
    middle = min(runs, key=lambda run: abs(run[0] - seconds))[1]
    return {
        "name": goal.name,
        "seconds": seconds,
        "goal_seconds": goal.seconds,
        **figures(a, middle),
        "goal_gap": goal.gap,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "goal_memory_mb": goal.memory_mb,
        "arrays_mb": arrays_mb,
        "phases": {phase: round(value, 3) for phase, value in middle.seconds.items()},
        "passes": middle.passes,
        "moves": middle.moves,
    }
