"""The document of `dujiang fund`: complete enough for a stranger to re-check the plan month by month.

Amounts (`_cny`) are yuan as numbers, exact to the fen; shares are fractions of 1; months are `2026-03`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dujiang.core.money import MICRO
from dujiang.core.text import Text
from dujiang.finance.alternatives import Alternative
from dujiang.finance.cost_of_capital import CostOfCapital, dilution
from dujiang.finance.funding import Funding
from dujiang.finance.instrument import Instrument, Kind
from dujiang.finance.planner import Plan, binding
from dujiang.finance.product import LeftOut
from dujiang.finance.project import Project
from dujiang.finance.schedule import Limit
from dujiang.finance.shocks import Shock
from dujiang.finance.shortfall import Shortfall

RULES: Mapping[str, Text] = {
    "cash": Text("cash at the end of the month", "月末现金"),
    "most": Text("the ceiling of the instrument", "工具金额上限"),
    "least": Text("the least amount of the instrument", "工具最低金额"),
    "budget": Text("what the purse has left", "资金池余额"),
    "year": Text("the ceiling for a calendar year", "年度上限"),
    "share": Text("the share of the costs it may pay", "占费用比例上限"),
    "uses": Text("costs that it may pay", "限定用途的费用额"),
    "multiple": Text("the multiple of what it is tied to", "联动倍数"),
    "advance": Text("the share of the income ahead", "可预支收入比例"),
    "collateral": Text("the value of the pledge", "质押物价值"),
    "debt_at_end": Text("that all debt is repaid by the last month", "项目结束前须还清债务"),
    "reserve": Text("the reserve", "备用金"),
    "lead": Text("the months from application to money", "申请到放款的时间"),
    "window": Text("the months in which money can be drawn", "提用窗口期"),
    "term": Text("the terms of debts", "债务期限"),
    "together": Text("what may not be used together", "不得同时使用的限制"),
    "ceilings": Text("ceilings, shares, pledges and multiples", "金额、比例、质押与联动上限"),
}
"""Names of rules in documents, in words."""


def yuan(ucny: int) -> int | float:
    """Return micro-yuan as yuan: a whole number where it is one."""
    return ucny // MICRO if ucny % MICRO == 0 else ucny / MICRO


def _money(ucny: int | None) -> int | float | None:
    return None if ucny is None else yuan(ucny)


def _share(ppm: int | None) -> float | None:
    return None if ppm is None else ppm / MICRO


def _both(name: str, text: Text | None) -> dict[str, str | None]:
    return {name: None if text is None else text.en, f"{name}_zh": None if text is None else text.zh}


def plan_document(
    funding: Funding,
    left_out: Sequence[LeftOut] = (),
    readings: Mapping[str, Sequence[Text]] | None = None,
) -> dict[str, Any]:
    """Return the whole answer as a document.

    Parameters
    ----------
    funding : the answer
    left_out : what was asked for and cannot be had
    readings : programme -> how its rules were read
    """
    best = funding.plan
    project = funding.project if best is None else best.project
    document: dict[str, Any] = {
        "ok": True,
        "feasible": best is not None,
        "objective": funding.objective.value,
        "without": list(funding.without),
        "project": _project(project),
    }
    if best is None:
        document |= {
            "instruments": [_instrument(project, item) for item in project.instruments],
            **{name: [] for name in ("schedule", "cash", "support", "binding", "apply", "alternatives", "shocks")},
            "cost_of_capital": None,
            "gap": None,
            "shortfall": None if funding.shortfall is None else _shortfall(project, funding.shortfall),
        }
    else:
        document |= _plan(best) | {
            "alternatives": [_alternative(option) for option in funding.alternatives],
            "shocks": [_shock(project, shock) for shock in funding.shocks],
            "shortfall": None,
        }
    left = [
        (key, Text(f"needs {other}, which is not here", f"须同时使用 {other}，此处没有"))
        for key, other in (() if best is None else best.left_out)
    ]
    document["left_out"] = [
        {"id": item.id, **_names(item.name), **_both("reason", item.reason), "would_pay_cny": yuan(item.would_pay_ucny)}
        for item in left_out
    ] + [{"id": key, "name": key, "name_zh": key, **_both("reason", why), "would_pay_cny": 0} for key, why in left]
    document["assumptions"] = _assumptions(project, set() if best is None else set(best.schedule.used), readings or {})
    return document


def _names(text: Text) -> dict[str, str]:
    return {"name": text.en, "name_zh": text.zh}


def _plan(best: Plan) -> dict[str, Any]:
    project, schedule = best.project, best.schedule
    month = project.month_text
    return {
        "instruments": [_instrument(project, item) for item in project.instruments],
        "used": list(schedule.used),
        "schedule": [
            {
                "month": month(row.month),
                "instrument_id": row.instrument_id,
                "draw_cny": yuan(row.draw_ucny),
                "repay_cny": yuan(row.repay_ucny),
                "interest_cny": yuan(row.interest_ucny),
                "fee_cny": yuan(row.fee_ucny),
                "subsidy_cny": yuan(row.subsidy_ucny),
                "owed_cny": yuan(row.owed_ucny),
            }
            for row in schedule.rows
        ],
        "cash": [
            {
                "month": month(row.month),
                "opening_cny": yuan(row.opening_ucny),
                "costs_cny": yuan(row.costs_ucny),
                "income_cny": yuan(row.income_ucny),
                "net_finance_cny": yuan(row.net_finance_ucny),
                "closing_cny": yuan(row.closing_ucny),
            }
            for row in schedule.cash
        ],
        "support": [
            {"month": month(spent), "kind": kind, "instrument_id": key, "amount_cny": yuan(amount)}
            for (key, kind, spent), amount in sorted(schedule.choices.support.items(), key=lambda kv: kv[0][::-1])
        ],
        "sources_and_uses": _sources_and_uses(best),
        "cost_of_capital": _cost(best.cost),
        "dilution": _dilution(best),
        "owed_at_end": {key: yuan(amount) for (key, _), amount in schedule.owed_at_end.items()},
        "runway_months": _runway(best),
        "gap": best.gap,
        "optimum": {
            "proven": best.proven,
            "gap": best.gap,
            "gap_cny": yuan(best.gap_ucny),
            "bound_cny": yuan(best.bound_ucny),
        },
        "binding": [_limit(project, limit) for limit in binding(best)],
        "apply": _apply(best),
    }


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        **_names(project.name),
        "start": project.month_text(0),
        "months": project.months,
        "own_cash_cny": yuan(project.own_cash_ucny),
        "reserve_cny": yuan(project.reserve_ucny),
        "step_cny": yuan(project.step_ucny),
        "discount": _share(project.discount_ppm),
        "debt_at_end": project.debt_at_end.value,
        "pre_money_cny": _money(project.pre_money_ucny),
        "assets": {name: yuan(value) for name, value in (project.assets or {}).items()},
        "costs": {kind: [yuan(amount) for amount in row] for kind, row in project.costs.items()},
        "income": [yuan(amount) for amount in project.income],
        "milestones": [
            {"id": m.id, "month": project.month_text(m.month), **_both("what", m.what)} for m in project.milestones
        ],
        "assumed": list(project.assumed),
    }


def _instrument(project: Project, item: Instrument) -> dict[str, Any]:
    """Return the terms as used."""
    return {
        "id": item.id,
        "kind": item.kind.value,
        **_names(item.name),
        "source": item.source,
        "assumed": list(item.assumed),
        "uses": None if item.uses is None else sorted(item.uses),
        "least_cny": yuan(item.least_ucny),
        "most_cny": _money(item.most_ucny),
        "first_month": project.month_text(item.first_month),
        "last_month": None if item.last_month is None else project.month_text(item.last_month),
        "once": item.once,
        "term_months": item.term_months,
        "grace_months": item.grace_months,
        "repayment": item.repayment.value,
        "rate": _share(item.rate_ppm),
        "fee": _share(item.fee_ppm),
        "fixed_fee_cny": yuan(item.fixed_fee_ucny),
        "share_of_costs": _share(item.share_of_costs_ppm),
        "collateral": item.collateral,
        "ltv": _share(item.ltv_ppm),
        "multiple_of": item.multiple_of,
        "multiple": _share(item.multiple_ppm),
        "needs": list(item.needs),
        "excludes": list(item.excludes),
        "group": item.group,
        "pre_money_cny": _money(item.pre_money_ucny),
        "required_return": _share(item.required_return_ppm),
        "rate_of_cost": _share(item.rate_of_cost_ppm),
        "delay_months": item.delay_months,
        "most_per_year_cny": _money(item.most_per_year_ucny),
        "budget_cny": _money(item.budget_ucny),
        "ahead_months": item.ahead_months,
        "advance": _share(item.advance_ppm),
        "lead_months": item.lead_months,
        **_both("clause", item.clause),
        **_both("apply_with", item.apply_with),
    }


def _sources_and_uses(best: Plan) -> dict[str, Any]:
    """Return where the money comes from and where it goes; both sides are equal."""
    project, schedule = best.project, best.schedule
    sources = [
        {"id": "own_cash", **_names(Text("own cash", "自有资金")), "amount_cny": yuan(project.own_cash_ucny)},
        {"id": "income", **_names(Text("income", "经营收入")), "amount_cny": yuan(sum(project.income))},
    ]
    for key in schedule.used:
        if brought := schedule.total(key):
            sources.append({"id": key, **_names(project.instrument(key).name), "amount_cny": yuan(brought)})
    uses = [
        {"id": f"cost:{kind}", "name": kind, "name_zh": kind, "amount_cny": yuan(sum(row))}
        for kind, row in project.costs.items()
    ]
    sums = {
        "repayment": (Text("repayment", "偿还本金"), sum(row.repay_ucny for row in schedule.rows)),
        "interest": (Text("interest and premiums", "利息与保费"), sum(row.interest_ucny for row in schedule.rows)),
        "fees": (Text("fees", "费用"), sum(row.fee_ucny for row in schedule.rows)),
        "closing_cash": (Text("cash at the end", "期末现金"), schedule.cash[-1].closing_ucny),
    }
    uses += [{"id": key, **_names(text), "amount_cny": yuan(amount)} for key, (text, amount) in sums.items()]
    total = project.own_cash_ucny + sum(project.income) + sum(schedule.total(key) for key in schedule.used)
    return {"sources": sources, "uses": uses, "total_cny": yuan(total)}


def _cost(cost: CostOfCapital) -> dict[str, Any]:
    return {
        "present_value_cny": yuan(cost.present_value_ucny),
        "charges_cny": yuan(cost.charges_ucny),
        "charges_present_value_cny": yuan(cost.charges_pv_ucny),
        "support_cny": yuan(cost.support_ucny),
        "support_present_value_cny": yuan(cost.support_pv_ucny),
        "annual_rate": cost.annual_rate,
        "annual_rate_with_support": cost.annual_rate_with_support,
        "instruments": [
            {
                "instrument_id": item.instrument_id,
                "drawn_cny": yuan(item.drawn_ucny),
                "repaid_cny": yuan(item.repaid_ucny),
                "interest_cny": yuan(item.interest_ucny),
                "fee_cny": yuan(item.fee_ucny),
                "subsidy_cny": yuan(item.subsidy_ucny),
                "gain_cny": yuan(item.gain_ucny),
                "owed_at_end_cny": yuan(item.owed_at_end_ucny),
                "present_value_cny": yuan(item.present_value_ucny),
                "annual_rate": item.annual_rate,
            }
            for item in cost.instruments
        ],
    }


def _dilution(best: Plan) -> dict[str, Any]:
    rounds, whole = dilution(best.project, best.schedule)
    return {
        "share": None if whole is None else float(whole),
        "rounds": [
            {
                "instrument_id": item.instrument_id,
                "money_cny": yuan(item.money_ucny),
                "pre_money_cny": _money(item.pre_money_ucny),
                "share": None if item.share is None else float(item.share),
            }
            for item in rounds
        ],
    }


def _runway(best: Plan) -> int | None:
    """Return the whole months that the last cash, less debt, lasts; None: the last month burns nothing."""
    last = best.schedule.cash[-1]
    burn = last.costs_ucny - last.income_ucny
    if burn <= 0:
        return None
    return max(0, last.closing_ucny - sum(best.schedule.owed_at_end.values())) // burn


def _limit(project: Project, limit: Limit) -> dict[str, Any]:
    return {
        "rule": limit.rule,
        **_both("says", RULES.get(limit.rule)),
        "subject": limit.subject or None,
        "month": None if limit.month is None else project.month_text(limit.month),
        "used_cny": yuan(limit.used_ucny),
        "allowed_cny": yuan(limit.allowed_ucny),
    }


def _apply(best: Plan) -> list[dict[str, Any]]:
    """Return what to apply for, by the month in which to do so at the latest."""
    project, found = best.project, []
    for key in best.schedule.used:
        item = project.instrument(key)
        rows = [row for row in best.schedule.rows if row.instrument_id == key]
        first = rows[0].month
        # Support is asked for once the spend was paid and proven; all else so long before the money as it takes.
        spent = min((m for (k, _, m), a in best.schedule.choices.support.items() if k == key and a), default=first)
        month = spent if item.kind is Kind.SUBSIDY else max(0, first - item.lead_months)
        found.append(
            {
                "instrument_id": key,
                **_names(item.name),
                "kind": item.kind.value,
                "apply_month": project.month_text(month),
                "money_month": project.month_text(first),
                "amount_cny": yuan(best.schedule.total(key)),
                **_both("with", item.apply_with),
                **_both("clause", item.clause),
                "source": item.source,
                "assumed": list(item.assumed),
            }
        )
    return sorted(found, key=lambda row: (row["apply_month"], row["instrument_id"]))


def _alternative(option: Alternative) -> dict[str, Any]:
    made = option.plan
    return {
        "without": option.without,
        "feasible": None if not option.in_time else made is not None,
        "used": [] if made is None else list(made.schedule.used),
        "more_cny": _money(option.more_ucny),
        "cost_of_capital": None if made is None else _brief_cost(made),
    }


def _brief_cost(made: Plan) -> dict[str, Any]:
    _, share = dilution(made.project, made.schedule)
    return {
        "present_value_cny": yuan(made.cost.present_value_ucny),
        "annual_rate": made.cost.annual_rate,
        "dilution": None if share is None else float(share),
        "brought": {key: yuan(made.schedule.total(key)) for key in made.schedule.used if made.schedule.total(key)},
    }


def _shock(project: Project, shock: Shock) -> dict[str, Any]:
    return {
        "kind": shock.kind,
        "subject": shock.subject,
        "months": shock.months,
        "breaks_month": None if shock.breaks_month is None else project.month_text(shock.breaks_month),
        "missing_cny": yuan(shock.missing_ucny),
        "replanned": None if shock.replanned is None else _brief_cost(shock.replanned),
        "more_cny": _money(shock.more_ucny),
        "shortfall_cny": _money(shock.shortfall_ucny),
    }


def _shortfall(project: Project, lack: Shortfall) -> dict[str, Any]:
    return {
        "month": project.month_text(lack.month),
        "rule": lack.rule,
        **_both("says", RULES[lack.rule]),
        "missing_in_month_cny": yuan(lack.first_ucny),
        "missing_cny": yuan(lack.missing_ucny),
        "by_month": [
            {"month": project.month_text(month), "missing_cny": yuan(amount)} for month, amount in lack.by_month.items()
        ],
        "reliefs": [
            {"rule": r.rule, **_both("says", RULES[r.rule]), "still_missing_cny": yuan(r.missing_ucny)}
            for r in lack.reliefs
        ],
        "exhausted": [_limit(project, limit) for limit in lack.exhausted],
    }


def _assumptions(project: Project, used: set[str], readings: Mapping[str, Sequence[Text]]) -> list[dict[str, Any]]:
    """Return everything that the plan rests on and that no source says."""
    found: list[dict[str, Any]] = [
        {"subject": "project", "term": term, "value": _project(project).get(term), **_both("says", None)}
        for term in project.assumed
    ]
    for item in project.instruments:
        terms = _instrument(project, item)
        for term in item.assumed:
            found.append({"subject": item.id, "term": term, "value": terms.get(term), **_both("says", None)})
        for said in readings.get(item.id, ()) if not used or item.id in used else ():
            found.append({"subject": item.id, "term": None, "value": None, **_both("says", said)})
    return found
