"""Meter readings: what counts as used, exactly, and what is left open."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dujiang.dispatch.connector import JobState, JobStatus
from dujiang.metering.usage import (
    USAGE_SCHEMA,
    AwardedRun,
    PowerFigures,
    Usage,
    UsageOutcome,
    emissions_kgco2,
    facility_energy_kwh,
    it_energy_kwh,
    metered,
    usage_frame,
)

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOUR_PER_S = 3600
"""One market hour in a real second."""
FIGURES = PowerFigures(watts_per_gpu=1000.0, pue=1.25, grid_kgco2_per_kwh=0.5)
COMMAND = AwardedRun("o1", "p1", "c1", "e1", start=5, slots=3, gpus=8, hours_micro=2_500_000, stand_in=False)
STAND_IN = replace(COMMAND, stand_in=True)


def saw(state, real_s=None, **more):
    if real_s is None:
        return JobStatus("o1", state, **more)
    return JobStatus("o1", state, started=T0, ended=T0 + timedelta(seconds=real_s), **more)


def reading(run, status, scale=HOUR_PER_S, power=FIGURES):
    return metered(run, status, market_s_per_real_s=scale, power=power)


@pytest.mark.parametrize(
    ("run", "status", "outcome", "run_hours_micro"),
    [
        # A stand-in's sleep is a scaled clock: early, late or to the point, it ran what was awarded.
        (STAND_IN, saw(JobState.ENDED, 2.5, exit_code=0), "ended", 2_500_000),
        (STAND_IN, saw(JobState.ENDED, 2.9, exit_code=0), "ended", 2_500_000),
        (STAND_IN, saw(JobState.ENDED, 2.4, exit_code=0), "ended", 2_500_000),
        # One that was stopped ran its wall time, never beyond its own end.
        (STAND_IN, saw(JobState.CANCELLED, 1.0), "cancelled", 1_000_000),
        (STAND_IN, saw(JobState.FAILED, 2.8), "failed", 2_500_000),
        # A command ran its wall time, cut at its slots.
        (COMMAND, saw(JobState.ENDED, 2.75, exit_code=0), "ended", 2_750_000),
        (COMMAND, saw(JobState.ENDED, 0.000001, exit_code=0), "ended", 1),
        (COMMAND, saw(JobState.ENDED, 3.0, exit_code=0), "ended", 3_000_000),
        (COMMAND, saw(JobState.ENDED, 3.000001, exit_code=0), "ended", 3_000_000),
        (COMMAND, saw(JobState.FAILED, 1.25, exit_code=1), "failed", 1_250_000),
        (COMMAND, saw(JobState.FAILED, 0.0, exit_code=127), "failed", 0),
        (COMMAND, saw(JobState.CANCELLED, 0.5, exit_code=143), "cancelled", 500_000),
        # At its limit it had all of its award, whatever the stop watch says.
        (COMMAND, saw(JobState.CANCELLED, 2.99, limit_reached=True), "cancelled", 3_000_000),
        (COMMAND, saw(JobState.CANCELLED, 3.40, limit_reached=True), "cancelled", 3_000_000),
        (STAND_IN, saw(JobState.CANCELLED, 3.40, limit_reached=True), "cancelled", 3_000_000),
        # Cancelled before it started, or never got that far.
        (COMMAND, saw(JobState.CANCELLED), "never_started", 0),
        (STAND_IN, saw(JobState.CANCELLED), "never_started", 0),
        (COMMAND, saw(JobState.FAILED), "never_started", 0),
    ],
)
def test_hours(run, status, outcome, run_hours_micro):
    usage = reading(run, status)
    assert usage.outcome == outcome
    assert usage.run_hours_micro == run_hours_micro
    assert usage.gpu_hours_micro == 8 * run_hours_micro
    assert usage.market_end_micro == 5_000_000 + run_hours_micro
    assert usage.it_kwh == pytest.approx(8 * run_hours_micro / 1e6)
    assert usage.kwh == pytest.approx(10 * run_hours_micro / 1e6)
    assert usage.kgco2 == pytest.approx(5 * run_hours_micro / 1e6)


def test_unseen_is_no_reading():
    usage = reading(COMMAND, JobStatus("o1", JobState.UNSEEN, started=T0))
    assert usage.outcome is UsageOutcome.UNSEEN
    open_fields = ("run_hours_micro", "gpu_hours_micro", "it_kwh", "kwh", "kgco2", "market_end_micro")
    assert [getattr(usage, name) for name in open_fields] == [None] * 6
    assert (usage.watts_per_gpu, usage.pue, usage.grid_kgco2_per_kwh) == (1000.0, 1.25, 0.5)


@pytest.mark.parametrize("state", [JobState.SUBMITTED, JobState.RUNNING])
def test_no_reading_before_the_end(state):
    with pytest.raises(ValueError, match="before its end"):
        reading(COMMAND, saw(state))


def test_a_run_without_times_is_not_billed_by_guess():
    with pytest.raises(ValueError, match="without the times"):
        reading(COMMAND, saw(JobState.ENDED))
    with pytest.raises(ValueError, match="without the times"):
        reading(COMMAND, JobStatus("o1", JobState.FAILED, 1, started=T0))


def test_every_state_has_an_outcome():
    for state in JobState:
        if state.is_terminal or state is JobState.UNSEEN:
            assert reading(COMMAND, saw(state, 1.0)).outcome.value == state.value


@pytest.mark.parametrize(
    ("power", "known"),
    [
        (FIGURES, (20.0, 25.0, 12.5)),
        (replace(FIGURES, grid_kgco2_per_kwh=None), (20.0, 25.0, None)),
        (replace(FIGURES, pue=None), (20.0, None, None)),
        (replace(FIGURES, watts_per_gpu=None), (None, None, None)),
        (replace(FIGURES, grid_kgco2_per_kwh=0.0), (20.0, 25.0, 0.0)),
        (None, (None, None, None)),
    ],
)
def test_an_unknown_figure_leaves_the_result_open(power, known):
    usage = reading(STAND_IN, saw(JobState.ENDED, 2.5), power=power)
    assert (usage.it_kwh, usage.kwh, usage.kgco2) == known
    assert usage.gpu_hours_micro == 20_000_000


def test_energy_by_hand():
    # 8 accelerators of 700 W for 90 minutes are 8.4 kWh; at PUE 1.25 the facility draws 10.5 kWh; at 0.6 kg/kWh that
    # is 6.3 kg, and over the IT energy 0.75 kg/kWh, which is CUE = PUE x grid factor.
    it = it_energy_kwh(12_000_000, 700.0)
    facility = facility_energy_kwh(it, 1.25)
    carbon = emissions_kgco2(facility, 0.6)
    assert (it, facility, carbon) == (8.4, 10.5, pytest.approx(6.3))
    assert carbon / it == pytest.approx(1.25 * 0.6)


counts = st.integers(1, 1000)
scales = st.fractions(Fraction(1, 100), 10_000)
walls_us = st.integers(0, 10**12)
stopped = st.sampled_from([JobState.ENDED, JobState.FAILED, JobState.CANCELLED])


@st.composite
def runs(draw):
    slots = draw(counts)
    hours_micro = draw(st.integers(1, slots * 10**6))
    return replace(COMMAND, slots=slots, gpus=draw(counts), hours_micro=hours_micro, stand_in=draw(st.booleans()))


def after(state, wall_us, limit_reached=False):
    return JobStatus("o1", state, 0, T0, T0 + timedelta(microseconds=wall_us), limit_reached=limit_reached)


@settings(max_examples=200, deadline=None)
@given(runs(), stopped, walls_us, scales, st.booleans())
def test_never_more_than_the_award(run, state, wall_us, scale, at_limit):
    status = after(state, wall_us, at_limit and state is JobState.CANCELLED)
    usage = reading(run, status, scale)
    assert 0 <= usage.run_hours_micro <= run.slots * 10**6
    assert usage.gpu_hours_micro == run.gpus * usage.run_hours_micro
    assert usage.kwh >= usage.it_kwh >= 0
    if run.stand_in and not status.limit_reached:
        assert usage.run_hours_micro <= run.hours_micro


@settings(max_examples=200, deadline=None)
@given(runs(), stopped, walls_us, walls_us, scales)
def test_longer_is_never_less(run, state, one_us, other_us, scale):
    short, long = sorted((one_us, other_us))
    assert (
        reading(run, after(state, short), scale).run_hours_micro
        <= reading(run, after(state, long), scale).run_hours_micro
    )


@settings(max_examples=200, deadline=None)
@given(runs(), walls_us, scales)
def test_scaled_wall_time_is_exact(run, wall_us, scale):
    run = replace(run, stand_in=False)
    exact = wall_us * scale / 3600
    assume(exact < run.slots * 10**6)
    ran = reading(run, after(JobState.ENDED, wall_us), scale).run_hours_micro
    assert ran == round(exact)  # Python rounds a Fraction half to even, without a float.


@settings(max_examples=100, deadline=None)
@given(runs(), scales)
def test_what_never_started_used_nothing(run, scale):
    usage = reading(run, saw(JobState.CANCELLED), scale)
    assert usage.outcome is UsageOutcome.NEVER_STARTED
    assert (usage.run_hours_micro, usage.gpu_hours_micro, usage.it_kwh, usage.kwh, usage.kgco2) == (0, 0, 0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(runs(), walls_us, scales)
def test_a_stand_in_does_not_hear_the_machine(run, wall_us, scale):
    run = replace(run, stand_in=True)
    assert reading(run, after(JobState.ENDED, wall_us), scale).run_hours_micro == run.hours_micro


def test_frame_is_sorted_and_typed():
    usages = [
        reading(replace(STAND_IN, order_id="订单2"), saw(JobState.ENDED, 1.0)),
        reading(replace(COMMAND, order_id="a"), JobStatus("a", JobState.UNSEEN)),
        reading(replace(COMMAND, order_id="B"), saw(JobState.FAILED, 1.0), power=None),
    ]
    frame = usage_frame(usages)
    assert dict(frame.schema) == USAGE_SCHEMA
    assert frame["order_id"].to_list() == ["B", "a", "订单2"]
    assert frame["outcome"].to_list() == ["failed", "unseen", "ended"]
    assert frame["run_hours_micro"].to_list() == [1_000_000, None, 2_500_000]
    assert frame["kwh"].to_list() == [None, None, 25.0]
    assert frame.equals(usage_frame(reversed(usages)))


def test_empty_frame_has_its_columns():
    frame = usage_frame([])
    assert frame.schema == pl.Schema(USAGE_SCHEMA)
    assert frame.height == 0


def test_schema_is_the_record():
    assert list(USAGE_SCHEMA) == [field.name for field in fields(Usage)]
