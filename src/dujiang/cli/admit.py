"""`dujiang admit`: arrivals are accepted at once at posted prices, between rounds."""

from pathlib import Path

import click

from dujiang.cli.effort import coupling_option
from dujiang.cli.options import BOOK, FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.summary import show_summaries
from dujiang.core.text import Text
from dujiang.exchange.clearing import admit_to
from dujiang.market.outcome import Coupling


@click.command("admit")
@BOOK
@click.option("--prices", type=FOLDER, required=True, help="Result whose prices are posted.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the result.")
@coupling_option
@JSON
@click.pass_obj
def command(output: Output, book: Path, prices: Path, out: Path, coupling: str, as_json: bool) -> None:
    """Admit orders one by one at the prices of an earlier result: who bears the price and finds room is served."""
    output.json = as_json
    with output.progress() as progress:
        summary = admit_to(book, prices, out, Coupling(coupling), progress)
    if as_json:
        output.document(summary)
        return
    show_summaries(output, {coupling: summary})
    start = summary["admission"]["start"]
    output.line(Text(f"at the prices of the round of {start}", f"按 {start} 轮次的价格"))
    output.line(Text(f"result and report.html in {out}", f"结果与 report.html 位于 {out}"))
