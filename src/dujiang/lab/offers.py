"""Programmes as a scenario changes them: another rate, cap or budget, a higher tier for small firms."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem, shown
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.lab.scenario import ProgrammeChange, Scenario
from dujiang.policy.catalogue import programmes_of_round
from dujiang.policy.programme import (
    Basis,
    Budget,
    BudgetRule,
    Cap,
    Condition,
    Op,
    Per,
    Period,
    Programme,
    Rate,
    RateRule,
    SpecialRate,
)
from dujiang.registry.book import ProgrammeUse
from dujiang.store.read_book import cannot_open, read_bytes

_BASIS = Basis(None, Text("Changed by the scenario.", "由情景设定。"))


@dataclass(frozen=True, slots=True)
class Offered:
    """Programmes of a scenario."""

    programmes: Mapping[str, Programme]
    """As the scenario changes them, by id."""
    files: Mapping[str, str]
    """SHA-256 of each programme's file, by `programmes/ID.yaml`."""
    assumptions: Mapping[str, object]


def offers_of(scenario: Scenario) -> Offered:
    """Look the programmes up and change them.

    Raises
    ------
    InputError : a programme is not in the catalogue, or a file cannot be read or has problems
    """
    own: dict[str, bytes] = {}
    problems: list[Problem] = []
    for index, change in enumerate(scenario.programmes):
        if change.file is not None:
            try:
                # Two folders may each have a file of one name.
                own[f"{index}/{change.file.name}"] = read_bytes(change.file)
            except OSError as error:
                problems.append(cannot_open(change.file.name, error))
    use = [ProgrammeUse(change.programme_id) for change in scenario.programmes]
    day = scenario.start.astimezone(SHANGHAI).date()
    entries, found = programmes_of_round(use, own, day)
    problems += [_at_its_place(scenario, problem) for problem in found]
    if problems:
        raise InputError(problems)
    changed = {c.programme_id: changed_by(entries[c.programme_id].programme, c) for c in scenario.programmes}
    return Offered(
        programmes=dict(sorted(changed.items())),
        files={
            f"programmes/{name}.yaml": hashlib.sha256(entries[name].content).hexdigest() for name in sorted(changed)
        },
        assumptions={"programmes": {c.programme_id: _said(c) for c in scenario.programmes}} if changed else {},
    )


def _at_its_place(scenario: Scenario, problem: Problem) -> Problem:
    """Let a name that no programme has be reported where the scenario says it."""
    if problem.code != "no-such-programme":
        return problem
    for index, change in enumerate(scenario.programmes):
        if shown(change.programme_id) == problem.found:
            return scenario.problem(
                problem.code, f"programmes.{index}.id", change.programme_id, problem.expected, problem.fix
            )
    return problem


def changed_by(programme: Programme, change: ProgrammeChange) -> Programme:
    """Return a programme as a scenario changes it.

    A rate replaces all shares, of tiers and special cases too; nothing is paid at zero. A tier for small firms counts
    where it is above the rate. A cap replaces that per enterprise, and those of special cases; its period stays, a new
    one is per year. A budget is for the whole run and for this programme alone, first come, first served.
    """
    if change.rate_ppm is not None:
        rule = RateRule.OF if programme.rate is None else programme.rate.rule
        rate = Rate(change.rate_ppm, None, rule, _BASIS)
        programme = replace(programme, rate=rate, special_rates=())
    if change.small_firm_rate_ppm is not None:
        programme = replace(programme, special_rates=_with_small_firms(programme, change))
    if change.cap_ucny is not None:
        programme = replace(
            programme,
            caps=_with_cap(programme, change.cap_ucny),
            special_rates=tuple(replace(case, cap_ucny=None) for case in programme.special_rates),
        )
    if change.budget_ucny is not None:
        rule_ = None if programme.budget is None else programme.budget.rule
        rule_ = BudgetRule.FIRST_COME if rule_ in (None, BudgetRule.PRO_RATA) else rule_
        programme = replace(programme, budget=Budget(change.budget_ucny, Period.VALIDITY, rule_, (), _BASIS))
    return programme


def _with_small_firms(programme: Programme, change: ProgrammeChange) -> tuple[SpecialRate, ...]:
    share = change.small_firm_rate_ppm
    assert share is not None
    plain = 0 if programme.rate is None or programme.rate.share_ppm is None else programme.rate.share_ppm
    if share <= plain:
        return programme.special_rates
    most = change.small_firm_employees_max
    text = Text(f"a firm with at most {most} employees", f"员工不超过 {most} 人的企业")
    small = Condition("small_firm", "employees", Op.AT_MOST, most, text, _BASIS)
    tier = SpecialRate(share, (small,), None, _BASIS)
    return tuple(sorted((*programme.special_rates, tier), key=lambda case: case.share_ppm))


def _with_cap(programme: Programme, cap_ucny: int) -> tuple[Cap, ...]:
    mine = [cap for cap in programme.caps if cap.per is Per.ENTERPRISE]
    period = mine[0].period if len(mine) == 1 else Period.YEAR
    others = tuple(cap for cap in programme.caps if cap.per is not Per.ENTERPRISE)
    return (Cap(cap_ucny, Per.ENTERPRISE, period, _BASIS), *others)


def _said(change: ProgrammeChange) -> dict[str, object]:
    """Return what a scenario changes, for people."""
    said: dict[str, object] = {}
    if change.rate_ppm is not None:
        said["rate"] = change.rate_ppm / MICRO
    if change.cap_ucny is not None:
        said["cap_cny"] = cny(change.cap_ucny)
    if change.budget_ucny is not None:
        said["budget_cny"] = cny(change.budget_ucny)
    if change.small_firm_rate_ppm is not None:
        most = change.small_firm_employees_max
        said["small_firm"] = {"rate": change.small_firm_rate_ppm / MICRO, "employees_max": most}
    return said
