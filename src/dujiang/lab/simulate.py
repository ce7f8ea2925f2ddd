"""One scenario from its file to its folder: case, replay, summary, files."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dujiang.lab.case import Case
from dujiang.lab.difference import difference
from dujiang.lab.fast import replay_fast
from dujiang.lab.make_case import make_case
from dujiang.lab.parse_scenario import read_scenario
from dujiang.lab.queues import replay_queues
from dujiang.lab.replay import Replay
from dujiang.lab.rounds import replay_rounds
from dujiang.lab.run_key import run_key
from dujiang.lab.scenario import Allocator, Mode, Scenario
from dujiang.lab.summary import Named, named, run_summary
from dujiang.reports.lab_html import render_run
from dujiang.store.files import json_bytes, parquet_bytes, replace_folder
from dujiang.store.results import SUMMARY, check_target

Progress = Callable[[str, float], None]
"""Called with the name of a phase and how much of it is done, 0 to 1."""
JOBS, SERIES, TIMING, REPORT = "jobs.parquet", "series.parquet", "timing.json", "report.html"
RUN_FILES = frozenset({SUMMARY, JOBS, SERIES, TIMING, REPORT})
"""What a run leaves in its folder."""


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A replayed scenario."""

    case: Case
    replay: Replay
    summary: dict[str, Any]
    """What `summary.json` holds; the same for the same scenario."""
    timing: dict[str, Any]
    """What `timing.json` holds: it differs from run to run."""
    named: Named


def simulate(scenario: Scenario, progress: Progress | None = None) -> Simulated:
    """Replay a scenario.

    Parameters
    ----------
    scenario : what to replay
    progress : is told how far it is

    Raises
    ------
    InputError : with every problem of the files that the scenario names
    """
    tell = progress or _silent
    began = time.perf_counter()
    key = run_key(scenario)
    tell("case", 0.0)
    case = make_case(scenario)
    tell("case", 1.0)
    made = time.perf_counter()
    replay = _replay(case, tell)
    replayed = time.perf_counter()
    run = named(case, replay)
    summary = run_summary(run, key)
    seconds = {
        "case": made - began,
        "replay": replayed - made,
        "summary": time.perf_counter() - replayed,
        **{f"replay.{phase}": value for phase, value in replay.seconds.items()},
    }
    timing = {
        "seconds": {phase: round(value, 4) for phase, value in seconds.items()},
        "jobs_per_s": round(replay.jobs.height / max(1e-9, replayed - made), 1),
    }
    return Simulated(case, replay, summary, timing, run)


def _silent(phase: str, share: float) -> None:
    """Tell nobody."""


def _replay(case: Case, tell: Progress) -> Replay:
    scenario = case.scenario
    if scenario.allocator is not Allocator.MARKET:
        return replay_queues(case)
    if scenario.mode is Mode.FAST:
        return replay_fast(case)
    exact = replay_rounds(case, progress=lambda _phase, share, _gap: tell("rounds", share))
    if scenario.mode is Mode.EXACT:
        return exact
    found = difference(case, exact, replay_fast(case))
    return replace(exact, extra={**exact.extra, "difference": found})


def run_files(run: Simulated, *, report: bool) -> dict[str, bytes]:
    """Return the files of a run by name; `summary.json` comes last and marks that the others are there."""
    files = {
        JOBS: parquet_bytes(run.named.jobs),
        SERIES: parquet_bytes(run.replay.series),
        TIMING: json_bytes(run.timing),
    }
    if report:
        files[REPORT] = render_run(run.summary).encode()
    files[SUMMARY] = json_bytes(run.summary)
    return files


def with_trace(scenario: Scenario, trace: Path | None) -> Scenario:
    """Return a scenario with another trace; itself without one."""
    return scenario if trace is None else replace(scenario, demand=replace(scenario.demand, trace=trace))


def simulate_to(path: Path, out: Path, trace: Path | None = None, progress: Progress | None = None) -> Simulated:
    """Replay a scenario file into a folder, whole or not at all.

    Parameters
    ----------
    path : the scenario
    out : a new or empty folder, or that of an earlier run, which is replaced
    trace : takes the place of `demand.trace`
    progress : is told how far it is

    Raises
    ------
    InputError : with every problem of the scenario and its files, or if `out` holds somebody's files
    OperationError : `out` cannot be written
    """
    check_target(out, RUN_FILES)
    run = simulate(with_trace(read_scenario(path), trace), progress)
    check_target(out, RUN_FILES)
    replace_folder(out, run_files(run, report=True))
    return run


__all__ = ["RUN_FILES", "Progress", "Simulated", "run_files", "simulate", "simulate_to", "with_trace"]
