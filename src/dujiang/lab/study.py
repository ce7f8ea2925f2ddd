"""Studies: many scenarios, replayed in parallel, compared in pairs, gone on with after any stop.

A run is kept in `runs/KEY`, where the key follows from all that decides its result. Its folder appears when its files
are whole, so a study that was killed goes on with what is there, and one that was changed makes only what is new.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dujiang.core.errors import InputError
from dujiang.core.problem import Problem, shown
from dujiang.core.text import Text
from dujiang.exchange.run import LOCK, alone
from dujiang.lab.design import Point, Points, Study, label_of, plain, points_of
from dujiang.lab.parse_study import read_study, scenario_of
from dujiang.lab.run_key import run_key
from dujiang.lab.search import dimensions, frontier, halton, measure_at, refined, rounds, values_at
from dujiang.lab.simulate import TIMING
from dujiang.lab.study_document import Figures, study_document
from dujiang.lab.sums import Float
from dujiang.lab.workers import Failure, Task, failed, processors, run_local, run_ray
from dujiang.reports.lab_html import render_study
from dujiang.store.files import is_draft, json_bytes, remove_drafts, write_whole, writing
from dujiang.store.results import SUMMARY

PLAN, STUDY, REPORT, FAILED, RUNS = "plan.json", "study.json", "report.html", "failed.json", "runs"
STUDY_FILES = frozenset({PLAN, STUDY, REPORT, FAILED, RUNS, TIMING, LOCK})
"""What a study leaves in its folder."""
PLAN_FORMAT = "dujiang.study-plan/1"
_KEY_LETTERS = 20
ENGINES = ("local", "ray")


class Progress(NamedTuple):
    """How far a study is."""

    done: int
    """Runs that are there, those of an earlier start included."""
    of: int
    """Runs that are known to be needed; a search adds to them."""
    failed: int
    left_s: float | None
    """Seconds that the rest may take, at the speed so far; None: not known yet."""


Told = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Studied:
    """A study that was made."""

    document: dict[str, Any]
    """What `study.json` holds."""
    timing: dict[str, Any]
    """What `timing.json` holds."""


def study_to(
    path: Path,
    out: Path,
    *,
    engine: str = "local",
    workers: int | None = None,
    trace: Path | None = None,
    progress: Told | None = None,
) -> Studied:
    """Make a study, or go on with it.

    Parameters
    ----------
    path : the study
    out : a new or empty folder, or that of an earlier study
    engine : `local` or `ray`
    workers : how many; None: one for each processor
    trace : takes the place of `demand.trace`
    progress : is told how far it is

    Raises
    ------
    InputError : with every problem of the study and of its scenarios, or if `out` holds somebody's files
    OperationError : `out` cannot be written, another study works there, or runs failed; what is done is kept
    """
    check_study_target(out)
    study = read_study(path, trace)
    first = points_of(study)
    _keys(study, first.found)  # what cannot be read is said before anything is written
    with alone(out):
        check_study_target(out)
        return _Making(study, first, out, engine, workers, progress or _silent).make()


def _silent(progress: Progress) -> None:
    """Tell nobody."""


def check_study_target(out: Path) -> None:
    """Refuse a folder that holds somebody's files.

    Raises
    ------
    InputError : it is a file, or a folder that is neither empty nor that of a study
    OperationError : it cannot be looked at
    """
    with writing(out):
        found = _stranger(out)
    if found is not None:
        expected = Text("a new or empty folder, or that of an earlier study", "新的或空的文件夹，或此前研究的文件夹")
        fix = Text("choose another --out", "请另选 --out")
        raise InputError([Problem("not-a-study", out.name or str(out), None, None, found, expected, fix)])


def _stranger(out: Path) -> str | None:
    if not (out.exists() or out.is_symlink()):
        return None
    if not out.is_dir():
        return "a file"
    names = {path.name for path in out.iterdir() if not is_draft(path.name)}
    foreign = sorted(names - STUDY_FILES)
    if foreign:
        return shown(foreign[0])
    if names <= {LOCK}:
        return None
    try:
        ours = f'"format": "{PLAN_FORMAT}"' in (out / PLAN).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        ours = False
    return None if ours else f"no {PLAN} of an earlier study"


def _keys(study: Study, points: Sequence[Point]) -> list[list[str]]:
    """Return the key of each run, per point and seed."""
    return [[run_key(scenario_of(study, point, seed))[:_KEY_LETTERS] for seed in study.seeds] for point in points]


class _Making:
    """A study on its way."""

    def __init__(self, study: Study, points: Points, out: Path, engine: str, workers: int | None, told: Told) -> None:
        self.study, self.points, self.out, self.engine = study, points, out, engine
        self.workers = workers or processors()
        self.told = told
        self.keys: list[list[str]] = []
        self.begun = time.perf_counter()
        self.made = 0
        """Runs that this process had made."""
        self.ran = self.begun
        self.folders: list[list[Path]] = []
        self.figures = Figures(study, points, self.folders)

    def make(self) -> Studied:
        """Make what is missing, then the document."""
        self._tidy()
        self._run_all()
        if self.study.search is not None:
            self._search()
        self.ran = time.perf_counter()
        document = study_document(self.study, self.points, self.folders, self.figures, self.engine)
        return Studied(document, self._write(document))

    def _tidy(self) -> None:
        """Remove what a killed study left half done."""
        remove_drafts(self.out)
        runs = self.out / RUNS
        with writing(runs):
            for path in list(runs.iterdir()) if runs.is_dir() else []:
                if is_draft(path.name):
                    shutil.rmtree(path, ignore_errors=True)

    def folder(self, key: str) -> Path:
        """Return where a run is kept."""
        return self.out / RUNS / key

    def _run_all(self) -> None:
        """Make the runs of all points that are not there yet."""
        new = self.points.found[len(self.keys) :]
        keys = _keys(self.study, new)
        self.keys += keys
        self.folders += [[self.folder(key) for key in one] for one in keys]
        self._plan()
        named = {
            key: (index, seed)
            for index, keys in enumerate(self.keys)
            for seed, key in zip(self.study.seeds, keys, strict=True)
        }
        missing = [key for key in named if not (self.folder(key) / SUMMARY).is_file()]
        tasks = [
            Task(scenario_of(self.study, self.points.found[named[key][0]], named[key][1]), self.folder(key))
            for key in missing
        ]
        failures: dict[str, Failure] = {}
        there, began = len(named) - len(missing), time.perf_counter()
        self.told(Progress(there, len(named), 0, None))
        ended = 0

        def ended_one(number: int, failure: Failure | None) -> None:
            nonlocal ended
            ended += 1
            if failure is not None:
                index, seed = named[missing[number]]
                failures[f"{self.points.found[index].label.en}, seed {seed}"] = failure
            left = (time.perf_counter() - began) / ended * (len(tasks) - ended)
            self.told(Progress(there + ended, len(named), len(failures), left))

        if self.engine == "ray":
            run_ray(tasks, self.workers, ended_one)
        else:
            run_local(tasks, self.workers, ended_one)
        self.made += len(tasks) - len(failures)
        self._report_failures(failures)

    def _report_failures(self, failures: Mapping[str, Failure]) -> None:
        path = self.out / FAILED
        if not failures:
            path.unlink(missing_ok=True)
            return
        said = [
            {
                "run": name,
                "problems": [problem.as_dict() for problem in failure.problems],
                "message": None if failure.message is None else failure.message._asdict(),
                "details": failure.details,
            }
            for name, failure in failures.items()
        ]
        write_whole(path, json_bytes({"format": "dujiang.study-failures/1", "failed": said}))
        raise failed(failures)

    def _plan(self) -> None:
        """Say which runs belong to which point, before they are there."""
        points = [
            {"label": point.label._asdict(), "values": plain(point.values), "runs": keys}
            for point, keys in zip(self.points.found, self.keys, strict=True)
        ]
        plan = {"format": PLAN_FORMAT, "title": self.study.title._asdict(), "seeds": list(self.study.seeds)}
        write_whole(self.out / PLAN, json_bytes({**plan, "points": points}))

    def _search(self) -> None:
        """Evaluate points spread evenly, then round by round around those that nothing beats."""
        search, seed = self.study.search, self.study.design_seed
        assert search is not None
        unit_of: dict[int, Float] = {}
        for number, count in enumerate(rounds(search)):
            if number == 0:
                unit = halton(count, dimensions(search), seed)
            else:
                rows = [self.figures.row(index) for index in unit_of]
                cost, goal = ([measure_at(row, key) for row in rows] for key in (search.against, search.goal))
                on = frontier(cost, goal, maximise=search.maximise) or list(range(len(rows)))
                unit = refined(np.stack([list(unit_of.values())[n] for n in on]), count, number, seed)
            for one in unit:
                values = values_at(search, one)
                unit_of.setdefault(self.points.add(values, label_of(self.study, values)), one)
            self._run_all()

    def _write(self, document: dict[str, Any]) -> dict[str, Any]:
        """Write the document and its report; `study.json` comes last."""
        ended = time.perf_counter()
        timing = {
            "engine": self.engine,
            "workers": self.workers,
            "runs": sum(map(len, self.keys)),
            "runs_made": self.made,
            "seconds": {
                "runs": round(self.ran - self.begun, 3),
                "document": round(ended - self.ran, 3),
            },
        }
        write_whole(self.out / REPORT, render_study(document).encode())
        write_whole(self.out / TIMING, json_bytes(timing))
        write_whole(self.out / STUDY, json_bytes(document))
        return timing


__all__ = ["ENGINES", "Progress", "Studied", "check_study_target", "study_to"]
