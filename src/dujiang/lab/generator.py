"""Made-up demand: like the jobs of a trace, or like those of a cluster whose owners published means and medians."""

import math
from dataclasses import replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import polars as pl

from dujiang.catalog.tables import trace_statistics
from dujiang.core.errors import InputError
from dujiang.core.problem import Problem
from dujiang.core.slots import SHANGHAI
from dujiang.core.text import Text
from dujiang.lab.demand import DAY_S, FOREVER, HOUR_S, Source, SourceJobs, check_count, taken
from dujiang.lab.draws import Floats, Int, rng
from dujiang.lab.scenario import Scenario
from dujiang.sim.fit import fit_cut_lognormal, fit_powers_of_two
from dujiang.sim.week_demand import HOURS_OF_DAY, LARGEST_GPUS, SINGLE_SHARE, SOURCES, WEEKEND

GPU_HOURS = {source.statistic: source.gpu_hours_per_job for source in SOURCES}
"""Published GPU time over the number of GPU jobs, of the clusters for which both are known."""
LIKE = tuple(GPU_HOURS)
VC_SIGMA = 1.0
"""Spread of how much demand a virtual cluster has, where nothing tells (lognormal)."""

_NORMAL = NormalDist()
# Beyond eight sigma the share below rounds to one, which no quantile has.
_GRID = np.linspace(-8.0, 8.0, 4001)
_HALVINGS = 30


def made_like_trace(scenario: Scenario, trace: Source) -> Source:
    """Make up demand for `generate_h` hours: jobs drawn from those of the trace, arrivals by its hours of the day.

    A job keeps its size, run time, virtual cluster and user together. Arrivals are independent of each other, with the
    mean rate of the window (or the scenario's) and the part of each hour of the day that it has in the trace: bursts,
    weekdays and trends are not kept.
    """
    demand = scenario.demand
    assert demand.generate_h is not None
    jobs = trace.jobs
    pattern = np.bincount(jobs.submit_s // HOUR_S % 24, minlength=24).astype(np.float64)
    hours = np.minimum(trace.window_s - np.arange(24) * HOUR_S, trace.window_s)
    seen = np.maximum(1, -(-hours // DAY_S))
    per_h = jobs.job_id.len() / (trace.window_s / HOUR_S) if demand.jobs_per_h is None else demand.jobs_per_h
    submit = _arrivals(scenario, per_h, (pattern / seen)[np.arange(demand.generate_h) % 24])
    drawn = rng(scenario.seed, "made.jobs").integers(0, jobs.job_id.len(), submit.size)
    made = taken(jobs, drawn)._replace(job_id=_ids(submit.size), submit_s=submit)
    said = {"jobs": submit.size, "jobs_per_h": round(per_h, 4), "hours": demand.generate_h}
    return replace(
        trace,
        jobs=made,
        rows=submit.size,
        row=np.arange(submit.size),
        window_s=demand.generate_h * HOUR_S,
        assumptions={**trace.assumptions, "made_up/trace": said},
    )


def made_like_published(scenario: Scenario) -> Source:
    """Make up demand with the means and medians that the owners of a cluster published.

    Raises
    ------
    InputError : no run times up to `longest_h` have the published mean and median
    """
    demand = scenario.demand
    assert demand.generate_h is not None
    assert demand.jobs_per_h is not None
    submit = _arrivals(scenario, demand.jobs_per_h, _working_hours(scenario, demand.generate_h))
    shape = _shape(scenario)
    z, noise = rng(scenario.seed, "made.sizes").standard_normal((2, submit.size))
    rho = shape.rank_correlation
    run = np.rint(shape.hours(rho * z + math.sqrt(1 - rho * rho) * noise) * HOUR_S)
    width = len(str(demand.vcs))
    names = tuple(f"vc{n + 1:0{width}d}" for n in range(demand.vcs))
    published = trace_statistics()[demand.like]
    said = {
        "like": demand.like,
        "mean_gpus": published.mean_gpus_per_job,
        "mean_run_s": published.mean_run_s,
        "median_run_s": published.median_run_s,
        "gpu_hours_per_job": round(shape.gpu_hours, 2),
        "rank_correlation": round(shape.rank_correlation, 4),
        "single_share": SINGLE_SHARE,
        "largest_gpus": LARGEST_GPUS,
        "jobs": submit.size,
        "jobs_per_h": demand.jobs_per_h,
        "hours": demand.generate_h,
        "source": published.source,
    }
    nobody = pl.Series("user", [None], dtype=pl.String).new_from_index(0, submit.size)
    return Source(
        jobs=SourceJobs(
            job_id=_ids(submit.size),
            submit_s=submit,
            run_s=np.clip(run, 1, demand.longest_h * HOUR_S).astype(np.int64),
            gpus=shape.gpus(z),
            vc=_clusters(scenario, submit.size),
            user=nobody,
            patience_s=np.full(submit.size, FOREVER),
        ),
        vcs=names,
        rows=submit.size,
        row=np.arange(submit.size),
        window_s=demand.generate_h * HOUR_S,
        assumptions={
            "made_up/published": said,
            "time_of_day": {"hours_of_day": list(HOURS_OF_DAY), "weekend": WEEKEND},
            "longest_h": demand.longest_h,
            "virtual_clusters/made_up": {"virtual_clusters": demand.vcs, "sigma": VC_SIGMA},
        },
        unknown=("made_up",),
    )


def _ids(count: int) -> pl.Series:
    """Name jobs in the order of their submission, so that ties in a second keep it."""
    width = len(str(count))
    number = pl.int_range(1, count + 1, eager=True).cast(pl.String).str.zfill(width)
    return ("job-" + pl.Series("job_id", number)).alias("job_id")


def _arrivals(scenario: Scenario, per_h: float, weights: Floats) -> Int:
    """Draw seconds of submission, sorted: a Poisson number, each in an hour by its weight.

    Raises
    ------
    InputError : nothing arrived, or too much would
    """
    check_count(scenario, "demand.jobs_per_h", per_h * weights.size)
    source = rng(scenario.seed, "made.arrivals")
    count = int(source.poisson(per_h * weights.size))
    if not count:
        expected = Text("a rate at which at least one job comes", "至少有一个作业到达的速率")
        found = f"no job in {weights.size} h at {per_h:g} an hour"
        raise InputError([scenario.problem("no-jobs", "demand.jobs_per_h", found, expected)])
    edges = np.cumsum(weights)
    hour = np.searchsorted(edges, source.random(count) * edges[-1], side="right")
    second = np.minimum(hour, weights.size - 1) * HOUR_S + source.integers(0, HOUR_S, count)
    return np.sort(second).astype(np.int64)


def _working_hours(scenario: Scenario, hours: int) -> Floats:
    """Return the weight of each hour by the pattern of day and week in Shanghai."""
    local = scenario.start.astimezone(SHANGHAI)
    of_week = local.weekday() * 24 + local.hour + np.arange(hours)
    weekend = of_week // 24 % 7 >= 5
    weights: Floats = np.array(HOURS_OF_DAY)[of_week % 24] * np.where(weekend, WEEKEND, 1.0)
    return weights


class _Shape(NamedTuple):
    """Sizes and run times as functions of two standard normal draws that are correlated."""

    size_edges: Floats
    """(K - 1,), draws from which on a job has two, four, eight … accelerators."""
    log_run_h: Floats
    """Logarithm of the run time in hours at each of `_GRID`."""
    rank_correlation: float
    gpu_hours: float
    """Mean of a job, with that correlation."""

    def gpus(self, z: Floats) -> Int:
        """Return accelerators."""
        return np.left_shift(1, np.searchsorted(self.size_edges, z, side="right")).astype(np.int64)

    def hours(self, z: Floats) -> Floats:
        """Return run times in hours."""
        return np.exp(np.interp(z, _GRID, self.log_run_h))


def _shape(scenario: Scenario) -> _Shape:
    """Fit sizes and run times to what was published, and their correlation to the GPU-hours of a job.

    Raises
    ------
    InputError : no run times up to `longest_h` have the published mean and median
    """
    published = trace_statistics()[scenario.demand.like]
    mean_gpus, mean_run, median_run = published.mean_gpus_per_job, published.mean_run_s, published.median_run_s
    assert mean_gpus is not None
    assert mean_run is not None
    assert median_run is not None
    try:
        run = fit_cut_lognormal(mean_run / HOUR_S, median_run / HOUR_S, scenario.demand.longest_h)
    except ValueError as error:
        raise InputError([_too_short(scenario, mean_run)]) from error
    size = fit_powers_of_two(mean_gpus, SINGLE_SHARE, LARGEST_GPUS)
    edges = np.array([_NORMAL.inv_cdf(share) for share in np.cumsum(size.shares)[:-1].tolist()])
    log_run_h = np.log(run.quantile(np.array([_NORMAL.cdf(z) for z in _GRID.tolist()])))
    low, high = 0.0, 0.99
    shape = _Shape(edges, log_run_h, low, 0.0)
    for _ in range(_HALVINGS):
        shape = _with_gpu_hours(shape._replace(rank_correlation=(low + high) / 2))
        if shape.gpu_hours < GPU_HOURS[scenario.demand.like]:
            low = shape.rank_correlation
        else:
            high = shape.rank_correlation
    return shape


def _with_gpu_hours(shape: _Shape) -> _Shape:
    """Work the mean GPU-hours of a job out: the mean over a grid of both draws, weighted by their density."""
    z = np.linspace(-6, 6, 301)
    weight = np.exp(-z * z / 2)
    weight /= weight.sum()
    rho = shape.rank_correlation
    mean_run = shape.hours(rho * z[:, None] + math.sqrt(1 - rho * rho) * z) @ weight
    return shape._replace(gpu_hours=float((shape.gpus(z) * mean_run) @ weight))


def _too_short(scenario: Scenario, mean_run_s: float) -> Problem:
    expected = Text(
        f"hours up to which run times with the published mean of {mean_run_s / HOUR_S:.2f} h can go",
        f"可容纳公布平均时长 {mean_run_s / HOUR_S:.2f} 小时的上限",
    )
    return scenario.problem("out-of-range", "demand.longest_h", scenario.demand.longest_h, expected)


def _clusters(scenario: Scenario, count: int) -> Int:
    """Draw the virtual cluster of each job; how much demand each has is drawn, too."""
    source = rng(scenario.seed, "made.clusters")
    edges = np.cumsum(np.exp(VC_SIGMA * source.standard_normal(scenario.demand.vcs)))
    drawn: Int = np.searchsorted(edges, source.random(count) * edges[-1], side="right").astype(np.int64)
    return np.minimum(drawn, edges.size - 1)
