"""What an award really used: hours, GPU-hours, energy, carbon.

Hours are exact: whole micro-hours of market time. Energy and carbon are estimates from the catalogue's figures of the
pool and its centre, in floats, and null as soon as one figure is not known; a guess would end up on somebody's invoice.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction

import polars as pl

from dujiang.core.money import MICRO, div_half_even
from dujiang.dispatch.connector import JobState, JobStatus

_US = timedelta(microseconds=1)
_S_PER_HOUR = 3600
_W_MICRO_PER_KW = 1000 * MICRO


class UsageOutcome(StrEnum):
    """How an award's use ended."""

    ENDED = "ended"
    """It ran to its own end."""
    FAILED = "failed"
    """It failed; what ran until then is paid."""
    CANCELLED = "cancelled"
    """It was stopped: at the end of its award, or before on request."""
    NEVER_STARTED = "never_started"
    """Nothing ran, nothing is paid."""
    UNSEEN = "unseen"
    """There is no reading; billing waits for one or for the end of the dispute window (design 6.4)."""


@dataclass(frozen=True, slots=True)
class AwardedRun:
    """What of an award metering looks at; names and units of `awards.parquet`."""

    order_id: str
    pool_id: str
    centre_id: str
    enterprise_id: str
    start: int
    """First slot."""
    slots: int
    """Slots awarded; more than the run needs only by the part of an hour."""
    gpus: int
    hours_micro: int
    """Run time in that pool, micro-hours; 0 < hours_micro <= slots hours."""
    stand_in: bool
    """Whether a stand-in runs because the order has no command."""


@dataclass(frozen=True, slots=True)
class PowerFigures:
    """What is known of the power of a pool; None: not known."""

    watts_per_gpu: float | None = None
    """W of IT equipment, one accelerator at work with its share of the node."""
    pue: float | None = None
    """Facility energy over IT energy, dimensionless, >= 1."""
    grid_kgco2_per_kwh: float | None = None
    """Emission factor of the power drawn, kgCO2/kWh."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One award's meter reading. The three hours are None together, when it is unseen; so is every energy then."""

    order_id: str
    pool_id: str
    centre_id: str
    enterprise_id: str
    start: int
    slots: int
    gpus: int
    outcome: UsageOutcome
    run_hours_micro: int | None
    """Market time that it ran, micro-hours; 0 <= run_hours_micro <= slots hours."""
    gpu_hours_micro: int | None
    """`gpus * run_hours_micro`."""
    it_kwh: float | None
    """Energy at the IT equipment, kWh; None unless the watts are known."""
    kwh: float | None
    """Energy at the facility's meter, kWh; None unless the PUE is known too."""
    kgco2: float | None
    """Emissions of that energy, kgCO2; None unless the grid factor is known too."""
    watts_per_gpu: float | None
    pue: float | None
    grid_kgco2_per_kwh: float | None
    market_end_micro: int | None
    """End of use, micro-hours from the start of the book."""


USAGE_SCHEMA: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "pool_id": pl.String(),
    "centre_id": pl.String(),
    "enterprise_id": pl.String(),
    "start": pl.Int64(),
    "slots": pl.Int64(),
    "gpus": pl.Int64(),
    "outcome": pl.String(),
    "run_hours_micro": pl.Int64(),
    "gpu_hours_micro": pl.Int64(),
    "it_kwh": pl.Float64(),
    "kwh": pl.Float64(),
    "kgco2": pl.Float64(),
    "watts_per_gpu": pl.Float64(),
    "pue": pl.Float64(),
    "grid_kgco2_per_kwh": pl.Float64(),
    "market_end_micro": pl.Int64(),
}
"""Columns of `usage.parquet`; the fields of `Usage`, in their order."""


def metered(
    run: AwardedRun, status: JobStatus, *, market_s_per_real_s: Fraction | int, power: PowerFigures | None = None
) -> Usage:
    """Turn what a connector saw of an award's job into its meter reading.

    A stand-in that ended by itself ran exactly the award's `hours_micro`: its sleep is a scaled clock, and the noise of
    the machine that slept is not the workload's. What was stopped at its limit ran the whole award. Everything else
    that started ran its wall time, scaled, and never more than it could have: a command its slots, a stand-in its
    `hours_micro`.

    Parameters
    ----------
    run : the award
    status : of its job, in a terminal state or unseen; cancel a job first that must not run any more
    market_s_per_real_s : how much faster than the wall clock the market's runs, > 0; exact, hence no float
    power : figures of the pool and its centre; None: nothing is known

    Raises
    ------
    ValueError : the job may still run, or it ran and its connector does not say when, against `JobStatus`
    """
    if not (status.state.is_terminal or status.state is JobState.UNSEEN):
        raise ValueError(f"job {status.job_id} is {status.state}: there is no reading before its end")
    outcome = _outcome(status)
    hours = None if outcome is UsageOutcome.UNSEEN else _run_hours_micro(run, status, outcome, market_s_per_real_s)
    gpu_hours = None if hours is None else run.gpus * hours
    figures = power or PowerFigures()
    it_kwh = it_energy_kwh(gpu_hours, figures.watts_per_gpu)
    kwh = facility_energy_kwh(it_kwh, figures.pue)
    return Usage(
        order_id=run.order_id,
        pool_id=run.pool_id,
        centre_id=run.centre_id,
        enterprise_id=run.enterprise_id,
        start=run.start,
        slots=run.slots,
        gpus=run.gpus,
        outcome=outcome,
        run_hours_micro=hours,
        gpu_hours_micro=gpu_hours,
        it_kwh=it_kwh,
        kwh=kwh,
        kgco2=emissions_kgco2(kwh, figures.grid_kgco2_per_kwh),
        watts_per_gpu=figures.watts_per_gpu,
        pue=figures.pue,
        grid_kgco2_per_kwh=figures.grid_kgco2_per_kwh,
        market_end_micro=None if hours is None else run.start * MICRO + hours,
    )


def usage_frame(usages: Iterable[Usage]) -> pl.DataFrame:
    """Return readings as a frame with the columns of `USAGE_SCHEMA`, sorted by order_id."""
    rows = [asdict(usage) | {"outcome": usage.outcome.value} for usage in usages]
    return pl.DataFrame(rows, schema=USAGE_SCHEMA, orient="row").sort("order_id")


def it_energy_kwh(gpu_hours_micro: int | None, watts_per_gpu: float | None) -> float | None:
    """Return the energy of accelerators at work, each with its share of the node, kWh at the IT equipment.

    Parameters
    ----------
    gpu_hours_micro : micro-GPU-hours, >= 0
    watts_per_gpu : W
    """
    if gpu_hours_micro is None or watts_per_gpu is None:
        return None
    return gpu_hours_micro * watts_per_gpu / _W_MICRO_PER_KW


def facility_energy_kwh(it_kwh: float | None, pue: float | None) -> float | None:
    """Return the energy that the whole data centre draws for it, kWh: PUE = E_total / E_IT.

    The PUE of a centre is a mean over a year; that of a single hour differs.

    References
    ----------
    ISO/IEC 30134-2, power usage effectiveness (convention `pue` of the catalogue).
    """
    return None if it_kwh is None or pue is None else it_kwh * pue


def emissions_kgco2(kwh: float | None, grid_kgco2_per_kwh: float | None) -> float | None:
    """Return the CO2 of energy at the facility's meter, kg, with all power taken from the grid.

    Over the IT energy this is CUE = CO2_total / E_IT = PUE * grid factor.

    References
    ----------
    ISO/IEC 30134-8:2022, carbon usage effectiveness (convention `cue` of the catalogue).
    """
    return None if kwh is None or grid_kgco2_per_kwh is None else kwh * grid_kgco2_per_kwh


def _outcome(status: JobStatus) -> UsageOutcome:
    if status.state is JobState.UNSEEN:
        return UsageOutcome.UNSEEN
    if status.started is None and status.state in (JobState.CANCELLED, JobState.FAILED):
        return UsageOutcome.NEVER_STARTED
    return UsageOutcome(status.state.value)


def _run_hours_micro(
    run: AwardedRun, status: JobStatus, outcome: UsageOutcome, market_s_per_real_s: Fraction | int
) -> int:
    whole = run.slots * MICRO
    assert 0 < run.hours_micro <= whole, run
    if outcome is UsageOutcome.NEVER_STARTED:
        return 0
    if outcome is UsageOutcome.ENDED and run.stand_in:
        return run.hours_micro
    if status.limit_reached:
        return whole
    if status.started is None or status.ended is None:
        raise ValueError(f"job {status.job_id} is {status.state} without the times that its bill needs")
    scale = Fraction(market_s_per_real_s)
    wall_us = (status.ended - status.started) // _US
    ran = div_half_even(wall_us * scale.numerator, _S_PER_HOUR * scale.denominator)
    return min(ran, run.hours_micro if run.stand_in else whole)
