"""The next-best plans: what a project would do without each instrument of its best plan, and what that would cost."""

from collections.abc import Collection
from typing import NamedTuple

from dujiang.finance.model import SolverLimits
from dujiang.finance.planner import Plan, plan
from dujiang.finance.project import Project

MAX_ALTERNATIVES = 8
"""Instruments without which a plan is looked for: those that bring most."""


class Alternative(NamedTuple):
    """The best plan without one instrument."""

    without: str
    plan: Plan | None
    """None: there is none without it, or none was found in time."""
    more_ucny: int | None
    """Present value of what it costs more than the best plan; below 0 only within the gap, or for another objective."""
    in_time: bool
    """Whether the solver came to an answer."""


def alternatives(
    best: Plan,
    project: Project,
    solver: SolverLimits = SolverLimits(gap=1e-3, seconds=20.0),  # noqa: B008 - a tuple of numbers
    without: Collection[str] = (),
) -> tuple[Alternative, ...]:
    """Return the next-best plans, cheapest first, those that do not exist last.

    Parameters
    ----------
    best : the plan to do without parts of
    project : the project with all that it may be funded by
    solver : gap, time of each solve, seed
    without : instruments that are out of the question already
    """
    brought = {key: best.schedule.total(key) for key in best.schedule.used}
    keys = sorted((key for key in brought if brought[key]), key=lambda key: -brought[key])[:MAX_ALTERNATIVES]
    found: dict[tuple[str, ...], Alternative] = {}
    for key in keys:
        option = _without(best, project, key, solver, without)
        # Two instruments that go together lead to the same plan without either.
        name = ("", key) if option.plan is None else tuple(sorted(option.plan.schedule.used))
        found.setdefault(name, option)
    return tuple(sorted(found.values(), key=lambda a: (a.more_ucny is None, a.more_ucny or 0, a.without)))


def _without(best: Plan, project: Project, key: str, solver: SolverLimits, without: Collection[str]) -> Alternative:
    try:
        made = plan(project, best.objective, solver, {*without, key})
    except TimeoutError:
        return Alternative(key, None, None, False)
    more = None if made is None else made.cost.present_value_ucny - best.cost.present_value_ucny
    return Alternative(key, made, more, True)
