"""What changed from one version of a programme to another, rule by rule."""

from dataclasses import dataclass
from enum import StrEnum

from dujiang.core.text import Text
from dujiang.policy.programme import Basis, Clause, Programme
from dujiang.policy.rules import Part, Rule, rules


class Kind(StrEnum):
    """How a rule changed."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """It says something else."""
    REFOUNDED = "refounded"
    """It says the same and rests on another clause or assumption."""


@dataclass(frozen=True, slots=True)
class Side:
    """A rule in one of the two versions."""

    text: Text
    test: str
    """What is asked of which fact; empty where nothing is."""
    clause: Clause | None
    assumption: Text | None


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that is not the same in both."""

    path: str
    part: Part
    title: Text
    kind: Kind
    before: Side | None
    """None: it was not there."""
    after: Side | None
    """None: it is not there."""


def changes(before: Programme, after: Programme) -> tuple[Change, ...]:
    """Return every difference between two versions, in the order of a page; what is gone stands where it stood.

    The day on which a file was written is no rule, and neither is the order in which a file lists its rules.
    """
    old, new = _by_path(before), _by_path(after)
    found = []
    for path in _merged(list(old), list(new)):
        sides = _side(before, old.get(path)), _side(after, new.get(path))
        rule = new.get(path) or old[path]
        kind = _kind(*sides)
        if kind is not None:
            found.append(Change(path, rule.part, rule.title, kind, *sides))
    return tuple(found)


def _by_path(programme: Programme) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for rule in rules(programme):
        path, count = rule.path, 2
        while path in found:  # two rules about one thing: told apart by their order
            path, count = f"{rule.path}#{count}", count + 1
        found[path] = rule
    return found


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Put what is gone after what stood before it."""
    merged = list(new)
    for index, path in enumerate(old):
        if path not in merged:
            before = [merged.index(p) for p in old[:index] if p in merged]
            merged.insert(max(before, default=-1) + 1, path)
    return merged


def _side(programme: Programme, rule: Rule | None) -> Side | None:
    if rule is None:
        return None
    basis = rule.basis or Basis(None, None)
    clause = None if basis.clause is None else programme.clause(basis.clause)
    return Side(rule.text, rule.test, clause, basis.assumption)


def _kind(before: Side | None, after: Side | None) -> Kind | None:
    if before is None:
        return Kind.ADDED
    if after is None:
        return Kind.REMOVED
    if (before.text, before.test) != (after.text, after.test):
        return Kind.CHANGED
    same = _said(before.clause) == _said(after.clause) and before.assumption == after.assumption
    return None if same else Kind.REFOUNDED


def _said(clause: Clause | None) -> tuple[str, bool, str] | None:
    """Return what makes two clauses the same, whatever their keys."""
    return None if clause is None else (clause.text, clause.verbatim, clause.source)
