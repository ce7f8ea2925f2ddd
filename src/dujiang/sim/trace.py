"""Turns the job log of a cluster into a book: virtual clusters become centres, jobs become orders.

A log says what was submitted when, how long it ran and on how many accelerators. It does not say what anybody would
have paid, by when a job had to be done, what capacity its virtual cluster had in that very week, or which accelerators
they were. Those are options (`TraceOptions`), and each stands in the book's `assumptions` with a sentence.

Orders carry the virtual cluster that they were submitted to as their `origin_centre` and no origin region. So a round
with isolated coupling serves each job in its own virtual cluster only, as the traced scheduler did, and a round with
full coupling may serve it in any. The two differ in nothing else.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import FEN, MICRO, cny, div_half_even
from dujiang.core.slots import ceil_div, instant_text
from dujiang.sim.assumption import assumed, component_rng
from dujiang.sim.trace_jobs import JobLog, read_jobs, with_vc
from dujiang.sim.trace_options import OBSERVED_PEAK, TraceFormat, TraceOptions
from dujiang.sim.trace_window import Demand, Window, choose_window, demand_by_vc
from dujiang.store.write_book import BookFiles


def import_trace(trace: Path, trace_format: TraceFormat, options: TraceOptions | None = None) -> BookFiles:
    """Make a book of a job log.

    Parameters
    ----------
    trace : `.csv` or `.parquet` with the common job columns, or, for `helios`, those of the Helios release
    trace_format : where the log comes from; decides names, title and what is said about its gaps
    options : assumptions; None: all defaults

    Returns
    -------
    the book; its `remarks` are the rows that could not become orders, its `assumptions.rows` counts every row of the
    file once

    Raises
    ------
    InputError : the options are wrong, the file cannot be read or lacks a column, or no job is left

    Notes
    -----
    The same file and options give the same book, whatever the order of rows in the file.
    """
    options = options or TraceOptions()
    problems = options.problems()
    if problems:
        raise InputError(problems)
    log = read_jobs(trace, trace_format, options.columns, options.fractional_gpus)
    jobs = with_vc(log.jobs, trace_format, options.vcs)
    window = choose_window(trace.name, jobs, options)
    gpus = _capacity(window, options)
    enterprise = _enterprises(window.jobs)
    return BookFiles(
        header={
            "start": instant_text(options.start_utc),
            "slots": options.slots,
            "title": f"{trace_format}: {trace.name}, {options.slots} h from day {window.from_day}",
            "assumptions": _assumptions(trace, trace_format, options, log, window, gpus),
        },
        tables={
            "centres": _centres(gpus, options.region or trace_format),
            "pools": _pools(gpus, options),
            "enterprises": pl.DataFrame({"enterprise_id": enterprise.unique().sort()}),
            "orders": _orders(window, enterprise, options),
        },
        remarks=log.remarks,
    )


def _centres(gpus: Mapping[str, int], region: str) -> pl.DataFrame:
    return pl.DataFrame({"centre_id": list(gpus), "region": [region] * len(gpus), "name": list(gpus)})


def _pools(gpus: Mapping[str, int], options: TraceOptions) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pool_id": [f"{vc}-gpus" for vc in gpus],
            "centre_id": list(gpus),
            "accelerator": [options.accelerator] * len(gpus),
            "gpus": list(gpus.values()),
            "ask_cny_per_gpu_hour": [options.ask_ucny_per_gpu_hour / MICRO] * len(gpus),
        }
    )


def _capacity(window: Window, options: TraceOptions) -> dict[str, int]:
    """Return the accelerators of each virtual cluster, by name; never fewer than its largest job needs."""
    return {d.vc: max(d.largest_gpus, _asked(d, options)) for d in demand_by_vc(window, options.slots)}


def _asked(demand: Demand, options: TraceOptions) -> int:
    multiple = options.multiple_ppm()
    if multiple is not None:
        return ceil_div(multiple * demand.gpu_slots, MICRO * options.slots)
    return demand.peak_gpus if options.gpus_per_vc == OBSERVED_PEAK else int(options.gpus_per_vc)


def _enterprises(jobs: pl.DataFrame) -> pl.Series:
    """Return who asks for each job: its user, or its virtual cluster where the log names no user."""
    return jobs.select(
        pl.coalesce("u-" + pl.col("user_hash"), "vc-" + pl.col("vc")).alias("enterprise_id"),
    ).to_series()


def _orders(window: Window, enterprise: pl.Series, options: TraceOptions) -> pl.DataFrame:
    run = window.run_slots
    stretched = np.ceil(np.round(run * options.deadline_stretch, 6)).astype(np.int64)
    deadline = np.minimum(window.release + stretched + options.deadline_slack_h, options.slots)
    draws = component_rng(options.seed, "limit").standard_normal(len(run))
    markups = options.limit_markup_median * np.exp(options.limit_markup_sigma * draws)
    gpus = window.jobs["gpus"].to_list()
    limits = [
        _limit_ucny(g * int(d) * options.ask_ucny_per_gpu_hour, m) for g, d, m in zip(gpus, run, markups, strict=True)
    ]
    start = options.start_utc
    return pl.DataFrame(
        {
            "order_id": window.jobs["job_id"],
            "enterprise_id": enterprise,
            "gpus": window.jobs["gpus"],
            "hours": window.hours_micro / MICRO,
            "release": window.release,
            "deadline": deadline,
            "limit_cny": [limit / MICRO for limit in limits],
            "submitted": [instant_text(start + timedelta(seconds=s)) for s in window.since_s.tolist()],
            "origin_centre": window.jobs["vc"],
        }
    )


def _limit_ucny(ask_cost_ucny: int, markup: float) -> int:
    """Return a limit in whole fen, at least one."""
    return max(1, div_half_even(ask_cost_ucny * round(markup * MICRO), MICRO * FEN)) * FEN


def _assumptions(
    trace: Path,
    trace_format: TraceFormat,
    options: TraceOptions,
    log: JobLog,
    window: Window,
    gpus: Mapping[str, int],
) -> dict[str, object]:
    """Say what the book takes for granted, in the order in which one would ask."""
    hashed = log.jobs["vc"].null_count() == log.jobs.height
    users = window.jobs["user_hash"].null_count() < window.jobs.height
    rows = {
        "in_file": log.rows,
        "unusable": dict(log.left_out),
        **window.left_out,
        "orders": window.jobs.height,
        "of_which_cut_at_end": window.cut,
    }
    entries: list[tuple[str, object]] = [
        ("source", {"file": trace.name, "format": trace_format, "sha256": log.sha256}),
        ("rows", rows),
        ("from_day/busiest" if options.from_day is None else "from_day/asked", window.from_day),
        ("slots", options.slots),
        ("start", instant_text(options.start_utc)),
        (f"long_jobs/{options.long_jobs}", options.long_jobs),
        (f"fractional_gpus/{options.fractional_gpus}", options.fractional_gpus),
        ("max_orders/all" if options.max_orders is None else "max_orders/sample", options.max_orders),
        ("virtual_clusters/hashed" if hashed else "virtual_clusters/named", len(gpus)),
        ("gpus_per_vc", options.gpus_per_vc),
        ("demand_by_vc", _load(window, options.slots, gpus)),
        ("region", options.region or trace_format),
        ("accelerator", options.accelerator),
        ("ask_cny_per_gpu_hour", cny(options.ask_ucny_per_gpu_hour)),
        ("enterprises/user" if users else "enterprises/virtual_cluster", "user" if users else "virtual cluster"),
        ("release/recorded_start" if trace_format == "pai" else "release", "first whole slot after submission"),
        ("deadline", {"stretch": options.deadline_stretch, "slack_h": options.deadline_slack_h}),
        ("limit", {"median": options.limit_markup_median, "sigma": options.limit_markup_sigma}),
        ("seed", options.seed),
    ]
    return {name.partition("/")[0]: assumed("trace", name, value) for name, value in entries}


def _load(window: Window, slots: int, gpus: Mapping[str, int]) -> dict[str, object]:
    """Return demand over capacity, in all and by virtual cluster."""
    demands = demand_by_vc(window, slots)
    by_vc = {
        d.vc: {
            "jobs": d.jobs,
            "gpu_slots": d.gpu_slots,
            "peak_gpus": d.peak_gpus,
            "gpus": gpus[d.vc],
            "load": round(d.gpu_slots / (gpus[d.vc] * slots), 4),
        }
        for d in demands
    }
    total = sum(d.gpu_slots for d in demands) / (sum(gpus.values()) * slots)
    return {"load": round(total, 4), "by_vc": by_vc}
