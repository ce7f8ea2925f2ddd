"""`dujiang run`: clear, dispatch, meter, settle, report."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from dujiang.cli.effort import coupling_option, effort_of, effort_options
from dujiang.cli.options import BOOK, FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.summary import show_summaries
from dujiang.core.text import Text
from dujiang.exchange.run import PARALLEL, STATE, RunOptions, run_round
from dujiang.market.outcome import Coupling


def _known(output: Output, value: float | None) -> str:
    return output.say(Text("not known", "未知")) if value is None else f"{value:,.0f}"


def show_run(output: Output, run: Mapping[str, Any]) -> None:
    """Print what was metered and settled."""
    outcomes = ", ".join(f"{name} {count:,}" for name, count in run["outcomes"].items()) or "-"
    unknown = run["without_energy_reading"]
    rows = [
        (Text("awards by outcome", "执行结果"), outcomes),
        (Text("GPU-hours metered", "计量卡时"), f"{run['gpu_hours_metered']:,.1f}"),
        (Text("energy, kWh", "用电（千瓦时）"), _known(output, run["kwh"])),
        (Text("carbon, kgCO2", "碳排放（千克）"), _known(output, run["kgco2"])),
        (Text("awards without an energy figure", "缺少能耗数据的中标"), f"{unknown:,}"),
        (Text("paid to centres, CNY", "结算给算力中心（元）"), f"{run['posted_gross_cny']:,.2f}"),
        (Text("paid to carriers, CNY", "结算传输费（元）"), f"{run['posted_transfer_cny']:,.2f}"),
        (Text("paid by programmes, CNY", "政策资金支付（元）"), f"{run['posted_voucher_cny']:,.2f}"),
        (Text("paid by enterprises, CNY", "企业支付（元）"), f"{run['posted_net_cny']:,.2f}"),
    ]
    columns = [(Text("", ""), False), (Text("", ""), True)]
    output.table(
        Text("metered and settled", "计量与结算"), columns, [[output.say(label), value] for label, value in rows]
    )


_SLOWEST, _FASTEST = Fraction(1, 1000), Fraction(10**9)
_SPEEDUP = "a number from 0.001 to 1000000000, such as 3600"


def _speedup(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction | None:
    if value is None:
        return None
    try:
        speedup = Fraction(value)
    except (ValueError, ZeroDivisionError) as error:
        raise click.BadParameter(_SPEEDUP) from error
    if not _SLOWEST <= speedup <= _FASTEST:
        raise click.BadParameter(_SPEEDUP)
    return speedup


@click.command("run")
@BOOK
@click.option("--out", type=FOLDER, required=True, help="Folder of the run.")
@click.option("--connector", default=None, help="Connector for all centres (local); default: each centre's own.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; its own options count.")
@click.option(
    "--speedup",
    callback=_speedup,
    default=None,
    help="Market seconds in one real second. Default: 1 if any order has a command, else the round takes 20 s.",
)
@click.option(
    "--parallel", type=click.IntRange(1, 100_000), default=PARALLEL, show_default=True, help="Most jobs at once."
)
@click.option("--operator", default="dujiang", show_default=True, help="Name of the operator on invoices.")
@coupling_option
@effort_options
@JSON
@click.pass_context
def command(
    ctx: click.Context,
    book: Path,
    out: Path,
    connector: str | None,
    resume: bool,
    speedup: Fraction | None,
    parallel: int,
    operator: str,
    coupling: str,
    seconds: float | None,
    gap: float,
    as_json: bool,
) -> None:
    """Clear a book, run its awards, meter, settle, report. A killed run goes on with --resume."""
    output: Output = ctx.obj
    output.json = as_json
    options = RunOptions(Coupling(coupling), connector, speedup, parallel, effort_of(seconds, gap), operator)
    try:
        with output.progress() as progress:
            summary = run_round(book, out, options, resume=resume, progress=progress)
    except KeyboardInterrupt:
        if not (out / STATE).exists():
            raise
        output.note(
            Text(
                "stopped; what was started runs on. Go on with --resume",
                "已停止；已启动的作业继续运行。请用 --resume 继续",
            )
        )
        ctx.exit(130)
    if as_json:
        output.document(summary)
    show_summaries(output, {coupling: summary})
    show_run(output, summary["run"])
    output.line(Text(f"papers of the round in {out}", f"本轮文件位于 {out}"))
    unseen = summary["run"]["outcomes"].get("unseen", 0)
    if unseen:
        output.note(
            Text(
                f"{unseen} awards have no reading yet: their money stays reserved; try again with --resume",
                f"{unseen} 个中标尚无计量数据，资金继续预留；请稍后用 --resume 重试",
            )
        )
        ctx.exit(3)
