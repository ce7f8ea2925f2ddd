"""The fast mode: against a slow twin, what a voucher that binds nobody changes, and what must always hold."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_fast import awards, quote

from dujiang.lab import fast
from dujiang.lab.case import NO_DEADLINE, Case
from dujiang.lab.outages import standing
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA, Replay
from dujiang.lab.scenario import Outage, Quoted
from dujiang.policy.programme import Programme
from lab_cases import HOUR, Job, Pool, lab_case, voucher

FIRMS = pl.DataFrame({"enterprise_id": ["e0", "e1", "e2"], "employees": [10, 50, 3000]})


def random_case(seed: int, programmes: list[Programme] | None = None, *, outages: bool = False, many: int = 50) -> Case:
    rng = np.random.default_rng(seed)
    names = ["a1", "a2", "b1", "c1"][: int(rng.integers(1, 5))]
    pools = [
        Pool(name, name[0], int(rng.integers(2, 9)), float(rng.choice([1, 2, 2.5])), float(rng.choice([1.0, 1.0, 1.5])))
        for name in names
    ]
    centres = sorted({pool.centre for pool in pools})
    jobs = []
    for _ in range(int(rng.integers(1, many))):
        submit, run = int(rng.integers(0, 20 * HOUR)), int(rng.choice([rng.integers(1, 9 * HOUR), 2 * HOUR]))
        gpus = int(rng.choice([1, 1, 2, 4]))
        jobs.append(
            Job(
                submit,
                run,
                gpus,
                str(rng.choice(centres)),
                NO_DEADLINE if rng.random() < 0.1 else submit + int(1.5 * run) + int(rng.integers(1, 8)) * HOUR,
                round(float(gpus * -(-run // HOUR) * rng.choice([0.7, 1.3, 3, 8]) * rng.uniform(0.9, 1.1)), 2) + 0.01,
                str(rng.choice(["e0", "e1", "e2"])),
                str(rng.choice(["k1", "k2"])) if rng.random() < 0.1 else None,
                float(rng.choice([0, 0, 3.3])),
            )
        )
    capacity = [(name, h, int(rng.integers(0, 9))) for name in names for h in range(24) if rng.random() < 0.1]
    region_of = {name: str(rng.choice(["east", "west"])) for name in centres}
    links = [("east", "west", 0.1), ("west", "east", 0.3)] if rng.random() < 0.5 else []
    known = set(region_of.values())
    links = [link for link in links if {link[0], link[1]} <= known]
    if programmes is None:
        budget = float(rng.choice([50, 1e6]))
        programmes = [voucher(rate=0.5, cap_cny=float(rng.choice([7, 30, 1e5])), budget_cny=budget, employees_max=99)]
        if rng.random() < 0.5:
            programmes.append(voucher(key="other", rate=0.3, budget_cny=40.0, minimum_cny=float(rng.choice([1, 5]))))
    down = []
    if outages:
        for _ in range(int(rng.integers(1, 3))):
            begin = int(rng.integers(0, 20))
            share = int(rng.choice([400_000, 1_000_000]))
            down.append(Outage(str(rng.choice(centres)), begin, begin + int(rng.integers(1, 9)), share))
    return lab_case(
        jobs,
        pools,
        window_h=24,
        slots=70,
        capacity=capacity,
        region_of=region_of,
        links=links,
        programmes=programmes,
        firms=FIRMS,
        max_vouchers=int(rng.integers(0, 3)),
        outages=down,
        quoted=Quoted(float(rng.choice([0.0, 0.5, 0.7])), float(rng.choice([1.0, 2.0, 4.0]))),
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_award_is_that_of_a_slow_twin(seed: int) -> None:
    case = random_case(seed)
    replay = fast.replay_fast(case)
    told, price = awards(case)
    jobs = replay.jobs
    served = (jobs["outcome"] == "served").to_numpy()
    assert set(np.flatnonzero(served)) == set(told)
    pools = case.book.pools["pool_id"]
    for j, award in told.items():
        row = jobs.row(j, named=True)
        assert (row["pool_id"], row["start_s"]) == (pools[award.pool], award.start * HOUR)
        assert (row["gross_ucny"], row["voucher_ucny"]) == (award.gross, sum(award.vouchers))
        assert row["ask_cost_ucny"] == award.ask <= row["gross_ucny"] <= award.bears
    if case.book.centres.height == case.book.pools.height:
        found = replay.series["price_ucny_per_gpu_hour"].to_numpy().reshape(len(price), -1)
        there = replay.series["gpus"].to_numpy().reshape(len(price), -1) > 0
        np.testing.assert_array_equal(found[there], np.array(price)[there])


def check(case: Case, replay: Replay) -> None:
    jobs, series = replay.jobs, replay.series
    assert dict(jobs.schema) == JOB_SCHEMA
    assert dict(series.schema) == SERIES_SCHEMA
    assert (jobs["gross_ucny"] + jobs["transfer_ucny"] == jobs["voucher_ucny"] + jobs["net_ucny"]).all()
    assert (jobs["net_ucny"] <= jobs["limit_ucny"]).all()
    assert (jobs["gross_ucny"] >= jobs["ask_cost_ucny"]).all()
    assert (series["gpus"] - series["held_gpu_hours"]).min() >= -1e-9
    assert series["gpus"].to_numpy().sum() == standing(case).sum()
    held = (jobs["gpus"] * jobs["held_s"]).sum() / HOUR
    assert series["held_gpu_hours"].sum() == pytest.approx(held, rel=1e-12)
    late = jobs.filter(pl.col("outcome") == "served", pl.col("end_s") > pl.Series(case.jobs.deadline_s))
    assert late.is_empty()
    for programme in case.programmes.values():
        mine = jobs.filter(pl.col("programme_id") == programme.id)
        if programme.budget is not None and not any(";" in (name or "") for name in jobs["programme_id"]):
            assert mine["voucher_ucny"].sum() <= programme.budget.amount_ucny
    capped = [p for p in case.programmes.values() if p.caps]
    if len(case.programmes) == 1 and capped:
        by_firm = jobs.group_by("enterprise_id").agg(pl.col("voucher_ucny").sum())
        assert by_firm["voucher_ucny"].max() <= capped[0].caps[0].amount_ucny


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_money_hours_and_budgets_add_up_through_outages(seed: int) -> None:
    case = random_case(seed, outages=True)
    check(case, fast.replay_fast(case))


def test_a_rate_of_zero_and_a_programme_for_nobody_change_nothing() -> None:
    for seed in range(6):
        plain = fast.replay_fast(random_case(seed, []))
        for nothing in (voucher(rate=0.0), voucher(rate=0.5, employees_max=5)):
            other = fast.replay_fast(random_case(seed, [nothing]))
            assert other.jobs.equals(plain.jobs)
            assert other.series.equals(plain.series)


def test_a_higher_rate_changes_nothing_where_the_cap_binds_everybody() -> None:
    jobs = [Job(100 * n, 5 * HOUR, 2, "a", NO_DEADLINE, 30.0) for n in range(20)]

    def at(rate: float) -> pl.DataFrame:
        programmes = [voucher(rate=rate, cap_cny=0.05)]
        return fast.replay_fast(lab_case(jobs, {"a": 8}, programmes=programmes, firms=FIRMS, slots=60)).jobs

    low = at(0.5)
    assert low["voucher_ucny"].sum() == 50_000
    assert at(0.75).equals(low)


def test_the_same_case_gives_the_same_bytes() -> None:
    case = random_case(7, outages=True)
    one, two = fast.replay_fast(case), fast.replay_fast(case)
    assert one.jobs.equals(two.jobs)
    assert one.series.equals(two.series)


def test_quotes_rise_from_the_ask_to_the_top() -> None:
    for used in range(11):
        assert fast.quote(2_000_000, used, 10, 0.7, 4.0) == quote(2_000_000, used, 10, 0.7, 4.0)
    assert [fast.quote(2_000_000, used, 10, 0.7, 4.0) for used in (0, 7, 10)] == [2_000_000, 2_000_000, 8_000_000]
    assert fast.quote(2_000_000, 0, 0, 0.7, 4.0) == 2_000_000


def test_a_stopped_run_pays_its_hours_and_begins_again() -> None:
    case = lab_case(
        [Job(0, 4 * HOUR, 2, "a", 20 * HOUR, 100.0)],
        {"a": 2},
        slots=24,
        window_h=1,
        outages=[Outage("a", 3, 5)],
        programmes=[voucher(rate=0.5)],
        firms=FIRMS,
        quoted=Quoted(0.99, 1.0),
    )
    row = fast.replay_fast(case).jobs.row(0, named=True)
    assert (row["start_s"], row["end_s"], row["outcome"]) == (5 * HOUR, 9 * HOUR, "served")
    assert row["held_s"] == 7 * HOUR
    # three hours with the voucher; its contract has used the programme, so the second run goes without
    assert (row["gross_ucny"], row["voucher_ucny"]) == (28_000_000, 6_000_000)
    no_time = replace(case, outages=(Outage("a", 3, 23),))
    row = fast.replay_fast(no_time).jobs.row(0, named=True)
    assert (row["start_s"], row["end_s"], row["outcome"]) == (0, 3 * HOUR, "stopped")
    assert (row["gross_ucny"], row["voucher_ucny"], row["programme_id"]) == (12_000_000, 6_000_000, "made-up")


@pytest.mark.parametrize("price", [0, 5])
def test_a_carbon_price_outweighs_an_earlier_start(price: int) -> None:
    pools = [Pool("clean", "a", 1, watts=100.0), Pool("dirty", "b", 1, watts=900.0)]
    case = lab_case(
        [Job(0, HOUR, 1, limit_cny=100, deadline_s=6 * HOUR)],
        pools,
        slots=6,
        capacity=[("clean", 0, 0)],
        pue=1.2,
        grid_kgco2_per_kwh=0.5,
        objective={"carbon_cny_per_kg": price},
    )
    (job,) = fast.replay_fast(case).jobs.select("pool_id", "start_s").rows()
    assert job == (("clean", HOUR) if price else ("dirty", 0))
