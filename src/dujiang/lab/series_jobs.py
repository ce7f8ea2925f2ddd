"""Jobs from a series of states: what must have come, started and ended for each virtual cluster to look as recorded.

A series tells, minute by minute, how many accelerators and jobs of each virtual cluster run and wait. It does not tell
which. Between two states as few jobs as possible come, start and end that lead from the one to the other; their sizes
are what the counts of accelerators leave. Where no jobs of the right size could have ended to let those start that no
longer wait, they are taken to have left the queue: to have started and ended at once. The accelerators at work and
waiting come out exactly as recorded. The number of jobs may not: where no set of jobs has the size that must start, end
or leave, one is split in two.

What a series cannot tell is made up: jobs that came and went between two states, changes that cancel out inside one
step, who else left the queue without running, which of several running jobs of one size ended (drawn at random), and
how long those would have run that still do at the end of the window.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, ProblemList, did_you_mean
from dujiang.core.text import Text
from dujiang.lab.demand import DAY_S, FOREVER, HOUR_S, Source, SourceJobs, check_window, in_order, taken
from dujiang.lab.draws import rng
from dujiang.lab.scenario import Scenario
from dujiang.registry.cells import parse_cells
from dujiang.registry.columns import Column
from dujiang.registry.raw import RawTable
from dujiang.store.read_book import cannot_open, parse_csv, parse_parquet, read_bytes

STATES = ("capacity_gpus", "running_gpus", "pending_gpus", "running_gpu_jobs", "pending_gpu_jobs")
_COLUMNS = (
    Column("series", "cluster", "cluster", "name", False, "", None, None, None, "Cluster", "集群"),
    Column("series", "vc", "vc", "id", True, "", None, None, None, "Virtual cluster", "虚拟集群"),
    Column("series", "t_s", "t_s", "int", True, "s", None, "0", "10000000000", "Time", "时刻"),
    *(Column("series", n, n, "int", True, "accelerators", None, "0", "100000", n, n) for n in STATES[:3]),
    *(Column("series", n, n, "int", True, "jobs", None, "0", "100000", n, n) for n in STATES[3:]),
)
_MOST_TRIES = 2_000
"""Combinations of sizes that are looked at before a job is split instead."""


class State(NamedTuple):
    """What runs and what waits at one time."""

    running_gpus: int
    running_jobs: int
    pending_gpus: int
    pending_jobs: int


class Flow(NamedTuple):
    """What must have happened between two states: jobs and accelerators of those that came, started and ended."""

    came: int
    came_gpus: int
    started: int
    started_gpus: int
    ended: int
    ended_gpus: int
    left_gpus: int = 0
    """Of those that left the queue without running."""


def least_flow(before: State, after: State) -> Flow:
    """Return the least that leads from one state to another if nobody leaves the queue without running.

    Each of the three groups is empty, or has at least one accelerator for each of its jobs.
    """
    running, pending = after.running_jobs - before.running_jobs, after.pending_jobs - before.pending_jobs
    running_gpus, pending_gpus = after.running_gpus - before.running_gpus, after.pending_gpus - before.pending_gpus
    jobs, gpus = max(0, running, -pending), max(0, running_gpus, -pending_gpus)
    while True:
        groups = ((jobs, gpus), (jobs - running, gpus - running_gpus), (jobs + pending, gpus + pending_gpus))
        if any(count == 0 and size > 0 for count, size in groups):
            jobs += 1
        elif any(size < count for count, size in groups):
            gpus += max(count - size for count, size in groups)
        else:
            return Flow(jobs + pending, gpus + pending_gpus, jobs, gpus, jobs - running, gpus - running_gpus)


def _flow_of_gpus(before: State, after: State) -> Flow:
    """Return the least that leads from one state to another if jobs are not counted: who does not start may leave."""
    running = after.running_gpus - before.running_gpus
    pending = after.pending_gpus - before.pending_gpus
    started = max(0, running)
    left = max(0, -pending - started)
    return Flow(1, started + left + pending, 1, started, 1, started - running, left)


@dataclass(slots=True, eq=False)
class _Job:
    """One job on its way."""

    gpus: int
    submit_s: int
    start_s: int | None = None
    end_s: int | None = None


@dataclass(slots=True, eq=False)
class _Cluster:
    """The jobs of one virtual cluster, followed from state to state."""

    source: np.random.Generator
    waiting: list[_Job] = field(default_factory=list)
    """First come first."""
    running: list[_Job] = field(default_factory=list)
    jobs: list[_Job] = field(default_factory=list)
    """All of them."""
    splits: int = 0
    left: int = 0
    """Jobs that left the queue without running."""

    def state(self) -> State:
        """Return what runs and waits now."""
        return State(_sum(self.running), len(self.running), _sum(self.waiting), len(self.waiting))

    def step(self, second: int, after: State) -> None:
        """Let come, start and end what leads to the next state."""
        flow, ending = self._flow(after)
        for job in ending:
            self.running.remove(job)
            job.end_s = second
        for job in self._chosen(self.waiting, flow.left_gpus, first=True) if flow.left_gpus else []:
            self.waiting.remove(job)
            job.start_s = job.end_s = second
            self.left += 1
        starting = self._starting(flow)
        for job in starting:
            self.waiting.remove(job)
            self._start(job, second)
        at_once = flow.started_gpus - _sum(starting)
        for gpus in _even(at_once, flow.started - len(starting)):
            self._start(self._come(gpus, second), second)
        for gpus in _even(flow.came_gpus - at_once, after.pending_jobs - len(self.waiting)):
            self.waiting.append(self._come(gpus, second))

    def _flow(self, after: State) -> tuple[Flow, list[_Job]]:
        """Return what happens, and who ends."""
        before = self.state()
        sizes = [job.gpus for job in self.running]
        least = least_flow(before, after)
        picked = _subset(sizes, least.ended, least.ended_gpus)
        if picked is not None:
            return least, self._of_sizes(self.running, picked, first=False)
        leaving = _flow_of_gpus(before, after)
        picked = _subset(sizes, None, leaving.ended_gpus) if leaving.left_gpus else None
        if picked is not None:
            return leaving, self._of_sizes(self.running, picked, first=False)
        # As few accelerators more than the least as make the sizes fit.
        for more in range(1, sum(sizes) - least.ended_gpus + 1):
            picked = _subset(sizes, least.ended, least.ended_gpus + more)
            if picked is not None:
                flow = least._replace(
                    came_gpus=least.came_gpus + more,
                    started_gpus=least.started_gpus + more,
                    ended_gpus=least.ended_gpus + more,
                )
                return flow, self._of_sizes(self.running, picked, first=False)
        return leaving, self._chosen(self.running, leaving.ended_gpus, first=False)

    def _starting(self, flow: Flow) -> list[_Job]:
        """Return who starts of those that wait: before those that come, as far as the sizes allow it."""
        sizes = [job.gpus for job in self.waiting]
        least_new = max(0, flow.started_gpus - sum(sizes))
        for new in range(least_new, min(flow.came_gpus, flow.started_gpus) + 1):
            gpus = flow.started_gpus - new
            picked = None if new else _subset(sizes, flow.started, gpus)
            picked = _subset(sizes, None, gpus) if picked is None else picked
            if picked is not None:
                return self._of_sizes(self.waiting, picked, first=True)
        return self._chosen(self.waiting, flow.started_gpus - least_new, first=True)

    def _chosen(self, among: list[_Job], gpus: int, *, first: bool) -> list[_Job]:
        """Return jobs with so many accelerators in all; one is split where none fit."""
        picked = _subset([job.gpus for job in among], None, gpus)
        if picked is None:
            self._split(among, gpus)
            return self._chosen(among, gpus, first=first)
        return self._of_sizes(among, picked, first=first)

    def _of_sizes(self, among: list[_Job], picked: Sequence[int], *, first: bool) -> list[_Job]:
        """Return jobs of these sizes: the first of them, or any."""
        found: list[_Job] = []
        for gpus in picked:
            fitting = [job for job in among if job.gpus == gpus and job not in found]
            found.append(fitting[0 if first else int(self.source.integers(len(fitting)))])
        return found

    def _split(self, among: list[_Job], gpus: int) -> None:
        """Split a job such that some jobs have so many accelerators in all."""
        for job in sorted(among, key=lambda each: -each.gpus):
            if job.gpus <= gpus:
                gpus -= job.gpus
            else:
                part = _Job(gpus, job.submit_s, job.start_s)
                job.gpus -= gpus
                among.insert(among.index(job), part)
                self.jobs.append(part)
                self.splits += 1
                return
        raise AssertionError("more accelerators are to leave than are there")

    def _come(self, gpus: int, second: int) -> _Job:
        job = _Job(gpus, second)
        self.jobs.append(job)
        return job

    def _start(self, job: _Job, second: int) -> None:
        job.start_s = second
        self.running.append(job)


def _sum(jobs: list[_Job]) -> int:
    return sum(job.gpus for job in jobs)


def _even(gpus: int, jobs: int) -> list[int]:
    """Share accelerators out as evenly as they go, at least one to each of about so many jobs."""
    if not gpus:
        return []
    jobs = min(gpus, max(1, jobs))
    whole, rest = divmod(gpus, jobs)
    return [whole + 1] * rest + [whole] * (jobs - rest)


def _subset(sizes: Sequence[int], count: int | None, total: int) -> list[int] | None:
    """Return sizes that add up to the total, so many of them or any number; None if none were found."""
    if total == 0:
        return None if count else []
    if count is not None and not 0 < count <= len(sizes):
        return None
    if count in (1, None) and total in sizes:
        return [total]
    distinct, there = np.unique(np.array(sizes, dtype=np.int64), return_counts=True)
    return _Search().of(list(zip(distinct.tolist(), there.tolist(), strict=True))[::-1], total, count)


class _Search:
    """Looks for sizes with a sum, larger ones first, and gives up after `_MOST_TRIES`."""

    def __init__(self) -> None:
        self.tries = 0

    def of(self, kinds: list[tuple[int, int]], total: int, count: int | None) -> list[int] | None:
        """Return sizes of these kinds (size, how many there are), so many of them or any number."""
        self.tries += 1
        if total == 0 and not count:
            return []
        if not kinds or total <= 0 or count == 0 or self.tries > _MOST_TRIES:
            return None
        if count is not None and not kinds[-1][0] * count <= total <= kinds[0][0] * count:
            return None
        size, there = kinds[0]
        for use in range(min(there, total // size, there if count is None else count), -1, -1):
            rest = self.of(kinds[1:], total - use * size, None if count is None else count - use)
            if rest is not None:
                return [size] * use + rest
        return None


# ---- the file ------------------------------------------------------------------------------------------------------


def source_of_series(scenario: Scenario, path: Path) -> Source:
    """Read a series of states and work out jobs that would have looked like it.

    Parameters
    ----------
    scenario : window, longest run, seed of what is drawn
    path : `.csv` or `.parquet` with `vc`, `t_s` and the columns of `STATES`, a row for each virtual cluster and time

    Raises
    ------
    InputError : the file cannot be read, lacks a column or a state, or no job came in the window
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise InputError([cannot_open(path.name, error)]) from error
    is_parquet = data[:4] == b"PAR1" or path.suffix == ".parquet"
    table, problems = (parse_parquet if is_parquet else parse_csv)(path.name, data)
    if table is None:
        raise InputError(problems)
    frame, step_s = _states(table)
    demand = scenario.demand
    second = pl.col("t_s") - demand.from_s
    frame = frame.with_columns(second.alias("t_s")).filter(pl.col("t_s") >= 0)
    if demand.to_s is not None:
        frame = frame.filter(pl.col("t_s") < demand.to_s - demand.from_s)
    latest = frame["t_s"].max()
    window_s = (latest if isinstance(latest, int) else 0) + step_s
    check_window(scenario, path.name, frame.height, window_s)
    found = {vc: followed(scenario.seed, vc, states) for vc, states in by_cluster(frame)}
    jobs, vc, counts = _listed(found, window_s, demand.longest_h)
    check_window(scenario, path.name, jobs.job_id.len(), window_s)
    order = in_order(jobs)
    sha256 = hashlib.sha256(data).hexdigest()
    return Source(
        jobs=taken(jobs, order),
        vcs=vc,
        rows=order.size,
        row=np.arange(order.size),
        window_s=window_s,
        assumptions={
            "source/series": {"file": path.name, "sha256": sha256, "step_s": step_s, **counts},
            "window": {"from_s": demand.from_s, "to_s": demand.from_s + window_s},
            "longest_h": demand.longest_h,
            "virtual_clusters/named": len(vc),
        },
        recorded_gpus=dict(frame.group_by("vc").agg(pl.col("capacity_gpus").max()).sort("vc").iter_rows()),
        measured=measured_of(frame),
        unknown=("log_worth", "series_jobs", "series_between", "series_left", "series_order", "series_ends"),
        files={path.name: sha256},
    )


def measured_of(frame: pl.DataFrame) -> dict[str, float]:
    """Return what a series says itself, each state counted alike.

    Parameters
    ----------
    frame : vc, t_s and the columns of `STATES`, a row for each virtual cluster and time
    """
    idle = pl.col("capacity_gpus") - pl.col("running_gpus")
    waits = (pl.col("pending_gpus") > 0).cast(pl.Int64)
    free = (idle > 0).cast(pl.Int64)
    at = frame.group_by("t_s").agg(
        pl.col("capacity_gpus", "running_gpus", "pending_gpus").sum(),
        waits.sum().alias("waits"),
        free.sum().alias("free"),
        (waits * free).sum().alias("both"),
    )
    # Some cluster waits and another one is free: not so only where it is one and the same.
    apart = (
        (pl.col("waits") > 0)
        & (pl.col("free") > 0)
        & ~((pl.col("waits") == 1) & (pl.col("free") == 1) & (pl.col("both") == 1))
    )
    row = at.select(
        allocated_share=pl.col("running_gpus").sum() / pl.col("capacity_gpus").sum(),
        waiting_while_idle_share=apart.mean(),
        mean_pending_gpus=pl.col("pending_gpus").mean(),
        mean_idle_gpus=(pl.col("capacity_gpus") - pl.col("running_gpus")).mean(),
    ).row(0, named=True)
    return {name: float(value) for name, value in row.items()}


def _states(table: RawTable) -> tuple[pl.DataFrame, int]:
    """Return the checked states by (vc, t_s), and the seconds of a step; the day of the first time begins at 0."""
    problems = ProblemList()
    columns = []
    for column in _COLUMNS:
        if column.column in table.frame.columns:
            columns.append(parse_cells(table, column, problems))
        elif column.required:
            expected = Text(f"a column '{column.column}'", f"列“{column.column}”")
            hint = did_you_mean(column.column, table.frame.columns)
            problems.add(Problem("missing-column", table.file, None, column.column, "no such column", expected, hint))
        else:
            columns.append(pl.Series(column.stored, [None] * table.frame.height, dtype=pl.String))
    if problems:
        raise InputError(problems)
    frame = pl.DataFrame(columns)
    if frame["cluster"].n_unique() > 1:
        frame = frame.with_columns(pl.col("cluster").fill_null("none") + "-" + pl.col("vc"))
    _check_states(table, frame, problems)
    if problems:
        raise InputError(problems)
    times = frame["t_s"].unique().sort()
    first = int(times[0]) // DAY_S * DAY_S
    step = HOUR_S if times.len() == 1 else int(times[1]) - int(times[0])
    return frame.with_columns(pl.col("t_s") - first).sort("vc", "t_s"), step


def _check_states(table: RawTable, frame: pl.DataFrame, problems: ProblemList) -> None:
    if frame.is_empty():
        problems.add(Problem("no-rows", table.file, None, None, "no row", Text("at least one state", "至少一个状态")))
        return
    rows = frame.with_row_index("row")

    def note(where: pl.Expr, name: str, code: str, expected: Text) -> None:
        for row, found in rows.filter(where).select("row", name).iter_rows():
            problems.add(Problem(code, table.file, table.row(row), name, str(found), expected))

    note(
        pl.col("running_gpus") > pl.col("capacity_gpus"),
        "running_gpus",
        "out-of-range",
        Text("no more than capacity_gpus", "不超过 capacity_gpus"),
    )
    for what in ("running", "pending"):
        gpus, jobs = pl.col(f"{what}_gpus"), pl.col(f"{what}_gpu_jobs")
        expected = Text(f"jobs wherever there are {what}_gpus, and only there", f"当且仅当有 {what}_gpus 时有作业")
        note((gpus > 0) != (jobs > 0), f"{what}_gpu_jobs", "contradiction", expected)
    twice = pl.struct("vc", "t_s").is_first_distinct().not_()
    note(twice, "t_s", "duplicate", Text("one state of each cluster at a time", "每个集群每一时刻一个状态"))
    if not problems and frame["vc"].n_unique() * frame["t_s"].n_unique() != frame.height:
        expected = Text("a state of each cluster at every time of the file", "每个集群在每一时刻均有状态")
        missing = frame["vc"].n_unique() * frame["t_s"].n_unique() - frame.height
        problems.add(Problem("missing-rows", table.file, None, "t_s", f"{missing} states missing", expected))


def by_cluster(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the states of each virtual cluster at the times at which they change."""
    names = frame["vc"].unique().sort()
    for name in names:
        mine = frame.filter(pl.col("vc") == name)
        changed = pl.any_horizontal(pl.col(column) != pl.col(column).shift() for column in STATES[1:])
        yield name, mine.filter(changed.fill_null(value=True))


def followed(seed: int, vc: str, states: pl.DataFrame) -> _Cluster:
    """Return the jobs of one virtual cluster with their times.

    Parameters
    ----------
    seed : of which of several jobs of one size ends
    vc : name of the cluster
    states : its states by time, those that changed nothing left out
    """
    cluster = _Cluster(rng(seed, f"series.{vc}"))
    columns = ("t_s", "running_gpus", "running_gpu_jobs", "pending_gpus", "pending_gpu_jobs")
    for second, *after in states.select(columns).iter_rows():
        running, running_jobs, pending, pending_jobs = after
        # Jobs that share an accelerator would be more than the accelerators; here each has one of its own.
        cluster.step(second, State(running, min(running, running_jobs), pending, min(pending, pending_jobs)))
    return cluster


def _listed(
    found: dict[str, _Cluster], window_s: int, longest_h: int
) -> tuple[SourceJobs, tuple[str, ...], dict[str, object]]:
    """Put the jobs of all clusters together; those that never end in the window run to its end or as the others do."""
    names = tuple(found)
    rows: list[tuple[str, int, int, int, int, int]] = []
    still, unseen = 0, 0
    for number, cluster in enumerate(found.values()):
        runs = [job.end_s - job.start_s for job in cluster.jobs if job.end_s is not None and job.start_s is not None]
        ended = [run for run in runs if run]
        typical = int(np.median(ended)) if ended else HOUR_S
        # Those that run at once come before those that wait since the same second.
        jobs = sorted(cluster.jobs, key=lambda job: (job.submit_s, job.start_s is None, job.start_s or 0))
        width = len(str(len(jobs)))
        for index, job in enumerate(jobs):
            if job.start_s is None:
                run, unseen = typical, unseen + 1
            else:
                still += job.end_s is None
                run = max(1, (window_s if job.end_s is None else job.end_s) - job.start_s)
            patience = FOREVER if job.start_s is None or job.start_s != job.end_s else job.start_s - job.submit_s
            rows.append((f"{names[number]}-{index + 1:0{width}d}", job.submit_s, run, job.gpus, number, patience))
    schema = {"job_id": pl.String(), **dict.fromkeys(("submit_s", "run_s", "gpus", "vc", "patience_s"), pl.Int64())}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    submit, run_s, gpus, vc, patience_s = (frame[name].to_numpy() for name in frame.columns[1:])
    longest = longest_h * HOUR_S
    counts: dict[str, object] = {
        "jobs": frame.height,
        "still_running_at_the_end": still,
        "never_started": unseen,
        "left_the_queue": sum(cluster.left for cluster in found.values()),
        "split": sum(cluster.splits for cluster in found.values()),
        "of_which_cut": int((run_s > longest).sum()),
    }
    nobody = pl.Series("user", [None], dtype=pl.String).new_from_index(0, frame.height)
    listed = SourceJobs(frame["job_id"], submit, np.minimum(run_s, longest), gpus, vc, nobody, patience_s)
    return listed, names, counts
