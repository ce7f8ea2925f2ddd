"""What a replay hands out: one row per job, one per centre and hour, and what only the replay itself can know."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import polars as pl


class JobOutcome(StrEnum):
    """What became of a job."""

    SERVED = "served"
    """It ran to its end."""
    REFUSED = "refused"
    """It could never pay, or nothing within reach could ever hold it."""
    EXPIRED = "expired"
    """It waited until it could no longer end in time."""
    STOPPED = "stopped"
    """An outage stopped it, and it could not be run again in time; it pays for what ran."""
    WAITING = "waiting"
    """It was still waiting or running when the replay ended."""


JOB_SCHEMA: dict[str, pl.DataType] = {
    "job_id": pl.String(),
    "enterprise_id": pl.String(),
    "origin_centre": pl.String(),
    "region": pl.String(),
    "gpus": pl.Int64(),
    "run_s": pl.Int64(),
    "submit_s": pl.Int64(),
    "start_s": pl.Int64(),
    "end_s": pl.Int64(),
    "centre_id": pl.String(),
    "pool_id": pl.String(),
    "outcome": pl.String(),
    "limit_ucny": pl.Int64(),
    "held_s": pl.Int64(),
    "ask_cost_ucny": pl.Int64(),
    "gross_ucny": pl.Int64(),
    "transfer_ucny": pl.Int64(),
    "voucher_ucny": pl.Int64(),
    "net_ucny": pl.Int64(),
    "programme_id": pl.String(),
    "price_ucny_per_gpu_hour": pl.Int64(),
    "kgco2": pl.Float64(),
}
"""By (submit_s, job_id). Seconds count from the start of the window; `region` is that of the origin; `run_s` the run
time at speed 1.0. Set together, and null without a start: start_s, end_s (of the run that counts, the last one),
centre_id, pool_id, price. `held_s`: how long its accelerators are charged (whole hours in the market). Amounts are 0
where nothing is paid, and count all runs of a job; `gross + transfer = voucher + net`. The price is gross over held
GPU-hours. `programme_id`: joined with `;`, null without a voucher. `kgco2` null: not known, or nothing ran."""

SERIES_SCHEMA: dict[str, pl.DataType] = {
    "centre_id": pl.String(),
    "slot": pl.Int64(),
    "gpus": pl.Int64(),
    "used_gpu_hours": pl.Float64(),
    "held_gpu_hours": pl.Float64(),
    "waiting_gpus": pl.Float64(),
    "waiting_jobs": pl.Float64(),
    "price_ucny_per_gpu_hour": pl.Int64(),
}
"""By (centre_id, slot), every slot of the book. `gpus`: what stands there in that hour, own use, growth and outages
counted. `used`: jobs at work; `held`: charged, at least as much. `waiting_…`: mean over the hour of what jobs submitted
to that centre wait for (from submission to start, or to the end of their patience). Price: mean over its pools weighted
by capacity, of the last quote or the round; the ask in a baseline; null where there is no capacity."""


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Result of one replay."""

    jobs: pl.DataFrame
    """`JOB_SCHEMA`."""
    series: pl.DataFrame
    """`SERIES_SCHEMA`."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the frames cannot tell, each entry part of `summary.json`: of a baseline `waiting_while_idle_share` (part of
    the window in which some centre had waiting jobs while another had idle accelerators); of the exact mode `rounds`
    (welfare, bound and gap of each), `ledger` (sums by kind of account); of a cut run `reproducible: false`."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each phase took."""
