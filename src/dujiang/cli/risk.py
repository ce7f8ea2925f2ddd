"""`dujiang risk`: what each party of a risk-sharing chain loses, and funding that milestones release."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.marked import Marked
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.finance.milestones import Ending, Funding, Standing, as_of
from dujiang.finance.parse_milestones import parse_milestones
from dujiang.finance.parse_risk import parse_risk
from dujiang.finance.portfolio import expected_losses
from dujiang.finance.risk_price import CONFIDENCE, Estimate, Exposure, RiskPrice, price, to_fen
from dujiang.finance.risk_terms import RiskTerms
from dujiang.store.read_document import read_document

T = TypeVar("T")

_TOTAL = Text("all together", "合计")


@click.group("risk")
def command() -> None:
    """Risk sharing between bank, guarantor, public funds, insurers and reinsurer."""


@command.command("price")
@click.argument("risk", type=FOLDER)
@JSON
@click.pass_obj
def price_command(output: Output, risk: Path, as_json: bool) -> None:
    """Simulate a portfolio of loans and show what each party loses, in the mean and in the tail."""
    output.json = as_json
    terms = _read(risk, parse_risk)
    priced = price(terms)
    if as_json:
        output.document(document(terms, priced))
        return
    _show(output, terms, priced)


@command.command("milestones")
@click.argument("agreement", type=FOLDER)
@click.option(
    "--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="Day on which to look; default: today in Shanghai."
)
@JSON
@click.pass_obj
def milestones_command(output: Output, agreement: Path, day: datetime | None, as_json: bool) -> None:
    """Follow funding in tranches: what is reached, paid, still open, and whether a failure was anybody's fault."""
    output.json = as_json
    funding = _read(agreement, parse_milestones)
    on = (datetime.now(SHANGHAI) if day is None else day).date()
    later = sum(entry.day > on for entry in funding.history)
    funding = as_of(funding, on)
    if later:
        output.note(Text(f"left out: entries after {on}: {later}", f"未计入 {on} 之后的记录：{later} 条"))
    if as_json:
        output.document(_funding_document(funding, on))
        return
    _show_funding(output, funding, on)


def _read(path: Path, parse: Callable[[Marked], tuple[T | None, list[Problem]]]) -> T:
    """Read and parse a file, or raise all its problems."""
    problems = ProblemList()
    doc = read_document(path, problems)
    parsed, found = (None, []) if doc is None else parse(doc)
    problems.extend(found)
    if problems:
        raise InputError(problems)
    assert parsed is not None
    return parsed


def document(terms: RiskTerms, priced: RiskPrice) -> dict[str, Any]:
    """Return the priced chain as a document; money in decimal yuan, rates as fractions."""
    balances = terms.loans.balances(terms.years).sum(axis=0)
    names = {party.id: party.name for party in terms.parties}
    return {
        "ok": True,
        "title": terms.title.en,
        "title_zh": terms.title.zh,
        "model": "one-factor Gaussian copula, years independent, loss given default fixed",
        "years": terms.years,
        "scenarios": terms.scenarios,
        "seed": terms.random_seed,
        "tail": terms.tail_ppm / MICRO,
        "discount": terms.discount_ppm / MICRO,
        "confidence": CONFIDENCE,
        "loans": int(terms.loans.owed_ucny.size),
        "balance_cny": [cny(int(b)) for b in balances],
        "defaults": {name: round(getattr(priced.defaults, name), 3) for name in ("value", "low", "high")},
        "expected_loss_in_closed_form_cny": cny(to_fen(float(expected_losses(terms.loans, terms.years).sum()))),
        "total": _exposure(priced.total),
        "parties": [
            {"party": id_, "name": names[id_].en, "name_zh": names[id_].zh, **_exposure(exposure)}
            for id_, exposure in priced.parties.items()
        ],
        "agreements": [
            {
                "agreement": c.id,
                "name": c.name.en,
                "name_zh": c.name.zh,
                "from": terms.parties[c.ceded_by].id,
                "to": terms.parties[c.taken_by].id,
                **_exposure(priced.cessions[c.id]),
            }
            for c in terms.cessions
        ],
        "sources": list(terms.sources),
        "assumptions": [{"en": text.en, "zh": text.zh} for text in terms.assumptions],
    }


def _exposure(exposure: Exposure) -> dict[str, Any]:
    premium = exposure.premium
    return {
        "expected_loss_cny": _interval(exposure.expected),
        "expected_by_year_cny": [cny(to_fen(mean)) for mean in exposure.by_year],
        "deviation_cny": cny(to_fen(exposure.deviation)),
        "value_at_risk_cny": _interval(exposure.quantile),
        "expected_shortfall_cny": _interval(exposure.tail_mean),
        "worst_cny": cny(exposure.worst),
        "touched": exposure.touched,
        "break_even_premium": {name: round(getattr(premium, name) / MICRO, 9) for name in ("value", "low", "high")},
        "break_even_premium_cny_per_year": cny(to_fen(exposure.premium_ucny)),
    }


def _interval(estimate: Estimate) -> dict[str, str]:
    return {name: cny(to_fen(getattr(estimate, name))) for name in ("value", "low", "high")}


_COLUMNS = (
    (Text("party", "参与方"), False),
    (Text("expected loss, CNY", "预期损失（元）"), True),
    (Text("± (95 %)", "±（95%）"), True),
    (Text("of all", "占比"), True),
    (Text("value at risk", "在险价值"), True),
    (Text("expected shortfall", "预期短缺"), True),
    (Text("worst", "最坏情形"), True),
    (Text("break-even a year", "盈亏平衡年费率"), True),
)


def _show(output: Output, terms: RiskTerms, priced: RiskPrice) -> None:
    total = priced.total.expected.value
    named = [(output.say(party.name), priced.parties[party.id]) for party in terms.parties]
    rows = [_row(name, exposure, total) for name, exposure in [*named, (output.say(_TOTAL), priced.total)]]
    output.table(terms.title, _COLUMNS, rows)
    ceded = [_row(output.say(c.name), priced.cessions[c.id], total) for c in terms.cessions]
    if ceded:
        heading = ((Text("agreement, in its order", "协议（按适用顺序）"), False), *_COLUMNS[1:])
        output.table(Text("what each agreement passes on", "各协议转移的损失"), heading, ceded)
    loans, scenarios, level = f"{terms.loans.owed_ucny.size:,}", f"{terms.scenarios:,}", f"{terms.tail_ppm / 10_000:g}"
    output.line(
        Text(
            f"{loans} loans over {terms.years} years, {scenarios} scenarios, seed {terms.random_seed}; "
            f"tail at {level} %; premium as a share of what performing loans owe at the opening of a year",
            f"{loans} 笔贷款、{terms.years} 年、{scenarios} 个情景，随机种子 {terms.random_seed}；尾部置信度 {level}%；"
            "费率以年初正常贷款余额为基数",
        )
    )
    for source in terms.sources:
        output.line(Text(f"source: {source}", f"来源：{source}"))
    for text in terms.assumptions:
        output.line(Text(f"assumed: {text.en}", f"假设：{text.zh}"))


def _row(name: str, exposure: Exposure, total: float) -> list[str]:
    expected = exposure.expected
    share = f"{expected.value / total:.1%}" if total else "-"
    yuan = [expected.value, expected.high - expected.value]
    tail = [exposure.quantile.value, exposure.tail_mean.value, float(exposure.worst)]
    first, second = (f"{amount / MICRO:,.0f}" for amount in yuan)
    return [
        name,
        first,
        second,
        share,
        *(f"{a / MICRO:,.0f}" for a in tail),
        f"{exposure.premium.value / 10_000:.3f} %",
    ]


_STANDING = {
    Standing.OPEN: Text("open", "未提交"),
    Standing.SUBMITTED: Text("waits for the verifier", "待核验"),
    Standing.VERIFIED: Text("verified, to be paid", "已核验待拨付"),
    Standing.PAID: Text("paid", "已拨付"),
    Standing.RETURNED: Text("not reached", "未达成"),
}
_ENDING = {
    Ending.COMPLETED: Text("every milestone is reached and paid", "里程碑全部达成并拨付"),
    Ending.HONEST: Text("an honest failure: funding ended, no fault is booked", "合理失败：资助终止，不计过错"),
    Ending.LAPSED: Text("lapsed: funding ended, no fault is booked", "逾期：资助终止，不计过错"),
    Ending.WITHDRAWN: Text("withdrawn: funding ended, no fault is booked", "主动退出：资助终止，不计过错"),
    Ending.FAULT: Text("ended for fault", "因过错终止"),
}
_MONEY = {
    "committed": Text("agreed", "承诺"),
    "locked": Text("not yet earned", "未达成"),
    "released": Text("to be paid", "待拨付"),
    "paid": Text("paid", "已拨付"),
    "returned": Text("back to the funder", "退回资助方"),
    "clawed_back": Text("clawed back", "已追回"),
    "owed_back": Text("owed back", "应追回"),
}


def _funding_document(funding: Funding, on: date) -> dict[str, Any]:
    current = funding.current()
    return {
        "ok": True,
        "agreement": funding.agreement.id,
        "on": on.isoformat(),
        "ending": None if funding.ending is None else funding.ending.value,
        "fault": funding.has_fault,
        "next": None if current is None else current.id,
        "overdue": funding.is_overdue(on),
        **{f"{name}_cny": cny(getattr(funding, f"{name}_ucny")) for name in _MONEY},
        "milestones": [
            {
                "id": t.id,
                "what": t.what.en,
                "what_zh": t.what.zh,
                "evidence": t.evidence.en,
                "evidence_zh": t.evidence.zh,
                "amount_cny": cny(t.amount_ucny),
                "due": t.due.isoformat(),
                "last_day": funding.progress[t.id].last_day.isoformat(),
                "standing": funding.progress[t.id].standing.value,
                "attempts": funding.progress[t.id].attempts,
                "extensions": funding.progress[t.id].extensions,
            }
            for t in funding.agreement.tranches
        ],
        "story": [{"en": line.en, "zh": line.zh} for line in funding.story()],
    }


def _show_funding(output: Output, funding: Funding, on: date) -> None:
    columns = (
        (Text("milestone", "里程碑"), False),
        (Text("what", "内容"), False),
        (Text("amount, CNY", "金额（元）"), True),
        (Text("last day", "最后期限"), False),
        (Text("attempts", "提交次数"), True),
        (Text("stands", "状态"), False),
    )
    rows = []
    for t in funding.agreement.tranches:
        progress = funding.progress[t.id]
        attempts = f"{progress.attempts} / {funding.agreement.rules.attempts}"
        standing = output.say(_STANDING[progress.standing])
        amount, last = f"{t.amount_ucny / MICRO:,.2f}", progress.last_day.isoformat()
        rows.append([t.id, output.say(t.what), amount, last, attempts, standing])
    output.table(Text(f"milestones on {on}", f"{on} 里程碑进展"), columns, rows)
    parts = {name: f"{getattr(funding, f'{name}_ucny') / MICRO:,.2f}" for name in _MONEY}
    output.line(
        Text(
            "CNY: " + ", ".join(f"{_MONEY[name].en} {amount}" for name, amount in parts.items()),
            "元：" + "，".join(f"{_MONEY[name].zh} {amount}" for name, amount in parts.items()),
        )
    )
    if funding.ending is not None:
        output.line(_ENDING[funding.ending])
    elif funding.is_overdue(on):
        output.line(Text("the last day is over; that alone is no fault", "最后期限已过；仅逾期不构成过错"))
    for line in funding.story():
        output.line(line)
