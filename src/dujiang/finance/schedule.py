"""A plan in whole amounts, month by month: what comes in, what is paid back, what it costs, and the cash left.

Everything here is exact. From whole draws and free repayments the rest follows by rule: repayment in parts, interest,
premiums and fees to the fen (half to even), cash. `limits` lists every limit with what is used of it; from it follow
which limits a schedule breaks (`breaches`), whatever the solver meant, and which of them bind.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from dujiang.core.money import FEN, MICRO, div_half_even
from dujiang.finance.instrument import Instrument, Kind, Repayment
from dujiang.finance.model import (
    YEAR,
    arrival,
    backed_by,
    brings_money,
    first_month,
    is_tied,
    last_due,
    last_month,
    may_run_ahead,
)
from dujiang.finance.project import DebtAtEnd, Project

Monthly = Mapping[tuple[str, int], int]
"""(instrument, month) -> micro-yuan; what is not there is 0."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What somebody decides; all else of a schedule follows."""

    draws: Monthly
    free_repayments: Monthly
    """Of instruments with `Repayment.FREE`."""
    support: Mapping[tuple[str, str, int], int]
    """(subsidy, kind of cost, month of the spend) -> what it pays of that cost."""


class Row(NamedTuple):
    """What one instrument does in one month; amounts in micro-yuan."""

    month: int
    instrument_id: str
    draw_ucny: int
    """At the opening."""
    repay_ucny: int
    """At the end."""
    interest_ucny: int
    """At the end, on what was owed during the month; of a guarantee or insurance its premium."""
    fee_ucny: int
    """At the opening."""
    subsidy_ucny: int
    """During the month."""
    owed_ucny: int
    """During the month, after the draw and before the repayment; of a guarantee what it stands behind."""


class Cash(NamedTuple):
    """The money of one month; opening + in - out = closing."""

    month: int
    opening_ucny: int
    costs_ucny: int
    income_ucny: int
    net_finance_ucny: int
    """Draws and subsidies less fees, interest and repayments."""
    closing_ucny: int


class Limit(NamedTuple):
    """One limit and what is used of it."""

    rule: str
    """Name of the rule, such as `cash`, `most` or `collateral`."""
    subject: str
    """Instrument, asset, group, or "" for the project."""
    month: int | None
    used_ucny: int
    allowed_ucny: int

    @property
    def left_ucny(self) -> int:
        """What is left of it; below 0: it is broken."""
        return self.allowed_ucny - self.used_ucny


@dataclass(frozen=True, slots=True)
class Schedule:
    """A plan in whole amounts."""

    choices: Choices
    rows: tuple[Row, ...]
    """By month, then in the order of the project's instruments; months in which nothing happens have no row."""
    cash: tuple[Cash, ...]
    owed_at_end: Monthly
    """(instrument, last month) -> what is still owed when the project ends."""

    def total(self, key: str) -> int:
        """Return what an instrument brings in all: draws and subsidies."""
        return sum(row.draw_ucny + row.subsidy_ucny for row in self.rows if row.instrument_id == key)

    @property
    def used(self) -> tuple[str, ...]:
        """Instruments that do anything, in the order in which they begin."""
        return tuple(dict.fromkeys(row.instrument_id for row in self.rows))


def schedule_of(project: Project, choices: Choices) -> Schedule:
    """Return what follows from choices, whether or not it keeps the limits.

    Parameters
    ----------
    project : the project
    choices : whole amounts; a free repayment beyond what is owed is cut to it
    """
    table: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
    owed_at_end: dict[tuple[str, int], int] = {}
    for item in project.instruments:
        if brings_money(item):
            left = _run(project, item, choices, table)
            if left:
                owed_at_end[item.id, project.months - 1] = left
    for (key, _, month), amount in choices.support.items():
        if amount:
            table[key, arrival(project.instrument(key), month)][4] += amount
    for item in project.instruments:
        if item.kind in (Kind.GUARANTEE, Kind.INSURANCE):
            _premiums(project, item, table)
    order = {item.id: place for place, item in enumerate(project.instruments)}
    keys = sorted((key for key, row in table.items() if any(row)), key=lambda key: (key[1], order[key[0]]))
    rows = tuple(Row(month, key, *table[key, month]) for key, month in keys)
    return Schedule(choices, rows, _cash(project, rows), owed_at_end)


def _run(project: Project, item: Instrument, choices: Choices, table: defaultdict[tuple[str, int], list[int]]) -> int:
    """Enter draws, repayment, interest and fees of one instrument; return what is owed at the end."""
    owed, opened, end = 0, False, project.months - 1
    due = _fixed_repayments(project, item, choices.draws)
    for month in range(project.months):
        draw = choices.draws.get((item.id, month), 0)
        if not draw and not owed:
            continue
        row = table[item.id, month]
        row[0] = draw
        row[3] = div_half_even(draw * item.fee_ppm, MICRO * FEN) * FEN
        if draw and not opened:
            opened = True
            row[3] += item.fixed_fee_ucny
        if item.kind is Kind.EQUITY:
            continue
        owed += draw
        row[5] = owed
        row[2] = interest(owed, item.rate_ppm)
        wanted = choices.free_repayments.get((item.id, month), 0) if due is None else due.get(month, 0)
        is_last = month == end and project.debt_at_end is DebtAtEnd.REPAID
        row[1] = owed if is_last else min(owed, wanted)
        owed -= row[1]
    return owed


def interest(owed_ucny: int, rate_ppm: int) -> int:
    """Return a twelfth of a year's interest, to the fen, half to even."""
    return div_half_even(owed_ucny * rate_ppm, MICRO * YEAR * FEN) * FEN


def _fixed_repayments(project: Project, item: Instrument, draws: Monthly) -> dict[int, int] | None:
    """Return what falls due by month, None for free repayment. Equal parts are whole fen, the last takes the rest."""
    if item.repayment is Repayment.FREE:
        return None
    due: dict[int, int] = defaultdict(int)
    for month in range(project.months):
        draw = draws.get((item.id, month), 0)
        if not draw or item.term_months is None:
            continue
        last = month + item.term_months - 1
        if item.repayment is Repayment.EQUAL:
            parts = item.term_months - item.grace_months
            part = draw // (parts * FEN) * FEN
            for number in range(parts - 1):
                due[month + item.grace_months + number] += part
            draw -= part * (parts - 1)
        due[last] += draw
    return due


def _premiums(project: Project, item: Instrument, table: defaultdict[tuple[str, int], list[int]]) -> None:
    """Enter the premium of a guarantee or insurance on what it stands behind."""
    backed = backed_by(project, item.id)
    opened = False
    for month in range(project.months):
        owed = sum(table[other.id, month][5] for other in backed if (other.id, month) in table)
        drawn = sum(table[other.id, month][0] for other in backed if (other.id, month) in table)
        if owed:
            table[item.id, month][5] = owed
            table[item.id, month][2] = interest(owed, item.fee_ppm)
        if drawn and not opened:
            opened = True
            table[item.id, month][3] = item.fixed_fee_ucny


def _cash(project: Project, rows: tuple[Row, ...]) -> tuple[Cash, ...]:
    finance = [0] * project.months
    for row in rows:
        finance[row.month] += row.draw_ucny + row.subsidy_ucny - row.repay_ucny - row.interest_ucny - row.fee_ucny
    cash, opening = [], project.own_cash_ucny
    for month in range(project.months):
        costs, income = project.cost(month), project.income[month]
        closing = opening - costs + income + finance[month]
        cash.append(Cash(month, opening, costs, income, finance[month], closing))
        opening = closing
    return tuple(cash)


def breaches(project: Project, schedule: Schedule) -> list[Limit]:
    """Return the limits that a schedule breaks; empty for a lawful plan."""
    return [limit for limit in limits(project, schedule) if limit.left_ucny < 0]


def limits(project: Project, schedule: Schedule) -> Iterator[Limit]:
    """Yield every limit of a plan with what is used of it."""
    money = _Money(project, schedule)
    for cash in schedule.cash:
        yield Limit("cash", "", cash.month, project.reserve_ucny, cash.closing_ucny)
    for item in project.instruments:
        if brings_money(item):
            yield from _limits_of_draws(project, money, item)
        elif item.kind is Kind.SUBSIDY:
            yield from _limits_of_subsidy(project, money, item)
        elif item.most_ucny is not None:
            for month in range(project.months):
                owed = sum(money.owed[other.id, month] for other in backed_by(project, item.id))
                yield Limit("most", item.id, month, owed, item.most_ucny)
        yield from _limits_of_multiple(project, money, item)
        yield from _limits_of_company(project, money, item)
    yield from _limits_of_uses(project, money)
    yield from _limits_of_assets(project, money)
    yield from _limits_of_support(project, schedule)


class _Money:
    """The schedule, to be looked up by instrument and month."""

    def __init__(self, project: Project, schedule: Schedule) -> None:
        self.draw: dict[tuple[str, int], int] = defaultdict(int)
        self.owed: dict[tuple[str, int], int] = defaultdict(int)
        self.left: dict[tuple[str, int], int] = defaultdict(int)
        """Owed after the repayment."""
        self.came: dict[tuple[str, int], int] = defaultdict(int)
        """Draws and subsidies."""
        self.spend: dict[tuple[str, int], int] = defaultdict(int)
        """What a subsidy pays of the costs of a month."""
        self.used = {row.instrument_id for row in schedule.rows}
        for row in schedule.rows:
            key = row.instrument_id, row.month
            self.draw[key], self.owed[key] = row.draw_ucny, row.owed_ucny
            self.left[key] = row.owed_ucny - row.repay_ucny
            self.came[key] = row.draw_ucny + row.subsidy_ucny
        for (name, _, month), amount in schedule.choices.support.items():
            self.spend[name, month] += amount
        self.months = project.months

    def total(self, key: str) -> int:
        """Return what an instrument brings in all."""
        return sum(self.came[key, month] for month in range(self.months))


def _limits_of_draws(project: Project, money: _Money, item: Instrument) -> Iterator[Limit]:
    total = money.total(item.id)
    draws = [money.draw[item.id, month] for month in range(project.months)]
    if item.most_ucny is not None:
        yield Limit("most", item.id, None, total, item.most_ucny)
    if item.once:
        yield Limit("once", item.id, None, sum(map(bool, draws)), 1)
    if item.id in money.used:
        yield Limit("least", item.id, None, item.least_ucny, total)
    first, last = first_month(project, item), last_month(project, item)
    for month, draw in enumerate(draws):
        if month < first or month > last:
            yield Limit("lead" if month < item.lead_months else "window", item.id, month, draw, 0)
        if item.kind is Kind.RECEIVABLES and item.advance_ppm is not None and money.owed[item.id, month]:
            ahead = sum(project.income[month : month + item.ahead_months])
            yield Limit("advance", item.id, month, money.owed[item.id, month], ahead * item.advance_ppm // MICRO)
        if item.is_debt and item.term_months is not None:
            young = sum(d for m, d in enumerate(draws[: month + 1]) if last_due(project, item, m) > month)
            yield Limit("term", item.id, month, money.left[item.id, month], young)
    if item.is_debt and project.debt_at_end is DebtAtEnd.REPAID:
        yield Limit("debt-at-end", item.id, project.months - 1, money.left[item.id, project.months - 1], 0)
    yield from _limits_of_share(project, item, draws)


def _limits_of_share(project: Project, item: Instrument, draws: list[int]) -> Iterator[Limit]:
    if not is_tied(item):
        return
    share = MICRO if item.share_of_costs_ppm is None else item.share_of_costs_ppm
    base = drawn = 0
    for month, draw in enumerate(draws):
        base, drawn = base + project.cost(month, item.uses), drawn + draw
        if draw and not may_run_ahead(item):
            yield Limit("share", item.id, month, drawn, base * share // MICRO)
    if may_run_ahead(item) and drawn:
        yield Limit("share", item.id, None, drawn, base * share // MICRO)


def _limits_of_subsidy(project: Project, money: _Money, item: Instrument) -> Iterator[Limit]:
    total = sum(money.spend[item.id, month] for month in range(project.months))
    if item.most_ucny is not None:
        yield Limit("most", item.id, None, total, item.most_ucny)
    if item.budget_ucny is not None:
        yield Limit("budget", item.id, None, total, item.budget_ucny)
    if total:
        yield Limit("least", item.id, None, item.least_ucny, total)
    years: dict[int, int] = defaultdict(int)
    for month in range(project.months):
        years[project.calendar_year(month)] += money.spend[item.id, month]
        if not item.first_month <= month <= last_month(project, item):
            yield Limit("window", item.id, month, money.spend[item.id, month], 0)
    if item.most_per_year_ucny is not None:
        for year, spent in years.items():
            yield Limit("year", item.id, (year - project.start.year) * YEAR, spent, item.most_per_year_ucny)


def _limits_of_multiple(project: Project, money: _Money, item: Instrument) -> Iterator[Limit]:
    if item.multiple_of is None or item.multiple_ppm is None:
        return
    behind = project.instrument(item.multiple_of).kind is Kind.SUBSIDY and item.kind is not Kind.SUBSIDY
    mine = other = 0
    for month in range(project.months):
        mine += money.came[item.id, month]
        base = other if behind else other + money.came[item.multiple_of, month]
        other += money.came[item.multiple_of, month]
        if money.came[item.id, month]:
            yield Limit("multiple", item.id, month, mine, base * item.multiple_ppm // MICRO)


def _limits_of_company(project: Project, money: _Money, item: Instrument) -> Iterator[Limit]:
    """Yield what may, must and must not go together, as counts."""
    if item.id not in money.used:
        return
    for key in item.needs:
        yield Limit("needs", item.id, None, 1, int(key in money.used))
    for key in item.excludes:
        yield Limit("excludes", item.id, None, int(key in money.used), 0)
    if item.group is not None:
        together = sum(other.group == item.group and other.id in money.used for other in project.instruments)
        yield Limit("group", item.group, None, together, 1)


def _limits_of_uses(project: Project, money: _Money) -> Iterator[Limit]:
    """Yield by how much tied money of some lenders exceeds the costs that all of them may pay.

    A largest flow from draws to costs says whether each yuan of tied money meets a cost of its own.
    """
    tied = [item for item in project.instruments if is_tied(item) and item.id in money.used]
    if not tied:
        return
    wanted = sum(money.draw[item.id, month] for item in tied for month in range(project.months))
    yield Limit("uses", ", ".join(item.id for item in tied), None, wanted, _paid(project, money, tied))


def _paid(project: Project, money: _Money, tied: list[Instrument]) -> int:
    """Return how much of tied draws can pay costs, each cost once, none before it arises unless it may run ahead.

    Costs of kinds that the same lenders may pay are one. Draws at a month may pay costs of that month and earlier ones,
    so the network is solved by augmenting paths over (lender, month) -> (kinds, month).
    """
    atoms: dict[frozenset[str], list[str]] = defaultdict(list)
    for kind in project.costs:
        atoms[frozenset(item.id for item in tied if item.uses is None or kind in item.uses)].append(kind)
    room = {
        (payers, month): project.cost(month, frozenset(kinds))
        for payers, kinds in atoms.items()
        for month in range(project.months)
        if payers
    }
    left = {(item.id, m): money.draw[item.id, m] for item in tied for m in range(project.months)}
    ahead = {item.id for item in tied if may_run_ahead(item)}
    return _largest_flow({key: amount for key, amount in left.items() if amount}, room, ahead)


def _largest_flow(
    supply: dict[tuple[str, int], int], room: dict[tuple[frozenset[str], int], int], ahead: set[str]
) -> int:
    """Return the largest flow from draws to costs."""
    reach = {
        draw: [cost for cost in room if draw[0] in cost[0] and (cost[1] <= draw[1] or draw[0] in ahead)]
        for draw in supply
    }
    flow: dict[tuple[str, int], dict[tuple[frozenset[str], int], int]] = {draw: defaultdict(int) for draw in supply}
    into: dict[tuple[frozenset[str], int], set[tuple[str, int]]] = {cost: set() for cost in room}
    free = dict(room)
    total = 0
    for start, amount in supply.items():
        left = amount
        while left:
            path = _augmenting(start, reach, flow, into, free)
            if path is None:
                break
            draws, costs = path
            taken = min([left, free[costs[-1]], *(flow[d][c] for d, c in zip(draws[1:], costs, strict=False))])
            for draw, cost in zip(draws, costs, strict=True):
                flow[draw][cost] += taken
                into[cost].add(draw)
            for draw, cost in zip(draws[1:], costs, strict=False):
                flow[draw][cost] -= taken
                if not flow[draw][cost]:
                    into[cost].discard(draw)
            free[costs[-1]] -= taken
            left -= taken
            total += taken
    return total


def _augmenting(
    start: tuple[str, int],
    reach: dict[tuple[str, int], list[tuple[frozenset[str], int]]],
    flow: dict[tuple[str, int], dict[tuple[frozenset[str], int], int]],
    into: dict[tuple[frozenset[str], int], set[tuple[str, int]]],
    free: dict[tuple[frozenset[str], int], int],
) -> tuple[list[tuple[str, int]], list[tuple[frozenset[str], int]]] | None:
    """Return draws and costs in turn along a shortest path to a cost with room, None if there is none."""
    came: dict[tuple[frozenset[str], int], tuple[tuple[str, int], tuple[frozenset[str], int] | None]] = {}
    layer: list[tuple[tuple[str, int], tuple[frozenset[str], int] | None]] = [(start, None)]
    seen = {start}
    while layer:
        following: list[tuple[tuple[str, int], tuple[frozenset[str], int] | None]] = []
        for draw, before in layer:
            for cost in reach[draw]:
                if cost in came:
                    continue
                came[cost] = draw, before
                if free[cost]:
                    draws, costs = [], []
                    at: tuple[frozenset[str], int] | None = cost
                    while at is not None:
                        costs.append(at)
                        owner, at = came[at]
                        draws.append(owner)
                    return draws[::-1], costs[::-1]
                for other in into[cost] - seen:
                    seen.add(other)
                    following.append((other, cost))
        layer = following
    return None


def _limits_of_assets(project: Project, money: _Money) -> Iterator[Limit]:
    for asset, value in (project.assets or {}).items():
        pledged = [item for item in project.instruments if item.is_debt and item.collateral == asset]
        for month in range(project.months):
            needed = sum(
                (Fraction(money.owed[item.id, month] * MICRO, max(item.ltv_ppm or 1, 1)) for item in pledged),
                Fraction(0),
            )
            if needed:
                yield Limit("collateral", asset, month, ceil(needed), value)


def _limits_of_support(project: Project, schedule: Schedule) -> Iterator[Limit]:
    """Yield what each subsidy may pay of a cost, and what all of them may."""
    together: dict[tuple[str, int], int] = defaultdict(int)
    for (key, kind, month), amount in schedule.choices.support.items():
        item = project.instrument(key)
        eligible = project.costs[kind][month] if item.uses is None or kind in item.uses else 0
        yield Limit("rate", key, month, amount, eligible * (item.rate_of_cost_ppm or 0) // MICRO)
        together[kind, month] += amount
    for (kind, month), amount in together.items():
        yield Limit("cost", kind, month, amount, project.costs[kind][month])
