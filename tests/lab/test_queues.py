"""The baselines: against a slow twin to the second, by hand, and what must hold whatever happens."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slow_queues import replayed

from dujiang.lab.case import NO_DEADLINE, Case
from dujiang.lab.outages import standing
from dujiang.lab.queues import replay_queues
from dujiang.lab.replay import JOB_SCHEMA, SERIES_SCHEMA, Replay
from dujiang.lab.scenario import Allocator, Clock, Outage
from lab_cases import HOUR, Job, Pool, lab_case, voucher

BASELINES = [rule for rule in Allocator if rule is not Allocator.MARKET]


def random_case(rng: np.random.Generator, rule: Allocator, clock: Clock) -> Case:
    """A busy little case with everything that may go wrong, vouchers apart."""
    pools = [
        Pool("a1", "a", 6, ask_cny=float(rng.choice([1, 2])), speed=float(rng.choice([1.0, 1.0, 0.7]))),
        Pool("a2", "a", 3, ask_cny=2.0),
        Pool("b1", "b", 5, ask_cny=float(rng.choice([1, 2, 3])), speed=float(rng.choice([1.0, 1.5]))),
        Pool("c1", "c", 4, ask_cny=2.0),
    ][: rng.integers(1, 5)]
    centres = sorted({pool.centre for pool in pools})
    hours = 24
    jobs = []
    for _ in range(rng.integers(1, 60)):
        submit = int(rng.integers(0, hours // 2 * HOUR)) // int(rng.choice([1, 600])) * int(rng.choice([1, 600]))
        submit = min(submit, hours // 2 * HOUR)
        run = int(rng.choice([rng.integers(1, 600), rng.integers(1, 6 * HOUR), HOUR, 2 * HOUR]))
        slack = int(rng.choice([0, HOUR, 5 * HOUR]))
        due = NO_DEADLINE if rng.random() < 0.3 else int(submit + run * float(rng.choice([0.9, 1.0, 1.5])) + slack)
        gpus = int(rng.choice([1, 1, 2, 3, 4, 7]))
        paid = float(rng.choice([0.5, 1.5, 2.5, 9])) * gpus * max(1, -(-run // HOUR)) + 0.01
        jobs.append(Job(submit, run, gpus, str(rng.choice(centres)), due, paid))
    capacity = []
    if rng.random() < 0.5:
        for pool in pools:
            capacity += [(pool.pool_id, h, int(rng.integers(0, 8))) for h in range(26) if rng.random() < 0.15]
    outages = []
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        begin = int(rng.integers(0, 14))
        share = int(rng.choice([300_000, 500_000, 1_000_000]))
        outages.append(Outage(str(rng.choice(centres)), begin, begin + int(rng.integers(1, 8)), share))
    return lab_case(
        jobs,
        pools,
        window_h=hours,
        slots=int(rng.choice([26, 60])),
        capacity=capacity,
        outages=outages,
        allocator=rule,
        clock=clock,
        warm_up_h=int(rng.choice([0, 2])),
    )


def compare(case: Case) -> None:
    replay, told = replay_queues(case), replayed(case)
    found = replay.jobs
    want = [told.outcome[j] for j in range(found.height)]
    cut_of = {row[0]: row for row in told.cut}
    starts = [told.start.get(j, cut_of[j][2] if j in cut_of else None) for j in range(found.height)]
    pools = [told.pool.get(j, cut_of[j][1] if j in cut_of else None) for j in range(found.height)]
    names = case.book.pools["pool_id"]
    assert found["outcome"].to_list() == want
    assert found["start_s"].to_list() == starts
    assert found["pool_id"].to_list() == [None if p is None else names[p] for p in pools]
    measured = (case.window_h - case.scenario.warm_up_h) * HOUR
    assert replay.extra["waiting_while_idle_share"] == pytest.approx(told.mismatch_s / measured, abs=1e-12)
    check_sums(case, replay)


def check_sums(case: Case, replay: Replay) -> None:
    """What holds of any baseline."""
    jobs, series = replay.jobs, replay.series
    assert dict(jobs.schema) == JOB_SCHEMA
    assert dict(series.schema) == SERIES_SCHEMA
    money = jobs.select(pl.col("gross_ucny") + pl.col("transfer_ucny") - pl.col("voucher_ucny") - pl.col("net_ucny"))
    assert money.to_series().abs().max() in (0, None)
    assert jobs.filter(pl.col("net_ucny") > pl.col("limit_ucny")).is_empty()
    held = (jobs["gpus"] * jobs["held_s"]).sum() / HOUR
    assert series["held_gpu_hours"].sum() == pytest.approx(held, rel=1e-12)
    assert (series["held_gpu_hours"] - series["used_gpu_hours"]).min() >= -1e-9
    assert (series["gpus"] - series["held_gpu_hours"]).min() >= -1e-9
    stands = standing(case)
    assert series["gpus"].sum() == stands.sum()
    began = jobs.filter(pl.col("start_s").is_not_null())
    assert began.filter(pl.col("start_s") < pl.col("submit_s")).is_empty()
    served = jobs.filter(pl.col("outcome") == "served")
    late = served.with_columns(due=pl.Series(case.jobs.deadline_s)[served_rows(jobs)])
    assert late.filter(pl.col("end_s") > pl.col("due")).is_empty()


def served_rows(jobs: pl.DataFrame) -> pl.Series:
    return (jobs["outcome"] == "served").arg_true()


@pytest.mark.parametrize("clock", Clock)
@pytest.mark.parametrize("rule", BASELINES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=0)
def test_every_start_is_that_of_a_slow_twin(rule: Allocator, clock: Clock, seed: int) -> None:
    compare(random_case(np.random.default_rng(seed), rule, clock))


# ---- by hand -----------------------------------------------------------------------------------------------------


def starts(case: Case) -> list[int | None]:
    return replay_queues(case).jobs["start_s"].to_list()


def test_the_head_of_a_fifo_queue_holds_up_all_and_easy_lets_others_by() -> None:
    jobs = [Job(0, 100, 3), Job(1, 50, 4), Job(2, 90, 1), Job(3, 200, 1)]
    assert starts(lab_case(jobs, {"a": 4}, allocator=Allocator.ISOLATED_FIFO)) == [0, 100, 150, 150]
    # the third ends before the head can start, the fourth would hold it up
    assert starts(lab_case(jobs, {"a": 4}, allocator=Allocator.ISOLATED_BACKFILL)) == [0, 100, 2, 150]
    # with one to spare beside the head, the fourth may go too
    assert starts(lab_case(jobs, {"a": 5}, allocator=Allocator.ISOLATED_BACKFILL)) == [0, 100, 2, 3]


def test_shortest_first_and_the_cheapest_pool() -> None:
    jobs = [Job(0, 100), Job(1, 60), Job(2, 50), Job(3, 50)]
    assert starts(lab_case(jobs, {"a": 1}, allocator=Allocator.POOLED_SJF)) == [0, 200, 100, 150]
    pools = [Pool("b", "b", 1, 1.0), Pool("a", "a", 1, 2.0)]
    found = replay_queues(lab_case(jobs, pools, allocator=Allocator.POOLED_FIFO)).jobs
    assert found["pool_id"].to_list() == ["b", "a", "a", "b"]
    found = replay_queues(lab_case(jobs, pools, allocator=Allocator.GREEDY_CHEAPEST)).jobs
    assert found["pool_id"].to_list() == ["b"] * 4


def test_the_greedy_broker_takes_the_shorter_line_among_equally_cheap_pools() -> None:
    jobs = [Job(0, 100), Job(1, 60), Job(2, 50), Job(3, 5)]
    found = replay_queues(lab_case(jobs, {"a": 1, "b": 1}, allocator=Allocator.GREEDY_CHEAPEST)).jobs
    assert found["pool_id"].to_list() == ["a", "b", "b", "a"]


def test_waiting_while_idle_counts_seconds() -> None:
    # a second job of `a` waits from 10 to 100 while `b` idles; before and after nobody waits
    jobs = [Job(0, 100, 1, "a"), Job(10, 50, 1, "a")]
    case = lab_case(jobs, {"a": 1, "b": 1}, window_h=1, allocator=Allocator.ISOLATED_FIFO)
    assert replay_queues(case).extra["waiting_while_idle_share"] == 90 / 3600
    alone = lab_case(jobs, {"a": 1}, window_h=1, allocator=Allocator.ISOLATED_FIFO)
    assert replay_queues(alone).extra["waiting_while_idle_share"] == 0


def test_patience_ends_with_the_last_second_that_still_suffices() -> None:
    jobs = [Job(0, 100), Job(0, 50, deadline_s=150), Job(0, 50, deadline_s=149)]
    found = replay_queues(lab_case(jobs, {"a": 2}, allocator=Allocator.ISOLATED_FIFO)).jobs
    assert found["outcome"].to_list() == ["served"] * 3
    found = replay_queues(lab_case(jobs, {"a": 1}, allocator=Allocator.ISOLATED_FIFO)).jobs
    assert found["start_s"].to_list() == [0, 100, None]
    assert found["outcome"].to_list() == ["served", "served", "expired"]


# ---- vouchers ----------------------------------------------------------------------------------------------------

FIRMS = pl.DataFrame({"enterprise_id": ["e0", "e1", "e2"], "employees": [10, 50, 3000]})


def with_vouchers(seed: int, rule: Allocator, clock: Clock, programmes: list) -> Case:
    rng = np.random.default_rng(seed)
    jobs = []
    for _ in range(int(rng.integers(1, 60))):
        run = int(rng.integers(1, 6 * HOUR))
        gpus = int(rng.choice([1, 2, 3]))
        paid = gpus * -(-run // HOUR) * float(rng.choice([0.6, 1.1, 1.9, 5])) + 0.01
        due = NO_DEADLINE if rng.random() < 0.5 else 40 * HOUR
        data = float(rng.choice([0, 0, 2.5]))
        firm, home = str(rng.choice(["e0", "e1", "e2"])), str(rng.choice(["a", "b"]))
        contract = str(rng.choice(["k1", "k2"])) if rng.random() < 0.1 else None
        jobs.append(Job(int(rng.integers(0, 12 * HOUR)), run, gpus, home, due, round(paid, 2), firm, contract, data))
    return lab_case(
        jobs,
        [Pool("a", "a", 5, 1.0), Pool("b", "b", 4, 2.0)],
        window_h=12,
        slots=60,
        programmes=programmes,
        firms=FIRMS,
        max_vouchers=int(rng.integers(0, 3)),
        allocator=rule,
        clock=clock,
        region_of={"a": "east", "b": "west"},
        links=[("east", "west", 0.2), ("west", "east", 0.1)],
        outages=[Outage("a", 4, 7, 600_000)] if rng.random() < 0.5 else [],
    )


@pytest.mark.parametrize("clock", Clock)
@pytest.mark.parametrize("rule", BASELINES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_budgets_and_caps_hold_and_money_adds_up(rule: Allocator, clock: Clock, seed: int) -> None:
    budget, cap = float(np.random.default_rng(seed).choice([9, 40, 1e5])), 25.0
    programmes = [
        voucher(rate=0.5, cap_cny=cap, budget_cny=budget, employees_max=99),
        voucher(key="other", rate=0.2, budget_cny=8.0, minimum_cny=0.5),
    ]
    one = replay_queues(with_vouchers(seed, rule, clock, programmes[:1]))
    assert one.jobs["voucher_ucny"].sum() <= budget * 1_000_000
    firms = one.jobs.group_by("enterprise_id").agg(pl.col("voucher_ucny").sum())
    assert firms.filter(pl.col("voucher_ucny") > cap * 1_000_000).is_empty()
    assert one.jobs.filter(pl.col("enterprise_id") == "e2")["voucher_ucny"].sum() == 0
    case = with_vouchers(seed, rule, clock, programmes)
    replay = replay_queues(case)
    check_sums(case, replay)
    assert replay.jobs["voucher_ucny"].sum() <= (budget + 8.0) * 1_000_000
    assert (replay.jobs["voucher_ucny"] > 0).eq(replay.jobs["programme_id"].is_not_null()).all()
    again = replay_queues(case)
    assert again.jobs.equals(replay.jobs)
    assert again.series.equals(replay.series)


@pytest.mark.parametrize("rule", BASELINES)
def test_a_rate_of_zero_and_a_programme_for_nobody_change_nothing(rule: Allocator) -> None:
    for seed in range(3):
        plain = replay_queues(with_vouchers(seed, rule, Clock.SECONDS, []))
        for nothing in (voucher(rate=0.0), voucher(rate=0.5, employees_max=5)):
            other = replay_queues(with_vouchers(seed, rule, Clock.SECONDS, [nothing]))
            assert other.jobs.equals(plain.jobs)
            assert other.series.equals(plain.series)
            assert other.extra == plain.extra


def test_vouchers_go_to_who_starts_first_and_who_cannot_pay_without_leaves() -> None:
    jobs = [Job(n, HOUR, 1, "a", NO_DEADLINE, 1.2) for n in range(3)]
    programmes = [voucher(rate=0.5, budget_cny=1.5)]
    case = lab_case(jobs, {"a": 1}, programmes=programmes, firms=FIRMS, allocator=Allocator.ISOLATED_FIFO)
    found = replay_queues(case).jobs
    # each costs 2 yuan: the first gets 1, of the second one a half is left, which is not enough
    assert found["voucher_ucny"].to_list() == [1_000_000, 0, 0]
    assert found["outcome"].to_list() == ["served", "refused", "refused"]


def test_a_stopped_run_pays_what_ran_with_its_voucher_cut_to_that() -> None:
    case = lab_case(
        [Job(0, 2 * HOUR, 1, "a", NO_DEADLINE, 8.0)],
        {"a": 1},
        slots=9,
        window_h=3,
        outages=[Outage("a", 1, 2)],
        programmes=[voucher(rate=0.5)],
        firms=FIRMS,
        allocator=Allocator.ISOLATED_FIFO,
    )
    row = replay_queues(case).jobs.row(0, named=True)
    assert (row["start_s"], row["end_s"], row["held_s"]) == (2 * HOUR, 4 * HOUR, 3 * HOUR)
    assert (row["gross_ucny"], row["voucher_ucny"], row["net_ucny"]) == (6_000_000, 1_000_000, 5_000_000)
    assert row["programme_id"] == "made-up"


@pytest.mark.parametrize("rule", BASELINES)
def test_nobody_nothing_and_more_pools_than_bits_of_a_word(rule: Allocator) -> None:
    empty = replay_queues(lab_case([], {"a": 2}, window_h=3, slots=5, allocator=rule))
    assert (empty.jobs.height, empty.series.height) == (0, 5)
    none = replay_queues(lab_case([Job(0, 10)], {"a": 0}, window_h=3, slots=5, allocator=rule))
    assert none.jobs["outcome"].to_list() == ["refused"]
    assert none.series["price_ucny_per_gpu_hour"].null_count() == 5
    rng = np.random.default_rng(0)
    names = [f"p{n:03}" for n in range(70)]
    pools = [Pool(name, name, int(rng.integers(0, 3)), float(rng.choice([1, 2, 3]))) for name in names]
    jobs = [
        Job(
            int(rng.integers(0, 600)), int(rng.integers(60, 5000)), int(rng.choice([1, 2])), str(rng.choice(names[60:]))
        )
        for _ in range(15)
    ]
    jobs = [job._replace(limit_cny=float(rng.uniform(1, 7))) for job in jobs]
    compare(lab_case(jobs, pools, window_h=1, slots=4, allocator=rule))
