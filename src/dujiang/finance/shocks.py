"""How a plan breaks: a milestone that slips, and a purse that runs dry.

Each shock is looked at twice. First the plan goes on as it was made, and the first month that ends below the reserve is
where it breaks. Then the project is planned anew from its first month, as somebody would who had known.

A milestone that slips by some months takes the income after it along: the income of those months comes so many months
later, and meanwhile there is what came in the milestone's month, or what was planned, whichever is less. Costs go on.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from dujiang.finance.instrument import Kind
from dujiang.finance.model import SolverLimits
from dujiang.finance.planner import Plan, plan
from dujiang.finance.project import Milestone, Project
from dujiang.finance.schedule import Choices, schedule_of
from dujiang.finance.shortfall import shortfall

SLIPS = (3, 6)
"""Months by which a milestone slips."""
MAX_SHOCKS = 12
"""Looked at; the first milestones first, then the purses that pay most."""


class Shock(NamedTuple):
    """What one thing that goes wrong does to a plan; amounts in micro-yuan."""

    kind: str
    """`slip` or `dry`."""
    subject: str
    """Milestone, or subsidy."""
    months: int
    """By which the milestone slips; 0 for a purse."""
    breaks_month: int | None
    """Where the plan as made first ends a month below the reserve; None: it holds."""
    missing_ucny: int
    """By how much it falls below the reserve at worst."""
    replanned: Plan | None
    """The best plan for somebody who had known; None: there is none, or none was found in time."""
    more_ucny: int | None
    """Present value of what that plan costs more."""
    shortfall_ucny: int | None
    """Without such a plan: what is missing in all."""


def shocks(
    best: Plan,
    solver: SolverLimits = SolverLimits(gap=1e-3, seconds=20.0),  # noqa: B008 - a tuple of numbers
) -> tuple[Shock, ...]:
    """Return what goes wrong, one thing at a time."""
    found = [_slip(best, milestone, months, solver) for milestone in best.project.milestones for months in SLIPS]
    purses = [key for key in best.schedule.used if best.project.instrument(key).kind is Kind.SUBSIDY]
    purses.sort(key=lambda key: -best.schedule.total(key))
    return tuple([*found[: MAX_SHOCKS - 1], *(_dry(best, key, solver) for key in purses)][:MAX_SHOCKS])


def delayed(project: Project, milestone: Milestone, months: int) -> Project:
    """Return the project with all income after a milestone some months later."""
    income = list(project.income)
    level, first = project.income[milestone.month], milestone.month + 1
    for month in range(first, project.months):
        planned = project.income[month]
        income[month] = min(planned, level) if month < first + months else project.income[month - months]
    late = tuple(m._replace(month=m.month + months) if m.month >= milestone.month else m for m in project.milestones)
    return replace(project, income=tuple(income), milestones=late)


def _slip(best: Plan, milestone: Milestone, months: int, solver: SolverLimits) -> Shock:
    late = delayed(best.project, milestone, months)
    breaks, missing = _breaks(late, best.schedule.choices)
    return _replanned(Shock("slip", milestone.id, months, breaks, missing, None, None, None), late, best, solver)


def _dry(best: Plan, key: str, solver: SolverLimits) -> Shock:
    choices = best.schedule.choices
    paid: Mapping[tuple[str, str, int], int] = {k: amount for k, amount in choices.support.items() if k[0] != key}
    breaks, missing = _breaks(best.project, replace(choices, support=paid))
    # The purse is empty, not gone: what depends on the programme may still be had.
    poor = best.project.with_instruments(
        tuple(replace(i, budget_ucny=0, least_ucny=0) if i.id == key else i for i in best.project.instruments)
    )
    return _replanned(Shock("dry", key, 0, breaks, missing, None, None, None), poor, best, solver)


def _breaks(project: Project, choices: Choices) -> tuple[int | None, int]:
    """Return where a plan that goes on first ends a month below the reserve, and by how much it does at worst."""
    cash = schedule_of(project, choices).cash
    short = [(row.month, project.reserve_ucny - row.closing_ucny) for row in cash]
    below = [(month, amount) for month, amount in short if amount > 0]
    return (below[0][0], max(amount for _, amount in below)) if below else (None, 0)


def _replanned(shock: Shock, project: Project, best: Plan, solver: SolverLimits) -> Shock:
    try:
        made = plan(project, best.objective, solver)
        if made is not None:
            more = made.cost.present_value_ucny - best.cost.present_value_ucny
            return shock._replace(replanned=made, more_ucny=more)
        lack = shortfall(project, solver)
    except TimeoutError:
        return shock
    return shock if lack is None else shock._replace(shortfall_ucny=lack.missing_ucny)
