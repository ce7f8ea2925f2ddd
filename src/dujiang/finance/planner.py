"""The best lawful plan for a project: a mixed-integer programme first, then whole amounts, re-checked limit by limit.

The programme (`model`) says which instruments are used and proves how good any plan can be. Its amounts are fractions,
so the second step makes whole ones: draws and repayments are cut to the project's step, and a linear programme with
the same instruments asks for a little more cash in each month until the whole schedule keeps every limit exactly. What
that costs is part of the gap that is reported: the gap compares the whole schedule with the bound of the programme.

Objectives with a first goal of their own are solved in order: first the goal, then the cost with the goal kept.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dujiang.core.money import FEN, MICRO
from dujiang.finance.cost_of_capital import CostOfCapital, cost_of_capital
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.model import Model, Solution, SolverLimits, arrival, brings_money, build
from dujiang.finance.project import Objective, Project
from dujiang.finance.schedule import Choices, Limit, Schedule, breaches, limits, schedule_of

_Float = npt.NDArray[np.float64]

SMALL_GAP = 1e-6
"""Absolute gap, as a share of the project's costs, at which an optimum counts as proven."""
_ROUNDS = 8
"""Times that more cash is asked for before the amounts are given up as too tight to be made whole."""
_ENOUGH = 10**30
_SPARE_STEPS = 50
"""Steps of equity above the least that a plan may take so that its amounts can be made whole."""
_ALMOST = 1e-5
"""By how much of a step a solver's amount may miss a whole one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A lawful plan and how good it is."""

    project: Project
    """As it was planned: without instruments that cannot be had."""
    objective: Objective
    schedule: Schedule
    cost: CostOfCapital
    bound_ucny: int
    """No plan with the same first goal has a lower present value of its cost, up to the solver's tolerances."""
    proven: bool
    """Whether the solver ended within the gap that it was given, and not with its time."""
    left_out: tuple[tuple[str, str], ...]
    """Instruments that cannot be had here, and the instrument that each lacks."""

    @property
    def gap_ucny(self) -> int:
        """By how much the plan may be dearer than the best."""
        return max(0, self.cost.present_value_ucny - self.bound_ucny)

    @property
    def gap(self) -> float:
        """That as a share of the plan's charges and support together."""
        base = self.cost.charges_pv_ucny + self.cost.support_pv_ucny
        return self.gap_ucny / max(base, MICRO)


class _Stage(NamedTuple):
    """A model with all first goals kept, and what the solver found for the cost."""

    model: Model
    found: Solution


def missing_terms(item: Instrument) -> tuple[str, ...]:
    """Return the terms that an instrument of its kind cannot be planned without, and that contradict each other."""
    lacking = []
    if item.kind is Kind.EQUITY and item.required_return_ppm is None:
        lacking.append("required_return")
    if item.kind is Kind.SUBSIDY and item.rate_of_cost_ppm is None:
        lacking.append("rate_of_cost")
    if item.kind is Kind.RECEIVABLES:
        lacking += [] if item.advance_ppm is not None else ["advance"]
        lacking += [] if item.ahead_months > 0 else ["ahead_months"]
    if item.repayment is Repayment.EQUAL and item.term_months is None:
        lacking.append("term_months")
    if item.collateral is not None and item.ltv_ppm is None:
        lacking.append("ltv")
    if item.multiple_of is not None and item.multiple_ppm is None:
        lacking.append("multiple")
    return tuple(lacking)


def prepared(project: Project, without: Collection[str] = ()) -> tuple[Project, tuple[tuple[str, str], ...]]:
    """Return the project with the instruments that can be had, and those left out with what each of them lacks.

    An instrument that needs, or is a multiple of, one that is not there cannot be had either; one that is ruled out
    beside something that is not there is free of that rule.

    Parameters
    ----------
    project : the project
    without : ids of instruments that are taken away first
    """
    kept = {item.id: item for item in project.instruments if item.id not in without}
    out: list[tuple[str, str]] = []
    while True:
        lacking = [
            (item.id, key)
            for item in kept.values()
            for key in (*item.needs, *([item.multiple_of] if item.multiple_of is not None else []))
            if key not in kept
        ]
        if not lacking:
            break
        out += [pair for pair in lacking if pair[0] not in dict(out)]
        for key, _ in lacking:
            kept.pop(key, None)
    items = tuple(replace(i, excludes=tuple(key for key in i.excludes if key in kept)) for i in kept.values())
    return project.with_instruments(items), tuple(dict(out).items())


def plan(
    project: Project,
    objective: Objective = Objective.CHEAPEST,
    solver: SolverLimits = SolverLimits(),  # noqa: B008 - a tuple of numbers
    without: Collection[str] = (),
) -> Plan | None:
    """Return the best plan for a project; None if there is none.

    Parameters
    ----------
    project : the project; its instruments have the terms that they need (`missing_terms`)
    objective : what is best
    solver : gap, time of each solve, seed
    without : ids of instruments that may not be used

    Raises
    ------
    TimeoutError : the solver's time ran out before it found any plan or proved that there is none
    """
    ready, out = prepared(project, without)
    for candidate in _candidates(ready, objective):
        stage = _solved(candidate, objective, solver)
        if stage is None:
            continue
        schedule = _whole(candidate, stage, solver)
        if schedule is not None:
            cost = cost_of_capital(candidate, schedule)
            bound = stage.found.bound * stage.model.unit * MICRO
            bound_ucny = round(min(bound, float(cost.present_value_ucny)) / FEN) * FEN
            return Plan(candidate, objective, schedule, cost, bound_ucny, stage.found.proven, out)
    return None


def _candidates(project: Project, objective: Objective) -> Iterable[Project]:
    """Yield the project with fewer instruments first, where the goal is about which ones are used."""
    if objective is Objective.FASTEST:
        # Support comes after the spend: it holds nothing up.
        for lead in sorted({item.lead_months for item in project.instruments if item.kind is not Kind.SUBSIDY} | {0}):
            slow = [i.id for i in project.instruments if i.lead_months > lead and i.kind is not Kind.SUBSIDY]
            yield prepared(project, slow)[0]
        return
    equity = [item.id for item in project.instruments if item.kind is Kind.EQUITY]
    if objective is Objective.NO_DILUTION and equity:
        yield prepared(project, equity)[0]
    yield project


def _solved(project: Project, objective: Objective, solver: SolverLimits) -> _Stage | None:
    """Solve for the goal, then for the cost; None if there is no plan."""
    model = build(project, runway=objective is Objective.LONGEST_RUNWAY)
    equity = [item for item in project.instruments if item.kind is Kind.EQUITY]
    cost = list(model.cost)
    if objective is Objective.NO_DILUTION and equity:
        # Of one round the least money is the least dilution; of several, money over worth stands for it.
        weights = {item.id: _dilution_weight(project, item) for item in equity}
        terms = [(c, weights[key]) for (key, _), c in model.columns.draw.items() if key in weights]
        found = _solve_for(model, dict(terms), solver, 1e-9)
        if found.x is None:
            return None
        goal = sum(weight * float(found.x[column]) for column, weight in terms)
        # To make whole amounts of a plan takes a few steps more, where steps are not whole in the model already.
        spare = 0.0 if model.whole_amounts else _SPARE_STEPS * project.step_ucny / MICRO / model.unit
        model.row(terms, high=goal * (1.0 + 1e-7) + 1e-9 + spare * max(weights.values()))
    elif model.columns.runway is not None:
        found = _solve_for(model, {model.columns.runway: -1.0}, solver, 0.5)
        if found.x is None:
            return None
        model.fix(model.columns.runway, float(round(found.x[model.columns.runway])))
    model.cost = cost
    found = model.solve(solver, _small(project, model))
    if found.x is None and not found.proven:
        raise TimeoutError
    return None if found.x is None else _Stage(model, found)


def _solve_for(model: Model, objective: dict[int, float], solver: SolverLimits, gap: float) -> Solution:
    model.cost = [objective.get(column, 0.0) for column in range(len(model.cost))]
    found = model.solve(solver._replace(gap=0.0), gap)
    if found.x is None and not found.proven:
        raise TimeoutError
    return found


def _dilution_weight(project: Project, item: Instrument) -> float:
    worth = item.pre_money_ucny if item.pre_money_ucny is not None else project.pre_money_ucny
    return 1.0 if not worth else 1e6 * MICRO / worth


def _small(project: Project, model: Model) -> float:
    if model.whole_amounts:
        return 1e-7
    return SMALL_GAP * sum(map(sum, project.costs.values())) / MICRO / model.unit


def _whole(project: Project, stage: _Stage, solver: SolverLimits) -> Schedule | None:
    """Make whole amounts of a solution; None if they are too tight for that."""
    model, x = stage.model, stage.found.x
    assert x is not None
    if not model.whole_amounts:
        for column in model.whole_columns():
            model.fix(column, float(round(x[column])))
        model.relax()
    extra = np.zeros(project.months)
    for attempt in range(_ROUNDS):
        schedule = schedule_of(project, _choices(project, model, x))
        broken = breaches(project, schedule)
        if not broken:
            return schedule
        short = _short_cash(project, broken)
        if not _mended(project, model, broken):
            return None
        extra = np.maximum(extra, _more_cash(project, model, short, attempt))
        model.raise_cash((extra + project.reserve_ucny) / MICRO / model.unit)
        found = model.solve(solver, _small(project, model))
        if found.x is not None:
            x = found.x
        else:
            extra = np.zeros(project.months)
    return None


def _more_cash(project: Project, model: Model, short: _Float, attempt: int) -> _Float:
    """Return how much more cash to ask for in each month.

    A step or two for every month from the first short one: a month that ends with more passes it on to the next. Where
    that is too much to ask for, because some month has nothing to spare, only the short months themselves.
    """
    step = FEN if model.whole_amounts else project.step_ucny
    if not short.any():
        return short
    rest = attempt % (_ROUNDS // 2)
    more = 1.5 * float(short.max()) + rest * step
    if attempt < _ROUNDS // 2:
        return np.where(np.arange(project.months) >= int(np.argmax(short > 0)), more, 0.0)
    return np.where(short > 0, more, 0.0)


def _short_cash(project: Project, broken: Iterable[Limit]) -> _Float:
    """Return by how much cash is short in each month."""
    short = np.zeros(project.months)
    for limit in broken:
        if limit.rule == "cash" and limit.month is not None:
            short[limit.month] = -limit.left_ucny
    return short


def _mended(project: Project, model: Model, broken: Iterable[Limit]) -> bool:
    """Lower ceilings and raise floors by what whole amounts miss them; return False if neither mends what is broken."""
    for limit in broken:
        if limit.rule == "cash":
            continue
        if limit.rule == "least" and limit.subject in model.floors:
            model.lift(model.floors[limit.subject], (2 * project.step_ucny - limit.left_ucny) / MICRO / model.unit)
            continue
        row = None if limit.month is None else model.ceilings.get((limit.rule, limit.subject, limit.month))
        if row is None:
            return False
        model.lower(row, (FEN - 2 * limit.left_ucny) / MICRO / model.unit)
    return True


def _choices(project: Project, model: Model, x: _Float) -> Choices:
    """Cut a solution to whole steps: all that is drawn so far down, all that is repaid so far up."""
    draws: dict[tuple[str, int], int] = {}
    repaid: dict[tuple[str, int], int] = {}
    support = _support(project, model, x)
    # Those that another is a multiple of come first: what they bring is a ceiling for it.
    for item in sorted(project.instruments, key=lambda item: _depth(project, item)):
        most = _multiples(project, item, draws, support)
        if item.kind is Kind.SUBSIDY:
            _trim(project, item, support, most)
        if not brings_money(item):
            continue
        drawn = _so_far(project, model, x, item, model.columns.draw)
        back = _so_far(project, model, x, item, model.columns.repay)
        before = back_before = 0
        for month in range(project.months):
            steps = max(before, min(floor(drawn[month] + _ALMOST), most[month] // project.step_ucny))
            if (item.once and before) or (item.id, month) not in model.columns.draw:
                steps = before  # what another instrument left no room for in time is not drawn later
            if steps > before:
                draws[item.id, month] = (steps - before) * project.step_ucny
            before = steps
            steps = max(back_before, min(ceil(back[month] - _ALMOST), before))
            if steps > back_before:
                repaid[item.id, month] = (steps - back_before) * project.step_ucny
            back_before = steps
    return Choices(draws, repaid, support)


def _so_far(
    project: Project, model: Model, x: _Float, item: Instrument, columns: Mapping[tuple[str, int], int]
) -> list[float]:
    """Return the running sum of an instrument's amounts, in steps."""
    per_step = model.unit * MICRO / project.step_ucny
    found = (columns.get((item.id, month)) for month in range(project.months))
    return list(accumulate(0.0 if column is None else float(x[column]) * per_step for column in found))


def _depth(project: Project, item: Instrument) -> int:
    """Return how many instruments stand behind one as multiples of one another."""
    seen = {item.id}
    while item.multiple_of is not None and item.multiple_of not in seen:
        item = project.instrument(item.multiple_of)
        seen.add(item.id)
    return len(seen)


def _multiples(
    project: Project,
    item: Instrument,
    draws: Mapping[tuple[str, int], int],
    support: Mapping[tuple[str, str, int], int],
) -> list[int]:
    """Return how much an instrument may have brought by each month for what it is a multiple of has brought."""
    if item.multiple_of is None or item.multiple_ppm is None:
        return [_ENOUGH] * project.months
    other = project.instrument(item.multiple_of)
    came = [draws.get((other.id, month), 0) for month in range(project.months)]
    for (key, _, month), amount in support.items():
        # It arrives during a month, after what is drawn at its opening.
        at = arrival(other, month) + (item.kind is not Kind.SUBSIDY)
        if key == other.id and at < project.months:
            came[at] += amount
    return [total * item.multiple_ppm // MICRO for total in accumulate(came)]


def _trim(project: Project, item: Instrument, support: dict[tuple[str, str, int], int], most: list[int]) -> None:
    """Cut what a subsidy pays to what it may have brought by each month."""
    total = 0
    for key in sorted((k for k in support if k[0] == item.id), key=lambda k: (arrival(item, k[2]), k)):
        room = max(0, most[arrival(item, key[2])] - total) // FEN * FEN
        support[key] = min(support[key], room)
        total += support[key]
        if not support[key]:
            del support[key]


def _support(project: Project, model: Model, x: _Float) -> dict[tuple[str, str, int], int]:
    """Cut subsidies to whole fen, within every ceiling of theirs that adds them up."""
    found: dict[tuple[str, str, int], int] = {}
    total: dict[str, int] = {}
    years: dict[tuple[str, int], int] = {}
    costs: dict[tuple[str, int], int] = {}
    for (key, kind, month), column in model.columns.support.items():
        item = project.instrument(key)
        year = project.calendar_year(month)
        rooms = [project.costs[kind][month] * (item.rate_of_cost_ppm or 0) // MICRO]
        rooms += [project.costs[kind][month] - costs.get((kind, month), 0)]
        rooms += [most - total.get(key, 0) for most in (item.most_ucny, item.budget_ucny) if most is not None]
        if item.most_per_year_ucny is not None:
            rooms.append(item.most_per_year_ucny - years.get((key, year), 0))
        wanted = round(float(x[column]) * model.unit * MICRO / (FEN / 10)) * (FEN // 10)
        amount = max(0, min(wanted, *rooms)) // FEN * FEN
        if amount:
            found[key, kind, month] = amount
            total[key] = total.get(key, 0) + amount
            years[key, year] = years.get((key, year), 0) + amount
            costs[kind, month] = costs.get((kind, month), 0) + amount
    return found


def binding(made: Plan, within_ucny: int | None = None) -> tuple[Limit, ...]:
    """Return the limits that a plan uses up.

    Rules that only say yes or no (windows, terms, what goes together) do not appear.

    Parameters
    ----------
    made : the plan
    within_ucny : a limit of which less than this is left counts as used up; None: a step of the project
    """
    said = {"cash", "most", "budget", "year", "share", "uses", "multiple", "advance", "collateral"}
    least = made.project.step_ucny if within_ucny is None else within_ucny
    return tuple(
        limit
        for limit in limits(made.project, made.schedule)
        if limit.rule in said and limit.left_ucny < least and (limit.used_ucny or limit.rule == "cash")
    )
