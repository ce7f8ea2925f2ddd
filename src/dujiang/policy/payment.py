"""What a programme pays on a base: exact integers, one rule after another, each leaving a line (design 5.4).

The order is fixed: base, the part of it that falls in the period, its cut to whole units, the rate or amount, the caps,
what is left of the budget, and the cut of what is paid. Every division rounds down, because a rate is a ceiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dujiang.core.money import MICRO, cny_grouped
from dujiang.core.text import Text
from dujiang.policy.condition import as_date
from dujiang.policy.programme import Basis, Cap, Clause, Per, Period, Programme, ProRata, SpecialRate, Tiers


class Binding(StrEnum):
    """Which limit sets the amount; at a tie the first."""

    RATE = "rate"
    """The rate or the fixed amount itself."""
    CAP = "cap"
    BUDGET = "budget"
    COMBINED = "combined"
    """A ceiling over several programmes; only where they are put together."""
    NONE = "none"
    """Nothing is paid."""


class Rule(StrEnum):
    """Which rule a line of a calculation comes from."""

    BASE = "base"
    PRO_RATA = "pro_rata"
    CUT_BASE = "cut_base"
    RATE = "rate"
    CAP = "cap"
    BUDGET = "budget"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a calculation."""

    rule: Rule
    text: Text
    """What was done, with its numbers."""
    ucny: int
    """What is left after it: the base up to the rate, the amount from there; micro-yuan."""
    clause: Clause | None
    """None: it rests on an assumption alone, or on the purchase itself."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed of one programme before, micro-yuan, on the day of the purchase."""

    enterprise_year_ucny: int = 0
    """By the enterprise in the civil year of the day."""
    enterprise_validity_ucny: int = 0
    """By the enterprise in all."""
    contract_ucny: int = 0
    """For the same contract."""
    project_year_ucny: int = 0
    """For the same project in the civil year of the day."""
    project_validity_ucny: int = 0
    """For the same project in all."""

    def under(self, cap: Cap) -> int:
        """Return what counts towards a cap."""
        if cap.per is Per.CONTRACT:
            return self.contract_ucny
        if cap.per is Per.PROJECT:
            return self.project_year_ucny if cap.period is Period.YEAR else self.project_validity_ucny
        return self.enterprise_year_ucny if cap.period is Period.YEAR else self.enterprise_validity_ucny


NO_CLAIMS = Claimed()


@dataclass(frozen=True, slots=True)
class Payment:
    """What is left of a base after all rules."""

    counted_ucny: int | None
    """The base that the rate is applied to; None: a fixed amount without one."""
    share_ppm: int | None
    """The share applied; None: tiers by slices, or a fixed amount."""
    by_rate_ucny: int
    """What the rate or the fixed amount alone would pay."""
    left_ucny: int | None
    """The least of what caps and budget leave, may be negative; None: neither limits."""
    amount_ucny: int
    """Payable, in whole units, never negative; a minimum is not yet applied."""
    binding: Binding
    basis: Basis | None
    """What the binding limit rests on; None: the rate of no special case, which the caller knows."""
    steps: tuple[Step, ...]


def base_of(programme: Programme, facts: Mapping[str, object]) -> int | None:
    """Return what a purchase states as a programme's base, micro-yuan; None if it does not, or states no amount."""
    for name in () if programme.base is None else programme.base.facts:
        value = facts.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def days_counted(rule: ProRata, first: date, last: date) -> tuple[int, int]:
    """Return the days of a contract that fall in the period, and all its days.

    Days are last minus first, as the Nanning rules count them (305 of 729 for 2025-01-01 to 2026-12-31 in a period of
    2025-03-01 to 2025-12-31). A contract of a single day would have none: it counts as one, inside or outside.

    Parameters
    ----------
    first, last : days of the contract, `first <= last`
    """
    if first == last:
        return int(rule.first <= first <= rule.last), 1
    inside = (min(last, rule.last) - max(first, rule.first)).days
    return max(0, inside), (last - first).days


def contract_days(rule: ProRata, facts: Mapping[str, object]) -> tuple[date, date] | None:
    """Return a contract's first and last day; None if one is not known, or they stand the wrong way round."""
    first, last = (as_date(facts.get(name)) for name in rule.facts)
    return None if first is None or last is None or last < first else (first, last)


def payment(
    programme: Programme,
    base_ucny: int | None,
    facts: Mapping[str, object],
    *,
    special: SpecialRate | None,
    claimed: Claimed = NO_CLAIMS,
    cap_left_ucny: int | None = None,
    budget_left_ucny: int | None = None,
) -> Payment:
    """Work out what a computable programme pays, whoever asks.

    Parameters
    ----------
    programme : the rules
    base_ucny : the stated base, micro-yuan, not negative; None only for a fixed amount
    facts : used for the days of the contract alone, which have to be known where the rule counts days
    special : the special case that applies; its share replaces the rate. None: the rate applies, or the fixed amount
    claimed : what was claimed before
    cap_left_ucny : a further limit beside the caps less what was claimed, such as a round's; None: none
    budget_left_ucny : what is left of the budget; None: all of it
    """
    lines = _Lines(programme)
    counted = _counted(programme, base_ucny, facts, lines)
    share, by_rate = _by_rate(programme, special, counted, lines)
    amount, binding, basis, left = by_rate, Binding.RATE, _rate_basis(programme, special), None
    for limit, room, text, ground in _limits(programme, special, claimed, cap_left_ucny, budget_left_ucny):
        left = room if left is None else min(left, room)
        if room < amount:
            amount, binding, basis = room, limit, ground
        lines.add(Rule(limit.value), text, amount, ground)
    paid = programme.rounding.cut(max(0, amount))
    if paid != amount:
        unit = programme.rounding.value
        lines.add(Rule.ROUNDING, Text(f"cut down to whole {unit}", f"舍去不足 1 {_UNITS[unit]}的部分"), paid, None)
    return Payment(counted, share, by_rate, left, paid, binding, basis, tuple(lines.steps))


_UNITS = {"fen": "分", "yuan": "元"}
_PERIODS = {Period.YEAR: Text("in the year", "当年"), Period.VALIDITY: Text("over the validity", "有效期内")}
_HOLDERS = {
    Per.ENTERPRISE: Text("enterprise", "企业"),
    Per.CONTRACT: Text("contract", "合同"),
    Per.PROJECT: Text("project", "项目"),
}


class _Lines:
    """Collects the lines of one calculation."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme
        self.steps: list[Step] = []

    def add(self, rule: Rule, text: Text, ucny: int, basis: Basis | None) -> None:
        key = None if basis is None else basis.clause
        self.steps.append(Step(rule, text, ucny, None if key is None else self._programme.clause(key)))


def _counted(programme: Programme, base_ucny: int | None, facts: Mapping[str, object], lines: _Lines) -> int | None:
    """Return the part of the base that counts."""
    if base_ucny is None:
        return None
    named = "" if programme.base is None else programme.base.value
    lines.add(Rule.BASE, Text(f"base ({named})", f"基数（{named}）"), base_ucny, None)
    counted, rule = base_ucny, programme.pro_rata
    if rule is not None:
        days = contract_days(rule, facts)
        assert days is not None, "evaluate asks for the days first"
        inside, all_days = days_counted(rule, *days)
        counted = programme.rounding.cut(counted * inside // all_days)
        text = Text(f"{inside} of {all_days} days fall in the period", f"合同 {all_days} 天中有 {inside} 天在期间内")
        lines.add(Rule.PRO_RATA, text, counted, rule.basis)
    if programme.cut_base and programme.rounding.cut(counted) != counted:
        counted = programme.rounding.cut(counted)
        unit = programme.rounding.value
        text = Text(f"base cut down to whole {unit}", f"基数舍去不足 1 {_UNITS[unit]}的部分")
        lines.add(Rule.CUT_BASE, text, counted, None)
    return counted


def _by_rate(
    programme: Programme, special: SpecialRate | None, counted: int | None, lines: _Lines
) -> tuple[int | None, int]:
    """Return the share and what it alone would pay; a fixed amount is never above the base."""
    basis = _rate_basis(programme, special)
    if special is None and programme.amount is not None:
        fixed = programme.amount.amount_ucny
        amount = fixed if counted is None else min(fixed, counted)
        lines.add(
            Rule.RATE, Text(f"fixed amount of {cny_grouped(fixed)} CNY", f"定额 {cny_grouped(fixed)} 元"), amount, basis
        )
        return None, amount
    assert counted is not None, "a rate needs a base"
    rate = programme.rate
    tiers = rate.tiers if special is None and rate is not None else None
    share = special.share_ppm if special is not None else _plain_share(programme, counted)
    if tiers is not None and share is None:
        amount = tiers.amount_micro(counted) // MICRO
        lines.add(Rule.RATE, _slices(tiers, counted), amount, basis)
        return None, amount
    assert share is not None
    amount = counted * share // MICRO
    said = f"{share / 10_000:g} %"
    lines.add(Rule.RATE, Text(f"{said} of the base", f"基数的 {said}"), amount, basis)
    return share, amount


def _plain_share(programme: Programme, counted: int) -> int | None:
    """Return the one share of the rate, that of the band in steps, or None for slices."""
    rate = programme.rate
    assert rate is not None, "evaluate refuses a case to which no rate applies"
    if rate.tiers is None:
        return rate.share_ppm
    return rate.tiers.step_share_ppm(counted)


def _slices(tiers: Tiers, counted: int) -> Text:
    """Say how the slices of a base are paid."""
    parts = [
        (f"{b.share_ppm / 10_000:g} %", cny_grouped(b.above_ucny))
        for b in tiers.bands
        if b.above_ucny < max(1, counted)
    ]
    return Text(
        ", ".join(f"{share} of what is above {above}" for share, above in parts),
        "，".join(f"超过 {above} 元的部分按 {share}" for share, above in parts),
    )


def _rate_basis(programme: Programme, special: SpecialRate | None) -> Basis | None:
    rule = special or programme.rate or programme.amount
    return None if rule is None else rule.basis


def _limits(
    programme: Programme,
    special: SpecialRate | None,
    claimed: Claimed,
    cap_left_ucny: int | None,
    budget_left_ucny: int | None,
) -> Sequence[tuple[Binding, int, Text, Basis | None]]:
    """Return the limits that there are, caps first, with what is left under each."""
    limits: list[tuple[Binding, int, Text, Basis | None]] = []
    for cap in programme.caps_in(special):
        used = claimed.under(cap)
        limits.append((Binding.CAP, cap.amount_ucny - used, _cap_text(cap, used), cap.basis))
    if cap_left_ucny is not None:
        text = Text(f"{cny_grouped(cap_left_ucny)} CNY left of the cap", f"上限余额 {cny_grouped(cap_left_ucny)} 元")
        limits.append((Binding.CAP, cap_left_ucny, text, None))
    budget = programme.budget
    if budget is not None or budget_left_ucny is not None:
        left = budget_left_ucny if budget_left_ucny is not None else 0 if budget is None else budget.amount_ucny
        text = Text(f"{cny_grouped(left)} CNY left of the budget", f"预算余额 {cny_grouped(left)} 元")
        limits.append((Binding.BUDGET, left, text, None if budget is None else budget.basis))
    return limits


def _cap_text(cap: Cap, used: int) -> Text:
    holder, period = _HOLDERS[cap.per], Text("", "") if cap.per is Per.CONTRACT else _PERIODS[cap.period]
    en = f"cap of {cny_grouped(cap.amount_ucny)} CNY per {holder.en} {period.en}".rstrip()
    zh = f"每{holder.zh}{period.zh}上限 {cny_grouped(cap.amount_ucny)} 元"
    return (
        Text(f"{en}, {cny_grouped(used)} claimed before", f"{zh}，此前已申领 {cny_grouped(used)} 元")
        if used
        else Text(en, zh)
    )
