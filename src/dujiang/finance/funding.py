"""The whole answer to one question: how is this project best funded, what else is there, and what if it goes wrong?"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from dujiang.finance.alternatives import Alternative, alternatives
from dujiang.finance.model import SolverLimits
from dujiang.finance.planner import Plan, plan
from dujiang.finance.project import Objective, Project
from dujiang.finance.shocks import Shock, shocks
from dujiang.finance.shortfall import Shortfall, shortfall

AROUND = SolverLimits(gap=1e-3, seconds=20.0)
"""For the plans beside the best one: each of up to twenty solves."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Funding:
    """The answer; either a plan or a shortfall."""

    project: Project
    objective: Objective
    without: tuple[str, ...]
    plan: Plan | None
    shortfall: Shortfall | None
    alternatives: tuple[Alternative, ...] = ()
    shocks: tuple[Shock, ...] = ()


def fund(
    project: Project,
    objective: Objective = Objective.CHEAPEST,
    *,
    without: Collection[str] = (),
    around: bool = True,
    solver: SolverLimits = SolverLimits(),  # noqa: B008 - a tuple of numbers
    tell: Tell | None = None,
) -> Funding:
    """Plan a project, and what lies around the plan.

    Parameters
    ----------
    project : the project with everything that it may be funded by
    objective : what is best
    without : ids of instruments that may not be used
    around : look for alternatives and shocks as well
    solver : gap, time of each solve, seed
    tell : told what is being done and its share done

    Raises
    ------
    TimeoutError : the solver's time ran out before there was any answer
    """
    say: Tell = tell or (lambda phase, share: None)
    say("plan", 0.0)
    best = plan(project, objective, solver, without)
    say("plan", 1.0)
    gone = tuple(without)
    if best is None:
        kept = project.with_instruments(tuple(i for i in project.instruments if i.id not in without))
        return Funding(project, objective, gone, None, shortfall(kept, solver))
    if not around:
        return Funding(project, objective, gone, best, None)
    say("alternatives", 0.0)
    # Where the best plan came out of a narrower choice (`fastest`), the others choose from everything.
    others = alternatives(best, project, AROUND, without)
    say("alternatives", 1.0)
    say("shocks", 0.0)
    found = shocks(best, AROUND)
    say("shocks", 1.0)
    return Funding(project, objective, gone, best, None, others, found)
