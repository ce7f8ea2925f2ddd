"""What was claimed before: the rows of `claims.csv`, and what they leave of caps, budgets and contracts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.policy.payment import Claimed
from dujiang.policy.programme import Period, Programme
from dujiang.policy.stack import Held
from dujiang.registry.cells import parse_cells
from dujiang.registry.columns import Column, book_columns
from dujiang.registry.raw import RawTable

_FURTHER = ("contract_id", "project_id")
"""Optional columns beside those of a book's claims: for which contract or project it was."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Support that an enterprise was granted before."""

    enterprise_id: str
    programme_id: str
    period: str
    """Civil year in Asia/Shanghai, such as 2025."""
    amount_ucny: int
    """Not negative."""
    contract_id: str | None = None
    """None: not stated."""
    project_id: str | None = None
    """None: not stated."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """Of whom and what claims are counted."""

    enterprise_id: str | None
    contract_id: str | None
    project_id: str | None
    day: date
    """Civil date in Asia/Shanghai."""


class Claims:
    """Claims by programme."""

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        self._by_programme: dict[str, list[Claim]] = {}
        for claim in claims:
            self._by_programme.setdefault(claim.programme_id, []).append(claim)

    def claimed(self, programme: Programme, purchase: Purchase) -> Claimed:
        """Return what counts towards the caps of a programme; an id that is not known counts nothing."""
        year = str(purchase.day.year)
        mine = [c for c in self._by_programme.get(programme.id, ()) if c.enterprise_id == purchase.enterprise_id]
        project = [c for c in mine if c.project_id is not None and c.project_id == purchase.project_id]
        return Claimed(
            enterprise_year_ucny=sum(c.amount_ucny for c in mine if c.period == year),
            enterprise_validity_ucny=sum(c.amount_ucny for c in mine),
            contract_ucny=sum(c.amount_ucny for c in mine if _same_contract(c, purchase)),
            project_year_ucny=sum(c.amount_ucny for c in project if c.period == year),
            project_validity_ucny=sum(c.amount_ucny for c in project),
        )

    def budget_left_ucny(self, programme: Programme, day: date) -> int | None:
        """Return what all claims, of everybody and from a shared purse, leave of a budget; None: it has none."""
        budget = programme.budget
        if budget is None:
            return None
        drawn = [c for key in (programme.id, *budget.shared_with) for c in self._by_programme.get(key, ())]
        if budget.period is Period.YEAR:
            drawn = [c for c in drawn if c.period == str(day.year)]
        return max(0, budget.amount_ucny - sum(c.amount_ucny for c in drawn))

    def held(self, purchase: Purchase, programmes: Mapping[str, Programme]) -> tuple[Held, ...]:
        """Return the support that the enterprise holds already, one row per programme and whether for this contract."""
        amounts: dict[tuple[str, bool], int] = {}
        for key, claims in sorted(self._by_programme.items()):
            for claim in claims:
                if claim.enterprise_id == purchase.enterprise_id and claim.amount_ucny:
                    place = key, _same_contract(claim, purchase)
                    amounts[place] = amounts.get(place, 0) + claim.amount_ucny
        return tuple(Held(key, programmes.get(key), amount, same) for (key, same), amount in amounts.items())


def _same_contract(claim: Claim, purchase: Purchase) -> bool:
    return claim.contract_id is not None and claim.contract_id == purchase.contract_id


def parse_claims(table: RawTable, problems: ProblemList) -> Claims:
    """Check a table of claims.

    Parameters
    ----------
    table : the columns of a book's `claims`, and if they are there `contract_id` and `project_id`
    problems : takes every problem

    Returns
    -------
    the claims; none if there is any problem
    """
    columns = (*book_columns()["claims"], *(_further(name) for name in _FURTHER))
    known = [column.column for column in columns]
    mistakes = ProblemList()
    for name in table.frame.columns:
        if name not in known:
            expected = Text(f"one of {', '.join(known)}", f"以下之一：{', '.join(known)}")
            mistakes.add(Problem("unknown-column", table.file, 1, name, shown(name), expected))
    for column in columns:
        if column.required and column.column not in table.frame.columns:
            expected = Text(f"a column {column.column}", f"列 {column.column}")
            mistakes.add(Problem("missing-column", table.file, 1, column.column, "no such column", expected))
    cells = [
        parse_cells(table, column, mistakes)
        if column.column in table.frame.columns
        else pl.Series(column.stored, [None] * table.frame.height, dtype=pl.String())
        for column in columns
    ]
    problems.extend(mistakes)
    return Claims() if mistakes else Claims(Claim(*row) for row in pl.DataFrame(cells).iter_rows())


def _further(name: str) -> Column:
    return Column("claims", name, name, "name", False, "", None, None, None, name, name)
