"""`dujiang screen`: firms by points with reasons, ownership flipped on every run, outcomes by size and age."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import polars as pl

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.errors import InputError
from dujiang.core.marked import Marked, read_yaml
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.text import Text
from dujiang.finance.parse_screening import parse_screening
from dujiang.finance.screening import (
    FEWEST,
    FOUR_FIFTHS,
    OWNERSHIP,
    Decision,
    Flip,
    Group,
    ScreeningRules,
    differences,
    neutrality,
    screen,
)
from dujiang.store.files import parquet_bytes, write_whole
from dujiang.store.read_document import read_document
from dujiang.store.read_firms import read_firms

MOST_LISTED = 1_000
"""Firms up to which `--json` holds each of them; more go to --out."""
_WORDS = {
    Decision.OFFER: Text("offer", "可授信"),
    Decision.REVIEW: Text("review", "人工复核"),
    Decision.ASK: Text("facts are missing", "待补充材料"),
    Decision.DECLINE: Text("decline", "不通过"),
}
_BY = {
    "size": Text("staff", "职工人数"),
    "age": Text("age, years", "成立年数"),
    "ownership": Text("ownership", "所有制"),
}


@click.command("screen")
@click.option("--firms", type=FOLDER, required=True, help="Table of firms with their facts, parquet or CSV.")
@click.option("--product", help="Use the shipped rules for this product of the catalogue.")
@click.option("--rules", "rules_file", type=FOLDER, help="Use these rules instead.")
@click.option("--ownership", multiple=True, help="A further column that says who owns a firm; repeatable.")
@click.option("--out", type=FOLDER, help="Write every firm's decision, points and reasons to this parquet file.")
@JSON
@click.pass_obj
def command(
    output: Output,
    firms: Path,
    product: str | None,
    rules_file: Path | None,
    ownership: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Screen firms by explainable points. Rules that mind who owns a firm are refused, with exit code 1."""
    output.json = as_json
    if (product is None) == (rules_file is None):
        raise click.UsageError("name --product or --rules, one of them")
    rules = _shipped(product) if product is not None else _own(rules_file)
    problems = ProblemList()
    table = read_firms(firms, rules.facts, problems)
    if problems:
        raise InputError(problems)
    assert table is not None
    screened = screen(table, rules)
    flips = neutrality(table, rules, screened, (*OWNERSHIP, *ownership))
    _refuse_partial(rules, flips, rules_file)
    groups = differences(table, screened)
    if out is not None:
        write_whole(out, parquet_bytes(screened))
    if as_json:
        output.document(_document(rules, screened, flips, groups))
        return
    _show(output, rules, screened, flips, groups)
    if out is not None:
        output.line(Text(f"every firm in {out}", f"逐企业结果见 {out}"))


def shipped_rules() -> dict[str, ScreeningRules]:
    """Return the rules that come with the package, by id."""
    found = {}
    for path in sorted(files("dujiang.catalog").joinpath("screening").iterdir(), key=lambda p: p.name):
        doc, _ = read_yaml(path.name, path.read_text(encoding="utf-8"))
        assert doc is not None
        rules, problems = parse_screening(doc)
        assert rules is not None, [p.say() for p in problems]
        found[rules.id] = rules
    return found


def _shipped(product: str) -> ScreeningRules:
    for rules in shipped_rules().values():
        if product in rules.products:
            return rules
    known = ", ".join(sorted({p for rules in shipped_rules().values() for p in rules.products}))
    expected = Text(f"a product with shipped rules: {known}", f"有内置规则的产品：{known}")
    fix = Text("write rules of your own for it and name them with --rules", "请自行编写规则并用 --rules 指定")
    raise InputError([Problem("no-such-product", "--product", None, None, product[:80], expected, fix)])


def _own(path: Path | None) -> ScreeningRules:
    assert path is not None
    problems = ProblemList()
    doc: Marked | None = read_document(path, problems)
    rules, found = (None, []) if doc is None else parse_screening(doc)
    problems.extend(found)
    if problems:
        raise InputError(problems)
    assert rules is not None
    return rules


def _refuse_partial(rules: ScreeningRules, flips: Sequence[Flip], path: Path | None) -> None:
    """Refuse rules under which a firm's owner changes what becomes of it."""
    where = rules.id if path is None else path.name
    expected = Text("rules that do not mind who owns a firm", "与企业所有制无关的规则")
    problems = ProblemList()
    for fact in dict.fromkeys(flip.fact for flip in flips):
        own = [flip for flip in flips if flip.fact == fact]
        decisions, points = max(f.decisions for f in own), max(f.points for f in own)
        # Asked at all is enough: firms of another table would be hit by it.
        if decisions or points or fact in rules.facts:
            found = f"flipping {fact} changes {decisions} decisions and {points} scores"
            problems.add(Problem("not-neutral", where, None, fact, found, expected))
    if problems:
        raise InputError(problems)


def _counts(screened: pl.DataFrame) -> dict[str, int]:
    counts = dict(screened.group_by("decision").len().iter_rows())
    return {decision.value: int(counts.get(decision.value, 0)) for decision in Decision}


def _reason_counts(screened: pl.DataFrame) -> list[tuple[str, int]]:
    """Return how often each reason stands beside a firm that gets no offer, the most frequent first."""
    refused = screened.filter(pl.col("decision") != Decision.OFFER.value)["reasons"].explode(empty_as_null=False)
    table = pl.DataFrame({"reason": refused}).drop_nulls().group_by("reason").len()
    return [(str(r), int(n)) for r, n in table.sort(["len", "reason"], descending=[True, False]).iter_rows()]


def _document(
    rules: ScreeningRules, screened: pl.DataFrame, flips: Sequence[Flip], groups: Sequence[Group]
) -> dict[str, Any]:
    listed = screened.height <= MOST_LISTED
    return {
        "ok": True,
        "rules": rules.id,
        "name": rules.name.en,
        "name_zh": rules.name.zh,
        "firms": screened.height,
        "decisions": _counts(screened),
        "points": {"most": rules.most, "offer": rules.offer, "review": rules.review},
        "criteria": [
            {"id": c.id, "fact": c.fact, "points": c.points, "text": c.text.en, "text_zh": c.text.zh}
            for c in rules.criteria
        ],
        "gates": [
            {"id": g.id, "fact": g.fact, "is": g.wanted, "text": g.text.en, "text_zh": g.text.zh} for g in rules.gates
        ],
        "reasons": [{"reason": reason, "firms": count} for reason, count in _reason_counts(screened)],
        "neutrality": {
            "neutral": True,
            "flips": [{"fact": f.fact, "value": f.value, "decisions": f.decisions, "points": f.points} for f in flips],
        },
        "differences": {
            "favourable": "offer or review",
            "fewest": FEWEST,
            "threshold": FOUR_FIFTHS,
            "groups": [
                {
                    "by": g.by,
                    "group": g.name,
                    "firms": g.firms,
                    "selected": round(g.selected, 6),
                    "ratio": None if g.ratio is None else round(g.ratio, 6),
                    "marked": g.marked,
                }
                for g in groups
            ],
        },
        "results": screened.to_dicts() if listed else None,
        "sources": list(rules.sources),
        "assumptions": [{"en": text.en, "zh": text.zh} for text in rules.assumptions],
    }


def _show(
    output: Output, rules: ScreeningRules, screened: pl.DataFrame, flips: Sequence[Flip], groups: Sequence[Group]
) -> None:
    counts = _counts(screened)
    rows = [
        [output.say(_WORDS[decision]), f"{counts[decision.value]:,}", _percent(counts[decision.value], screened.height)]
        for decision in Decision
    ]
    columns = ((Text("decision", "结论"), False), (Text("firms", "企业数"), True), (Text("share", "占比"), True))
    output.table(rules.name, columns, rows)
    reasons = [[reason, f"{count:,}"] for reason, count in _reason_counts(screened)]
    if reasons:
        named = ((Text("reason (criterion:why)", "原因（指标:情形）"), False), columns[1])
        output.table(Text("why there is no offer", "未获授信的原因"), named, reasons)
    headings = (
        (Text("group", "分组"), False),
        columns[1],
        (Text("offer or review", "可授信或复核"), True),
        (Text("of the best group", "相对最高组"), True),
        (Text("mark", "标记"), False),
    )
    table = [
        [
            f"{output.say(_BY[g.by])}: {g.name}",
            f"{g.firms:,}",
            f"{g.selected:.1%}",
            "-" if g.ratio is None else f"{g.ratio:.2f}",
            output.say(_mark(g)),
        ]
        for g in groups
    ]
    if table:
        output.table(Text("differences between groups", "分组差异"), headings, table)
    output.line(
        Text(
            f"ownership: {len(flips)} flips of {len({f.fact for f in flips})} facts change no decision and no point",
            f"所有制：对 {len({f.fact for f in flips})} 项事实做 {len(flips)} 次翻转，结论与分值均无变化",
        )
    )
    for source in rules.sources:
        output.line(Text(f"source: {source}", f"来源：{source}"))
    for text in rules.assumptions:
        output.line(Text(f"assumed: {text.en}", f"假设：{text.zh}"))


def _mark(group: Group) -> Text:
    if group.marked:
        return Text("below four fifths", "低于五分之四")
    return Text("too few to say", "样本过少") if group.firms < FEWEST else Text("", "")


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
