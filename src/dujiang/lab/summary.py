"""The summary of one replay: the document that `summary.json` holds and the report shows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dujiang import __version__
from dujiang.core.money import MICRO
from dujiang.core.slots import instant_text
from dujiang.core.text import Text
from dujiang.exchange.naming import names_of, sources_of
from dujiang.lab import sizes
from dujiang.lab.case import Case
from dujiang.lab.measures import MEASURES, rounded, unit_of, values_of, wait_quantiles
from dujiang.lab.replay import JobOutcome, Replay
from dujiang.lab.scenario import Allocator, Mode
from dujiang.lab.sums import HOUR_S, JOB_SUMS, Float, Window, hourly, measured, ratio, total, totals_by
from dujiang.policy.programme import Per, Programme

FORMAT = "dujiang.sim/1"
CHART_POINTS = 400
"""Most points of a series in a document."""
EXHAUSTED = 0.99
"""A budget counts as exhausted when so much of it is spent: of the rest hardly a voucher can be paid."""
TRACE_SOURCES = {
    "philly": "Jeon et al., Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads, "
    "USENIX ATC 2019; public trace of the authors (CC BY 4.0)",
    "pai": "Weng et al., MLaaS in the Wild: Workload Analysis and Scheduling in Large-Scale Heterogeneous GPU "
    "Clusters, NSDI 2022; public trace of the authors (CC BY 4.0)",
    "helios": "Hu et al., Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU Datacenters, "
    "SC 2021; public trace of the authors (CC BY 4.0)",
}
"""Who published a trace, by its format."""


@dataclass(frozen=True, slots=True)
class Named:
    """A replay with what people call its parts."""

    case: Case
    replay: Replay
    jobs: pl.DataFrame
    """The replay's, with `size`."""
    names: Mapping[str, Text]

    @property
    def window(self) -> Window:
        """Measured hours."""
        return window_of(self.case)

    def name(self, key: str) -> dict[str, str]:
        """Return what people call an id; itself, if nobody calls it otherwise."""
        return self.names.get(key, Text(key, key))._asdict()


def window_of(case: Case) -> Window:
    """Return the measured hours of a case."""
    return Window(case.scenario.warm_up_h, case.window_h)


def named(case: Case, replay: Replay) -> Named:
    """Return a replay with names, and the size of each job's firm."""
    jobs = sizes.with_size(replay.jobs, case.book.enterprises)
    return Named(case, replay, jobs, {**names_of(case.book, case.programmes), **sizes.size_names()})


def mode_of(case: Case) -> str:
    """Return how a case is replayed: `exact`, `fast`, `both`, or `queues` of a baseline."""
    return case.scenario.mode.value if case.scenario.allocator is Allocator.MARKET else "queues"


def run_summary(run: Named, digest: str) -> dict[str, Any]:
    """Return the summary of one replay; money in yuan, shares from 0 to 1, null for what is not known.

    Parameters
    ----------
    run : the replay
    digest : of all that decides its result
    """
    case, scenario, window = run.case, run.case.scenario, run.window
    jobs = measured(run.jobs, window)
    sums = total(hourly(run.jobs, run.replay.series, window))
    values = {**values_of(sums), **wait_quantiles(jobs)}
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "title": scenario.title._asdict(),
        "mode": mode_of(case),
        "policy": scenario.allocator.value,
        "coupling": scenario.coupling.value,
        "clock": scenario.clock.value,
        "seed": scenario.seed,
        "start": instant_text(scenario.start),
        "round_every_h": scenario.round_every_h if mode_of(case) in (Mode.EXACT, Mode.BOTH) else None,
        "admit_every_h": scenario.admit_every_h if mode_of(case) in (Mode.EXACT, Mode.BOTH) else None,
        "window_h": case.window_h,
        "warm_up_h": scenario.warm_up_h,
        "digest": digest,
        "sources": dict(sorted(case.sources.items())),
        "jobs": jobs.height,
        "firms": jobs["enterprise_id"].n_unique(),
        "centres": case.book.centres.height,
        "gpus": rounded(sums["stood"] / max(1, window.hours), "gpu_hours"),
        **{measure.key: rounded(values[measure.key], measure.unit) for measure in MEASURES},
        "outcomes": _outcomes(jobs),
        "by_size": _groups(run, jobs, "size", sizes.size_names()),
        "by_region": _groups(run, jobs, "region", ()),
        "by_centre": _centres(run, jobs),
        "programmes": [_programme(run, programme) for programme in case.programmes.values()],
        "series": chart_series(run.replay.series),
    }
    document.update({key: value for key, value in run.replay.extra.items() if key not in document})
    document.setdefault("waiting_while_idle_share", None)
    document.setdefault("reproducible", True)
    if case.measured:
        document["calibration"] = {
            "measured": dict(case.measured),
            "replayed": _replayed(run, document["waiting_while_idle_share"]),
            "unknown": [text._asdict() for text in case.unknown],
        }
    document["assumptions"] = dict(case.assumptions)
    document["citations"] = _citations(case)
    return document


def _outcomes(jobs: pl.DataFrame) -> dict[str, int]:
    counts = dict(jobs["outcome"].value_counts().iter_rows())
    return {outcome.value: counts[outcome.value] for outcome in JobOutcome if outcome.value in counts}


def _groups(run: Named, jobs: pl.DataFrame, column: str, first: Iterable[str]) -> list[dict[str, Any]]:
    """Return the figures of each group of jobs; groups in the order of `first`, others after by key."""
    sums = totals_by(jobs, column, JOB_SUMS)
    keys = dict.fromkeys([*(key for key in first if key in sums), *sums])
    shown = (
        *("served_share", "gpu_hours_asked", "gpu_hours_served", "gpu_hours_served_share", "mean_wait_h"),
        *("voucher_cny", "net_cny", "buyer_surplus_cny"),
    )
    groups = []
    for key in keys:
        values = values_of({**sums[key], **_NO_SERIES})
        firms = jobs.filter(pl.col(column) == key)["enterprise_id"].n_unique()
        figures = {name: rounded(values[name], unit_of(name)) for name in shown}
        groups.append({"key": key, "name": run.name(key), "firms": firms, "jobs": int(sums[key]["jobs"]), **figures})
    return groups


_NO_SERIES: dict[str, Float] = dict.fromkeys(("stood", "used", "held_series"), np.asarray(0.0))


def _centres(run: Named, jobs: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what stood and ran in each centre, and at which mean price."""
    book, window = run.case.book, run.window
    inside = run.replay.series.filter((pl.col("slot") >= window.first_h) & (pl.col("slot") < window.end_h))
    columns = {"stood": pl.col("gpus"), "used": pl.col("used_gpu_hours"), "held_series": pl.col("held_gpu_hours")}
    stood = totals_by(inside, "centre_id", columns)
    waiting = totals_by(inside, "centre_id", {"gpus": pl.col("waiting_gpus")})
    sold = totals_by(jobs.filter(pl.col("centre_id").is_not_null()), "centre_id", JOB_SUMS)
    none = dict.fromkeys(JOB_SUMS, np.asarray(0.0))
    rows = []
    for centre, region in zip(book.centres["centre_id"], run.case.region_of, strict=True):
        here, served = stood.get(centre, _NO_SERIES), sold.get(centre, none)
        rows.append(
            {
                "centre_id": centre,
                "name": run.name(centre),
                "region": region,
                "region_name": run.name(region),
                "gpus": rounded(here["stood"] / max(1, window.hours), "gpu_hours"),
                "utilisation": rounded(ratio(here["used"], here["stood"]), "share"),
                "held_utilisation": rounded(ratio(here["held_series"], here["stood"]), "share"),
                "mean_price_cny": rounded(ratio(served["gross"], served["held"]) / MICRO, "cny_per_gpu_hour"),
                "jobs_served": int(served["served"]),
                "turnover_cny": rounded(served["gross"] / MICRO, "cny"),
                "mean_waiting_gpus": rounded(
                    waiting.get(centre, {"gpus": np.asarray(0.0)})["gpus"] / max(1, window.hours), "gpu_hours"
                ),
            }
        )
    return rows


def _programme(run: Named, programme: Programme) -> dict[str, Any]:
    """Return what became of a programme's budget, over all jobs: a warm-up spends of it too.

    A voucher is spent when its job starts. A job with several vouchers is none of a single programme: its frame says
    what they paid together, and it is left out here and counted in `jobs_with_several`.
    """
    mine = run.jobs.filter(pl.col("voucher_ucny") > 0)
    several = pl.col("programme_id").str.split(";").list.contains(programme.id) & pl.col("programme_id").str.contains(
        ";"
    )
    shared = mine.filter(several).height
    mine = mine.filter(pl.col("programme_id") == programme.id).sort("start_s", "job_id")
    spent = mine["voucher_ucny"].cum_sum()
    hour = mine["start_s"] / HOUR_S
    caps = [cap.amount_ucny for cap in programme.caps if cap.per is Per.ENTERPRISE]
    budget = None if programme.budget is None else programme.budget.amount_ucny
    last = 0 if mine.is_empty() else int(mine["start_s"][-1]) // (24 * HOUR_S)
    days = max(-(-run.case.window_h // 24), last + 1)
    by_day = np.bincount(mine["start_s"].to_numpy() // (24 * HOUR_S), mine["voucher_ucny"].to_numpy(), days).cumsum()

    def reached(share: float) -> float | None:
        if not budget:
            return None
        at = spent.search_sorted(share * budget)
        return None if at >= len(spent) else rounded(hour[int(at)], "h")

    return {
        "id": programme.id,
        "name": programme.name._asdict(),
        "rate": None
        if programme.rate is None or programme.rate.share_ppm is None
        else programme.rate.share_ppm / MICRO,
        "cap_cny": None if not caps else caps[0] / MICRO,
        "budget_cny": None if budget is None else budget / MICRO,
        "spent_cny": rounded((spent[-1] if len(spent) else 0) / MICRO, "cny"),
        "firms": mine["enterprise_id"].n_unique(),
        "jobs": mine.height,
        "jobs_with_several": shared,
        "half_spent_h": reached(0.5),
        "exhausted_h": reached(EXHAUSTED),
        "spent_by_day_cny": [rounded(value / MICRO, "cny") for value in by_day],
    }


def chart_series(series: pl.DataFrame) -> dict[str, list[float | None]]:
    """Return the whole fleet over time, in at most `CHART_POINTS` steps, until the last job has ended.

    Returns
    -------
    `hours` at which a step begins, `used_share`, `waiting_gpus` and `price_cny`, a mean weighted by capacity
    """
    busy = series.filter((pl.col("held_gpu_hours") > 0) | (pl.col("waiting_gpus") > 0))["slot"].max()
    end = int(busy) + 1 if isinstance(busy, int) else 1
    step = -(-end // CHART_POINTS)
    inside = series.filter(pl.col("slot") < end).sort("slot", "centre_id")
    at = inside["slot"].to_numpy() // step

    def added(expression: pl.Expr) -> Float:
        values = inside.select(expression.cast(pl.Float64).fill_null(0.0))
        return np.bincount(at, values.to_series().to_numpy(), -(-end // step)).astype(np.float64)

    gpus, price = pl.col("gpus"), pl.col("price_ucny_per_gpu_hour")
    hours = np.minimum(step, end - np.arange(-(-end // step)) * step)
    lines = {
        "used_share": (ratio(added(pl.col("used_gpu_hours")), added(gpus)), "share"),
        "waiting_gpus": (added(pl.col("waiting_gpus")) / hours, "gpu_hours"),
        "price_cny": (ratio(added(gpus * price), added(gpus * price.is_not_null())) / MICRO, "cny_per_gpu_hour"),
    }
    shown: dict[str, list[float | None]] = {"hours": [float(h) for h in range(0, end, step)]}
    shown.update({key: [rounded(v, unit) for v in values] for key, (values, unit) in lines.items()})
    return shown


def _replayed(run: Named, waiting_while_idle: float | None) -> dict[str, float | None]:
    """Return what the replay says of the figures that the trace's owner measured."""
    window = run.window
    inside = run.replay.series.filter((pl.col("slot") >= window.first_h) & (pl.col("slot") < window.end_h))
    stood, held, waiting = (
        float(inside[column].cast(pl.Float64).sum()) for column in ("gpus", "held_gpu_hours", "waiting_gpus")
    )
    hours = max(1, window.hours)
    return {
        "allocated_share": rounded(held / stood if stood else None, "share"),
        "waiting_while_idle_share": waiting_while_idle,
        "mean_pending_gpus": rounded(waiting / hours, "gpu_hours"),
        "mean_idle_gpus": rounded((stood - held) / hours, "gpu_hours"),
    }


def _citations(case: Case) -> list[dict[str, Any]]:
    cited = [(source.what, source.citation) for source in sources_of(case.programmes)]
    demand = case.scenario.demand
    if demand.trace is not None and demand.trace_format in TRACE_SOURCES:
        cited.append((Text("Trace of jobs", "作业轨迹"), TRACE_SOURCES[demand.trace_format]))
    cited.append(sizes.CITATION)
    return [{"what": what._asdict(), "citation": citation} for what, citation in cited]


__all__ = ["FORMAT", "Named", "chart_series", "mode_of", "named", "run_summary", "window_of"]
