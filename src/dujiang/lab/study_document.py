"""The document of a study: what each point came to, against its reference, with intervals."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dujiang import __version__
from dujiang.core.text import Text
from dujiang.lab.bootstrap import Interval, Resamples, Sample, intervals, resamples, sample
from dujiang.lab.design import Points, Study, key_name, plain
from dujiang.lab.effects import ALL_EFFECTS, FIRMS, OF_MONEY, effect_values, pair_sums, paired, wait_changes, who_gains
from dujiang.lab.measures import MEASURES, QUANTILES, Measure, rounded, values_of
from dujiang.lab.search import best_of, frontier, measure_at
from dujiang.lab.sums import Float, Window, hourly
from dujiang.store.results import SUMMARY

FORMAT = "dujiang.study/1"
_JOBS_READ = (
    *("job_id", "enterprise_id", "region", "gpus", "run_s", "submit_s", "start_s", "outcome", "limit_ucny", "held_s"),
    *("ask_cost_ucny", "gross_ucny", "transfer_ucny", "voucher_ucny", "net_ucny", "kgco2", "size"),
)
_SERIES_READ = ("slot", "gpus", "used_gpu_hours", "held_gpu_hours")
_KEPT_RUNS = 6
"""Frames of so many runs stay in memory: those of references, which several points need."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run left in its folder."""

    folder: Path
    summary: Mapping[str, Any]
    jobs: pl.DataFrame
    sums: Mapping[str, Float]
    """By measured hour."""

    @property
    def window(self) -> Window:
        """Measured hours."""
        return _window(self.summary)


def _window(summary: Mapping[str, Any]) -> Window:
    return Window(summary["warm_up_h"], summary["window_h"])


@lru_cache(maxsize=_KEPT_RUNS)
def _read_run(folder: Path) -> Run:
    summary = read_summary(folder)
    jobs = pl.read_parquet(folder / "jobs.parquet", columns=list(_JOBS_READ))
    series = pl.read_parquet(folder / "series.parquet", columns=list(_SERIES_READ))
    return Run(folder, summary, jobs, hourly(jobs, series, _window(summary)))


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a run's folder."""
    document: dict[str, Any] = json.loads((folder / SUMMARY).read_bytes())
    return document


class Figures:
    """What the points of a study came to, each worked out once its runs are there.

    Parameters
    ----------
    study : its design
    points : what is replayed; may grow
    folders : of the runs, per point and seed; may grow
    """

    def __init__(self, study: Study, points: Points, folders: Sequence[Sequence[Path]]) -> None:
        self._study, self._points, self._folders = study, points, folders
        self._draws: dict[int, Resamples | None] = {}
        self._samples: dict[int, Sample] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        _read_run.cache_clear()

    def row(self, index: int) -> dict[str, Any]:
        """Return one point as the document holds it."""
        if index not in self._rows:
            self._rows[index] = self._row(index)
        return self._rows[index]

    def rows(self) -> list[dict[str, Any]]:
        """Return all points, in order."""
        references = [self._points.reference(index) for index in range(len(self._points.found))]
        # Points of one reference follow each other, so that its runs are read once.
        for index in sorted(range(len(references)), key=lambda n: (references[n] is not None, references[n] or 0, n)):
            self.row(index)
        _read_run.cache_clear()
        return [self.row(index) for index in range(len(references))]

    def _drawn(self, hours: set[int]) -> Resamples | None:
        """Return the resamples of a window: all points of one length share theirs."""
        if len(hours) > 1:
            return None
        study, (length,) = self._study, hours
        if length not in self._draws:
            count, seed = study.resamples, study.design_seed
            self._draws[length] = resamples(length, len(study.seeds), block_h=study.block_h, count=count, seed=seed)
        return self._draws[length]

    def _sample(self, index: int, runs: Sequence[Run], drawn: Resamples | None) -> Sample:
        """Return the sums of a point, drawn once however many points are compared with it."""
        if index not in self._samples:
            self._samples[index] = sample([run.sums for run in runs], drawn)
        return self._samples[index]

    def _row(self, index: int) -> dict[str, Any]:
        point, there = self._points.found[index], self._points.reference(index)
        runs = [_read_run(folder) for folder in self._folders[index]]
        summaries = [run.summary for run in runs]
        drawn, level = self._drawn({run.window.hours for run in runs}), self._study.level
        mine = self._sample(index, runs, drawn)
        measured = _estimates(MEASURES, values_of, [mine], level)
        most = _budgets(summaries)
        _cut(measured["voucher_cny"], most)
        measured.update({key: _mean([summary[key] for summary in summaries], "h") for key in QUANTILES})
        row = {
            "index": index,
            "values": plain(point.values),
            "label": point.label._asdict(),
            "reference": there,
            "runs": [run.folder.name for run in runs],
            "measures": {measure.key: measured[measure.key] for measure in MEASURES},
            "effects": {},
            "who": None,
            **{key: _mean_rows([summary[key] for summary in summaries], ident) for key, ident in _ROWS.items()},
            "series": _mean_series([summary["series"] for summary in summaries]),
        }
        if there is not None:
            others = [_read_run(folder) for folder in self._folders[there]]
            if _comparable(runs, others):
                _compare(row, runs, others, [mine, self._sample(there, others, drawn)], drawn, level)
                _cut(row["effects"]["change.voucher_cny"], most)
                if there == index or not _only_programmes(point.values, self._points.found[there].values):
                    row["effects"].update({key: dict.fromkeys(("mean", "low", "high")) for key in OF_MONEY})
        return row


def study_document(
    study: Study, points: Points, folders: Sequence[Sequence[Path]], figures: Figures, engine: str
) -> dict[str, Any]:
    """Return the document of a study.

    Parameters
    ----------
    study : its design
    points : what was replayed
    folders : of the runs, per point and seed
    figures : of the points
    engine : which made the runs
    """
    rows = figures.rows()
    common = {row["reference"] for row in rows if row["reference"] is not None}
    per_point = [[read_summary(folder) for folder in one] for one in folders]
    summaries = [summary for one in per_point for summary in one]
    alike, differing = _assumptions(summaries, [one[0] for one in per_point])
    return {
        "format": FORMAT,
        "version": __version__,
        "title": study.title._asdict(),
        "question": None if study.question is None else study.question._asdict(),
        "engine": engine,
        "factors": [
            {
                "key": factor.key,
                "name": factor.name._asdict(),
                "values": plain(factor.values),
                "labels": [label._asdict() for label in factor.labels],
            }
            for factor in study.factors
        ],
        "seeds": list(study.seeds),
        "reference": common.pop() if len(common) == 1 else None,
        "level": study.level,
        "resamples": study.resamples,
        "block_h": study.block_h,
        "points": rows,
        "measures": [measure.described() for measure in (*MEASURES, *ALL_EFFECTS)],
        "search": _search(study, rows),
        "scenario": _scenario(study, summaries),
        "assumptions": alike,
        "differing_assumptions": differing,
        "citations": _union([citation for summary in summaries for citation in summary["citations"]]),
    }


_ROWS = {"by_size": "key", "by_region": "key", "by_centre": "centre_id", "programmes": "id"}


def _only_programmes(here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Say whether two points differ in nothing but programmes; what one leaves as it is in the scenario counts too."""
    differing = {key for key in {**here, **there} if key not in here or key not in there or here[key] != there[key]}
    return all(key.partition(".")[0] == "programmes" for key in differing)


def _budgets(summaries: Sequence[Mapping[str, Any]]) -> float | None:
    """Return what all programmes of a run may spend, yuan; None: there is no limit, or no programme."""
    budgets = [programme["budget_cny"] for summary in summaries for programme in summary["programmes"]]
    return None if not budgets or None in budgets else round(sum(budgets) / len(summaries), 2)


def _cut(vouchers: dict[str, float | None], most: float | None) -> None:
    """Cut the upper end where resampled days would spend more than there is: no run ever does."""
    high = vouchers["high"]
    if high is not None and most is not None:
        vouchers["high"] = min(high, most)


def _comparable(here: Sequence[Run], there: Sequence[Run]) -> bool:
    """Say whether the runs of two points have the same jobs, seed by seed."""
    both = zip(here, there, strict=True)
    return all(a.window == b.window and (a is b or paired(a.jobs, b.jobs)) for a, b in both)


def _compare(
    row: dict[str, Any],
    here: Sequence[Run],
    there: Sequence[Run],
    samples: Sequence[Sample],
    drawn: Resamples | None,
    level: float,
) -> None:
    """Add the effects of one point against another, whose samples stand in `samples`."""
    both = list(zip(here, there, strict=True))
    pairs = sample([pair_sums(a.jobs, b.jobs, a.window) for a, b in both], drawn)
    found = _estimates(ALL_EFFECTS, effect_values, [*samples, pairs], level)
    changes = [wait_changes(a.jobs, b.jobs, a.window) for a, b in both]
    found.update({key: _mean([change[key] for change in changes], "h") for key in changes[0]})
    names = {g["key"]: Text(**g["name"]) for g in here[0].summary["by_region"]}
    who = [who_gains(a.jobs, b.jobs, a.window, names) for a, b in both]
    found.update({measure.key: _mean([one[measure.key] for one in who], "count") for measure in FIRMS})
    row["effects"] = {measure.key: found[measure.key] for measure in ALL_EFFECTS if measure.key in found}
    row["who"] = {key: _mean_rows([one[key] for one in who], "key") for key in ("by_size", "by_region")}


def _estimates(
    measures: Sequence[Measure],
    formula: Callable[..., Mapping[str, Float]],
    samples: Sequence[Sample],
    level: float,
) -> dict[str, dict[str, float | None]]:
    """Return mean and interval of each measure that a formula gives."""
    found = intervals(formula, samples, level)
    return {m.key: _estimate(*found[m.key], m.unit) for m in measures if m.key in found}


def _estimate(mean: float, ends: Interval, unit: str) -> dict[str, float | None]:
    return {"mean": rounded(mean, unit), "low": rounded(ends.low, unit), "high": rounded(ends.high, unit)}


def _mean(values: Sequence[float | None], unit: str) -> dict[str, float | None]:
    """Return the mean over seeds of a figure without an interval; not known if one is not."""
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known and len(known) == len(values) else None
    return {"mean": rounded(mean, unit), "low": None, "high": None}


def _mean_rows(tables: Sequence[Sequence[Mapping[str, Any]]], ident: str) -> list[dict[str, Any]]:
    """Return the mean over seeds of tables; a row that one seed lacks is the mean over the others."""
    order = dict.fromkeys(row[ident] for table in tables for row in table)
    by_key = [{row[ident]: row for row in table} for table in tables]
    return [_mean_row([rows[key] for rows in by_key if key in rows]) for key in order]


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of rows of figures; texts are those of the first, cumulative lists are as long as the longest."""
    row: dict[str, Any] = {}
    for key, first in rows[0].items():
        values = [one[key] for one in rows]
        known = [value for value in values if isinstance(value, int | float)]
        if isinstance(first, list):
            longest = max(map(len, values))
            even = [[*value, *([value[-1]] * (longest - len(value)))] for value in values if value]
            row[key] = [round(float(v), 2) for v in np.mean(even, axis=0)] if even else []
        elif known and not isinstance(first, str | dict):
            # A date that some seeds never reach has no mean.
            row[key] = round(float(np.mean(known)), 6) if len(known) == len(values) else None
        else:
            row[key] = first
    return row


def _mean_series(series: Sequence[Mapping[str, list[float | None]]]) -> dict[str, list[float | None]]:
    """Return the mean over seeds of lines over time, as far as all go in the same steps; else those of the first."""
    steps = [one["hours"][1] if len(one["hours"]) > 1 else 0.0 for one in series]
    if len(set(steps)) > 1:
        return dict(series[0])
    shortest = min(len(one["hours"]) for one in series)
    lines: dict[str, list[float | None]] = {"hours": series[0]["hours"][:shortest]}
    for key in series[0]:
        if key != "hours":
            columns = zip(*(one[key][:shortest] for one in series), strict=True)
            lines[key] = [
                None if None in column else round(float(np.mean([v for v in column if v is not None])), 6)
                for column in columns
            ]
    return lines


def _assumptions(
    summaries: Sequence[Mapping[str, Any]], of_points: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the assumptions that all runs share, and those that differ, as the first run of each point has them."""
    entries = dict.fromkeys(name for summary in summaries for name in summary["assumptions"])
    alike = {}
    for name in entries:
        first = summaries[0]["assumptions"].get(name)
        if all(summary["assumptions"].get(name) == first for summary in summaries):
            alike[name] = first
    differing = [
        {"entry": name, "values": [summary["assumptions"].get(name) for summary in of_points]}
        for name in entries
        if name not in alike
    ]
    return alike, differing


def _union(items: Sequence[Any]) -> list[Any]:
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def _scenario(study: Study, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    demand = study.scenario.value.get("demand")
    trace = demand.get("trace") if isinstance(demand, dict) else None
    first = summaries[0]
    return {
        "trace": None if trace is None else Path(str(trace)).name,
        "format": demand.get("format") if isinstance(demand, dict) else None,
        **{key: first[key] for key in ("firms", "centres", "gpus", "window_h", "warm_up_h", "mode", "policy")},
        "jobs": first["jobs"],
        "jobs_most": max(summary["jobs"] for summary in summaries),
        "runs": len(summaries),
        "jobs_in_all": sum(summary["jobs"] for summary in summaries),
        "sources": {name: digest for summary in summaries for name, digest in summary["sources"].items()},
    }


def _search(study: Study, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    search = study.search
    if search is None:
        return None
    cost, goal = ([measure_at(row, key) for row in rows] for key in (search.against, search.goal))
    return {
        "goal": search.goal,
        "direction": "max" if search.maximise else "min",
        "budget": search.at_most,
        "evaluations": search.evaluations,
        "x": search.against,
        "y": search.goal,
        "over": [
            {"key": axis.key, "name": key_name(axis.key)._asdict(), "low": axis.low, "high": axis.high}
            for axis in search.axes
        ],
        "frontier": frontier(cost, goal, maximise=search.maximise),
        "best": best_of(search, cost, goal),
    }


__all__ = ["FORMAT", "read_summary", "study_document"]
