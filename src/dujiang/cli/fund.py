"""`dujiang fund`: the cheapest lawful way to pay for a project, or by how much money there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes
from dujiang.cli.products import list_products
from dujiang.core.errors import InputError, OperationError
from dujiang.core.money import MICRO, cny_grouped
from dujiang.core.problem import Problem, ProblemList, shown
from dujiang.core.text import Text
from dujiang.finance.candidates import SUPPORT, Offers, candidates, unknown_ids
from dujiang.finance.funding import fund
from dujiang.finance.plan_document import plan_document
from dujiang.finance.product import NO_OWN_TERMS
from dujiang.finance.project import Objective
from dujiang.registry.book import Fact
from dujiang.reports.plan import plan_page
from dujiang.store.files import json_bytes, write_all
from dujiang.store.read_facts import read_facts
from dujiang.store.read_products import read_own_terms, read_products
from dujiang.store.read_project import ProjectFile, read_project

_SHOWN_INSTRUMENTS = (
    (Text("instrument", "工具"), False),
    (Text("brings, CNY", "资金（元）"), True),
    (Text("interest", "利息"), True),
    (Text("fees", "费用"), True),
    (Text("present value of cost", "成本现值"), True),
    (Text("a year", "年化"), True),
)


@click.command("fund")
@click.argument("project", type=FOLDER, required=False)
@click.option("--firm", type=FOLDER, help="firm.yaml: facts of the enterprise.")
@click.option(
    "--objective",
    type=click.Choice([o.value for o in Objective]),
    default=Objective.CHEAPEST.value,
    show_default=True,
    help="What the best plan is.",
)
@click.option("--terms", type=FOLDER, help="A bank's, a fund's or an office's own terms, in the place of examples.")
@click.option("--products", "folder", type=FOLDER, help="Folder of products of your own, laid over the catalogue.")
@PROGRAMMES
@click.option("--without", multiple=True, metavar="ID", help="Do without an instrument; may be given several times.")
@click.option("--no-support", is_flag=True, help="Plan as if there were no programmes.")
@click.option("--plan-only", is_flag=True, help="No alternatives and no shocks: one solve.")
@click.option("--list", "listing", is_flag=True, help="List the products of the catalogue and stop.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for plan.json and the page plan.html."
)
@JSON
@click.pass_obj
def command(output: Output, /, project: Path | None, folders: Sequence[Path], listing: bool, **options: Any) -> None:
    """Plan how a project is best funded, month by month, and what that costs.

    Exit code 0 as well where there is no plan: then the answer is which month fails first, and by how much money.
    """
    output.json = options["as_json"]
    problems = ProblemList()
    products = read_products(options["folder"], problems)
    if listing:
        if problems:
            raise InputError(problems)
        list_products(output, products.values())
        return
    if project is None:
        raise click.UsageError("Missing argument 'PROJECT'.")
    read = read_project(project, problems)
    start = None if read is None else read.project.start
    found = {} if options["no_support"] else all_programmes(output, folders).on(start)
    programmes = {key: entry.programme for key, entry in found.items()}
    terms = options["terms"]
    own = NO_OWN_TERMS if terms is None else read_own_terms(terms, products, programmes, problems)
    facts: dict[str, Fact] = {} if options["firm"] is None else read_facts(options["firm"], problems)
    offers = Offers(products, programmes, own)
    if read is not None and not options["no_support"]:
        problems.extend(_unknown(read, offers))
    if problems or read is None:
        raise InputError(problems)
    document = _planned(output, read, facts, offers, options)
    if options["out"] is not None:
        page = plan_page(document, output.lang).encode()
        write_all(options["out"], {"plan.html": page, "plan.json": json_bytes(document)})
    if output.json:
        output.document(document)
    else:
        _show(output, document)


def _unknown(read: ProjectFile, offers: Offers) -> list[Problem]:
    expected = Text(
        "a product (`dujiang fund --list`), a programme (`dujiang policy list`), or an instrument of your own",
        "产品（见 dujiang fund --list）、政策（见 dujiang policy list）或自定义工具",
    )
    return [
        read.document.problem("no-such-instrument", read.wanted_paths.get(key, ""), key, expected)
        for key in unknown_ids(read.wanted, offers)
    ]


def _planned(
    output: Output, read: ProjectFile, facts: dict[str, Fact], offers: Offers, options: dict[str, Any]
) -> dict[str, Any]:
    wanted = [key for key in read.wanted if key != SUPPORT or not options["no_support"]]
    found = candidates(read.project, wanted, facts, offers, read.spending)
    known = {item.id for item in found.project.instruments}
    gone = [key for key in options["without"] if key not in known]
    if gone:
        expected = Text("ids of instruments of this project", "本项目工具的编号")
        raise InputError([Problem("no-such-instrument", "--without", None, None, shown(key), expected) for key in gone])
    try:
        with output.progress() as bars:
            answer = fund(
                found.project,
                Objective(options["objective"]),
                without=options["without"],
                around=not options["plan_only"],
                tell=bars,
            )
    except TimeoutError:
        text = Text(
            "the solver's time ran out before there was a plan; allow fewer instruments",
            "求解超时，未得到方案；请减少可选工具",
        )
        raise OperationError(text) from None
    return plan_document(answer, found.left_out, found.readings)


def _show(output: Output, document: dict[str, Any]) -> None:
    if not document["feasible"]:
        _show_shortfall(output, document["shortfall"])
        return
    zh = output.lang == "zh"
    names = {item["id"]: item["name_zh" if zh else "name"] for item in document["instruments"]}
    cost = document["cost_of_capital"]
    rows = [
        [
            names[item["instrument_id"]],
            _cny(item["drawn_cny"] + item["subsidy_cny"]),
            *(_cny(item[name]) for name in ("interest_cny", "fee_cny", "present_value_cny")),
            _percent(item["annual_rate"]),
        ]
        for item in cost["instruments"]
    ]
    output.table(Text("how it is funded", "融资方案"), _SHOWN_INSTRUMENTS, rows)
    low = min(row["closing_cny"] for row in document["cash"])
    value, rate = _cny(cost["present_value_cny"]), _percent(cost["annual_rate"])
    share = _percent(document["dilution"]["share"])
    output.line(
        Text(
            f"cost of capital: {value} CNY in present value; {rate} a year without support",
            f"资金成本现值 {value} 元；不计补助年化 {rate}",
        )
    )
    output.line(Text(f"lowest cash at the end of a month: {_cny(low)} CNY", f"月末现金最低 {_cny(low)} 元"))
    output.line(Text(f"dilution: {share}", f"股权稀释 {share}"))
    gap = f"{document['optimum']['gap']:.3%}"
    if document["optimum"]["proven"]:
        output.line(Text(f"proven: no plan is better by more than {gap}", f"已证明：任何方案至多再优 {gap}"))
    else:
        output.line(Text(f"not proven within the time; gap {gap}", f"限时内未证明最优；间隙 {gap}"))
    _show_around(output, document, names)


def _show_around(output: Output, document: dict[str, Any], names: dict[str, str]) -> None:
    """Show what to apply for, alternatives, shocks and assumptions."""
    for row in document["apply"]:
        name = names[row["instrument_id"]]
        output.line(
            Text(
                f"  apply {row['apply_month']}, money {row['money_month']}: {name}",
                f"  {row['apply_month']} 申请，{row['money_month']} 到账：{name}",
            )
        )
    for row in document["alternatives"]:
        name = names[row["without"]]
        if row["feasible"]:
            more = _cny(row["more_cny"])
            output.line(Text(f"  without {name}: {more} CNY more", f"  不用 {name}：多付 {more} 元"))
        elif row["feasible"] is False:
            output.line(Text(f"  without {name}: no plan", f"  不用 {name}：无可行方案"))
    for row in document["shocks"]:
        what = (
            Text(f"{row['subject']} slips {row['months']} months", f"{row['subject']} 推迟 {row['months']} 个月")
            if row["kind"] == "slip"
            else Text(f"{names[row['subject']]} runs dry", f"{names[row['subject']]} 资金用尽")
        )
        output.line(_shock(row, what))
    counted = {"project", *document["used"]}
    rests = [row for row in document["assumptions"] if row["term"] and row["subject"] in counted]
    assumed = sorted({f"{row['subject']}.{row['term']}" for row in rests})
    if assumed:
        listed = ", ".join(assumed)
        output.line(Text(f"assumptions, not facts: {listed}", f"以下为假设，并非事实：{listed}"))


def _shock(row: dict[str, Any], what: Text) -> Text:
    """Say what one thing that goes wrong does to the plan."""
    if row["breaks_month"] is None:
        return Text(f"  if {what.en}: the plan holds", f"  若{what.zh}：方案仍成立")
    missing = _cny(row["missing_cny"])
    if row["replanned"] is not None:
        more = _cny(row["more_cny"])
        anew = Text(f"planned anew it costs {more} CNY more", f"重新安排则多付 {more} 元")
    elif row["shortfall_cny"] is not None:
        lack = _cny(row["shortfall_cny"])
        anew = Text(f"planned anew {lack} CNY are missing", f"重新安排仍缺 {lack} 元")
    else:
        anew = Text("no new plan was found in time", "限时内未得到新方案")
    return Text(
        f"  if {what.en}: it breaks in {row['breaks_month']}, {missing} CNY short at worst; {anew.en}",
        f"  若{what.zh}：{row['breaks_month']} 断裂，最多缺 {missing} 元；{anew.zh}",
    )


def _show_shortfall(output: Output, lack: dict[str, Any] | None) -> None:
    if lack is None:
        output.line(
            Text(
                "no plan: whole amounts do not come out, for want of a few steps (`step_cny`)",
                "无可行方案：金额取整后差几个步长（step_cny）",
            )
        )
        return
    missing, first = _cny(lack["missing_cny"]), _cny(lack["missing_in_month_cny"])
    output.line(
        Text(
            f"there is no plan: {lack['month']} fails first, {first} CNY short; {missing} CNY are missing in all",
            f"无可行方案：{lack['month']} 首先断裂，缺 {first} 元；合计缺 {missing} 元",
        )
    )
    output.line(Text(f"what stands in the way: {lack['says']}", f"首要制约：{lack['says_zh']}"))
    for row in lack["reliefs"]:
        left = _cny(row["still_missing_cny"])
        output.line(Text(f"  without {row['says']}: {left} CNY missing", f"  若放开{row['says_zh']}：仍缺 {left} 元"))


def _cny(yuan: float) -> str:
    return cny_grouped(round(yuan * MICRO))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
