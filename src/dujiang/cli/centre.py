"""`dujiang centre`: what debt a compute centre carries, and at which utilisation it breaks even."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.finance.centre import MONTHS, BreakEven, CentrePlan, Flow, Sized, break_even, cover, flows, largest
from dujiang.finance.parse_centre import parse_centre
from dujiang.store.read_document import read_document


@click.command("centre")
@click.argument("plan", type=FOLDER)
@JSON
@click.pass_obj
def command(output: Output, plan: Path, as_json: bool) -> None:
    """Size the loan or lease of a compute centre: debt service cover by month, break-even utilisation, insurance."""
    output.json = as_json
    centre = read_plan(plan)
    months = flows(centre)
    sized = [largest(centre, debt, months) for debt in centre.debts]
    if as_json:
        output.document(document(centre, months, sized))
        return
    _show(output, centre, months, sized)


def read_plan(path: Path) -> CentrePlan:
    """Read a centre's plan.

    Raises
    ------
    InputError : all its problems
    """
    problems = ProblemList()
    doc = read_document(path, problems)
    plan, found = (None, []) if doc is None else parse_centre(doc)
    problems.extend(found)
    if problems:
        raise InputError(problems)
    assert plan is not None
    return plan


def document(plan: CentrePlan, months: Sequence[Flow], sized: Sequence[Sized]) -> dict[str, Any]:
    """Return the whole answer as a document; money in decimal yuan, shares and cover as numbers."""
    bare = flows(plan, insured=False)
    return {
        "ok": True,
        "title": plan.title.en,
        "title_zh": plan.title.zh,
        "start": _month(plan, 0),
        "months": plan.months,
        "invested_cny": cny(plan.invested_ucny),
        "cover_target": plan.target_ppm / MICRO,
        "cover_months": plan.window_months,
        "rounding": "to the fen, half to even",
        "flows": [
            {
                "month": _month(plan, t),
                "income_cny": cny(flow.income_ucny),
                "power_cny": cny(flow.power_ucny),
                "running_cny": cny(flow.running_ucny),
                "premiums_cny": cny(flow.premiums_ucny),
                "available_cny": cny(flow.available_ucny),
            }
            for t, flow in enumerate(months)
        ],
        "debts": [_debt(plan, months, one, largest(plan, one.debt, bare)) for one in sized],
        "insurance": [
            {
                "id": c.id,
                "name": c.name.en,
                "name_zh": c.name.zh,
                "insured_cny": cny(c.insured_ucny),
                "rate": c.rate_ppm / MICRO,
                "premium_cny_per_year": cny(c.premium_ucny),
                "source": c.source,
            }
            for c in plan.insurance
        ],
        "sources": list(plan.sources),
        "assumptions": [{"en": text.en, "zh": text.zh} for text in plan.assumptions],
    }


def _debt(plan: CentrePlan, months: Sequence[Flow], one: Sized, without: Sized) -> dict[str, Any]:
    debt = one.debt
    return {
        "id": debt.id,
        "name": debt.name.en,
        "name_zh": debt.name.zh,
        "form": debt.form.value,
        "rate": debt.rate_ppm / MICRO,
        "term_months": debt.term_months,
        "grace_months": debt.grace_months,
        "repayment": debt.repayment.value,
        "residual_share": debt.residual_ppm / MICRO,
        "ceiling_cny": cny(debt.most_ucny),
        "largest_cny": cny(one.amount_ucny),
        "binding": "ceiling" if one.binding_month is None else "cover",
        "binding_month": None if one.binding_month is None else _month(plan, one.binding_month),
        "largest_without_insurance_cny": cny(without.amount_ucny),
        "own_money_cny": cny(one.own_money_ucny),
        "source": debt.source,
        "service": [
            {
                "month": _month(plan, t),
                "owed_cny": cny(service.owed_ucny),
                "interest_cny": cny(service.interest_ucny),
                "principal_cny": cny(service.principal_ucny),
                "cover": _number(cover(months[t], service)),
            }
            for t, service in enumerate(one.services)
        ],
        "break_even_utilisation": [_even(label, even) for label, _, even in _years(plan, one)],
    }


def _years(plan: CentrePlan, one: Sized) -> list[tuple[str, range, BreakEven]]:
    """Return the first month, the months and the break-even of each year of the plan."""
    spans = [range(t, min(t + MONTHS, plan.months)) for t in range(0, plan.months, MONTHS)]
    return [(_month(plan, s.start), s, break_even(plan, one.services, s.start, s.stop)) for s in spans]


def _even(label: str, even: BreakEven) -> dict[str, Any]:
    return {
        "year_from": label,
        "operating": _number(even.operating),
        "debt": _number(even.debt),
        "target": _number(even.target),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _month(plan: CentrePlan, t: int) -> str:
    return plan.month(t).strftime("%Y-%m")


_DEBTS = (
    (Text("loan or lease", "贷款或租赁"), False),
    (Text("largest, CNY", "最大金额（元）"), True),
    (Text("ceiling", "上限"), True),
    (Text("what binds", "约束"), False),
    (Text("own money needed", "需自有资金"), True),
    (Text("without insurance", "不投保时最大"), True),
)
_YEARS = (
    (Text("year from", "年度起"), False),
    (Text("available, CNY", "可偿债现金（元）"), True),
    (Text("interest and principal", "还本付息"), True),
    (Text("cover", "覆盖倍数"), True),
    (Text("least month", "最低月"), True),
    (Text("planned utilisation", "计划利用率"), True),
    (Text("break-even, running", "保本利用率（运营）"), True),
    (Text("with debt", "含偿债"), True),
    (Text("with the cover asked", "含目标覆盖"), True),
)


def _show(output: Output, plan: CentrePlan, months: Sequence[Flow], sized: Sequence[Sized]) -> None:
    bare = flows(plan, insured=False)
    rows = []
    for one in sized:
        binds = Text("its ceiling", "金额上限")
        if one.binding_month is not None:
            month = _month(plan, one.binding_month)
            binds = Text(f"cover in {month}", f"{month} 的覆盖倍数")
        amounts = (
            (one.amount_ucny, one.debt.most_ucny),
            (
                one.own_money_ucny,
                largest(plan, one.debt, bare).amount_ucny,
            ),
        )
        first, second = ([f"{a // MICRO:,}" for a in pair] for pair in amounts)
        rows.append([output.say(one.debt.name), *first, output.say(binds), *second])
    output.table(plan.title, _DEBTS, rows)
    for one in sized:
        title = Text(f"{one.debt.name.en}: year by year", f"{one.debt.name.zh}：逐年")
        output.table(title, _YEARS, [_year(plan, months, one, *year) for year in _years(plan, one)])
    for c in plan.insurance:
        amount, insured = f"{c.premium_ucny // MICRO:,}", f"{c.insured_ucny // MICRO:,}"
        output.line(
            Text(
                f"insurance: {c.name.en}, {amount} CNY a year for {insured} insured",
                f"保险：{c.name.zh}，保额 {insured} 元，年保费 {amount} 元",
            )
        )
    target, window = f"{plan.target_ppm / MICRO:g}", plan.window_months
    output.line(
        Text(
            f"cover asked: {target} over {window} months of repaying principal; --json has every month",
            f"还本期内 {window} 个月滚动覆盖倍数不低于 {target}；逐月明细见 --json",
        )
    )
    for source in plan.sources:
        output.line(Text(f"source: {source}", f"来源：{source}"))
    for text in plan.assumptions:
        output.line(Text(f"assumed: {text.en}", f"假设：{text.zh}"))


def _year(plan: CentrePlan, months: Sequence[Flow], one: Sized, label: str, span: range, even: BreakEven) -> list[str]:
    have = sum(months[t].available_ucny for t in span)
    due = sum(one.services[t].due_ucny for t in span)
    covers = [c for t in span if (c := cover(months[t], one.services[t])) is not None]
    sold = sum(plan.sold_hours(t) for t in span)
    there = sum(plan.gpu_hours(t) for t in span)
    return [
        label,
        f"{have // MICRO:,}",
        f"{due // MICRO:,}",
        f"{have / due:.2f}" if due else "-",
        f"{float(min(covers)):.2f}" if covers else "-",
        f"{float(sold / there):.1%}" if there else "-",
        *(_share(value) for value in (even.operating, even.debt, even.target)),
    ]


def _share(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1%}"
