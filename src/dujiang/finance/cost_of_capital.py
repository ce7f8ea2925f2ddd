"""What money costs: charges, their present value, the annual rate that they amount to, and what part of the firm goes.

The annual rate is the one at which everything that a financier pays and gets, on its day, has the value 0: days over
365, compounded, as spreadsheets' XIRR has it. Draws and fees stand on the first day of a month, interest, repayments
and subsidies on the first day of the next. An investor's stake counts as sold at the end of the project for what the
investor wants (`Instrument.required_return_ppm`): nobody knows what it will really be worth.
"""

from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from math import fsum
from typing import NamedTuple

from dujiang.core.money import FEN, MICRO
from dujiang.finance.instrument import Instrument, Kind
from dujiang.finance.model import YEAR, discount, equity_charge
from dujiang.finance.project import Project
from dujiang.finance.schedule import Row, Schedule

Dated = tuple[date, float]

_LOWEST, _HIGHEST = -0.99, 1e6
_GRID = 400


class InstrumentCost(NamedTuple):
    """What one instrument brings and costs; amounts in micro-yuan."""

    instrument_id: str
    drawn_ucny: int
    repaid_ucny: int
    interest_ucny: int
    fee_ucny: int
    subsidy_ucny: int
    gain_ucny: int
    """What an investor wants beyond the money put in, by the end."""
    owed_at_end_ucny: int
    present_value_ucny: int
    """Of interest, fees and gain less subsidies."""
    annual_rate: float | None
    """None: nothing is drawn, or the flows have no one rate."""


class CostOfCapital(NamedTuple):
    """What a plan costs; amounts in micro-yuan."""

    instruments: tuple[InstrumentCost, ...]
    """Those that do anything."""
    charges_ucny: int
    """Interest, fees and investors' gains, undiscounted."""
    support_ucny: int
    """Subsidies, undiscounted."""
    present_value_ucny: int
    """Of charges less support: what the cheapest plan has least of."""
    charges_pv_ucny: int
    support_pv_ucny: int
    annual_rate: float | None
    """Of all financiers together, subsidies left out."""
    annual_rate_with_support: float | None
    """With subsidies as money that comes back; None where there is no one rate."""


class Dilution(NamedTuple):
    """What part of the firm goes to an investor."""

    instrument_id: str
    money_ucny: int
    pre_money_ucny: int | None
    share: Fraction | None
    """Money over worth after it; None: nobody says what the firm is worth."""


def xirr(flows: Sequence[Dated]) -> float | None:
    """Return the annual rate at which dated amounts have the value 0; None if there is none, or more than one.

    Parameters
    ----------
    flows : day and amount, what is paid below 0; any unit, any order
    """
    begin = min((day for day, _ in flows), default=None)
    if begin is None:
        return None
    scale = max(abs(amount) for _, amount in flows)
    if not scale:
        return None
    years = [((day - begin).days / 365.0, amount / scale) for day, amount in flows]

    def value(rate: float) -> float:
        return fsum(amount * float((1.0 + rate) ** -at) for at, amount in years)

    return _single_root(value)


def _single_root(value: Callable[[float], float]) -> float | None:
    ratio = (1.0 + _HIGHEST) / (1.0 + _LOWEST)
    grid = [(1.0 + _LOWEST) * float(ratio ** (i / _GRID)) - 1.0 for i in range(_GRID + 1)]
    values = [value(rate) for rate in grid]
    exact = [rate for rate, v in zip(grid, values, strict=True) if v == 0.0]
    ends = [i for i in range(_GRID) if values[i] * values[i + 1] < 0.0]
    if len(exact) + len(ends) != 1:
        return None
    if exact:
        return exact[0]
    low, high = grid[ends[0]], grid[ends[0] + 1]
    rising = value(high) > 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if (value(middle) > 0.0) is rising:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


def month_start(project: Project, month: int) -> date:
    """Return the first day of a month of the project, or after it."""
    years, rest = divmod(project.start.month - 1 + month, YEAR)
    return date(project.start.year + years, rest + 1, 1)


def wanted_gain(project: Project, item: Instrument, month: int, money_ucny: int) -> int:
    """Return what an investor wants beyond money put in at the opening of a month, by the end; to the fen."""
    if item.kind is not Kind.EQUITY:
        return 0
    years = (project.months - month) / YEAR
    growth = float((1.0 + (item.required_return_ppm or 0) / MICRO) ** years)
    return round(money_ucny * (growth - 1.0) / FEN) * FEN


def cost_of_capital(project: Project, schedule: Schedule) -> CostOfCapital:
    """Return what a schedule costs."""
    end = project.months - 1
    found = []
    everything: list[Dated] = []
    support: list[Dated] = []
    for key in schedule.used:
        item = project.instrument(key)
        rows = [row for row in schedule.rows if row.instrument_id == key]
        owed = schedule.owed_at_end.get((key, end), 0)
        gain = sum(wanted_gain(project, item, row.month, row.draw_ucny) for row in rows)
        flows = _flows(project, item, rows, owed)
        everything += flows
        support += [(month_start(project, row.month + 1), -row.subsidy_ucny) for row in rows if row.subsidy_ucny]
        found.append(
            InstrumentCost(
                key,
                sum(row.draw_ucny for row in rows),
                sum(row.repay_ucny for row in rows),
                sum(row.interest_ucny for row in rows),
                sum(row.fee_ucny for row in rows),
                sum(row.subsidy_ucny for row in rows),
                gain,
                owed,
                _to_fen(_charges(project, item, rows) - _support(project, rows)),
                xirr(flows) if any(row.draw_ucny for row in rows) else None,
            )
        )
    pairs = [(project.instrument(row.instrument_id), row) for row in schedule.rows]
    charges_pv = _to_fen(fsum(_charges(project, item, [row]) for item, row in pairs))
    support_pv = _to_fen(_support(project, schedule.rows))
    return CostOfCapital(
        tuple(found),
        sum(cost.interest_ucny + cost.fee_ucny + cost.gain_ucny for cost in found),
        sum(cost.subsidy_ucny for cost in found),
        charges_pv - support_pv,
        charges_pv,
        support_pv,
        xirr(everything),
        xirr(everything + support) if everything and support else xirr(everything),
    )


def _to_fen(ucny: float) -> int:
    return round(ucny / FEN) * FEN


def _charges(project: Project, item: Instrument, rows: Sequence[Row]) -> float:
    """Return the present value of interest, fees and gains, micro-yuan."""
    parts = []
    for row in rows:
        parts.append(row.fee_ucny * discount(project, row.month))
        parts.append(row.interest_ucny * discount(project, row.month + 1))
        if item.kind is Kind.EQUITY:
            parts.append(row.draw_ucny * equity_charge(project, item, row.month))
    return fsum(parts)


def _support(project: Project, rows: Sequence[Row]) -> float:
    return fsum(row.subsidy_ucny * discount(project, row.month + 1) for row in rows)


def _flows(project: Project, item: Instrument, rows: Sequence[Row], owed_at_end: int) -> list[Dated]:
    """Return what a financier pays (below 0) and gets, with its days; no subsidies."""
    flows: list[Dated] = []
    for row in rows:
        flows.append((month_start(project, row.month), row.fee_ucny - row.draw_ucny))
        flows.append((month_start(project, row.month + 1), row.repay_ucny + row.interest_ucny))
        if item.kind is Kind.EQUITY and row.draw_ucny:
            gain = wanted_gain(project, item, row.month, row.draw_ucny)
            flows.append((month_start(project, project.months), row.draw_ucny + gain))
    if owed_at_end:
        flows.append((month_start(project, project.months), owed_at_end))
    return [(day, amount) for day, amount in flows if amount]


def dilution(project: Project, schedule: Schedule) -> tuple[tuple[Dilution, ...], Fraction | None]:
    """Return what goes to each investor, and what part of the firm its owners give up in all.

    Each round dilutes what the rounds before it left, so that the owners keep the product of what each leaves. The
    whole is None where money comes in at a worth that nobody states.
    """
    found = []
    kept: Fraction | None = Fraction(1)
    for key in schedule.used:
        item = project.instrument(key)
        if item.kind is not Kind.EQUITY:
            continue
        money = schedule.total(key)
        worth = item.pre_money_ucny if item.pre_money_ucny is not None else project.pre_money_ucny
        share = None if worth is None else Fraction(money, worth + money)
        found.append(Dilution(key, money, worth, share))
        kept = None if share is None or kept is None else kept * (1 - share)
    return tuple(found), None if kept is None else 1 - kept
