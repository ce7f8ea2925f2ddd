"""Exact mode for small books: the proven optimum, or the best bound in the time given, by HiGHS.

The problem. The engine's certificate comes from prices alone, so what indivisible blocks cost is part of its gap. On a
small book an integer programme can look into that gap.

The formulation. One whole column for every block of every class of equal orders, one row for every order, pool and
slot, limited link and slot, budget, cap and shared contract. Published prices stay those of the dual; with them every
voucher is a known whole number, so no column depends on another. It is small because of what is left out first:

* blocks that the engine's prices prove useless for anything better than the engine's own allocation;
* rows that cannot be exceeded, and rows of slots that a neighbouring slot implies;
* capacity that no set of gangs could use exactly: 13 accelerators wanted in eights are 8.

What is left falls apart into components that share nothing, and each is solved alone, starting from the allocation at
hand.

What is proven. Every allocation that pays by the rule at the published prices has at most the welfare
`ExactResult.bound_at_prices_ucny`. Where no voucher takes part, that is every allocation. The bound rests on the
solver: on floating-point linear programmes and branch and bound within its tolerances, to which a margin is added that
covers them. Unlike the dual bound it cannot be checked from prices by another program.

Worked case. 3 accelerators in one slot, ask 0; A wants 2 for 10 yuan, B 2 for 9, C 1 for 4. The dual bound is 14.5; A
and C are 14, and the exact mode proves that nothing is better.
"""

from collections.abc import Callable
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from dujiang.core.money import MICRO
from dujiang.market.arrays import BookArrays
from dujiang.market.columns import Columns, Float, Int, Rates, classes, empty_columns, list_blocks
from dujiang.market.dual import Prices
from dujiang.market.engine import Cleared, Clock, Progress, gap_of
from dujiang.market.rows import Rows, components, needed, rows_of
from dujiang.market.state import Posted, State, copied, empty_state, posted_prices, put, take

Tell = Callable[[], None]
Whole = npt.NDArray[np.int32] | npt.NDArray[np.int64]

MAX_COLUMNS = 400_000
"""Blocks that could matter beyond which nothing is tried: the linear programme alone would take minutes."""
MAX_LOOKED_AT = 100 * MAX_COLUMNS
"""Blocks, those that cannot matter included, beyond which nothing is tried."""
SLACK_UCNY = 1.0 * MICRO
"""What reduced-cost fixing allows for its float sums, beside a billionth of the bound."""
PRESOLVE_MOST = 300_000
"""Entries of an integer programme beyond which the solver's presolve costs more than it saves."""
FEASIBILITY = 1e-8
"""By how much the solver may miss a row or a whole number: a hundredth of a micro-yuan. With its default of a whole
one, vouchers of single micro-yuan made it prove falsehoods: on 2 of 2500 random books its bound was too low."""
TOLERANCE = 1e-7
"""By how much a reduced cost may be off, yuan."""


_TRUSTED = (
    highspy.HighsModelStatus.kOptimal,
    highspy.HighsModelStatus.kTimeLimit,
    highspy.HighsModelStatus.kSolutionLimit,
)
"""Ends after which the solver's bound means something."""


class Limits(NamedTuple):
    """When HiGHS stops, and where its random numbers begin."""

    seconds: float = 60.0
    nodes: int = 2**31 - 1
    """Of branch and bound, for each component. A run that they end, and not the clock, can be repeated."""
    draw: int = 1


class ExactResult(NamedTuple):
    """The same awards or better ones, and what is proven about them."""

    state: State
    bound_ucny: int
    """No allocation has a greater welfare, whatever it pays; the dual bound unless vouchers play no part."""
    bound_at_prices_ucny: int
    """No allocation that pays by the rule at the published prices has a greater welfare."""
    optimal: bool
    """Whether the solver proved, within its tolerances, that none of those is better than `state`."""
    cut_short: bool
    """The time ran out, not the nodes: another run may end elsewhere."""
    columns: int
    """Blocks that matter; above `MAX_COLUMNS` nothing was tried."""
    rows: int
    components: int
    nodes: int


class _Found(NamedTuple):
    """What HiGHS says of one component."""

    x: Int | None
    """[N] whole; None: nothing better than what it began with."""
    bound: float
    """No x has more, micro-yuan, margin included; infinite if nothing is known."""
    proven: bool
    """Whether nothing is better than the better of `x` and what it began with."""
    cut_short: bool
    nodes: int


class _Problem(NamedTuple):
    """Columns and rows of one component; everything whole."""

    columns: Columns
    rows: Rows
    member: Int
    """[N] class of each column."""
    begin: Int
    """[N] orders of the class that hold the block in the allocation to start from."""


def _margin(rows: Rows) -> float:
    """Return what the tolerances of the solver can be worth, yuan.

    A reduced cost may be off by `TOLERANCE` for every column, of which an order takes one, and for every row, which
    takes no more than its right-hand side.
    """
    return TOLERANCE * (10.0 + 2.0 * float((rows.right / rows.unit).sum()))


def _model(problem: _Problem, rows: Rows, most: Int) -> highspy.HighsLp:
    count = problem.columns.order.size
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, rows.right.size
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = problem.columns.worth / MICRO
    lp.col_lower_, lp.col_upper_ = np.zeros(count), most.astype(np.float64)
    lp.row_lower_, lp.row_upper_ = np.full(rows.right.size, -np.inf), rows.right / rows.unit
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.searchsorted(rows.column, np.arange(count + 1)).astype(np.int32)
    lp.a_matrix_.index_ = rows.row.astype(np.int32)
    lp.a_matrix_.value_ = rows.value / rows.unit[rows.row]
    lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    return lp


def _fits(rows: Rows, x: Int) -> bool:
    """Return whether whole numbers satisfy all rows, exactly."""
    used = np.zeros(rows.right.size, dtype=np.int64)
    np.add.at(used, rows.row, rows.value * x[rows.column])
    return bool((used <= rows.right).all())


def _run(problem: _Problem, rows: Rows, most: Int, limits: Limits, tell: Tell) -> _Found:
    """Let HiGHS look for something better than what the problem begins with."""
    have = int(problem.columns.worth @ problem.begin)
    if limits.seconds <= 0.0:
        return _Found(None, np.inf, False, True, 0)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {
        "output_flag": False,
        "threads": 1,
        "random_seed": limits.draw,
        "time_limit": limits.seconds,
        "mip_max_nodes": limits.nodes,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": FEASIBILITY,
    }
    for name, value in options.items():
        solver.setOptionValue(name, value)
    if rows.row.size > PRESOLVE_MOST:
        solver.setOptionValue("presolve", "off")
    solver.passModel(_model(problem, rows, most))
    begin = highspy.HighsSolution()
    begin.col_value = problem.begin.astype(np.float64)
    solver.setSolution(begin)
    status = _wait_for(solver, tell)
    info = solver.getInfo()
    bound = (float(info.mip_dual_bound) + _margin(rows)) * MICRO if status in _TRUSTED else np.inf
    x = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        found = np.rint(np.asarray(solver.getSolution().col_value)).astype(np.int64)
        if _fits(problem.rows, found) and int(problem.columns.worth @ found) > have:
            x = found
    reached = have if x is None else int(problem.columns.worth @ x)
    done = status == highspy.HighsModelStatus.kOptimal
    proven = done and bound <= reached + 3.0 * _margin(rows) * MICRO
    cut_short = not done and int(info.mip_node_count) < limits.nodes
    return _Found(x, max(bound, float(reached)), proven, cut_short, int(info.mip_node_count))


def _wait_for(solver: highspy.Highs, tell: Tell) -> highspy.HighsModelStatus:
    """Run the solver beside this thread, so that Ctrl-C ends it."""
    solver.HandleUserInterrupt = True
    solver.startSolve()
    try:
        while not solver.wait(0.2)[0]:
            tell()
    except BaseException:
        solver.cancelSolve()  # type: ignore[no-untyped-call]
        solver.wait()
        raise
    return solver.getModelStatus()


class _Book(NamedTuple):
    """A book as it is looked at: prices, and its orders by class."""

    a: BookArrays
    s: State
    """Without any award."""
    posted: Posted
    rates: Rates
    orders: Int
    """First row of each class."""
    members: Int
    """Orders of each class."""
    rows: list[Int]
    """Rows of each class, ascending."""


def _book(a: BookArrays, prices: Prices) -> _Book:
    member, first = classes(a)
    by_class = np.argsort(member, kind="stable")
    members = np.bincount(member, minlength=first.size)
    budget = np.where(a.limited, prices.budget_paid, 0)
    rates = Rates(prices.link / MICRO, budget / MICRO, prices.cap_paid / MICRO)
    rows = np.split(by_class, np.cumsum(members)[:-1])
    return _Book(a, empty_state(a), posted_prices(a, prices.capacity), rates, first, members, rows)


def _possible_blocks(a: BookArrays) -> int:
    """Return at least as many as there are blocks."""
    pools = np.diff(a.place_first)[a.place]
    return int((np.maximum(a.deadline - a.release, 0) * pools).sum()) * a.parts.shape[0]  # type: ignore[no-any-return]


def _columns(book: _Book, have: int) -> tuple[Columns, Float, int]:
    """Return the blocks that could be in something better than `have`, each class's greatest surplus, and their number.

    Beyond `MAX_COLUMNS` none are listed.
    """
    a, s = book.a, book.s
    best = np.zeros(a.gpus.size)
    none = empty_columns(0, a.parts.shape[1])
    list_blocks(a, s, book.posted, book.rates, book.orders, np.full(a.gpus.size, np.inf), best, none)
    price = np.diff(book.posted.price_sum - book.posted.ask_sum, axis=1)
    dual = float((price * s.free.astype(np.float64)).sum() + (book.rates.link * s.link).sum())
    dual += float(book.rates.budget @ s.budget + book.rates.cap @ s.cap + best[book.orders] @ book.members)
    least = best - (dual - have) - SLACK_UCNY - 1e-9 * abs(dual)
    count = list_blocks(a, s, book.posted, book.rates, book.orders, least, best, none)
    out = empty_columns(count if count <= MAX_COLUMNS else 0, a.parts.shape[1])
    list_blocks(a, s, book.posted, book.rates, book.orders, least, best, out)
    return out, best[book.orders], count


def _codes(book: _Book, group: Int, pool: Whole, option: Whole, start: Whole) -> Int:
    """Number blocks so that columns ascend."""
    pools, slots = book.a.capacity.shape
    code: Int = ((group * pools + pool) * book.a.parts.shape[0] + option) * slots + start
    return code


def _begin(book: _Book, c: Columns, member: Int, held: State) -> Int:
    """Return how many orders of its class hold the block of each column."""
    group = np.repeat(np.arange(book.orders.size), book.members)
    rows = np.concatenate(book.rows)
    served = held.pool[rows] >= 0
    rows, group = rows[served], group[served]
    wanted = _codes(book, group, held.pool[rows], held.option[rows], held.start[rows])
    column = np.searchsorted(_codes(book, member, c.pool, c.option, c.start), wanted)
    return np.bincount(column, minlength=c.order.size)


def _problems(book: _Book, c: Columns, surplus: Float, held: State) -> list[_Problem]:
    """Split columns into components and leave out, in each, what could only be in something worse.

    Leaving out splits further, and a smaller component allows less loss: done until nothing changes, at most thrice.
    """
    member = np.searchsorted(book.orders, c.order)
    begin = _begin(book, c, member, held)
    rows = rows_of(book.a, book.s, book.posted, book.rates, c, member, book.members, np.maximum(surplus, 0.0))
    for _ in range(3):
        part = components(rows, c.order.size)
        have = np.bincount(part, weights=begin * c.worth)
        of_row = np.zeros(rows.right.size, dtype=np.int64)
        of_row[rows.row] = part[rows.column]
        dual = np.bincount(of_row, weights=rows.price * rows.right)
        loss = dual - have + SLACK_UCNY + 1e-9 * dual
        kept = (np.maximum(surplus, 0.0)[member] - c.reduced <= loss[part]) | (begin > 0)
        if kept.all():
            break
        c, member, begin, rows = c.pick(kept), member[kept], begin[kept], rows.of(kept)
    part = components(rows, c.order.size)
    pieces = [part == number for number in range(part.max(initial=-1) + 1)]
    return [_Problem(c.pick(piece), rows.of(piece), member[piece], begin[piece]) for piece in pieces]


class _Searched(NamedTuple):
    """What came of all components."""

    bound: float
    """No allocation at the prices has more, micro-yuan; infinite if nothing is known."""
    proven: bool
    cut_short: bool
    columns: int
    rows: int
    components: int
    nodes: int


def _enter(book: _Book, problem: _Problem, x: Int, held: State) -> None:
    """Change the awards of a component's classes to `x`; equal orders get blocks by row."""
    waiting = {}
    for group in np.unique(problem.member).tolist():
        waiting[group] = iter(book.rows[group].tolist())
        for j in book.rows[group].tolist():
            if held.pool[j] >= 0:
                take(book.a, held, j)
    c = problem.columns
    for i in np.flatnonzero(x).tolist():
        for _ in range(int(x[i])):
            j = next(waiting[int(problem.member[i])])
            put(book.a, held, book.posted, j, int(c.pool[i]), int(c.start[i]), int(c.option[i]))


def _search(book: _Book, held: State, limits: Limits, clock: Clock, tell: Tell) -> _Searched:
    """Look for a better allocation; `held` is changed to it.

    Components are solved from small to large; each has the share of the time left that it has of the columns left.
    """
    opened = clock()
    possible = _possible_blocks(book.a)
    if possible > MAX_LOOKED_AT:
        return _Searched(np.inf, False, False, possible, 0, 0, 0)
    columns, surplus, number = _columns(book, int(held.worth.sum()))
    if number > MAX_COLUMNS:
        return _Searched(np.inf, False, False, number, 0, 0, 0)
    problems = sorted(_problems(book, columns, surplus, held), key=lambda problem: problem.columns.order.size)
    total = left = sum(problem.columns.order.size for problem in problems)
    found: list[_Found] = []
    count = 0
    for problem in problems:
        size = problem.columns.order.size
        seconds = (limits.seconds - (clock() - opened)) * size / left
        rows = needed(problem.rows, book.a, problem.columns, problem.member, book.members)
        found.append(_run(problem, rows, book.members[problem.member], limits._replace(seconds=seconds), tell))
        x = found[-1].x
        if x is not None:
            _enter(book, problem, x, held)
        count, left = count + rows.right.size, left - size
    return _Searched(
        sum(f.bound for f in found),
        all(f.proven for f in found),
        any(f.cut_short for f in found),
        total,
        count,
        len(problems),
        sum(f.nodes for f in found),
    )


def solve_exact(
    a: BookArrays, cleared: Cleared, limits: Limits, clock: Clock, progress: Progress | None = None
) -> ExactResult:
    """Look for the best awards at the published prices, and prove how good they are.

    Parameters
    ----------
    a : the book
    cleared : what the engine found; its prices stay
    limits : time and nodes
    clock : seconds, to share the time out among components
    progress : told the phase, its share done and the gap

    Returns
    -------
    awards at least as good, and the bounds; `cleared` is not changed
    """
    opened = clock()
    held = copied(cleared.state)
    book = _book(a, cleared.prices)

    def tell() -> None:
        if progress is not None:
            gap = gap_of(cleared.bound_at_prices_ucny, int(held.worth.sum()))
            progress("exact", min(1.0, (clock() - opened) / limits.seconds), gap)

    searched = _search(book, held, limits, clock, tell)
    welfare = int(held.worth.sum())
    at_prices = cleared.bound_at_prices_ucny
    if np.isfinite(searched.bound):
        at_prices = min(at_prices, max(welfare, int(np.ceil(searched.bound))))
    free_of_vouchers = a.parts.shape[0] == 1 or not a.allowed[:, 1:].any()
    return ExactResult(
        held,
        min(cleared.bound_ucny, at_prices) if free_of_vouchers else cleared.bound_ucny,
        at_prices,
        searched.proven,
        searched.cut_short,
        searched.columns,
        searched.rows,
        searched.components,
        searched.nodes,
    )
