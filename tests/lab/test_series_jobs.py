"""Jobs from states: accelerators exactly as recorded, whatever the series; and Helios Earth as it was measured."""

from heapq import heappop, heappush
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dujiang.core.errors import InputError
from dujiang.lab.case import Case
from dujiang.lab.make_case import make_case
from dujiang.lab.series_jobs import STATES, State, by_cluster, followed, least_flow, measured_of
from scenes import DATA, needs_data, problems_of, scenario

SERIES = {
    "fleet.per_vc": "recorded",
    "demand": {"trace": "states.csv", "format": "vc_series", "deadline": "none", "longest_h": 744},
    "horizon_h": 744,
    "coupling": "isolated",
}


@st.composite
def states(draw: st.DrawFn) -> State:
    """Return what a state can be: at least one accelerator for each job, jobs wherever there are accelerators."""
    counts = []
    for most in (8, 6):
        jobs = draw(st.integers(0, most))
        counts += [draw(st.integers(jobs, jobs * 4)) if jobs else 0, jobs]
    return State(*counts)


@given(states(), states())
@settings(max_examples=300, deadline=None)
@example(State(0, 0, 4, 2), State(0, 0, 6, 1))
def test_a_flow_leads_from_state_to_state_with_whole_jobs(before: State, after: State) -> None:
    flow = least_flow(before, after)
    assert before.running_jobs + flow.started - flow.ended == after.running_jobs
    assert before.running_gpus + flow.started_gpus - flow.ended_gpus == after.running_gpus
    assert before.pending_jobs + flow.came - flow.started == after.pending_jobs
    assert before.pending_gpus + flow.came_gpus - flow.started_gpus == after.pending_gpus
    for jobs, gpus in ((flow.came, flow.came_gpus), (flow.started, flow.started_gpus), (flow.ended, flow.ended_gpus)):
        assert gpus >= jobs >= 0
        assert (gpus > 0) == (jobs > 0)


def series(by_cluster: dict[str, list[State]], step_s: int = 60, capacity: int = 100) -> pl.DataFrame:
    rows = [
        (vc, i * step_s, capacity, s.running_gpus, s.pending_gpus, s.running_jobs, s.pending_jobs)
        for vc, each in by_cluster.items()
        for i, s in enumerate(each)
    ]
    return pl.DataFrame(rows, schema=["vc", "t_s", *STATES], orient="row")


def case_of(folder: Path, frame: pl.DataFrame, **changes: object) -> Case:
    frame.write_csv(folder / "states.csv")
    return make_case(scenario(folder, {**SERIES, **changes}))


def fifo(c: Case, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """Serve each centre for itself, first come, first served; return accelerators at work and waiting at each time."""
    centres = c.book.centres.height
    times = np.arange(0, c.window_h * 3600, seconds)
    work, wait = np.zeros((centres, times.size + 1)), np.zeros((centres, times.size + 1))
    gpus = c.book.orders["gpus"].to_list()
    submit, run, leaves = c.jobs.submit_s.tolist(), c.jobs.run_s.tolist(), (c.jobs.deadline_s - c.jobs.run_s).tolist()
    for centre in range(centres):
        free, ends, now = c.book.pools["gpus"][centre], [], 0
        for job in np.flatnonzero(c.jobs.origin == centre).tolist():
            now = max(now, submit[job])
            while ends and (ends[0][0] <= now or (gpus[job] > free and ends[0][0] <= leaves[job])):
                end, held = heappop(ends)
                now, free = max(now, end), free + held
            first, last = min(times.size, -(-submit[job] // seconds)), times.size
            wait[centre, first] += gpus[job]
            if gpus[job] > free or now > leaves[job]:
                now = max(now, leaves[job])
                wait[centre, min(last, -(-leaves[job] // seconds))] -= gpus[job]
                continue
            free -= gpus[job]
            heappush(ends, (now + run[job], gpus[job]))
            begin, end = (min(last, -(-s // seconds)) for s in (now, now + run[job]))
            wait[centre, begin] -= gpus[job]
            work[centre, begin] += gpus[job]
            work[centre, end] -= gpus[job]
    return work.cumsum(axis=1)[:, :-1], wait.cumsum(axis=1)[:, :-1]


@settings(max_examples=200, deadline=None)
@given(st.lists(states(), min_size=1, max_size=15), st.integers(0, 99))
@example([State(0, 0, 1, 1), State(0, 0, 0, 0)], 0)
@example([State(8, 1, 4, 1), State(8, 1, 0, 0)], 0)
def test_accelerators_come_out_exactly_as_recorded(seen: list[State], seed: int) -> None:
    frame = series({"a": seen})
    ((_, changes),) = by_cluster(frame)
    jobs = followed(seed, "a", changes).jobs
    for index, state in enumerate(seen):
        second = index * 60
        began = [job for job in jobs if job.start_s is not None and job.start_s <= second]
        assert sum(job.gpus for job in began if job.end_s is None or job.end_s > second) == state.running_gpus
        came = [job for job in jobs if job.submit_s <= second]
        assert sum(job.gpus for job in came if job.start_s is None or job.start_s > second) == state.pending_gpus
    assert all(job.gpus > 0 for job in jobs)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(states(), min_size=1, max_size=8).filter(lambda seen: any(s.running_jobs + s.pending_jobs for s in seen))
)
def test_every_series_makes_a_case(tmp_path_factory: pytest.TempPathFactory, seen: list[State]) -> None:
    c = case_of(tmp_path_factory.mktemp("series"), series({"a": seen, "b": seen[::-1]}))
    assert c.book.orders["gpus"].sum() >= max(s.running_gpus + s.pending_gpus for s in seen)
    assert c.measured["mean_idle_gpus"] == pytest.approx(200 - 2 * np.mean([s.running_gpus for s in seen]))


def test_who_leaves_the_queue_leaves_the_replay_after_the_same_time(tmp_path: Path) -> None:
    seen = [State(8, 1, 0, 0), State(8, 1, 4, 1), State(8, 1, 4, 1), State(8, 1, 0, 0)]
    for stretch in ("none", {"stretch": 2, "slack_h": 9}):
        demand = {**SERIES["demand"], "deadline": stretch}
        c = case_of(tmp_path, series({"a": seen}, capacity=8), demand=demand)
        assert (c.jobs.submit_s.tolist(), c.jobs.run_s.tolist()) == ([0, 60], [240, 1])
        assert c.jobs.deadline_s[1] == 60 + 120 + 1
        assert c.book.orders["deadline"][1] == 2


def test_a_queue_that_is_first_come_first_served_comes_out_as_it_was(tmp_path: Path) -> None:
    # Two accelerators: one job of two from 60 s to 180 s, another of two waits from 120 s, runs from 180 s to 300 s.
    seen = [
        State(0, 0, 0, 0),
        State(2, 1, 0, 0),
        State(2, 1, 2, 1),
        State(2, 1, 0, 0),
        State(2, 1, 0, 0),
        State(0, 0, 0, 0),
    ]
    c = case_of(tmp_path, series({"a": seen}, capacity=2))
    jobs = list(zip(c.jobs.submit_s.tolist(), c.jobs.run_s.tolist(), c.book.orders["gpus"], strict=True))
    assert jobs == [(60, 120, 2), (120, 120, 2)]
    work, wait = fifo(c, 60)
    assert work[0, :6].tolist() == [0, 2, 2, 2, 2, 0]
    assert wait[0, :6].tolist() == [0, 0, 2, 0, 0, 0]


def test_which_of_two_like_jobs_ended_is_drawn(tmp_path: Path) -> None:
    seen = [State(4, 1, 0, 0), State(8, 2, 0, 0), State(4, 1, 0, 0), State(0, 0, 0, 0)]
    runs = {tuple(case_of(tmp_path, series({"a": seen}), seed=seed).jobs.run_s.tolist()) for seed in range(12)}
    assert runs == {(120, 120), (180, 60)}


def test_a_swap_inside_one_step_is_one_end_and_one_start(tmp_path: Path) -> None:
    c = case_of(tmp_path, series({"a": [State(4, 1, 0, 0), State(6, 1, 0, 0), State(0, 0, 0, 0)]}))
    jobs = list(zip(c.jobs.submit_s.tolist(), c.jobs.run_s.tolist(), c.book.orders["gpus"], strict=True))
    assert jobs == [(0, 60, 4), (60, 60, 6)]


def test_jobs_that_never_end_run_to_the_end_of_the_window(tmp_path: Path) -> None:
    c = case_of(tmp_path, series({"a": [State(4, 1, 0, 0)] * 3 + [State(4, 1, 2, 1)]}))
    assert c.jobs.run_s.tolist() == [240, 3600]
    assert c.measured == pytest.approx(
        {"allocated_share": 0.04, "waiting_while_idle_share": 0.0, "mean_pending_gpus": 0.5, "mean_idle_gpus": 96.0}
    )


def test_waiting_while_another_is_idle(tmp_path: Path) -> None:
    full, waits, idle = State(4, 1, 0, 0), State(4, 1, 3, 1), State(3, 1, 0, 0)
    torn = State(3, 1, 2, 1)
    frame = series({"a": [full, waits, waits, torn], "b": [idle, full, idle, full]}, capacity=4)
    assert measured_of(frame)["waiting_while_idle_share"] == 0.25
    c = case_of(tmp_path, frame)
    assert dict(c.book.pools.select("centre_id", "gpus").iter_rows()) == {"a": 4, "b": 4}


def test_a_window_of_a_series_begins_with_what_is_there(tmp_path: Path) -> None:
    seen = [State(8, 2, 0, 0), State(8, 2, 4, 1), State(4, 1, 4, 1), State(4, 1, 0, 0)]
    demand = {**SERIES["demand"], "from_s": 60, "to_s": 180}
    c = case_of(tmp_path, series({"a": seen}), demand=demand)
    assert sorted(zip(c.jobs.submit_s.tolist(), c.book.orders["gpus"], strict=True)) == [(0, 4), (0, 4), (0, 4)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vc,t_s\na,0\n", [("missing-column", None, name) for name in sorted(STATES)]),
        ("a,0,4,5,0,1,0", [("out-of-range", 2, "running_gpus")]),
        ("a,0,4,1,0,0,0", [("contradiction", 2, "running_gpu_jobs")]),
        ("a,0,4,0,0,0,1", [("contradiction", 2, "pending_gpu_jobs")]),
        ("a,0,4,-1,0,0,0", [("out-of-range", 2, "running_gpus")]),
        ("a,0,4,x,0,0,0", [("bad-type", 2, "running_gpus")]),
        ("a,0,4,0,0,0,0\na,0,4,0,0,0,0", [("duplicate", 3, "t_s")]),
        ("a,0,4,0,0,0,0\nb,60,4,0,0,0,0", [("missing-rows", None, "t_s")]),
        ("a,0,4,0,0,0,0", [("no-jobs", 6, "demand.from_s")]),
        ("", [("no-rows", None, None)]),
    ],
)
def test_a_bad_series(tmp_path: Path, text: str, found: list[tuple[str, int | None, str | None]]) -> None:
    header = "" if text.startswith("vc") else ",".join(["vc", "t_s", *STATES]) + "\n"
    (tmp_path / "states.csv").write_text(f"{header}{text}\n")
    with pytest.raises(InputError) as error:
        make_case(scenario(tmp_path, SERIES))
    assert [(p.code, p.row, p.field) for p in error.value.problems][: len(found)] == found


def test_a_series_that_is_not_there(tmp_path: Path) -> None:
    assert [p.code for p in problems_of(tmp_path, SERIES)] == ["unreadable"]


@needs_data
def test_helios_earth_comes_out_as_it_was_measured(tmp_path: Path) -> None:
    assert DATA is not None
    demand = {**SERIES["demand"], "trace": str(DATA / "vc_series_helios_earth_may2020.parquet")}
    c = make_case(scenario(tmp_path, {**SERIES, "demand": demand}))
    assert c.measured == pytest.approx(
        {
            "allocated_share": 0.667,
            "waiting_while_idle_share": 0.893,
            "mean_pending_gpus": 61.4,
            "mean_idle_gpus": 285.1,
        },
        rel=1e-3,
    )
    assert c.book.pools["gpus"].sum() == 856
    work, wait = fifo(c, 300)
    idle = c.book.pools["gpus"].to_numpy()[:, None] - work
    assert work.sum() / (856 * work.shape[1]) == pytest.approx(0.667, abs=0.005)
    waits, free = wait > 0, idle > 0
    alone = (waits.sum(axis=0) == 1) & (free.sum(axis=0) == 1) & (waits & free).any(axis=0)
    apart = waits.any(axis=0) & free.any(axis=0) & ~alone
    assert apart.mean() == pytest.approx(0.893, abs=0.02)
    source = c.assumptions["source"]
    assert isinstance(source, dict)
    assert source["value"]["split"] < 0.01 * source["value"]["jobs"]
