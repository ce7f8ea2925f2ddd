"""Which jobs of a log a book takes, when they may run, and how much of each virtual cluster they need."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from dujiang.core.errors import InputError
from dujiang.core.money import MICRO
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.sim.assumption import component_rng
from dujiang.sim.trace_options import TraceOptions

HOUR_S = 3600
DAY_S = 86_400

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """The jobs of the window, as orders see them; arrays have one element per row of `jobs`."""

    jobs: pl.DataFrame
    """By (submit_s, job_id), with `vc` filled."""
    from_day: int
    since_s: Ints
    """Submission, whole seconds from the start of the window."""
    release: Ints
    """First whole slot after submission."""
    hours_micro: Ints
    """Run time, millionths of an hour."""
    cut: int
    """Jobs whose run time was cut at the end of the window."""
    left_out: Mapping[str, int]
    """Usable rows of the log that are not here, by reason."""

    @property
    def run_slots(self) -> Ints:
        """Whole slots that a job occupies."""
        return -(-self.hours_micro // MICRO)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the jobs of one virtual cluster need."""

    vc: str
    jobs: int
    largest_gpus: int
    """Accelerators of the largest job."""
    gpu_slots: int
    """Accelerators times whole slots, of all jobs."""
    peak_gpus: int
    """Most accelerators in use at once if every job started at its release."""


def choose_window(file: str, jobs: pl.DataFrame, options: TraceOptions) -> Window:
    """Choose the window and place the jobs submitted in it.

    Parameters
    ----------
    file : name that a problem carries
    jobs : usable jobs by (submit_s, job_id)
    options : window, treatment of long jobs, sample

    Raises
    ------
    InputError : no job was submitted in the window
    """
    # Whole micro-hours first, so that every later step is exact.
    hours_micro = np.maximum(1, np.rint(jobs["duration_s"].to_numpy() * (MICRO / HOUR_S))).astype(np.int64)
    submit_s = jobs["submit_s"].to_numpy()
    since_origin_s = submit_s - np.floor(submit_s[0] / DAY_S) * DAY_S
    day = options.from_day
    if day is None:
        inside_micro = np.minimum(hours_micro, options.slots * MICRO)
        day = _busiest_day(since_origin_s, jobs["gpus"].to_numpy() * inside_micro / MICRO, options.slots)
    since_s = since_origin_s - day * DAY_S
    release = np.ceil(since_s / HOUR_S).astype(np.int64)
    left_micro = (options.slots - release) * MICRO
    inside = (since_s >= 0) & (since_s < options.slots * HOUR_S)
    last_hour = inside & (left_micro <= 0)
    long = inside & ~last_hour & (hours_micro > left_micro)
    keep = inside & ~last_hour
    if options.long_jobs == "leave_out":
        keep &= ~long
    rows = np.flatnonzero(keep)
    left_out = {
        "outside_window": int((~inside).sum()),
        "submitted_in_last_hour": int(last_hour.sum()),
        "past_end_of_window": int((long & ~keep).sum()),
    }
    if options.max_orders is not None and len(rows) > options.max_orders:
        left_out["not_in_sample"] = len(rows) - options.max_orders
        rows = np.sort(component_rng(options.seed, "sample").choice(rows, options.max_orders, replace=False))
    if not len(rows):
        expected = Text(f"a job in the {options.slots} h from day {day}", f"第 {day} 天起 {options.slots} 小时内有作业")
        raise InputError([Problem("no-jobs", file, None, None, shown(None), expected)])
    return Window(
        jobs=jobs[rows],
        from_day=day,
        since_s=since_s[rows].astype(np.int64),
        release=release[rows],
        hours_micro=np.where(long, left_micro, hours_micro)[rows],
        cut=int(long[rows].sum()),
        left_out=left_out,
    )


def _busiest_day(since_origin_s: Floats, gpu_hours: Floats, slots: int) -> int:
    """Return the first day from which a window inside the log has the most GPU-hours submitted; ties: the earliest.

    GPU-hours are rounded to whole ones first, so that the sum does not depend on the order of adding.
    """
    days = -(-slots // 24)
    day = (since_origin_s // DAY_S).astype(np.int64)
    per_day = np.bincount(day, weights=np.rint(gpu_hours), minlength=days)
    running = np.concatenate([[0.0], np.cumsum(per_day)])
    return int(np.argmax(running[days:] - running[:-days]))


def demand_by_vc(window: Window, slots: int) -> list[Demand]:
    """Return the demand of each virtual cluster, by its name."""
    vcs = window.jobs["vc"].to_numpy()
    gpus = window.jobs["gpus"].to_numpy()
    found = []
    for vc in sorted(set(vcs.tolist())):
        rows = vcs == vc
        change = np.zeros(slots + 1, dtype=np.int64)
        np.add.at(change, window.release[rows], gpus[rows])
        np.add.at(change, window.release[rows] + window.run_slots[rows], -gpus[rows])
        found.append(
            Demand(
                vc=vc,
                jobs=int(rows.sum()),
                largest_gpus=int(gpus[rows].max()),
                gpu_slots=int((gpus[rows] * window.run_slots[rows]).sum()),
                peak_gpus=int(change.cumsum().max()),
            )
        )
    return found
