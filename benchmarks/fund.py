"""Funding plans of large projects: 60 months, 40 instruments; time to a proven optimum, and its gap.

Run as ``python -m benchmarks.fund [--json] [--seeds N]`` from the root of the repository. The clock is that of the
processor, so that a busy machine disturbs little; the solver runs on one thread.
"""

import argparse
import json
import time
from datetime import date
from typing import Any

import numpy as np

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.model import SolverLimits, build
from dujiang.finance.planner import plan, prepared
from dujiang.finance.project import Project
from dujiang.finance.schedule import breaches

MONTHS, INSTRUMENTS = 60, 40
GOAL_SECONDS, GOAL_GAP = 20.0, 0.001
KINDS = ("compute", "data", "people", "equipment", "compliance")
YUAN = MICRO


def _amount(rng: np.random.Generator, low: float, high: float) -> int:
    """Draw an amount in whole thousands of yuan."""
    return int(rng.uniform(low, high) / 1000) * 1000 * YUAN


def _instrument(rng: np.random.Generator, number: int, kind: Kind) -> Instrument:
    """Draw the terms of an instrument; every second one has what makes a plan whole-numbered."""
    key = f"{kind}-{number}"
    name = Text(key, key)
    some = frozenset(rng.choice(KINDS, size=int(rng.integers(1, 4)), replace=False).tolist())
    lead = int(rng.integers(0, 5))
    if kind is Kind.SUBSIDY:
        return Instrument(
            *(key, kind, name, ""),
            uses=some,
            rate_of_cost_ppm=int(rng.integers(5, 31)) * 10_000,
            delay_months=int(rng.integers(3, 13)),
            most_per_year_ucny=_amount(rng, 2e5, 2e6),
            most_ucny=_amount(rng, 1e6, 5e6),
            group="voucher" if number % 2 else None,
        )
    if kind is Kind.EQUITY:
        return Instrument(
            *(key, kind, name, ""),
            least_ucny=_amount(rng, 1e6, 3e6),
            most_ucny=_amount(rng, 5e6, 3e7),
            once=True,
            required_return_ppm=int(rng.integers(15, 31)) * 10_000,
            pre_money_ucny=_amount(rng, 5e7, 2e8),
            lead_months=lead,
        )
    if kind is Kind.GUARANTEE:
        return Instrument(*(key, kind, name, ""), fee_ppm=10_000, most_ucny=_amount(rng, 3e6, 1e7))
    repayment = (Repayment.FREE, Repayment.EQUAL, Repayment.END)[number % 3]
    return Instrument(
        *(key, kind, name, ""),
        uses=some if number % 2 or kind is Kind.LEASE else None,
        least_ucny=_amount(rng, 1e5, 1e6) if number % 2 else 0,
        most_ucny=_amount(rng, 2e6, 1.2e7),
        term_months=int(rng.choice([12, 24, 36, 60])),
        grace_months=6 if repayment is Repayment.EQUAL else 0,
        repayment=repayment,
        rate_ppm=int(rng.integers(25, 90)) * 1000,
        fee_ppm=int(rng.integers(0, 11)) * 1000,
        fixed_fee_ucny=_amount(rng, 5e3, 5e4) if number % 3 == 0 else 0,
        share_of_costs_ppm=int(rng.integers(3, 9)) * 100_000 if number % 4 == 0 else None,
        collateral="patents" if number % 5 == 0 else None,
        ltv_ppm=500_000 if number % 5 == 0 else None,
        needs=("guarantee-0",) if number % 7 == 3 else (),
        group="bank" if number % 6 == 1 else None,
        lead_months=lead,
    )


def project_of(seed: int, months: int = MONTHS, instruments: int = INSTRUMENTS) -> Project:
    """Return a project that burns money for half its time and earns it back after that."""
    rng = np.random.default_rng(seed)
    kinds = [Kind.GUARANTEE, *[Kind.SUBSIDY] * 8, *[Kind.EQUITY] * 4, *[Kind.LEASE] * 5, *[Kind.BOND] * 2]
    kinds += [Kind.LOAN] * (instruments - len(kinds))
    costs = {kind: tuple(_amount(rng, 0.5, 1.5) // 1 + _amount(rng, 5e4, 4e5) for _ in range(months)) for kind in KINDS}
    burn = sum(map(sum, costs.values())) // months
    rise = np.clip((np.arange(months) - 0.3 * months) / (0.3 * months), 0.0, 1.0)
    income = tuple(int(share * 1.9 * burn / YUAN) * YUAN for share in rise)
    return Project(
        f"bench-{seed}",
        Text("benchmark", "基准"),
        date(2026, 1, 1),
        months,
        6 * burn,
        costs,
        income,
        tuple(_instrument(rng, number, kind) for number, kind in enumerate(kinds)),
        reserve_ucny=burn,
        assets={"patents": 8_000_000 * YUAN},
    )


def measured(seed: int, solver: SolverLimits) -> dict[str, Any]:
    """Return what one plan took and how good it is."""
    project = project_of(seed)
    model = build(prepared(project)[0])
    begin, wall = time.process_time(), time.perf_counter()
    made = plan(project, solver=solver)
    seconds, wall = time.process_time() - begin, time.perf_counter() - wall
    document: dict[str, Any] = {
        "seed": seed,
        "columns": len(model.cost),
        "whole": len(model.whole_columns()),
        "processor_s": round(seconds, 2),
        "wall_s": round(wall, 2),
        "feasible": made is not None,
    }
    if made is not None:
        document |= {
            "proven": made.proven,
            "gap": made.gap,
            "lawful": not breaches(made.project, made.schedule),
            "used": len(made.schedule.used),
            "present_value_cny": made.cost.present_value_ucny / YUAN,
        }
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    rows = [measured(seed, SolverLimits()) for seed in range(1, options.seeds + 1)]
    reached = all(
        row["feasible"] and row["proven"] and row["gap"] <= GOAL_GAP and row["wall_s"] <= GOAL_SECONDS for row in rows
    )
    document = {
        "months": MONTHS,
        "instruments": INSTRUMENTS,
        "goal": {"seconds": GOAL_SECONDS, "gap": GOAL_GAP},
        "reached": reached,
        "worst_processor_s": max(row["processor_s"] for row in rows),
        "worst_gap": max((row["gap"] for row in rows if row["feasible"]), default=None),
        "projects": rows,
    }
    if options.json:
        print(json.dumps(document, indent=2))
        return
    for row in rows:
        print(row)
    print(f"reached: {reached}; worst {document['worst_processor_s']} s, gap {document['worst_gap']}")


if __name__ == "__main__":
    main()
