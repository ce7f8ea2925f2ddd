"""Section 5: what voucher money did, did not do, and what is left."""

from collections.abc import Mapping, Sequence

import polars as pl

from dujiang.core.text import Text
from dujiang.reports.charts import (
    Ends,
    dumbbell,
    stacked,
)
from dujiang.reports.data import ReportData
from dujiang.reports.findings import (
    Need,
    budgets,
    moved_by_vouchers,
    voucher_need,
)
from dujiang.reports.layout import GROUPS_DRAWN, Panel, Row, Section, name_of, ratio, table_of
from dujiang.reports.words import (
    NONE,
    decimal,
    gpu_hours,
    money,
    share,
    whole,
    yuan,
)

NEED_WORDS: dict[Need, Text] = {
    Need.BELOW_ASK: Text("Could not have run there at any price", "无券连保留价也付不起"),
    Need.BELOW_PRICE: Text("Could not have paid the round's price", "无券付不起成交价"),
    Need.NOT_NEEDED: Text("Could have paid it all without", "无券也付得起（券未起作用）"),
}


def vouchers(data: ReportData) -> Section:
    """Section 5: what voucher money did, did not do, and what is left."""
    title = Text("What the voucher money did", "算力券资金起了什么作用")
    left = budgets(data.outcome)
    need = voucher_need(data.book, data.outcome)
    intro = Text(
        "A voucher is well spent where the order could not have run without it, and wasted where its enterprise could "
        "have paid the full price anyway.",
        "没有券就跑不起来的订单，券用得其所；企业本来就付得起的，券没有起到作用。",
    )
    if not left:
        return Section("vouchers", title, Text("No programme took part in this round.", "本轮没有政策项目参与。"))
    panels = [_need_panel(data, need, left), _budget_panel(data, need, left)]
    if data.settlement is not None:
        panels.append(_settled_panel(data))
    notes = (
        Text(
            "Judged order by order, in the pool and hours in which it runs and at the published prices. Without any "
            "vouchers the prices themselves would have been others; that comparison takes a second clearing.",
            "逐份订单判断：以其实际所在的资源池、时段和公布价格为准。若全部没有券，价格本身也会不同，须另做一次撮合比较。",
        ),
    )
    return Section("vouchers", title, intro, tuple(panels), notes)


def _need_panel(data: ReportData, need: pl.DataFrame, left: Mapping[str, int | None]) -> Panel:
    found = {(row["programme_id"], Need(row["need"])): row for row in need.iter_rows(named=True)}
    ids = sorted(left, key=lambda key: (-sum(found.get((key, kind), {}).get("voucher_ucny", 0) for kind in Need), key))
    ids = [key for key in ids if any((key, kind) in found for kind in Need)]
    labels = [name_of(data, key) for key in ids[:GROUPS_DRAWN]]
    series: list[tuple[Text, str, Sequence[float | None]]] = [
        (
            NEED_WORDS[kind],
            f"need{index}",
            [found.get((key, kind), {}).get("voucher_ucny", 0) / 1e6 for key in ids[:GROUPS_DRAWN]],
        )
        for index, kind in enumerate(Need)
    ]
    rows: list[Row] = [
        [
            name_of(data, key),
            NEED_WORDS[kind],
            whole(found[key, kind]["orders"]),
            whole(found[key, kind]["gpu_hours"]),
            yuan(found[key, kind]["voucher_ucny"]),
            yuan(found[key, kind]["net_ucny"]),
        ]
        for key in ids
        for kind in Need
        if (key, kind) in found
    ]
    table = table_of(
        [
            Text("Programme", "政策项目"),
            Text("Without the voucher, the order …", "若没有券，该订单……"),
            Text("Orders", "订单数"),
            Text("GPU-hours", "卡时"),
            Text("Vouchers, CNY", "算力券（元）"),
            Text("Paid by enterprises, CNY", "企业自付（元）"),
        ],
        rows,
        2,
    )
    moved, paid, idle = moved_by_vouchers(data.book, data.outcome)
    read = Text(
        f"{money(paid).en} carried {gpu_hours(moved).en} that could not have paid their own way; {money(idle).en} went "
        "to orders that could have paid by themselves.",
        f"{money(paid).zh}撬动了 {gpu_hours(moved).zh}原本付不起的算力；{money(idle).zh}给了本来就付得起的订单。",
    )
    return Panel(
        "need",
        Text("Voucher money by what it moved", "算力券资金的作用"),
        read,
        stacked(labels, series, Text("CNY", "元"), Text("CNY", "元")) if labels else None,
        None if labels else Text("No voucher was used.", "没有使用算力券。"),
        table,
    )


def _budget_panel(data: ReportData, need: pl.DataFrame, left: Mapping[str, int | None]) -> Panel:
    spent = dict(need.group_by("programme_id").agg(pl.col("voucher_ucny").sum()).iter_rows())
    asked = {row["programme_id"]: row for row in data.outcome.summary.get("vouchers", [])}
    without = Text("no budget stated", "未规定预算")
    rows = []
    for key, budget in left.items():
        used = int(spent.get(key, 0))
        rows.append(
            [
                name_of(data, key),
                without if budget is None else yuan(budget),
                yuan(used),
                NONE if budget is None else yuan(budget - used),
                NONE if budget is None else share(ratio(used, budget)),
                decimal(asked.get(key, {}).get("multiplier")),
            ]
        )
    bounded = sorted(
        ((key, budget) for key, budget in left.items() if budget), key=lambda item: (-(item[1] or 0), item[0])
    )[:GROUPS_DRAWN]
    ends = [
        Ends(
            name_of(data, key),
            None,
            ratio(spent.get(key, 0), budget or 0),
            Text(
                f"{money(spent.get(key, 0)).en} of {money(budget or 0).en}",
                f"{money(budget or 0).zh}中使用{money(spent.get(key, 0)).zh}",
            ),
        )
        for key, budget in bounded
    ]
    return Panel(
        "budget",
        Text("Budgets: used and left over", "预算：已用与结余"),
        Text(
            "Share of what each budget had left before the round. The worth of one more yuan says what a yuan of "
            "further budget would have added in value; 0: money was not what was missing.",
            "占本轮之前预算余额的比例。“多一元预算的价值”为 0 表示缺的不是钱。",
        ),
        dumbbell(ends, None, Text("used", "已用"), Text("budget used", "预算使用率")) if ends else None,
        None if ends else Text("None of the programmes states a budget.", "各项目均未规定预算。"),
        table_of(
            [
                Text("Programme", "政策项目"),
                Text("Left before the round, CNY", "本轮前余额（元）"),
                Text("Used, CNY", "本轮使用（元）"),
                Text("Left over, CNY", "结余（元）"),
                Text("Used", "使用率"),
                Text("Worth of one more yuan", "多一元预算的价值"),
            ],
            rows,
        ),
    )


def _settled_panel(data: ReportData) -> Panel:
    assert data.settlement is not None
    said = data.settlement
    lines: list[list[Text | str]] = [
        [Text("To centres", "付算力中心"), yuan(said.gross_ucny)],
        [Text("To carriers", "付网络运营商"), yuan(said.transfer_ucny)],
        [Text("From programmes (vouchers)", "政策项目支付（算力券）"), yuan(said.voucher_ucny)],
        [Text("From enterprises", "企业支付"), yuan(said.net_ucny)],
        [Text("From the operator (rounding to fen)", "运营方承担（分位舍入）"), yuan(said.rounding_ucny)],
        [
            Text("Reserved and released: less ran than was awarded", "预留后释放：实际用量少于中标量"),
            yuan(said.voided_ucny),
        ],
    ]
    for item in said.programmes:
        name = name_of(data, item.programme_id)
        lines.append([Text(f"{name.en}: reserved", f"{name.zh}：预留"), yuan(item.reserved_ucny)])
        lines.append([Text(f"{name.en}: paid", f"{name.zh}：已付"), yuan(item.posted_ucny)])
        left = NONE if item.left_ucny is None else yuan(item.left_ucny)
        lines.append([Text(f"{name.en}: left", f"{name.zh}：余额"), left])
    return Panel(
        "settled",
        Text("What was settled", "结算结果"),
        Text(
            f"Paid for what was metered: {money(said.gross_ucny + said.transfer_ucny).en} to centres and carriers, of "
            f"which {money(said.voucher_ucny).en} from vouchers; {money(said.voided_ucny).en} was released.",
            f"按计量结算：付给算力中心和网络运营商 {money(said.gross_ucny + said.transfer_ucny).zh}，"
            f"其中算力券 {money(said.voucher_ucny).zh}；释放 {money(said.voided_ucny).zh}。",
        ),
        table=table_of([Text("Line", "项目"), Text("CNY", "元")], lines),
    )
