"""Books from files under three ways of sharing: isolated, first come first fit, and the clearing.

Run as ``python -m benchmarks.books BOOK... [--json]`` from the root of the repository, say on books that
``dujiang import trace`` wrote. First fit knows no prices: every order takes the earliest start, there the first pool.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.rules import first_fit_state

from dujiang.core.money import MICRO
from dujiang.exchange.clearing import open_round
from dujiang.market.arrays import BookArrays
from dujiang.market.book_arrays import book_arrays
from dujiang.market.engine import Effort, gap_of, solve
from dujiang.market.outcome import Coupling
from dujiang.market.state import State


def figures(a: BookArrays, s: State, bound_ucny: int | None) -> dict[str, Any]:
    """Return what an allocation serves. Hours are those of GPU-slots, so partial last hours count in full."""
    served = s.pool >= 0
    rows = np.flatnonzero(served)
    slots = a.slots[a.shape, np.maximum(s.pool, 0)]
    shortest = a.slots.min(axis=1)[a.shape]
    welfare = int(s.worth.sum())
    return {
        "welfare_cny": welfare / MICRO,
        "orders_served": float(served.mean()),
        "hours_served": float((a.gpus * shortest)[served].sum() / max(1, (a.gpus * shortest).sum())),
        "utilisation": float((a.gpus[rows] * slots[rows]).sum() / max(1, a.capacity.sum())),
        "mean_wait_h": float((s.start[rows] - a.release[rows]).mean()) if rows.size else 0.0,
        "gap": None if bound_ucny is None else gap_of(bound_ucny, welfare),
    }


def measure(book: Path) -> list[dict[str, Any]]:
    """Clear one book both ways and by first fit; the gap of first fit is against the bound of the coupled clearing."""
    round_ = open_round(book)
    rows = []
    bound = None
    for coupling in (Coupling.ISOLATED, Coupling.FULL):
        a = book_arrays(round_.book, round_.terms, coupling)
        begin = time.perf_counter()
        cleared = solve(a, Effort(), time.perf_counter)
        seconds = time.perf_counter() - begin
        bound = cleared.bound_ucny
        rows.append({"rule": str(coupling.value), "seconds": seconds, **figures(a, cleared.state, bound)})
    a = book_arrays(round_.book, round_.terms, Coupling.FULL)
    begin = time.perf_counter()
    s = first_fit_state(a)
    rows.insert(1, {"rule": "first fit, coupled", "seconds": time.perf_counter() - begin, **figures(a, s, bound)})
    return rows


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = {str(book): measure(book) for book in options.books}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for book, rows in report.items():
        print(
            f"{book}\n{'':<20} {'welfare':>12} {'orders':>8} {'hours':>8} {'util':>7} {'wait h':>7} {'gap':>8} {'s':>7}"
        )
        for r in rows:
            print(
                f"{r['rule']:<20} {r['welfare_cny']:>12,.0f} {r['orders_served']:>8.1%} {r['hours_served']:>8.1%}"
                f" {r['utilisation']:>7.1%} {r['mean_wait_h']:>7.2f} {r['gap']:>8.2%} {r['seconds']:>7.2f}"
            )


if __name__ == "__main__":
    main()
