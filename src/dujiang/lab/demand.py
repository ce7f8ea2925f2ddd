"""Which jobs come: those of a log inside a window, made-up ones that are like them, and copies of either."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem
from dujiang.core.text import Text
from dujiang.lab.draws import Draws, Floats, Int, rng
from dujiang.lab.scenario import Scenario
from dujiang.registry.header import MAX_SLOTS
from dujiang.sim.trace_jobs import read_jobs, with_vc
from dujiang.sim.trace_options import TraceFormat

HOUR_S = 3600
DAY_S = 86_400
SHIFT_S = 12 * HOUR_S
"""Copies of a job come up to so long before or after it."""
FOREVER = 2**40
"""Patience without an end, seconds."""
MAX_JOBS = 10_000_000
MAX_GPUS = 100_000
"""Of one job, as in the orders of a book."""


class SourceJobs(NamedTuple):
    """Jobs as a source gives them; one entry each, by (submission, id)."""

    job_id: pl.Series
    submit_s: Int
    """From the start of the window."""
    run_s: Int
    """At speed 1.0, not above the longest that is allowed."""
    gpus: Int
    vc: Int
    """Index into `Source.vcs`."""
    user: pl.Series
    """Who submitted it; null where the source does not say."""
    patience_s: Int
    """How long it waits for its start at most, whatever its deadline; `FOREVER` where the source does not say."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a trace or a generator gives."""

    jobs: SourceJobs
    vcs: tuple[str, ...]
    """Names of virtual clusters, sorted."""
    rows: int
    """Rows that draws are made over: of the whole log, so that a job keeps its draws in whichever window it lies."""
    row: Int
    """Row of each job among them."""
    window_s: int
    assumptions: Mapping[str, object]
    """Entry of `data/assumptions.yaml` -> value."""
    recorded_gpus: Mapping[str, int] = field(default_factory=dict)
    """Capacity of each virtual cluster where the source knows it."""
    measured: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by name."""
    remarks: tuple[Problem, ...] = ()
    unknown: tuple[str, ...] = ()
    """Entries of what the source cannot say."""

    @property
    def window_h(self) -> int:
        """Whole hours of the window, the last one counted in full."""
        return -(-self.window_s // HOUR_S)


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """All jobs of a scenario, copies included, by (submission, id)."""

    jobs: SourceJobs
    latent: np.typing.NDArray[np.bool_]
    """Jobs that come at prices below the reference only."""
    draws: Draws

    @property
    def hours(self) -> Int:
        """Whole hours that each job occupies at speed 1.0."""
        return -(-self.jobs.run_s // HOUR_S)


# ---- a log ---------------------------------------------------------------------------------------------------------


def source_of_log(scenario: Scenario, trace: Path) -> Source:
    """Read a job log and take the jobs of the window.

    Raises
    ------
    InputError : the log cannot be read or lacks a column, or no job was submitted in the window
    """
    demand = scenario.demand
    trace_format = cast(TraceFormat, demand.trace_format)
    log = read_jobs(trace, trace_format, demand.columns, demand.fractional_gpus)
    jobs = with_vc(log.jobs, trace_format, demand.vcs)
    submit = jobs["submit_s"].to_numpy()
    # Days begin where the log's own clock has midnight, so that hours of the day stay what they are.
    since = np.floor(submit - np.floor(submit[0] / DAY_S) * DAY_S).astype(np.int64) - demand.from_s
    window_s = int(since[-1]) + 1 if demand.to_s is None else demand.to_s - demand.from_s
    row = np.flatnonzero((since >= 0) & (since < window_s))
    check_window(scenario, trace.name, row.size, window_s)
    inside = jobs[row]
    run, cut = _run_seconds(inside["duration_s"].to_numpy(), demand.longest_h)
    vcs, vc = _coded(inside["vc"])
    found = SourceJobs(
        job_id=inside["job_id"],
        submit_s=since[row],
        run_s=run,
        gpus=inside["gpus"].to_numpy(),
        vc=vc,
        user=inside["user_hash"],
        patience_s=np.full(row.size, FOREVER),
    )
    _check_gpus(trace.name, found)
    # Whole seconds may tie where fractions of them did not.
    order = in_order(found)
    hashed = bool(log.jobs["vc"].null_count() == log.jobs.height)
    counts = {
        "in_file": log.rows,
        "unusable": dict(log.left_out),
        "outside_window": jobs.height - row.size,
        "jobs": row.size,
        "of_which_cut": cut,
    }
    return Source(
        jobs=taken(found, order),
        vcs=vcs,
        rows=jobs.height,
        row=row[order],
        window_s=window_s,
        assumptions={
            "source/log": {"file": trace.name, "format": demand.trace_format, "sha256": log.sha256},
            "rows": counts,
            "window": {"from_s": demand.from_s, "to_s": demand.from_s + window_s},
            "longest_h": demand.longest_h,
            f"fractional_gpus/{demand.fractional_gpus}": demand.fractional_gpus,
            "virtual_clusters/hashed" if hashed else "virtual_clusters/named": len(vcs),
        },
        files={trace.name: log.sha256},
        remarks=log.remarks,
        unknown=("log_worth", "log_capacity", "log_before"),
    )


def check_window(scenario: Scenario, file: str, jobs: int, window_s: int) -> None:
    """Raise `InputError` for a window without a job, or one longer than a book can be."""
    if not jobs:
        expected = Text("a window with a job in it", "含有作业的时间窗")
        raise InputError([scenario.problem("no-jobs", "demand.from_s", f"no job of {file}", expected)])
    if window_s > MAX_SLOTS * HOUR_S:
        expected = Text(f"a window of at most {MAX_SLOTS} h", f"不超过 {MAX_SLOTS} 小时的时间窗")
        fix = Text("choose a part of it with from_s and to_s", "请用 from_s 与 to_s 选取其中一段")
        raise InputError(
            [scenario.problem("too-long", "demand.to_s", f"{window_s // HOUR_S} h of {file}", expected, fix)]
        )


def _check_gpus(file: str, jobs: SourceJobs) -> None:
    large = np.flatnonzero(jobs.gpus > MAX_GPUS)
    if large.size:
        expected = Text(f"at most {MAX_GPUS} accelerators in one job", f"单个作业不超过 {MAX_GPUS} 张卡")
        found = [f"{jobs.job_id[int(i)]}: {jobs.gpus[i]}" for i in large[:20]]
        raise InputError([Problem("out-of-range", file, None, "gpus", each, expected) for each in found])


def _run_seconds(duration_s: Floats, longest_h: int) -> tuple[Int, int]:
    """Return whole seconds of run time, at least one, and how many jobs were cut at the longest."""
    run = np.maximum(1, np.rint(duration_s)).astype(np.int64)
    return np.minimum(run, longest_h * HOUR_S), int((run > longest_h * HOUR_S).sum())


def _coded(names: pl.Series) -> tuple[tuple[str, ...], Int]:
    """Return the distinct names, sorted, and the index of each row's name."""
    distinct = names.unique().sort()
    table = pl.DataFrame({"name": distinct, "code": np.arange(distinct.len(), dtype=np.int64)})
    codes = names.rename("name").to_frame().join(table, on="name", how="left", maintain_order="left")["code"]
    return tuple(distinct.to_list()), codes.to_numpy()


def in_order(jobs: SourceJobs) -> Int:
    """Return the rows of jobs by (submission, id)."""
    frame = pl.DataFrame({"submit_s": jobs.submit_s, "job_id": jobs.job_id})
    return frame.select(pl.arg_sort_by("submit_s", "job_id")).to_series().to_numpy().astype(np.int64)


def taken(jobs: SourceJobs, rows: Int) -> SourceJobs:
    """Return some rows of jobs."""
    ids, submit_s, run_s, gpus, vc, user, patience_s = jobs
    return SourceJobs(ids[rows], submit_s[rows], run_s[rows], gpus[rows], vc[rows], user[rows], patience_s[rows])


# ---- copies --------------------------------------------------------------------------------------------------------


def arrivals_of(scenario: Scenario, source: Source) -> Arrivals:
    """Multiply the jobs of the source as the scale says, and add those that come at low prices only.

    A job and its copies at the reference price are `scale` in expectation; of each of them, as many more as demand at
    the lowest price that is modelled is above demand at the reference price: `floor ** -elasticity - 1`. Copies are
    shifted by up to `SHIFT_S`, so that they do not come together.

    Raises
    ------
    InputError : there would be more than `MAX_JOBS`
    """
    scale = scenario.demand.scale
    willing = scenario.firms.willingness
    beyond = 0.0 if willing.elasticity is None else willing.floor**-willing.elasticity - 1
    jobs = source.jobs
    check_count(scenario, "demand.scale", jobs.job_id.len() * scale * (1 + beyond))
    here = _counts(source, scenario.seed, "scale", scale)
    low = _counts(source, scenario.seed, "latent", scale * beyond)
    index = np.concatenate([np.repeat(np.arange(here.size), here), np.repeat(np.arange(low.size), low)])
    copy = np.concatenate([_numbers(here), -1 - _numbers(low)])
    if not index.size:
        wanted = Text("a scale that leaves at least one job", "至少留下一个作业的比例")
        raise InputError([scenario.problem("no-jobs", "demand.scale", scale, wanted)])
    draws = Draws(scenario.seed, source.rows, source.row[index], copy)
    submit = jobs.submit_s[index]
    if copy.any():
        moved = _reflected(
            submit + np.rint((2 * draws.uniform("shift") - 1) * SHIFT_S).astype(np.int64), source.window_s
        )
        submit = np.where(copy == 0, submit, moved)
    all_jobs = taken(jobs, index)._replace(job_id=_copy_ids(jobs.job_id, index, copy), submit_s=submit)
    order = in_order(all_jobs)
    return Arrivals(
        jobs=taken(all_jobs, order),
        latent=copy[order] < 0,
        draws=Draws(scenario.seed, source.rows, draws.row[order], copy[order]),
    )


def check_count(scenario: Scenario, path: str, expected: float) -> None:
    """Raise `InputError` for more jobs than any replay could hold.

    Parameters
    ----------
    scenario : the scenario
    path : its field that asks for so many
    expected : number of jobs
    """
    if expected > MAX_JOBS:
        fix = Text("smaller rates, scale or elasticity, or a higher floor", "减小到达速率、scale 或弹性，或提高 floor")
        most = Text(f"at most {MAX_JOBS}", f"不超过 {MAX_JOBS}")
        raise InputError([scenario.problem("too-many", path, f"about {expected:.3g} jobs", most, fix)])


def _counts(source: Source, seed: int, component: str, mean: float) -> Int:
    """Return how many of each job there are: the whole part of the mean, and one more for a seeded sample."""
    whole = int(mean)
    extra = rng(seed, component).random(source.rows)[source.row] < mean - whole
    return whole + extra.astype(np.int64)


def _numbers(counts: Int) -> Int:
    """Number the copies of each job from 0."""
    begin = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(begin, counts)


def _reflected(second: Int, window_s: int) -> Int:
    """Fold seconds outside the window back into it at its ends."""
    folded = np.where(second >= window_s, 2 * (window_s - 1) - second, np.abs(second))
    return np.clip(folded, 0, window_s - 1)


def _copy_ids(ids: pl.Series, index: Int, copy: Int) -> pl.Series:
    """Name copies after their job: `ID~2`, `ID~3` …, and `ID+1` … for those that come at low prices only."""
    named = ids[index]
    if not copy.any():
        return named
    mark, low = "~", "+"
    while ids.str.contains(mark, literal=True).any():
        mark += "~"
    while ids.str.contains(low, literal=True).any():
        low += "+"
    frame = pl.DataFrame({"id": named, "copy": copy})
    number = pl.col("copy")
    return frame.select(
        pl.when(number > 0)
        .then(pl.col("id") + mark + (number + 1).cast(pl.String))
        .when(number < 0)
        .then(pl.col("id") + low + (-number).cast(pl.String))
        .otherwise(pl.col("id"))
        .alias("job_id")
    ).to_series()


def willingness_of(scenario: Scenario, arrivals: Arrivals) -> Int:
    """Return what a GPU-hour is worth to who asks for each job, over the reference price, millionths.

    With an elasticity, demand at a price q over the reference is `q ** -elasticity` from `floor` up. The jobs of the
    trace are the part at 1 and above, job for job; the others lie between `floor` and 1. Both are drawn by the inverse
    of the same survival function. Above `ceiling` no price is asked; what is worth more counts as that.
    """
    willing = scenario.firms.willingness
    if willing.elasticity is None:
        worth = willing.median * np.exp(willing.sigma * arrivals.draws.normal("willingness"))
    else:
        u = 1 - arrivals.draws.uniform("willingness")  # (0, 1]
        most = willing.floor**-willing.elasticity
        survival = np.where(arrivals.latent, 1 + u * (most - 1), u)
        worth = np.minimum(survival ** (-1 / willing.elasticity), willing.ceiling)
    return np.clip(np.rint(worth * MICRO), 1, 1e12).astype(np.int64)
