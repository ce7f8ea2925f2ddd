"""From what a replay noted down per job to its two frames: every GPU-second and micro-yuan once.

Seconds are added up as whole numbers, and become hours in the last step only. So the held GPU-hours of the series are
those of the jobs, whatever the hours are cut into.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.lab.case import Case, Index, Int
from dujiang.lab.outages import standing
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA, JobOutcome
from dujiang.market.compiled import bare, loop
from dujiang.metering.usage import emissions_kgco2, facility_energy_kwh, it_energy_kwh

Code = npt.NDArray[np.int8]
Float = npt.NDArray[np.float64]

HOUR_S = 3600
OUTCOMES = tuple(JobOutcome)
"""Outcome of each code."""
SERVED, REFUSED, EXPIRED, STOPPED, WAITING = range(len(OUTCOMES))
NEVER = -1
"""Stands for no second, no pool and no programme."""
_MICRO_HOURS = 1_000_000


class Results(NamedTuple):
    """What became of every job, in the order of `case.jobs`; all of shape (J,), seconds from the start of the window.

    The run that counts is the last one. Runs before it, which outages cut short, stand in `Cut`.
    """

    outcome: Code
    """Place in `OUTCOMES`."""
    start_s: Int
    """Of the run that counts; `NEVER`: it never started."""
    end_s: Int
    """When that run ended or was stopped, or when the replay ended."""
    pool: Index
    """Row of `book.pools`; `NEVER` without a start."""
    left_s: Int
    """When a job stopped waiting without another start: refused, out of patience, end of the replay; `NEVER` for a job
    that ran to its end, or was running at the end."""
    held_s: Int
    """Charged time of all runs."""
    ask_cost: Int
    """Cost of all runs at the asks, micro-yuan."""
    gross: Int
    """Paid to centres for all runs, micro-yuan."""
    transfer: Int
    voucher: Int
    net: Int
    """``gross + transfer = voucher + net``."""
    programme: Index
    """Place in the list of programmes' names; `NEVER` without a voucher."""


class Cut(NamedTuple):
    """Runs that outages cut short and that are not the last of their job: by job, then start; all of shape (N,)."""

    job: Index
    pool: Index
    start_s: Int
    end_s: Int
    """When it was stopped."""
    held_s: Int
    """Charged for it, at least ``end_s - start_s``."""


def no_cut() -> Cut:
    """Return the table without rows."""
    rows, seconds = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    return Cut(rows, rows, seconds, seconds, seconds)


def name_all(
    programme_ids: Sequence[str], names: list[str], programme: Index, job: Int, option: Int, paid: npt.NDArray[np.bool_]
) -> None:
    """Let a job's column name the programmes of all its runs, in the order of their ids.

    Parameters
    ----------
    programme_ids : of the case
    names : texts to which the column points, the first ones those of the options; longer afterwards
    programme : [J] changed in place
    job, option, paid : [N] runs that were cut short, their option, and whether a voucher was paid
    """
    used: dict[int, set[str]] = {}
    for j, o in zip(job[paid].tolist(), option[paid].tolist(), strict=True):
        used.setdefault(j, set()).update(names[o].split(";"))
    for j, own in used.items():
        if programme[j] != NEVER:
            own.update(names[programme[j]].split(";"))
        programme[j] = len(names)
        names.append(";".join(name for name in programme_ids if name in own))


# ---- jobs --------------------------------------------------------------------------------------------------------


def job_frame(case: Case, results: Results, cut: Cut, programmes: Sequence[str]) -> pl.DataFrame:
    """Return the frame of jobs (`JOB_SCHEMA`), rows as in the case.

    Parameters
    ----------
    case : what was replayed
    results, cut : what became of every job
    programmes : texts for the column `programme_id`, to which `results.programme` points
    """
    orders, pools = case.book.orders, case.book.pools
    began = results.start_s != NEVER
    outcome = pl.Series([name.value for name in OUTCOMES], dtype=pl.String)
    columns = {
        "job_id": orders["order_id"],
        "enterprise_id": orders["enterprise_id"],
        "origin_centre": _named(case.book.centres["centre_id"], case.jobs.origin),
        "region": _named(pl.Series(case.region_of, dtype=pl.String), case.jobs.origin),
        "gpus": orders["gpus"],
        "run_s": case.jobs.run_s,
        "submit_s": case.jobs.submit_s,
        "start_s": _known(results.start_s, began),
        "end_s": _known(results.end_s, began),
        "centre_id": _named(pools["centre_id"], results.pool),
        "pool_id": _named(pools["pool_id"], results.pool),
        "outcome": _named(outcome, results.outcome),
        "limit_ucny": orders["limit_ucny"],
        "held_s": results.held_s,
        "ask_cost_ucny": results.ask_cost,
        "gross_ucny": results.gross,
        "transfer_ucny": results.transfer,
        "voucher_ucny": results.voucher,
        "net_ucny": results.net,
        "programme_id": _named(pl.Series(programmes, dtype=pl.String), results.programme),
        "price_ucny_per_gpu_hour": _price(results, orders["gpus"].to_numpy()),
        "kgco2": _kgco2(case, results, cut),
    }
    return pl.DataFrame(columns, schema=JOB_SCHEMA)


def _named(names: pl.Series, rows: npt.NDArray[np.integer]) -> pl.Series:
    """Return the name at each row; null where there is none."""
    at = pl.Series(rows.astype(np.int64)).replace(NEVER, None)
    return names.gather(at)


def _known(values: Int | Float, there: npt.NDArray[np.bool_]) -> pl.Series:
    return pl.select(pl.when(pl.Series(there)).then(pl.Series(values))).to_series()


def _price(results: Results, gpus: Int) -> pl.Series:
    """Return gross over held GPU-hours, rounded half up."""
    held = results.held_s * gpus
    whole, rest = np.divmod(results.gross, np.maximum(held, 1))
    price = whole * HOUR_S + (rest * HOUR_S + held // 2) // np.maximum(held, 1)
    return _known(price, (held > 0) & (results.start_s != NEVER))


def _kgco2(case: Case, results: Results, cut: Cut) -> pl.Series:
    """Return what the true run time of all runs emitted; null where nothing ran or a figure is not known."""
    per_hour = _kg_per_gpu_hour(case)
    gpus = case.book.orders["gpus"].to_numpy()
    last = np.where(results.start_s != NEVER, results.end_s - results.start_s, 0)
    total = np.where(last > 0, gpus * last / HOUR_S * per_hour[results.pool], 0.0)
    np.add.at(total, cut.job, gpus[cut.job] * (cut.end_s - cut.start_s) / HOUR_S * per_hour[cut.pool])
    ran = last > 0
    ran[cut.job] = True
    return _known(total, ran & ~np.isnan(total))


def _kg_per_gpu_hour(case: Case) -> Float:
    """Return the emissions of an accelerator at work in each pool, kgCO2 per hour; NaN: not known."""
    centres = case.book.centres.select("centre_id", "pue", "grid_kgco2_per_kwh")
    joined = case.book.pools.join(centres, on="centre_id", how="left", maintain_order="left")
    found = [
        emissions_kgco2(facility_energy_kwh(it_energy_kwh(_MICRO_HOURS, watts), pue), grid)
        for watts, pue, grid in joined.select("watts_per_gpu", "pue", "grid_kgco2_per_kwh").iter_rows()
    ]
    return np.array([np.nan if kg is None else kg for kg in found])


# ---- series ------------------------------------------------------------------------------------------------------


def series_frame(case: Case, results: Results, cut: Cut, price: Int) -> pl.DataFrame:
    """Return the frame of centres and hours (`SERIES_SCHEMA`).

    Parameters
    ----------
    case : what was replayed
    results, cut : what became of every job
    price : [P, T] micro-yuan per GPU-hour of every pool and hour
    """
    centres, pools, slots = case.book.centres, case.book.pools, case.book.slots
    names = pl.DataFrame({"centre_id": centres["centre_id"], "row": np.arange(centres.height, dtype=np.int32)})
    centre_of = pools.join(names, on="centre_id", how="left", maintain_order="left")["row"].to_numpy()
    stands = standing(case)
    gpus, worth = (np.zeros((centres.height, slots), dtype=np.int64) for _ in range(2))
    np.add.at(gpus, centre_of, stands)
    np.add.at(worth, centre_of, stands * price)
    hours = np.zeros((4, centres.height, slots + 1), dtype=np.int64)
    steps = np.zeros_like(hours)
    of_job = case.book.orders["gpus"].to_numpy()
    _add_runs(hours, steps, results, cut, centre_of, of_job, case.jobs.submit_s, case.jobs.origin)
    seconds = (hours + np.cumsum(steps, axis=2))[:, :, :slots]
    used, held, waiting_gpus, waiting_jobs = (seconds / HOUR_S).reshape(4, -1)
    least = np.maximum(gpus, 1)
    columns = {
        "centre_id": _named(centres["centre_id"], np.repeat(np.arange(centres.height), slots)),
        "slot": np.tile(np.arange(slots), centres.height),
        "gpus": gpus.reshape(-1),
        "used_gpu_hours": used,
        "held_gpu_hours": held,
        "waiting_gpus": waiting_gpus,
        "waiting_jobs": waiting_jobs,
        "price_ucny_per_gpu_hour": _known(((worth + least // 2) // least).reshape(-1), (gpus > 0).reshape(-1)),
    }
    return pl.DataFrame(columns, schema=SERIES_SCHEMA)


@bare
def _spread(hours: Int, steps: Int, row: int, weight: int, begin: int, end: int) -> None:
    """Spread ``weight`` over the seconds [begin, end) of the replay: parts of hours in `hours`, whole ones in `steps`.

    Parameters
    ----------
    hours, steps : [C, T + 1]; the seconds of an hour are its own plus the sum of steps up to it
    """
    slots = hours.shape[1] - 1
    begin, end = max(begin, 0), min(end, slots * HOUR_S)
    if begin >= end:
        return
    first, last = begin // HOUR_S, end // HOUR_S
    if first == last:
        hours[row, first] += weight * (end - begin)
        return
    hours[row, first] += weight * ((first + 1) * HOUR_S - begin)
    steps[row, first + 1] += weight * HOUR_S
    steps[row, last] -= weight * HOUR_S
    hours[row, last] += weight * (end - last * HOUR_S)


@loop
def _add_runs(
    hours: Int,
    steps: Int,
    results: Results,
    cut: Cut,
    centre_of: Index,
    gpus: Int,
    submit: Int,
    origin: Index,
) -> None:
    """Add up, for every centre and hour, GPU-seconds used, held and waited for, and job-seconds waited.

    Parameters
    ----------
    hours, steps : [4, C, T + 1], changed in place
    """
    at = 0
    for j in range(gpus.shape[0]):
        weight, home = gpus[j], origin[j]
        since = submit[j]
        held = results.held_s[j]
        while at < cut.job.shape[0] and cut.job[at] == j:
            c = centre_of[cut.pool[at]]
            begin, end = cut.start_s[at], cut.end_s[at]
            _spread(hours[0], steps[0], c, weight, begin, end)
            _spread(hours[1], steps[1], c, weight, begin, begin + cut.held_s[at])
            _spread(hours[2], steps[2], home, weight, since, begin)
            _spread(hours[3], steps[3], home, 1, since, begin)
            since = end
            held -= cut.held_s[at]
            at += 1
        begin = results.start_s[j]
        if begin != NEVER:
            c = centre_of[results.pool[j]]
            _spread(hours[0], steps[0], c, weight, begin, results.end_s[j])
            _spread(hours[1], steps[1], c, weight, begin, begin + held)
            _spread(hours[2], steps[2], home, weight, since, begin)
            _spread(hours[3], steps[3], home, 1, since, begin)
            since = results.end_s[j]
        if results.left_s[j] != NEVER:
            _spread(hours[2], steps[2], home, weight, since, results.left_s[j])
            _spread(hours[3], steps[3], home, 1, since, results.left_s[j])


__all__ = [
    *("EXPIRED", "HOUR_S", "NEVER", "OUTCOMES", "REFUSED", "SERVED", "STOPPED", "WAITING"),
    *("Code", "Cut", "Results", "job_frame", "name_all", "no_cut", "series_frame"),
]
