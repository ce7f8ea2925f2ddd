"""`dujiang check`: reads a book and reports every problem."""

from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import BOOK, JSON
from dujiang.cli.output import Output
from dujiang.core.text import Text
from dujiang.exchange.clearing import Round, open_round


def _counts(round_: Round) -> dict[str, Any]:
    book = round_.book
    return {
        "ok": True,
        "title": book.title.en,
        "title_zh": book.title.zh,
        "slots": book.slots,
        "centres": book.centres.height,
        "pools": book.pools.height,
        "gpus": int(book.pools["gpus"].sum()),
        "enterprises": book.enterprises.height,
        "orders": book.orders.height,
        "programmes": sorted(round_.programmes),
        "book_sha256": round_.digest,
    }


@click.command("check")
@BOOK
@JSON
@click.pass_obj
def command(output: Output, book: Path, as_json: bool) -> None:
    """Read a book and report every problem, all at once."""
    output.json = as_json
    counts = _counts(open_round(book))
    if as_json:
        output.document(counts)
    programmes = ", ".join(counts["programmes"]) or "-"
    output.line(
        Text(
            f"{book}: no problems. {counts['orders']} orders of {counts['enterprises']} enterprises; "
            f"{counts['pools']} pools in {counts['centres']} centres, {counts['gpus']} accelerators; "
            f"{counts['slots']} slots; programmes: {programmes}",
            f"{book}：没有问题。{counts['enterprises']} 家企业的 {counts['orders']} 个订单；"
            f"{counts['centres']} 个算力中心、{counts['pools']} 个资源池、{counts['gpus']} 张卡；"
            f"{counts['slots']} 个时段；政策：{programmes}",
        )
    )
