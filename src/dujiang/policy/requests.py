"""What every purchase of a table could get from one programme, before caps, budgets and other support.

The same rules as `evaluate` and `payment`, in whole columns and exact integers: nothing here is a rule of its own. A
property test holds the two equal on random programmes and firms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dujiang.core.money import MICRO
from dujiang.policy.condition import Outcome, asked_conditions
from dujiang.policy.evaluate import Status, rank
from dujiang.policy.programme import Asked, Base, Cap, Method, Programme, ProRata, Rounding, SpecialRate, Tiers
from dujiang.policy.table import FactTable, Flags, Rows

Int = NDArray[np.int64]

STATUSES = tuple(Status)
"""A status column holds positions in this list."""
CODE = {status: np.int8(code) for code, status in enumerate(STATUSES)}


@dataclass(frozen=True, slots=True)
class Requests:
    """What one programme makes of N purchases; those that it would pay are E."""

    programme: Programme
    status: NDArray[np.int8]
    """(N,), positions in `STATUSES`; `ok` before any limit."""
    rows: Rows
    """(E,), purchases that meet every condition and whose base is known."""
    base_ucny: Int
    """(E,), what they state as the base; -1 for a fixed amount without one."""
    by_rate_ucny: Int
    """(E,), what the rate or the fixed amount alone would pay."""
    caps: tuple[tuple[Cap, Rows], ...]
    """Caps, and the positions in `rows` at which each holds; one without special cases holds at all."""


def requests(programme: Programme, table: FactTable, days: Int) -> Requests:
    """Ask one programme for a whole table.

    Parameters
    ----------
    programme : the rules
    table : facts of N purchases
    days : (N,) civil day of each purchase, days since 1970
    """
    status = _standing(programme, days)
    if programme.not_computable is not None:
        nothing = np.zeros(0, dtype=np.int64)
        return Requests(programme, status, nothing, nothing, nothing, ())
    in_force = status == CODE[Status.OK]
    status[in_force] = CODE[Status.INELIGIBLE]
    met, open_ = table.asked_together(asked_conditions(programme))
    met, open_ = met[in_force[met]], open_[in_force[open_]]
    special, rated = _special(programme, table, met)
    rates_open = _rates_open(programme, table, open_)
    status[open_[rates_open]] = CODE[Status.UNKNOWN]
    base, counted, known = _bases(programme, table, met)
    status[met[(rated == Outcome.UNKNOWN) | ((rated == Outcome.MET) & ~known)]] = CODE[Status.UNKNOWN]
    paid = np.flatnonzero((rated == Outcome.MET) & known)
    status[met[paid]] = CODE[Status.OK]
    special, base, counted = special[paid], base[paid], counted[paid]
    return Requests(
        programme, status, met[paid], base, _by_rate(programme, special, counted), _caps(programme, special)
    )


def _standing(programme: Programme, days: Int) -> NDArray[np.int8]:
    if programme.not_computable is not None:
        return np.full(days.shape, CODE[Status.NOT_COMPUTABLE], dtype=np.int8)
    status = np.full(days.shape, CODE[Status.OK], dtype=np.int8)
    first, last = programme.valid.first, programme.valid.last
    if last is not None:
        status[days > _day(last)] = CODE[Status.EXPIRED]
    if first is not None:
        status[days < _day(first)] = CODE[Status.NOT_YET]
    return status


def _day(day: object) -> int:
    return int(np.datetime64(str(day), "D").astype(np.int64))


def _outcome(table: FactTable, asked: tuple[Asked, ...], rows: Rows) -> NDArray[np.int8]:
    """Return the outcome of all of several conditions together, for some rows."""
    found = np.full(rows.shape, Outcome.MET, dtype=np.int8)
    for item in asked:
        outcome = table.outcome(item, rows)
        found[(outcome == Outcome.UNKNOWN) & (found == Outcome.MET)] = Outcome.UNKNOWN
        found[outcome == Outcome.NOT_MET] = Outcome.NOT_MET
    return found


def _special(programme: Programme, table: FactTable, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return per row the special case that counts (-1: none), and whether any rate or amount applies at all."""
    special = np.full(rows.shape, -1, dtype=np.int64)
    plain = programme.rate is not None or programme.amount is not None
    rated = np.full(rows.shape, Outcome.MET if plain else Outcome.NOT_MET, dtype=np.int8)
    cases = programme.special_rates
    # Rising rank, and at equal rank the first in the file last: the one that counts is written last and stays.
    for index in sorted(range(len(cases)), key=lambda i: (rank(programme, cases[i]), -i)):
        outcome = _outcome(table, cases[index].when, rows)
        special[outcome == Outcome.MET] = index
        rated[outcome == Outcome.MET] = Outcome.MET
        rated[(outcome == Outcome.UNKNOWN) & (rated == Outcome.NOT_MET)] = Outcome.UNKNOWN
    return special, rated


def _rates_open(programme: Programme, table: FactTable, rows: Rows) -> Flags:
    """Return which rows a rate applies to, or might."""
    return np.asarray(_special(programme, table, rows)[1] != Outcome.NOT_MET)


def _bases(programme: Programme, table: FactTable, rows: Rows) -> tuple[Int, Int, Flags]:
    """Return the base as stated, the part of it that counts, and whether both are known."""
    if programme.base is None:
        nothing = np.full(rows.shape, -1, dtype=np.int64)
        return nothing, nothing, np.ones(rows.shape, dtype=np.bool_)
    base, known = stated_base(programme.base, table, rows)
    counted = base
    if programme.pro_rata is not None:
        counted, dated = _in_period(programme.pro_rata, programme.rounding, table, rows, base)
        known = known & dated
    if programme.cut_base:
        counted = counted // programme.rounding.unit_ucny * programme.rounding.unit_ucny
    return base, counted, known


def stated_base(base: Base, table: FactTable, rows: Rows) -> tuple[Int, Flags]:
    """Return what purchases state as a base, 0 where nothing, and whether they state it."""
    amount = np.zeros(rows.shape, dtype=np.int64)
    known = np.zeros(rows.shape, dtype=np.bool_)
    for name in base.facts:
        numbers, stated = table.numbers(name)
        if numbers.dtype.kind != "i":
            continue
        own = stated[rows] & (numbers[rows] >= 0) & ~known
        amount[own] = numbers[rows][own]
        known |= own
    return amount, known


def _in_period(rule: ProRata, rounding: Rounding, table: FactTable, rows: Rows, base: Int) -> tuple[Int, Flags]:
    """Return the part of a base whose days fall in the period; see `payment.days_counted`."""
    (first, first_known), (last, last_known) = (table.days(name) for name in rule.facts)
    first, last = first[rows], last[rows]
    dated = first_known[rows] & last_known[rows] & (last >= first)
    begin, end = _day(rule.first), _day(rule.last)
    single = first == last
    inside = np.maximum(0, np.minimum(last, end) - np.maximum(first, begin))
    inside = np.where(single, (begin <= first) & (first <= end), inside)
    all_days = np.where(single | ~dated, 1, last - first)
    inside = np.where(dated, inside, 0)
    # Split, so that no product leaves int64: base = whole x all_days + rest.
    whole, rest = np.divmod(base, all_days)
    part = whole * inside + rest * inside // all_days
    unit = rounding.unit_ucny
    return part // unit * unit, dated


def _by_rate(programme: Programme, special: NDArray[np.int64], counted: Int) -> Int:
    amount = _plain(programme, counted)
    for index, case in enumerate(programme.special_rates):
        mine = special == index
        amount[mine] = share_of(counted[mine], case.share_ppm)
    return amount


def _plain(programme: Programme, counted: Int) -> Int:
    """Return what the rate or the fixed amount pays; rows of a special case are overwritten."""
    if programme.amount is not None:
        fixed = programme.amount.amount_ucny
        return np.where(counted < 0, fixed, np.minimum(counted, fixed))
    rate = programme.rate
    if rate is None:
        return np.zeros(counted.shape, dtype=np.int64)
    if rate.tiers is None:
        assert rate.share_ppm is not None
        return share_of(counted, rate.share_ppm)
    return _tiered(rate.tiers, counted)


def _tiered(tiers: Tiers, counted: Int) -> Int:
    if tiers.method is Method.STEP:
        bounds = np.array([band.above_ucny for band in tiers.bands[1:]])
        shares = np.array([band.share_ppm for band in tiers.bands])
        return share_of(counted, shares[np.searchsorted(bounds, counted, side="left")])
    whole = np.zeros(counted.shape, dtype=np.int64)
    parts = np.zeros(counted.shape, dtype=np.int64)
    tops = (*(band.above_ucny for band in tiers.bands[1:]), None)
    for band, top in zip(tiers.bands, tops, strict=True):
        piece = np.maximum(0, (counted if top is None else np.minimum(counted, top)) - band.above_ucny)
        whole += piece // MICRO * band.share_ppm
        parts += piece % MICRO * band.share_ppm
    return whole + parts // MICRO


def share_of(amount: Int, share_ppm: int | Int) -> Int:
    """Return shares of amounts, cut down, without overflow for amounts to 9e18."""
    result: Int = amount // MICRO * share_ppm + amount % MICRO * share_ppm // MICRO
    return result


def _caps(programme: Programme, special: NDArray[np.int64]) -> tuple[tuple[Cap, Rows], ...]:
    """Return every cap with the positions at which it holds."""
    cases: list[tuple[SpecialRate | None, Flags]] = [
        (case, special == index) for index, case in enumerate(programme.special_rates) if case.cap_ucny is not None
    ]
    own = np.logical_or.reduce([held for _, held in cases]) if cases else np.zeros(special.shape, dtype=np.bool_)
    cases.append((None, ~own))
    return tuple((cap, np.flatnonzero(held)) for case, held in cases for cap in programme.caps_in(case))
