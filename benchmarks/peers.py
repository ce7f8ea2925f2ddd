"""General solvers on small books: HiGHS with the exact mode's own formulation from nothing, and CP-SAT with intervals.

Both get everything that makes the problem easy for them: HiGHS the reduced rows and components of
`dujiang.market.exact`, but neither prices nor awards of the engine; CP-SAT a formulation with starts as variables.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.markets import market

from dujiang.core.money import FEN, MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.columns import Columns, Rates, empty_columns, list_blocks
from dujiang.market.dual import Prices
from dujiang.market.engine import Cleared, Effort, gap_of, solve
from dujiang.market.exact import Limits, solve_exact
from dujiang.market.state import empty_state, posted_prices

CPSAT_PYTHON = Path(".venv-cpsat/bin/python")
UNBOUNDED_UCNY = 2**60


class Peer(NamedTuple):
    """What a solver reached."""

    value_cny: float
    bound_cny: float
    proven: bool
    seconds: float


def highs(a: BookArrays, cleared: Cleared, seconds: float) -> Peer:
    """Solve a book without vouchers with HiGHS, from an empty allocation and prices of zero."""
    zeros = [np.zeros_like(array) for array in (a.capacity, a.link_left, *2 * (a.budget, a.cap_left))]
    nothing = replace(
        cleared,
        state=empty_state(a),
        prices=Prices(*zeros),
        bound_ucny=UNBOUNDED_UCNY,
        bound_at_prices_ucny=UNBOUNDED_UCNY,
    )
    begin = time.perf_counter()
    result = solve_exact(a, nothing, Limits(seconds), time.perf_counter)
    value = int(result.state.worth.sum()) / MICRO
    return Peer(value, result.bound_ucny / MICRO, result.optimal, time.perf_counter() - begin)


def _all_blocks(a: BookArrays) -> Columns:
    """Return every block that fits an empty market and pays, by order, pool and start."""
    s, posted = empty_state(a), posted_prices(a, np.zeros_like(a.ask))
    rates = Rates(np.zeros(a.link_left.shape), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    every, best = np.arange(a.gpus.size), np.zeros(a.gpus.size)
    least = np.full(a.gpus.size, -np.inf)
    count = list_blocks(a, s, posted, rates, every, least, best, empty_columns(0, a.parts.shape[1]))
    blocks = empty_columns(count, a.parts.shape[1])
    list_blocks(a, s, posted, rates, every, least, best, blocks)
    return blocks


def cp_sat(a: BookArrays, seconds: float, workers: int = 2) -> Peer | None:
    """Solve a book without vouchers and limited links, with level asks and capacities, with CP-SAT; None without it."""
    if not CPSAT_PYTHON.exists():
        return None
    assert (a.ask == a.ask[:, :1]).all()
    assert (a.capacity == a.capacity[:, :1]).all()
    assert a.parts.shape[0] == 1
    assert not a.link_left.size
    c = _all_blocks(a)
    _, first = np.unique(c.order * a.capacity.shape[0] + c.pool, return_index=True)
    order, pool = c.order[first], c.pool[first]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        np.savez(
            path,
            order=order,
            pool=pool,
            slots=a.slots[a.shape[order], pool],
            gpus=a.gpus[order],
            worth_fen=c.worth[first] // FEN,
            start=c.start,
            first=np.append(first, c.order.size),
            capacity=a.capacity[:, 0],
        )
        script = Path(__file__).with_name("cpsat.py")
        command = [CPSAT_PYTHON, script, path, str(seconds), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        return None
    return Peer(**json.loads(done.stdout))


class Contest(NamedTuple):
    """A small book for all three."""

    name: str
    market: dict[str, Any]
    loose: bool = False
    """Every order may run at any time: many more blocks, and far more ways to go wrong."""


CONTESTS = (
    Contest("100 x 6 pools x 168", {"orders": 100, "pools": 6, "load": 1.5}),
    Contest("200 x 6 pools x 168", {"orders": 200, "pools": 6, "load": 1.5}),
    Contest("200 x 6 pools x 168, any time", {"orders": 200, "pools": 6, "load": 1.5}, loose=True),
    Contest("500 x 24 pools x 168", {"orders": 500, "load": 1.0}),
    Contest("500 x 24 pools x 168, scarce", {"orders": 500, "load": 1.5}),
)
ENGINE_SECONDS = 2.0


def book_of(contest: Contest) -> BookArrays:
    """Draw the book of a contest."""
    a = market(**contest.market)
    if not contest.loose:
        return a
    return a._replace(release=np.zeros_like(a.release), deadline=np.full_like(a.deadline, a.capacity.shape[1]))


def measure(contest: Contest, seconds: float) -> dict[str, Any]:
    """Clear one book with the engine in two seconds, then give each peer its time."""
    a = book_of(contest)
    begin = time.perf_counter()
    cleared = solve(a, Effort(seconds=ENGINE_SECONDS), time.perf_counter)
    ours = time.perf_counter() - begin
    welfare = int(cleared.state.worth.sum()) / MICRO
    begin = time.perf_counter()
    exact = solve_exact(a, cleared, Limits(seconds), time.perf_counter)
    exact_seconds = time.perf_counter() - begin
    peers = {"HiGHS": highs(a, cleared, seconds), "CP-SAT": cp_sat(a, seconds)}
    best = max((peer.value_cny for peer in peers.values() if peer), default=0.0)
    return {
        "name": contest.name,
        "seconds": ours,
        "welfare_cny": welfare,
        "gap": gap_of(cleared.bound_ucny, round(welfare * MICRO)),
        "peers": {name: peer._asdict() if peer else None for name, peer in peers.items()},
        "exact": Peer(
            int(exact.state.worth.sum()) / MICRO, exact.bound_ucny / MICRO, exact.optimal, exact_seconds
        )._asdict(),
        "welfare_over_better_peer": welfare / best if best else None,
        "dual_bound_over_exact_bound": cleared.bound_ucny / exact.bound_ucny,
    }


def measure_all(contests: Sequence[Contest], seconds: float) -> list[dict[str, Any]]:
    """Measure some contests; compile before."""
    warm = market(60, 6)
    solve_exact(warm, solve(warm, Effort(seconds=1.0), time.perf_counter), Limits(5.0), time.perf_counter)
    return [measure(contest, seconds) for contest in contests]
