"""The conditions of one programme asked of a whole round: once per kind of order and once per kind of pool.

A single condition asks one fact, and a fact is either the buyer's (order and enterprise) or the seller's (pool). Orders
that answer all conditions of the buyer's side alike are of one kind, and so are pools. What a programme makes of an
order in a pool depends on the two kinds alone, so nothing is ever asked per order and pool.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dujiang.policy.condition import Outcome, judge
from dujiang.policy.facts import RoundFacts, is_seller_side
from dujiang.policy.programme import Asked, Condition, ConditionGroup, How, leaves

Outcomes = NDArray[np.int8]
"""`Outcome` values."""

_TABLE_MAX = 1 << 20
"""Keys below this are numbered by a table, larger ones by sorting."""


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Rows that are alike, numbered in the order of their first row."""

    of_row: NDArray[np.int32]
    """(rows,), kind of each row."""
    first: NDArray[np.int64]
    """(kinds,), first row of each kind."""

    @staticmethod
    def of(keys: NDArray[np.int64], below: int) -> "Kinds":
        """Number the rows of a column of keys, each at least 0 and less than `below`."""
        rows = keys.shape[0]
        if below > max(_TABLE_MAX, 4 * rows):
            keys = np.unique(keys, return_inverse=True)[1].reshape(-1)
            below = rows
        first = np.full(below, -1, dtype=np.int64)
        first[keys[::-1]] = np.arange(rows - 1, -1, -1)  # the last that is written stays: the first row
        used = np.flatnonzero(first >= 0)
        used = used[np.argsort(first[used])]
        number = np.empty(below, dtype=np.int32)
        number[used] = np.arange(used.size, dtype=np.int32)
        return Kinds(number[keys], first[used])

    @staticmethod
    def of_all(columns: Iterable[tuple[NDArray[np.integer], int]], rows: int) -> "Kinds":
        """Number the rows by several columns, each with a number above its codes."""
        keys, below = np.zeros(rows, dtype=np.int64), 1
        for codes, width in columns:
            if below * width > _TABLE_MAX:
                kinds = Kinds.of(keys, below)
                keys, below = kinds.of_row.astype(np.int64), kinds.first.size
            keys = keys * width + codes
            below *= width
        return Kinds.of(keys, below)


class Questions:
    """Conditions and groups of one programme, asked of a round.

    Parameters
    ----------
    asked : all that will be looked at, of the programme and of its special rates
    facts : of the round
    """

    def __init__(self, asked: Sequence[Asked], facts: RoundFacts) -> None:
        single = list(dict.fromkeys(leaves(tuple(asked))))
        outcomes = {c: facts.column(c.fact).map(partial(judge, c)) for c in single}
        sides = {c: is_seller_side(c.fact) for c in single}
        self.orders = _kinds([outcomes[c] for c in single if not sides[c]], facts.orders)
        self.pools = _kinds([outcomes[c] for c in single if sides[c]], facts.pools)
        self._outcomes: dict[Condition, Outcomes] = {
            c: outcomes[c][self.pools.first][None, :] if sides[c] else outcomes[c][self.orders.first][:, None]
            for c in single
        }

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of kinds of orders and of pools."""
        return self.orders.first.size, self.pools.first.size

    def outcome(self, item: Asked) -> Outcomes:
        """Return the outcome of a condition or a group; its shape broadcasts to `shape`."""
        if not isinstance(item, ConditionGroup):
            return self._outcomes[item]
        parts = [self.outcome(member) for member in item.members]
        if item.how is How.ALL:
            return all_of(parts)
        # One of several is met unless all of them are not.
        any_of = _opposite(all_of([_opposite(part) for part in parts]))
        return any_of if item.how is How.ANY else _opposite(any_of)

    def unknown_facts(self, item: Asked, kind: int, pools: NDArray[np.bool_]) -> list[str]:
        """Return the facts that leave a condition open for one kind of order in some of the pools marked.

        Parameters
        ----------
        item : condition or group
        kind : kind of order
        pools : (kinds of pools,), or (1,) for a condition of the buyer's side
        """
        outcome = self.outcome(item)
        if not np.any((outcome[min(kind, outcome.shape[0] - 1)] == Outcome.UNKNOWN) & pools):
            return []
        if not isinstance(item, ConditionGroup):
            return [item.fact]
        return [fact for member in item.members for fact in self.unknown_facts(member, kind, pools)]

    def met(self, items: Sequence[Asked]) -> NDArray[np.bool_]:
        """Return, in `shape`, whether all of several are met."""
        all_met = np.ones(self.shape, dtype=np.bool_)
        for item in items:
            all_met &= self.outcome(item) == Outcome.MET
        return all_met


def all_of(outcomes: Sequence[Outcomes]) -> Outcomes:
    """Return the outcome of all of several together, as `condition.combined` does for one case."""
    refused: NDArray[np.bool_] = np.zeros((1, 1), dtype=np.bool_)
    unknown = refused
    for outcome in outcomes:
        refused = refused | (outcome == Outcome.NOT_MET)
        unknown = unknown | (outcome == Outcome.UNKNOWN)
    known = np.where(refused, np.int8(Outcome.NOT_MET), np.int8(Outcome.MET))
    return np.where(unknown & ~refused, np.int8(Outcome.UNKNOWN), known)


_OPPOSITE = np.array([Outcome.NOT_MET, Outcome.MET, Outcome.UNKNOWN], dtype=np.int8)


def _opposite(outcome: Outcomes) -> Outcomes:
    return _OPPOSITE[outcome]


def _kinds(outcomes: Sequence[Outcomes], rows: int) -> Kinds:
    split = [o for o in outcomes if rows and o.min() != o.max()]
    return Kinds.of_all(((o, len(Outcome)) for o in split), rows)
