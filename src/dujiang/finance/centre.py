"""How a compute centre carries debt: what its pools bring in, what they cost, and the largest loan or lease they serve.

Income of a month is GPU-hours sold at the price of the year; cash available for debt service is what is left after
power, running costs and insurance, before tax. It over interest and principal is the cover (debt service cover ratio):

    cover[t] = (income - power - running - premiums) / (interest + principal)

The lender's target is about the months in which principal is repaid: with a window of w months both sides are summed
over every w of them in a row, over all of them where the term leaves fewer. Interest of the months of grace is the
owner's to bring, and is in the money that the owner needs.

Every amount is whole fen; interest is a twelfth of the nominal rate on what is owed, rounded half to even to the fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from dujiang.core.money import FEN, MICRO, div_half_even, share_floor
from dujiang.core.text import Text

MONTHS = 12


class Form(StrEnum):
    """What kind of debt it is."""

    LOAN = "loan"
    LEASE = "lease"


class Amortisation(StrEnum):
    """How the principal comes back after the months of grace, all of it by the end of the term."""

    EQUAL = "equal"
    """Equal parts of principal."""
    ANNUITY = "annuity"
    """Equal payments of interest and principal."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Accelerators of one type."""

    id: str
    accelerator: str
    gpus: int
    first_month: int
    """Month in which it begins to earn."""
    price_ucny: tuple[int, ...]
    """Per GPU-hour, by year since its first month; the last one stays."""
    utilisation_ppm: tuple[int, ...]
    """Share of GPU-hours sold, by year since its first month; the last one stays."""
    watts_per_gpu: int
    """At the socket of the server, when busy."""
    idle_ppm: int
    """Share of these watts that an idle card takes."""


@dataclass(frozen=True, slots=True)
class Cover:
    """One insurance of the bundle: a yearly premium in advance."""

    id: str
    name: Text
    insured_ucny: int
    rate_ppm: int
    """Of what is insured, per year."""
    source: str | None
    """Issuer and document of the product; the rate is the centre's own unless the source states it."""

    @property
    def premium_ucny(self) -> int:
        """Premium of a year, to the fen."""
        return div_half_even(self.insured_ucny * self.rate_ppm, MICRO * FEN) * FEN


@dataclass(frozen=True, slots=True)
class Debt:
    """Terms of a loan or lease that is to be sized."""

    id: str
    name: Text
    form: Form
    rate_ppm: int
    """Nominal per year."""
    term_months: int
    """Not beyond the plan."""
    grace_months: int
    """Months from the draw in which interest alone is paid."""
    repayment: Amortisation
    most_ucny: int
    """Ceiling by its share of what it may pay for."""
    residual_ppm: int
    """Share of the amount that is paid at the end in one sum, as the price of the leased equipment."""
    source: str | None


@dataclass(frozen=True, slots=True)
class CentrePlan:
    """A checked plan. Money is paid out for the investment at the opening of the first month, when debt is drawn."""

    title: Text
    start: date
    """First day of the first month."""
    months: int
    pools: tuple[Pool, ...]
    pue_ppm: int
    power_ucny_per_kwh: int
    running_ucny: dict[str, int]
    """By kind, per month, from the first month on."""
    investment_ucny: dict[str, int]
    """By kind."""
    insurance: tuple[Cover, ...]
    debts: tuple[Debt, ...]
    target_ppm: int
    """Cover that the lender asks for, in millionths."""
    window_months: int
    """Over how many months cover is measured."""
    step_ucny: int
    """Debt comes in multiples of this."""
    sources: tuple[str, ...]
    assumptions: tuple[Text, ...]

    @property
    def invested_ucny(self) -> int:
        """The whole investment."""
        return sum(self.investment_ucny.values())

    def month(self, t: int) -> date:
        """Return the first day of a month."""
        year, month = divmod(self.start.year * MONTHS + self.start.month - 1 + t, MONTHS)
        return date(year, month + 1, 1)

    def hours(self, t: int) -> int:
        """Return the hours of a month."""
        return (self.month(t + 1) - self.month(t)).days * 24

    def gpu_hours(self, t: int) -> int:
        """Return the GPU-hours that there are in a month."""
        return sum(pool.gpus * self.hours(t) for pool in self.pools if t >= pool.first_month)

    def sold_hours(self, t: int) -> Fraction:
        """Return the GPU-hours that are planned to be sold in a month."""
        open_ = (pool for pool in self.pools if t >= pool.first_month)
        sold = sum(pool.gpus * self.hours(t) * _of_year(pool.utilisation_ppm, pool, t) for pool in open_)
        return Fraction(sold, MICRO)


@dataclass(frozen=True, slots=True)
class Flow:
    """One month of operation, micro-yuan in whole fen."""

    income_ucny: int
    power_ucny: int
    running_ucny: int
    premiums_ucny: int

    @property
    def available_ucny(self) -> int:
        """Cash available for debt service; below zero where the month loses money."""
        return self.income_ucny - self.power_ucny - self.running_ucny - self.premiums_ucny


@dataclass(frozen=True, slots=True)
class Service:
    """What is paid to the lender at the end of a month, micro-yuan in whole fen."""

    owed_ucny: int
    """During the month."""
    interest_ucny: int
    principal_ucny: int

    @property
    def due_ucny(self) -> int:
        """Interest and principal."""
        return self.interest_ucny + self.principal_ucny


@dataclass(frozen=True, slots=True)
class Sized:
    """The largest debt on some terms."""

    debt: Debt
    amount_ucny: int
    services: tuple[Service, ...]
    """One per month of the plan."""
    binding_month: int | None
    """Month in which one step more would miss the target; None: its own ceiling binds."""
    own_money_ucny: int
    """What the owner has to bring so that cash never falls below zero: investment, losses and interest until then."""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The share of GPU-hours, the same in every pool, that would just be enough in a year; None: no share is."""

    operating: Fraction | None
    """To pay for power, running costs and premiums."""
    debt: Fraction | None
    """To serve the debt as well."""
    target: Fraction | None
    """To serve it with the cover that the lender asks for."""


def flows(plan: CentrePlan, *, insured: bool = True) -> list[Flow]:
    """Return every month of operation, with or without the bundle of insurance."""
    premium = sum(cover.premium_ucny for cover in plan.insurance) if insured else 0
    running = sum(plan.running_ucny.values())
    found = []
    for t in range(plan.months):
        shares = [(pool, _of_year(pool.utilisation_ppm, pool, t)) for pool in plan.pools]
        income = sum((_income(plan, pool, t, share) for pool, share in shares), Fraction())
        power = sum((_power(plan, pool, t, share) for pool, share in shares), Fraction())
        found.append(Flow(_fen(income), _fen(power), running, premium if t % MONTHS == 0 else 0))
    return found


def _of_year(values: Sequence[int], pool: Pool, t: int) -> int:
    return values[min(max(t - pool.first_month, 0) // MONTHS, len(values) - 1)]


def _income(plan: CentrePlan, pool: Pool, t: int, share_ppm: Fraction | int) -> Fraction:
    """Return the exact income of a month at a share of GPU-hours sold, micro-yuan."""
    if t < pool.first_month:
        return Fraction(0)
    return Fraction(pool.gpus * plan.hours(t) * _of_year(pool.price_ucny, pool, t)) * share_ppm / MICRO


def _power(plan: CentrePlan, pool: Pool, t: int, share_ppm: Fraction | int) -> Fraction:
    """Return the exact cost of power of a month, micro-yuan: busy cards in full, idle ones at their share."""
    if t < pool.first_month:
        return Fraction(0)
    at_full_kwh = Fraction(pool.gpus * plan.hours(t) * pool.watts_per_gpu, 1000) * plan.pue_ppm / MICRO
    load = (share_ppm * MICRO + pool.idle_ppm * (MICRO - share_ppm)) / Fraction(MICRO * MICRO)
    return at_full_kwh * load * plan.power_ucny_per_kwh


def _fen(ucny: Fraction) -> int:
    return div_half_even(ucny.numerator, ucny.denominator * FEN) * FEN


def services(debt: Debt, amount_ucny: int, months: int) -> tuple[Service, ...]:
    """Return what is paid to the lender month by month, if an amount is drawn at the opening of the first.

    Parameters
    ----------
    debt : the terms
    amount_ucny : whole fen >= 0
    months : how many to return, not fewer than the term
    """
    owed, found = amount_ucny, []
    parts = debt.term_months - debt.grace_months
    residual = share_floor(amount_ucny, debt.residual_ppm) // FEN * FEN
    level = _level(amount_ucny, residual, debt.rate_ppm, parts) if debt.repayment is Amortisation.ANNUITY else 0
    for t in range(debt.term_months):
        interest = div_half_even(owed * debt.rate_ppm, MONTHS * MICRO * FEN) * FEN
        k = t + 1 - debt.grace_months
        if k <= 0:
            principal = 0
        elif k == parts:
            principal = owed
        elif debt.repayment is Amortisation.EQUAL:
            # Rounded as a running total, so that parts differ by a fen at most and nothing is left for the end.
            principal = _part(amount_ucny - residual, k, parts) - _part(amount_ucny - residual, k - 1, parts)
        else:
            principal = max(0, min(level - interest, owed))
        found.append(Service(owed, interest, principal))
        owed -= principal
    return (*found, *[Service(0, 0, 0)] * (months - len(found)))


def _part(amount_ucny: int, k: int, parts: int) -> int:
    return div_half_even(amount_ucny * k, parts * FEN) * FEN


def _level(amount_ucny: int, residual_ucny: int, rate_ppm: int, parts: int) -> int:
    """Return the level payment that brings an amount down to a residual, rounded up to the fen."""
    rate = Fraction(rate_ppm, MONTHS * MICRO)
    if rate == 0:
        exact = Fraction(amount_ucny - residual_ucny, parts)
    else:
        worth = 1 / (1 + rate) ** parts
        exact = (amount_ucny - residual_ucny * worth) * rate / (1 - worth)
    return -(-exact.numerator // (exact.denominator * FEN)) * FEN


def largest(plan: CentrePlan, debt: Debt, months: Sequence[Flow]) -> Sized:
    """Size a debt: the largest multiple of the plan's step with the cover that the lender asks for.

    What is due in a month grows with the amount by more than rounding takes away, because a step is far more than a fen
    per month; so the largest amount is found by halving.

    Parameters
    ----------
    plan : the centre
    debt : the terms
    months : its months of operation, from `flows`
    """
    low, high = 0, debt.most_ucny // plan.step_ucny + 1
    while high - low > 1:
        middle = (low + high) // 2
        if short_month(plan, debt, middle * plan.step_ucny, months) is None:
            low = middle
        else:
            high = middle
    amount = low * plan.step_ucny
    paid = services(debt, amount, plan.months)
    own = _own_money(plan, amount, months, paid)
    binding = short_month(plan, debt, amount + plan.step_ucny, months)
    ceiling_binds = amount + plan.step_ucny > debt.most_ucny
    return Sized(debt, amount, paid, None if ceiling_binds else binding, own)


def short_month(plan: CentrePlan, debt: Debt, amount_ucny: int, months: Sequence[Flow]) -> int | None:
    """Return the last month of the first window that an amount would not have covered as the lender asks, if any."""
    due = services(debt, amount_ucny, plan.months)
    window = min(plan.window_months, debt.term_months - debt.grace_months)
    for t in range(debt.grace_months + window - 1, debt.term_months):
        first = t + 1 - window
        have = sum(flow.available_ucny for flow in months[first : t + 1])
        need = sum(service.due_ucny for service in due[first : t + 1])
        if need and have * MICRO < need * plan.target_ppm:
            return t
    return None


def _own_money(plan: CentrePlan, amount_ucny: int, months: Sequence[Flow], paid: Sequence[Service]) -> int:
    cash = lowest = amount_ucny - plan.invested_ucny
    for flow, service in zip(months, paid, strict=True):
        cash += flow.available_ucny - service.due_ucny
        lowest = min(lowest, cash)
    return max(0, -lowest)


def cover(flow: Flow, service: Service) -> Fraction | None:
    """Return the cover of a month; None where nothing is due."""
    return Fraction(flow.available_ucny, service.due_ucny) if service.due_ucny else None


def break_even(plan: CentrePlan, paid: Sequence[Service], first: int, end: int) -> BreakEven:
    """Return the utilisations at which months [first, end) break even.

    Income and power are straight lines in the share of GPU-hours sold, so the share is a quotient, exact before any
    rounding to the fen.
    """
    span = range(first, end)
    at_none = sum((_margin(plan, t, 0) for t in span), Fraction(0))
    slope = sum((_margin(plan, t, MICRO) for t in span), Fraction(0)) - at_none
    premium = sum(cover.premium_ucny for cover in plan.insurance)
    fixed = sum(plan.running_ucny.values()) * len(span) + premium * sum(t % MONTHS == 0 for t in span) - at_none
    due = sum(service.due_ucny for service in paid[first:end])
    if slope <= 0:
        return BreakEven(None, None, None)
    needs = (fixed, fixed + due, fixed + Fraction(due * plan.target_ppm, MICRO))
    return BreakEven(*(max(Fraction(0), need / slope) for need in needs))


def _margin(plan: CentrePlan, t: int, share_ppm: int) -> Fraction:
    """Return income less power of a month if every pool sold the same share."""
    return sum(
        (_income(plan, pool, t, share_ppm) - _power(plan, pool, t, share_ppm) for pool in plan.pools), Fraction()
    )
