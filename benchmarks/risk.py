"""A portfolio of 100,000 unlike loans in 10,000 scenarios: seconds, and a peer that asks every loan.

Run as ``python -m benchmarks.risk [--loans N] [--scenarios S] [--years Y] [--json]`` from the root of the repository.
The peer is what somebody writes in numpy: one uniform number per loan and scenario, compared with the loan's
conditional probability, the losses summed by a product. It is measured on fewer scenarios and scaled up.
"""

import argparse
import json
import resource
import time
from typing import Any

import numba
import numpy as np

from dujiang.core.text import Text
from dujiang.finance.portfolio import Loans, expected_losses, simulate
from dujiang.finance.waterfall import Cession, Per

PARTIES = 5
LIMIT_UCNY = 10**15
"""Attachment of the stop-loss, in each year."""


def chain(years: int) -> tuple[Cession, ...]:
    """Return agreements of every form."""
    return (
        Cession("guarantee", Text("guarantee", "担保"), 0, 1, Per.LOAN, 800_000),
        Cession("re-guarantee", Text("re-guarantee", "再担保"), 1, 2, Per.LOAN, 500_000),
        Cession("fund", Text("fund", "资金池"), 0, 3, Per.YEAR, 500_000, most_in_all_ucny=2 * 10**14),
        Cession("stop-loss", Text("stop-loss", "超赔"), 1, 4, Per.YEAR, 900_000, above_ucny=(LIMIT_UCNY,) * years),
    )


def made_up(count: int, seed: int = 1) -> Loans:
    """Draw loans that all differ in amount and probability."""
    rng = np.random.default_rng(seed)
    owed = np.round(rng.lognormal(14.2, 0.8, count)).astype(np.int64) * 1_000_000
    pd = np.clip(rng.lognormal(np.log(0.02), 0.8, count) * 1e6, 500, 400_000).astype(np.int64)
    lgd = rng.integers(300_000, 800_000, count)
    return Loans(
        owed, pd, lgd, np.full(count, 120_000), rng.integers(1, 4, count).astype(np.int64), np.zeros(count, dtype=bool)
    )


def one_by_one(loans: Loans, scenarios: int, seed: int = 1) -> float:
    """Ask every loan in every scenario of one year, in numpy; return the seconds."""
    from statistics import NormalDist

    normal = NormalDist()
    threshold = np.array([normal.inv_cdf(int(p) / 1e6) for p in loans.pd_ppm])
    grid = np.linspace(-8, 8, 20_001)
    table = np.array([normal.cdf(x) for x in grid])
    lost = loans.losses(loans.balances(1))[:, 0].astype(np.float64)
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    for _ in range(scenarios):
        z = rng.standard_normal()
        p = np.interp((threshold - np.sqrt(0.12) * z) / np.sqrt(0.88), grid, table)
        float(lost @ (rng.random(p.size) < p))
    return time.perf_counter() - begin


def measure(count: int, scenarios: int, years: int) -> dict[str, Any]:
    """Measure everything."""
    simulate(made_up(100), chain(years), 0, PARTIES, years, 10, 1)  # compiles
    loans = made_up(count)
    wall, cpu = time.perf_counter(), time.process_time()
    found = simulate(loans, chain(years), 0, PARTIES, years, scenarios, 1)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    some = max(1, min(scenarios, 200))
    asked = one_by_one(loans, some) * scenarios * years / some
    losses = found.borne.by_party.sum(axis=2)
    mean, closed = float(losses.sum(axis=1).mean()), float(expected_losses(loans, years).sum())
    deviation = float(losses.sum(axis=1).std(ddof=1)) / scenarios**0.5
    return {
        "loans": count,
        "scenarios": scenarios,
        "years": years,
        "threads": numba.get_num_threads(),
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "defaults_per_scenario": round(float(found.defaults.sum() / scenarios), 1),
        "asking_every_loan_in_numpy_seconds": round(asked, 1),
        "times_faster": round(asked / wall, 1),
        "mean_over_closed_form": round(mean / closed, 5),
        "standard_errors_from_closed_form": round((mean - closed) / deviation, 2),
        "goal_seconds": 30,
        "goal_met": wall < 30,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=100_000)
    parser.add_argument("--scenarios", type=int, default=10_000)
    parser.add_argument("--years", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    asked_for = parser.parse_args()
    report = measure(asked_for.loans, asked_for.scenarios, asked_for.years)
    if asked_for.json:
        print(json.dumps(report, indent=2))
        return
    print("Losses of a portfolio")
    for name, value in report.items():
        print(f"  {name.replace('_', ' '):<40} {value}")


if __name__ == "__main__":
    main()
