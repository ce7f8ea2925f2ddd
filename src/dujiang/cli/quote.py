"""`dujiang quote`: what an order would cost now in each compatible pool."""

from pathlib import Path

import click

from dujiang.cli.effort import coupling_option
from dujiang.cli.options import BOOK, FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.money import cny
from dujiang.core.text import Text
from dujiang.exchange.quoting import quote_order
from dujiang.market.outcome import Coupling

_COLUMNS = (
    (Text("pool", "资源池"), False),
    (Text("accelerator", "加速卡"), False),
    (Text("region", "区域"), False),
    (Text("slot", "时段"), True),
    (Text("begins (UTC)", "开始（协调世界时）"), False),
    (Text("slots", "时段数"), True),
    (Text("total, CNY", "合计（元）"), True),
    (Text("to the centre", "付算力中心"), True),
    (Text("transfer", "传输费"), True),
    (Text("at the ask", "按保留价"), True),
)


@click.command("quote")
@BOOK
@click.argument("results", type=FOLDER)
@click.option("--order", type=FOLDER, required=True, help="YAML file with the columns of orders.")
@coupling_option
@JSON
@click.pass_obj
def command(output: Output, book: Path, results: Path, order: Path, coupling: str, as_json: bool) -> None:
    """Price one order at the last prices in each compatible pool, cheapest first. Nothing is reserved."""
    output.json = as_json
    document = quote_order(book, results, order, Coupling(coupling))
    if as_json:
        output.document(document)
        return
    rows = [
        [
            *(row["pool_id"], row["accelerator"], row["region"], str(row["start"]), row["begins"], str(row["slots"])),
            row["total_cny"],
            *(cny(row[name]) for name in ("gross_ucny", "transfer_ucny", "ask_cost_ucny")),
        ]
        for row in document["quotes"]
    ]
    if rows:
        output.table(Text("quotes, cheapest first", "报价（由低到高）"), _COLUMNS, rows)
        output.line(
            Text(
                "without vouchers, which may lower what the enterprise pays; a quote reserves nothing",
                "未计算力券（用券后企业实付可更低）；报价不构成预留",
            )
        )
        if any(row["carbon_term_ucny"] for row in document["quotes"]):
            output.line(
                Text(
                    "to be admitted, a limit also has to cover the round's carbon term, which nobody pays",
                    "限价还须覆盖本轮的碳项方可即时成交；碳项无人支付",
                )
            )
    else:
        output.line(Text("no pool can serve the order", "没有资源池可承接该订单"))
    if document["no_room"]:
        names = ", ".join(document["no_room"])
        output.line(Text(f"no room in the window: {names}", f"时间窗内无余量：{names}"))
