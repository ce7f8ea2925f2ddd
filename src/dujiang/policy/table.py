"""Facts of many purchases as columns, and conditions asked of all of them at once.

The rules are those of `condition.judge`. A column of texts, flags or days is judged once per distinct value, one of
numbers by one comparison. Rows that one condition refuses are not asked the next, and the condition that refuses most
comes first, so that a programme of one city looks at the rest of the country once.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.policy.condition import Outcome, judge
from dujiang.policy.programme import Asked, Condition, ConditionGroup, How, Op, leaves

Rows = NDArray[np.int64]
"""Row numbers of a table, ascending."""
Outcomes = NDArray[np.int8]
"""`Outcome` values, one per row."""
Numbers = NDArray[np.int64] | NDArray[np.float64]
Flags = NDArray[np.bool_]


class FactTable:
    """Facts of N purchases; what a column does not say is not known.

    Parameters
    ----------
    frame : one row per purchase, columns named like facts; money in int64 micro-yuan under names that end in `_ucny`
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.rows = frame.height
        self._coded: dict[str, _Coded] = {}
        self._numbers: dict[str, tuple[Numbers, Flags]] = {}

    def outcome(self, asked: Asked, rows: Rows | None = None) -> Outcomes:
        """Return the outcome of a condition or a group for some rows, for all of them by default."""
        if isinstance(asked, ConditionGroup):
            return _together([self.outcome(member, rows) for member in asked.members], asked.how)
        if asked.fact not in self.frame.columns:
            return np.full(self.rows if rows is None else rows.size, judge(asked, None), dtype=np.int8)
        if self._by_number(asked):
            numbers, stated = self.numbers(asked.fact)
            if rows is not None:
                numbers, stated = numbers[rows], stated[rows]
            return np.where(stated, _refused(asked, numbers).astype(np.int8), np.int8(Outcome.UNKNOWN))
        return self._column(asked.fact).map(partial(judge, asked), rows)

    def asked_together(self, asked: Sequence[Asked]) -> tuple[Rows, Rows]:
        """Ask all of several conditions; return the rows that meet them all, and those that might."""
        first, *rest = sorted(asked, key=self._kept) if self.rows else asked
        rows: Rows | None = None
        open_: Flags = np.zeros(0, dtype=np.bool_)
        for item in (first, *rest):
            outcome = self.outcome(item, rows)
            alive = np.flatnonzero(outcome != Outcome.NOT_MET)
            unknown = outcome[alive] == Outcome.UNKNOWN
            rows, open_ = (alive, unknown) if rows is None else (rows[alive], open_[alive] | unknown)
        assert rows is not None
        return rows[~open_], rows[open_]

    def numbers(self, fact: str) -> tuple[Numbers, Flags]:
        """Return a column of numbers, 0 where none is stated, and whether one is; (N,) each."""
        if fact not in self._numbers:
            self._numbers[fact] = self._read_numbers(fact)
        return self._numbers[fact]

    def days(self, fact: str) -> tuple[NDArray[np.int64], Flags]:
        """Return a column of days as days since 1970, 0 where none is stated, and whether one is; (N,) each."""
        if fact not in self.frame.columns or self.frame[fact].dtype != pl.Date:
            return np.zeros(self.rows, dtype=np.int64), np.zeros(self.rows, dtype=np.bool_)
        column = self.frame[fact]
        return column.to_physical().fill_null(0).cast(pl.Int64).to_numpy(), column.is_not_null().to_numpy()

    def _read_numbers(self, fact: str) -> tuple[Numbers, Flags]:
        if fact not in self.frame.columns or not self.frame[fact].dtype.is_numeric():
            return np.zeros(self.rows, dtype=np.int64), np.zeros(self.rows, dtype=np.bool_)
        column = self.frame[fact]
        stated = column.is_not_null().to_numpy()
        if not column.dtype.is_float():
            return column.cast(pl.Int64).fill_null(0).to_numpy(), stated
        floats = column.cast(pl.Float64).fill_null(0.0).to_numpy()
        finite = np.isfinite(floats)
        return np.where(finite, floats, 0.0), stated & finite

    def _by_number(self, condition: Condition) -> bool:
        """Return whether one comparison of numbers answers a condition."""
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return plain and condition.op is not Op.EXISTS and self.frame[condition.fact].dtype.is_numeric()

    def _kept(self, asked: Asked) -> float:
        """Return the share of rows that a condition does not refuse, as far as that is cheap to know; else 1."""
        if isinstance(asked, ConditionGroup) or self.frame.height == 0:
            return 1.0
        if asked.fact not in self.frame.columns:
            return 0.0 if judge(asked, None) is Outcome.NOT_MET else 1.0
        return 1.0 if self._by_number(asked) else self._column(asked.fact).kept(partial(judge, asked))

    def _column(self, fact: str) -> "_Coded":
        if fact not in self._coded:
            self._coded[fact] = _Coded(self.frame[fact])
        return self._coded[fact]


class _Coded:
    """A column as codes into its distinct values; the last value is None, for rows that state nothing."""

    def __init__(self, column: pl.Series) -> None:
        values = column.drop_nulls().unique().sort()
        self.values: list[object] = [*values.to_list(), None]
        if column.dtype == pl.String:
            codes = column.cast(pl.Enum(values)).to_physical()
        else:
            codes = column.replace_strict(values, pl.Series(range(len(values)), dtype=pl.UInt32), default=None)
        none = len(self.values) - 1
        small = pl.UInt8 if none < 255 else pl.UInt16 if none < 65_535 else pl.UInt32
        self.codes = codes.cast(small).fill_null(none).to_numpy()
        self.counts = np.bincount(self.codes, minlength=len(self.values))

    def map(self, judge_one: Callable[[object], Outcome], rows: Rows | None) -> Outcomes:
        """Judge each distinct value once and spread the outcomes over the rows."""
        outcomes = np.array([judge_one(value) for value in self.values], dtype=np.int8)
        spread: Outcomes = outcomes[self.codes if rows is None else self.codes[rows]]
        return spread

    def kept(self, judge_one: Callable[[object], Outcome]) -> float:
        """Return the share of rows whose value is not refused."""
        refused = [judge_one(value) is Outcome.NOT_MET for value in self.values]
        return 1.0 - float(self.counts[refused].sum()) / max(1, int(self.counts.sum()))


def _together(outcomes: Sequence[Outcomes], how: How) -> Outcomes:
    """Return the outcome of several conditions as `condition.combined` does for one case."""
    deciding, otherwise = (Outcome.NOT_MET, Outcome.MET) if how is How.ALL else (Outcome.MET, Outcome.NOT_MET)
    decided = np.logical_or.reduce([o == deciding for o in outcomes])
    unknown = np.logical_or.reduce([o == Outcome.UNKNOWN for o in outcomes])
    found = np.where(decided, deciding, np.where(unknown, Outcome.UNKNOWN, otherwise)).astype(np.int8)
    return _OPPOSITE[found] if how is How.NONE else found


_OPPOSITE = np.array([Outcome.NOT_MET, Outcome.MET, Outcome.UNKNOWN], dtype=np.int8)


def _refused(condition: Condition, numbers: Numbers) -> Flags:
    """Return where a condition on numbers is not met; exact also between whole numbers and fractions."""
    value = condition.value
    if isinstance(value, tuple):
        found = np.logical_or.reduce([_equal(numbers, one) for one in value])
        return np.asarray(found if condition.op is Op.NOT_IN else ~found)
    refused: Flags
    if condition.op in (Op.IS, Op.IS_NOT):
        refused = _equal(numbers, value) == (condition.op is Op.IS_NOT)
        return refused
    assert isinstance(value, int | float)
    whole = isinstance(value, float) and numbers.dtype.kind == "i"
    if condition.op is Op.AT_LEAST:
        refused = numbers < (math.ceil(value) if whole else value)
    elif condition.op is Op.MORE_THAN:
        refused = numbers <= (math.floor(value) if whole else value)
    elif condition.op is Op.AT_MOST:
        refused = numbers > (math.floor(value) if whole else value)
    else:
        refused = numbers >= (math.ceil(value) if whole else value)
    return refused


def _equal(numbers: Numbers, value: object) -> Flags:
    assert isinstance(value, int | float)
    if numbers.dtype.kind == "i" and isinstance(value, float) and not value.is_integer():
        return np.zeros(numbers.shape, dtype=np.bool_)
    equal: Flags = numbers == (int(value) if numbers.dtype.kind == "i" else value)
    return equal


__all__ = ["FactTable", "Flags", "Rows", "leaves"]
