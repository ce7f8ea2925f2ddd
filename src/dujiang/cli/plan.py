"""`dujiang plan`: what a workload needs, where, at what price, and who pays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dujiang.cli.effort import coupling_option
from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes
from dujiang.core.errors import InputError
from dujiang.core.money import MICRO, cny
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.exchange.planning import plan_request
from dujiang.finance.estimate import Origin
from dujiang.market.outcome import Coupling
from dujiang.reports.plan import plan_page
from dujiang.store.files import json_bytes, write_all
from dujiang.store.read_products import read_products
from dujiang.store.read_request import CASES

ORIGINS = {
    Origin.REQUEST: Text("request", "申请"),
    Origin.QUOTE: Text("quote", "报价"),
    Origin.CLAUSE: Text("clause", "条款"),
    Origin.FORMULA: Text("formula", "公式"),
    Origin.CATALOGUE: Text("catalogue", "目录"),
    Origin.ASSUMPTION: Text("assumption", "假设"),
}
_ENDS = ((Text("low", "低"), True), (Text("expected", "预期"), True), (Text("high", "高"), True))
_FIGURES = ((Text("figure", "数值"), False), *_ENDS, (Text("from", "来源"), False))
_LINES = ((Text("CNY", "金额（元）"), False), *_ENDS, (Text("from", "来源"), False))
_POOLS = (
    (Text("pool", "资源池"), False),
    (Text("accelerator", "加速卡"), False),
    (Text("region", "区域"), False),
    (Text("GPU-hours", "卡时"), True),
    (Text("begins (UTC)", "开始（协调世界时）"), False),
    (Text("slots", "时段数"), True),
    (Text("quote, CNY", "报价（元）"), True),
    (Text("support", "支持"), True),
    (Text("to be paid", "需付"), True),
)
_MOST_POOLS = 10
"""Pools shown to people; the document has all."""


@click.command("plan")
@click.argument("request", type=FOLDER)
@click.option("--book", type=FOLDER, required=True, help="Folder of the book whose pools are asked.")
@click.option("--prices", type=FOLDER, required=True, help="Folder of its result, or of an earlier round's.")
@click.option("--firm", type=FOLDER, help="firm.yaml: facts of the enterprise.")
@PROGRAMMES
@coupling_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for request.json and, if it is funded, plan.json and plan.html.",
)
@JSON
@click.pass_obj
def command(output: Output, /, request: Path, folders: Sequence[Path], as_json: bool, **options: Any) -> None:
    """Answer one question: what does a workload need, where, at what price, and who pays?

    Each figure says where it comes from. Nothing is reserved. Exit code 0 as well where no pool can serve it.
    """
    output.json = as_json
    problems = ProblemList()
    products = read_products(None, problems)
    if problems:
        raise InputError(problems)
    document = plan_request(
        options["book"],
        options["prices"],
        request,
        all_programmes(output, folders),
        products,
        firm=options["firm"],
        coupling=Coupling(options["coupling"]),
    )
    if options["out"] is not None:
        write_all(options["out"], _files(document, output))
    if as_json:
        output.document(document)
    else:
        _show(output, document)


def _files(document: dict[str, Any], output: Output) -> dict[str, bytes]:
    """Return the files of `--out`, the whole answer last."""
    files = {}
    if document["funding"] is not None:
        files["plan.html"] = plan_page(document["funding"], output.lang).encode()
        files["plan.json"] = json_bytes(document["funding"])
    return {**files, "request.json": json_bytes(document)}


def _show(output: Output, document: dict[str, Any]) -> None:
    rows = [
        [row["id"], *(f"{row[case]:,}" for case in CASES), output.say(ORIGINS[Origin(row["origin"])])]
        for row in document["figures"]
    ]
    output.table(Text("what is needed", "需要什么"), _FIGURES, rows)
    _show_origins(output, document["figures"])
    if document["pools"]:
        output.table(Text("where, least to be paid first", "在哪里（由低到高）"), _POOLS, _pool_rows(document["pools"]))
    else:
        output.line(Text("no pool can serve the request", "没有资源池可承接该申请"))
    more = len(document["pools"]) - _MOST_POOLS
    if more > 0:
        output.line(Text(f"  {more} more pools; --json has them all", f"  另有 {more} 个资源池，见 --json"))
    for row in document["left_out"][:_MOST_POOLS]:
        output.line(Text(f"  not {row['pool_id']}: {row['reason']}", f"  不含 {row['pool_id']}：{row['reason_zh']}"))
    lines = [
        [
            *(_both(output, row, "name"), *(_money(row[f"{case}_cny"]) for case in CASES)),
            output.say(ORIGINS[Origin(row["origin"])]),
        ]
        for row in document["lines"]
    ]
    if lines:
        output.table(Text("at what price, and who pays", "价格与承担"), _LINES, lines)
    for row in document["lines"]:
        output.line(f"  {_both(output, row, 'name')}: {_both(output, row, 'source')}")
        _show_origins(output, row.get("figures", ()))
    for row in document["not_estimated"]:
        output.line(Text(f"  {row['kind']}: {row['reason']}", f"  {row['kind']}：{row['reason_zh']}"))
    for row in document["would_pay_if"]:
        facts, most = ", ".join(row["needs_facts"]), _money(row["would_pay_cny"])
        output.line(
            Text(
                f"  {row['name']} would pay {most} CNY if it fits; state {facts}",
                f"  {row['name_zh']}：补充 {facts} 且符合条件可得 {most} 元",
            )
        )
    output.line(
        Text(
            "the ends of a sum take all low or all high ends at once; support as the clauses have it, whether the"
            " budget lasts is decided by the round; nothing is reserved",
            "合计的两端由各项同取低端或高端得出；支持按条款计算，预算是否充足以轮次为准；不构成预留",
        )
    )
    _show_funding(output, document)


def _show_origins(output: Output, figures: Sequence[dict[str, Any]]) -> None:
    """Show where the figures of a formula come from."""
    for row in figures:
        middle = Text("; expected is the middle", "；预期取中值") if row["expected_is_middle"] else Text("", "")
        origin = output.say(ORIGINS[Origin(row["origin"])])
        output.line(f"    {row['id']}, {origin}: {_both(output, row, 'source')}{output.say(middle)}")


def _pool_rows(pools: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            *(pool[name] for name in ("pool_id", "accelerator", "region")),
            f"{pool['gpu_hours']['expected']:,.0f}",
            pool["quotes"]["expected"]["begins"],
            str(pool["quotes"]["expected"]["slots"]),
            _money(pool["quotes"]["expected"]["gross_cny"] + pool["quotes"]["expected"]["transfer_cny"]),
            _money(pool["support_cny"]),
            _money(pool["net_cny"]),
        ]
        for pool in pools[:_MOST_POOLS]
    ]


def _show_funding(output: Output, document: dict[str, Any]) -> None:
    plan = document["funding"]
    if document["funded_case"] is None:
        return
    case = _ENDS[CASES.index(document["funded_case"])][0]
    if plan is None:
        output.line(
            Text(
                f"funding ({case.en}): not planned, for want of a price for all of it",
                f"融资（{case.zh}）：未规划，部分需求尚无价格",
            )
        )
        return
    if not plan["feasible"]:
        lack = plan["shortfall"]
        if lack is None:
            output.line(Text("funding: no plan", "融资：无可行方案"))
            return
        missing = _money(lack["missing_cny"])
        output.line(
            Text(
                f"funding ({case.en}): no plan; {missing} CNY are missing, {lack['month']} fails first: {lack['says']}",
                f"融资（{case.zh}）：无可行方案；缺 {missing} 元，{lack['month']} 首先断裂：{lack['says_zh']}",
            )
        )
        return
    names = {item["id"]: _both(output, item, "name") for item in plan["instruments"]}
    used = ", ".join(names[key] for key in plan["used"]) or "-"
    cost = _money(plan["cost_of_capital"]["present_value_cny"])
    output.line(
        Text(
            f"funding ({case.en}), support arriving as late as it does: {used}; present value of the cost {cost} CNY",
            f"融资（{case.zh}，支持按到账时间计）：{used}；成本现值 {cost} 元",
        )
    )
    assumed = sorted({f"{r['subject']}.{r['term']}" for r in plan["assumptions"] if r["term"]} & _counted(plan))
    if assumed:
        listed = ", ".join(assumed)
        output.line(Text(f"assumptions, not facts: {listed}", f"以下为假设，并非事实：{listed}"))


def _counted(plan: dict[str, Any]) -> set[str]:
    """Return the assumptions that the plan rests on: its own and those of what it uses."""
    subjects = {"project", *plan["used"]}
    return {f"{r['subject']}.{r['term']}" for r in plan["assumptions"] if r["subject"] in subjects}


def _both(output: Output, row: dict[str, Any], name: str) -> str:
    return output.say(Text(row[name], row[f"{name}_zh"]))


def _money(yuan: float | None) -> str:
    if yuan is None:
        return "-"
    sign, rest = ("-", -yuan) if yuan < 0 else ("", yuan)
    whole, _, places = cny(round(rest * MICRO)).partition(".")
    return f"{sign}{int(whole):,}.{places}"
