"""Speed, memory and quality of the clearing, each as a ratio against something measured in the same run.

Run as ``python -m benchmarks.clearing [--json]`` from the root of the repository; about four minutes on two cores.
Compilation is done before the first measurement.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from benchmarks.books import isolated, market
from numba import njit, prange
from tests.market import time_indexed

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays, Int
from dujiang.market.dual import prefix
from dujiang.market.engine import Cleared, Effort, gap_of, solve
from dujiang.market.kernels import best_responses
from dujiang.market.primal import Guide, Posted, State, empty_state, place, put, voucher_at

SIZES = (500, 1000, 3000)
HIGHS_SECONDS = 60.0
PEER = {"orders": 150, "pools": 4, "slots": 96}
"""Size of the market that HiGHS is given: about the largest that it brings near its optimum in a minute."""


@njit(cache=True)
def _first_fit(a: BookArrays, s: State, posted: Posted) -> None:
    """Serve orders as they come, each at the earliest start, there in the first pool and option that fits and pays."""
    for j in range(a.gpus.shape[0]):
        for t in range(a.release[j], a.deadline[j]):
            for p in range(a.slots.shape[1]):
                d = a.slots[j, p]
                if d == 0 or t + d > a.deadline[j] or s.free[p, t : t + d].min() < a.gpus[j]:
                    continue
                ask = a.gpus[j] * (posted.ask_sum[p, t + d] - posted.ask_sum[p, t])
                for k in range(a.limit.shape[2]):
                    voucher = 0 if k == 0 else voucher_at(a, s, posted, j, p, t, k)
                    if voucher >= 0 and a.limit[j, p, k] > ask:
                        put(a, s, posted, j, p, t, k, voucher)
                        break
                if s.pool[j] >= 0:
                    break
            if s.pool[j] >= 0:
                break


def _at_asks(a: BookArrays) -> Posted:
    """Simple rules know no scarcity prices: everybody pays the ask, which also stretches the vouchers furthest."""
    return Posted(prefix(a.ask), prefix(a.ask))


def first_come(a: BookArrays) -> int:
    """Return the welfare of first come, first fit, micro-yuan."""
    s = empty_state(a)
    _first_fit(a, s, _at_asks(a))
    return int(s.worth.sum())


def greedy(a: BookArrays) -> int:
    """Return the welfare of serving by limit per GPU-slot, each order in the block that adds most, micro-yuan."""
    s = empty_state(a)
    shortest = np.where(a.slots > 0, a.slots, a.capacity.shape[1] + 1).min(axis=1)
    density = a.limit.max(axis=(1, 2)) / (a.gpus * shortest)
    guide = Guide(prefix(a.ask.astype(np.float64)), np.zeros(a.budget.size), np.zeros(a.cap_left.size))
    place(a, s, guide, _at_asks(a), np.argsort(-density, kind="stable"), 0.0)
    return int(s.worth.sum())


def numpy_pass(a: BookArrays, price_sum: np.ndarray, ask_sum: Int) -> np.ndarray:
    """Return each order's best surplus at prices, without multipliers: one numpy expression per order and pool."""
    best = np.zeros(a.gpus.size)
    for j, p in np.argwhere(a.slots > 0):
        d, gpus = a.slots[j, p], a.gpus[j]
        starts = np.arange(a.release[j], a.deadline[j] - d + 1)
        if not starts.size or a.capacity[p].min() < gpus:  # capacities of these markets are level
            continue
        cost = gpus * (price_sum[p, starts + d] - price_sum[p, starts])
        ask = gpus * (ask_sum[p, starts + d] - ask_sum[p, starts])
        gain = np.where(a.limit[j, p][:, None] >= ask, a.limit[j, p][:, None] - cost, 0.0)
        best[j] = max(best[j], gain.max())
    return best


@njit(parallel=True, cache=True)
def _touch(a: BookArrays, price_sum: np.ndarray) -> tuple[np.ndarray, Int]:
    """Return the least price of all blocks of each order and how many there are: one difference, one comparison."""
    least = np.full(a.gpus.shape[0], np.inf)
    count = np.zeros(a.gpus.shape[0], dtype=np.int64)
    for j in prange(a.gpus.shape[0]):
        best = np.inf
        for p in range(a.slots.shape[1]):
            d = a.slots[j, p]
            if d > 0:
                for t in range(a.release[j], a.deadline[j] - d + 1):
                    best = min(best, price_sum[p, t + d] - price_sum[p, t])
                    count[j] += 1
        least[j] = best
    return least, count


def fastest(run: Callable[[], Any], times: int = 5) -> float:
    """Return the least seconds of some runs: the one that the rest of the machine disturbed least."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def yuan(ucny: int) -> float:
    """Return micro-yuan as yuan."""
    return round(ucny / MICRO, 2)


def _cleared(a: BookArrays) -> tuple[Cleared, float]:
    begin = time.perf_counter()
    cleared = solve(a, Effort(), time.perf_counter)
    return cleared, time.perf_counter() - begin


def measure_market(orders: int) -> dict[str, Any]:
    """Clear one market, coupled and isolated, and serve it by simple rules."""
    a = market(orders)
    cleared, seconds = _cleared(a)
    welfare, bound = int(cleared.state.worth.sum()), cleared.bound_ucny
    alone, _ = _cleared(isolated(a))
    others = {
        "isolated": int(alone.state.worth.sum()),
        "first come, first fit": first_come(a),
        "greedy by value density": greedy(a),
    }
    return {
        "orders": orders,
        "pools": a.capacity.shape[0],
        "slots": a.capacity.shape[1],
        "seconds": {"total": round(seconds, 2), **{phase: round(s, 2) for phase, s in cleared.seconds.items()}},
        "welfare_cny": yuan(welfare),
        "gap": round(gap_of(bound, welfare), 4),
        "gap_isolated": round(gap_of(alone.bound_ucny, int(alone.state.worth.sum())), 4),
        "welfare_over": {name: round(welfare / other, 3) for name, other in others.items()},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def measure_pass() -> dict[str, Any]:
    """Time one pricing pass against numpy and against the least that any pass has to do."""
    a = market(1000)
    ask_sum, price_sum = prefix(a.ask), prefix(1.5 * a.ask)
    zeros = np.zeros(a.budget.size), np.zeros(a.cap_left.size)
    ours = fastest(lambda: best_responses(a, ask_sum, price_sum, *zeros), 20)
    floor = fastest(lambda: _touch(a, price_sum), 20)
    naive = fastest(lambda: numpy_pass(a, price_sum, ask_sum), 2)
    surplus = best_responses(a, ask_sum, price_sum, *zeros)[0]
    np.testing.assert_allclose(surplus, numpy_pass(a, price_sum, ask_sum), rtol=1e-9, atol=1.0)
    return {
        "orders": a.gpus.size,
        "blocks": int(_touch(a, price_sum)[1].sum()),
        "threads": numba.get_num_threads(),
        "milliseconds": round(1000 * ours, 3),
        "numpy_over_ours": round(naive / ours, 1),
        "ours_over_floor": round(ours / floor, 2),
    }


def measure_peer() -> dict[str, Any]:
    """Clear one small market without vouchers with the engine and with HiGHS as an integer programme."""
    a = market(**PEER, vouchers=False)
    cleared, seconds = _cleared(a)
    welfare = int(cleared.state.worth.sum()) / MICRO
    begin = time.perf_counter()
    peer = time_indexed.solve(a, integer=True, seconds=HIGHS_SECONDS)
    peer_seconds = time.perf_counter() - begin
    return {
        **PEER,
        "columns": peer.columns,
        "engine_seconds": round(seconds, 2),
        "highs_seconds": round(peer_seconds, 2),
        "highs_optimal": peer.optimal,
        "engine_welfare_over_highs": round(welfare / peer.value, 4),
        "engine_welfare_over_highs_bound": round(welfare / peer.bound, 4),
        "engine_bound_over_highs_bound": round(cleared.bound_ucny / MICRO / peer.bound, 4),
    }


def warm_up() -> None:
    """Compile everything that is measured."""
    a = market(20, 8, 24)
    solve(a, Effort(passes=4, moves_min=20, moves_per_order=1), time.perf_counter)
    first_come(a)
    greedy(a)
    _touch(a, prefix(1.5 * a.ask))


def say(text: str) -> None:
    """Write a line where it does not disturb the JSON document."""
    print(text, file=sys.stderr, flush=True)


def table(report: dict[str, Any]) -> str:
    """Return the report as text."""
    lines = [
        "Markets of 24 pools and 168 slots; seconds of the coupled clearing, welfare as a multiple of simple rules",
        f"{'orders':>7} {'total':>7} {'prices':>7} {'placing':>8} {'improve':>8} {'gap':>7} {'gap iso':>8}"
        f" {'x iso':>6} {'x fcfs':>7} {'x greedy':>9} {'MiB':>5}",
    ]
    for m in report["markets"]:
        s, over = m["seconds"], list(m["welfare_over"].values())
        lines.append(
            f"{m['orders']:>7} {s['total']:>7.2f} {s['prices']:>7.2f} {s['placement']:>8.2f} {s['improvement']:>8.2f}"
            f" {m['gap']:>7.2%} {m['gap_isolated']:>8.2%} {over[0]:>6.3f} {over[1]:>7.3f} {over[2]:>9.3f}"
            f" {m['peak_memory_mib']:>5}"
        )
    for title, part in (("Pricing pass", report["pass"]), ("Against HiGHS", report["peer"])):
        lines += ["", title, *(f"  {name.replace('_', ' '):<34} {value}" for name, value in part.items())]
    return "\n".join(lines)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    asked = parser.parse_args()
    say("compiling")
    warm_up()
    report: dict[str, Any] = {"markets": []}
    for orders in SIZES:
        say(f"clearing {orders} orders")
        report["markets"].append(measure_market(orders))
    say("pricing pass")
    report["pass"] = measure_pass()
    say(f"HiGHS, at most {HIGHS_SECONDS:.0f} seconds")
    report["peer"] = measure_peer()
    print(json.dumps(report, indent=2) if asked.json else table(report))


if __name__ == "__main__":
    main()
