"""The policy lab: jobs per second of the fast mode and of every baseline, a simpy model beside, memory per job.

Run as ``python -m benchmarks.lab [--jobs N] [--quick] [--json]`` from the root of the repository. Demand is made up by
the lab's own generator (a month, eight virtual clusters, capacity 1.25 times the mean load; then 0.6 times it with jobs
that wait for ever, so that tens of thousands queue); the Philly trace is replayed too where it lies beside the
checkout. A replay counts from a ready case to both frames. The simpy model is isolated FIFO as its users write it: a
container per centre, a process per job; its starts must be ours to the second.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import simpy

from dujiang.core.text import Text
from dujiang.lab.case import Case
from dujiang.lab.fast import replay_fast
from dujiang.lab.make_case import make_case
from dujiang.lab.queues import replay_queues
from dujiang.lab.replay import Replay
from dujiang.lab.scenario import Allocator, Demand, Firms, Fleet, ProgrammeChange, Scenario, Willingness

PHILLY = Path(__file__).parents[1].parent / "shared" / "data" / "jobs_philly_early.parquet"
GOAL = 50_000
"""Jobs per second, of the fast mode and of every baseline."""
HOURS = 720
SIZES = (100_000, 300_000, 1_000_000)
SIMPY_JOBS = 30_000
TIMEOUTS = 300_000
TIMES = 3
TITLE = Text("benchmark", "基准")


def generated(jobs: int, *, multiple_ppm: int = 1_250_000, stretch: float | None = 1.5) -> Scenario:
    """A month of made-up jobs."""
    return Scenario(
        title=TITLE,
        fleet=Fleet(per_vc=True, multiple_ppm=multiple_ppm),
        demand=Demand(generate_h=HOURS, jobs_per_h=jobs / HOURS, stretch=stretch),
    )


def philly() -> Scenario:
    """The whole trace under a voucher, virtual clusters as centres."""
    return Scenario(
        title=TITLE,
        fleet=Fleet(per_vc=True, multiple_ppm=1_000_000),
        demand=Demand(trace=PHILLY, trace_format="philly"),
        firms=Firms(kinds={"manufacturing_enterprise": 1.0}, cities={"广东/东莞": 1.0}, facts={"via_platform": True}),
        programmes=(ProgrammeChange("dg-compute-voucher", budget_ucny=50_000_000 * 10**6),),
    )


def under(case: Case, allocator: Allocator) -> Callable[[], Replay]:
    """Return the replay of a case under one allocator."""
    ready = replace(case, scenario=replace(case.scenario, allocator=allocator))
    return lambda: (replay_fast if allocator is Allocator.MARKET else replay_queues)(ready)


def most_waiting(replay: Replay) -> float:
    """Return the most jobs that wait in an hour, on average over it, in all centres together."""
    by_hour = replay.series.group_by("slot").agg(pl.col("waiting_jobs").sum())
    return float(by_hour["waiting_jobs"].max() or 0.0)  # type: ignore[arg-type]


def speeds(case: Case) -> list[dict[str, Any]]:
    """Replay a case under every allocator, some times each."""
    rows = []
    for allocator in Allocator:
        run = under(case, allocator)
        found = run()  # compiles
        wall, work = [], []
        for _ in range(TIMES):
            begin, worked = time.perf_counter(), time.process_time()
            run()
            wall.append(time.perf_counter() - begin)
            work.append(time.process_time() - worked)
        jobs = case.book.orders.height
        rows.append(
            {
                "allocator": "market, fast" if allocator is Allocator.MARKET else allocator.value,
                "jobs": jobs,
                "jobs_per_s": jobs / min(wall),
                "jobs_per_processor_s": jobs / min(work),
                "served_share": float((found.jobs["outcome"] == "served").mean() or 0.0),
                "most_waiting": most_waiting(found),
                "seconds": {phase: round(value, 4) for phase, value in found.seconds.items()},
            }
        )
    return rows


def simpy_starts(case: Case, rows: np.ndarray) -> np.ndarray:
    """Replay some jobs of a case under isolated FIFO in simpy; return their starts."""
    submit, run, origin = (getattr(case.jobs, name)[rows].tolist() for name in ("submit_s", "run_s", "origin"))
    gpus = case.book.orders["gpus"].to_numpy()[rows].tolist()
    pools = case.book.pools["gpus"].to_list()
    env = simpy.Environment()
    centres = [simpy.Container(env, count, count) for count in pools]
    start = np.zeros(rows.size, dtype=np.int64)

    def job(j: int) -> Any:
        centre = centres[origin[j]]
        yield centre.get(gpus[j])
        start[j] = env.now
        yield env.timeout(run[j])
        yield centre.put(gpus[j])

    def arrivals() -> Any:
        for j in range(rows.size):
            if submit[j] > env.now:
                yield env.timeout(submit[j] - env.now)
            env.process(job(j))

    env.process(arrivals())
    env.run()
    return start


def against_simpy() -> dict[str, Any]:
    """Replay the same isolated FIFO here and in simpy."""
    scenario = replace(generated(SIMPY_JOBS, stretch=None), firms=Firms(willingness=Willingness(median=50.0)))
    case = make_case(replace(scenario, allocator=Allocator.ISOLATED_FIFO))
    assert case.book.pools["centre_id"].equals(case.book.centres["centre_id"])
    replay_queues(case)
    begin = time.process_time()
    ours = replay_queues(case)
    seconds = time.process_time() - begin
    rows = np.flatnonzero((ours.jobs["outcome"] == "served").to_numpy())
    assert rows.size == case.book.orders.height, "somebody was turned away"
    begin = time.process_time()
    theirs = simpy_starts(case, rows)
    peer = time.process_time() - begin
    assert (theirs == ours.jobs["start_s"].to_numpy()[rows]).all(), "simpy starts jobs at other seconds"

    def clock(env: simpy.Environment) -> Any:
        for _ in range(TIMEOUTS):
            yield env.timeout(1)

    env = simpy.Environment()
    env.process(clock(env))
    begin = time.process_time()
    env.run()
    bare = time.process_time() - begin
    return {
        "jobs": rows.size,
        "mean_wait_h": float((ours.jobs["start_s"] - ours.jobs["submit_s"]).mean() or 0.0) / 3600,
        "jobs_per_s": rows.size / seconds,
        "simpy_jobs_per_s": rows.size / peer,
        "simpy_timeouts_per_s": TIMEOUTS / bare,
        "ratio": peer / seconds,
    }


def _status(name: str) -> int:
    """Return a line of this process's status, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def _memory(jobs: int, allocator: str, answer: Any) -> None:
    warm = make_case(generated(2_000))
    under(warm, Allocator(allocator))()
    case = make_case(generated(jobs))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    under(case, Allocator(allocator))()
    answer.put((case.book.orders.height, _status("VmHWM")))


def memory(allocator: Allocator, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Measure the most that a process holds while it replays a case, the case included; one process for each size."""
    context = multiprocessing.get_context("spawn")
    points = []
    for jobs in sizes:
        answer = context.Queue()
        process = context.Process(target=_memory, args=(jobs, allocator.value, answer))
        process.start()
        points.append(answer.get())
        process.join()
    count, peak = (np.array([point[i] for point in points], dtype=float) for i in (0, 1))
    slope, fixed = np.polyfit(count, peak, 1)
    return {
        "allocator": allocator.value,
        "jobs": count.astype(int).tolist(),
        "peak_mb": (peak / 1e6).round(1).tolist(),
        "bytes_per_job": float(slope),
        "fixed_mb": float(fixed) / 1e6,
        "furthest_from_line": float(np.abs(peak - (slope * count + fixed)).max() / peak.max()),
    }


def measure(jobs: int, *, quick: bool) -> dict[str, Any]:
    """Measure everything."""
    report: dict[str, Any] = {
        "generated": speeds(make_case(generated(jobs))),
        "overloaded": speeds(make_case(generated(jobs, multiple_ppm=600_000, stretch=None))),
        "philly": speeds(make_case(philly())) if PHILLY.exists() else None,
        "simpy": against_simpy(),
    }
    sizes = SIZES[:2] if quick else SIZES
    report["memory"] = [memory(allocator, sizes) for allocator in (Allocator.MARKET, Allocator.ISOLATED_BACKFILL)]
    slowest = min(row["jobs_per_s"] for name in ("generated", "philly") for row in report[name] or ())
    report["goal"] = {"jobs_per_s": GOAL, "slowest": slowest, "met": bool(slowest >= GOAL)}
    return report


def _table(title: str, rows: list[dict[str, Any]] | None) -> list[str]:
    if rows is None:
        return [f"{title}: the trace is not beside this checkout, in ../shared/data"]
    lines = [
        f"{title}: {rows[0]['jobs']:,} jobs",
        f"  {'':<20} {'jobs/s':>11} {'per processor s':>16} {'served':>8} {'most waiting':>13}",
    ]
    return lines + [
        f"  {r['allocator']:<20} {r['jobs_per_s']:>11,.0f} {r['jobs_per_processor_s']:>16,.0f}"
        f" {r['served_share']:>8.1%} {r['most_waiting']:>13,.0f}"
        for r in rows
    ]


def text(report: dict[str, Any]) -> str:
    """Return the report as text."""
    peer, goal = report["simpy"], report["goal"]
    lines = [
        *_table("Made-up month, capacity 1.25 times the mean load", report["generated"]),
        *_table("The same, 0.6 times, and jobs that wait for ever", report["overloaded"]),
        *_table("Philly, capacity the mean load", report["philly"]),
        f"Isolated FIFO, {peer['jobs']:,} jobs, mean wait {peer['mean_wait_h']:.1f} h, same starts, processor time:",
        f"  {peer['jobs_per_s']:,.0f} jobs/s here, {peer['simpy_jobs_per_s']:,.0f} in simpy: {peer['ratio']:.0f} times;"
        f" bare simpy {peer['simpy_timeouts_per_s']:,.0f} timeouts/s",
    ]
    for row in report["memory"]:
        lines.append(
            f"Memory of {row['allocator']}, its case and the process included: {row['bytes_per_job']:.0f} bytes a job"
            f" and {row['fixed_mb']:.0f} MB; peaks {row['peak_mb']} MB at {row['jobs']},"
            f" {row['furthest_from_line']:.1%} off the line"
        )
    met = "met" if goal["met"] else "missed"
    lines.append(f"Goal {goal['jobs_per_s']:,} jobs/s: {met} (the slowest, not overloaded: {goal['slowest']:,.0f})")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300_000)
    parser.add_argument("--quick", action="store_true", help="memory at two sizes only")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    asked = parser.parse_args()
    report = measure(asked.jobs, quick=asked.quick)
    print(json.dumps(report, indent=2) if asked.json else text(report))


if __name__ == "__main__":
    main()
