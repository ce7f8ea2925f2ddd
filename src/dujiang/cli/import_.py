"""`dujiang import trace`: a job trace becomes a book."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.core.money import parse_micro
from dujiang.core.slots import parse_instant
from dujiang.core.text import Text
from dujiang.sim.trace import import_trace
from dujiang.sim.trace_options import FractionalGpus, LongJobs, TraceFormat, TraceOptions
from dujiang.store.write_book import write_book

_DEFAULT = TraceOptions()


def _columns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Mapping[str, str]:
    pairs = [value.partition("=") for value in values]
    if any(not name or not sign or not column for name, sign, column in pairs):
        raise click.BadParameter("NAME=COLUMN, such as gpus=n_gpu")
    return {name: column for name, _, column in pairs}


def _instant(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime:
    if value is None:
        return _DEFAULT.start
    instant = parse_instant(value)
    if instant is None:
        raise click.BadParameter("an RFC 3339 instant with offset, such as 2025-11-03T00:00:00+08:00")
    return instant


def _yuan(ctx: click.Context, param: click.Parameter, value: str | None) -> int:
    if value is None:
        return _DEFAULT.ask_ucny_per_gpu_hour
    micro = parse_micro(value)
    if micro is None:
        raise click.BadParameter("yuan with at most six places")
    return micro


@click.group("import")
def command() -> None:
    """Make books from other people's data."""


@command.command("trace")
@click.argument("trace", type=FOLDER)
@click.option("--format", "trace_format", type=click.Choice(get_args(TraceFormat)), required=True)
@click.option("--out", type=FOLDER, required=True, help="Folder of the book.")
@click.option("--column", "columns", multiple=True, callback=_columns, help="NAME=COLUMN of the file; repeatable.")
@click.option("--from-day", type=int, default=None, help="First day of the window; default: the busiest window.")
@click.option("--slots", type=int, default=_DEFAULT.slots, show_default=True, help="Hours of the round.")
@click.option("--start", callback=_instant, default=None, help="Instant given to slot 0.")
@click.option(
    "--gpus-per-vc",
    default=_DEFAULT.gpus_per_vc,
    show_default=True,
    help="Capacity of a virtual cluster: a count, observed_peak, or a multiple of its mean demand.",
)
@click.option(
    "--vcs", type=int, default=_DEFAULT.vcs, show_default=True, help="Virtual clusters if the trace has none."
)
@click.option("--region", default=None, help="Region of all centres; default: the format's name.")
@click.option("--accelerator", default=_DEFAULT.accelerator, show_default=True)
@click.option("--ask", callback=_yuan, default=None, help="Reserve price, CNY per GPU-hour; default 2.")
@click.option("--deadline-stretch", type=float, default=_DEFAULT.deadline_stretch, show_default=True)
@click.option("--deadline-slack", "deadline_slack_h", type=int, default=_DEFAULT.deadline_slack_h, show_default=True)
@click.option("--limit-markup", type=float, default=_DEFAULT.limit_markup_median, show_default=True, help="Median.")
@click.option("--limit-sigma", type=float, default=_DEFAULT.limit_markup_sigma, show_default=True)
@click.option("--long-jobs", type=click.Choice(get_args(LongJobs)), default=_DEFAULT.long_jobs, show_default=True)
@click.option(
    "--fractional-gpus",
    type=click.Choice(get_args(FractionalGpus)),
    default=_DEFAULT.fractional_gpus,
    show_default=True,
)
@click.option("--max-orders", type=int, default=None, help="Seeded sample of so many jobs; default: all.")
@click.option("--seed", type=int, default=_DEFAULT.seed, show_default=True)
@JSON
@click.pass_obj
def trace_command(output: Output, /, trace: Path, trace_format: str, out: Path, as_json: bool, **given: Any) -> None:
    """Turn a job trace into a book. What the trace lacks is an option, and is written into book.yaml."""
    output.json = as_json
    options = TraceOptions(
        columns=given["columns"],
        from_day=given["from_day"],
        slots=given["slots"],
        start=given["start"],
        gpus_per_vc=given["gpus_per_vc"],
        vcs=given["vcs"],
        region=given["region"],
        accelerator=given["accelerator"],
        ask_ucny_per_gpu_hour=given["ask"],
        deadline_stretch=given["deadline_stretch"],
        deadline_slack_h=given["deadline_slack_h"],
        limit_markup_median=given["limit_markup"],
        limit_markup_sigma=given["limit_sigma"],
        long_jobs=cast(LongJobs, given["long_jobs"]),
        fractional_gpus=cast(FractionalGpus, given["fractional_gpus"]),
        max_orders=given["max_orders"],
        seed=given["seed"],
    )
    book = import_trace(trace, cast(TraceFormat, trace_format), options)
    write_book(book, out)
    orders, pools = book.tables["orders"].height, book.tables["pools"].height
    if as_json:
        document = {"ok": True, "orders": orders, "pools": pools, "header": book.header}
        output.document({**document, "left_out": [p.as_dict() for p in book.remarks]})
        return
    for remark in book.remarks:
        output.note(remark.say(output.lang))
    output.line(
        Text(
            f"{out}: {orders} orders, {pools} pools. Assumptions are in {out}/book.yaml",
            f"{out}：{orders} 个订单，{pools} 个资源池。各项假设见 {out}/book.yaml",
        )
    )
