"""`dujiang roll`: from a round and its result to the book of the next round."""

from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import BOOK, FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.exchange.rolling import REMARKS, roll_to

LISTED = 20
"""Dropped orders that are named; the rest is counted."""


@click.command("roll")
@BOOK
@click.argument("results", type=FOLDER)
@click.option("--hours", type=click.IntRange(0, 1_000_000), required=True, help="Hours by which the start moves.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the next book; new or empty.")
@click.option("--orders", type=FOLDER, default=None, help="New orders, .csv or .parquet; slots from the new start.")
@JSON
@click.pass_obj
def command(
    output: Output, book: Path, results: Path, hours: int, out: Path, orders: Path | None, as_json: bool
) -> None:
    """Make the next round's book: awards that still run, orders that still wait, what is spent, new orders."""
    output.json = as_json
    remarks = roll_to(book, results, hours, out, orders)
    if as_json:
        output.document({"ok": True, **remarks})
        return
    _show(output, remarks)
    output.line(Text(f"the next book is in {out}", f"下一轮需求簿位于 {out}"))


def _show(output: Output, remarks: dict[str, Any]) -> None:
    orders, awards = remarks["orders"], remarks["awards"]
    rows = [
        (Text("start of the next round", "下一轮开始"), remarks["start"]),
        (Text("awards that still run or are to come", "仍在运行或待运行的中标"), f"{awards['running']:,}"),
        (Text("awards that have ended", "已结束的中标"), f"{awards['ended']:,}"),
        (Text("orders that go on waiting", "继续等待的订单"), f"{orders['kept']:,}"),
        (Text("new orders", "新增订单"), f"{orders['added']:,}"),
        (Text("orders whose window has closed", "时间窗已过的订单"), f"{orders['dropped']:,}"),
    ]
    rows += [
        (Text(f"  vouchers of {key}, CNY", f"  {key} 已用券（元）"), amount)
        for key, amount in remarks["vouchers_cny"].items()
    ]
    if remarks["without_vouchers"]:
        label = Text("orders whose contract has used its programmes", "合同已用券而不再用券的订单")
        rows.append((label, f"{len(remarks['without_vouchers']):,}"))
    columns = [(Text("", ""), False), (Text("", ""), True)]
    output.table(Text("next round", "下一轮"), columns, [[output.say(label), value] for label, value in rows])
    dropped = remarks["dropped"]
    for order in dropped[:LISTED]:
        output.note(Text(f"window closed: {order}", f"时间窗已过：{order}"))
    if len(dropped) > LISTED:
        more = len(dropped) - LISTED
        output.note(Text(f"{more:,} more; all are in {REMARKS}", f"另有 {more:,} 个，全部见 {REMARKS}"))
