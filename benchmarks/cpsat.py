"""CP-SAT on one clearing without vouchers, run as a program by the Python of `.venv-cpsat`: model file in, JSON out.

Stands apart from everything of ours: HiGHS and CP-SAT in one process crash each other. The formulation is the one that
suits CP-SAT best of those tried: an optional interval with a free start for every order and pool, a cumulative
constraint for every pool. It needs prices and capacities that are the same in all slots.

Usage: ``cpsat.py MODEL.npz SECONDS WORKERS``.
"""

import json
import sys

import numpy as np
from ortools.sat.python import cp_model


def build(m: dict[str, np.ndarray]) -> cp_model.CpModel:
    """Return the model of the file's arrays: one entry for every order and pool, starts as a list cut by `first`."""
    model = cp_model.CpModel()
    intervals: dict[int, list[cp_model.IntervalVar]] = {}
    gangs: dict[int, list[int]] = {}
    of_order: dict[int, list[cp_model.IntVar]] = {}
    served = []
    for i in range(m["order"].size):
        starts = m["start"][m["first"][i] : m["first"][i + 1]].tolist()
        begin = model.new_int_var_from_domain(cp_model.Domain.from_values(starts), "")
        taken = model.new_bool_var("")
        pool = int(m["pool"][i])
        interval = model.new_optional_fixed_size_interval_var(begin, int(m["slots"][i]), taken, "")
        intervals.setdefault(pool, []).append(interval)
        gangs.setdefault(pool, []).append(int(m["gpus"][i]))
        of_order.setdefault(int(m["order"][i]), []).append(taken)
        served.append(taken)
    for ways in of_order.values():
        model.add_at_most_one(ways)
    for pool, mine in intervals.items():
        model.add_cumulative(mine, gangs[pool], int(m["capacity"][pool]))
    model.maximize(cp_model.LinearExpr.weighted_sum(served, m["worth_fen"].tolist()))
    return model


def main() -> None:
    """Solve one file."""
    path, seconds, workers = sys.argv[1:]
    with np.load(path) as file:
        model = build(dict(file))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = float(seconds)
    solver.parameters.num_workers = int(workers)
    solver.parameters.random_seed = 1
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    print(
        json.dumps(
            {
                "value_cny": solver.objective_value / 100 if found else 0.0,
                "bound_cny": solver.best_objective_bound / 100,
                "proven": status == cp_model.OPTIMAL,
                "seconds": solver.wall_time,
            }
        )
    )


if __name__ == "__main__":
    main()
