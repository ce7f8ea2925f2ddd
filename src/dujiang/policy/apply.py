"""Programmes applied to a table of purchases, one after another in time, as an office would serve them.

Each purchase gets the best lawful stack of what its programmes still allow: caps and budgets less what earlier ones
took, groups, exclusions, combined ceilings and the spend (design 5.3, 5.4). A programme whose budget is cut alike for
all (`pro_rata`) is paid without regard to its budget first and scaled at the end; its caps count the unscaled amount.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dujiang.policy.evaluate import Status
from dujiang.policy.payment import Binding
from dujiang.policy.programme import Base, BudgetRule, Cap, Per, Period, Programme, With
from dujiang.policy.requests import CODE, STATUSES, Requests, requests
from dujiang.policy.serve import (
    BARRED,
    CAPS_MAX,
    CROWDED,
    EXHAUSTED,
    GIVEN_UP,
    PAID,
    TOO_LITTLE,
    Asked,
    Left,
    Rules,
    Served,
    cut_alike,
    serve,
)
from dujiang.policy.stack import SERVICE
from dujiang.policy.table import FactTable
from dujiang.policy.together import bar_between

Int = NDArray[np.int64]

PROGRAMMES_MAX = 62
"""Programmes that are applied together: sets of them are bits of one number."""
BINDINGS = (Binding.RATE, Binding.CAP, Binding.BUDGET, Binding.COMBINED, Binding.NONE)
_ENDLESS = 1 << 62

ANSWER_SCHEMA: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "programme_id": pl.String(),
    "status": pl.String(),
    "chosen": pl.Boolean(),
    "alone_ucny": pl.Int64(),
    "amount_ucny": pl.Int64(),
    "binding": pl.String(),
}
"""One row per purchase and programme whose conditions are all met; `row` is the purchase's. `alone`: what the programme
would pay if it were the only one; `amount`: what it pays in the stack."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What programmes make of a table of purchases."""

    answers: pl.DataFrame
    """`ANSWER_SCHEMA`, by row, then programme."""
    statuses: pl.DataFrame
    """`programme_id` and one column of counts per status, over all purchases."""
    crowded: int
    """Requests left out because a purchase had more programmes to choose among than are compared."""


def apply(
    programmes: Sequence[Programme],
    table: FactTable,
    claims: pl.DataFrame | None = None,
    progress: Callable[[float], None] | None = None,
) -> Applied:
    """Apply programmes to purchases.

    Parameters
    ----------
    programmes : each id once
    table : one row per purchase, with `date` (the day it counts for) and `enterprise_id`; optional `submitted`
        (time stamp, decides who comes first; a missing one comes last; then the row), `contract_id`, `project_id`
    claims : used before: `enterprise_id`, `programme_id`, `period` (a civil year), `amount_ucny`
    progress : told the share done

    Returns
    -------
    answers and counts
    """
    ranked = sorted(programmes, key=lambda p: p.id)
    assert len(ranked) <= PROGRAMMES_MAX, f"{len(ranked)} programmes, at most {PROGRAMMES_MAX} are applied together"
    days, dated = table.days("date")
    assert bool(dated.all()), "every purchase has a day"
    found = []
    for number, programme in enumerate(ranked):
        found.append(requests(programme, table, days))
        if progress is not None:
            progress(0.9 * (number + 1) / len(ranked))
    queue = _Queue(table, days, ranked, found)
    rules, left = _rules(ranked), queue.left(claims)
    served = serve(rules, queue.asked, left)
    cut_alike(rules, queue.asked, left, served)
    if progress is not None:
        progress(1.0)
    return _applied(ranked, found, queue, served)


def _rules(programmes: Sequence[Programme]) -> Rules:
    bases = {p.base for p in programmes if p.base is not None} - set(SERVICE)
    family: dict[Base | None, int] = {
        None: -1,
        **dict.fromkeys(SERVICE, 0),
        **{b: n for n, b in enumerate(sorted(bases), start=1)},
    }
    floors = [0 if p.minimum is None else p.minimum.amount_ucny for p in programmes]
    return Rules(
        unit=_ints([p.rounding.unit_ucny for p in programmes]),
        least=_ints([max(p.rounding.unit_ucny, floor) for p, floor in zip(programmes, floors, strict=True)]),
        conflict=_ints([_barred(p, programmes, same_contract=True) for p in programmes]),
        conflict_firm=_ints([_barred(p, programmes, same_contract=False) for p in programmes]),
        ceiling=_ints([-1 if p.combined_ceiling is None else p.combined_ceiling.share_ppm for p in programmes]),
        counted=_ints([sum(1 << k for k, q in enumerate(programmes) if _counts(p, q)) for p in programmes]),
        family=_ints([family[p.base] for p in programmes]),
        pro_rata=np.array([_cut_alike(p) for p in programmes], dtype=np.bool_),
    )


def _ints(values: Iterable[int]) -> Int:
    return np.array(list(values), dtype=np.int64)


def _barred(one: Programme, others: Sequence[Programme], *, same_contract: bool) -> int:
    """Return the programmes that one is not held with, as bits."""
    barred = (one.id != q.id and bar_between(one, q, same_contract=same_contract) is not None for q in others)
    return sum(1 << k for k, flag in enumerate(barred) if flag)


def _counts(owner: Programme, other: Programme) -> bool:
    """Return whether a programme's combined ceiling counts another one in."""
    ceiling = owner.combined_ceiling
    if ceiling is None:
        return False
    if ceiling.counts is With.ALL or owner.id == other.id:
        return True
    mine, theirs = owner.stacking, other.stacking
    return mine is not None and theirs is not None and mine.group == theirs.group


def _cut_alike(programme: Programme) -> bool:
    return programme.budget is not None and programme.budget.rule is BudgetRule.PRO_RATA


class _Keys:
    """What is claimed together: numbers for (what, civil year or 0, who), handed out as they come up."""

    def __init__(self, holders: int) -> None:
        self._holders = max(1, holders)
        self._known = np.zeros(0, dtype=np.int64)

    def code(self, what: int, year: Int | int, holder: Int | int) -> Int:
        """Return one number for each of what, year (0 to 9999) and holder."""
        return np.asarray((what * 10_000 + np.asarray(year)) * self._holders + np.asarray(holder))

    def number(self, codes: Int) -> Int:
        """Number codes from 0 and remember them; a code of -1 stays -1."""
        self._known = np.unique(codes[codes >= 0])
        return np.where(codes >= 0, np.searchsorted(self._known, codes), -1)

    def rows(self, codes: Int) -> Int:
        """Return the numbers of codes, -1 for those that nobody asked for."""
        at = np.searchsorted(self._known, codes)
        known = at < self._known.size
        known[known] &= self._known[at[known]] == codes[known]
        return np.where(known, at, -1)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(self._known.size)


class _Queue:
    """All requests in the order in which they are served: purchases by time stamp, programmes by id within one."""

    def __init__(self, table: FactTable, days: Int, programmes: Sequence[Programme], found: Sequence[Requests]) -> None:
        self.programmes = programmes
        self._order = _visits(table.frame)
        self._turn = np.empty(table.rows, dtype=np.int64)
        self._turn[self._order] = np.arange(table.rows)
        self._year = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        self._firm, self._firm_ids = _numbered(table.frame["enterprise_id"])
        self._contract = _numbered_within(table.frame, "contract_id", self._firm)
        self._project = _numbered_within(table.frame, "project_id", self._firm)
        self._caps, self._purses = _Keys(2 * table.rows), _Keys(1)
        self._budget_of: dict[int, int] = {}
        self.row = _joined([f.rows for f in found])
        programme = np.repeat(np.arange(len(found)), [f.rows.size for f in found])
        by_turn = np.argsort(self._turn[self.row] * len(programmes) + programme, kind="stable")
        caps = [self._cap_columns(k, f) for k, f in enumerate(found)]
        amounts, keys = _stacked([c[0] for c in caps]), _stacked([c[1] for c in caps])
        purses = _joined([self._purse_column(k, f) for k, f in enumerate(found)])
        self.row = self.row[by_turn]
        service = np.full(table.rows, -1, dtype=np.int64)
        for base in SERVICE:
            stated, known = table.numbers(f"{base.value}_ucny")
            whole = stated.astype(np.int64)
            service = np.where(known & ((service < 0) | (whole < service)) & (whole >= 0), whole, service)
        self.asked = Asked(
            first=np.searchsorted(self._turn[self.row], np.arange(table.rows + 1)),
            programme=programme[by_turn],
            by_rate=_joined([f.by_rate_ucny for f in found])[by_turn],
            base=_joined([f.base_ucny for f in found])[by_turn],
            cap=amounts[by_turn],
            cap_key=self._caps.number(keys)[by_turn],
            purse=self._purses.number(purses)[by_turn],
            firm=self._firm[self._order],
            contract=self._contract[self._order],
            service=service[self._order],
        )

    def _cap_columns(self, k: int, found: Requests) -> tuple[Int, Int]:
        """Return the caps of a programme's requests and what is claimed together under each."""
        amounts = np.zeros((found.rows.size, CAPS_MAX), dtype=np.int64)
        keys = np.full((found.rows.size, CAPS_MAX), -1, dtype=np.int64)
        column = np.zeros(found.rows.size, dtype=np.int64)
        for cap, at in found.caps:
            rows = found.rows[at]
            amounts[at, column[at]] = cap.amount_ucny
            keys[at, column[at]] = self._cap_code(k, cap, self._year[rows], self._holder(cap)[rows])
            column[at] += 1
        return amounts, keys

    def _holder(self, cap: Cap) -> Int:
        return {Per.ENTERPRISE: self._firm, Per.CONTRACT: self._contract, Per.PROJECT: self._project}[cap.per]

    def _cap_code(self, k: int, cap: Cap, year: Int | int, holder: Int | int) -> Int:
        kind = tuple(Per).index(cap.per) * 2 + (cap.period is Period.YEAR and cap.per is not Per.CONTRACT)
        return self._caps.code(k * 6 + kind, year if kind % 2 else 0, holder)

    def _purse_column(self, k: int, found: Requests) -> Int:
        """Return the purse that each request of a programme draws on; one that programmes share counts for all."""
        budget = self.programmes[k].budget
        if budget is None:
            return np.full(found.rows.size, -1, dtype=np.int64)
        year = self._year[found.rows] if budget.period is Period.YEAR else np.zeros(found.rows.size, dtype=np.int64)
        return self._purses.code(self._owner(k), year, 0)

    def _owner(self, k: int) -> int:
        """Return the first programme of a purse."""
        budget = self.programmes[k].budget
        shared = () if budget is None else budget.shared_with
        return min([k, *(i for i, p in enumerate(self.programmes) if p.id in shared)])

    def left(self, claims: pl.DataFrame | None) -> Left:
        """Return what is left and held before the first purchase, less what was claimed before."""
        firms, count = self._firm_ids.len(), len(self.programmes)
        several = np.bincount(self._contract) > 1
        left = Left(
            used=np.zeros(self._caps.size, dtype=np.int64),
            purse=self._budgets(),
            firm=np.zeros(firms, dtype=np.int64),
            contract=np.zeros(several.size, dtype=np.int64),
            contract_paid=np.zeros((int(several.sum()), count), dtype=np.int64),
            contract_row=np.where(several, np.cumsum(several) - 1, -1),
        )
        if claims is not None:
            self._claim(left, claims)
        return left

    def _budgets(self) -> Int:
        budgets = np.full(self._purses.size, _ENDLESS, dtype=np.int64)
        owners = self.asked.programme
        for k, programme in enumerate(self.programmes):
            if programme.budget is not None:
                mine = np.unique(self.asked.purse[owners == k])
                budgets[mine] = np.minimum(budgets[mine], programme.budget.amount_ucny)
        return budgets

    def _claim(self, left: Left, claims: pl.DataFrame) -> None:
        number = {programme.id: k for k, programme in enumerate(self.programmes)}
        firm_of = {name: row for row, name in enumerate(self._firm_ids)}
        columns = claims.select("enterprise_id", "programme_id", "period", "amount_ucny")
        for enterprise, programme_id, period, amount in columns.iter_rows():
            k = number.get(programme_id)
            if k is None:
                continue
            year = int(period) if str(period).isdecimal() else 0
            self._draw_purse(left, k, year, amount)
            firm = firm_of.get(enterprise)
            if firm is None:
                continue
            if amount > 0:
                left.firm[firm] |= 1 << k
            for per_year in (False, True):
                kind = tuple(Per).index(Per.ENTERPRISE) * 2 + per_year
                code = self._caps.code(k * 6 + kind, year if per_year else 0, firm)
                row = int(self._caps.rows(np.atleast_1d(code))[0])
                if row >= 0:
                    left.used[row] += amount

    def _draw_purse(self, left: Left, k: int, year: int, amount: int) -> None:
        budget = self.programmes[k].budget
        if budget is None:
            return
        code = self._purses.code(self._owner(k), year if budget.period is Period.YEAR else 0, 0)
        row = int(self._purses.rows(np.atleast_1d(code))[0])
        if row >= 0:
            left.purse[row] -= amount


def _visits(frame: pl.DataFrame) -> Int:
    """Return the rows in the order in which they are served."""
    if "submitted" not in frame.columns:
        return np.arange(frame.height)
    return frame["submitted"].arg_sort(nulls_last=True).cast(pl.Int64).to_numpy()


def _numbered(column: pl.Series) -> tuple[Int, pl.Series]:
    """Number the values of a column, -1 for none; also return the values."""
    values = column.drop_nulls().unique()
    numbered = values.to_frame("value").with_row_index("number")
    number = column.to_frame("value").join(numbered, on="value", how="left", maintain_order="left")["number"]
    return number.cast(pl.Int64).fill_null(-1).to_numpy(), values


def _numbered_within(frame: pl.DataFrame, name: str, firm: Int) -> Int:
    """Number what firms call their own by a column; a row that says nothing has a number of its own."""
    rows = np.arange(frame.height)
    if name not in frame.columns:
        return rows
    called, values = _numbered(frame[name])
    pairs = np.where(called >= 0, firm * max(1, values.len()) + called, -1)
    known, number = np.unique(pairs[called >= 0], return_inverse=True)
    out = known.size + rows
    out[called >= 0] = number.reshape(-1)
    return out


def _joined(parts: Sequence[Int]) -> Int:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _stacked(parts: Sequence[Int]) -> Int:
    return np.concatenate(parts) if parts else np.zeros((0, CAPS_MAX), dtype=np.int64)


_FATES = {
    GIVEN_UP: Status.OK,
    PAID: Status.OK,
    EXHAUSTED: Status.EXHAUSTED,
    TOO_LITTLE: Status.INELIGIBLE,
    BARRED: Status.OK,
    CROWDED: Status.OK,
}
"""Status of a programme alone; what else stands against it is told by `chosen`."""


def _applied(programmes: Sequence[Programme], found: Sequence[Requests], queue: _Queue, served: Served) -> Applied:
    ids = np.array([p.id for p in programmes], dtype=object)
    statuses = np.array([_FATES[fate].value for fate in sorted(_FATES)], dtype=object)
    bindings = np.array([binding.value for binding in BINDINGS], dtype=object)
    answers = pl.DataFrame(
        {
            "row": queue.row,
            "programme_id": pl.Series(ids[queue.asked.programme], dtype=pl.String),
            "status": pl.Series(statuses[served.fate], dtype=pl.String),
            "chosen": served.fate == PAID,
            "alone_ucny": served.alone,
            "amount_ucny": served.paid,
            "binding": pl.Series(bindings[served.binding], dtype=pl.String),
        },
        schema=ANSWER_SCHEMA,
    ).sort("row", "programme_id")
    return Applied(answers, _counts_of(programmes, found, queue, served), int((served.fate == CROWDED).sum()))


def _counts_of(
    programmes: Sequence[Programme], found: Sequence[Requests], queue: _Queue, served: Served
) -> pl.DataFrame:
    rows = []
    for k, (programme, requests_) in enumerate(zip(programmes, found, strict=True)):
        counts = np.bincount(requests_.status, minlength=len(STATUSES))
        fates = served.fate[queue.asked.programme == k]
        for fate, status in _FATES.items():
            if status is not Status.OK:
                moved = int((fates == fate).sum())
                counts[CODE[Status.OK]] -= moved
                counts[CODE[status]] += moved
        rows.append({"programme_id": programme.id} | {s.value: int(n) for s, n in zip(STATUSES, counts, strict=True)})
    schema = {"programme_id": pl.String(), **{s.value: pl.Int64() for s in STATUSES}}
    return pl.DataFrame(rows, schema=schema)
