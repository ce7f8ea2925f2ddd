"""The frames of a replay, from results that no replay made."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dujiang.lab.case import Case
from dujiang.lab.frames import (
    EXPIRED,
    NEVER,
    SERVED,
    STOPPED,
    WAITING,
    Cut,
    Results,
    job_frame,
    name_all,
    no_cut,
    series_frame,
)
from dujiang.lab.outages import planned, standing
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA
from dujiang.lab.scenario import Outage
from dujiang.metering.usage import emissions_kgco2, facility_energy_kwh, it_energy_kwh
from lab_cases import HOUR, Job, Pool, lab_case


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def case_of(jobs: int, **more: object) -> Case:
    pools = [Pool("p", "a", 4, watts=400.0), Pool("q", "a", 2, 3.0), Pool("r", "b", 5, watts=300.0)]
    return lab_case([Job(n, 1000, 1 + n % 3, "ab"[n % 2]) for n in range(jobs)], pools, slots=12, window_h=8, **more)


def plain(jobs: int, **columns: np.ndarray) -> Results:
    fields = {name: np.zeros(jobs, dtype=np.int64) for name in Results._fields}
    for name in ("start_s", "end_s", "pool", "left_s", "programme"):
        fields[name] = np.full(jobs, NEVER, dtype=np.int64)
    fields.update(columns)
    for name in ("pool", "programme"):
        fields[name] = fields[name].astype(np.int32)
    return Results(**{**fields, "outcome": fields["outcome"].astype(np.int8)})


def test_a_job_without_a_start_has_nulls_and_zeros() -> None:
    case = case_of(2, pue=1.2, grid_kgco2_per_kwh=0.5)
    results = plain(
        2,
        outcome=ints(SERVED, EXPIRED),
        start_s=ints(100, NEVER),
        end_s=ints(1100, NEVER),
        pool=ints(0, NEVER),
        left_s=ints(NEVER, 500),
        held_s=ints(HOUR, 0),
        gross=ints(5, 0),
        ask_cost=ints(4, 0),
        voucher=ints(2, 0),
        net=ints(3, 0),
        programme=ints(1, NEVER),
    )
    frame = job_frame(case, results, no_cut(), ["", "x;y"])
    assert dict(frame.schema) == JOB_SCHEMA
    ran, gone = frame.rows(named=True)
    assert (ran["pool_id"], ran["centre_id"], ran["region"], ran["outcome"]) == ("p", "a", "local", "served")
    assert (ran["programme_id"], ran["price_ucny_per_gpu_hour"]) == ("x;y", 5)
    micro = 1_000_000 * 1000 / HOUR
    metered = emissions_kgco2(facility_energy_kwh(it_energy_kwh(micro, 400.0), 1.2), 0.5)  # type: ignore[arg-type]
    assert ran["kgco2"] == pytest.approx(metered, rel=1e-12)
    null = ("start_s", "end_s", "centre_id", "pool_id", "programme_id", "price_ucny_per_gpu_hour", "kgco2")
    assert all(gone[name] is None for name in null)
    assert gone["held_s"] == gone["gross_ucny"] == 0


def test_carbon_is_null_as_soon_as_one_run_is_of_a_pool_without_figures() -> None:
    case = case_of(2, pue=1.2, grid_kgco2_per_kwh=0.5)
    results = plain(2, start_s=ints(5000, 0), end_s=ints(6000, 1000), pool=ints(0, 1), held_s=ints(2 * HOUR, HOUR))
    cut = Cut(np.zeros(1, np.int32), np.array([2], np.int32), ints(0), ints(HOUR), ints(HOUR))
    found = job_frame(case, results, cut, [])["kgco2"].to_list()
    assert found[0] == pytest.approx((1000 * 400 + HOUR * 300) / HOUR / 1000 * 1.2 * 0.5, rel=1e-12)
    assert found[1] is None
    there = Cut(np.zeros(1, np.int32), np.array([1], np.int32), ints(0), ints(HOUR), ints(HOUR))
    assert job_frame(case, results, there, [])["kgco2"].to_list() == [None, None]


def test_hours_are_cut_at_their_edges() -> None:
    case = case_of(1)
    results = plain(1, start_s=ints(HOUR + 1800), end_s=ints(3 * HOUR + 900), pool=ints(0), held_s=ints(2 * HOUR))
    series = series_frame(case, results, no_cut(), np.full((3, 12), 7))
    assert dict(series.schema) == SERIES_SCHEMA
    own = series.filter(pl.col("centre_id") == "a")
    assert own["used_gpu_hours"].to_list()[:5] == [0, 0.5, 1, 0.25, 0]
    assert own["held_gpu_hours"].to_list()[:5] == [0, 0.5, 1, 0.5, 0]
    assert own["waiting_jobs"].to_list()[:3] == [1, 0.5, 0]
    assert own["gpus"].to_list() == [6] * 12


def test_the_price_of_a_centre_is_weighted_by_what_stands_there() -> None:
    case = case_of(1, outages=[Outage("a", 2, 4, 500_000), Outage("a", 3, 5, 500_000)])
    price = np.stack([np.full(12, 10), np.full(12, 40), np.full(12, 1)])
    series = series_frame(case, plain(1), no_cut(), price).filter(pl.col("centre_id") == "a")
    assert series["gpus"].to_list()[:6] == [6, 6, 3, 0, 3, 6]
    assert series["price_ucny_per_gpu_hour"].to_list()[:6] == [20, 20, 20, None, 20, 20]
    assert (standing(case) <= planned(case)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_held_and_waited_seconds_are_those_of_the_jobs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    case = case_of(n)
    end = 12 * HOUR
    submit, gpus = case.jobs.submit_s, case.book.orders["gpus"].to_numpy()
    rows, held, last, waited = [], np.zeros(n, np.int64), np.full(n, NEVER), np.zeros(n, np.int64)
    stop, left, pool = np.full(n, NEVER), np.full(n, NEVER), np.full(n, NEVER)
    outcome = np.zeros(n, np.int64)
    for j in range(n):
        now, held_last = int(submit[j]), 0
        for _ in range(int(rng.integers(0, 4))):
            begin = now + int(rng.integers(0, 5000))
            ran = int(rng.integers(1, 5000))
            hold = ran + int(rng.integers(0, 500))
            if begin + hold > end:
                break
            if last[j] != NEVER:
                rows.append((j, pool[j], last[j], stop[j], held_last))
            waited[j] += begin - now
            last[j], stop[j], pool[j], held_last = begin, begin + ran, int(rng.integers(0, 3)), hold
            held[j] += hold
            now = begin + ran
        if rng.random() < 0.5:
            left[j] = min(end, now + int(rng.integers(0, 5000)))
            waited[j] += left[j] - now
            outcome[j] = int(rng.choice([EXPIRED, STOPPED, WAITING]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    cut = Cut(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), *(table[:, i].copy() for i in (2, 3, 4)))
    results = plain(n, outcome=outcome, start_s=last, end_s=stop, pool=pool, left_s=left, held_s=held)
    series = series_frame(case, results, cut, np.ones((3, 12), np.int64))
    assert series["held_gpu_hours"].sum() == pytest.approx((held * gpus).sum() / HOUR, rel=1e-12)
    assert series["waiting_jobs"].sum() == pytest.approx(waited.sum() / HOUR, rel=1e-12)
    assert series["waiting_gpus"].sum() == pytest.approx((waited * gpus).sum() / HOUR, rel=1e-12)
    by_home = series.group_by("centre_id", maintain_order=True).agg(pl.col("waiting_jobs").sum())
    home = [waited[case.jobs.origin == c].sum() / HOUR for c in range(2)]
    assert by_home["waiting_jobs"].to_list() == pytest.approx(home)


def test_programmes_of_all_runs_are_named_once_in_the_order_of_their_ids() -> None:
    names, column = ["", "a", "b", "a;b"], np.array([2, NEVER, NEVER], dtype=np.int32)
    name_all(["a", "b"], names, column, ints(0, 0, 1, 2), ints(1, 2, 2, 1), np.array([True, True, True, False]))
    assert [None if at == NEVER else names[at] for at in column] == ["a;b", "b", None]
