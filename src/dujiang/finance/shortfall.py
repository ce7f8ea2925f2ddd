"""Why a project cannot be funded: which month fails first, by how much money, and which rule stands in the way.

Elastic solves let money come from nowhere. How little of it is enough is what is missing in all. The month that fails
first is the last one before which all can be done without any: whatever is done, that month cannot be paid. How much is
missing with one sort of rule lifted shows how much of the lack each sort is to blame for.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from types import MappingProxyType
from typing import Final, NamedTuple

from dujiang.core.money import MICRO
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.model import SolverLimits, brings_money, build
from dujiang.finance.planner import binding, plan, prepared
from dujiang.finance.project import DebtAtEnd, Objective, Project
from dujiang.finance.schedule import Limit

_EARLY = 1e-5
"""What a yuan that is missing a month earlier counts more, so that of equal plans the later lack is taken."""
_SLIGHT = 0.005
"""Yuan below which nothing is missing."""


class Relief(NamedTuple):
    """What would still be missing if one sort of rule were lifted."""

    rule: str
    missing_ucny: int


class Shortfall(NamedTuple):
    """Why there is no plan; amounts in micro-yuan, rounded up to the yuan."""

    month: int
    """The first month that cannot be paid, whatever is done in the months before."""
    rule: str
    """The first rule of `LIFTED` without which nothing would be missing; `cash`: no one of them, money itself."""
    first_ucny: int
    """Missing in that month."""
    missing_ucny: int
    """Missing in all: with so much more own money there is a plan."""
    by_month: Mapping[int, int]
    """When money is missing if none is before `month`; in all it may be more than `missing_ucny`, by interest."""
    reliefs: tuple[Relief, ...]
    """Rules that make a difference, the greatest first."""
    exhausted: tuple[Limit, ...]
    """Ceilings that are used up by then, once the missing money is there."""


def _each(project: Project, change: Callable[[Instrument], Instrument]) -> Project:
    return project.with_instruments(tuple(change(item) for item in project.instruments))


def _without_ceilings(item: Instrument) -> Instrument:
    if item.kind is Kind.SUBSIDY:
        return item
    return replace(
        item, most_ucny=None, share_of_costs_ppm=None, collateral=None, multiple_of=None, advance_ppm=10 * MICRO
    )


LIFTED: Final[Mapping[str, Callable[[Project], Project]]] = MappingProxyType(
    {
        "debt_at_end": lambda p: replace(p, debt_at_end=DebtAtEnd.ALLOWED),
        "reserve": lambda p: replace(p, reserve_ucny=0),
        "lead": lambda p: _each(p, lambda item: replace(item, lead_months=0)),
        "window": lambda p: _each(p, lambda item: replace(item, first_month=0, last_month=None, once=False)),
        "term": lambda p: _each(p, lambda item: replace(item, term_months=None, repayment=Repayment.FREE)),
        "uses": lambda p: _each(
            p, lambda item: replace(item, uses=None, share_of_costs_ppm=None) if brings_money(item) else item
        ),
        "least": lambda p: _each(p, lambda item: replace(item, least_ucny=0)),
        "together": lambda p: _each(p, lambda item: replace(item, excludes=(), group=None)),
        "ceilings": lambda p: _each(p, _without_ceilings),
    }
)
"""Sorts of rules, and the project without each of them."""


def shortfall(project: Project, solver: SolverLimits = SolverLimits()) -> Shortfall | None:  # noqa: B008
    """Say why a project has no plan; None if nothing is missing.

    Parameters
    ----------
    project : the project
    solver : gap, time of each solve, seed

    Raises
    ------
    TimeoutError : the solver's time ran out
    """
    ready, _ = prepared(project)
    total = _total(ready, solver)
    if not total:
        return None
    reliefs = []
    for rule, lift in LIFTED.items():
        left = _total(prepared(lift(project))[0], solver)
        if left < total - MICRO:
            reliefs.append(Relief(rule, left))
    month, by_month = _first(ready, solver)
    rule = next((relief.rule for relief in reliefs if relief.missing_ucny == 0), "cash")
    reliefs.sort(key=lambda relief: relief.missing_ucny)
    exhausted = _exhausted(ready, month, by_month, solver)
    return Shortfall(month, rule, by_month.get(month, 0), total, by_month, tuple(reliefs), exhausted)


def _total(project: Project, solver: SolverLimits) -> int:
    """Return the least money that is missing in all."""
    return sum((_missing(project, solver) or {}).values())


def _missing(project: Project, solver: SolverLimits, since: int | None = None) -> dict[int, int] | None:
    """Return the least money that has to come from nowhere, by month, micro-yuan up to whole yuan; None: no plan so.

    Parameters
    ----------
    project : prepared
    solver : time of the solve, seed
    since : first month in which money may come from nowhere, and as late after it as can be; None: whenever it is least
    """
    model = build(project, elastic=True)
    model.cost = [0.0] * len(model.cost)
    for month, column in enumerate(model.columns.missing):
        model.cost[column] = 1.0 if since is None else 1.0 + _EARLY * (project.months - month)
        if since is not None and month < since:
            model.fix(column, 0.0)
    found = model.solve(solver._replace(gap=1e-7), _SLIGHT / model.unit)
    if found.x is None:
        if not found.proven:
            raise TimeoutError
        return None
    amounts = {month: float(found.x[c]) * model.unit for month, c in enumerate(model.columns.missing)}
    return {month: ceil(a - _SLIGHT) * MICRO for month, a in amounts.items() if a > _SLIGHT}


def _first(project: Project, solver: SolverLimits) -> tuple[int, dict[int, int]]:
    """Return the last month before which nothing need be missing, and what is missing from it on."""
    low, high = 0, project.months - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _missing(project, solver, middle) is None:
            high = middle - 1
        else:
            low = middle
    return low, _missing(project, solver, low) or {}


def _exhausted(project: Project, month: int, by_month: Mapping[int, int], solver: SolverLimits) -> tuple[Limit, ...]:
    """Return the ceilings of money that are used up in or before the month that fails, once what is missing is there.

    A few steps more than that come in, so that whole amounts come out.
    """
    spare = 4 * project.step_ucny * max(1, len(project.instruments))
    income = tuple(amount + (by_month[t] + spare if t in by_month else 0) for t, amount in enumerate(project.income))
    made = plan(replace(project, income=income), Objective.CHEAPEST, solver)
    if made is None:
        return ()
    spent = [limit for limit in binding(made, 2 * spare) if limit.rule not in ("cash", "advance")]
    return tuple(limit for limit in spent if limit.month is None or limit.month <= month)
