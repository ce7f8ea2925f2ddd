"""`dujiang clear`: the market only."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from dujiang.cli.effort import coupling_option, effort_of, effort_options
from dujiang.cli.options import BOOK, FOLDER, JSON, Finite
from dujiang.cli.output import Output
from dujiang.cli.summary import show_summaries
from dujiang.core.text import Text
from dujiang.exchange.clearing import clear_to
from dujiang.market.outcome import Coupling
from dujiang.market.pricing import Pricers, Pricing

EXACT_S = 60.0
"""Seconds of the exact mode where none are given."""


@click.command("clear")
@BOOK
@click.option("--out", type=FOLDER, required=True, help="Folder of the result.")
@coupling_option
@effort_options
@click.option(
    "--exact",
    type=Finite(min=0),
    is_flag=False,
    flag_value=EXACT_S,
    default=None,
    help="Small books: look so many seconds (60 if none are given) for the best awards at the prices, and for a proof.",
)
@click.option("--warm", type=FOLDER, default=None, help="Begin with the prices of this earlier result.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where the price search makes its passes: here, or on Ray workers, here or on the cluster of RAY_ADDRESS.",
)
@JSON
@click.pass_obj
def command(
    output: Output,
    book: Path,
    out: Path,
    coupling: str,
    seconds: float | None,
    gap: float,
    exact: float | None,
    warm: Path | None,
    engine: str,
    as_json: bool,
) -> None:
    """Clear a book: awards, prices, rejections and a certificate, written whole or not at all."""
    output.json = as_json
    effort = effort_of(seconds, gap)
    with _pricers(engine) as pricers, output.progress() as progress:
        summary = clear_to(book, out, Coupling(coupling), effort, progress, warm=warm, exact_s=exact, pricers=pricers)
    if as_json:
        output.document(summary)
        return
    show_summaries(output, {coupling: summary})
    if "warm" in summary:
        start = summary["warm"]["start"]
        output.line(Text(f"begun with the prices of the round of {start}", f"以 {start} 轮次的价格为起点"))
    if "exact" in summary:
        _show_proof(output, summary["exact"])
    output.line(Text(f"result and report.html in {out}", f"结果与 report.html 位于 {out}"))


def _pricers(engine: str) -> AbstractContextManager[Pricers]:
    """Return what makes pricing passes. Ray is not there unless it is asked for."""
    if engine == "local":
        return nullcontext(Pricing)
    from dujiang.exchange.ray_pricing import RayPricers

    return RayPricers()


def _show_proof(output: Output, proof: Mapping[str, Any]) -> None:
    gap = f"{100 * proof['gap_at_prices']:.3f} %"
    output.line(
        Text("proven: no better awards at these prices", "已证明：在此价格下没有更优的分配")
        if proof["optimal"]
        else Text(f"at these prices at most {gap} better, by the solver", f"求解器给出：在此价格下至多可再改进 {gap}")
    )
