"""`dujiang clear`: the market only."""

from pathlib import Path

import click

from dujiang.cli.options import BOOK, FOLDER, JSON, coupling_option, effort_of, effort_options
from dujiang.cli.output import Output
from dujiang.cli.summary import show_summaries
from dujiang.core.text import Text
from dujiang.exchange.clearing import clear_to
from dujiang.market.outcome import Coupling


@click.command("clear")
@BOOK
@click.option("--out", type=FOLDER, required=True, help="Folder of the result.")
@coupling_option
@effort_options
@click.option("--engine", type=click.Choice(["local"]), default="local", show_default=True, help="Where to compute.")
@JSON
@click.pass_obj
def command(
    output: Output, book: Path, out: Path, coupling: str, seconds: float | None, gap: float, engine: str, as_json: bool
) -> None:
    """Clear a book: awards, prices, rejections and a certificate, written whole or not at all."""
    output.json = as_json
    with output.progress() as progress:
        summary = clear_to(book, out, Coupling(coupling), effort_of(seconds, gap), progress)
    if as_json:
        output.document(summary)
        return
    show_summaries(output, {coupling: summary})
    output.line(Text(f"result and report.html in {out}", f"结果与 report.html 位于 {out}"))
