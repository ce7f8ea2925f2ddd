"""`dujiang policy`: what programmes there are, what they say, and what they pay for one purchase."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.policy.catalogue import shipped_programmes
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Answer, Evaluation, Status, evaluate
from dujiang.policy.programme import Base, Basis, Clause, Programme
from dujiang.policy.reader import did_you_mean
from dujiang.registry.book import Fact
from dujiang.store.read_facts import read_facts

OUTCOMES = {
    Outcome.MET: Text("met", "符合"),
    Outcome.NOT_MET: Text("not met", "不符合"),
    Outcome.UNKNOWN: Text("not known", "未知"),
}


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


@click.group("policy")
def command() -> None:
    """List programmes, show one with its clauses, or work out what they pay for one purchase."""


@command.command("list")
@JSON
@click.pass_obj
def list_command(output: Output, as_json: bool) -> None:
    """List the programmes of the catalogue, and why some are not computable."""
    output.json = as_json
    programmes = [entry.programme for entry in shipped_programmes().values()]
    if as_json:
        output.document({"programmes": [_listed(p) for p in programmes]})
        return
    columns = [
        (Text("id", "编号"), False),
        (Text("programme", "政策项目"), False),
        (Text("rate", "比例"), True),
        (Text("cap, CNY", "上限（元）"), True),
        (Text("budget, CNY", "预算（元）"), True),
        (Text("computable", "能否计算"), False),
    ]
    rows = []
    for p in programmes:
        reason = Text("yes", "可计算") if p.not_computable is None else p.not_computable
        rows.append(
            [
                p.id,
                output.say(p.name),
                "-" if p.rate is None else _percent(p.rate.share_ppm),
                "-" if p.cap is None else f"{p.cap.amount_ucny // MICRO:,}",
                "-" if p.budget is None else f"{p.budget.amount_ucny // MICRO:,}",
                output.say(reason),
            ]
        )
    output.table(Text("programmes of the catalogue", "政策目录"), columns, rows)


def _listed(p: Programme) -> dict[str, Any]:
    return {
        "id": p.id,
        "name": p.name.en,
        "name_zh": p.name.zh,
        "level": p.jurisdiction.level.value,
        "province": p.jurisdiction.province,
        "city": p.jurisdiction.city,
        "computable": p.not_computable is None,
        "reason": None if p.not_computable is None else p.not_computable.en,
        "reason_zh": None if p.not_computable is None else p.not_computable.zh,
    }


def _programme(key: str) -> Programme:
    known = shipped_programmes()
    if key not in known:
        expected = Text("the id of a programme, see `dujiang policy list`", "政策编号，见 dujiang policy list")
        raise InputError(
            [Problem("no-such-programme", "policy", None, None, shown(key), expected, did_you_mean(key, known))]
        )
    return known[key].programme


def _clause_line(output: Output, clause: Clause) -> str:
    text = f"“{clause.text}”" if clause.verbatim else clause.text
    kind = Text("quote", "原文") if clause.verbatim else Text("summary", "概述")
    return f"{text} ({output.say(kind)}; {clause.source}; {clause.quality.value})"


def _because(output: Output, p: Programme, basis: Basis) -> list[str]:
    lines = []
    if basis.clause is not None:
        lines.append("    " + _clause_line(output, p.clause(basis.clause)))
    if basis.assumption is not None:
        lines.append("    " + output.say(Text("assumed: ", "推定：")) + output.say(basis.assumption))
    return lines


@command.command("show")
@click.argument("programme_id")
@click.pass_obj
def show_command(output: Output, programme_id: str) -> None:
    """Show one programme: every rule, and under it the clause or the assumption on which it rests."""
    p = _programme(programme_id)
    lines = [f"{output.say(p.name)}  [{p.id}]", " ".join(x for x in (p.issuer, p.document, p.document_no) if x)]
    if p.not_computable is not None:
        lines.append(output.say(Text("not computable, because ", "不可计算：")) + output.say(p.not_computable))
    rules: list[tuple[str, Basis]] = [
        (
            output.say(Text(f"valid {p.valid.first} to {p.valid.last}", f"有效期 {p.valid.first} 至 {p.valid.last}")),
            p.valid.basis,
        )
    ]
    rules += [(output.say(c.text), c.basis) for c in p.conditions]
    if p.rate is not None:
        rules.append((output.say(Text("rate ", "比例 ")) + _percent(p.rate.share_ppm), p.rate.basis))
    for special in p.special_rates:
        when = "; ".join(output.say(c.text) for c in special.when)
        rules.append((output.say(Text("rate ", "比例 ")) + f"{_percent(special.share_ppm)}: {when}", special.basis))
    if p.cap is not None:
        rules.append(
            (output.say(Text("cap ", "上限 ")) + f"{cny(p.cap.amount_ucny)} CNY / {p.cap.per.value}", p.cap.basis)
        )
    if p.minimum is not None:
        rules.append((output.say(Text("least claim ", "最低 ")) + f"{cny(p.minimum.amount_ucny)} CNY", p.minimum.basis))
    if p.budget is not None:
        per = p.budget.period.value
        rules.append(
            (output.say(Text("budget ", "预算 ")) + f"{cny(p.budget.amount_ucny)} CNY / {per}", p.budget.basis)
        )
    if p.exclusion is not None:
        rules.append((output.say(Text("not counted: ", "不计入：")) + ", ".join(p.exclusion.items), p.exclusion.basis))
    if p.stacking is not None:
        higher = Text("of its group only the higher counts", "同组政策就高不重复")
        rules.append((f"{output.say(higher)} ({p.stacking.group})", p.stacking.basis))
    for text, basis in rules:
        lines.append(f"- {text}")
        lines += _because(output, p, basis)
    for line in lines:
        output.line(line)


def _day(ctx: click.Context, param: click.Parameter, value: datetime | None) -> date | None:
    return None if value is None else value.date()


def _base(p: Programme, facts: Mapping[str, Fact]) -> int | None:
    names = ("actual_ucny", "contract_ucny") if p.base is Base.ACTUAL else ("contract_ucny", "actual_ucny")
    for name in names:
        amount = facts.get(name)
        if isinstance(amount, int) and not isinstance(amount, bool):
            return amount
    return None


def _answer_document(answer: Answer) -> dict[str, Any]:
    found = answer.found
    return {
        "condition": answer.condition.text.en,
        "condition_zh": answer.condition.text.zh,
        "fact": answer.condition.fact,
        "found": found.isoformat() if isinstance(found, date) else found,
        "outcome": OUTCOMES[answer.outcome].en,
        "clause": None if answer.clause is None else answer.clause.text,
        "verbatim": None if answer.clause is None else answer.clause.verbatim,
    }


def _quote_document(p: Programme, e: Evaluation) -> dict[str, Any]:
    return {
        "programme_id": p.id,
        "name": p.name.en,
        "name_zh": p.name.zh,
        "status": e.status.value,
        "reason": e.reason.en,
        "reason_zh": e.reason.zh,
        "amount_cny": cny(e.amount_ucny),
        "share": e.share_ppm / MICRO,
        "binding": e.binding.value,
        "needs_facts": list(e.needs_facts),
        "conditions": [_answer_document(a) for a in e.answers],
        "clauses": [{"text": c.text, "verbatim": c.verbatim, "source": c.source} for c in e.clauses],
        "assumptions": [{"en": t.en, "zh": t.zh} for t in e.assumptions],
    }


@command.command("quote")
@click.option("--firm", type=click.Path(path_type=Path), required=True, help="firm.yaml: facts of the enterprise.")
@click.option("--spend", type=click.Path(path_type=Path), required=True, help="spend.yaml: facts of the purchase.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), callback=_day, help="Day; default: the spend's date.")
@JSON
@click.pass_obj
def quote_command(output: Output, firm: Path, spend: Path, day: date | None, as_json: bool) -> None:
    """Work out what each programme pays for one purchase, condition by condition. Programmes are not added up."""
    output.json = as_json
    problems = ProblemList()
    facts = {"via_exchange": False, "self_built": False, **read_facts(firm, problems), **read_facts(spend, problems)}
    if problems:
        raise InputError(problems)
    stated = facts.get("date")
    on = day or (stated if isinstance(stated, date) else datetime.now(UTC).astimezone(SHANGHAI).date())
    answers: list[tuple[Programme, Evaluation]] = []
    for entry in shipped_programmes().values():
        base = _base(entry.programme, facts)
        if base is None:
            expected = Text("contract_cny or actual_cny, an amount in yuan", "contract_cny 或 actual_cny（元）")
            raise InputError([Problem("missing-field", spend.name, None, "contract_cny", "nothing", expected)])
        answers.append((entry.programme, evaluate(entry.programme, facts, base, on=on)))
    answers.sort(key=lambda pair: (-pair[1].amount_ucny, pair[0].id))
    if as_json:
        output.document({"on": on.isoformat(), "programmes": [_quote_document(p, e) for p, e in answers]})
        return
    for p, e in answers:
        amount = f"{cny(e.amount_ucny)} CNY ({_percent(e.share_ppm)}; {e.binding.value})" if e.amount_ucny else ""
        output.line(f"{output.say(p.name)} [{p.id}]: {e.status.value}. {output.say(e.reason)} {amount}".rstrip())
        if e.status in (Status.OK, Status.UNKNOWN):
            for answer in e.answers:
                output.line(f"  - {output.say(answer.condition.text)}: {output.say(OUTCOMES[answer.outcome])}")
            for clause in e.clauses:
                output.line("    " + _clause_line(output, clause))
