"""`dujiang policy match`: what each level offers a firm, and what its next title would open."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, on_option, today
from dujiang.cli.policy.words import OUTCOME_MARKS, clause_document, fact_document, in_both, written
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.policy.condition import Outcome
from dujiang.policy.known_facts import words_for
from dujiang.policy.ladder import Stand, StepAnswer
from dujiang.policy.match import Clash, Match, Offered, Opened, match
from dujiang.policy.rules import LEVEL_WORDS, percent
from dujiang.policy.together import Hurdle
from dujiang.store.read_facts import read_facts

STAND_WORDS = {
    Stand.HELD: Text("held", "已取得"),
    Stand.PASSED: Text("below a title that is held", "已取得更高一级"),
    Stand.NOT_DEFINED: Text("named by the sources, not defined", "来源提及，未见认定条件"),
    Stand.NOT_YET: Text("not yet: a condition is not met", "尚不符合"),
    Stand.UNKNOWN: Text("not known: facts are missing", "信息不足"),
    Stand.OPEN: Text("met as far as it could be read", "已知条件均符合"),
    Stand.WITHIN_REACH: Text("within reach: it can apply", "可以申报"),
}


@click.command("match")
@click.option("--firm", type=FOLDER, required=True, help="firm.yaml: facts of the enterprise.")
@on_option("Day; default: today.")
@PROGRAMMES
@JSON
@click.pass_obj
def command(output: Output, firm: Path, day: date | None, folders: Sequence[Path], as_json: bool) -> None:
    """Show what nation, province and city offer a firm, what rules what out, and what its next title would open."""
    output.json = as_json
    problems = ProblemList()
    facts = read_facts(firm, problems)
    if problems:
        raise InputError(problems)
    on = day or today()
    merged = all_programmes(output, folders)
    found = match([entry.programme for entry in merged.on(on).values()], facts, on)
    if as_json:
        output.document(_document(found))
    else:
        _show(output, found)


def _document(found: Match) -> dict[str, Any]:
    return {
        "on": found.on.isoformat(),
        "levels": {level.value: [_offered_document(o) for o in offered] for level, offered in found.levels.items()},
        "not_together": [_clash_document(clash) for clash in found.clashes],
        "ladder": [_step_document(answer) for answer in found.ladder],
        "next_steps": [_opened_document(opened) for opened in found.next_steps],
    }


def _offered_document(offered: Offered) -> dict[str, Any]:
    p = offered.programme
    return {
        "programme_id": p.id,
        "name": p.name.en,
        "name_zh": p.name.zh,
        "computable": offered.computable,
        **in_both("reason", p.not_computable),
        "goods": list(p.goods),
        "needs": [fact_document(name) for name in offered.needs_facts],
    }


def _clash_document(clash: Clash) -> dict[str, Any]:
    return {
        "rule": clash.hurdle.value,
        "programmes": list(clash.programmes),
        "clause": clause_document(clash.bar.clause),
        **in_both("assumption", clash.bar.assumption),
    }


def _step_document(answer: StepAnswer) -> dict[str, Any]:
    step = answer.step
    return {
        "id": step.id,
        "name": step.name.en,
        "name_zh": step.name.zh,
        "track": step.track,
        "after": step.after,
        "level": None if step.level is None else step.level.value,
        "document": step.document,
        "stand": answer.stand.value,
        "is_next": answer.is_next,
        "conditions": [
            {"id": item.id, **in_both("condition", item.text), "outcome": outcome.word}
            for item, outcome in answer.outcomes
        ],
        "needs": [fact_document(name) for name in answer.needs_facts],
        **in_both("left_open", step.left_open),
    }


def _opened_document(opened: Opened) -> dict[str, Any]:
    return {
        "step": opened.step.id,
        "programmes": list(opened.programmes),
        "special_rates": [{"programme_id": key, "share": share / MICRO} for key, share in opened.special_rates],
    }


def _show(output: Output, found: Match) -> None:
    for level, offered in found.levels.items():
        columns = [
            (LEVEL_WORDS[level], False),
            (Text("programme", "政策项目"), False),
            (Text("state", "需补充"), False),
        ]
        rows = [[o.programme.id, output.say(o.programme.name), _needed(output, o)] for o in offered]
        output.table(
            Text(f"On the level of the {LEVEL_WORDS[level].en}", f"{LEVEL_WORDS[level].zh}级政策"), columns, rows
        )
        if not rows:
            output.line(Text("nothing that is known of", "暂无"))
        output.line("")
    for clash in found.clashes:
        ids = ", ".join(clash.programmes)
        if clash.hurdle is Hurdle.GROUP:
            output.line(Text(f"only the higher of {ids}, once", f"{ids}：就高不重复"))
        else:
            output.line(Text(f"not together: {ids}", f"不得同时享受：{ids}"))
    _show_ladder(output, found)


def _needed(output: Output, offered: Offered) -> str:
    if offered.programme.not_computable is not None:
        reason = offered.programme.not_computable
        return output.say(Text(f"not computable, because {reason.en}", f"不可计算：{reason.zh}"))
    return ", ".join(written(name) for name in offered.needs_facts)


def _show_ladder(output: Output, found: Match) -> None:
    columns = [
        (Text("title", "称号"), False),
        (Text("where the firm stands", "企业所处位置"), False),
        (Text("", ""), False),
    ]
    rows = []
    for answer in found.ladder:
        next_ = output.say(Text("next step", "下一步")) if answer.is_next else ""
        rows.append([output.say(answer.step.name), output.say(STAND_WORDS[answer.stand]), next_])
    output.line("")
    output.table(Text("The ladder of cultivation", "梯度培育"), columns, rows)
    answers = {answer.step.id: answer for answer in found.ladder}
    for opened in found.next_steps:
        output.line(Text(f"\nNext: {opened.step.name.en}", f"\n下一步：{opened.step.name.zh}"))
        for item, outcome in answers[opened.step.id].outcomes:
            if outcome is not Outcome.MET:
                output.line(f"  {OUTCOME_MARKS[outcome]} {output.say(item.text)}")
        for name in opened.needs_facts:
            output.line(f"    ? {written(name)}: {output.say(words_for(name))}")
        for key in opened.programmes:
            output.line(Text(f"  opens {key}", f"  可享受 {key}"))
        for key, share in opened.special_rates:
            output.line(Text(f"  opens {percent(share)} in {key}", f"  {key} 比例可至 {percent(share)}"))
        if not opened.programmes and not opened.special_rates:
            output.line(Text("  opens no programme of the catalogue by itself", "  目录中没有仅凭该称号即可享受的政策"))
