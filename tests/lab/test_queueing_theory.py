"""Waits of the compiled queues against queueing theory, within four standard errors over seeded runs."""

import math

import numpy as np
import pytest

from dujiang.lab.queues import replay_queues
from dujiang.lab.scenario import Allocator
from lab_cases import Job, lab_case

RUNS = 12
JOBS = 5_000
SERVICE_S = 1_000.0


def waits(gpus: int, load: float, service: str) -> tuple[float, float]:
    """Mean wait over seeded runs, seconds, and its standard error; the first fifth of each run is not counted."""
    means = []
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        submit = np.cumsum(rng.exponential(SERVICE_S / (gpus * load), JOBS)).astype(np.int64)
        if service == "exponential":
            run = rng.exponential(SERVICE_S, JOBS)
        elif service == "constant":
            run = np.full(JOBS, SERVICE_S)
        else:  # two kinds, squared coefficient of variation 3
            run = np.where(rng.random(JOBS) < 0.25, 4.0, 0.0) * SERVICE_S  # a run of no time takes a second
        run = np.maximum(np.round(run), 1).astype(np.int64)
        jobs = [Job(int(s), int(r), 1, "a", limit_cny=1e6) for s, r in zip(submit, run, strict=True)]
        case = lab_case(jobs, {"a": gpus}, slots=int(submit[-1] // 3600) + 200, allocator=Allocator.POOLED_FIFO)
        found = replay_queues(case).jobs
        means.append(float((found["start_s"] - found["submit_s"])[JOBS // 5 :].mean()))
    return float(np.mean(means)), float(np.std(means, ddof=1) / math.sqrt(RUNS))


def erlang_c(gpus: int, load: float) -> float:
    """Mean wait of M/M/c over the mean service time."""
    offered = gpus * load
    blocked = 1.0
    for c in range(1, gpus + 1):
        blocked = offered * blocked / (c + offered * blocked)
    delayed = blocked / (1.0 - load * (1.0 - blocked))
    return delayed / (gpus * (1.0 - load))


@pytest.mark.parametrize(("gpus", "load"), [(1, 0.6), (4, 0.8), (16, 0.9)])
def test_many_servers_wait_as_erlang_says(gpus: int, load: float) -> None:
    mean, error = waits(gpus, load, "exponential")
    expected = SERVICE_S * erlang_c(gpus, load)
    assert error < expected / 4
    assert abs(mean - expected) < 4 * error + 1.0  # whole seconds


@pytest.mark.parametrize(("service", "variation"), [("constant", 0.0), ("two kinds", 3.0)])
def test_one_server_waits_as_pollaczek_and_khinchine_say(service: str, variation: float) -> None:
    load = 0.7
    mean, error = waits(1, load, service)
    expected = SERVICE_S * load / (1.0 - load) * (1.0 + variation) / 2.0
    assert error < expected / 4
    assert abs(mean - expected) < 4 * error + 1.0


def test_one_server_waits_as_the_recursion_of_lindley_says() -> None:
    rng = np.random.default_rng(5)
    submit = np.cumsum(rng.integers(0, 300, 2_000))
    run = rng.integers(1, 290, 2_000)
    jobs = [Job(int(s), int(r)) for s, r in zip(submit, run, strict=True)]
    found = replay_queues(lab_case(jobs, {"a": 1}, slots=300, allocator=Allocator.ISOLATED_FIFO)).jobs
    wait = [0]
    for n in range(1, 2_000):
        wait.append(max(0, int(wait[-1] + run[n - 1] - (submit[n] - submit[n - 1]))))
    assert (found["start_s"] - found["submit_s"]).to_list() == wait


def test_shortest_first_waits_less_than_first_come_and_both_do_the_same_work() -> None:
    rng = np.random.default_rng(3)
    submit = np.cumsum(rng.exponential(120.0, 3_000)).astype(np.int64)
    run = np.maximum(rng.lognormal(6.0, 1.2, 3_000), 1).astype(np.int64)
    jobs = [Job(int(s), int(r), int(g)) for s, r, g in zip(submit, run, rng.choice([1, 2, 4], 3_000), strict=True)]
    found = {
        rule: replay_queues(lab_case(jobs, {"a": 16}, slots=600, allocator=rule)).jobs
        for rule in (Allocator.POOLED_FIFO, Allocator.POOLED_SJF, Allocator.ISOLATED_BACKFILL)
    }
    wait = {rule: float((jobs["start_s"] - jobs["submit_s"]).mean()) for rule, jobs in found.items()}
    assert wait[Allocator.POOLED_SJF] < wait[Allocator.ISOLATED_BACKFILL] < wait[Allocator.POOLED_FIFO]
    assert all((jobs["outcome"] == "served").all() for jobs in found.values())
