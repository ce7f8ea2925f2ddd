"""`dujiang policy quote`: what every programme pays for one purchase, and the best lawful stack of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, on_option, today
from dujiang.cli.policy.words import (
    BINDING_WORDS,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    clause_document,
    clause_words,
    fact_document,
    in_both,
    said_value,
    written,
    written_value,
)
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny, cny_grouped
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.evaluate import Answer, AnyAnswer, GroupAnswer, Status, single_answers
from dujiang.policy.known_facts import words_for
from dujiang.policy.programme import Programme
from dujiang.policy.quote import Answered, Quote, quote, unasked, unusual, with_relation
from dujiang.policy.rules import percent, place_words
from dujiang.policy.selection import Search
from dujiang.policy.stack import GivenUp, Obstacle, Stack
from dujiang.registry.book import Fact
from dujiang.store.read_claims import read_claims
from dujiang.store.read_facts import read_facts
from dujiang.store.read_ownership import read_ownership


@click.command("quote")
@click.option("--firm", type=FOLDER, required=True, help="firm.yaml: facts of the enterprise.")
@click.option("--spend", type=FOLDER, required=True, help="spend.yaml: facts of the purchase.")
@on_option("Day of the purchase; default: the spend's date, else today.")
@click.option(
    "--claims", "claims_file", type=FOLDER, help="claims.csv: what was claimed before, by this firm and others."
)
@click.option("--ownership", "ownership_file", type=FOLDER, help="ownership.csv: who holds what; says who is related.")
@PROGRAMMES
@JSON
@click.pass_obj
def command(
    output: Output,
    firm: Path,
    spend: Path,
    day: date | None,
    claims_file: Path | None,
    ownership_file: Path | None,
    folders: Sequence[Path],
    as_json: bool,
) -> None:
    """Work out what each programme pays for one purchase, condition by condition, and which go together best."""
    output.json = as_json
    problems = ProblemList()
    facts = _facts(firm, spend, problems)
    claims = None if claims_file is None else read_claims(claims_file, problems)
    ownership = None if ownership_file is None else read_ownership(ownership_file, problems)
    if claims_file is not None and "enterprise_id" not in facts:
        expected = Text("an id, to find the firm's own claims", "编号，以便查找本企业的申领记录")
        problems.add(Problem("missing-field", firm.name, None, "enterprise_id", "nothing", expected))
    if problems:
        raise InputError(problems)
    merged = all_programmes(output, folders)
    remarks: list[Text] = []
    relation = None
    if ownership is not None:
        facts, relation, doubts = with_relation(facts, ownership)
        remarks += [Text(doubt.say("en"), doubt.say("zh")) for doubt in doubts]
    stated = facts.get("date")
    on = day or (stated if isinstance(stated, date) else today())
    programmes = [entry.programme for entry in merged.on(on).values()]
    remarks += [*unasked(facts, programmes).values(), *unusual(facts, programmes)]
    found = quote(programmes, facts, on=on, claims=claims, relation=relation)
    if as_json:
        output.document(_document(found, remarks))
        return
    for remark in remarks:
        output.note(remark)
    _show(output, found)


def _facts(firm: Path, spend: Path, problems: ProblemList) -> dict[str, Fact]:
    """Read both files; a fact that they state differently is a problem."""
    of_firm, of_spend = read_facts(firm, problems), read_facts(spend, problems)
    for name in sorted(of_firm.keys() & of_spend.keys()):
        if of_firm[name] != of_spend[name]:
            value = of_firm[name]
            expected = Text(
                f"{value}, as in {firm.name}, or only one of the two", f"与 {firm.name} 一致（{value}），或只写一处"
            )
            problems.add(
                Problem("contradictory-fact", spend.name, None, written(name), shown(of_spend[name]), expected)
            )
    return {**of_firm, **of_spend}


# For programs


def _document(found: Quote, remarks: Sequence[Text]) -> dict[str, Any]:
    relation = found.relation
    return {
        "on": found.on.isoformat(),
        "remarks": [{"en": remark.en, "zh": remark.zh} for remark in remarks],
        "related_party": None if relation is None else {"en": relation.text.en, "zh": relation.text.zh},
        "programmes": [_answered_document(answer) for answer in found.answers],
        "stack": _stack_document(found.stack),
    }


def _answered_document(answer: Answered) -> dict[str, Any]:
    p, e = answer.programme, answer.evaluation
    return {
        "programme_id": p.id,
        "name": p.name.en,
        "name_zh": p.name.zh,
        "version": p.version.isoformat(),
        "status": e.status.value,
        **in_both("reason", e.reason),
        "amount_cny": cny(e.amount_ucny),
        "would_pay_cny": cny(e.would_pay_ucny),
        "base_cny": None if e.base_ucny is None else cny(e.base_ucny),
        "counted_cny": None if e.counted_ucny is None else cny(e.counted_ucny),
        "share": None if e.share_ppm is None else e.share_ppm / MICRO,
        "binding": e.binding.value,
        "binding_clause": clause_document(e.binding_clause),
        "steps": [
            {"rule": s.rule.value, **in_both("text", s.text), "cny": cny(s.ucny), "clause": clause_document(s.clause)}
            for s in e.steps
        ],
        "needs_facts": [written(name) for name in e.needs_facts],
        "would_be_eligible_if": [fact_document(name) for name in e.needs_facts],
        "would_raise": [fact_document(name) for name in e.would_raise],
        "conditions": [_condition_document(a) for a in e.answers],
        "special_rates": [
            {
                "share": s.share_ppm / MICRO,
                "outcome": s.outcome.word,
                "applies": s.applies,
                "conditions": [_condition_document(a) for a in s.answers],
            }
            for s in e.special
        ],
        "clauses": [clause_document(c) for c in e.clauses],
        "assumptions": [{"en": t.en, "zh": t.zh} for t in e.assumptions],
    }


def _condition_document(answer: AnyAnswer) -> dict[str, Any]:
    if isinstance(answer, GroupAnswer):
        return {
            "id": answer.group.id,
            **in_both("condition", answer.group.text),
            "outcome": answer.outcome.word,
            "how": answer.group.how.value,
            "conditions": [_condition_document(a) for a in answer.answers],
        }
    c = answer.condition
    return {
        "id": c.id,
        **in_both("condition", c.text),
        "fact": written(c.fact),
        "found": written_value(c.fact, answer.found),
        "outcome": answer.outcome.word,
        "clause": clause_document(answer.clause),
        **in_both("assumption", c.basis.assumption),
    }


def _stack_document(stack: Stack) -> dict[str, Any]:
    return {
        "chosen": [
            {
                "programme_id": c.programme_id,
                "amount_cny": cny(c.amount_ucny),
                "alone_cny": cny(c.alone_ucny),
                "binding": c.binding.value,
            }
            for c in stack.chosen
        ],
        "total_cny": cny(stack.total_ucny),
        "spend_cny": None if stack.spend_ucny is None else cny(stack.spend_ucny),
        "at_most_cny": cny(stack.at_most_ucny),
        "search": stack.search.value,
        "given_up": [
            {
                "programme_id": g.programme_id,
                "alone_cny": cny(g.alone_ucny),
                "because": [_obstacle_document(o) for o in g.obstacles],
            }
            for g in stack.given_up
        ],
    }


def _obstacle_document(obstacle: Obstacle) -> dict[str, Any]:
    return {
        "rule": obstacle.hurdle.value,
        "against": list(obstacle.against),
        **in_both("text", obstacle.text),
        "clause": clause_document(obstacle.clause),
        **in_both("assumption", obstacle.assumption),
    }


# For people


def _show(output: Output, found: Quote) -> None:
    of_status: dict[Status, list[Answered]] = {}
    for answer in found.answers:
        of_status.setdefault(answer.evaluation.status, []).append(answer)
    output.line(Text(f"As of {found.on}", f"{found.on}"))
    if found.relation is not None:
        said = found.relation.text
        output.line(Text(f"Related parties: {said.en}", f"关联方：{said.zh}"))
    for answer in of_status.get(Status.OK, ()):
        _show_paying(output, answer)
    if not of_status.get(Status.OK):
        output.line(Text("\nNo programme pays for this as it stands.", "\n按现有信息，没有可享受的政策。"))
    _show_stack(output, found)
    _show_open(output, of_status.get(Status.UNKNOWN, ()))
    rest = [a for status, answers in of_status.items() if status not in (Status.OK, Status.UNKNOWN) for a in answers]
    _show_rest(output, rest)


def _heading(output: Output, p: Programme) -> str:
    return f"{output.say(p.name)}  [{p.id}; {output.say(place_words(p.jurisdiction))}]"


def _show_paying(output: Output, answer: Answered) -> None:
    p, e = answer.programme, answer.evaluation
    output.line(f"\n{_heading(output, p)}")
    output.line(
        Text(
            f"  {cny_grouped(e.amount_ucny)} CNY, set by {BINDING_WORDS[e.binding].en}",
            f"  {cny_grouped(e.amount_ucny)} 元，由{BINDING_WORDS[e.binding].zh}决定",
        )
    )
    for step in e.steps:
        output.line(f"    {cny_grouped(step.ucny):>20}  {output.say(step.text)}")
    for line in _conditions(output, e.answers, 2):
        output.line(line)
    for special in e.special:
        share = percent(special.share_ppm)
        case = output.say(Text(f"special rate {share}", f"特别比例 {share}"))
        output.line(f"    {OUTCOME_MARKS[special.outcome]} {case}")
        for line in _conditions(output, special.answers, 3):
            output.line(line)
    for name in e.would_raise:
        words = words_for(name)
        said = Text(
            f"might pay more: state {written(name)} ({words.en})", f"或可提高：请补充 {written(name)}（{words.zh}）"
        )
        output.line(f"  {output.say(said)}")
    for clause in e.clauses:
        output.line(f"    {output.say(clause_words(clause))}")
    for assumption in e.assumptions:
        output.line(f"    {output.say(Text('assumed: ', '推定：'))}{output.say(assumption)}")


def _conditions(output: Output, answers: Sequence[AnyAnswer], depth: int) -> Iterator[str]:
    for answer in answers:
        mark, indent = OUTCOME_MARKS[answer.outcome], "  " * depth
        if isinstance(answer, Answer):
            yield f"{indent}{mark} {output.say(answer.condition.text)} ({_found(output, answer)})"
        else:
            yield f"{indent}{mark} {output.say(answer.group.text)}"
            yield from _conditions(output, answer.answers, depth + 1)


def _found(output: Output, answer: Answer) -> str:
    """Return a fact as it was found, in brackets behind its condition."""
    fact = answer.condition.fact
    value = OUTCOME_WORDS[Outcome.UNKNOWN] if answer.found is None else said_value(fact, answer.found)
    return f"{written(fact)}: {output.say(value)}"


def _show_stack(output: Output, found: Quote) -> None:
    stack, names = found.stack, {a.programme.id: a.programme for a in found.answers}
    if not stack.chosen and not stack.given_up:
        return
    columns = [
        (Text("id", "编号"), False),
        (Text("together", "可同时享受"), False),
        (Text("CNY", "金额（元）"), True),
        (Text("alone", "单独享受（元）"), True),
        (Text("set by", "决定因素"), False),
    ]
    rows = [
        [
            c.programme_id,
            output.say(names[c.programme_id].name),
            cny_grouped(c.amount_ucny),
            cny_grouped(c.alone_ucny),
            output.say(BINDING_WORDS[c.binding]),
        ]
        for c in stack.chosen
    ]
    output.line("")
    output.table(Text("The best lawful stack", "最优合规组合"), columns, rows)
    spend = "" if stack.spend_ucny is None else cny_grouped(stack.spend_ucny)
    output.line(
        Text(
            f"total {cny_grouped(stack.total_ucny)} CNY" + (f" of {spend} CNY spent" if spend else ""),
            f"合计 {cny_grouped(stack.total_ucny)} 元" + (f"（支出 {spend} 元）" if spend else ""),
        )
    )
    if stack.search is Search.CUT_SHORT:
        most = cny_grouped(stack.at_most_ucny)
        output.line(
            Text(
                f"The search was cut short: a better stack may exist, none above {most} CNY.",
                f"搜索提前结束：可能存在更优组合，但不超过 {most} 元。",
            )
        )
    for given_up in stack.given_up:
        _show_given_up(output, given_up, names)


def _show_given_up(output: Output, given_up: GivenUp, names: Mapping[str, Programme]) -> None:
    name = f"{output.say(names[given_up.programme_id].name)} [{given_up.programme_id}]"
    alone = cny_grouped(given_up.alone_ucny)
    output.line(Text(f"given up: {name}, {alone} CNY", f"放弃：{name}，{alone} 元"))
    for obstacle in given_up.obstacles:
        output.line(f"    {output.say(obstacle.text)}")
        if obstacle.clause is not None:
            output.line(f"      {output.say(clause_words(obstacle.clause))}")
        if obstacle.assumption is not None:
            output.line(f"      {output.say(Text('assumed: ', '推定：'))}{output.say(obstacle.assumption)}")


def _show_open(output: Output, answers: Sequence[Answered]) -> None:
    if not answers:
        return
    output.line(Text("\nWould be eligible if the following were stated and fits", "\n补充下列信息且符合条件即可享受"))
    for answer in answers:
        p, e = answer.programme, answer.evaluation
        most = ""
        if e.would_pay_ucny:
            most = output.say(Text(f": {cny_grouped(e.would_pay_ucny)} CNY", f"：{cny_grouped(e.would_pay_ucny)} 元"))
        output.line(f"  {_heading(output, p)}{most}")
        for name in e.needs_facts:
            output.line(f"    ? {written(name)}: {output.say(words_for(name))}")


def _show_rest(output: Output, answers: Sequence[Answered]) -> None:
    """Show what does not pay: what is for this good one by one, the rest by name."""
    for_other_goods = [a for a in answers if _is_other_good(a)]
    not_computable = [a for a in answers if a.evaluation.status is Status.NOT_COMPUTABLE and not _is_other_good(a)]
    told = [a for a in answers if a not in for_other_goods and a not in not_computable]
    if told:
        columns = [(Text("id", "编号"), False), (Text("status", "状态"), False), (Text("why", "原因"), False)]
        rows = [[a.programme.id, output.say(STATUS_WORDS[a.evaluation.status]), _why(output, a)] for a in told]
        output.line("")
        output.table(Text("Others for this good", "同一标的的其余政策"), columns, rows)
    if not_computable:
        ids = ", ".join(a.programme.id for a in not_computable)
        said = Text("Not computable; `dujiang policy show ID` says why", "不可计算，原因见 dujiang policy show 编号")
        output.line(Text(f"\n{said.en}: {ids}", f"\n{said.zh}：{ids}"))
    if for_other_goods:
        count = len(for_other_goods)
        output.line(Text(f"\n{count} programmes are for other goods.", f"\n另有 {count} 项政策支持其他标的。"))


def _is_other_good(answer: Answered) -> bool:
    return answer.evaluation.answers[0].outcome is Outcome.NOT_MET


def _why(output: Output, answer: Answered) -> str:
    """Say every condition that is not met, or else the status."""
    e = answer.evaluation
    if e.status is not Status.INELIGIBLE or not e.in_the_way:
        return output.say(e.reason)
    found = {id(a.condition): f" ({_found(output, a)})" for a in single_answers(e.answers)}
    said = "; ".join(output.say(item.text) + found.get(id(item), "") for item in e.in_the_way)
    return output.say(Text(f"not met: {said}", f"不满足：{said}"))
