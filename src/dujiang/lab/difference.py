"""How far two replays of the same case differ, job by job: fast against exact."""

from typing import Any

import polars as pl

from dujiang.core.money import MICRO
from dujiang.lab.case import Case
from dujiang.lab.replay import JobOutcome, Replay

_S_PER_H = 3600


def difference(case: Case, exact: Replay, fast: Replay) -> dict[str, Any]:
    """Compare two replays on the same jobs.

    Parameters
    ----------
    case : what both replayed
    exact, fast : its replays, in any two modes; the first is what the second is held against

    Returns
    -------
    shares from 0 to 1, None where there is nothing to compare:

    ``same_decision_share`` of all jobs: served by both, or by neither;
    ``same_place_share`` of all jobs: served by both in the same centre, or by neither;
    ``same_start_share`` of the jobs that both serve: in the same hour;
    ``gpu_hours_both``, ``gpu_hours_exact_only``, ``gpu_hours_fast_only``: GPU-hours at speed 1.0 by who serves them;
    ``price_exact_cny``, ``price_fast_cny``: gross payment for a charged GPU-hour, of the jobs that both serve;
    ``price_difference_share``: by how much the fast price is above the exact one, as a share of that; negative: below;
    ``mean_start_difference_h``: by how much later the fast replay starts what both serve, mean over jobs

    Raises
    ------
    ValueError : one of them is not a replay of the case's jobs
    """
    one, two = (_decided(case, replay.jobs) for replay in (exact, fast))
    a, b = one["served"], two["served"]
    both = a & b
    same_centre = (one["centre_id"] == two["centre_id"]).fill_null(value=False)
    hours = one["gpus"] * one["run_s"] / _S_PER_H
    left, right = one.filter(both), two.filter(both)
    price, other = _price(left), _price(right)
    later = (right["start_s"] - left["start_s"]).to_numpy() / _S_PER_H
    return {
        "jobs": one.height,
        "same_decision_share": _share(a == b),
        "same_place_share": _share((~a & ~b) | (both & same_centre)),
        "same_start_share": _share(left["start_s"] // _S_PER_H == right["start_s"] // _S_PER_H),
        "gpu_hours_both": float(hours.filter(both).sum()),
        "gpu_hours_exact_only": float(hours.filter(a & ~b).sum()),
        "gpu_hours_fast_only": float(hours.filter(b & ~a).sum()),
        "price_exact_cny": price,
        "price_fast_cny": other,
        "price_difference_share": other / price - 1.0 if price and other is not None else None,
        "mean_start_difference_h": float(later.mean()) if later.size else None,
    }


def _decided(case: Case, jobs: pl.DataFrame) -> pl.DataFrame:
    """Return jobs with whether each is served; where it is not, no centre counts.

    Raises
    ------
    ValueError : they are not those of the case
    """
    if not jobs["job_id"].equals(case.book.orders["order_id"].alias("job_id")):
        raise ValueError("replays of other jobs cannot be compared job by job")
    served = pl.col("outcome") == JobOutcome.SERVED.value
    return jobs.with_columns(served=served, centre_id=pl.when(served).then("centre_id"))


def _share(flags: pl.Series) -> float | None:
    return int(flags.sum()) / flags.len() if flags.len() else None


def _price(jobs: pl.DataFrame) -> float | None:
    """Return gross over charged GPU-hours, yuan; None where nothing is charged."""
    held_s = int((jobs["gpus"] * jobs["held_s"]).sum())
    return int(jobs["gross_ucny"].sum()) * _S_PER_H / (held_s * MICRO) if held_s else None
