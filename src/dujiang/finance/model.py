"""The funding of a project as a mixed-integer programme, in yuan, for HiGHS.

Columns, for every instrument and month of its window: what is drawn at the opening, repaid at the end, and owed in
between; for a subsidy, what it pays of each kind of cost of each month; cash at the end of every month. Whole numbers
are few: whether an instrument is used, where a rule asks that, and in which month it is opened, where it has a fixed
fee or a single draw. Where the amounts are coarse (`Project.step_ucny`) and the project is small, draws and free
repayments are whole steps as well; elsewhere they are continuous, and `schedule` makes whole amounts of them.

What counts in the objective is the charge for money, not the money: interest, fees and what an investor wants beyond
what was put in, less subsidies, each discounted from the month in which it is paid. Principal is left out on purpose:
with it, a loan below the discount rate would have a negative cost, and the best plan would borrow it to the ceiling and
let it lie.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from dujiang.core.money import MICRO
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.project import DebtAtEnd, Project

Term = tuple[int, float]
Float = npt.NDArray[np.float64]

YEAR = 12
MAX_STEPS = 2_000
"""Steps in the project's costs above which amounts are continuous in the model."""
MAX_WHOLE = 400
"""Draws and repayments above which amounts are continuous in the model."""
MAX_RUNWAY = 120
"""Months beyond the end that are counted at most."""
NO_CHARGE = 1e-6
"""What a month of money that costs nothing is taken to cost, as a share of it, so that none is drawn for nothing."""


class SolverLimits(NamedTuple):
    """When HiGHS stops."""

    gap: float = 1e-4
    """Relative gap at which an optimum counts as proven."""
    seconds: float = 60.0
    draw: int = 1
    """Where its random numbers begin."""


def first_month(project: Project, item: Instrument) -> int:
    """Return the first month of draws: of the window, and not before it and its guarantees can be had."""
    backers = (project.instrument(key) for key in item.needs)
    leads = [other.lead_months for other in backers if other.kind in (Kind.GUARANTEE, Kind.INSURANCE)]
    return max([item.first_month, item.lead_months, *leads])


def last_month(project: Project, item: Instrument) -> int:
    """Return the last month of draws, or of the spend that a subsidy pays for."""
    last = project.months - 1
    return last if item.last_month is None else min(last, item.last_month)


def arrival(item: Instrument, month: int) -> int:
    """Return the month in which the subsidy for the spend of a month arrives."""
    return max(month + item.delay_months, item.lead_months)


def last_due(project: Project, item: Instrument, month: int) -> int:
    """Return the month at whose end the last of a draw is due; after the end of the project where that is allowed."""
    end = project.months - 1
    if item.term_months is None:
        return end
    due = month + item.term_months - 1
    return due if project.debt_at_end is DebtAtEnd.ALLOWED else min(due, end)


def brings_money(item: Instrument) -> bool:
    """Return whether an instrument is drawn: debt and equity."""
    return item.is_debt or item.kind is Kind.EQUITY


def backed_by(project: Project, key: str) -> tuple[Instrument, ...]:
    """Return what needs a guarantee or an insurance, and so pays for it."""
    return tuple(item for item in project.instruments if key in item.needs and item.is_debt)


def may_run_ahead(item: Instrument) -> bool:
    """Return whether its money may be there before the costs that it is for: what is drawn once, bonds and equity."""
    return item.once or item.kind in (Kind.BOND, Kind.EQUITY)


def is_tied(item: Instrument) -> bool:
    """Return whether its money is for some costs only, or for a share of them."""
    return brings_money(item) and (item.uses is not None or item.share_of_costs_ppm is not None)


def discount(project: Project, month: int) -> float:
    """Return what a yuan at the opening of a month is worth at the start."""
    return float((1.0 + project.discount_ppm / MICRO) ** (-month / YEAR))


def equity_charge(project: Project, item: Instrument, month: int) -> float:
    """Return what a yuan of equity costs: the gain that the investor wants by the end of the project, discounted."""
    years = (project.months - month) / YEAR
    gain = (1.0 + (item.required_return_ppm or 0) / MICRO) ** years - 1.0
    return float(gain * discount(project, project.months))


@dataclass(slots=True)
class Columns:
    """Where the columns of a model are."""

    draw: dict[tuple[str, int], int] = field(default_factory=dict)
    repay: dict[tuple[str, int], int] = field(default_factory=dict)
    owed: dict[tuple[str, int], int] = field(default_factory=dict)
    """During a month, after its draws."""
    support: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Instrument, kind of cost, month of the spend."""
    used: dict[str, int] = field(default_factory=dict)
    opened: dict[tuple[str, int], int] = field(default_factory=dict)
    cash: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    """Money from nowhere; only in the elastic model."""
    runway: int | None = None


class Solution(NamedTuple):
    """What HiGHS found."""

    x: Float | None
    """Value of each column; None: nothing feasible."""
    bound: float
    """Nothing feasible has a lower objective."""
    proven: bool
    """Whether the answer, a solution or that there is none, is proven within the gap asked for."""


class Model:
    """Rows and columns under construction, and then the programme of one project."""

    def __init__(self) -> None:
        self.columns = Columns()
        self.cost: list[float] = []
        self.unit = 1.0
        """Yuan in one unit of every amount: keeps the solver's tolerances far below a fen."""
        self.whole_amounts = False
        self.ceilings: dict[tuple[str, str, int], int] = {}
        """(rule, subject, month) -> row, of ceilings of what is owed: whole fen of repayments may need some room."""
        self.floors: dict[str, int] = {}
        """Instrument -> row, of the least that it brings if it is used: whole steps may fall below it."""
        self._low: list[float] = []
        self._high: list[float] = []
        self._whole: list[bool] = []
        self._row_low: list[float] = []
        self._row_high: list[float] = []
        self._entries: list[tuple[Term, ...]] = []

    def column(self, cost: float = 0.0, high: float = np.inf, *, whole: bool = False) -> int:
        """Add a column from 0; return its number."""
        self.cost.append(cost)
        self._low.append(0.0)
        self._high.append(max(high, 0.0))
        self._whole.append(whole)
        return len(self.cost) - 1

    def row(self, terms: Iterable[Term], low: float = -np.inf, high: float = np.inf) -> int:
        """Add a row; return its number."""
        self._entries.append(tuple(terms))
        self._row_low.append(low)
        self._row_high.append(high)
        return len(self._row_low) - 1

    def raise_cash(self, least: Float) -> None:
        """Set the least cash at the end of each month, in units."""
        for column, value in zip(self.columns.cash, least, strict=True):
            self._low[column] = float(value)

    def lower(self, row: int, by: float) -> None:
        """Lower the ceiling of a row, in units, at most to nothing."""
        self._row_high[row] = max(0.0, self._row_high[row] - by)

    def lift(self, row: int, by: float) -> None:
        """Raise the floor of a row, in units."""
        self._row_low[row] += by

    def fix(self, column: int, value: float) -> None:
        """Fix a column."""
        self._low[column] = self._high[column] = value

    def whole_columns(self) -> list[int]:
        """Return the columns that have to be whole."""
        return [column for column, whole in enumerate(self._whole) if whole]

    def relax(self) -> None:
        """Let all columns be fractions."""
        self._whole = [False] * len(self._whole)

    def solve(self, limits: SolverLimits, allowed_gap: float) -> Solution:
        """Solve for the least cost.

        Parameters
        ----------
        limits : relative gap, time, seed
        allowed_gap : absolute gap, in units of the objective, at which the optimum counts as proven
        """
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        options = {
            "output_flag": False,
            "threads": 1,
            "random_seed": limits.draw,
            "time_limit": limits.seconds,
            "mip_rel_gap": limits.gap,
            "mip_abs_gap": allowed_gap,
            "primal_feasibility_tolerance": 1e-9,
            "mip_feasibility_tolerance": 1e-7,
        }
        for name, value in options.items():
            solver.setOptionValue(name, value)
        solver.passModel(self._lp())
        solver.HandleUserInterrupt = True  # Ctrl-C ends it: the solver runs beside this thread
        solver.startSolve()
        try:
            while not solver.wait(0.2)[0]:
                pass
        except BaseException:
            solver.cancelSolve()  # type: ignore[no-untyped-call]
            solver.wait()
            raise
        return _found(solver, any(self._whole))

    def _lp(self) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self._row_low)
        lp.col_cost_ = np.asarray(self.cost)
        lp.col_lower_, lp.col_upper_ = np.asarray(self._low), np.asarray(self._high)
        lp.row_lower_, lp.row_upper_ = np.asarray(self._row_low), np.asarray(self._row_high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        sizes = np.fromiter((len(terms) for terms in self._entries), dtype=np.int64, count=len(self._entries))
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        lp.a_matrix_.index_ = np.array([column for terms in self._entries for column, _ in terms], dtype=np.int32)
        lp.a_matrix_.value_ = np.array([value for terms in self._entries for _, value in terms], dtype=np.float64)
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[whole] for whole in self._whole] if any(self._whole) else []
        return lp


def _found(solver: highspy.Highs, is_mip: bool) -> Solution:
    status = solver.getModelStatus()
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Solution(None, np.inf, True)
    info = solver.getInfo()
    done = status == highspy.HighsModelStatus.kOptimal
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return Solution(None, -np.inf, False)
    bound = float(info.mip_dual_bound) if is_mip else float(info.objective_function_value)
    return Solution(np.asarray(solver.getSolution().col_value), bound if done or is_mip else -np.inf, done)


def build(project: Project, *, elastic: bool = False, runway: bool = False) -> Model:
    """Return the programme of a project whose objective is the cost of capital.

    Parameters
    ----------
    project : the project; its instruments have all the terms that they need
    elastic : let money come from nowhere, at no cost in the objective (`Columns.missing`)
    runway : count the whole months that the money left lasts after the end (`Columns.runway`)
    """
    return _Builder(project).build(elastic, runway)


class _Builder:
    """Puts one project's model together; amounts in `unit` yuan."""

    def __init__(self, project: Project) -> None:
        self.p = project
        self.m = Model()
        self.c = self.m.columns
        total = sum(map(sum, project.costs.values())) + project.reserve_ucny
        drawn = sum(brings_money(item) for item in project.instruments)
        coarse = total <= MAX_STEPS * project.step_ucny and drawn * project.months <= MAX_WHOLE
        self.m.whole_amounts = coarse
        # A unit is a step where amounts are whole, and else makes the project some ten thousand units.
        self.unit_ucny = project.step_ucny if coarse else max(MICRO, total / 10_000)
        self.m.unit = self.unit_ucny / MICRO
        self.need = (2.0 * total + project.step_ucny) / self.unit_ucny
        self.logical = _with_logic(project)
        self.brought: dict[str, list[tuple[int, int]]] = {}
        """Month in which money of an instrument comes in, and its column."""

    def units(self, ucny: float) -> float:
        """Turn micro-yuan into the model's unit."""
        return ucny / self.unit_ucny

    def build(self, elastic: bool, runway: bool) -> Model:
        """Add everything, in an order in which each part finds what it refers to."""
        for item in self.p.instruments:
            if item.id in self.logical:
                self.c.used[item.id] = self.m.column(high=1.0, whole=True)
        for item in self.p.instruments:
            if brings_money(item):
                self._drawn(item)
            elif item.kind is Kind.SUBSIDY:
                self._subsidy(item)
        for item in self.p.instruments:
            self._opening(item)
            self._multiple(item)
            if item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
                self._backer(item)
        self._logic()
        self._uses()
        self._collateral()
        self._support_within_cost()
        self._cash(elastic)
        if runway:
            self._runway()
        return self.m

    def _ceiling(self, item: Instrument) -> float:
        """Return an upper bound of what is drawn in all: its ceiling, or more than could be of use."""
        if item.most_ucny is not None:
            return self.units(item.most_ucny // self.p.step_ucny * self.p.step_ucny)
        rounds = 1 if item.term_months is None else -(-self.p.months // item.term_months)
        return self.need * max(1, rounds)

    def _drawn(self, item: Instrument) -> None:
        """Add draws, and what is owed of them."""
        most = self._ceiling(item)
        months = range(first_month(self.p, item), last_month(self.p, item) + 1)
        for month in months:
            charge = item.fee_ppm / MICRO * discount(self.p, month)
            if item.kind is Kind.EQUITY:
                charge += equity_charge(self.p, item, month)
            self.c.draw[item.id, month] = self.m.column(charge, most, whole=self.m.whole_amounts)
        self.brought[item.id] = [(month, self.c.draw[item.id, month]) for month in months]
        draws = [(self.c.draw[item.id, month], 1.0) for month in months]
        if draws:
            self.m.row(draws, high=most)
        if item.id in self.c.used:
            self._linked(item, draws, most)
        if item.is_debt and draws:
            self._owed(item, months)

    def _linked(self, item: Instrument, draws: list[Term], most: float) -> None:
        used = self.c.used[item.id]
        step = self.p.step_ucny
        least = self.units(max(-(-item.least_ucny // step), 1) * step)
        self.m.row([*draws, (used, -most)], high=0.0)
        self.m.floors[item.id] = self.m.row([*draws, (used, -least)], low=0.0)

    def _owed(self, item: Instrument, months: range) -> None:
        """Add what is owed during each month, what is repaid at its end, and the limits of both."""
        end = self.p.months - 1
        before: int | None = None
        for month in range(months.start, self.p.months):
            charge = (item.rate_ppm or NO_CHARGE * YEAR * MICRO) / MICRO / YEAR
            owed = self.m.column(charge * discount(self.p, month + 1))
            if (most_owed := self._most_owed(item, month)) is not None:
                self.m.ceilings["advance", item.id, month] = self.m.row([(owed, 1.0)], high=most_owed)
            free = item.repayment is Repayment.FREE
            repay = self.m.column(whole=self.m.whole_amounts and free)
            terms = [(owed, 1.0)]
            if (item.id, month) in self.c.draw:
                terms.append((self.c.draw[item.id, month], -1.0))
            if before is not None:
                terms += [(before, -1.0), (self.c.repay[item.id, month - 1], 1.0)]
            self.m.row(terms, 0.0, 0.0)
            self.c.owed[item.id, month] = before = owed
            self.c.repay[item.id, month] = repay
            if month == end and self.p.debt_at_end is DebtAtEnd.REPAID:
                self.m.row([(repay, 1.0), (owed, -1.0)], 0.0, 0.0)
            elif free:
                self._due(item, month)
            else:
                self._fixed(item, month)

    def _most_owed(self, item: Instrument, month: int) -> float | None:
        if item.kind is not Kind.RECEIVABLES or item.advance_ppm is None:
            return None
        ahead = sum(self.p.income[month : month + item.ahead_months])
        return self.units(ahead * item.advance_ppm // MICRO)

    def _due(self, item: Instrument, month: int) -> None:
        """Free repayment: after a month only those draws are owed whose term goes on."""
        key, term = item.id, item.term_months
        rest = [(self.c.owed[key, month], 1.0), (self.c.repay[key, month], -1.0)]
        if term is None or month - term + 1 < 0:
            self.m.row(rest, low=0.0)
            return
        young = range(month - term + 2, month + 1)
        self.m.row(rest, low=0.0)
        self.m.row([*rest, *((self.c.draw[key, m], -1.0) for m in young if (key, m) in self.c.draw)], high=0.0)

    def _fixed(self, item: Instrument, month: int) -> None:
        """Repayment that follows from the draws: what was due a month ago, and what begins and ends to be due."""
        term, key = item.term_months, item.id
        begins, ends, part = (item.grace_months, term, 1.0) if term is not None else (None, None, 0.0)
        if term is not None and item.repayment is Repayment.EQUAL:
            part = 1.0 / (term - item.grace_months)
        elif term is not None:
            begins = term - 1
        terms: list[Term] = [(self.c.repay[key, month], 1.0)]
        if (key, month - 1) in self.c.repay:
            terms.append((self.c.repay[key, month - 1], -1.0))
        for age, sign in ((begins, -part), (ends, part)):
            if age is not None and (key, month - age) in self.c.draw:
                terms.append((self.c.draw[key, month - age], sign))
        self.m.row(terms, 0.0, 0.0)

    def _subsidy(self, item: Instrument) -> None:
        """Add what a subsidy pays of each cost, within its ceilings; what would arrive after the end is left out."""
        rate = (item.rate_of_cost_ppm or 0) / MICRO
        used = self.c.used.get(item.id)
        years: dict[int, list[Term]] = {}
        for month in range(item.first_month, last_month(self.p, item) + 1):
            arrives = arrival(item, month)
            for kind, row in self.p.costs.items():
                if arrives >= self.p.months or not row[month] or (item.uses is not None and kind not in item.uses):
                    continue
                most = self.units(row[month]) * rate
                column = self.m.column(-discount(self.p, arrives + 1), most)
                self.c.support[item.id, kind, month] = column
                self.brought.setdefault(item.id, []).append((arrives, column))
                years.setdefault(self.p.calendar_year(month), []).append((column, 1.0))
                if used is not None:
                    self.m.row([(column, 1.0), (used, -most)], high=0.0)
        everything = [term for terms in years.values() for term in terms]
        ceilings = [amount for amount in (item.most_ucny, item.budget_ucny) if amount is not None]
        if everything and ceilings:
            self.m.row(everything, high=self.units(min(ceilings)))
        if item.most_per_year_ucny is not None:
            for terms in years.values():
                self.m.row(terms, high=self.units(item.most_per_year_ucny))
        if used is not None:
            least = self.units(max(item.least_ucny, MICRO))
            self.m.floors[item.id] = self.m.row([*everything, (used, -least)], low=0.0)

    def _opening(self, item: Instrument) -> None:
        """Add the month in which something with a fixed fee or a single draw is opened."""
        if not item.fixed_fee_ucny and not item.once:
            return
        payers = [item] if brings_money(item) else list(backed_by(self.p, item.id))
        months = sorted({month for payer in payers for month, _ in self.brought.get(payer.id, ())})
        for month in months:
            fee = self.units(item.fixed_fee_ucny) * discount(self.p, month)
            self.c.opened[item.id, month] = self.m.column(fee, 1.0, whole=True)
        opened = [(self.c.opened[item.id, month], 1.0) for month in months]
        if item.id in self.c.used:
            self.m.row([*opened, (self.c.used[item.id], -1.0)], 0.0, 0.0)
        is_open: dict[int, int] = {}
        before: int | None = None
        for month in months:
            is_open[month] = self.m.column(high=1.0)
            terms = [(is_open[month], -1.0), (self.c.opened[item.id, month], 1.0)]
            self.m.row(terms if before is None else [*terms, (before, 1.0)], 0.0, 0.0)
            before = is_open[month]
        for payer in payers:
            most = self._ceiling(payer)
            for month in months:
                column = self.c.draw.get((payer.id, month))
                if column is None:
                    continue
                gate = self.c.opened[item.id, month] if item.once else is_open[month]
                self.m.row([(column, 1.0), (gate, -most)], high=0.0)

    def _backer(self, item: Instrument) -> None:
        """Charge a guarantee or insurance on what it stands behind, and keep that within its ceiling."""
        backed = backed_by(self.p, item.id)
        for month in range(self.p.months):
            terms = [(self.c.owed[o.id, month], 1.0) for o in backed if (o.id, month) in self.c.owed]
            for column, _ in terms:
                self.m.cost[column] += item.fee_ppm / MICRO / YEAR * discount(self.p, month + 1)
            if terms and item.most_ucny is not None:
                self.m.ceilings["most", item.id, month] = self.m.row(terms, high=self.units(item.most_ucny))

    def _multiple(self, item: Instrument) -> None:
        """Keep draws within a multiple of what another instrument has brought so far."""
        if item.multiple_of is None or item.multiple_ppm is None:
            return
        other = self.p.instrument(item.multiple_of)
        factor = item.multiple_ppm / MICRO
        for month in range(self.p.months):
            mine = self._brought(item, month)
            if mine:
                # A subsidy arrives during a month, after what is drawn at its opening.
                until = month - 1 if other.kind is Kind.SUBSIDY and item.kind is not Kind.SUBSIDY else month
                self.m.row([*mine, *((column, -factor) for column, _ in self._brought(other, until))], high=0.0)

    def _brought(self, item: Instrument, until: int) -> list[Term]:
        return [(column, 1.0) for month, column in self.brought.get(item.id, ()) if month <= until]

    def _logic(self) -> None:
        """Add what may, must and must not go together."""
        groups: dict[str, list[Term]] = {}
        for item in self.p.instruments:
            used = self.c.used.get(item.id)
            if used is None:
                continue
            for key in item.needs:
                self.m.row([(used, 1.0), (self.c.used[key], -1.0)], high=0.0)
            for key in item.excludes:
                self.m.row([(used, 1.0), (self.c.used[key], 1.0)], high=1.0)
            if item.group is not None:
                groups.setdefault(item.group, []).append((used, 1.0))
            if item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
                backed = [(self.c.used[other.id], -1.0) for other in backed_by(self.p, item.id)]
                self.m.row([(used, 1.0), *backed], high=0.0)
        for terms in groups.values():
            self.m.row(terms, high=1.0)

    def _uses(self) -> None:
        """Let tied money pay each cost once at most, and none before the cost arises where it may not run ahead."""
        tied = [item for item in self.p.instruments if is_tied(item)]
        atoms: dict[frozenset[str], list[str]] = {}
        for kind in self.p.costs:
            payers = frozenset(item.id for item in tied if item.uses is None or kind in item.uses)
            if payers:
                atoms.setdefault(payers, []).append(kind)
        spent: dict[tuple[str, int], list[Term]] = {}
        for payers, kinds in atoms.items():
            for month in range(self.p.months):
                cost = self.units(self.p.cost(month, frozenset(kinds)))
                if not cost:
                    continue
                pays = {key: self.m.column(high=cost) for key in sorted(payers)}
                self.m.row([(column, 1.0) for column in pays.values()], high=cost)
                for key, column in pays.items():
                    spent.setdefault((key, month), []).append((column, 1.0))
        for item in tied:
            self._within_costs(item, spent)

    def _within_costs(self, item: Instrument, spent: dict[tuple[str, int], list[Term]]) -> None:
        """Keep draws within the costs they may pay, and within their share of them."""
        share = MICRO if item.share_of_costs_ppm is None else item.share_of_costs_ppm
        so_far: list[Term] = []
        draws: list[Term] = []
        left: int | None = None
        base = 0
        for month in range(self.p.months):
            base += self.p.cost(month, item.uses)
            draw = self.c.draw.get((item.id, month))
            if draw is not None:
                draws.append((draw, 1.0))
            pays = spent.get((item.id, month), [])
            if may_run_ahead(item):
                so_far += pays
                continue
            if draws and share < MICRO and draw is not None:
                self.m.row(draws, high=self.units(base * share // MICRO))
            room = self.m.column()
            terms = [(room, -1.0), *pays]
            if draw is not None:
                terms.append((draw, -1.0))
            if left is not None:
                terms.append((left, 1.0))
            self.m.row(terms, 0.0, 0.0)
            left = room
        if may_run_ahead(item) and draws:
            self.m.row([*draws, *((column, -1.0) for column, _ in so_far)], high=0.0)
            self.m.row(draws, high=self.units(base * share // MICRO))

    def _collateral(self) -> None:
        """Keep what is owed against an asset within its loan-to-value; several lenders share it."""
        for asset, value in (self.p.assets or {}).items():
            pledged = [item for item in self.p.instruments if item.is_debt and item.collateral == asset]
            for month in range(self.p.months):
                terms = [
                    (self.c.owed[item.id, month], MICRO / max(item.ltv_ppm or 1, 1))
                    for item in pledged
                    if (item.id, month) in self.c.owed
                ]
                if terms:
                    self.m.ceilings["collateral", asset, month] = self.m.row(terms, high=self.units(value))

    def _support_within_cost(self) -> None:
        """Keep all subsidies of one cost together within it."""
        by_cost: dict[tuple[str, int], list[Term]] = {}
        for (_, kind, month), column in self.c.support.items():
            by_cost.setdefault((kind, month), []).append((column, 1.0))
        for (kind, month), terms in by_cost.items():
            if len(terms) > 1:
                self.m.row(terms, high=self.units(self.p.costs[kind][month]))

    def _cash(self, elastic: bool) -> None:
        """Add cash at the end of each month."""
        before: int | None = None
        flows = self._flows()
        for month in range(self.p.months):
            cash = self.m.column()
            self.m._low[cash] = self.units(self.p.reserve_ucny)
            terms = [(cash, -1.0), *flows[month]]
            given = self.p.income[month] - self.p.cost(month)
            if before is None:
                given += self.p.own_cash_ucny
            else:
                terms.append((before, 1.0))
            if elastic:
                self.c.missing.append(self.m.column())
                terms.append((self.c.missing[-1], 1.0))
            self.m.row(terms, -self.units(given), -self.units(given))
            self.c.cash.append(cash)
            before = cash

    def _flows(self) -> list[list[Term]]:
        """Return what each column adds to the cash of each month."""
        by_id = {item.id: item for item in self.p.instruments}
        fee, rate = dict.fromkeys(by_id, 0.0), dict.fromkeys(by_id, 0.0)
        for item in self.p.instruments:
            if brings_money(item):
                fee[item.id] += item.fee_ppm / MICRO
                rate[item.id] += item.rate_ppm / MICRO / YEAR
            elif item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
                for other in backed_by(self.p, item.id):
                    rate[other.id] += item.fee_ppm / MICRO / YEAR
        flows: list[list[Term]] = [[] for _ in range(self.p.months)]
        for (key, month), column in self.c.draw.items():
            flows[month].append((column, 1.0 - fee[key]))
        for (key, month), column in self.c.owed.items():
            flows[month] += [(column, -rate[key]), (self.c.repay[key, month], -1.0)]
        for (key, _, month), column in self.c.support.items():
            flows[arrival(by_id[key], month)].append((column, 1.0))
        for (key, month), column in self.c.opened.items():
            flows[month].append((column, -self.units(by_id[key].fixed_fee_ucny)))
        return flows

    def _runway(self) -> None:
        """Count whole months that the last cash, less what is still owed, lasts at the last month's burn."""
        burn = self.units(self.p.cost(self.p.months - 1) - self.p.income[-1])
        if burn <= 0:
            return
        end = self.p.months - 1
        self.c.runway = self.m.column(high=MAX_RUNWAY, whole=True)
        owed = [(c, -1.0) for (_, m), c in self.c.owed.items() if m == end]
        repaid = [(c, 1.0) for (_, m), c in self.c.repay.items() if m == end]
        self.m.row([(self.c.cash[-1], 1.0), *owed, *repaid, (self.c.runway, -burn)], low=0.0)


def _with_logic(project: Project) -> frozenset[str]:
    """Return the instruments of which it matters whether they are used at all."""
    found: set[str] = set()
    sizes: dict[str, int] = {}
    for item in project.instruments:
        if item.needs or item.excludes:
            found |= {item.id, *item.needs, *item.excludes}
        if item.group is not None:
            sizes[item.group] = sizes.get(item.group, 0) + 1
        if item.least_ucny or item.fixed_fee_ucny or item.once or item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
            found.add(item.id)
    for item in project.instruments:
        if item.group is not None and sizes[item.group] > 1:
            found.add(item.id)
        if item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
            found |= {other.id for other in backed_by(project, item.id)}
    return frozenset(found)
