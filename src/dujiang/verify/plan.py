"""Re-checks a funding plan from its document alone, month by month: a second implementation of its rules.

Nothing of the planner is used. Amounts are whole fen; shares and rates are exact fractions of the decimals that the
document states. What cannot be checked from the document is that no better plan exists: for that it only says whether
the gap that is stated fits the cost and the bound that are stated.
"""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import fsum
from typing import Any

from dujiang.verify.verdict import FINDINGS_PER_RULE, Finding, Verdict, shown

PLAN_RULES: Mapping[str, tuple[str, str]] = {
    "document": ("the document can be read as a plan", "文档可作为融资方案读取"),
    "cash": ("cash follows from what comes in and goes out", "现金逐月勾稽"),
    "reserve": ("cash never falls below the reserve", "月末现金不低于备用金"),
    "debt": ("what is owed, repaid and still due", "欠款、偿还与到期"),
    "interest": ("interest, premiums and fees", "利息、保费与费用"),
    "window": ("draws only when they can be had", "只在可提用的月份提用"),
    "ceiling": ("least amounts, ceilings, advances and pledges", "最低额、上限、预支与质押"),
    "uses": ("tied money pays each cost once, and its share at most", "限定用途资金不重复、不超比例"),
    "together": ("what needs, excludes or is a multiple of what", "搭配、互斥与联动"),
    "support": (
        "support arrives after the spend, within rates, ceilings and the cost",
        "补助后付且不超比例、上限与费用",
    ),
    "cost": ("present value, annual rates and dilution", "现值、年化成本与股权稀释"),
    "sums": ("sources equal uses", "来源与运用相等"),
}
"""Names of the rules with what they hold."""

_DEBT = frozenset({"loan", "lease", "bond", "receivables"})
_BACKING = frozenset({"guarantee", "insurance"})
_FEN = 100


def verify_plan(text: str | bytes) -> Verdict:
    """Re-check the document that `dujiang fund --json` prints.

    Parameters
    ----------
    text : the JSON

    Returns
    -------
    findings, and how many facts were checked by rule; a document without a plan has nothing to check but its shape
    """
    checks = _Checks()
    try:
        document = json.loads(text, parse_float=Decimal)
        if not isinstance(document, dict):
            raise TypeError("no mapping")
        if document["feasible"]:
            _check(_Plan(document), checks)
        else:
            checks.hold(
                document["schedule"] == [], "document", "schedule", "rows", "none without a plan", "无方案则为空"
            )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}"
        checks.hold(False, "document", "plan", said, "the document of dujiang fund", "dujiang fund 输出的文档")
    return checks.verdict()


class _Checks:
    """Collects findings."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._count: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()

    def hold(self, ok: bool, rule: str, where: str, found: object, en: str, zh: str) -> None:
        """Check one fact."""
        self._count[rule] += 1
        if not ok:
            self._wrong[rule] += 1
            if self._wrong[rule] <= FINDINGS_PER_RULE:
                self._findings.append(Finding(rule, where, shown(found), en, zh))

    def same(self, rule: str, where: str, found: int, expected: int) -> None:
        """Check that an amount in fen is the one derived again."""
        said = _yuan(expected)
        self.hold(found == expected, rule, where, _yuan(found), said, said)

    def most(self, rule: str, where: str, found: Fraction | int, ceiling: Fraction | int) -> None:
        """Check that an amount in fen is not above another."""
        self.hold(found <= ceiling, rule, where, _yuan(found), f"at most {_yuan(ceiling)}", f"不超过 {_yuan(ceiling)}")

    def verdict(self) -> Verdict:
        """Return what was collected."""
        return Verdict(self._findings, dict(self._count), {})


def _yuan(fen: Fraction | int) -> str:
    return f"{float(fen) / _FEN:.2f}"


def _fen(value: object) -> int:
    """Return yuan as whole fen; raises where it is no such amount."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise TypeError(f"no amount: {shown(value, 30)}")
    try:
        fen = Decimal(value) * _FEN
    except InvalidOperation:
        raise ValueError(f"no amount: {shown(value, 30)}") from None
    if fen != fen.to_integral_value() or abs(fen) > 10**17:
        raise ValueError(f"no whole fen: {shown(value, 30)}")
    return int(fen)


def _part(value: object) -> Fraction:
    """Return a share or rate exactly; nothing is 0."""
    return Fraction(0) if value is None else Fraction(Decimal(str(value)))


def _rounded(amount: Fraction) -> int:
    """Round to whole fen, half to even."""
    return round(amount)


class _Plan:
    """The document, with months as numbers and amounts in fen."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.project = document["project"]
        self.months = int(self.project["months"])
        year, month = self.project["start"].split("-")
        self.origin = int(year) * 12 + int(month) - 1
        self.terms: dict[str, Mapping[str, Any]] = {item["id"]: item for item in document["instruments"]}
        if len(self.terms) != len(document["instruments"]):
            raise ValueError("an instrument stands there twice")
        self.costs = {kind: [_fen(v) for v in row] for kind, row in self.project["costs"].items()}
        self.income = [_fen(v) for v in self.project["income"]]
        self.rows: dict[tuple[str, int], Mapping[str, int]] = {}
        for row in document["schedule"]:
            key = row["instrument_id"], self.month(row["month"])
            if key in self.rows or key[0] not in self.terms:
                raise ValueError(f"a row twice, or of an unknown instrument: {key}")
            self.rows[key] = {
                name: _fen(row[f"{name}_cny"]) for name in ("draw", "repay", "interest", "fee", "subsidy", "owed")
            }
        self.support = [
            (row["instrument_id"], row["kind"], self.month(row["month"]), _fen(row["amount_cny"]))
            for row in document["support"]
        ]
        self.used = {key for key, _ in self.rows}

    def month(self, text: str) -> int:
        """Return a month of the project by number, also one outside of it."""
        year, month = text.split("-")
        return int(year) * 12 + int(month) - 1 - self.origin

    def amount(self, key: str, month: int, name: str) -> int:
        """Return one amount of the schedule."""
        row = self.rows.get((key, month))
        return 0 if row is None else row[name]

    def series(self, key: str, name: str) -> list[int]:
        """Return one amount of all months."""
        return [self.amount(key, month, name) for month in range(self.months)]

    def eligible(self, item: Mapping[str, Any], month: int) -> int:
        """Return the costs of a month that an instrument may pay."""
        uses = item["uses"]
        return sum(row[month] for kind, row in self.costs.items() if uses is None or kind in uses)

    def backed(self, key: str) -> list[str]:
        """Return the debts that need a guarantee or insurance."""
        return [other for other, item in self.terms.items() if key in item["needs"] and item["kind"] in _DEBT]


def _check(plan: _Plan, checks: _Checks) -> None:
    for (key, month), row in plan.rows.items():
        fits = 0 <= month < plan.months and min(row.values()) >= 0
        checks.hold(
            fits,
            "document",
            f"{key}:{month}",
            dict(row),
            "a month of the project, nothing below 0",
            "项目内月份，不为负",
        )
    _check_cash(plan, checks)
    for key, item in plan.terms.items():
        if item["kind"] in _DEBT or item["kind"] == "equity":
            _check_drawn(plan, checks, key, item)
        elif item["kind"] in _BACKING:
            _check_backing(plan, checks, key, item)
        _check_company(plan, checks, key, item)
    _check_uses(plan, checks)
    _check_pledges(plan, checks)
    _check_support(plan, checks)
    _check_cost(plan, checks)
    _check_dilution(plan, checks)
    book = plan.document["sources_and_uses"]
    for side in ("sources", "uses"):
        total = sum(_fen(row["amount_cny"]) for row in book[side])
        checks.same("sums", f"sources_and_uses:{side}", total, _fen(book["total_cny"]))


def _check_cash(plan: _Plan, checks: _Checks) -> None:
    rows = plan.document["cash"]
    checks.hold(len(rows) == plan.months, "cash", "cash", len(rows), f"{plan.months} rows", f"{plan.months} 行")
    opening = _fen(plan.project["own_cash_cny"])
    reserve = _fen(plan.project["reserve_cny"])
    for month, row in enumerate(rows):
        where = f"cash:{row['month']}"
        checks.hold(plan.month(row["month"]) == month, "cash", where, row["month"], "months in order", "按月排列")
        costs, income = sum(line[month] for line in plan.costs.values()), plan.income[month]
        finance = sum(
            r["draw"] + r["subsidy"] - r["repay"] - r["interest"] - r["fee"]
            for (_, m), r in plan.rows.items()
            if m == month
        )
        closing = opening - costs + income + finance
        for name, expected in (("opening", opening), ("costs", costs), ("income", income), ("closing", closing)):
            checks.same("cash", f"{where}:{name}", _fen(row[f"{name}_cny"]), expected)
        checks.most("reserve", where, reserve, closing)
        opening = closing


def _check_drawn(plan: _Plan, checks: _Checks, key: str, item: Mapping[str, Any]) -> None:
    """Check draws, what is owed, repayments, interest, fees and ceilings of one instrument."""
    draws = plan.series(key, "draw")
    step = _fen(plan.project["step_cny"])
    leads = [plan.terms[o]["lead_months"] for o in item["needs"] if plan.terms[o]["kind"] in _BACKING]
    first = max([plan.month(item["first_month"]), item["lead_months"], *leads])
    last = plan.months - 1 if item["last_month"] is None else plan.month(item["last_month"])
    opened = next((month for month, draw in enumerate(draws) if draw), None)
    for month, draw in enumerate(draws):
        where = f"{key}:{month}"
        if draw:
            checks.hold(first <= month <= last, "window", where, month, f"{first} to {last}", f"{first} 至 {last}")
            checks.hold(draw % step == 0, "ceiling", where, _yuan(draw), "whole steps", "步长的整数倍")
        fee = _rounded(draw * _part(item["fee"])) + (_fen(item["fixed_fee_cny"]) if month == opened else 0)
        checks.same("interest", f"{where}:fee", plan.amount(key, month, "fee"), fee)
        checks.same("support", f"{where}:subsidy", plan.amount(key, month, "subsidy"), 0)
    if item["most_cny"] is not None:
        checks.most("ceiling", key, sum(draws), _fen(item["most_cny"]))
    if opened is not None:
        checks.most("ceiling", f"{key}:least", _fen(item["least_cny"]), sum(draws))
    if item["once"]:
        checks.hold(sum(map(bool, draws)) <= 1, "window", key, sum(map(bool, draws)), "one draw", "一次提用")
    if item["kind"] in _DEBT:
        _check_owed(plan, checks, key, item, draws)


def _check_owed(plan: _Plan, checks: _Checks, key: str, item: Mapping[str, Any], draws: list[int]) -> None:
    end, term = plan.months - 1, item["term_months"]
    ends_free = plan.project["debt_at_end"] == "repaid"
    fixed = None if item["repayment"] == "free" else _due(item, draws)
    owed = 0
    for month in range(plan.months):
        where = f"{key}:{month}"
        owed += draws[month]
        repaid = plan.amount(key, month, "repay")
        checks.same("debt", f"{where}:owed", plan.amount(key, month, "owed"), owed)
        checks.same("interest", where, plan.amount(key, month, "interest"), _rounded(owed * _part(item["rate"]) / 12))
        checks.most("debt", f"{where}:repay", repaid, owed)
        if ends_free and month == end:
            checks.same("debt", f"{where}:repay", repaid, owed)
        elif fixed is not None:
            checks.same("debt", f"{where}:repay", repaid, min(owed, fixed[month]))
        if item["kind"] == "receivables" and owed:
            ahead = sum(plan.income[month : month + item["ahead_months"]])
            checks.most("ceiling", f"{where}:advance", owed, ahead * _part(item["advance"]))
        owed -= repaid
        if term is not None:
            checks.most("debt", f"{where}:due", owed, sum(draws[max(0, month - term + 2) : month + 1]))
    stated = plan.document["owed_at_end"].get(key, 0)
    checks.same("debt", f"{key}:end", _fen(stated), owed)


def _due(item: Mapping[str, Any], draws: list[int]) -> list[int]:
    """Return what falls due at the end of each month of the project, of a bullet or of equal parts."""
    due: dict[int, int] = defaultdict(int)
    term, grace = item["term_months"], item["grace_months"]
    for month, draw in enumerate(draws):
        if draw and term is not None:
            parts = term - grace if item["repayment"] == "equal" else 1
            dates = range(month + term - parts, month + term)
            for place, date in enumerate(dates):
                due[date] += draw // parts if place < parts - 1 else draw - draw // parts * (parts - 1)
    return [due[month] for month in range(len(draws))]


def _check_backing(plan: _Plan, checks: _Checks, key: str, item: Mapping[str, Any]) -> None:
    """Check the premium of a guarantee or insurance, and its ceiling."""
    backed = plan.backed(key)
    opened = next((m for m in range(plan.months) if any(plan.amount(o, m, "draw") for o in backed)), None)
    for month in range(plan.months):
        owed = sum(plan.amount(other, month, "owed") for other in backed)
        where = f"{key}:{month}"
        premium = _rounded(owed * _part(item["fee"]) / 12)
        checks.same("interest", where, plan.amount(key, month, "interest"), premium)
        fee = _fen(item["fixed_fee_cny"]) if month == opened else 0
        checks.same("interest", f"{where}:fee", plan.amount(key, month, "fee"), fee)
        for name in ("draw", "repay", "subsidy"):
            checks.same("debt", f"{where}:{name}", plan.amount(key, month, name), 0)
        if item["most_cny"] is not None:
            checks.most("ceiling", where, owed, _fen(item["most_cny"]))


def _check_company(plan: _Plan, checks: _Checks, key: str, item: Mapping[str, Any]) -> None:
    """Check what goes together, and multiples."""
    if key not in plan.used:
        return
    for other in item["needs"]:
        checks.hold(other in plan.used, "together", key, f"no {other}", f"{other} beside it", f"须同时使用 {other}")
    for other in item["excludes"]:
        checks.hold(other not in plan.used, "together", key, other, f"not beside {other}", f"不得与 {other} 同用")
    if item["group"] is not None:
        same = [other for other in plan.used if plan.terms[other]["group"] == item["group"]]
        checks.hold(len(same) == 1, "together", key, same, "one of its group", "同组只用其一")
    if item["multiple_of"] is None:
        return
    base = plan.terms[item["multiple_of"]]
    late = int(base["kind"] == "subsidy" and item["kind"] != "subsidy")
    for month in range(plan.months):
        came = plan.amount(key, month, "draw") + plan.amount(key, month, "subsidy")
        if came:
            mine = sum(plan.amount(key, m, n) for m in range(month + 1) for n in ("draw", "subsidy"))
            until = range(month + 1 - late)
            theirs = sum(plan.amount(base["id"], m, n) for m in until for n in ("draw", "subsidy"))
            checks.most("together", f"{key}:{month}", mine, theirs * _part(item["multiple"]))


def _check_uses(plan: _Plan, checks: _Checks) -> None:
    """Check that tied money meets costs: its share of them, and each cost once."""
    network: dict[object, dict[object, int]] = defaultdict(dict)
    wanted = 0
    for key, item in plan.terms.items():
        tied = item["uses"] is not None or item["share_of_costs"] is not None
        if not tied or (item["kind"] not in _DEBT and item["kind"] != "equity"):
            continue
        ahead = item["once"] or item["kind"] in ("bond", "equity")
        share = Fraction(1) if item["share_of_costs"] is None else _part(item["share_of_costs"])
        drawn = 0
        for month, draw in enumerate(plan.series(key, "draw")):
            if not draw:
                continue
            drawn, wanted = drawn + draw, wanted + draw
            reach = range(plan.months if ahead else month + 1)
            base = sum(plan.eligible(item, m) for m in reach)
            checks.most("uses", f"{key}:{month}", drawn, share * base)
            network["start"][key, month] = draw
            for kind, row in plan.costs.items():
                if item["uses"] is None or kind in item["uses"]:
                    for m in reach:
                        network[key, month]["cost", kind, m] = draw
                        network["cost", kind, m]["end"] = row[m]
    if wanted:
        checks.same("uses", "all tied money", _most_flow(network), wanted)


def _most_flow(capacity: dict[object, dict[object, int]]) -> int:
    """Return the largest flow from "start" to "end", by shortest augmenting paths (Edmonds and Karp)."""
    total = 0
    while True:
        came: dict[object, object] = {"start": None}
        queue: deque[object] = deque(["start"])
        while queue and "end" not in came:
            node = queue.popleft()
            for other, room in capacity.get(node, {}).items():
                if room > 0 and other not in came:
                    came[other] = node
                    queue.append(other)
        if "end" not in came:
            return total
        path = list(_steps(came))
        room = min(capacity[a][b] for a, b in path)
        for a, b in path:
            capacity[a][b] -= room
            capacity.setdefault(b, {})[a] = capacity.get(b, {}).get(a, 0) + room
        total += room


def _steps(came: Mapping[object, object]) -> Iterator[tuple[object, object]]:
    node: object = "end"
    while (before := came[node]) is not None:
        yield before, node
        node = before


def _check_pledges(plan: _Plan, checks: _Checks) -> None:
    for asset, value in plan.project["assets"].items():
        lent = [key for key, item in plan.terms.items() if item["collateral"] == asset and item["kind"] in _DEBT]
        for month in range(plan.months):
            needed = sum(
                (
                    plan.amount(key, month, "owed") / _part(plan.terms[key]["ltv"])
                    for key in lent
                    if (key, month) in plan.rows
                ),
                Fraction(0),
            )
            if needed:
                checks.most("ceiling", f"{asset}:{month}", needed, _fen(value))


def _check_support(plan: _Plan, checks: _Checks) -> None:
    """Check every payment of a subsidy against the spend that it is for."""
    arrives: dict[tuple[str, int], int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    years: dict[tuple[str, int], int] = defaultdict(int)
    costs: dict[tuple[str, int], int] = defaultdict(int)
    for key, kind, month, amount in plan.support:
        item, where = plan.terms[key], f"{key}:{kind}:{month}"
        last = plan.months - 1 if item["last_month"] is None else plan.month(item["last_month"])
        inside = plan.month(item["first_month"]) <= month <= min(last, plan.months - 1) and month >= 0
        checks.hold(
            item["kind"] == "subsidy" and inside and amount > 0, "support", where, amount, "its window", "有效期内"
        )
        eligible = plan.costs[kind][month] if item["uses"] is None or kind in item["uses"] else 0
        checks.most("support", where, amount, eligible * _part(item["rate_of_cost"]))
        arrives[key, max(month + item["delay_months"], item["lead_months"])] += amount
        totals[key] += amount
        years[key, (plan.origin + month) // 12] += amount
        costs[kind, month] += amount
    for key, item in plan.terms.items():
        if item["kind"] == "subsidy":
            for month in range(plan.months):
                checks.same(
                    "support", f"{key}:{month}", plan.amount(key, month, "subsidy"), arrives.pop((key, month), 0)
                )
                for name in ("draw", "repay", "interest", "fee"):
                    checks.same("support", f"{key}:{month}:{name}", plan.amount(key, month, name), 0)
    checks.hold(not arrives, "support", "support", list(arrives), "nothing outside of the project", "项目期内到账")
    for key, total in totals.items():
        for name in ("most_cny", "budget_cny"):
            if plan.terms[key][name] is not None:
                checks.most("support", f"{key}:{name}", total, _fen(plan.terms[key][name]))
        checks.most("support", f"{key}:least", _fen(plan.terms[key]["least_cny"]), total)
    for (key, year), total in years.items():
        if plan.terms[key]["most_per_year_cny"] is not None:
            checks.most("support", f"{key}:{year}", total, _fen(plan.terms[key]["most_per_year_cny"]))
    for (kind, month), total in costs.items():
        checks.most("support", f"{kind}:{month}", total, plan.costs[kind][month])


def _check_cost(plan: _Plan, checks: _Checks) -> None:
    """Check present values, to a fen for each row, and that every annual rate gives its flows the value 0."""
    yearly = 1.0 + float(plan.project["discount"])
    charges = support = 0.0
    every: list[tuple[int, float]] = []
    helped: list[tuple[int, float]] = []
    stated = {row["instrument_id"]: row for row in plan.document["cost_of_capital"]["instruments"]}
    checks.hold(set(stated) == plan.used, "cost", "instruments", sorted(stated), "those that are used", "所用工具")
    for key, item in plan.terms.items():
        flows: list[tuple[int, float]] = []
        value = 0.0
        for month in range(plan.months):
            row = plan.rows.get((key, month))
            if row is None:
                continue
            value += row["fee"] * yearly ** (-month / 12) + row["interest"] * yearly ** (-(month + 1) / 12)
            flows += [(month, row["fee"] - row["draw"]), (month + 1, row["interest"] + row["repay"])]
            support += row["subsidy"] * yearly ** (-(month + 1) / 12)
            helped.append((month + 1, -row["subsidy"]))
            if item["kind"] == "equity":
                growth = (1.0 + float(item["required_return"])) ** ((plan.months - month) / 12)
                value += row["draw"] * (growth - 1.0) * yearly ** (-plan.months / 12)
                flows.append((plan.months, row["draw"] * growth))
        flows.append((plan.months, float(_fen(plan.document["owed_at_end"].get(key, 0)))))
        charges += value
        every += flows
        if key in stated:
            _check_rate(plan, checks, key, flows, stated[key]["annual_rate"])
    cost = plan.document["cost_of_capital"]
    for name, value in (("charges_", charges), ("support_", support), ("", charges - support)):
        found = _fen(cost[f"{name}present_value_cny"])
        checks.hold(
            abs(found - value) <= 2, "cost", f"{name}present_value", _yuan(found), f"{value / _FEN:.2f}", "重算现值"
        )
    _check_rate(plan, checks, "all", every, cost["annual_rate"])
    _check_rate(plan, checks, "all, with support", every + helped, cost["annual_rate_with_support"])
    found, bound = _fen(cost["present_value_cny"]), _fen(plan.document["optimum"]["bound_cny"])
    checks.same("cost", "gap", _fen(plan.document["optimum"]["gap_cny"]), max(0, found - bound))


def _check_rate(plan: _Plan, checks: _Checks, where: str, flows: list[tuple[int, float]], rate: object) -> None:
    """Check that flows at the first days of months have the value 0 at a rate, days over 365."""
    if rate is None:
        return
    growth = 1.0 + float(Decimal(str(rate)))
    origin = _days(plan.origin)
    parts = [amount * growth ** (-(_days(plan.origin + month) - origin) / 365.0) for month, amount in flows]
    weight = fsum(map(abs, parts))
    off = abs(fsum(parts))
    checks.hold(
        off <= 1e-7 * weight + 2.0, "cost", f"{where}:annual_rate", rate, "a rate of value 0", "净现值为零的利率"
    )


def _days(months: int) -> int:
    """Return the days before the first of a month, months counted from the year 0 (Gregorian)."""
    year, month = divmod(months, 12)
    before = year - 1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 365 * before + before // 4 - before // 100 + before // 400 + sum(lengths[:month])


def _check_dilution(plan: _Plan, checks: _Checks) -> None:
    kept = Fraction(1)
    known = True
    for key in sorted(plan.used):
        item = plan.terms[key]
        if item["kind"] != "equity":
            continue
        worth = item["pre_money_cny"] if item["pre_money_cny"] is not None else plan.project["pre_money_cny"]
        money = sum(plan.series(key, "draw"))
        known = known and worth is not None
        kept *= 1 - (Fraction(money, _fen(worth) + money) if worth is not None else 0)
    found = plan.document["dilution"]["share"]
    if not known:
        checks.hold(found is None, "cost", "dilution", found, "nothing, for want of a worth", "无估值则不计")
    else:
        off = None if found is None else abs(_part(found) - (1 - kept))
        checks.hold(
            off is not None and off < Fraction(1, 10**9), "cost", "dilution", found, str(float(1 - kept)), "重算稀释"
        )
