"""Sums of a replay by hour: what every measure, and every interval around one, is worked out from.

A job counts in the hour of its submission, capacity and its use in the hour itself. So a stretch of hours holds the
demand that came in it and the work that was done in it, and the bootstrap can draw whole stretches.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.lab.replay import JobOutcome

Float = npt.NDArray[np.float64]
Sums = Mapping[str, Float]
"""Sums by name; arrays of one shape: an entry per hour, per resample, or a single one."""
HOUR_S = 3600


class Window(NamedTuple):
    """Hours that are measured, half-open."""

    first_h: int
    end_h: int

    @property
    def hours(self) -> int:
        """Number of measured hours."""
        return self.end_h - self.first_h


SERVED = pl.col("outcome") == JobOutcome.SERVED.value
SUPPORTED = pl.col("voucher_ucny") > 0
ASKED = pl.col("gpus") * pl.col("run_s") / HOUR_S
"""GPU-hours of work of a job at speed 1.0: the same wherever it runs, so runs with other pools can be compared."""

JOB_SUMS: dict[str, pl.Expr] = {
    "jobs": pl.lit(1.0),
    "served": SERVED,
    "asked": ASKED,
    "done": ASKED * SERVED,
    "wait_h": (pl.col("start_s") - pl.col("submit_s")) / HOUR_S * SERVED,
    "held": pl.col("gpus") * pl.col("held_s") / HOUR_S,
    "gross": pl.col("gross_ucny"),
    "transfer": pl.col("transfer_ucny"),
    "net": pl.col("net_ucny"),
    "voucher": pl.col("voucher_ucny"),
    "ask_cost": pl.col("ask_cost_ucny"),
    "limit_done": pl.col("limit_ucny") * SERVED,
    "supported": ASKED * (SERVED & SUPPORTED),
    "net_supported": pl.col("net_ucny") * SUPPORTED,
    "kg": pl.col("kgco2"),
    "kg_unknown": pl.col("kgco2").is_null() & (pl.col("held_s") > 0),
}
"""Name of a sum -> what a job adds to it. GPU-hours, hours, micro-yuan, kilograms; `asked` and `done` at speed 1.0.
Money counts what stopped jobs paid as well; `limit_done` is what was worth it to those who were served."""
SERIES_SUMS: dict[str, pl.Expr] = {
    "stood": pl.col("gpus"),
    "used": pl.col("used_gpu_hours"),
    "held_series": pl.col("held_gpu_hours"),
}
"""Name of a sum -> what a row of the series adds: GPU-hours that stood there, were at work, and were charged."""


def measured(jobs: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return the jobs that were submitted in the measured hours."""
    submit = pl.col("submit_s")
    return jobs.filter((submit >= window.first_h * HOUR_S) & (submit < window.end_h * HOUR_S))


def _added(frame: pl.DataFrame, what: Mapping[str, pl.Expr], at: npt.NDArray[np.int64], size: int) -> dict[str, Float]:
    """Add up expressions of the rows of a frame in `size` places, row after row: the same rows give the same bits."""
    values = frame.select(e.cast(pl.Float64).fill_null(0.0).alias(name) for name, e in what.items())
    return {name: np.bincount(at, values[name].to_numpy(), size).astype(np.float64) for name in what}


def by_hour(jobs: pl.DataFrame, window: Window, what: Mapping[str, pl.Expr]) -> dict[str, Float]:
    """Add up what measured jobs add, by hour of submission.

    Parameters
    ----------
    jobs : with `submit_s` and what the expressions ask for
    window : which hours
    what : name -> what a job adds; null adds nothing

    Returns
    -------
    name -> one entry per measured hour
    """
    inside = measured(jobs, window)
    return _added(inside, what, inside["submit_s"].to_numpy() // HOUR_S - window.first_h, window.hours)


def hourly(jobs: pl.DataFrame, series: pl.DataFrame, window: Window) -> dict[str, Float]:
    """Return all sums of one replay by measured hour."""
    inside = series.filter((pl.col("slot") >= window.first_h) & (pl.col("slot") < window.end_h))
    at = inside["slot"].to_numpy() - window.first_h
    return {**by_hour(jobs, window, JOB_SUMS), **_added(inside, SERIES_SUMS, at, window.hours)}


def totals_by(jobs: pl.DataFrame, key: str, what: Mapping[str, pl.Expr]) -> dict[str, dict[str, Float]]:
    """Return the sums of each value of a text column, in the order of the values.

    Returns
    -------
    value -> name -> sum, an array without axes
    """
    names = jobs[key].unique().drop_nulls().sort()
    inside = jobs.filter(pl.col(key).is_not_null())
    at = inside[key].cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
    sums = _added(inside, what, at, len(names))
    return {str(value): {name: np.asarray(sums[name][row]) for name in what} for row, value in enumerate(names)}


def total(sums: Sums) -> dict[str, Float]:
    """Return the sums over all hours, each an array without axes."""
    return {name: np.asarray(values.sum()) for name, values in sums.items()}


def ratio(numerator: Float, denominator: Float) -> Float:
    """Divide; NaN, which stands for not known, where there is nothing to divide by."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    out: Float = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out


__all__ = [
    *("ASKED", "HOUR_S", "JOB_SUMS", "SERIES_SUMS", "SERVED", "SUPPORTED", "Float", "Sums", "Window"),
    *("by_hour", "hourly", "measured", "ratio", "total", "totals_by"),
]
