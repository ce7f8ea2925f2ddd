"""Which two programmes may not be held together, and the clause that says so (design 5.3)."""

from enum import StrEnum
from typing import NamedTuple

from dujiang.core.text import Text
from dujiang.policy.programme import Basis, Clause, Exclude, Level, Programme, Scope, StackingRule


class Hurdle(StrEnum):
    """What stands against a programme, or cuts it down, beside its own rate, cap and budget."""

    ONCE = "once"
    """A contract uses a programme once."""
    GROUP = "group"
    """Of its group only the higher counts, once (就高不重复)."""
    EXCLUDES = "excludes"
    """One of the two rules the other out."""
    COMBINED = "combined"
    """A combined ceiling leaves too little."""
    SPEND = "spend"
    """All support together is never above the spend."""
    BUDGET = "budget"
    """A purse that several programmes share is used up."""
    WORK = "work"
    """Nothing known stands against it: the search for the best stack was cut short."""


class Bar(NamedTuple):
    """Why two programmes may not be held together."""

    hurdle: Hurdle
    owner: Programme
    """The programme whose rule it is."""
    basis: Basis

    @property
    def clause(self) -> Clause | None:
        """The clause of the rule; None: it rests on an assumption alone."""
        return None if self.basis.clause is None else self.owner.clause(self.basis.clause)

    @property
    def assumption(self) -> Text | None:
        """The reading that was chosen where the source is silent."""
        return self.basis.assumption


def bar_between(one: Programme, other: Programme, *, same_contract: bool = True) -> Bar | None:
    """Return why two programmes may not be held together; None: they may.

    Parameters
    ----------
    one, other : two programmes; the answer is the same in either order, save whose rule is named where both have one
    same_contract : whether both are used for the same contract. Of another contract only a rule that reaches over the
        whole enterprise stands in the way
    """
    if same_contract and (shared := _shared_group(one, other)) is not None:
        return shared
    for owner, against in ((one, other), (other, one)):
        for exclude in owner.excludes:
            if (same_contract or exclude.scope is Scope.ENTERPRISE) and names(exclude, owner, against):
                return Bar(Hurdle.EXCLUDES, owner, exclude.basis)
    return None


def _shared_group(one: Programme, other: Programme) -> Bar | None:
    mine, theirs = one.stacking, other.stacking
    if mine is None or theirs is None or mine.group != theirs.group:
        return None
    for owner, stacking in ((one, mine), (other, theirs)):
        if stacking.rule is StackingRule.HIGHER_COUNTS:
            return Bar(Hurdle.GROUP, owner, stacking.basis)
    return None


def names(exclude: Exclude, owner: Programme, other: Programme) -> bool:
    """Return whether an exclusion of one programme is about another; never about itself."""
    if owner.id == other.id:
        return False
    if other.id in exclude.programmes:
        return True
    if exclude.group is not None:
        return other.stacking is not None and other.stacking.group == exclude.group
    if exclude.level is None or other.jurisdiction.level is not exclude.level:
        return False
    return not exclude.same_place or same_place(owner, other)


def same_place(one: Programme, other: Programme) -> bool:
    """Return whether the places of two programmes are one, or one lies in the other.

    The nation holds every province, a province its cities.
    """
    here, there = one.jurisdiction, other.jurisdiction
    if Level.NATION in (here.level, there.level):
        return True
    return here.province == there.province and (here.city == there.city or None in (here.city, there.city))
