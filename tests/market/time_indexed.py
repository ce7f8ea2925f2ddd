"""The clearing as a time-indexed programme for HiGHS, written plainly: an oracle beside the compiled code.

One column for every block that its pool could hold alone and that pays: order, pool, start, voucher option. One row
per order (at most one block), per pool and slot, per limited link and slot, per budget, per cap and per contract and
programme. Without prices a voucher column draws the least that its vouchers can be, so with vouchers the programme is a
relaxation: its optimum is an upper bound on the welfare. With prices it draws what the payment rule makes of them, and
leaves out options that are not usable then. Without integrality it is the linear programme whose dual the engine
solves, because the choice of one order has the integrality property; the optimum of the two is the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

import highspy
import numpy as np

from dujiang.core.money import MICRO
from dujiang.market.amounts import bearable, least, pay
from dujiang.market.arrays import BookArrays


class Solved(NamedTuple):
    """What HiGHS found, yuan."""

    value: float
    """Welfare of its best allocation; of the linear programme its optimum."""
    bound: float
    """No allocation has more."""
    optimal: bool
    columns: int


class _Column(NamedTuple):
    worth: int
    uses: dict[tuple[str, int, int], float]
    """Entries by row; money in yuan, data in GB."""


def _vouchers(a: BookArrays, j: int, p: int, o: int, ask: int, limit: int, price: int | None) -> list[int] | None:
    """Return the vouchers of a block; None if the option is not usable at the prices."""
    parts = np.zeros(a.parts.shape[1], dtype=np.int64)
    programmes = [k for k in a.parts[o].tolist() if k >= 0]
    if price is None:
        least(a, j, p, o, ask, parts)
        return parts[: len(programmes)].tolist()
    pay(a, j, p, o, max(ask, min(price, limit)), parts)
    paid = parts[: len(programmes)].tolist()
    return None if any(v < max(1, a.minimum[k]) for v, k in zip(paid, programmes, strict=True)) else paid


def _blocks(a: BookArrays, j: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield pool, start, duration and link (-1: none) of every block that an empty market could hold."""
    place, gpus = int(a.place[j]), int(a.gpus[j])
    for p in a.place_pool[a.place_first[place] : a.place_first[place + 1]].tolist():
        d, route = int(a.slots[a.shape[j], p]), int(a.route[place, p])
        for t in range(int(a.release[j]), int(a.deadline[j]) - d + 1):
            if (a.capacity[p, t : t + d] >= gpus).all() and (route < 0 or a.data[j] <= a.link_left[route, t]):
                yield p, t, d, route


def _columns(a: BookArrays, price: np.ndarray | None, contracts: bool) -> Iterator[_Column]:
    for j in range(a.gpus.size):
        gpus = int(a.gpus[j])
        for p, t, d, route in _blocks(a, j):
            ask = gpus * int(a.ask[p, t : t + d].sum())
            cost = None if price is None else gpus * int(price[p, t : t + d].sum())
            for o in range(a.parts.shape[0]):
                limit = int(bearable(a, j, p, o))
                worth = limit - ask - int(a.carbon[p]) * gpus * d + int(a.bonus[j])
                if limit < ask or limit < 0 or worth <= 0:
                    continue
                vouchers = _vouchers(a, j, p, o, ask, limit, cost)
                if vouchers is None:
                    continue
                uses: dict[tuple[str, int, int], float] = {("order", j, 0): 1.0}
                uses.update({("cell", p, u): float(gpus) for u in range(t, t + d)})
                if route >= 0:
                    uses["link", route, t] = int(a.data[j]) / MICRO
                for k, v in zip(a.parts[o].tolist(), vouchers, strict=False):
                    if a.limited[k]:
                        uses["budget", k, 0] = v / MICRO
                    if a.cap[j, k] >= 0:
                        uses["cap", int(a.cap[j, k]), 0] = v / MICRO
                    if contracts:
                        uses["contract", int(a.contract[j]), k] = 1.0
                yield _Column(worth, uses)


def _right(a: BookArrays, row: tuple[str, int, int]) -> float:
    kind, i, t = row
    tables = {"cell": a.capacity, "link": a.link_left / MICRO, "budget": a.budget / MICRO, "cap": a.cap_left / MICRO}
    if kind not in tables:
        return 1.0
    table = tables[kind]
    return float(table[i, t] if table.ndim == 2 else table[i])


def _model(a: BookArrays, columns: list[_Column], integer: bool) -> highspy.HighsLp:
    rows = {row: number for number, row in enumerate(dict.fromkeys(row for c in columns for row in c.uses))}
    count = len(columns)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, len(rows)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = np.array([c.worth / MICRO for c in columns])
    lp.col_lower_, lp.col_upper_ = np.zeros(count), np.ones(count)
    lp.row_lower_, lp.row_upper_ = np.full(len(rows), -np.inf), np.array([_right(a, row) for row in rows])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum([len(c.uses) for c in columns])]).astype(np.int32)
    lp.a_matrix_.index_ = np.array([rows[row] for c in columns for row in c.uses], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([value for c in columns for value in c.uses.values()])
    if integer:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    return lp


def solve(
    a: BookArrays, *, integer: bool, price: np.ndarray | None = None, seconds: float = 60.0, gap: float = 0.0
) -> Solved:
    """Solve the programme; the linear one leaves contracts out, as the dual does.

    `price` [P, T]: published prices at which vouchers are counted; None: at the least that they can be.
    """
    columns = list(_columns(a, price, contracts=integer))
    if not columns:
        return Solved(0.0, 0.0, True, 0)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 1)
    solver.setOptionValue("time_limit", seconds)
    solver.setOptionValue("mip_rel_gap", gap)
    solver.setOptionValue("mip_abs_gap", 0.0)
    # below a micro-yuan, or vouchers of single ones lead it astray
    solver.setOptionValue("mip_feasibility_tolerance", 1e-8)
    solver.passModel(_model(a, columns, integer))
    solver.run()
    info, status = solver.getInfo(), solver.getModelStatus()
    optimal = status == highspy.HighsModelStatus.kOptimal
    value = float(info.objective_function_value)
    return Solved(value, float(info.mip_dual_bound) if integer else value, optimal, len(columns))
