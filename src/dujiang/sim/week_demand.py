"""Demand of the demonstration week: invented enterprises, and workloads like those of published clusters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.catalog.tables import trace_statistics
from dujiang.core.slots import SHANGHAI, instant_text
from dujiang.sim.assumption import component_rng
from dujiang.sim.fit import fit_cut_lognormal, fit_powers_of_two
from dujiang.sim.week_supply import demo_rows

SLOTS = 168
LONGEST_RUN_H = 96
LARGEST_GPUS = 128
SINGLE_SHARE = 0.55
SHORTEST_RUN_H = 1 / 3600
INFERENCE_GPUS = ((1, 2, 4, 8), (0.5, 0.25, 0.15, 0.1))
INFERENCE_HOURS = ((8, 12, 24, 48), (0.35, 0.3, 0.25, 0.1))
RTT_MS_MAX = ((5.0, 20.0), (0.6, 0.4))
"""Round-trip times that inference bears: the published targets from a cluster to its cities, and from hub to hub."""
SLACK_H = MappingProxyType({"training": ((6, 24, 72), (0.25, 0.5, 0.25)), "inference": ((2,), (1.0,))})
STRETCH = 2
"""Window per hour of run time at speed 1.0, so that slower accelerators can serve too."""
VALUE_CNY_PER_GPU_HOUR = MappingProxyType({"training": (11.0, 0.4), "inference": (14.0, 0.3)})
"""Median and sigma of the lognormal of what one GPU-hour at speed 1.0 is worth to an enterprise."""
DATA_GB = (100.0, 1.5)
"""Median and sigma of the lognormal of the data that training moves."""
INFERENCE_DATA_GB = 20.0
STACKS = (("cuda", "cuda;cann", ""), (0.6, 0.25, 0.15))
LARGE_GPUS = 16
LARGE_ACCELERATORS = ("a800-80-sxm", "ascend-910b", "ascend-910c", "h20-96", "h800-80-sxm")
MEDIUM_GPUS = 4
MEDIUM_ACCELERATORS = (*LARGE_ACCELERATORS, "hygon-k100-ai", "l40s-48", "mtt-s4000")
HOURS_OF_DAY = (0.35,) * 8 + (0.8, 1.3, 1.3, 1.3, 0.9, 1.4, 1.4, 1.4, 1.4, 1.4, 1.1, 1.1, 1.1, 1.1, 0.7, 0.7)
"""Relative number of workloads that begin in each hour of a working day, local time."""
WEEKEND = 0.6
KINDS = MappingProxyType(
    {
        "enterprise": 0.32,
        "software_it_enterprise": 0.36,
        "manufacturing_enterprise": 0.14,
        "university": 0.10,
        "research_institute": 0.08,
    }
)
NO_REVENUE = ("university", "research_institute")
EMPLOYEES = (60.0, 1.3)
REVENUE_CNY_PER_EMPLOYEE = (400_000.0, 0.6)
ACTIVITY_SIGMA = 1.0
STARTUP_YEARS = 3
STARTUP_EMPLOYEES_MAX = 100

_NORMAL = NormalDist()
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Source:
    """A published cluster whose jobs a part of the training orders is like."""

    statistic: str
    """Row of the catalogue's trace statistics."""
    share: float
    """Part of all orders."""
    rank_correlation: float
    """Of size and run time (Gaussian copula); chosen such that the GPU-hours per job come out as published."""
    gpu_hours_per_job: float
    """Published GPU time of completed, cancelled and failed jobs together over the number of GPU jobs."""


SOURCES = (
    Source("philly", 0.45, 0.4, 17.0),
    Source("helios", 0.25, 0.27, 13.7),
    Source("acme-seren", 0.10, 0.5, 9.0),
)
"""The rest of the orders is inference."""


def enterprises(count: int, start: date, seed: int) -> pl.DataFrame:
    """Return the enterprises, with `region` (of origin) and `activity` (weight of its orders) beside the columns."""
    rng = component_rng(seed, "enterprises")
    cities = demo_rows("demo_cities")
    weights = np.array([float(row["weight"]) for row in cities])
    # Every city has someone: the demonstration shows all of its programmes.
    city = np.concatenate([np.arange(len(cities)), rng.choice(len(cities), count, p=weights / weights.sum())])[:count]
    kind = rng.choice(list(KINDS), count, p=list(KINDS.values()))
    employees = np.clip(_lognormal(rng, EMPLOYEES, count), 3, 50_000).astype(np.int64)
    revenue = employees * _lognormal(rng, REVENUE_CNY_PER_EMPLOYEE, count)
    age_days = np.minimum(rng.exponential(8 * 365.0, count), 60 * 365).astype(np.int64) + 30
    return pl.DataFrame(
        {
            "enterprise_id": [f"e{i + 1:04d}" for i in range(count)],
            "province": [cities[c]["province"] for c in city],
            "city": [cities[c]["city"] for c in city],
            "kind": kind.tolist(),
            "founded": [start - timedelta(days=int(d)) for d in age_days],
            "employees": employees,
            "revenue_cny": [
                None if k in NO_REVENUE else float(round(r, -3)) for k, r in zip(kind, revenue.tolist(), strict=True)
            ],
            "region": [cities[c]["region"] for c in city],
            "activity": _lognormal(rng, (1.0, ACTIVITY_SIGMA), count),
        }
    )


def orders(count: int, who: pl.DataFrame, start: datetime, seed: int) -> pl.DataFrame:
    """Return the orders, numbered by time of submission, with `source` (whose jobs it is like) beside the columns.

    Parameters
    ----------
    count : number of orders
    who : frame of `enterprises`
    start : start of the round, UTC
    seed : seed of the week
    """
    rng = component_rng(seed, "orders")
    source = rng.choice([*(s.statistic for s in SOURCES), ""], count, p=[*(s.share for s in SOURCES), _rest()])
    gpus, hours = _sizes(source, seed)
    purpose = ["training" if s else "inference" for s in source.tolist()]
    is_training = source != ""
    slots = np.ceil(hours).astype(np.int64)
    release = _begin(component_rng(seed, "release"), SLOTS - slots)
    slack = np.where(is_training, _pick(rng, SLACK_H["training"], count), _pick(rng, SLACK_H["inference"], count))
    deadline = np.minimum(release + STRETCH * slots + slack.astype(np.int64), SLOTS)
    value = np.where(
        is_training,
        _lognormal(rng, VALUE_CNY_PER_GPU_HOUR["training"], count),
        _lognormal(rng, VALUE_CNY_PER_GPU_HOUR["inference"], count),
    )
    data_gb = np.where(is_training, _lognormal(rng, DATA_GB, count), INFERENCE_DATA_GB)
    rtt = _pick(rng, RTT_MS_MAX, count)
    stack = rng.choice(list(STACKS[0]), count, p=list(STACKS[1])).tolist()
    activity = who["activity"].to_numpy()
    asker = rng.choice(who.height, count, p=activity / activity.sum())
    startup = _startups(who, start.astimezone(SHANGHAI).date())
    before = component_rng(seed, "submitted")
    submitted_s = _begin(before, np.full(count, SLOTS)) * 3600 + before.integers(0, 3600, count)
    frame = pl.DataFrame(
        {
            "enterprise_id": who["enterprise_id"].gather(asker),
            "gpus": gpus,
            "hours": np.round(hours, 6),
            "release": release,
            "deadline": deadline,
            "limit_cny": np.maximum(0.01, np.round(gpus * slots * value, 2)),
            "submitted": [instant_text(start + timedelta(seconds=int(s) - SLOTS * 3600)) for s in submitted_s],
            "accelerators": [_accelerators(int(g)) for g in gpus],
            "stacks": stack,
            "origin_region": who["region"].gather(asker),
            "data_gb": np.round(data_gb, 1),
            "rtt_ms_max": [None if t else r for t, r in zip(is_training.tolist(), rtt.tolist(), strict=True)],
            "purpose": purpose,
            "startup": startup.gather(asker),
            "source": source.tolist(),
        }
    )
    # Ties in the second of submission keep the order of drawing, so that numbering is one thing only.
    frame = frame.sort("submitted", maintain_order=True)
    return frame.select(pl.Series("order_id", [f"o{i + 1:05d}" for i in range(count)]), pl.all())


def claims(who: pl.DataFrame, placed: pl.DataFrame, claimed: Mapping[str, tuple[str, Sequence[float]]]) -> pl.DataFrame:
    """Return what the busiest firms of a few cities claimed before this round.

    Parameters
    ----------
    who : frame of `enterprises`
    placed : frame of `orders`
    claimed : by programme: the city, and amounts in yuan, that of the firm with the most orders first
    """
    busy = placed.group_by("enterprise_id").len().join(who, on="enterprise_id")
    busy = busy.filter(~pl.col("kind").is_in(NO_REVENUE)).sort("len", "enterprise_id", descending=[True, False])
    rows = [
        (firm, programme, "2025", amount)
        for programme, (city, amounts) in claimed.items()
        for firm, amount in zip(busy.filter(pl.col("city") == city)["enterprise_id"], amounts, strict=False)
    ]
    return pl.DataFrame(
        rows,
        schema={
            "enterprise_id": pl.String,
            "programme_id": pl.String,
            "period": pl.String,
            "amount_cny": pl.Float64,
        },
        orient="row",
    )


def _rest() -> float:
    return 1.0 - sum(s.share for s in SOURCES)


def _sizes(source: npt.NDArray[np.str_], seed: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Draw accelerators and hours at speed 1.0 for each order."""
    count = len(source)
    rng = component_rng(seed, "sizes")
    z_gpus, noise = rng.standard_normal(count), rng.standard_normal(count)
    gpus = _pick(rng, INFERENCE_GPUS, count).astype(np.int64)
    hours = _pick(rng, INFERENCE_HOURS, count).astype(np.float64)
    for part in SOURCES:
        rows = source == part.statistic
        published = trace_statistics()[part.statistic]
        assert published.mean_gpus_per_job is not None
        assert published.mean_run_s is not None
        assert published.median_run_s is not None
        size = fit_powers_of_two(published.mean_gpus_per_job, SINGLE_SHARE, LARGEST_GPUS)
        run = fit_cut_lognormal(published.mean_run_s / 3600, published.median_run_s / 3600, LONGEST_RUN_H)
        rho = part.rank_correlation
        z_run = rho * z_gpus[rows] + math.sqrt(1 - rho * rho) * noise[rows]
        gpus[rows] = size.quantile(_cdf(z_gpus[rows]))
        hours[rows] = np.maximum(run.quantile(_cdf(z_run)), SHORTEST_RUN_H)
    return gpus, hours


def _cdf(z: Floats) -> Floats:
    # A normal draw beyond eight sigma would round to a share of one, which no quantile has.
    return np.array([_NORMAL.cdf(float(x)) for x in np.clip(z, -8, 8)])


def _begin(rng: np.random.Generator, end: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Draw an hour of the week from 0 up to and with `end`, by the pattern of day and week."""
    day = np.array(HOURS_OF_DAY)
    week = np.concatenate([day * (WEEKEND if d >= 5 else 1.0) for d in range(7)])
    edges = np.concatenate([[0.0], np.cumsum(week)])
    reach = edges[np.minimum(end + 1, SLOTS)]
    drawn = np.searchsorted(edges, rng.random(len(end)) * reach, side="right") - 1
    first: npt.NDArray[np.int64] = np.minimum(drawn, np.minimum(end, SLOTS - 1)).astype(np.int64)
    return first


def _pick(rng: np.random.Generator, table: tuple[Sequence[float], Sequence[float]], count: int) -> Floats:
    values = np.array(table[0], dtype=np.float64)
    drawn: Floats = values[rng.choice(len(values), count, p=list(table[1]))]
    return drawn


def _lognormal(rng: np.random.Generator, table: tuple[float, float], count: int) -> Floats:
    median, sigma = table
    return median * np.exp(sigma * rng.standard_normal(count))


def _accelerators(gpus: int) -> str:
    if gpus >= LARGE_GPUS:
        return ";".join(LARGE_ACCELERATORS)
    return ";".join(MEDIUM_ACCELERATORS) if gpus >= MEDIUM_GPUS else ""


def _startups(who: pl.DataFrame, day: date) -> pl.Series:
    since = day - timedelta(days=365 * STARTUP_YEARS)
    young = (pl.col("founded") > since) & (pl.col("employees") <= STARTUP_EMPLOYEES_MAX)
    return who.select((young & ~pl.col("kind").is_in(NO_REVENUE)).alias("startup")).to_series()
