"""The clearing as a time-indexed integer programme for HiGHS: the oracle that the engine is compared with.

One column for every block that its pool could hold alone and that pays: order, pool, start, voucher option. One row
per order (at most one block), per pool and slot (capacity), per budget, per cap and per contract and programme. A
voucher column draws the least that its voucher can be, so with vouchers the programme is a relaxation: its optimum is
an upper bound on the welfare. Without integrality it is the linear programme whose dual the engine solves, because
the choice of one order has the integrality property; the optimum of the two is the same.
"""

from typing import NamedTuple

import highspy
import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.dual import prefix


class Solved(NamedTuple):
    """What HiGHS found, yuan."""

    value: float
    """Welfare of its best allocation; of the linear programme its optimum."""
    bound: float
    """No allocation has more."""
    optimal: bool
    columns: int


class _Columns(NamedTuple):
    worth: list[float]
    lengths: list[int]
    rows: list[np.ndarray]
    values: list[np.ndarray]


def _contract_rows(a: BookArrays) -> dict[tuple[int, int], int]:
    """Number the pairs of contract and option that several orders could use."""
    several = np.flatnonzero(np.bincount(a.contract) > 1) if a.contract.size else []
    keys = [(int(c), k) for c in several for k in range(1, a.budget.shape[0])]
    return {key: row for row, key in enumerate(keys)}


def _columns(a: BookArrays, contracts: dict[tuple[int, int], int]) -> _Columns:
    orders, pools = a.slots.shape
    slots = a.capacity.shape[1]
    cells, budgets = orders, orders + pools * slots
    caps = budgets + a.budget.shape[0]
    once = caps + a.cap_left.shape[0]
    ask_sum = prefix(a.ask)
    out = _Columns([], [], [], [])
    for j in range(orders):
        gpus = int(a.gpus[j])
        for p in np.flatnonzero(a.slots[j]).tolist():
            d = int(a.slots[j, p])
            short = np.concatenate([[0], np.cumsum(a.capacity[p] < gpus)])
            extra = int(a.carbon[p]) * gpus * d - int(a.bonus[j])
            for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
                if short[t + d] > short[t]:
                    continue
                ask = gpus * int(ask_sum[p, t + d] - ask_sum[p, t])
                room = np.arange(cells + p * slots + t, cells + p * slots + t + d)
                for k in range(a.limit.shape[2]):
                    limit = int(a.limit[j, p, k])
                    if limit < ask or limit - ask - extra <= 0:
                        continue
                    rows, values = [np.array([j]), room], [np.ones(1), np.full(d, float(gpus))]
                    if k > 0:
                        least = min(ask * int(a.share[j, p, k]) // MICRO, int(a.room[j, k]))
                        least = max(least, int(a.minimum[k]))
                        drawn = [budgets + k] + ([caps + int(a.cap[j, k])] if a.cap[j, k] >= 0 else [])
                        rows.append(np.array(drawn))
                        values.append(np.full(len(drawn), least / MICRO))
                        row = contracts.get((int(a.contract[j]), k))
                        if row is not None:
                            rows.append(np.array([once + row]))
                            values.append(np.ones(1))
                    out.worth.append((limit - ask - extra) / MICRO)
                    out.rows.append(np.concatenate(rows))
                    out.values.append(np.concatenate(values))
                    out.lengths.append(out.rows[-1].size)
    return out


def solve(a: BookArrays, *, integer: bool, seconds: float = 60.0, gap: float = 0.0) -> Solved:
    """Solve the programme; the linear one leaves contracts out, as the dual does."""
    contracts = _contract_rows(a) if integer else {}
    columns = _columns(a, contracts)
    if not columns.worth:
        return Solved(0.0, 0.0, True, 0)
    free = np.where(a.limited, a.budget / MICRO, np.inf)
    upper = np.concatenate(
        [np.ones(a.gpus.shape[0]), a.capacity.ravel(), free, a.cap_left / MICRO, np.ones(len(contracts))]
    ).astype(np.float64)
    count = len(columns.worth)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, upper.size
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = np.array(columns.worth)
    lp.col_lower_, lp.col_upper_ = np.zeros(count), np.ones(count)
    lp.row_lower_, lp.row_upper_ = np.full(upper.size, -np.inf), upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(columns.lengths)]).astype(np.int32)
    lp.a_matrix_.index_ = np.concatenate(columns.rows).astype(np.int32)
    lp.a_matrix_.value_ = np.concatenate(columns.values)
    if integer:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 1)
    solver.setOptionValue("time_limit", seconds)
    solver.setOptionValue("mip_rel_gap", gap)
    solver.setOptionValue("mip_abs_gap", 0.0)
    solver.passModel(lp)
    solver.run()
    info, status = solver.getInfo(), solver.getModelStatus()
    optimal = status == highspy.HighsModelStatus.kOptimal
    value = float(info.objective_function_value)
    return Solved(value, float(info.mip_dual_bound) if integer else value, optimal, count)
